//! The whole server sends mail out: to a real Postfix that is found by a signed zone, and that sends it back; to hosts that refuse; by routes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::{
    ADA, Act, BOB, Identity, Manners, NameServer, PASSWORD, Postfix, Remotes, Server, Setup, Smtp, Zone, free_port,
    made_up, wait_for,
};
use std::time::Duration;

/// Settings that make a server ask this name server, and send to this port of this machine.
fn outgoing(server: &NameServer, port: u16, more: &str) -> String {
    format!(
        "[dns]\nname_servers = \"{}\"\ndnssec = \"on\"\ntrust_anchor = \"{}\"\n[outgoing]\nport = {port}\nloopback = true\nmta_sts = false\n{more}\n",
        server.address,
        server.anchor().display()
    )
}

/// Submits a message as Ada; `parameters` go with MAIL, `each` with RCPT.
fn submit(server: &Server, to: &[&str], parameters: &str, each: &str, message: &[u8]) {
    let mut smtp = Smtp::connect(server.port("submission"), "EHLO");
    let login = BASE64.encode(format!("\0{ADA}\0{PASSWORD}"));
    smtp.expect(&format!("AUTH PLAIN {login}"), "235");
    smtp.expect(&format!("MAIL FROM:<{ADA}>{parameters}"), "250");
    for recipient in to {
        smtp.expect(&format!("RCPT TO:<{recipient}>{each}"), "250");
    }
    smtp.expect("DATA", "354");
    smtp.write(message);
    let reply = smtp.command(".");
    assert!(reply.starts_with("250"), "{reply}");
}

fn letter(subject: &str) -> Vec<u8> {
    format!("From: {ADA}\r\nTo: somebody\r\nSubject: {subject}\r\n\r\nhello\r\n").into_bytes()
}

/// All that Ada has got.
fn mail_of_ada(server: &Server) -> String {
    let mut imap = server.imap(ADA);
    let status = imap.ok("STATUS INBOX (MESSAGES)");
    if status.iter().any(|line| line.text.contains("(MESSAGES 0)")) {
        return String::new();
    }
    imap.ok("SELECT INBOX");
    imap.messages("1:*")
        .iter()
        .map(|m| String::from_utf8_lossy(m).into_owned())
        .collect()
}

#[test]
fn to_postfix_and_back() {
    if !Postfix::possible() || !NameServer::available() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("rohrpost-e2e-").tempdir().unwrap();
    let identity = Identity::new(&["mx.out.test"], false);
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, identity.certificate_pem()).unwrap();
    std::fs::write(&key, identity.key_pem()).unwrap();
    // Postfix must know where we listen, and we where it does.
    let mut postfix_settings = format!(
        "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtpd_tls_loglevel = 1\n\
         smtpd_recipient_restrictions = permit_mynetworks, reject\nvirtual_alias_domains = out.test\n\
         virtual_alias_maps = static:{BOB}\nsmtp_tls_security_level = encrypt\n",
        certificate.display(),
        key.display()
    );
    let zones = |port: u16| {
        vec![
            Zone::signed("test", "ns A 127.0.0.1\n"),
            Zone::signed(
                "out.test",
                &format!(
                    "@ MX 10 mx\nmx A 127.0.0.1\n_{port}._tcp.mx TLSA {}\nwrong MX 10 mx.wrong\nmx.wrong A 127.0.0.1\n\
                     _{port}._tcp.mx.wrong TLSA 3 1 1 {}\n",
                    identity.tlsa(),
                    "0".repeat(64)
                ),
            ),
        ]
    };
    // Our own port for other servers is known once we run: so first a server, then Postfix, then the settings.
    let mut server = Server::start();
    postfix_settings.push_str(&format!("relayhost = [127.0.0.1]:{}\n", server.port("smtp")));
    let postfix = Postfix::start(folder.path(), &postfix_settings);
    let names = NameServer::start(&zones(postfix.port));
    server.restart_with(&outgoing(&names, postfix.port, ""));

    submit(&server, &["somebody@out.test"], "", "", &letter("there and back"));
    let text = String::from_utf8_lossy(&server.imap(BOB).inbox(1)[0]).into_owned();
    assert!(
        text.contains("Subject: there and back") && text.contains("out.example"),
        "{text}"
    );
    let log = postfix.log();
    assert!(log.contains("TLS connection established from"), "no TLS:\n{log}");
    let trace = server.admin(&["trace", "--to", "somebody@out.test", "--json"]).text();
    assert!(trace.contains("dane, verified"), "{trace}");

    // 8-bit and UTF-8, in header and address.
    let message = "From: ada@e2e.test\r\nSubject: Grüße\r\n\r\nschöne\r\n.\r\n..\r\n";
    submit(
        &server,
        &["jürgen@out.test"],
        " BODY=8BITMIME SMTPUTF8",
        "",
        message.replace("\r\n.", "\r\n..").as_bytes(),
    );
    let inbox = server.imap(BOB).inbox(2);
    let found = inbox
        .iter()
        .map(|m| String::from_utf8_lossy(m))
        .find(|m| m.contains("Grüße"))
        .expect("it came");
    assert!(found.ends_with("schöne\r\n.\r\n..\r\n"), "{found}");

    // A large one, and one with parameters of RFC 3461, which Postfix passes on.
    let large = made_up(1_500_000);
    submit(
        &server,
        &["somebody@out.test"],
        " RET=HDRS ENVID=x7",
        " NOTIFY=FAILURE ORCPT=rfc822;somebody@out.test",
        &e2e_dots(&large),
    );
    assert_eq!(server.imap(BOB).inbox(3).len(), 3);

    // A certificate that is not the one: nothing goes there, and the queue says why.
    submit(&server, &["somebody@wrong.out.test"], "", "", &letter("nowhere"));
    wait_for("an attempt", Duration::from_secs(30), || {
        let queue = server
            .admin(&["trace", "--to", "somebody@wrong.out.test", "--json"])
            .text();
        queue
            .contains("the certificate is not the one that the TLSA records name")
            .then_some(())
    });
    assert!(!postfix.log().contains("wrong.out.test"));
    server.assert_sound();
}

