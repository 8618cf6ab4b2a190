//! SCRAM: the RFC's example, whole exchanges with a client, and every way to cheat.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod client;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use client::Client;
use proptest::prelude::*;
use sasl::{ChannelBinding, Exchange, Failure, Mechanism, ScramCredentials, ScramHash, Step};
use std::num::NonZeroU32;

const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn credentials(password: &str) -> ScramCredentials {
    credentials_of(ScramHash::Sha256, password)
}

fn credentials_of(hash: ScramHash, password: &str) -> ScramCredentials {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    ScramCredentials::derive(hash, password.as_bytes(), &salt, NonZeroU32::new(4096).unwrap())
}

fn challenge(step: Step) -> Result<String, Failure> {
    match step {
        Step::Challenge(c) => Ok(String::from_utf8(c).unwrap()),
        Step::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

/// The whole exchange; gives authzid and authcid.
fn run(mechanism: Mechanism, binding: ChannelBinding, client: &Client) -> Result<(Option<String>, String), Failure> {
    run_with(mechanism, binding, client, |last| last)
}

fn run_with(
    mechanism: Mechanism,
    binding: ChannelBinding,
    client: &Client,
    tamper: impl Fn(String) -> String,
) -> Result<(Option<String>, String), Failure> {
    let mut exchange = Exchange::new(mechanism, SERVER_NONCE.into(), binding);
    match exchange.respond(Some(client.first().as_bytes())) {
        Step::Credentials { hash, .. } => assert_eq!(hash, client.hash),
        Step::Failed(failure) => return Err(failure),
        other => panic!("{other:?}"),
    }
    let server_first = challenge(exchange.credentials(credentials_of(client.hash, "pencil")))?;
    let (last, expected) = client.last(&server_first);
    let signature = challenge(exchange.respond(Some(tamper(last).as_bytes())))?;
    assert_eq!(signature, expected, "the client must be able to trust the server");
    match exchange.respond(Some(b"")) {
        Step::Done { authzid, authcid } => Ok((authzid, authcid)),
        Step::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

#[test]
fn example_of_rfc_7677() {
    let mut exchange = Exchange::new(Mechanism::ScramSha256, SERVER_NONCE.into(), ChannelBinding::None);
    assert_eq!(challenge(exchange.respond(None)).unwrap(), "");
    match exchange.respond(Some(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")) {
        Step::Credentials { authcid, .. } => assert_eq!(authcid, "user"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        challenge(exchange.credentials(credentials("pencil"))).unwrap(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last =
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(
        challenge(exchange.respond(Some(last))).unwrap(),
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );
    assert!(matches!(exchange.respond(Some(b"")), Step::Done { authzid: None, authcid } if authcid == "user"));
}

#[test]
fn example_of_rfc_5802() {
    let nonce = "3rfcNHYJY1ZVvWVs7j";
    let mut exchange = Exchange::new(Mechanism::ScramSha1, nonce.into(), ChannelBinding::None);
    match exchange.respond(Some(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")) {
        Step::Credentials { authcid, hash } => assert_eq!((authcid.as_str(), hash), ("user", ScramHash::Sha1)),
        other => panic!("{other:?}"),
    }
    let salt = BASE64.decode("QSXCR+Q6sek8bf92").unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    let credentials = ScramCredentials::derive(ScramHash::Sha1, b"pencil", &salt, iterations);
    assert_eq!(
        challenge(exchange.credentials(credentials)).unwrap(),
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    );
    let last = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    assert_eq!(
        challenge(exchange.respond(Some(last))).unwrap(),
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
    );
    assert!(matches!(exchange.respond(Some(b"")), Step::Done { authzid: None, authcid } if authcid == "user"));
}

#[test]
fn keys_of_the_other_hash_let_nobody_in() {
    let mut exchange = Exchange::new(Mechanism::ScramSha1, SERVER_NONCE.into(), ChannelBinding::None);
    exchange.respond(Some(b"n,,n=user,r=abc"));
    let step = exchange.credentials(credentials("pencil"));
    assert!(matches!(step, Step::Failed(Failure::Sequence(_))), "{step:?}");
}

#[test]
fn sha1_as_sha256() {
    let exporter = || ChannelBinding::TlsExporter(vec![7; 32]);
    let client = |gs2: &str, channel: &[u8]| Client::new(gs2, "user", "pencil", channel).with(ScramHash::Sha1);
    let (plain, plus) = (Mechanism::ScramSha1, Mechanism::ScramSha1Plus);
    assert!(run(plain, ChannelBinding::None, &client("n,,", &[])).is_ok());
    assert!(run(plus, exporter(), &client("p=tls-exporter,,", &[7; 32])).is_ok());
    let cheated = run(plain, exporter(), &client("y,,", &[]));
    assert_eq!(cheated.unwrap_err(), Failure::Downgrade);
    let wrong = Client {
        password: "pencils".into(),
        ..client("n,,", &[])
    };
    assert_eq!(run(plain, ChannelBinding::None, &wrong).unwrap_err(), Failure::Proof);
}

#[test]
fn channel_binding_and_downgrade() {
    let exporter = || ChannelBinding::TlsExporter(vec![7; 32]);
    let none = || ChannelBinding::None;
    let (plain, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
    let ok = Ok(());
    let table = [
        (plain, none(), "n,,", &[][..], ok),
        (plain, none(), "y,,", &[], ok),
        (plain, exporter(), "n,,", &[], ok),
        (plain, exporter(), "y,,", &[], Err("Downgrade")),
        (plain, exporter(), "p=tls-exporter,,", &[7; 32], Err("Binding")),
        (plain, none(), "p=tls-exporter,,", &[7; 32], Err("Binding")),
        (plus, exporter(), "p=tls-exporter,,", &[7; 32], ok),
        (plus, exporter(), "p=tls-exporter,,", &[8; 32], Err("BindingMismatch")),
        (plus, exporter(), "p=tls-exporter,,", &[7; 31], Err("BindingMismatch")),
        (plus, exporter(), "p=tls-exporter,,", &[], Err("BindingMismatch")),
        (plus, exporter(), "p=tls-unique,,", &[7; 32], Err("Binding")),
        (plus, exporter(), "p=tls-server-end-point,,", &[7; 32], Err("Binding")),
        (plus, exporter(), "n,,", &[], Err("Binding")),
        (plus, exporter(), "y,,", &[], Err("Binding")),
        (plus, none(), "p=tls-exporter,,", &[7; 32], Err("Binding")),
        (plain, none(), "x,,", &[], Err("Malformed")),
        (plain, none(), ",,", &[], Err("Malformed")),
        (plain, none(), "p,,", &[], Err("Malformed")),
        (plain, none(), "N,,", &[], Err("Malformed")),
    ];
    for (mechanism, binding, gs2, channel, expected) in table {
        let label = format!("{} {binding:?} {gs2} {}", mechanism.name(), channel.len());
        let result = run(mechanism, binding, &Client::new(gs2, "user", "pencil", channel));
        match expected {
            Ok(()) => assert_eq!(result.expect(&label), (None, "user".into()), "{label}"),
            Err(kind) => {
                let text = format!("{:?}", result.expect_err(&label));
                assert_eq!(text.split('(').next(), Some(kind), "{label}: {text}");
            }
        }
    }
}

#[test]
fn names_and_authzid() {
    let table = [
        ("n,,", "user", Ok((None, "user"))),
        ("n,a=chair,", "user", Ok((Some("chair"), "user"))),
        ("n,a=a=2Cb=3Dc,", "us=3Der=2C", Ok((Some("a,b=c"), "us=er,"))),
        ("n,,", "ada@ü.example", Ok((None, "ada@ü.example"))),
        ("n,,", "", Err(())),
        ("n,,", "a=b", Err(())),
        ("n,,", "a=2c", Err(())),
        ("n,,", "a=", Err(())),
        ("n,,", "a=3", Err(())),
        ("n,a=,", "user", Err(())),
        ("n,chair,", "user", Err(())),
        ("n,,m=ext,", "user", Err(())),
    ];
    for (gs2, user, expected) in table {
        let result = run(
            Mechanism::ScramSha256,
            ChannelBinding::None,
            &Client::new(gs2, user, "pencil", b""),
        );
        let expected = expected.map(|(z, c)| (z.map(str::to_owned), c.to_owned()));
        assert_eq!(result.map_err(|_| ()), expected, "{gs2}{user}");
    }
}

#[test]
fn malformed_first_messages() {
    let long = format!("n,,n={},r=abc", "x".repeat(400));
    let long_nonce = format!("n,,n=user,r={}", "x".repeat(257));
    let longer = format!("n,,n=user,r=abc,x={}", "y".repeat(9000));
    let table = [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,r=abc,n=user",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,,n=user,r=ü",
        "n,,n=user,r=abc,",
        "n,,n=user,r=abc,m=1",
        "n,,n=user,r=abc,1=x",
        "n,,n=user,r=abc,x",
        "n,,n=us\0er,r=abc",
        "n,,n=us\ner,r=abc",
        &long,
        &long_nonce,
        &longer,
    ];
    for message in table {
        let mut exchange = Exchange::new(Mechanism::ScramSha256, SERVER_NONCE.into(), ChannelBinding::None);
        let step = exchange.respond(Some(message.as_bytes()));
        assert!(
            matches!(step, Step::Failed(Failure::Malformed(_) | Failure::TooLong(_))),
            "{message:?}: {step:?}"
        );
        assert!(matches!(
            exchange.respond(Some(b"")),
            Step::Failed(Failure::Sequence(_))
        ));
    }
    let mut exchange = Exchange::new(Mechanism::ScramSha256, SERVER_NONCE.into(), ChannelBinding::None);
    assert!(
        matches!(
            exchange.respond(Some(b"n,,n=user,r=abc,x=yes")),
            Step::Credentials { .. }
        ),
        "extensions are passed over"
    );
}

#[test]
fn tampered_final_messages() {
    let client = Client::new("n,,", "user", "pencil", b"");
    type Tamper = fn(String) -> String;
    let table: &[(&str, Tamper)] = &[
        ("Nonce", |m| m.replace("%hvY", "%hvZ")),
        ("Nonce", |m| m.replace("rOprN", "")),
        ("BindingMismatch", |m| m.replace("c=biws", "c=eSws")),
        ("Malformed", |m| m.replace("c=biws", "c=!")),
        ("Malformed", |m| m.replace("c=biws,", "")),
        ("Malformed", |m| m.replace(",p=", ",q=")),
        ("Malformed", |m| m.replace(",p=", ",m=1,p=")),
        ("Malformed", |m| m.replace(",p=", ",,p=")),
        ("Malformed", |m| format!("{m},x=1")),
        ("Proof", |m| m.replace(",p=", ",x=1,p=")),
        ("Proof", |m| m[..m.rfind(",p=").unwrap()].to_owned() + ",p="),
        ("Proof", |m| m[..m.rfind(",p=").unwrap()].to_owned() + ",p=AAAA"),
        ("Malformed", |m| m + "\0"),
        ("Malformed", |_| String::new()),
    ];
    for (kind, tamper) in table {
        let result = run_with(Mechanism::ScramSha256, ChannelBinding::None, &client, tamper);
        let text = format!("{:?}", result.expect_err(kind));
        assert_eq!(text.split('(').next(), Some(*kind), "{text}");
    }
    let wrong = Client::new("n,,", "user", "pencils", b"");
    let failure = run(Mechanism::ScramSha256, ChannelBinding::None, &wrong).unwrap_err();
    assert_eq!(failure, Failure::Proof);
    assert!(failure.is_credentials());
}

#[test]
fn calls_out_of_turn() {
    let begin = |nonce: &str| Exchange::new(Mechanism::ScramSha256, nonce.into(), ChannelBinding::None);
    let mut early = begin(SERVER_NONCE);
    assert!(matches!(
        early.credentials(credentials("x")),
        Step::Failed(Failure::Sequence(_))
    ));
    let mut skipped = begin(SERVER_NONCE);
    skipped.respond(Some(b"n,,n=user,r=abc"));
    assert!(matches!(
        skipped.respond(Some(b"c=biws,r=abc,p=")),
        Step::Failed(Failure::Sequence(_))
    ));
    for nonce in ["", "a,b", "a b", "ü"] {
        let mut bad = begin(nonce);
        bad.respond(Some(b"n,,n=user,r=abc"));
        assert!(
            matches!(bad.credentials(credentials("x")), Step::Failed(Failure::Sequence(_))),
            "{nonce:?}"
        );
    }
    // Data where the acknowledgement should be.
    let client = Client::new("n,,", "user", "pencil", b"");
    let mut exchange = begin(SERVER_NONCE);
    exchange.respond(Some(client.first().as_bytes()));
    let server_first = challenge(exchange.credentials(credentials_of(client.hash, "pencil"))).unwrap();
    challenge(exchange.respond(Some(client.last(&server_first).0.as_bytes()))).unwrap();
    assert!(matches!(
        exchange.respond(Some(b"x")),
        Step::Failed(Failure::Malformed(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_panics_and_nothing_passes(responses in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..5), which in 0usize..9) {
        let mut exchange = Exchange::new(Mechanism::ALL[which], SERVER_NONCE.into(), ChannelBinding::TlsExporter(vec![1; 32]));
        for response in &responses {
            let mut step = exchange.respond(Some(response));
            if let Step::Credentials { hash, .. } = step {
                step = exchange.credentials(ScramCredentials {
                    hash,
                    salt: vec![1],
                    iterations: 1,
                    stored_key: vec![0; hash.octets()],
                    server_key: vec![0; hash.octets()],
                });
            }
            let done = matches!(step, Step::Done { .. });
            prop_assert!(!done);
        }
    }
}
