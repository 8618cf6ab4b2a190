//! OAUTHBEARER, XOAUTH2, EXTERNAL: the RFC's examples and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::{ChannelBinding, Exchange, Failure, Mechanism, Offer, Step};

fn exchange(mechanism: Mechanism) -> Exchange {
    Exchange::new(mechanism, String::new(), ChannelBinding::None)
}

/// Whom to act as, and the token.
type Asked = (Option<String>, String);

/// What the caller is asked; `None`: the exchange failed.
fn asked(mechanism: Mechanism, response: &[u8]) -> Option<Asked> {
    match exchange(mechanism).respond(Some(response)) {
        Step::Token { authzid, token } => Some((authzid, String::from_utf8(token.as_bytes().to_vec()).unwrap())),
        Step::External { authzid } => Some((authzid, String::new())),
        Step::Failed(failure) => {
            assert!(!failure.is_credentials(), "{failure}");
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn example_of_rfc_7628() {
    let initial = BASE64
        .decode(
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJo\
             ZG1semRHRXVZMjl0Q2c9PQEB",
        )
        .unwrap();
    assert_eq!(
        asked(Mechanism::OauthBearer, &initial),
        Some((
            Some("user@example.com".into()),
            "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".into()
        ))
    );
}

#[test]
fn a_refused_token_is_answered_inside_the_mechanism() {
    for (mechanism, first, said, acknowledged) in [
        (
            Mechanism::OauthBearer,
            &b"n,,\x01auth=Bearer abc\x01\x01"[..],
            r#"{"status":"invalid_token"}"#,
            &b"\x01"[..],
        ),
        (
            Mechanism::Xoauth2,
            b"user=ada@phys.example\x01auth=Bearer abc\x01\x01",
            r#"{"status":"401","schemes":"bearer"}"#,
            b"",
        ),
    ] {
        let mut exchange = exchange(mechanism);
        assert!(matches!(exchange.respond(None), Step::Challenge(c) if c.is_empty()));
        assert!(matches!(exchange.respond(Some(first)), Step::Token { .. }));
        match exchange.token_refused() {
            Step::Challenge(challenge) => assert_eq!(challenge, said.as_bytes()),
            other => panic!("{other:?}"),
        }
        match exchange.respond(Some(acknowledged)) {
            Step::Failed(failure) => assert!(failure.is_credentials() && failure == Failure::Token),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_client_that_only_asks_is_told_at_once() {
    // RFC 7628 §4.3: an empty auth.
    let mut exchange = exchange(Mechanism::OauthBearer);
    let step = exchange.respond(Some(
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01",
    ));
    assert!(matches!(step, Step::Challenge(_)), "{step:?}");
    assert!(matches!(exchange.respond(Some(b"\x01")), Step::Failed(Failure::Token)));
}

#[test]
fn frames() {
    let some = |authzid: &str| Some((Some(authzid.to_owned()), "abc".to_owned()));
    let table: &[(Mechanism, &[u8], Option<Asked>)] = &[
        (
            Mechanism::OauthBearer,
            b"n,,\x01auth=Bearer abc\x01\x01",
            Some((None, "abc".into())),
        ),
        (
            Mechanism::OauthBearer,
            b"y,a=x=2Cy,\x01auth=bearer abc\x01\x01",
            some("x,y"),
        ),
        (
            Mechanism::OauthBearer,
            b"p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
            None,
        ),
        (Mechanism::OauthBearer, b"n,\x01auth=Bearer abc\x01\x01", None),
        (Mechanism::OauthBearer, b"n,x,\x01auth=Bearer abc\x01\x01", None),
        (Mechanism::OauthBearer, b"n,,\x01auth=Basic abc\x01\x01", None),
        (Mechanism::OauthBearer, b"n,,\x01auth=Bearer a bc\x01\x01", None),
        (Mechanism::OauthBearer, b"n,,\x01auth=Bearer \x01\x01", None),
        (Mechanism::OauthBearer, b"n,,\x01auth=Bearer abc\x01", None),
        (Mechanism::OauthBearer, b"n,,\x01host=x\x01\x01", None),
        (
            Mechanism::OauthBearer,
            b"n,,\x01auth=Bearer abc\x01auth=Bearer abd\x01\x01",
            None,
        ),
        (Mechanism::OauthBearer, b"n,,\x01=x\x01auth=Bearer abc\x01\x01", None),
        (Mechanism::OauthBearer, b"n,a=\xff,\x01auth=Bearer abc\x01\x01", None),
        (Mechanism::OauthBearer, b"", None),
        (
            Mechanism::Xoauth2,
            b"user=ada@x\x01auth=Bearer abc\x01\x01",
            some("ada@x"),
        ),
        (Mechanism::Xoauth2, b"user=\x01auth=Bearer abc\x01\x01", None),
        (Mechanism::Xoauth2, b"auth=Bearer abc\x01\x01", None),
        (Mechanism::External, b"", Some((None, String::new()))),
        (
            Mechanism::External,
            b"ada@x",
            Some((Some("ada@x".into()), String::new())),
        ),
        (Mechanism::External, b"ada\0x", None),
        (Mechanism::External, b"\xff", None),
    ];
    for (mechanism, response, expected) in table {
        assert_eq!(
            &asked(*mechanism, response),
            expected,
            "{} {}",
            mechanism.name(),
            response.escape_ascii()
        );
    }
    let long = [b"n,,\x01auth=Bearer ".as_slice(), &[b'a'; 9000], b"\x01\x01"].concat();
    assert_eq!(asked(Mechanism::OauthBearer, &long), None);
}

#[test]
fn what_is_offered() {
    let names = |secrets, bound, tokens, certificate| {
        let binding = if bound {
            ChannelBinding::TlsExporter(vec![7; 32])
        } else {
            ChannelBinding::None
        };
        let offer = Offer {
            secrets,
            binding,
            tokens,
            certificate,
        };
        Mechanism::offered(&offer)
            .map(Mechanism::name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(false, false, true, false), "SCRAM-SHA-256 SCRAM-SHA-1");
    assert_eq!(
        names(true, false, false, false),
        "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"
    );
    assert_eq!(
        names(true, true, true, true),
        "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN LOGIN"
    );
}