/// With dots doubled and without the last line's end, which goes with the dot.
fn e2e_dots(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(message.len() + 100);
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[test]
fn senders_learn_what_becomes_of_it() {
    if !NameServer::available() {
        return;
    }
    let good = || Manners::good(&["PIPELINING", "8BITMIME", "CHUNKING"]);
    let remotes = Remotes::start(vec![
        (1, good()),
        (
            2,
            good()
                .but("RCPT full@", Act::Say("452 4.2.2 full for now"))
                .but("RCPT nobody@", Act::Say("550 5.1.1 no such person")),
        ),
        (3, good().but("end", Act::Say("554 5.6.0 not this"))),
    ]);
    let names = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed(
            "else.test",
            "good MX 10 mx.good\nmx.good A 127.0.0.1\nmixed MX 10 mx.mixed\nmx.mixed A 127.0.0.2\nstrict MX 10 mx.strict\nmx.strict A 127.0.0.3\n\
             null MX 0 .\n",
        ),
    ]);
    let server = Server::start_with(Setup {
        settings: outgoing(&names, remotes.port, "retry_first = \"1 h\""),
        ..Setup::default()
    });
    submit(
        &server,
        &[
            "a@good.else.test",
            "b@good.else.test",
            "full@mixed.else.test",
            "nobody@mixed.else.test",
            "ok@mixed.else.test",
        ],
        "",
        "",
        &letter("to many"),
    );
    submit(&server, &["a@strict.else.test"], "", "", &letter("refused"));
    submit(
        &server,
        &["a@null.else.test", "a@gone.else.test"],
        "",
        "",
        &letter("nowhere"),
    );
    // Four fail, with a notice for each message or each destination.
    let wanted = [
        "nobody@mixed.else.test",
        "a@strict.else.test",
        "a@null.else.test",
        "a@gone.else.test",
    ];
    let all = wait_for("notices", Duration::from_secs(60), || {
        let all = mail_of_ada(&server);
        wanted.iter().all(|address| all.contains(address)).then_some(all)
    });
    for said in ["no such person", "not this", "null MX", "does not exist"] {
        assert!(all.contains(said), "{said} is not in\n{all}");
    }
    assert!(!all.contains("full for now"), "what may still come is not reported");
    let got = remotes.take();
    let to = |host: u8| -> Vec<&String> {
        got.iter()
            .filter(|g| g.host == host)
            .flat_map(|g| &g.recipients)
            .collect()
    };
    assert_eq!(to(1).len(), 2, "{got:?}");
    assert_eq!(
        got.iter().filter(|g| g.host == 1).count(),
        1,
        "both in one transaction: {got:?}"
    );
    assert_eq!(to(2), ["<ok@mixed.else.test>"]);
    // The one that waits is tried again when somebody says so.
    let queue = server.admin(&["queue", "list", "--json"]).text();
    assert!(
        queue.contains("full@mixed.else.test") && queue.contains("full for now"),
        "{queue}"
    );
    server.assert_sound();
}

