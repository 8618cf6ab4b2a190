//! Programs that collect mail: offlineimap, both ways, and fetchmail over STARTTLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::time::Duration;

use e2e::{
    ADA, PASSWORD, Server, corpus, fetchmail_collects, installed, lf, made_up, maildir_files, maildir_messages,
    maildir_put, run,
};

/// Messages to begin with: real ones where they are at hand.
fn mail(count: usize) -> Vec<Vec<u8>> {
    corpus(count).unwrap_or_else(|| (0..count).map(|index| made_up(1000 + index)).collect())
}

fn fill(server: &Server, mailbox: &str, mail: &[Vec<u8>]) {
    let mut imap = server.imap(ADA);
    for (index, message) in mail.iter().enumerate() {
        let reply = imap.append(mailbox, if index % 3 == 0 { "\\Seen" } else { "" }, message);
        assert!(reply.ok(), "{}", reply.status);
    }
}

#[test]
fn offlineimap_both_ways() {
    if !installed(&["offlineimap"]) {
        return;
    }
    let server = Server::start();
    // offlineimap takes messages apart and puts them together: only simple ones come out as they were.
    let mut mail = mail(120);
    mail.retain(|message| message.is_ascii() && !String::from_utf8_lossy(message).to_lowercase().contains("multipart"));
    mail.extend((0..20).map(|n| {
        let head = "From: a@b.example\r\nTo: ada@e2e.test\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n";
        format!("{head}Message-ID: <{n}@b.example>\r\nSubject: simple {n}\r\n\r\nIn plain words, number {n}.\r\n")
            .into_bytes()
    }));
    fill(&server, "INBOX", &mail);
    let folder = server.folder().join("offlineimap");
    std::fs::create_dir_all(&folder).unwrap();
    let settings = folder.join("offlineimaprc");
    let text = format!(
        "[general]\naccounts = a\nmetadata = {dir}/state\nui = basic\n\n[Account a]\nlocalrepository = l\nremoterepository = r\n\n\
         [Repository l]\ntype = Maildir\nlocalfolders = {dir}/mail\n\n[Repository r]\ntype = IMAP\nremotehost = 127.0.0.1\n\
         remoteport = {port}\nremoteuser = {ADA}\nremotepass = {PASSWORD}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN, LOGIN\n",
        dir = folder.display(),
        port = server.port("imap"),
    );
    std::fs::write(&settings, text).unwrap();
    let sync = || {
        let ran = run("offlineimap", ["-o".as_ref(), "-c".as_ref(), settings.as_os_str()]);
        assert!(
            !ran.text().contains("ERROR") && !ran.err.contains("ERROR"),
            "{}{}",
            ran.text(),
            ran.err
        );
    };
    sync();
    let inbox = folder.join("mail/INBOX");
    let mut wanted: Vec<_> = mail.iter().map(|message| lf(message)).collect();
    wanted.sort();
    let found: Vec<_> = maildir_messages(&inbox)
        .into_iter()
        .map(|(message, _)| message)
        .collect();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            found == wanted,
            "changed on the way down:\n{}\n--- was:\n{}",
            text(found),
            text(wanted)
        );
    }
    assert!(folder.join("mail/Drafts").is_dir() && folder.join("mail/Sent").is_dir());

    let files = maildir_files(&inbox);
    let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
    let (name, _) = name.rsplit_once(":2,").unwrap();
    std::fs::rename(&files[0], inbox.join("cur").join(format!("{name}:2,FRS"))).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    let new = made_up(4000);
    maildir_put(&inbox, "1600000000_0.1.e2e", &lf(&new), "S");
    sync();
    sync();
    let mut imap = server.imap(ADA);
    let there = imap.inbox(mail.len());
    assert!(
        there
            .iter()
            .any(|message| lf(message).ends_with(&lf(&new)[lf(&new).len() - 2000..])),
        "the new one is missing"
    );
    let flagged = imap.ok("SEARCH FLAGGED ANSWERED SEEN");
    assert_eq!(flagged[0].text.split_whitespace().count(), 3, "{flagged:?}");
    server.assert_sound();
}

#[test]
fn fetchmail_over_starttls() {
    if !installed(&["fetchmail"]) {
        return;
    }
    let server = Server::start();
    let mail = mail(40);
    fill(&server, "INBOX", &mail);
    fetchmail_collects(&server, "IMAP", "auth password", &mail);
    server.imap(ADA).wait_for_messages("INBOX", 0, Duration::from_secs(10));
    server.assert_sound();
}
