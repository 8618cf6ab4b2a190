//! The doubtful, with a real name server: who is asked to come back, who is known to be good, what a HELO name may be, and what a user's own
//! rules say about suspicious mail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use e2e::{ADA, BOB, NameServer, Server, Setup, Smtp, Zone, wait_for};
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
