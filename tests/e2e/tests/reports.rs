//! A domain that asks for it is told what was seen of mail in its name: the report enters custody, is signed and delivered, once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use e2e::{ADA, DOMAIN, NameServer, Server, Setup, Smtp, Zone, installed, python};

/// Takes the report out of a message and unpacks it.
const UNPACK: &str = r#"
import email, email.policy, gzip, sys
message = email.message_from_file(open(sys.argv[1], newline=''), policy=email.policy.default)
text, attachment = message.iter_parts()
assert attachment.get_filename().endswith('.xml.gz'), attachment.get_filename()
print(message['From'], message['To'], message['Auto-Submitted'])
print(gzip.decompress(attachment.get_content()).decode())
"#;

/// What was seen today was seen yesterday.
const YESTERDAY: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(database.execute('UPDATE dmarc_seen SET day = day - 1').rowcount)
database.commit()
"#;

#[test]
fn yesterday_is_reported_once() {
    if !NameServer::available() || !installed(&["python3"]) {
        return;
    }
    let zones = [
        Zone::unsigned("test", "ns A 127.0.0.1\n"),
        Zone::unsigned(
            "good.test",
            "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\n_dmarc TXT \"v=DMARC1; p=none; rua=mailto:ada@e2e.test\"\n",
        ),
        // It wants reports about others.
        Zone::unsigned("e2e.test", "good.test._report._dmarc TXT \"v=DMARC1\"\n"),
    ];
    let name_server = NameServer::start(&zones);
    let mut server = Server::start_with(Setup {
        settings: format!(
            "[dns]\nname_servers = \"{}\"\ndnssec = \"off\"\n[inspect]\ntrusted = []\ngreeting_delay = \"0s\"\ngreylist = false\n",
            name_server.address
        ),
        ..Setup::default()
    });
    for words in [["dkim", "rotate", DOMAIN], ["dkim", "activate", DOMAIN]] {
        assert!(server.admin(&words).success);
    }
    for _ in 0..3 {
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        let answer = smtp.data("ben@good.test", &["bob@e2e.test"], b"From: ben@good.test\r\n\r\nx\r\n");
        assert!(answer.starts_with("250"), "{answer}");
    }
    // A server that stops in good order writes down what it has seen.
    server.stop();
    let rows = python(YESTERDAY, &[server.data().join("server.db").to_str().unwrap()]);
    assert_eq!(rows.trim(), "1");
    server.launch();
    let report = server.imap(ADA).inbox(1).remove(0);
    let file = server.folder().join("report.eml");
    std::fs::write(&file, &report).unwrap();
    let text = String::from_utf8(report).unwrap();
    assert!(
        text.contains("\r\nDKIM-Signature: ") && text.contains("d=e2e.test"),
        "{text}"
    );
    assert!(text.starts_with("Return-Path: <>\r\n"), "{text}");
    let unpacked = python(UNPACK, &[file.to_str().unwrap()]);
    for wanted in [
        "postmaster@e2e.test",
        "auto-generated",
        "<domain>good.test</domain>",
        "<count>3</count>",
        "<spf>pass</spf>",
        "<source_ip>127.0.0.1</source_ip>",
    ] {
        assert!(unpacked.contains(wanted), "{wanted}: {unpacked}");
    }
    // Once told, it is forgotten.
    server.stop();
    server.launch();
    let traced = server.admin(&["trace", "--to", ADA]).text();
    assert_eq!(
        traced.lines().filter(|line| line.contains("delivered")).count(),
        1,
        "{traced}"
    );
}
