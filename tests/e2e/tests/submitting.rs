//! An account that sends as if its password were stolen, as its owner and the administrator meet it; and mail that is to leave later.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{ADA, BOB, Server, Setup, Smtp, wait_for};
use std::time::Duration;

/// Ada's name and password, as PLAIN has them.
const ADA_PLAIN: &str = "AUTH PLAIN AGFkYUBlMmUudGVzdABjb3JyZWN0IGhvcnNl";

fn as_ada(server: &Server) -> Smtp {
    let mut smtp = Smtp::connect(server.port("submission"), "EHLO");
    smtp.expect(ADA_PLAIN, "235");
    smtp
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: {ADA}\r\nSubject: {subject}\r\n\r\nx\r\n").into_bytes()
}

fn account(server: &Server) -> serde_json::Value {
    let shown = server.admin(&["account", "show", ADA, "--json"]).text();
    serde_json::from_str(&shown).unwrap_or_else(|e| panic!("{e}: {shown}"))
}

#[test]
fn a_stolen_account_is_held_told_and_released() {
    let mut server = Server::start_with(Setup {
        top: "languages = \"de en\"".to_owned(),
        settings: "[submission]\naccount_messages = 2".to_owned(),
        ..Setup::default()
    });
    let mut smtp = as_ada(&server);
    for number in 0..5 {
        let answer = smtp.data(ADA, &[BOB], &message(&number.to_string()));
        assert!(answer.starts_with("250"), "{answer}");
    }
    let answer = smtp.data(ADA, &[BOB], &message("5"));
    assert!(answer.starts_with("450 4.7.28"), "{answer}");
    // Two have gone, the owner and the postmaster know.
    assert_eq!(server.imap(BOB).inbox(2).len(), 2);
    let alarm = String::from_utf8(server.imap(ADA).inbox(1).remove(0)).unwrap();
    assert!(alarm.contains("Vielleicht kennt jemand Ihr Passwort"), "{alarm}");
    assert!(alarm.contains("Somebody may know your password"), "{alarm}");
    // The postmaster has a password that nobody knows here; what was delivered to him is on record.
    wait_for("the postmaster to be told", Duration::from_secs(20), || {
        let traced = server.admin(&["trace", "--to", "postmaster@e2e.test"]).text();
        traced.contains("delivered").then_some(())
    });
    let shown = account(&server);
    assert_eq!(shown["state"], "held");
    assert!(
        shown["held"]
            .as_str()
            .unwrap()
            .contains("more than 2 messages within an hour"),
        "{shown}"
    );
    let queue = server.admin(&["queue", "list"]).text();
    assert_eq!(queue.matches("held").count(), 6, "{queue}");
    // It stays so, whatever happens to the server.
    server.kill();
    server.launch();
    assert_eq!(account(&server)["state"], "held");
    let released = server.admin(&["account", "release", ADA]);
    assert!(
        released.text().contains("3 recipients that waited"),
        "{}",
        released.text()
    );
    assert_eq!(server.imap(BOB).inbox(5).len(), 5);
    assert_eq!(account(&server)["state"], "enabled");
    assert!(
        server
            .admin(&["account", "release", ADA])
            .text()
            .contains("was not held")
    );
    // By hand, and thrown away.
    server.admin(&["account", "hold", ADA]);
    let answer = as_ada(&server).data(ADA, &[BOB], &message("6"));
    assert!(answer.starts_with("250"), "{answer}");
    let released = server.admin(&["account", "release", ADA, "--cancel"]).text();
    assert!(released.contains("1 recipient that waited: thrown away"), "{released}");
    assert!(server.admin(&["trace", "--fate", "cancelled"]).text().contains(BOB));
    server.assert_sound();
}

#[test]
fn a_message_leaves_when_its_time_has_come() {
    let server = Server::start();
    let mut smtp = as_ada(&server);
    for (parameter, subject) in [(" HOLDFOR=3600", "later"), (" HOLDFOR=2", "soon")] {
        smtp.envelope(ADA, &[BOB], parameter).unwrap();
        smtp.expect("DATA", "354");
        smtp.write(&message(subject));
        smtp.expect(".", "250");
    }
    let queue = server.admin(&["queue", "list", "--json"]).text();
    let queue: serde_json::Value = serde_json::from_str(&queue).unwrap();
    let due = |row: &serde_json::Value| row["due_at"].as_i64().unwrap() - row["received_at"].as_i64().unwrap();
    assert!((3_599..=3_601).contains(&due(&queue[0])), "{queue}");
    let inbox = server.imap(BOB).inbox(1);
    assert!(String::from_utf8_lossy(&inbox[0]).contains("Subject: soon"));
    assert_eq!(server.imap(BOB).inbox(1).len(), 1);
}
