//! PLAIN and LOGIN as tables.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use sasl::{ChannelBinding, Exchange, Failure, Limits, Mechanism, Step};

fn begin(mechanism: Mechanism) -> Exchange {
    Exchange::new(mechanism, "unused".into(), ChannelBinding::None)
}

fn outcome(step: Step) -> String {
    match step {
        Step::Password {
            authzid,
            authcid,
            password,
        } => {
            let password = String::from_utf8(password.as_bytes().to_vec()).unwrap();
            format!(
                "{authcid} for {} with {password}",
                authzid.as_deref().unwrap_or("itself")
            )
        }
        Step::Challenge(c) => format!("challenge {:?}", String::from_utf8(c).unwrap()),
        Step::Failed(Failure::Malformed(_)) => "malformed".into(),
        Step::Failed(Failure::TooLong(_)) => "too long".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn plain_in_one_response() {
    let long = |n| "x".repeat(n);
    let table: Vec<(String, &str)> = vec![
        // RFC 4616 §4, both examples.
        ("\0tim\0tanstaaftanstaaf".into(), "tim for itself with tanstaaftanstaaf"),
        ("Ursel\0Kurt\0xipj3plmq".into(), "Kurt for Ursel with xipj3plmq"),
        (
            "\0ada@ü.example\0gr ün,=".into(),
            "ada@ü.example for itself with gr ün,=",
        ),
        ("".into(), "malformed"),
        ("tim".into(), "malformed"),
        ("\0tim".into(), "malformed"),
        ("\0tim\0".into(), "malformed"),
        ("\0\0secret".into(), "malformed"),
        ("\0tim\0sec\0ret".into(), "malformed"),
        ("\0ti\nm\0secret".into(), "malformed"),
        ("a\tb\0tim\0secret".into(), "malformed"),
        (format!("\0{}\0s", long(321)), "too long"),
        (format!("{}\0tim\0s", long(321)), "too long"),
        (format!("\0tim\0{}", long(1025)), "too long"),
        (format!("\0tim\0{}", long(5000)), "too long"),
    ];
    for (response, expected) in table {
        assert_eq!(
            outcome(begin(Mechanism::Plain).respond(Some(response.as_bytes()))),
            expected,
            "{response:?}"
        );
    }
    let longest = format!("{0}\0{0}\0{1}", long(320), long(1024));
    assert!(matches!(
        begin(Mechanism::Plain).respond(Some(longest.as_bytes())),
        Step::Password { .. }
    ));
    for bad in [&b"\0\xFF\0pw"[..], b"\0tim\0\xC3", b"\xE2\x82\0tim\0pw"] {
        assert_eq!(
            outcome(begin(Mechanism::Plain).respond(Some(bad))),
            "malformed",
            "{bad:?}"
        );
    }
}

#[test]
fn plain_without_initial_response() {
    let mut exchange = begin(Mechanism::Plain);
    assert_eq!(outcome(exchange.respond(None)), "challenge \"\"");
    assert_eq!(outcome(exchange.respond(Some(b"\0tim\0pw"))), "tim for itself with pw");
    assert!(matches!(
        exchange.respond(Some(b"\0tim\0pw")),
        Step::Failed(Failure::Sequence(_))
    ));
}

#[test]
fn login_dialogues() {
    type Dialogue = &'static [(Option<&'static str>, &'static str)];
    let table: &[Dialogue] = &[
        &[
            (None, "challenge \"Username:\""),
            (Some("tim"), "challenge \"Password:\""),
            (Some("pw"), "tim for itself with pw"),
        ],
        &[
            (Some("tim"), "challenge \"Password:\""),
            (Some("pw"), "tim for itself with pw"),
        ],
        &[(Some(""), "malformed")],
        &[(Some("tim"), "challenge \"Password:\""), (Some(""), "malformed")],
        &[(Some("tim"), "challenge \"Password:\""), (Some("p\0w"), "malformed")],
        &[(Some("t\0im"), "malformed")],
    ];
    for dialogue in table {
        let mut exchange = begin(Mechanism::Login);
        for (response, expected) in *dialogue {
            assert_eq!(
                outcome(exchange.respond(response.map(str::as_bytes))),
                *expected,
                "{dialogue:?}"
            );
        }
    }
    let mut exchange = begin(Mechanism::Login);
    exchange.respond(Some(b"tim"));
    assert!(matches!(exchange.respond(None), Step::Failed(Failure::Sequence(_))));
}

#[test]
fn limits_are_the_callers() {
    let limits = Limits {
        password: 3,
        ..Limits::default()
    };
    let mut exchange = Exchange::with_limits(Mechanism::Plain, String::new(), ChannelBinding::None, limits);
    assert_eq!(outcome(exchange.respond(Some(b"\0tim\0four"))), "too long");
}

#[test]
fn names_and_offers() {
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
        assert_eq!(Mechanism::parse(&mechanism.name().to_lowercase()), Some(mechanism));
    }
    for unknown in ["", "CRAM-MD5", "SCRAM-SHA-512", "PLAIN ", "SCRAM-SHA-256-"] {
        assert_eq!(Mechanism::parse(unknown), None, "{unknown}");
    }
}

#[test]
fn passwords_are_not_printed() {
    let step = begin(Mechanism::Plain).respond(Some(b"\0tim\0hunter2"));
    assert!(!format!("{step:?}").contains("hunter2"));
}
