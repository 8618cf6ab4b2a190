//! InterIMAP keeps two accounts the same, both ways: QRESYNC, LITERAL+ and COMPRESS as a program uses them that trusts them blindly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, BOB, PASSWORD, Server, corpus, installed, made_up, run_unchecked};

/// Both accounts' settings; the folder is all that InterIMAP sees of a home.
fn set_up(server: &Server) -> std::path::PathBuf {
    let home = server.folder().join("home");
    std::fs::create_dir_all(home.join("config/interimap")).unwrap();
    std::fs::create_dir_all(home.join("data/interimap")).unwrap();
    let port = server.port("imap");
    let side = |name: &str, user: &str| {
        format!(
            "[{name}]\ntype = imap\nhost = 127.0.0.1\nport = {port}\nSTARTTLS = NO\nauth = PLAIN\n\
             username = {user}\npassword = {PASSWORD}\ncompress = YES\n\n"
        )
    };
    let text = format!("database = both.db\n\n{}{}", side("local", ADA), side("remote", BOB));
    std::fs::write(home.join("config/interimap/config"), text).unwrap();
    home
}

fn sync(home: &std::path::Path) -> String {
    let set = |name: &str, to: &str| format!("{name}={}", home.join(to).display());
    let arguments = [
        set("HOME", ""),
        set("XDG_CONFIG_HOME", "config"),
        set("XDG_DATA_HOME", "data"),
        "interimap".to_owned(),
    ];
    let ran = run_unchecked("env", arguments, None);
    assert!(ran.success, "interimap failed\n{}{}", ran.text(), ran.err);
    ran.text() + &ran.err
}

/// What a mailbox holds: flags and octets, in any order.
fn contents(server: &Server, user: &str, mailbox: &str) -> Vec<(String, Vec<u8>)> {
    let mut imap = server.imap(user);
    imap.ok(&format!("EXAMINE {mailbox}"));
    let lines = imap.ok("FETCH 1:* (FLAGS BODY.PEEK[])");
    let mut all: Vec<_> = lines
        .into_iter()
        .filter(|line| !line.literals.is_empty())
        .map(|mut line| {
            let flags = line.text.split_once("FLAGS (").unwrap().1.split_once(')').unwrap().0;
            let mut flags: Vec<_> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
            flags.sort_unstable();
            (flags.join(" "), line.literals.remove(0))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn interimap_keeps_two_accounts_the_same() {
    if !installed(&["interimap"]) {
        return;
    }
    let server = Server::start();
    let mail = corpus(60).unwrap_or_else(|| (0..60).map(|index| made_up(1000 + index)).collect());
    let (mut ada, mut bob) = (server.imap(ADA), server.imap(BOB));
    ada.ok("CREATE \"Entw&APw-rfe\"");
    ada.ok("SUBSCRIBE \"Entw&APw-rfe\"");
    for (index, message) in mail.iter().enumerate() {
        let (imap, mailbox) = match index % 3 {
            0 => (&mut ada, "INBOX"),
            1 => (&mut bob, "INBOX"),
            _ => (&mut ada, "\"Entw&APw-rfe\""),
        };
        let flags = ["", "\\Seen", "\\Flagged $Work"][index % 3];
        assert!(imap.append(mailbox, flags, message).ok());
    }
    let home = set_up(&server);
    sync(&home);
    let same = |mailbox: &str| {
        let here = contents(&server, ADA, mailbox);
        assert!(here == contents(&server, BOB, mailbox), "{mailbox} differs");
        here.len()
    };
    assert_eq!(same("INBOX"), 40);
    assert_eq!(same("\"Entw&APw-rfe\""), 20);
    // Flags, mail that is gone, mail that is new, on both sides at once.
    ada.ok("SELECT INBOX");
    ada.ok("STORE 1:5 +FLAGS (\\Answered $Later)");
    ada.ok("STORE 10:12 +FLAGS.SILENT (\\Deleted)");
    ada.ok("EXPUNGE");
    bob.ok("SELECT INBOX");
    bob.ok("STORE 2:* -FLAGS.SILENT (\\Flagged)");
    bob.ok("MOVE 1 Trash");
    assert!(bob.append("INBOX", "\\Draft", &made_up(7)).ok());
    sync(&home);
    assert_eq!(same("INBOX"), 37);
    assert_eq!(same("Trash"), 1);
    let quiet = sync(&home);
    assert!(!quiet.contains("Added") && !quiet.contains("Removed"), "{quiet}");
    server.assert_sound();
}
