//! Mail from outside, with a real name server: what is refused, what goes to Junk, and what is written into what comes in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use authentication::results::{Results, Verdict};
use authentication::{Heard, Limits, SigningKey, arc};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use e2e::{ADA, NameServer, Server, Setup, Smtp, Zone};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
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

/// A name server that hands questions on to another one, except those about these names: it never answers them. For as long as the test runs.
fn deaf_to(names: &[&str], other: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let deaf: Vec<Vec<u8>> = names
        .iter()
        .map(|name| {
            let labels = name.split('.');
            labels
                .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
                .chain([0])
                .collect()
        })
        .collect();
    std::thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            let asked = question[12..length].to_ascii_lowercase();
            if deaf.iter().any(|name| asked.starts_with(name)) {
                continue;
            }
            let (question, socket) = (question[..length].to_vec(), socket.try_clone().unwrap());
            std::thread::spawn(move || {
                let up = UdpSocket::bind("127.0.0.1:0").unwrap();
                up.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut answer = [0; 4096];
                up.send_to(&question, other).unwrap();
                if let Ok(length) = up.recv(&mut answer) {
                    drop(socket.send_to(&answer[..length], client));
                }
            });
        }
    });
    address
}

#[test]
fn a_name_server_that_hangs_defers_whatever_it_is_asked_for() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&[
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("arpa", "1.0.0.127.in-addr PTR mail.good.test.\n"),
        Zone::unsigned("good.test", "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\nmail A 127.0.0.1\n"),
        Zone::unsigned("spf.test", "@ TXT \"v=spf1 include:slow.spf.test -all\"\n"),
        Zone::unsigned("policy.test", "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\n"),
        Zone::unsigned("key.test", "@ TXT \"v=spf1 ?all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n"),
    ]);
    let slow = [
        "slow.spf.test",
        "_dmarc.policy.test",
        "k._domainkey.key.test",
        "1.0.0.127.list.test",
    ];
    let start = |slow: &[&str], more: &str| {
        Server::start_with(Setup {
            settings: format!(
                "[dns]\nname_servers = \"{}\"\ndnssec = \"off\"\n[inspect]\ntrusted = []\ngreeting_delay = \"0s\"\ngreylist = false\n\
                 patience = \"1s\"\n{more}",
                deaf_to(slow, name_server.address)
            ),
            ..Setup::default()
        })
    };
    // The hash is that of no body at all.
    let signature = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=key.test; s=k; h=from;\r\n\
                     \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n";
    let send = |server: &Server, from: &str, top: &str| {
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        smtp.data(
            from,
            &[ADA],
            format!("{top}From: {from}\r\nSubject: {from}\r\n\r\n").as_bytes(),
        )
    };
    let server = start(&slow, "");
    for (from, top, expected) in [
        ("ben@good.test", "", "250"),
        ("ben@spf.test", "", "451 4.7.24 SPF"),
        ("ben@policy.test", "", "451 4.7.24"),
        ("ben@key.test", signature, "451 4.7.24"),
    ] {
        let answer = send(&server, from, top);
        assert!(answer.starts_with(expected), "{from}: {answer}");
    }
    // A list, and the name of the address, where it is their business whether mail comes in.
    for (slow, setting, otherwise) in [
        (
            "1.0.0.127.list.test",
            "block_lists = \"list.test\"\nblock_list = \"refuse\"\n",
            "block_lists = \"list.test\"\nblock_list = \"mark\"\n",
        ),
        (
            "1.0.0.127.in-addr.arpa",
            "reverse = \"refuse\"\n",
            "reverse = \"mark\"\n",
        ),
    ] {
        let answer = send(&start(&[slow], setting), "ben@good.test", "");
        assert!(answer.starts_with("451 4.7.24"), "{setting}: {answer}");
        let answer = send(&start(&[slow], otherwise), "ben@good.test", "");
        assert!(answer.starts_with("250"), "{otherwise}: {answer}");
    }
}

