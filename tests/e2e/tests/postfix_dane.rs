//! Postfix checks by itself that we are who the DNS says: DANE (RFC 7672), with TLSA records for our certificate in a signed zone, asked through a
//! resolver that validates. What is right it calls verified; what is not, does not arrive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{ADA, DOMAIN, NameServer, Postfix, Server, Smtp, Unbound, Zone, run, wait_for};
use std::time::Duration;

/// The data of the TLSA record for our certificate: DANE-EE, its public key, SHA-256 (RFC 7672 §3.1.1).
fn tlsa(server: &Server) -> String {
    let script = format!(
        "openssl x509 -in {} -noout -pubkey | openssl pkey -pubin -outform DER | openssl sha256 -r",
        server.certificate().display()
    );
    let hash = run("sh", ["-c", &script]).text();
    format!("3 1 1 {}", hash.split(' ').next().unwrap())
}

#[test]
fn verifies_us_by_dane() {
    if !Postfix::possible() || !NameServer::available() || !Unbound::possible() {
        return;
    }
    let server = Server::start();
    for domain in ["wrong.test", "bare.test", "insecure.test"] {
        assert!(server.admin(&["domain", "add", domain]).success);
        server.account_add(&format!("ann@{domain}"));
    }
    let (port, tlsa) = (server.port("smtp"), tlsa(&server));
    let names = NameServer::start(&[
        Zone::signed("test", "ns A 127.0.0.1\n"),
        Zone::signed(
            "e2e.test",
            &format!("@ MX 10 mail\nmail A 127.0.0.1\n_{port}._tcp.mail TLSA {tlsa}\n"),
        ),
        // Somebody else's certificate; no record; and one that nobody can believe.
        Zone::signed(
            "wrong.test",
            &format!(
                "@ MX 10 mail\nmail A 127.0.0.1\n_{port}._tcp.mail TLSA 3 1 1 {}\n",
                "0".repeat(64)
            ),
        ),
        Zone::signed("bare.test", "@ MX 10 mail\nmail A 127.0.0.1\n"),
        Zone::unsigned(
            "insecure.test",
            &format!("@ MX 10 mail\nmail A 127.0.0.1\n_{port}._tcp.mail TLSA {tlsa}\n"),
        ),
    ]);
    let unbound = Unbound::start(&names);
    let transports = server.folder().join("transports");
    let lines: String = [DOMAIN, "wrong.test", "bare.test", "insecure.test"]
        .iter()
        .map(|domain| format!("/@{}$/ smtp:{domain}:{port}\n", domain.replace('.', "\\.")))
        .collect();
    std::fs::write(&transports, lines).unwrap();
    let settings = format!(
        "smtp_tls_security_level = dane-only\nsmtp_dns_support_level = dnssec\nsmtp_host_lookup = dns\nsmtp_tls_loglevel = 1\n\
         transport_maps = regexp:{}\n",
        transports.display()
    );
    let postfix = Postfix::start_asking(server.folder(), &settings, Some(&unbound.resolv_conf()));
    let mut smtp = Smtp::connect(postfix.port, "EHLO");
    for recipient in [ADA, "ann@wrong.test", "ann@bare.test", "ann@insecure.test"] {
        let message = format!("From: sender@elsewhere.example\r\nSubject: for {recipient}\r\n\r\nx\r\n");
        let reply = smtp.data("sender@elsewhere.example", &[recipient], message.as_bytes());
        assert!(reply.starts_with("250"), "{reply}");
    }
    let got = String::from_utf8_lossy(&server.imap(ADA).inbox(1)[0]).into_owned();
    assert!(
        got.contains("Subject: for ada@e2e.test") && got.contains("with ESMTPS"),
        "{got}"
    );
    let log = wait_for("an attempt at each", Duration::from_secs(60), || {
        let log = postfix.log();
        let deferred = |domain: &str| {
            let to = format!("to=<ann@{domain}>");
            log.lines()
                .any(|line| line.contains(&to) && line.contains("status=deferred"))
        };
        (["wrong.test", "bare.test", "insecure.test"].into_iter().all(deferred)).then(|| log.clone())
    });
    assert!(
        log.contains(&format!(
            "Verified TLS connection established to mail.e2e.test[127.0.0.1]:{port}"
        )),
        "{log}"
    );
    let why = |domain: &str| {
        let to = format!("to=<ann@{domain}>");
        log.lines().find(|line| line.contains(&to)).unwrap().to_owned()
    };
    assert!(
        log.contains("mail.wrong.test[127.0.0.1]") && log.contains("no matching DANE TLSA records"),
        "{log}"
    );
    assert!(
        why("wrong.test").contains("Server certificate not "),
        "{}",
        why("wrong.test")
    );
    assert!(
        why("bare.test").contains("no TLSA records found"),
        "{}",
        why("bare.test")
    );
    assert!(
        why("insecure.test").contains("non DNSSEC destination"),
        "{}",
        why("insecure.test")
    );
    for domain in ["wrong.test", "bare.test", "insecure.test"] {
        assert!(server.imap(&format!("ann@{domain}")).inbox(0).is_empty(), "{domain}");
    }
    server.assert_sound();
}
