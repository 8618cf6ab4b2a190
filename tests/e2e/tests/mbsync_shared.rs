//! mbsync on the mailboxes of a group: two members keep what they share the same, each in a Maildir of his own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::path::PathBuf;

use e2e::{
    ADA, BOB, PASSWORD, Server, installed, lf, made_up, maildir_files, maildir_make, maildir_messages, maildir_put, run,
};

struct Place {
    folder: PathBuf,
}

impl Place {
    fn new(server: &Server, name: &str, user: &str) -> Place {
        let folder = server.folder().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let settings = format!(
            "IMAPAccount us\nHost 127.0.0.1\nPort {}\nUser {user}\nPass \"{PASSWORD}\"\nAuthMechs LOGIN\nSSLType None\n\n\
             IMAPStore far\nAccount us\nUseNamespace no\nPath \"Shared Folders/team@e2e.test/\"\n\n\
             MaildirStore near\nPath {path}/\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns Project Plans\nCreate Both\nExpunge Both\nSyncState *\n",
            server.port("imap"),
            path = folder.display(),
        );
        std::fs::write(folder.join("mbsyncrc"), settings).unwrap();
        Place { folder }
    }

    fn sync(&self) {
        let settings = self.folder.join("mbsyncrc");
        let ran = run("mbsync", ["-c".as_ref(), settings.as_os_str(), "--all".as_ref()]);
        assert!(!ran.err.contains("rror"), "{}", ran.err);
    }

    fn messages(&self, name: &str) -> Vec<(Vec<u8>, String)> {
        maildir_messages(&self.folder.join(name))
    }
}

#[test]
fn members_see_the_same() {
    if !installed(&["mbsync"]) {
        return;
    }
    let server = Server::start();
    for arguments in [
        &["group", "add", "team@e2e.test"][..],
        &["group", "join", "team@e2e.test", ADA, "--rights", "manage"],
        &["group", "join", "team@e2e.test", BOB],
        &["group", "seen", "team@e2e.test", "own"],
    ] {
        let ran = server.admin(arguments);
        assert!(ran.success, "{arguments:?}: {}", ran.err);
    }
    let (ada, bob) = (Place::new(&server, "ada", ADA), Place::new(&server, "bob", BOB));
    for name in ["Project", "Plans"] {
        maildir_make(&ada.folder.join(name));
    }
    for index in 0..40 {
        let (name, flags) = (["Project", "Plans"][index % 2], ["", "F", "FS", "S"][index % 4]);
        maildir_put(
            &ada.folder.join(name),
            &format!("{index:03}.e2e"),
            &lf(&made_up(500 + index)),
            flags,
        );
    }
    // What ada has put there bob gets, but for what she has read: that is new to him.
    ada.sync();
    bob.sync();
    for name in ["Project", "Plans"] {
        let unread = |(octets, flags): (Vec<u8>, String)| (octets, flags.replace('S', ""));
        let wanted: Vec<_> = ada.messages(name).into_iter().map(unread).collect();
        assert_eq!(wanted.len(), 20, "{name}");
        assert!(wanted == bob.messages(name), "{name}");
    }
    // What bob takes away is gone for ada, what he writes is there; what he reads stays new to her.
    let files = maildir_files(&bob.folder.join("Project"));
    for path in &files[..5] {
        std::fs::remove_file(path).unwrap();
    }
    maildir_put(&bob.folder.join("Plans"), "new.e2e", &lf(&made_up(900)), "S");
    bob.sync();
    ada.sync();
    assert_eq!((ada.messages("Project").len(), ada.messages("Plans").len()), (15, 21));
    let new = ada
        .messages("Plans")
        .into_iter()
        .find(|(octets, _)| lf(octets).len() > 880 && bob_wrote(octets));
    assert!(new.is_some_and(|(_, flags)| !flags.contains('S')));
    server.assert_sound();
}

fn bob_wrote(octets: &[u8]) -> bool {
    let without: Vec<u8> = octets
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"X-TUID: "))
        .flatten()
        .copied()
        .collect();
    without == lf(&made_up(900))
}
