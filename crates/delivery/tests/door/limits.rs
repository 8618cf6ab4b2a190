//! Too many, too long, too slow; PROXY headers; the end.

use crate::client::Client;
use crate::house::House;
use smtp::Role;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted() {
    let mut house = House::with(|options| {
        options.connections = 3;
        options.connections_per_address = 2;
    });
    let mx = house.open(Role::Mx).await;
    let mut one = Client::connect(mx).await;
    let _two = Client::connect(mx).await;
    let mut three = Client::raw(mx).await;
    assert_eq!(
        three.rest().await,
        "421 4.7.0 too many connections, try again later\r\n"
    );
    one.say("QUIT", "221").await;
    one.rest().await;
    drop(one);
    // The seat is free a moment later.
    let since = Instant::now();
    loop {
        let mut again = Client::raw(mx).await;
        again.send(b"QUIT\r\n").await;
        if again.rest().await.starts_with("220") {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(10));
    }
    assert!(
        house
            .metrics()
            .contains("smtp_refusals_total{listener=\"mx\",code=\"421\"}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_is_counted_across_addresses() {
    let mut house = House::with(|options| options.connections = 1);
    let mx = house.open(Role::Mx).await;
    let _one = Client::connect(mx).await;
    assert!(Client::raw(mx).await.rest().await.starts_with("421 4.7.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_length_have_an_end() {
    let mut house = House::with(|options| options.session.idle = Duration::from_millis(50));
    let mx = house.open(Role::Mx).await;
    let mut client = Client::connect(mx).await;
    assert_eq!(client.rest().await, "421 4.4.2 silent for too long\r\n");

    let mut house = House::with(|options| options.session.session = Duration::from_millis(50));
    let mx = house.open(Role::Mx).await;
    let mut client = Client::connect(mx).await;
    assert_eq!(client.rest().await, "421 4.4.2 the session lasts too long\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slow() {
    let mut house = House::with(|options| options.bad_recipient_delay = Duration::from_millis(30));
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    client.say("MAIL FROM:<>", "250").await;
    let since = Instant::now();
    for _ in 0..3 {
        client.say("RCPT TO:<nobody@our.test>", "550").await;
    }
    assert!(since.elapsed() >= Duration::from_millis(90));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_for_the_house() {
    let mut house = House::with(|options| options.session.message_size = 100_000);
    let mx = house.open(Role::Mx).await;
    let mut client = Client::greeted(mx).await;
    client.say("MAIL FROM:<> SIZE=100001", "552 5.3.4").await;
    client.say("MAIL FROM:<>", "250").await;
    client.say("RCPT TO:<ada@our.test>", "250").await;
    client.say("DATA", "354").await;
    let text = "0123456789abcdef0123456789abcdef\r\n".repeat(10_000);
    client.say(&format!("a: b\r\n\r\n{text}."), "552 5.3.4").await;
    client.say("NOOP", "250").await;
    assert_eq!(house.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_through_a_proxy() {
    let mut house = House::with(|options| options.connections_per_address = 1);
    let mx = house
        .open_with(Role::Mx, |listener| {
            listener.proxies = Some(Arc::new(|address| address.is_loopback()));
        })
        .await;
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x01\x7f\0\0\x01\x30\x39\0\x19";
    let mut open = Vec::new();
    for (header, ip) in [
        (&b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n"[..], "192.0.2.7"),
        (v2, "198.51.100.1"),
    ] {
        let mut client = Client::raw(mx).await;
        client.send(header).await;
        client.hear("220").await;
        client.say("HELO client.example", "250").await;
        client.say("MAIL FROM:<>", "250").await;
        client.say("RCPT TO:<ada@our.test>", "250").await;
        client.say("DATA", "354").await;
        let reply = client.say("a: b\r\n.", "250").await;
        let record = house.record(&reply);
        assert!(
            house
                .bytes(&record)
                .0
                .starts_with(&format!("Received: from client.example ([{ip}])"))
        );
        assert!(record.acceptance.client.starts_with(ip));
        open.push(client);
    }
    let mut second = Client::raw(mx).await;
    second.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 4712 25\r\n").await;
    second.hear("421").await;
    let mut without = Client::raw(mx).await;
    without.send(b"EHLO client.example\r\n").await;
    assert_eq!(without.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_messages_finish() {
    let mut house = House::new();
    let mx = house.open(Role::Mx).await;
    let mut idle = Client::greeted(mx).await;
    let mut busy = Client::greeted(mx).await;
    busy.say("MAIL FROM:<ann@far.test>", "250").await;
    busy.say("RCPT TO:<ada@our.test>", "250").await;
    busy.say("DATA", "354").await;
    busy.send(b"a: b\r\n\r\nfirst half").await;
    house.stop();
    assert_eq!(idle.rest().await, "421 4.3.2 going down for maintenance, try again\r\n");
    busy.say(", second half\r\n.", "250 2.0.0").await;
    assert_eq!(busy.rest().await, "421 4.3.2 going down for maintenance, try again\r\n");
    house.closed().await;
    assert_eq!(house.records().len(), 1);
    assert!(tokio::net::TcpStream::connect(mx).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_cuts_who_does_not_finish() {
    let mut house = House::with(|options| options.shutdown = Duration::from_millis(50));
    let mx = house.open(Role::Mx).await;
    let mut busy = Client::greeted(mx).await;
    busy.say("MAIL FROM:<ann@far.test>", "250").await;
    busy.say("RCPT TO:<ada@our.test>", "250").await;
    busy.say("DATA", "354").await;
    house.stop();
    house.closed().await;
    assert_eq!(busy.rest().await, "");
    assert_eq!(house.records().len(), 0);
}
