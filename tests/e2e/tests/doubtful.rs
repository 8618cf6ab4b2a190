//! The doubtful, with a real name server: who is asked to come back, who is known to be good, what a HELO name may be, and what a user's own
//! rules say about suspicious mail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use e2e::{ADA, BOB, NameServer, Server, Setup, Smtp, Zone, wait_for};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn zones() -> Vec<Zone> {
    vec![
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("arpa", "1.0.0.127.in-addr PTR mail.good.test.\n"),
        Zone::unsigned("good.test", "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\nmail A 127.0.0.1\n"),
        Zone::unsigned("vague.test", "@ TXT \"v=spf1 ~all\"\n"),
        Zone::unsigned("strict.test", "@ TXT \"v=spf1 -all\"\n"),
        Zone::unsigned("block.test", "1.0.0.127.all A 127.0.0.2\n"),
        Zone::unsigned("allow.test", "1.0.0.127.all A 127.0.0.5\n"),
    ]
}

fn start(name_server: &NameServer, more: &str) -> Server {
    Server::start_with(Setup {
        settings: format!(
            "[dns]\nname_servers = \"{}\"\ndnssec = \"off\"\n[inspect]\ntrusted = []\ngreeting_delay = \"0s\"\npatience = \"5s\"\n{more}",
            name_server.address
        ),
        ..Setup::default()
    })
}

fn send(server: &Server, hello: &str, from: &str, to: &str, subject: &str) -> String {
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    smtp.expect(&format!("EHLO {hello}"), "250");
    let message = format!("From: {from}\r\nSubject: {subject}\r\n\r\nx\r\n");
    smtp.data(from, &[to], message.as_bytes())
}

#[test]
fn only_the_doubtful_are_asked_to_come_back_and_only_once() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let server = start(&name_server, "greylist_wait = \"2s\"\n");
    let from = |from: &str, to: &str| send(&server, "client.example", from, to, from);
    // Whose name and sender are in order comes in at once.
    let taken = from("ben@good.test", ADA);
    assert!(taken.starts_with("250"), "{taken}");
    let asked = from("ben@vague.test", ADA);
    assert!(asked.starts_with("451 4.7.1 greylisted: come back in"), "{asked}");
    // Too early is too early; another mail is another mail.
    let asked = from("ben@vague.test", ADA);
    assert!(asked.starts_with("451 4.7.1"), "{asked}");
    let asked = from("ben@vague.test", BOB);
    assert!(asked.starts_with("451 4.7.1"), "{asked}");
    wait_for("the one that comes back to be taken", Duration::from_secs(30), || {
        let answer = from("ben@vague.test", ADA);
        assert!(answer.starts_with("250") || answer.starts_with("451 4.7.1"), "{answer}");
        answer.starts_with("250").then_some(())
    });
    // From now on its network is known, for everybody and everything.
    for (sender, to) in [("ben@vague.test", BOB), ("eve@vague.test", ADA)] {
        let taken = from(sender, to);
        assert!(taken.starts_with("250"), "{taken}");
    }
    assert_eq!(server.imap(ADA).inbox(3).len(), 3);
}

#[test]
fn a_hello_is_a_name_that_can_be_ones_own() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let server = start(&name_server, "greylist = false\n");
    let cases = [
        ("client.example", "250"),
        ("[127.0.0.1]", "250"),
        ("[IPv6:::1]", "250"),
        ("mail.e2e.test", "550 5.5.2 it calls itself by our name"),
        ("MAIL.E2E.TEST", "550 5.5.2"),
        ("127.0.0.1", "550 5.5.2 it calls itself by an address without brackets"),
        ("[127.0.0]", "550 5.5.2 it calls itself by an address that is none"),
        ("a..b", "550 5.5.2 it calls itself by what cannot be a name"),
    ];
    for (hello, expected) in cases {
        let answer = send(&server, hello, "ben@good.test", ADA, hello);
        assert!(answer.starts_with(expected), "{hello}: {answer}");
    }
    let lenient = start(&name_server, "greylist = false\nhelo = \"mark\"\n");
    let answer = send(&lenient, "mail.e2e.test", "ben@good.test", ADA, "x");
    assert!(answer.starts_with("250"), "{answer}");
    let id = answer.rsplit(' ').next().unwrap();
    let shown = lenient.admin(&["queue", "show", id]).text();
    assert!(shown.contains("it calls itself by our name"), "{shown}");
}

