//! What people send is made complete and signed; the keys are made and changed on the command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

#[path = "../../../crates/authentication/tests/common/mod.rs"]
mod common;

use authentication::dkim::verify;
use authentication::results::Verdict;
use authentication::{Heard, Limits};
use common::{Zone, now};
use e2e::{ADA, BOB, DOMAIN, Server, Smtp};
use std::os::unix::fs::PermissionsExt as _;

/// The records that `dkim show` prints.
fn zone(text: &str) -> Zone {
    let mut zone = Zone::default();
    for line in text.lines() {
        if let Some((name, value)) = line.trim().split_once(". TXT ") {
            let value: String = value.split('"').filter(|piece| !piece.trim().is_empty()).collect();
            zone = zone.with(name, "TXT", &value);
        }
    }
    zone
}

#[test]
fn what_people_send_is_complete_and_signed() {
    let server = Server::start();
    assert!(server.admin(&["dkim", "list"]).text().contains("no keys"));
    let made = server.admin(&["dkim", "rotate", DOMAIN]).text();
    assert!(made.contains("waits for its record"), "{made}");
    let active = server.admin(&["dkim", "activate", DOMAIN]).text();
    assert_eq!(active.matches("  signs\n").count(), 2, "{active}");
    for file in std::fs::read_dir(server.data().join("dkim").join(DOMAIN)).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let send = |from: &str, header: &str, size: usize, expected: &str| {
        let mut smtp = Smtp::connect(server.port("submission"), "EHLO");
        // Ada's name and password, as PLAIN has them.
        smtp.expect("AUTH PLAIN AGFkYUBlMmUudGVzdABjb3JyZWN0IGhvcnNl", "235");
        let body = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(size / 64);
        let message = format!("From: {from}\r\n{header}Subject: x\r\n\r\n{body} \r\n\r\n");
        let answer = smtp.data(ADA, &[BOB], message.as_bytes());
        assert!(answer.starts_with(expected), "{answer}");
    };
    send(ADA, "Bcc: secret@far.test\r\n", 64, "250");
    send(
        ADA,
        "Date: Thu, 21 May 2026 05:33:29 -0700\r\nMessage-ID: <mine@e2e.test>\r\n",
        1 << 20,
        "250",
    );
    // Nobody sends, and nobody vouches, under somebody else's name; a name that was given is vouched for.
    send(BOB, "", 64, "550 5.7.1 From names bob@e2e.test");
    server.admin(&["account", "sender", "add", ADA, BOB]);
    send(BOB, "", 64, "250");

    let zone = zone(&active);
    let limits = Limits::default();
    let mut seen = Vec::new();
    for message in server.imap(BOB).inbox(3) {
        // What delivery puts on top is not signed.
        let text = String::from_utf8(message.clone()).unwrap();
        assert!(!text.contains("secret@"), "Bcc is left");
        assert_eq!(text.matches("\r\nDate: ").count(), 1);
        assert_eq!(text.matches("\r\nMessage-ID: <").count(), 1);
        let verdicts = now(verify(&zone, &Heard::whole(&message, &limits), &limits, 4_000_000_000));
        let good = verdicts
            .iter()
            .filter(|found| found.verdict == Verdict::Pass && found.whole && found.domain == DOMAIN);
        seen.push((text.contains("From: bob@"), verdicts.len(), good.count()));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(false, 2, 2), (false, 2, 2), (true, 2, 2)]);
    let again = server.admin(&["dkim", "rotate", DOMAIN]).text();
    assert_eq!(again.matches("waits for its record").count(), 2, "{again}");
    let changed = server.admin(&["dkim", "activate", DOMAIN]).text();
    assert_eq!(changed.matches("  signs no more\n").count(), 2, "{changed}");
}
