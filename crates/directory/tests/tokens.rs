//! Access tokens and certificates: whom they let in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use common::{add, cheap, open};
use directory::{JwtCheck, JwtOptions, Options, TokenCheck};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const NOW: i64 = 1_795_000_000;

/// A key of an issuer, and its public half as a key set has it.
struct Key {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Key {
    fn new(id: &'static str) -> Key {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        Key { pair, id }
    }

    fn jwk(&self) -> Value {
        // An uncompressed point: 4, x, y (SEC 1 §2.3.3).
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..65]),
        })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            BASE64.encode(header.to_string()),
            BASE64.encode(claims.to_string())
        );
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

fn write_keys(file: &Path, keys: &[&Key]) {
    let set = json!({ "keys": keys.iter().map(|k| k.jwk()).collect::<Vec<_>>() });
    std::fs::write(file, set.to_string()).unwrap();
}

fn options(file: &Path) -> JwtOptions {
    JwtOptions {
        issuer: "https://login.phys.example".into(),
        audience: "rohrpost".into(),
        keys: file.to_path_buf(),
        claim: "email".into(),
    }
}

#[test]
fn what_a_token_must_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let (key, other) = (Key::new("one"), Key::new("two"));
    write_keys(&file, &[&other, &key]);
    let check = JwtCheck::open(options(&file)).unwrap();
    let claims = json!({
        "iss": "https://login.phys.example", "aud": "rohrpost", "exp": NOW + 300, "email": "ada@phys.example",
    });
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "one" });
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let good = key.sign(&header, &claims);
    let address = |token: &str| check.address(token, NOW).unwrap();
    assert_eq!(address(&good).as_deref(), Some("ada@phys.example"));
    assert_eq!(
        address(&key.sign(&json!({ "alg": "ES256" }), &claims)).as_deref(),
        Some("ada@phys.example"),
        "without kid"
    );
    assert_eq!(
        address(&key.sign(&header, &with("aud", json!(["x", "rohrpost"])))).as_deref(),
        Some("ada@phys.example")
    );
    assert_eq!(
        address(&key.sign(&header, &with("exp", json!(NOW - 30)))).as_deref(),
        Some("ada@phys.example"),
        "within the leeway"
    );
    let mut without = claims.clone();
    without.as_object_mut().unwrap().remove("exp");
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let unsigned = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"none"}"#),
        BASE64.encode(claims.to_string())
    );
    // The public key as a shared secret: the classic forgery.
    let secret = key.jwk().to_string();
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let signed = format!(
        "{}.{}",
        BASE64.encode(r#"{"alg":"HS256","kid":"one"}"#),
        BASE64.encode(claims.to_string())
    );
    let forged = format!(
        "{signed}.{}",
        BASE64.encode(aws_lc_rs::hmac::sign(&hmac, signed.as_bytes()))
    );
    let refused = [
        ("expired", key.sign(&header, &with("exp", json!(NOW - 61)))),
        ("without end", key.sign(&header, &without)),
        ("not yet", key.sign(&header, &with("nbf", json!(NOW + 61)))),
        (
            "another issuer",
            key.sign(&header, &with("iss", json!("https://evil.example"))),
        ),
        ("for another service", key.sign(&header, &with("aud", json!("webmail")))),
        ("without address", key.sign(&header, &with("email", Value::Null))),
        (
            "unproven address",
            key.sign(&header, &with("email_verified", json!(false))),
        ),
        ("another key's signature", other.sign(&header, &claims)),
        (
            "an unknown key",
            Key::new("three").sign(&json!({ "alg": "ES256", "kid": "three" }), &claims),
        ),
        ("changed", String::from_utf8(flipped).unwrap()),
        ("unsigned", unsigned),
        ("forged with the public key", forged),
        ("no token", "abc".to_owned()),
        ("empty", String::new()),
        ("dots", "..".to_owned()),
    ];
    for (label, token) in refused {
        assert_eq!(address(&token), None, "{label}");
    }
}

#[test]
fn keys_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let fault = |text: &str| {
        std::fs::write(&file, text).unwrap();
        JwtCheck::open(options(&file)).unwrap_err().to_string()
    };
    assert!(fault("").contains("JSON Web Key Set"));
    assert!(fault("{\"keys\":[]}").contains("holds no key"));
    assert!(fault(&" ".repeat((1 << 20) + 1)).contains("larger than"));
    std::fs::remove_file(&file).unwrap();
    assert!(JwtCheck::open(options(&file)).is_err());
}

/// Says what the test wants.
#[derive(Debug)]
struct Says(&'static str);

impl TokenCheck for Says {
    fn address(&self, token: &str, _now: i64) -> directory::Result<Option<String>> {
        Ok((token == "good").then(|| self.0.to_owned()))
    }
}

#[test]
fn whom_a_token_and_a_certificate_let_in() {
    let (_dir, d) = open(cheap());
    assert!(!d.takes_tokens());
    assert_eq!(d.token_verify(b"good").unwrap(), None);
    let (_dir, d) = open(Options {
        tokens: Some(Arc::new(Says("ADA@phys.example"))),
        ..cheap()
    });
    let (ada, bob) = (add(&d, "ada@phys.example", "x"), add(&d, "bob@phys.example", "x"));
    d.address_add(ada, "lovelace@phys.example").unwrap();
    assert!(d.takes_tokens());
    assert_eq!(d.token_verify(b"good").unwrap(), Some(ada));
    assert_eq!(d.token_verify(b"bad").unwrap(), None);
    assert_eq!(d.token_verify(b"\xff").unwrap(), None);
    let of = |addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
        d.certificate_account(&addresses)
    };
    assert_eq!(of(&["Bob@phys.example"]), Some(bob));
    assert_eq!(
        of(&["ada@elsewhere.example", "ada@phys.example", "lovelace@phys.example"]),
        Some(ada)
    );
    assert_eq!(of(&["ada@phys.example", "bob@phys.example"]), None, "two people's");
    assert_eq!(of(&["nobody@phys.example", "not an address", ""]), None);
    assert_eq!(of(&[]), None);
    for (authzid, may) in [
        (None, true),
        (Some(""), true),
        (Some("lovelace@phys.example"), true),
        (Some("bob@phys.example"), false),
        (Some("ada+x@phys.example"), false),
        (Some("ada"), false),
    ] {
        assert_eq!(d.acts_as(ada, authzid), may, "{authzid:?}");
    }
    d.account_disable(ada).unwrap();
    assert_eq!(d.token_verify(b"good").unwrap(), None);
    assert_eq!(of(&["ada@phys.example"]), None);
}
