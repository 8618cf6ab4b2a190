//! Roundcube 1.6, as Debian has it, driven in a real browser: log in, list, read, search, move, send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use e2e::{ADA, BOB, PASSWORD, Roundcube, Server, corpus};

fn message(subject: &str, text: &str) -> Vec<u8> {
    format!(
        "From: Grace <grace@elsewhere.example>\r\nTo: Ada <{ADA}>\r\nSubject: {subject}\r\n\
         Date: Wed, 25 Nov 2026 02:00:00 +0000\r\nMessage-ID: <{}@elsewhere.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n",
        subject.bytes().map(u64::from).sum::<u64>()
    )
    .into_bytes()
}

#[test]
fn a_day_in_the_browser() {
    if !Roundcube::available() {
        return;
    }
    let server = Server::start();
    let mut ada = server.imap(ADA);
    let mut before = 0;
    // Real mail below what the test looks for: Roundcube has to list it without stumbling.
    for mail in corpus(30).unwrap_or_default() {
        assert!(ada.append("INBOX", r"\Seen", &mail).ok());
        before += 1;
    }
    for (subject, text) in [
        ("The pump house", "Steam at nine. Bring the key."),
        ("Capsules", "Twelve are missing since Monday."),
        (
            "=?utf-8?q?Gr=C3=BC=C3=9Fe?= from the tower",
            "Schöne Grüße aus dem Turm.",
        ),
    ] {
        assert!(ada.append("INBOX", "", &message(subject, text)).ok());
    }
    let roundcube = Roundcube::start(&server, None);
    roundcube.browse(
        "roundcube-mail.mjs",
        &[
            ("ACCOUNT", ADA),
            ("PASSWORD", PASSWORD),
            ("SUBJECTS", r#"["The pump house","Capsules","Grüße from the tower"]"#),
            ("READ", "Grüße from the tower"),
            ("TEXT", "Schöne Grüße aus dem Turm."),
            ("SEARCH", "pump house"),
            ("FOUND", r#"["The pump house"]"#),
            ("MOVE", "Capsules"),
            ("INTO", "Archive"),
            ("TO", BOB),
            ("SUBJECT", "Written in the browser"),
            ("BODY", "Über die Dächer\nto the river."),
        ],
    );
    // What it did is seen by others: read, moved, kept in Sent, and delivered.
    ada.ok("SELECT INBOX");
    let text = |lines: Vec<e2e::Line>| lines.iter().map(|line| line.text.clone()).collect::<String>();
    assert!(
        text(ada.ok("SEARCH SUBJECT Capsules UNDELETED"))
            .trim_end()
            .ends_with("SEARCH")
    );
    let seen = text(ada.ok("FETCH * (FLAGS)"));
    assert!(seen.contains(r"\Seen"), "{seen}");
    assert!(text(ada.ok("STATUS Archive (MESSAGES)")).contains("MESSAGES 1"));
    assert!(text(ada.ok("STATUS Sent (MESSAGES)")).contains("MESSAGES 1"));
    assert!(before == 0 || text(ada.ok("STATUS INBOX (MESSAGES)")).contains(&format!("MESSAGES {}", before + 2)));
    let mut bob = server.imap(BOB);
    let inbox = bob.inbox(1);
    let arrived = String::from_utf8_lossy(&inbox[0]).into_owned();
    assert!(arrived.contains("Subject: Written in the browser"), "{arrived}");
    assert!(arrived.contains("to the river."), "{arrived}");
    assert_eq!(roundcube.complaints(), "");
    drop(roundcube);
    server.assert_sound();
}