#[test]
fn who_is_known_to_be_good_is_not_asked_further() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let lists = "block_lists = \"all.block.test\"\n";
    let blocked = start(&name_server, lists);
    let answer = send(&blocked, "client.example", "ben@good.test", ADA, "x");
    assert!(answer.starts_with("550 5.7.1"), "{answer}");
    let allowed = start(&name_server, &format!("{lists}allow_lists = \"all.allow.test\"\n"));
    // Neither the block list nor the greylist counts; what the sender's own domain says does.
    for (from, expected) in [("ben@good.test", "250"), ("ben@vague.test", "250")] {
        let answer = send(&allowed, "client.example", from, ADA, from);
        assert!(answer.starts_with(expected), "{from}: {answer}");
    }
}

#[test]
fn what_is_suspicious_goes_to_junk_unless_ones_own_rules_know_better() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let server = start(&name_server, "greylist = false\nspf_fail = \"quarantine\"\n");
    let script = server.folder().join("main.sieve");
    let text = "require \"fileinto\"; if header :contains \"subject\" \"report\" { fileinto \"Archive\"; } \
                elsif header :contains \"subject\" \"rubbish\" { discard; }";
    std::fs::write(&script, text).unwrap();
    let file = script.to_str().unwrap();
    let put = server.admin(&["sieve", "put", "--account", ADA, "main", file, "--activate"]);
    assert!(put.success, "{}", put.err);
    for (to, subject) in [(ADA, "report"), (ADA, "rubbish"), (ADA, "else"), (BOB, "report")] {
        let answer = send(&server, "client.example", "eve@strict.test", to, subject);
        assert!(answer.starts_with("250"), "{answer}");
    }
    let wait = Duration::from_secs(30);
    let mut ada = server.imap(ADA);
    ada.wait_for_messages("Archive", 1, wait);
    // What her rules have no opinion about, and what Bob gets, who has none.
    ada.wait_for_messages("Junk", 1, wait);
    server.imap(BOB).wait_for_messages("Junk", 1, wait);
    ada.wait_for_messages("INBOX", 0, wait);
    assert!(server.admin(&["trace", "--fate", "discarded"]).text().contains(ADA));
}

#[test]
fn every_finding_has_the_action_that_is_set() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    // A wrong HELO name, SPF, and talking early; the address has a good name.
    for (action, helo, spf, early) in [
        ("off", "250", "250", "250"),
        ("mark", "250", "250", "250"),
        ("quarantine", "250", "250", "250"),
        ("defer", "451 4.5.2", "451 4.7.23", "421 4.7.0"),
        ("refuse", "550 5.5.2", "550 5.7.23", "554 5.5.1"),
    ] {
        let settings =
            format!("greylist = false\nhelo = \"{action}\"\nspf_fail = \"{action}\"\nearly_talker = \"{action}\"\n");
        let server = Server::start_with(Setup {
            settings: format!(
                "[dns]\nname_servers = \"{}\"\ndnssec = \"off\"\n[inspect]\ntrusted = []\ngreeting_delay = \"200ms\"\n{settings}",
                name_server.address
            ),
            ..Setup::default()
        });
        let answer = send(&server, "127.0.0.1", "ben@good.test", ADA, "helo");
        assert!(answer.starts_with(helo), "{action}: {answer}");
        let answer = send(&server, "client.example", "ben@strict.test", ADA, "spf");
        assert!(answer.starts_with(spf), "{action}: {answer}");
        let answer = talk_early(&server);
        assert!(answer.starts_with(early), "{action}: {answer}");
        let (inbox, junk) = match action {
            "off" | "mark" => (3, 0),
            "quarantine" => (0, 3),
            _ => (0, 0),
        };
        let mut imap = server.imap(ADA);
        if action == "mark" {
            let mail = imap.inbox(3);
            assert!(
                mail.iter()
                    .any(|m| String::from_utf8_lossy(m).contains("x-early-talker=fail policy.client=127.0.0.1"))
            );
        }
        if junk > 0 {
            imap.wait_for_messages("Junk", junk, Duration::from_secs(30));
        }
        imap.wait_for_messages("INBOX", inbox, Duration::from_secs(30));
    }
    // An address without a name.
    let nameless = NameServer::start(&[
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned("arpa", "1.0.0.127.in-addr PTR mail.other.test.\n"),
        Zone::unsigned("other.test", "mail A 192.0.2.1\n"),
        Zone::unsigned("good.test", "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\n"),
    ]);
    for (action, expected) in [("mark", "250"), ("defer", "451 4.7.25"), ("refuse", "550 5.7.25")] {
        let server = start(&nameless, &format!("greylist = false\nreverse = \"{action}\"\n"));
        let answer = send(&server, "client.example", "ben@good.test", ADA, "reverse");
        assert!(answer.starts_with(expected), "{action}: {answer}");
        if action == "mark" {
            let mail = server.imap(ADA).inbox(1);
            assert!(String::from_utf8_lossy(&mail[0]).contains("iprev=fail policy.iprev=127.0.0.1"));
        }
    }
}

