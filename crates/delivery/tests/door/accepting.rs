//! Mail from other servers, and over LMTP.

use crate::client::Client;
use crate::house::House;
use ledger::{Lane, RequireTls, State};
use smtp::Role;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_in_custody_when_its_250_comes() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    client
        .say(
            "MAIL FROM:<ann@far.test> SIZE=40 BODY=8BITMIME RET=HDRS ENVID=abc",
            "250 2.1.0",
        )
        .await;
    client
        .say(
            "RCPT TO:<ada@our.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ada@our.test",
            "250 2.1.5",
        )
        .await;
    client.say("RCPT TO:<ADA@our.test>", "250 2.1.5").await;
    client.say("DATA", "354").await;
    let reply = client
        .say(
            "Message-ID: <one@far.test>\r\n\r\n..dots\r\n.",
            "250 2.0.0 accepted as ",
        )
        .await;
    let record = house.record(&reply);
    let acceptance = &record.acceptance;
    assert_eq!(acceptance.sender, "ann@far.test");
    assert_eq!(
        (
            acceptance.protocol.as_str(),
            acceptance.listener.as_str(),
            acceptance.helo.as_str()
        ),
        ("ESMTP", "mx", "client.example")
    );
    assert_eq!(
        (
            acceptance.envid.as_deref(),
            acceptance.ret.as_deref(),
            acceptance.body.as_str()
        ),
        (Some("abc"), Some("HDRS"), "8BITMIME")
    );
    assert_eq!(acceptance.message_id.as_deref(), Some("<one@far.test>"));
    assert!(acceptance.client.starts_with("127.0.0.1:") && !acceptance.session.is_empty());
    let [recipient] = record.recipients.as_slice() else {
        panic!("one recipient, not {:?}", record.recipients)
    };
    assert_eq!(
        (recipient.address.as_str(), recipient.lane, recipient.state),
        ("ada@our.test", Lane::Local, State::Due)
    );
    assert_eq!(recipient.notify.as_deref(), Some("SUCCESS,FAILURE"));
    assert_eq!(recipient.original.as_deref(), Some("rfc822;ada@our.test"));
    let (received, body) = house.bytes(&record);
    assert_eq!(body, b"Message-ID: <one@far.test>\r\n\r\n.dots\r\n");
    assert!(
        received.starts_with("Received: from client.example ([127.0.0.1])\r\n\tby mail.our.test with ESMTP id "),
        "{received}"
    );
    assert!(received.contains("\r\n\tfor <ada@our.test>;\r\n\t"), "{received}");
    client.say("QUIT", "221").await;
    assert_eq!(client.rest().await, "");
    let metrics = house.metrics();
    for line in [
        "rohrpost_smtp_messages_accepted_total{listener=\"mx\"} 1",
        "rohrpost_smtp_recipients_accepted_total{listener=\"mx\"} 1",
        "rohrpost_smtp_connections_total{listener=\"mx\"} 1",
        "rohrpost_smtp_custody_seconds_count{listener=\"mx\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_that_cannot_be_are_refused_at_once() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    client.say("MAIL FROM:<> SIZE=20000", "250").await;
    let cases = [
        ("nobody@our.test", "550 5.1.1"),
        ("eve@our.test", "550 5.2.1"),
        ("ann@far.test", "550 5.7.1"),
        ("ada@[127.0.0.1]", "550 5.7.1"),
        ("bob@our.test", "452 4.2.2"),
        ("team@our.test", "250 2.1.5"),
        ("ada+list@our.test", "250 2.1.5"),
        ("\"ada\"@OUR.test", "250 2.1.5"),
    ];
    for (address, code) in cases {
        client.say(&format!("RCPT TO:<{address}>"), code).await;
    }
    assert!(
        house
            .metrics()
            .contains("rohrpost_smtp_refusals_total{listener=\"mx\",code=\"550\"} 4")
    );
    client.say("RSET", "250").await;
    client.say("MAIL FROM:<> SIZE=10", "250").await;
    client.say("RCPT TO:<bob@our.test>", "250").await;
    // Octets would fit, another message does not.
    let bob = house.directory.account_show("bob@our.test").unwrap().id;
    house.directory.quota_set(bob, Some(10_000), Some(0)).unwrap();
    client.say("RSET", "250").await;
    client.say("MAIL FROM:<> SIZE=10", "250").await;
    client.say("RCPT TO:<bob@our.test>", "452 4.2.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_in_one_write() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::raw(mx).await;
    let one = "MAIL FROM:<a@far.test>\r\nRCPT TO:<ada@our.test>\r\nRCPT TO:<team@our.test>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\n";
    client
        .send(format!("EHLO client.example\r\n{}QUIT\r\n", one.repeat(3)).as_bytes())
        .await;
    let heard = client.rest().await;
    let codes: String = heard
        .lines()
        .filter(|line| line.as_bytes()[3] == b' ')
        .map(|line| format!("{} ", &line[..3]))
        .collect();
    assert_eq!(codes, format!("220 250 {}221 ", "250 250 250 354 250 ".repeat(3)));
    assert_eq!(house.records().len(), 3);
    assert!(house.records().iter().all(|record| record.recipients.len() == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_size_comes_out_byte_for_byte() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    let kib = 1024;
    for size in [
        0,
        1,
        2,
        3,
        70,
        4 * kib,
        64 * kib,
        255 * kib,
        256 * kib,
        257 * kib,
        kib * kib - 1,
        kib * kib + 1,
        5 * kib * kib,
    ] {
        let line = b"..the quick brown fox jumps over the lazy dog; 0123456789 abcdefghijklm\r\n";
        let mut body: Vec<u8> = b"X: y\r\n\r\n"
            .iter()
            .chain(line.iter().cycle())
            .copied()
            .take(size)
            .collect();
        let tail = body.len().min(2);
        let end = body.len() - tail;
        body[end..].copy_from_slice(&b"\r\n"[2 - tail..]);
        // No CR or LF may stand alone.
        let body: Vec<u8> = if size == 1 { b"x".to_vec() } else { body };
        for chunked in [false, true] {
            client
                .say(&format!("MAIL FROM:<ann@far.test> SIZE={size}"), "250")
                .await;
            client.say("RCPT TO:<ada@our.test>", "250").await;
            let (expected, reply) = if chunked {
                let (head, tail) = body.split_at(body.len() / 3);
                client.send(format!("BDAT {}\r\n", head.len()).as_bytes()).await;
                client.send(head).await;
                client.send(format!("BDAT {} LAST\r\n", tail.len()).as_bytes()).await;
                client.send(tail).await;
                client.hear("250 2.0.0").await;
                (body.clone(), client.hear("250 2.0.0 accepted").await)
            } else {
                client.say("DATA", "354").await;
                let text = String::from_utf8(body.clone()).unwrap();
                let mut stuffed = if text.starts_with('.') {
                    format!(".{text}")
                } else {
                    text
                };
                stuffed = stuffed.replace("\r\n.", "\r\n..");
                let expected = if body.is_empty() || body.ends_with(b"\r\n") {
                    body.clone()
                } else {
                    [&body, &b"\r\n"[..]].concat()
                };
                if !stuffed.is_empty() && !stuffed.ends_with("\r\n") {
                    stuffed.push_str("\r\n");
                }
                stuffed.push_str(".\r\n");
                client.send(stuffed.as_bytes()).await;
                (expected, client.hear("250 2.0.0 accepted").await)
            };
            let record = house.record(&reply);
            let (_, came) = house.bytes(&record);
            assert!(
                came == expected,
                "{size} octets, chunked: {chunked}: {} came, {} expected",
                came.len(),
                expected.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lmtp_answers_for_each_recipient() {
    let mut house = House::new();
    let lmtp = house.open(Role::Lmtp).await;
    let mut client = Client::connect(lmtp).await;
    client.say("LHLO relay.our.test", "250").await;
    client.say("MAIL FROM:<ann@far.test>", "250").await;
    client.say("RCPT TO:<ada@our.test>", "250").await;
    client.say("RCPT TO:<nobody@our.test>", "550 5.1.1").await;
    client.say("RCPT TO:<bob@our.test>", "250").await;
    client.say("RCPT TO:<ann@far.test>", "550 5.7.1").await;
    client.say("DATA", "354").await;
    let reply = client.say("a: b\r\n.", "250 2.0.0 accepted").await;
    assert_eq!(client.hear("250 2.0.0 accepted").await, reply);
    let record = house.record(&reply);
    assert_eq!(
        (record.acceptance.protocol.as_str(), record.recipients.len()),
        ("LMTP", 2)
    );
    client.say("QUIT", "221").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_survived() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    let large = format!("a: b\r\n\r\n{}", "0123456789abcdef0123456789abcdef\r\n".repeat(100_000));
    for text in ["a: small\r\n", &large] {
        for full in [true, false] {
            house.disk_full.store(full, Ordering::Relaxed);
            client.say("MAIL FROM:<ann@far.test>", "250").await;
            client.say("RCPT TO:<ada@our.test>", "250").await;
            client.say("DATA", "354").await;
            let reply = client
                .say(&format!("{text}."), if full { "452 4.3.1" } else { "250 2.0.0" })
                .await;
            if !full {
                assert_eq!(house.bytes(&house.record(&reply)).1, text.as_bytes());
            }
        }
    }
    assert_eq!(house.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cut_off_leaves_nothing() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    client.say("MAIL FROM:<ann@far.test>", "250").await;
    client.say("RCPT TO:<ada@our.test>", "250").await;
    client.say("DATA", "354").await;
    client.send(b"a: b\r\n\r\nhalf a").await;
    drop(client);
    // The next one is served, and is the only one.
    let mut client = Client::greeted(mx).await;
    client.say("MAIL FROM:<ann@far.test>", "250").await;
    client.say("RCPT TO:<ada@our.test>", "250").await;
    client.send(b"BDAT 3\r\na:b").await;
    client.hear("250 2.0.0 3 octets").await;
    client.say("RSET", "250").await;
    client.say("QUIT", "221").await;
    house.stop();
    house.closed().await;
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn return_paths_take_bounces_and_nothing_else() {
    let mut house = House::new();
    let address = house.open(Role::Mx).await;
    let mut client = Client::greeted(address).await;
    let owner = delivery::Owner::Alias("team@our.test");
    let good = house.forwarding.return_path("fay@far.test", owner, net::now());
    let old = house
        .forwarding
        .return_path("fay@far.test", owner, net::now() - 30 * 86_400);
    let forged = good.replace("far.test", "else.test");
    client.say("MAIL FROM:<>", "250").await;
    client
        .say(&format!("RCPT TO:<{forged}>"), "550 5.1.1 this return path is not one")
        .await;
    client
        .say(&format!("RCPT TO:<{old}>"), "550 5.1.1 this return path is too old")
        .await;
    client.say(&format!("RCPT TO:<{good}>"), "250").await;
    client.say("DATA", "354").await;
    let reply = client.say("Subject: failed\r\n\r\ny\r\n.", "250").await;
    assert_eq!(house.record(&reply).recipients[0].address, good);
    // Whoever learns it cannot write to its owner with it.
    client.say("MAIL FROM:<eve@far.test>", "250").await;
    client.say(&format!("RCPT TO:<{good}>"), "550 5.7.1").await;
}

/// RFC 8689 §4.1: what MAIL says counts, and where it says nothing, the header.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_tls_is_kept() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    client.say("MAIL FROM:<ann@far.test> REQUIRETLS", "530 5.7.10").await;
    client.say("STARTTLS", "220").await;
    let certificate = house.certificate.clone();
    client.tls(&certificate).await;
    let hello = client.say("EHLO client.example", "250").await;
    assert!(hello.contains("REQUIRETLS"), "{hello}");
    let large = "TLS-Required: no\r\n\r\n".to_owned() + &"a line that makes it long\r\n".repeat(100_000);
    for (parameters, message, expected) in [
        ("", "Subject: x\r\n\r\ny\r\n", RequireTls::Unsaid),
        ("", "TLS-Required: No\r\n\r\ny\r\n", RequireTls::No),
        ("", large.as_str(), RequireTls::No),
        (" REQUIRETLS", "Subject: x\r\n\r\ny\r\n", RequireTls::Yes),
        (" REQUIRETLS", "TLS-Required: No\r\n\r\ny\r\n", RequireTls::Yes),
    ] {
        client
            .say(&format!("MAIL FROM:<ann@far.test>{parameters}"), "250")
            .await;
        client.say("RCPT TO:<ada@our.test>", "250").await;
        client.say("DATA", "354").await;
        let reply = client.say(&format!("{message}."), "250").await;
        assert_eq!(house.record(&reply).acceptance.requiretls, expected, "{parameters}");
    }
}