#[test]
fn by_routes() {
    if !NameServer::available() {
        return;
    }
    let remotes = Remotes::start(vec![(1, Manners::good(&["PIPELINING", "8BITMIME"]))]);
    let names = NameServer::start(&[Zone::signed("test", "ns A 127.0.0.1\nmail.e2e A 127.0.0.1\n")]);
    // A provider of ours: another Rohrpost, with logins and a certificate that we know.
    let provider = Server::start_with(Setup {
        settings: outgoing(&names, free_port(), "") + "[submission]\nown_senders_only = false\n",
        ..Setup::default()
    });
    provider.admin(&["domain", "add", "far.test"]);
    provider.account_add("carol@far.test");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let routes = format!(
        "[[route]]\nname = \"provider\"\ndomains = \"far.test\"\nto = \"smtp://mail.e2e.test:{}\"\nuser = \"{ADA}\"\npassword_file = \"{}\"\n\
         [[route]]\nname = \"implicit\"\ndomains = \"implicit.far.test\"\nto = \"smtps://mail.e2e.test:{}\"\nuser = \"{ADA}\"\npassword_file = \"{}\"\n\
         [[route]]\nname = \"lists\"\ndomains = \"lists.test .lists.test\"\nto = \"lmtp://127.0.0.1:{}\"\naccept = true\nlifetime = \"30 days\"\n",
        provider.port("submission"),
        password.display(),
        provider.port("submissions"),
        password.display(),
        remotes.port,
    );
    provider.admin(&["domain", "add", "implicit.far.test"]);
    provider.account_add("dora@implicit.far.test");
    let authorities = format!("authorities = \"{}\"\n", provider.certificate().display());
    let server = Server::start_with(Setup {
        settings: outgoing(&names, remotes.port, &authorities) + &routes,
        ..Setup::default()
    });
    submit(&server, &["carol@far.test"], "", "", &letter("by the provider"));
    submit(
        &server,
        &["dora@implicit.far.test"],
        "",
        "",
        &letter("by TLS from the first octet"),
    );
    submit(
        &server,
        &["x@lists.test", "y@sub.lists.test"],
        "",
        "",
        &letter("by LMTP"),
    );
    let text = String::from_utf8_lossy(&provider.imap("carol@far.test").inbox(1)[0]).into_owned();
    assert!(
        text.contains("by the provider") && text.contains("with ESMTPSA"),
        "{text}"
    );
    let text = String::from_utf8_lossy(&provider.imap("dora@implicit.far.test").inbox(1)[0]).into_owned();
    assert!(text.contains("first octet") && text.contains("with ESMTPSA"), "{text}");
    let got = wait_for("LMTP", Duration::from_secs(30), || {
        Some(remotes.take()).filter(|got| !got.is_empty())
    });
    assert_eq!(got[0].recipients, ["<x@lists.test>", "<y@sub.lists.test>"]);

    // We are in front of these domains: mail for them is taken from outside, and for no others.
    let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
    smtp.expect("MAIL FROM:<>", "250");
    smtp.expect("RCPT TO:<z@elsewhere.test>", "550 5.7.1");
    smtp.expect("RCPT TO:<z@LISTS.test>", "250");
    smtp.expect("DATA", "354");
    smtp.write(&letter("from outside"));
    let reply = smtp.command(".");
    assert!(reply.starts_with("250"), "{reply}");
    let got = wait_for("LMTP", Duration::from_secs(30), || {
        Some(remotes.take()).filter(|got| !got.is_empty())
    });
    assert!(
        got[0].recipients[0].to_lowercase().starts_with("<z@lists.test>"),
        "{got:?}"
    );
    server.assert_sound();
}

/// What was seen of TLS on a day that is over is told to who asks for it (RFC 8460).
#[test]
fn reports_on_tls() {
    if !NameServer::available() {
        return;
    }
    let remotes = Remotes::start(vec![(1, Manners::good(&["PIPELINING"]))]);
    let names = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed(
            "else.test",
            "good MX 10 mx.good\nmx.good A 127.0.0.1\n_smtp._tls.asks TXT \"v=TLSRPTv1; rua=mailto:tls@good.else.test\"\n",
        ),
    ]);
    let mut server = Server::start_with(Setup {
        settings: outgoing(&names, remotes.port, ""),
        ..Setup::default()
    });
    server.stop();
    let yesterday = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 / 86_400 - 1;
    let seen = |domain: &str| sightings::Sighting {
        day: yesterday,
        domain: domain.to_owned(),
        line: r#"{"policy":{"kind":"no-policy-found","strings":[],"hosts":[]},"failure":null}"#.to_owned(),
        record: String::new(),
        count: 3,
    };
    let file = server.data().join("server.db");
    {
        let database = db::Database::open(&file, &[sightings::SCHEMA], db::Options::default()).unwrap();
        let tally = sightings::Tally::of_tls(std::sync::Arc::new(database));
        tally.add(&[seen("asks.else.test"), seen("silent.else.test")]).unwrap();
    }
    server.launch();
    let got = wait_for("a report", Duration::from_secs(30), || {
        Some(remotes.take()).filter(|got| !got.is_empty())
    });
    let text = String::from_utf8_lossy(&got[0].bytes).into_owned();
    assert_eq!(
        (got.len(), got[0].recipients.as_slice()),
        (1, &["<tls@good.else.test>".to_owned()][..]),
        "{got:?}"
    );
    for part in [
        "TLS-Report-Domain: asks.else.test",
        "report-type=\"tlsrpt\"",
        "application/tlsrpt+gzip",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // Told once.
    server.stop();
    let database = db::Database::open(&file, &[sightings::SCHEMA], db::Options::default()).unwrap();
    let tally = sightings::Tally::of_tls(std::sync::Arc::new(database));
    assert_eq!(tally.days_before(yesterday + 1).unwrap(), []);
    server.launch();
    server.assert_sound();
}