/// A message of somebody who begins before being greeted: what becomes of it.
fn talk_early(server: &Server) -> String {
    let mut early = TcpStream::connect(("127.0.0.1", server.port("smtp"))).unwrap();
    early.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    early.write_all(b"EHLO client.example\r\n").unwrap();
    let mut told = String::new();
    let mut buffer = [0; 1000];
    let mut wait = |early: &mut TcpStream, sign: &str| {
        while !told.contains(sign) {
            match early.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(count) => told.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        }
        true
    };
    let commands = format!("MAIL FROM:<ben@good.test>\r\nRCPT TO:<{ADA}>\r\nDATA\r\n");
    if wait(&mut early, "\r\n250 ") && early.write_all(commands.as_bytes()).is_ok() && wait(&mut early, "\r\n354 ") {
        early
            .write_all(b"From: ben@good.test\r\nSubject: early\r\n\r\nx\r\n.\r\n")
            .unwrap();
        wait(&mut early, " accepted as");
    }
    told.trim_end().rsplit("\r\n").next().unwrap_or_default().to_owned()
}

#[test]
fn who_sends_too_much_is_deferred_and_who_is_trusted_is_not_looked_at() {
    if !NameServer::available() {
        return;
    }
    let name_server = NameServer::start(&zones());
    let server = start(&name_server, "greylist = false\nsender_rate = 2\nnetwork_rate = 4\n");
    for (from, expected) in [
        ("ben@good.test", "250"),
        ("ben@good.test", "250"),
        ("ben@good.test", "451 4.7.1 too much mail within an hour"),
        ("eve@good.test", "250"),
        // All of its network, whoever it says it is.
        ("joe@good.test", "451 4.7.1 too much mail within an hour"),
    ] {
        let answer = send(&server, "client.example", from, ADA, from);
        assert!(answer.starts_with(expected), "{from}: {answer}");
    }
    let trusting = Server::start_with(Setup {
        settings: format!(
            "[dns]\nname_servers = \"{}\"\ndnssec = \"off\"\n[inspect]\ntrusted = [\"127.0.0.0/8\"]\nspf_fail = \"refuse\"\nsender_rate = 1\n\
             block_lists = \"all.block.test\"\n",
            name_server.address
        ),
        ..Setup::default()
    });
    for subject in ["first", "second"] {
        let answer = send(&trusting, "mail.e2e.test", "eve@strict.test", ADA, subject);
        assert!(answer.starts_with("250"), "{answer}");
    }
    for message in trusting.imap(ADA).inbox(2) {
        assert!(!String::from_utf8_lossy(&message).contains("Authentication-Results"));
    }
}
