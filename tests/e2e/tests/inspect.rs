//! Mail from outside, with a real name server: what is refused, what goes to Junk, and what is written into what comes in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use e2e::{ADA, NameServer, Server, Setup, Smtp, Zone};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn settings(name_server: &NameServer, more: &str) -> String {
    format!(
        "[dns]\nname_servers = \"{}\"\ndnssec = \"off\"\n[inspect]\ntrusted = []\ngreeting_delay = \"200ms\"\ngreylist = false\npatience = \"3s\"\n{more}",
        name_server.address
    )
}

fn zones() -> Vec<Zone> {
    let txt = |spf: &str, policy: &str| format!("@ TXT \"{spf}\"\n_dmarc TXT \"v=DMARC1; p={policy}\"\n");
    vec![
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("good.test", &txt("v=spf1 ip4:127.0.0.1 -all", "reject")),
        Zone::unsigned("strict.test", &txt("v=spf1 -all", "reject")),
        Zone::unsigned("wary.test", &txt("v=spf1 ~all", "quarantine")),
        Zone::unsigned("block.test", "1.0.0.127.all A 127.0.0.2\n"),
    ]
}

#[test]
fn forged_mail_is_refused_or_goes_to_junk_and_the_rest_is_told_of() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let server = Server::start_with(Setup {
        settings: settings(&name_server, ""),
        ..Setup::default()
    });
    let send = |from: &str, extra: &str, size: usize| {
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        let body = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(size / 64);
        let message = format!("{extra}From: {from}\r\nSubject: from {from} {size}\r\n\r\n{body}");
        smtp.data(from, &[ADA], message.as_bytes())
    };
    let refused = send("eve@strict.test", "", 64);
    assert!(refused.starts_with("550 5.7.26"), "{refused}");
    let forged = "Authentication-Results: mail.e2e.test; dkim=pass header.d=bank.test\r\n\
                  Authentication-Results: other.test; spf=none\r\n";
    for size in [64, 1 << 20] {
        let taken = send("ben@good.test", forged, size);
        assert!(taken.starts_with("250"), "{taken}");
    }
    let taken = send("eve@wary.test", "", 64);
    assert!(taken.starts_with("250"), "{taken}");

    let mut imap = server.imap(ADA);
    let mut sizes = Vec::new();
    for message in imap.inbox(2) {
        let message = String::from_utf8(message).unwrap();
        assert!(message.contains("\r\nAuthentication-Results: mail.e2e.test;\r\n"));
        assert!(message.contains("spf=pass") && message.contains("dmarc=pass (p=reject) header.from=good.test"));
        assert!(!message.contains("bank.test"), "a forged field is left");
        assert!(message.contains("other.test; spf=none"));
        sizes.push(message.matches("cdef0123456789abcd\r\n").count());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1 << 14], "bodies are whole");
    imap.wait_for_messages("Junk", 1, Duration::from_secs(30));
}

#[test]
fn who_is_listed_or_speaks_early_does_not_come_in_and_silence_of_the_dns_defers() {
    if !NameServer::available() {
        return;
    }
    let mut name_server = NameServer::start(&zones());
    let listed = Server::start_with(Setup {
        settings: settings(&name_server, "block_lists = \"all.block.test\"\n"),
        ..Setup::default()
    });
    let mut smtp = Smtp::connect(listed.port("smtp"), "EHLO");
    let refused = smtp.data("ben@good.test", &[ADA], b"From: ben@good.test\r\n\r\nx\r\n");
    assert!(
        refused.starts_with("550 5.7.1") && refused.contains("all.block.test"),
        "{refused}"
    );

    let mut early = TcpStream::connect(("127.0.0.1", listed.port("smtp"))).unwrap();
    early.write_all(b"EHLO early.test\r\n").unwrap();
    early.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut told = String::new();
    early.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("554 5.5.1") && !told.contains("220"), "{told}");

    let unlisted = Server::start_with(Setup {
        settings: settings(&name_server, ""),
        ..Setup::default()
    });
    name_server.stop();
    let mut smtp = Smtp::connect(unlisted.port("smtp"), "EHLO");
    let deferred = smtp.data("ben@unknown.test", &[ADA], b"From: ben@unknown.test\r\n\r\nx\r\n");
    assert!(deferred.starts_with("451 4.7.24"), "{deferred}");
}
