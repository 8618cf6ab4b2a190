//! Postfix in front of us: as the server that sends to our MX over STARTTLS, and handing over by LMTP.
//!
//! Postfix runs with its own settings and queue below /tmp, which needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{ADA, BOB, Postfix, Server, Smtp, corpus, made_up, ours_removed};

/// Messages without fields that Postfix takes out or puts in by itself.
fn mail() -> Vec<Vec<u8>> {
    let mut mail: Vec<_> = (0..20).map(|index| made_up(200 + index * 531)).collect();
    mail.extend(corpus(150).unwrap_or_default());
    mail.push(made_up(2_000_000));
    mail.retain(|message| {
        let header = message
            .windows(4)
            .position(|at| at == b"\r\n\r\n")
            .map_or(&message[..], |at| &message[..at]);
        let header = String::from_utf8_lossy(ours_removed(header)).to_lowercase();
        let first = header.lines().next().unwrap_or("").split(':').next().unwrap_or(" ");
        header.contains(':') && !first.contains(' ') && !first.is_empty()
    });
    mail
}

/// Everything sent is there once, as it was sent.
fn assert_arrived(server: &Server, user: &str, sent: &[Vec<u8>]) {
    let found = server.imap(user).inbox(sent.len());
    let mut found: Vec<_> = found.iter().map(|message| ours_removed(message).to_vec()).collect();
    let mut wanted: Vec<_> = sent.iter().map(|message| ours_removed(message).to_vec()).collect();
    found.sort();
    wanted.sort();
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!(
            found == wanted,
            "changed on the way:\n{:?}\n{:?}",
            String::from_utf8_lossy(&found[..found.len().min(2000)]),
            String::from_utf8_lossy(&wanted[..wanted.len().min(2000)])
        );
    }
}

#[test]
fn sends_to_us_over_starttls() {
    if !Postfix::possible() {
        return;
    }
    let server = Server::start();
    let settings = format!(
        "relayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = secure\nsmtp_tls_CAfile = {}\n\
         smtp_tls_secure_cert_match = mail.e2e.test\nsmtp_tls_loglevel = 1\n",
        server.port("smtp"),
        server.certificate().display()
    );
    let postfix = Postfix::start(server.folder(), &settings);
    let mail = mail();
    let mut smtp = Smtp::connect(postfix.port, "EHLO");
    for message in &mail {
        let reply = smtp.data("sender@elsewhere.example", &[ADA, BOB], message);
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_arrived(&server, ADA, &mail);
    assert_arrived(&server, BOB, &mail);
    let log = postfix.log();
    assert!(
        log.contains("Verified TLS connection established to 127.0.0.1"),
        "no verified TLS:\n{log}"
    );
    let received = server.imap(ADA).inbox(mail.len());
    let received = String::from_utf8_lossy(&received[0]).into_owned();
    assert!(
        received.contains("out.example") && received.contains("with ESMTPS"),
        "{received}"
    );

    // Unknown here: Postfix tells its sender, by way of us.
    let reply = smtp.data(BOB, &["nobody@e2e.test"], &made_up(300));
    assert!(reply.starts_with("250"), "{reply}");
    let inbox = server.imap(BOB).inbox(mail.len() + 1);
    assert!(inbox.iter().any(|message| {
        let text = String::from_utf8_lossy(message);
        text.contains("multipart/report") && text.contains("550 5.1.1") && text.contains("nobody@e2e.test")
    }));
    server.assert_sound();
}

#[test]
fn hands_over_by_lmtp() {
    if !Postfix::possible() {
        return;
    }
    let server = Server::start();
    let settings = format!(
        "virtual_mailbox_domains = e2e.test\nvirtual_transport = lmtp:inet:127.0.0.1:{}\n\
         virtual_destination_recipient_limit = 50\nlmtp_destination_recipient_limit = 50\n",
        server.port("lmtp")
    );
    let postfix = Postfix::start(server.folder(), &settings);
    let mail = mail();
    let mut smtp = Smtp::connect(postfix.port, "EHLO");
    for message in &mail {
        let reply = smtp.data("sender@elsewhere.example", &[ADA, BOB], message);
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_arrived(&server, ADA, &mail);
    assert_arrived(&server, BOB, &mail);
    // One recipient of three is unknown: the answers are each recipient's own.
    let reply = smtp.data(BOB, &[ADA, "nobody@e2e.test", BOB], &made_up(300));
    assert!(reply.starts_with("250"), "{reply}");
    server.imap(ADA).inbox(mail.len() + 1);
    let inbox = server.imap(BOB).inbox(mail.len() + 2);
    assert!(inbox.iter().any(|message| {
        let text = String::from_utf8_lossy(message);
        text.contains("multipart/report")
            && text.contains("nobody@e2e.test")
            && !text.contains("Final-Recipient: rfc822; ada@")
    }));
    server.assert_sound();
}