#[test]
fn mail_whose_author_cannot_be_told_does_not_get_past_the_policies() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let server = Server::start_with(Setup {
        settings: settings(&name_server, "helo = \"mark\"\n"),
        ..Setup::default()
    });
    let send = |header: &str| {
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        smtp.expect("EHLO 127.0.0.1", "250");
        smtp.data(
            "ben@good.test",
            &[ADA],
            format!("{header}Subject: x\r\n\r\nx\r\n").as_bytes(),
        )
    };
    for (header, expected) in [
        ("From: ben@good.test\r\nFrom: eve@strict.test\r\n", "550 5.7.1"),
        (
            "From: a@a.test, b@b.test, c@c.test, d@d.test, e@strict.test\r\n",
            "550 5.7.1",
        ),
        // Of several authors the one with the strictest policy counts.
        ("From: ben@good.test, eve@strict.test\r\n", "550 5.7.26"),
        ("From: ben@good.test\r\n", "250"),
        ("", "250"),
        ("From: nobody\r\n", "250"),
    ] {
        let answer = send(header);
        assert!(answer.starts_with(expected), "{header:?}: {answer}");
    }
    let mut imap = server.imap(ADA);
    imap.wait_for_messages("Junk", 2, Duration::from_secs(30));
    let message = String::from_utf8(imap.inbox(1).remove(0)).unwrap();
    assert!(message.contains("x-helo=fail smtp.helo=127.0.0.1"), "{message}");
}

#[test]
fn a_sealer_that_is_believed_vouches_for_what_a_list_has_changed() {
    if !NameServer::available() {
        return;
    }
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = SigningKey::from_pkcs8(der.as_ref()).unwrap();
    let mut zones = zones();
    for name in ["list.test", "other.test"] {
        zones.push(Zone::unsigned(
            name,
            &format!(
                "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\nk._domainkey TXT \"{}\"\n",
                key.record().unwrap()
            ),
        ));
    }
    let name_server = NameServer::start(&zones);
    let server = Server::start_with(Setup {
        settings: settings(&name_server, "sealers = \"list.test\"\n"),
        ..Setup::default()
    });
    // What an author of a domain with `reject` had sent, as a list sends it on: sealed by `domain`, who had found this of it.
    let send = |domain: &str, found: &str, changed: &str| {
        let text = "From: eve@strict.test\r\nSubject: [list] x\r\n\r\nhello\r\n_____\r\nthe list\r\n";
        let limits = Limits::default();
        let heard = Heard::whole(text.as_bytes(), &limits);
        let sealer = arc::Sealer {
            domain,
            selector: "k",
            key: &key,
            time: 1_690_000_000,
        };
        let chain = arc::Chain::remembered(heard.header(), Verdict::None, &limits);
        let results = Results::new(domain).text().replace("none", found);
        let set = arc::seal(&heard, &results, &chain, &sealer, &limits, &SystemRandom::new());
        let message = format!(
            "{}{}",
            String::from_utf8(set.unwrap().unwrap()).unwrap(),
            text.replace("hello", changed)
        );
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        smtp.data(&format!("bounces@{domain}"), &[ADA], message.as_bytes())
    };
    for (domain, found, changed, expected) in [
        ("list.test", "dmarc=pass header.from=strict.test", "hello", "250"),
        // The list itself had found it forged; somebody changed it after the list; somebody whom nobody believes says so.
        ("list.test", "dmarc=fail header.from=strict.test", "hello", "550 5.7.26"),
        ("list.test", "dmarc=pass header.from=strict.test", "hullo", "550 5.7.26"),
        (
            "other.test",
            "dmarc=pass header.from=strict.test",
            "hello",
            "550 5.7.26",
        ),
    ] {
        let answer = send(domain, found, changed);
        assert!(answer.starts_with(expected), "{domain}, {found}, {changed}: {answer}");
    }
    let message = String::from_utf8(server.imap(ADA).inbox(1).remove(0)).unwrap();
    assert!(
        message.contains("arc=pass") && message.contains("arc.sealer=list.test"),
        "{message}"
    );
    assert!(message.contains("dmarc=fail (p=reject)"), "{message}");
}
