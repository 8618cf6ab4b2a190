//! Mail from people's own programs: TLS, logins, and whose name they may use.

use crate::client::Client;
use crate::house::{House, PASSWORD};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use delivery::door::Tls;
use ledger::Lane;
use smtp::Role;
use std::num::NonZeroU32;

fn plain(authzid: &str, user: &str, password: &str) -> String {
    BASE64.encode(format!("{authzid}\0{user}\0{password}"))
}

async fn submitting(house: &mut House) -> Client {
    let address = house.open(Role::Submission).await;
    let mut client = Client::greeted(address).await;
    client.say("STARTTLS", "220").await;
    client.tls(&house.certificate).await;
    let offers = client.say("EHLO client.example", "250").await;
    assert!(
        offers.contains("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN"),
        "{offers}"
    );
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn logged_in_over_starttls() {
    let mut house = House::new();
    let mut client = submitting(&mut house).await;
    client.say("MAIL FROM:<ada@our.test>", "530 5.7.0").await;
    client
        .say(
            &format!("AUTH PLAIN {}", plain("", "ada@our.test", "wrong")),
            "535 5.7.8",
        )
        .await;
    client
        .say(
            &format!("AUTH PLAIN {}", plain("bob@our.test", "ada@our.test", PASSWORD)),
            "535 5.7.8",
        )
        .await;
    client
        .say(
            &format!("AUTH PLAIN {}", plain("", "eve@our.test", PASSWORD)),
            "535 5.7.8",
        )
        .await;
    client
        .say(
            &format!("AUTH PLAIN {}", plain("ada@our.test", "Ada@our.test", PASSWORD)),
            "235 2.7.0",
        )
        .await;
    client.say("MAIL FROM:<bob@our.test>", "553 5.7.1").await;
    client.say("MAIL FROM:<ada@far.test>", "553 5.7.1").await;
    client.say("MAIL FROM:<ada+list@our.test>", "250").await;
    client.say("RCPT TO:<ann@far.test>", "250").await;
    client.say("RCPT TO:<bob@our.test>", "250").await;
    client.say("RCPT TO:<nobody@our.test>", "550 5.1.1").await;
    client.say("DATA", "354").await;
    let reply = client.say("Subject: x\r\n\r\ny\r\n.", "250").await;
    let record = house.record(&reply);
    let lanes: Vec<Lane> = record.recipients.iter().map(|recipient| recipient.lane).collect();
    assert_eq!(lanes, [Lane::Remote, Lane::Local]);
    assert_eq!(record.acceptance.login, Some(house.account("ada@our.test")));
    assert_eq!(record.acceptance.protocol, "ESMTPSA");
    assert!(
        record.acceptance.tls.as_deref().unwrap().starts_with("TLSv1.3 TLS_"),
        "{:?}",
        record.acceptance.tls
    );
    let (received, _) = house.bytes(&record);
    assert!(
        received.contains(" with ESMTPSA id ") && received.contains("(using TLSv1.3 with cipher TLS_"),
        "{received}"
    );
    assert!(!received.contains("for <"), "{received}");
    assert!(
        house
            .metrics()
            .contains("rohrpost_smtp_logins_total{listener=\"submission\",result=\"ok\"} 1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn login_with_prompts_over_immediate_tls() {
    let mut house = House::new();
    let provider = house.tls_provider();
    let address = house
        .open_with(Role::Submission, |listener| listener.tls = Tls::Immediate(provider))
        .await;
    let mut client = Client::raw(address).await;
    client.tls(&house.certificate).await;
    client.hear("220").await;
    let offers = client.say("EHLO client.example", "250").await;
    assert!(!offers.contains("STARTTLS"), "{offers}");
    client.say("AUTH LOGIN", "334").await;
    client.say(&BASE64.encode("bob@our.test"), "334").await;
    client.say(&BASE64.encode(PASSWORD), "235").await;
    client.say("MAIL FROM:<>", "250").await;
    client.say("QUIT", "221").await;
    assert_eq!(client.rest().await, "");
}

/// The client's side of SCRAM (RFC 5802 §3), on its own feet.
async fn scram(client: &mut Client, mechanism: &str, header: &[u8], user: &str, password: &str) -> Result<(), String> {
    let gs2 = if header.is_empty() { "n,," } else { "p=tls-exporter,," };
    let bare = format!("n={user},r=clientnonce");
    let first = client
        .say(
            &format!("AUTH {mechanism} {}", BASE64.encode(format!("{gs2}{bare}"))),
            "334 ",
        )
        .await;
    let first = String::from_utf8(BASE64.decode(first[4..].trim()).unwrap()).unwrap();
    let part = |name: &str| {
        first
            .split(',')
            .find_map(|part| part.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    let (nonce, salt, rounds) = (
        part("r="),
        BASE64.decode(part("s=")).unwrap(),
        part("i=").parse::<u32>().unwrap(),
    );
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        NonZeroU32::new(rounds).unwrap(),
        &salt,
        password.as_bytes(),
        &mut salted,
    );
    let mac = |key: &[u8], text: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
            .as_ref()
            .to_vec()
    };
    let client_key = mac(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let binding = BASE64.encode([gs2.as_bytes(), header].concat());
    let without_proof = format!("c={binding},r={nonce}");
    let all = format!("{bare},{first},{without_proof}");
    let signature = mac(stored_key.as_ref(), all.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let last = client
        .say(
            &BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof))),
            "",
        )
        .await;
    let Some(last) = last.strip_prefix("334 ") else {
        return Err(last);
    };
    let server_key = mac(&salted, b"Server Key");
    let expected = format!("v={}", BASE64.encode(mac(&server_key, all.as_bytes())));
    assert_eq!(
        BASE64.decode(last.trim()).unwrap(),
        expected.as_bytes(),
        "the server proves itself too"
    );
    client.say("", "235").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_with_and_without_channel_binding() {
    let mut house = House::new();
    let mut client = submitting(&mut house).await;
    let binding = client.binding.clone();
    let refused = scram(&mut client, "SCRAM-SHA-256-PLUS", &[9; 32], "ada@our.test", PASSWORD).await;
    assert!(refused.unwrap_err().starts_with("535"), "another channel's binding");
    let refused = scram(&mut client, "SCRAM-SHA-256-PLUS", &binding, "ada@our.test", "wrong").await;
    assert!(refused.unwrap_err().starts_with("535"));
    let refused = scram(&mut client, "SCRAM-SHA-256", b"", "nobody@our.test", PASSWORD).await;
    assert!(refused.unwrap_err().starts_with("535"));
    scram(&mut client, "SCRAM-SHA-256-PLUS", &binding, "ada@our.test", PASSWORD)
        .await
        .unwrap();
    client.say("MAIL FROM:<ada@our.test>", "250").await;
    let mut client = submitting(&mut house).await;
    scram(&mut client, "SCRAM-SHA-256", b"", "bob@our.test", PASSWORD)
        .await
        .unwrap();
    client.say("MAIL FROM:<ada@our.test>", "553 5.7.1").await;
    client.say("MAIL FROM:<bob@our.test>", "250").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_there_is_no_login_unless_set() {
    let mut house = House::new();
    let address = house.open(Role::Submission).await;
    let mut client = Client::greeted(address).await;
    client
        .say(
            &format!("AUTH PLAIN {}", plain("", "ada@our.test", PASSWORD)),
            "538 5.7.11",
        )
        .await;
    client.say("MAIL FROM:<ada@our.test>", "530 5.7.0").await;
    let address = house
        .open_with(Role::Submission, |listener| listener.plaintext = true)
        .await;
    let mut client = Client::greeted(address).await;
    client
        .say(&format!("AUTH PLAIN {}", plain("", "ada@our.test", PASSWORD)), "235")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_slipped_in_before_tls_is_lost() {
    let mut house = House::new();
    let address = house.open(Role::Mx).await;
    let mut client = Client::greeted(address).await;
    client
        .send(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@far.test>\r\n")
        .await;
    client.hear("220").await;
    client.tls(&house.certificate).await;
    client.say("RCPT TO:<ada@our.test>", "503").await;
    client.say("EHLO client.example", "250").await;
    client.say("RCPT TO:<ada@our.test>", "503").await;
}
