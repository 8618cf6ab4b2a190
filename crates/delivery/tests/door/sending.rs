//! What people's programs may send: under whose name, when, and how much.

use crate::client::Client;
use crate::house::{House, PASSWORD};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use delivery::door::{Options, SendingLimits};
use ledger::{Record, State};
use smtp::Role;
use smtp::dsn::Language;

/// A client that has logged in.
async fn logged_in(house: &mut House, user: &str) -> Client {
    let address = house
        .open_with(Role::Submission, |listener| listener.plaintext = true)
        .await;
    let mut client = Client::greeted(address).await;
    let login = BASE64.encode(format!("\0{user}\0{PASSWORD}"));
    client.say(&format!("AUTH PLAIN {login}"), "235").await;
    client
}

/// Sends a message; the reply.
async fn send(client: &mut Client, parameters: &str, message: &str, expected: &str) -> String {
    client
        .say(&format!("MAIL FROM:<ada@our.test>{parameters}"), "250")
        .await;
    client.say("RCPT TO:<ann@far.test>", "250").await;
    client.say("DATA", "354").await;
    client.say(&format!("{message}\r\n."), expected).await
}

fn text(house: &House, record: &Record) -> String {
    String::from_utf8(house.blobs.read(record.blob).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_that_people_see_are_ones_own() {
    let mut house = House::new();
    let ada = house.account("ada@our.test");
    house.directory.sender_add(ada, "dean@our.test").unwrap();
    house.directory.sender_add(ada, "@institute.test").unwrap();
    let mut client = logged_in(&mut house, "ada@our.test").await;
    let cases = [
        ("From: Ada <ADA@our.test>", "250"),
        ("From: ada+x@our.test\r\nSender: ada@our.test", "250"),
        ("From: The Dean <dean@our.test>\r\nSender: ada@our.test", "250"),
        ("From: anybody@institute.test", "250"),
        ("From: bob@our.test", "550 5.7.1 From names bob@our.test"),
        ("From : bob@our.test", "550 5.7.1"),
        ("FROM:\r\n bob@our.test", "550 5.7.1"),
        ("From: ada@our.test, bob@our.test", "550 5.7.1"),
        ("From: \"ada@our.test\" <bob@our.test>", "550 5.7.1"),
        ("From: ada@our.test\r\nSender: bob@our.test", "550 5.7.1 Sender names"),
        (
            "From: ada@our.test\r\nfrom: bob@our.test",
            "554 5.6.0 a message has one From",
        ),
        ("From: nobody:;", "554 5.6.0 From names nobody"),
        ("From: ann@far.test", "550 5.7.1"),
        // Sent on unchanged: it is whoever does so who counts (RFC 5322 §3.6.6).
        ("Resent-From: ada@our.test\r\nFrom: ann@far.test", "250"),
        (
            "Resent-From: ada@our.test\r\nResent-From: eve@far.test\r\nFrom: ann@far.test",
            "250",
        ),
        ("Resent-To: ada@our.test\r\nFrom: ann@far.test", "550 5.7.1 From names"),
        (
            "Resent-From: bob@our.test\r\nFrom: ada@our.test",
            "550 5.7.1 Resent-From names bob@our.test",
        ),
        (
            "Resent-From: ada@our.test\r\nResent-Sender: bob@our.test\r\nFrom: ann@far.test",
            "550 5.7.1 Resent-Sender",
        ),
        (
            "Resent-From: nobody:;\r\nFrom: ann@far.test",
            "554 5.6.0 Resent-From names nobody",
        ),
    ];
    for (header, expected) in cases {
        send(&mut client, "", &format!("{header}\r\nSubject: x\r\n\r\ny"), expected).await;
    }
    let many = format!("From: {}", "ada@our.test,\r\n ".repeat(101));
    send(
        &mut client,
        "",
        &format!("{many}ada@our.test\r\n\r\ny"),
        "554 5.6.0 too many",
    )
    .await;
    // Who does not say who wrote it is named.
    let reply = send(&mut client, "", "Subject: x\r\n\r\ny", "250").await;
    let (_, bytes) = house.bytes(&house.record(&reply));
    let message = String::from_utf8(bytes).unwrap();
    assert!(message.contains("\r\nFrom: <ada@our.test>\r\n"), "{message}");
    // Once taken back, it is no longer allowed.
    house.directory.sender_remove(ada, "dean@our.test").unwrap();
    send(&mut client, "", "From: dean@our.test\r\n\r\ny", "550").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_set_so_anybody_is_anybody() {
    let mut house = House::with(|options| options.own_senders_only = false);
    let mut client = logged_in(&mut house, "ada@our.test").await;
    send(&mut client, "", "From: ann@far.test\r\n\r\ny", "250").await;
    client.say("MAIL FROM:<ann@far.test>", "250").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_waits_until_its_time() {
    let mut house = House::with(|options| options.future_release = Some(86_400));
    let mut client = logged_in(&mut house, "ada@our.test").await;
    let offers = client.say("EHLO client.example", "250").await;
    assert!(offers.contains("FUTURERELEASE 86400 2"), "{offers}");
    let message = "From: ada@our.test\r\n\r\ny";
    let now = net::now();
    for (parameter, wait) in [
        (" HOLDFOR=3600".to_owned(), 3600),
        (format!(" HOLDUNTIL={}", smtp::timestamp(now + 7200)), 7200),
    ] {
        let reply = send(&mut client, &parameter, message, "250").await;
        let record = house.record(&reply);
        let recipient = &record.recipients[0];
        assert_eq!(recipient.state, State::Due, "{parameter}");
        assert!((now + wait..now + wait + 30).contains(&recipient.due_at), "{parameter}");
    }
    for parameter in [
        "HOLDFOR=86401".to_owned(),
        format!("HOLDUNTIL={}", smtp::timestamp(now + 90_000)),
        format!("HOLDUNTIL={}", smtp::timestamp(now - 60)),
    ] {
        client
            .say(&format!("MAIL FROM:<ada@our.test> {parameter}"), "501 5.5.4")
            .await;
    }
    // Other servers are not offered that.
    let address = house.open(Role::Mx).await;
    let mut other = Client::connect(address).await;
    let offers = other.say("EHLO client.example", "250").await;
    assert!(!offers.contains("FUTURERELEASE"), "{offers}");
    other.say("MAIL FROM:<ann@far.test> HOLDFOR=60", "555").await;
}

fn few(options: &mut Options) {
    options.sending = SendingLimits {
        messages: 3,
        ..SendingLimits::default()
    };
    options.languages = vec![Language::German, Language::English];
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_as_if_stolen_is_held_and_told() {
    let mut house = House::with(few);
    let ada = house.account("ada@our.test");
    house
        .directory
        .account_admin_set(house.account("bob@our.test"), true)
        .unwrap();
    let mut client = logged_in(&mut house, "ada@our.test").await;
    let message = "From: ada@our.test\r\nSubject: buy\r\n\r\ny";
    for _ in 0..3 {
        let reply = send(&mut client, "", message, "250").await;
        assert_eq!(house.record(&reply).recipients[0].state, State::Due);
    }
    // The next ones are taken, and wait; after as many as an hour has, no more are.
    for _ in 0..4 {
        let reply = send(&mut client, "", message, "250").await;
        let recipient = house.record(&reply).recipients.remove(0);
        assert_eq!(recipient.state, State::Held);
        assert!(
            recipient
                .reason
                .unwrap()
                .contains("more than 3 messages within an hour")
        );
    }
    send(&mut client, "", message, "450 4.7.28").await;
    assert!(
        house
            .directory
            .sending_held(ada)
            .unwrap()
            .reason
            .contains("more than 3 messages")
    );
    // Both are told, once, in both languages.
    let alarms: Vec<Record> = house
        .records()
        .into_iter()
        .filter(|r| r.acceptance.listener == "alarm")
        .collect();
    assert_eq!(alarms.len(), 2);
    for (alarm, to) in alarms.iter().zip(["ada@our.test", "postmaster@our.test"]) {
        assert_eq!(alarm.recipients[0].address, to);
        assert_eq!(alarm.acceptance.sender, "");
        let text = text(&house, alarm);
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.contains("From: <postmaster@our.test>\r\n"), "{text}");
        assert!(text.contains("more than 3 messages within an hour"), "{text}");
    }
    assert!(text(&house, &alarms[0]).contains("Vielleicht kennt jemand Ihr Passwort"));
    assert!(text(&house, &alarms[0]).contains("Somebody may know your password"));
    assert!(text(&house, &alarms[1]).contains("rohrpost account release ada@our.test"));
    // Others are not concerned, and after a release it begins anew.
    let mut other = logged_in(&mut house, "bob@our.test").await;
    other.say("MAIL FROM:<bob@our.test>", "250").await;
    other.say("RCPT TO:<ann@far.test>", "250").await;
    other.say("DATA", "354").await;
    let reply = other.say("From: bob@our.test\r\n\r\ny\r\n.", "250").await;
    assert_eq!(house.record(&reply).recipients[0].state, State::Due);
    assert!(house.directory.sending_release(ada).unwrap());
    let reply = send(&mut client, "", message, "250").await;
    assert_eq!(house.record(&reply).recipients[0].state, State::Due);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_send_to_many_may() {
    let mut house = House::with(|options| {
        few(options);
        options.sending.unlimited = vec!["ada@our.test".to_owned()];
    });
    let mut client = logged_in(&mut house, "ada@our.test").await;
    for _ in 0..5 {
        let reply = send(&mut client, "", "From: ada@our.test\r\n\r\ny", "250").await;
        assert_eq!(house.record(&reply).recipients[0].state, State::Due);
    }
}
