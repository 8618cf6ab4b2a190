//! mbsync keeps a mailbox of real mail the same in two places and on the server, both ways, flags too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::path::Path;

use e2e::{
    ADA, PASSWORD, Server, Setup, corpus, installed, lf, maildir_files, maildir_make, maildir_messages, maildir_put,
    run,
};

/// A place: a Maildir and mbsync's settings and state for it.
struct Place<'a> {
    folder: std::path::PathBuf,
    server: &'a Server,
}

impl Place<'_> {
    fn new<'a>(server: &'a Server, name: &str, tls: bool) -> Place<'a> {
        let folder = server.folder().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let settings = format!(
            "IMAPAccount us\nHost localhost\nPort {}\nUser {ADA}\nPass \"{PASSWORD}\"\nAuthMechs {}\nSSLType {}\n\
             CertificateFile {}\n\nIMAPStore far\nAccount us\n\nMaildirStore near\nPath {path}/\nInbox {path}/INBOX\n\
             SubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX Work\nCreate Both\nRemove Both\n\
             Expunge Both\nSyncState *\nCopyArrivalDate yes\n",
            server.port("imap"),
            if tls { "PLAIN" } else { "LOGIN" },
            if tls { "STARTTLS" } else { "None" },
            server.certificate().display(),
            path = folder.display(),
        );
        std::fs::write(folder.join("mbsyncrc"), settings).unwrap();
        Place { folder, server }
    }

    fn sync(&self) -> String {
        let settings = self.folder.join("mbsyncrc");
        let ran = run("mbsync", ["-c".as_ref(), settings.as_os_str(), "--all".as_ref()]);
        assert!(!ran.err.contains("rror"), "{}", ran.err);
        ran.text() + &ran.err
    }

    fn mailbox(&self, name: &str) -> std::path::PathBuf {
        self.folder.join(name)
    }

    /// What is here is what the server has.
    fn assert_like_server(&self) {
        let mut imap = self.server.imap(ADA);
        for name in ["INBOX", "Work"] {
            let lines = imap.ok(&format!("SELECT {name}"));
            let count = lines
                .iter()
                .find_map(|line| line.text.strip_suffix(" EXISTS"))
                .unwrap()
                .to_owned();
            let here = maildir_messages(&self.mailbox(name));
            assert_eq!(count, format!("* {}", here.len()), "{name}");
            let mut there: Vec<_> = imap
                .ok("FETCH 1:* (FLAGS BODY.PEEK[])")
                .into_iter()
                .filter(|line| !line.literals.is_empty())
                .map(|mut line| (without_tuid(&lf(&line.literals.remove(0))), letters(&line.text)))
                .collect();
            there.sort();
            assert_same(&here, &there, name);
        }
    }
}

fn letters(fetch: &str) -> String {
    let flags = [
        ("D", "\\Draft"),
        ("F", "\\Flagged"),
        ("R", "\\Answered"),
        ("S", "\\Seen"),
        ("T", "\\Deleted"),
    ];
    flags
        .iter()
        .filter(|(_, flag)| fetch.contains(flag))
        .map(|(letter, _)| *letter)
        .collect()
}

fn without_tuid(message: &[u8]) -> Vec<u8> {
    message
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !line.starts_with(b"X-TUID: "))
        .flatten()
        .copied()
        .collect()
}

fn assert_same(left: &[(Vec<u8>, String)], right: &[(Vec<u8>, String)], what: &str) {
    assert_eq!(left.len(), right.len(), "{what}");
    for ((left, left_flags), (right, right_flags)) in left.iter().zip(right) {
        assert!(
            left == right,
            "{what}: bytes differ\n{:?}\n{:?}",
            String::from_utf8_lossy(left),
            String::from_utf8_lossy(right)
        );
        assert_eq!(
            left_flags,
            right_flags,
            "{what}: flags of {:?}",
            String::from_utf8_lossy(&left[..left.len().min(300)])
        );
    }
}

fn rename_flags(path: &Path, flags: &str) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let (name, _) = name.rsplit_once(":2,").unwrap_or((&name, ""));
    let folder = path.parent().unwrap().parent().unwrap().join("cur");
    std::fs::rename(path, folder.join(format!("{name}:2,{flags}"))).unwrap();
}

#[test]
fn two_ways() {
    if !installed(&["mbsync"]) {
        return;
    }
    let Some(mail) = corpus(600) else { return };
    // mbsync compares the name it was given with the certificate's.
    let server = Server::start_with(Setup {
        hostname: Some("localhost".to_owned()),
        ..Setup::default()
    });
    let here = Place::new(&server, "here", false);
    let there = Place::new(&server, "there", true);
    for name in ["INBOX", "Work"] {
        maildir_make(&here.mailbox(name));
    }
    const FLAGS: [&str; 8] = ["", "S", "S", "RS", "FS", "F", "DS", "DFRS"];
    let (extra, mail) = mail.split_at(20);
    for (index, message) in mail.iter().enumerate() {
        let name = if index % 4 == 0 { "Work" } else { "INBOX" };
        maildir_put(
            &here.mailbox(name),
            &format!("{index:06}.e2e"),
            &lf(message),
            FLAGS[index % FLAGS.len()],
        );
    }

    here.sync();
    here.assert_like_server();
    there.sync();
    there.assert_like_server();
    for name in ["INBOX", "Work"] {
        let same = maildir_messages(&here.mailbox(name));
        assert_same(&same, &maildir_messages(&there.mailbox(name)), name);
        // What came back is what was put in.
        let sent: Vec<_> = mail.iter().map(|message| lf(message)).collect();
        assert!(
            same.iter().all(|(message, _)| sent.contains(message)),
            "{name} has something that was never sent"
        );
    }

    // Changes at both ends: flags, deletions and new messages.
    let files = maildir_files(&there.mailbox("INBOX"));
    for path in &files[..20] {
        std::fs::remove_file(path).unwrap();
    }
    for (path, flags) in files[20..60].iter().zip(FLAGS.iter().cycle().skip(3)) {
        rename_flags(path, flags);
    }
    for (index, message) in extra[..10].iter().enumerate() {
        maildir_put(&there.mailbox("INBOX"), &format!("new{index}.e2e"), &lf(message), "");
    }
    let files = maildir_files(&here.mailbox("Work"));
    for path in &files[..10] {
        std::fs::remove_file(path).unwrap();
    }
    for (index, message) in extra[10..].iter().enumerate() {
        maildir_put(&here.mailbox("Work"), &format!("new{index}.e2e"), &lf(message), "S");
    }
    there.sync();
    here.sync();
    there.sync();
    here.assert_like_server();
    there.assert_like_server();

    // Nothing is left to do.
    let before = (
        maildir_files(&here.mailbox("INBOX")),
        maildir_files(&there.mailbox("INBOX")),
    );
    here.sync();
    there.sync();
    assert_eq!(
        before,
        (
            maildir_files(&here.mailbox("INBOX")),
            maildir_files(&there.mailbox("INBOX"))
        )
    );
    server.assert_sound();
}
