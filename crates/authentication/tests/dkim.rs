//! DKIM: the example of RFC 8463, what breaks a signature and what does not, and that what we sign verifies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

mod common;

use authentication::dkim::{Canon, Request, sign, verify};
use authentication::results::Verdict;
use authentication::{Heard, Limits, Listener, SigningKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use common::{RFC8463, RFC8463_ZONE, Zone, now};
use proptest::prelude::*;
use std::sync::OnceLock;

const NOW: u64 = 1_700_000_000;

fn verdicts(zone: &Zone, message: &[u8]) -> Vec<(Verdict, bool, Option<String>)> {
    let limits = Limits::default();
    let heard = Heard::whole(message, &limits);
    now(verify(zone, &heard, &limits, NOW))
        .into_iter()
        .map(|found| (found.verdict, found.whole, found.reason))
        .collect()
}

fn keys() -> &'static [SigningKey; 2] {
    static KEYS: OnceLock<[SigningKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        use aws_lc_rs::encoding::AsDer;
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        let rsa = SigningKey::from_pem(&SigningKey::pem(der.as_ref())).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        [rsa, SigningKey::from_pkcs8(ed.as_ref()).unwrap()]
    })
}

fn zone() -> Zone {
    let mut zone = Zone::default();
    for (selector, key) in ["r", "e"].into_iter().zip(keys()) {
        zone = zone.with(
            &format!("{selector}._domainkey.phys.example"),
            "TXT",
            &key.record().unwrap(),
        );
    }
    zone
}

fn signed(message: &[u8]) -> Vec<u8> {
    let heard = Heard::whole(message, &Limits::default());
    let mut out = Vec::new();
    for (selector, key) in ["r", "e"].into_iter().zip(keys()) {
        let request = Request {
            domain: "phys.example",
            selector,
            key,
            time: NOW - 10,
            expires: Some(NOW + 1000),
        };
        let body = heard.body(Canon::Relaxed, None).unwrap();
        out.extend(sign(heard.header(), body, &request, &SystemRandom::new()).unwrap());
    }
    out.extend_from_slice(message);
    out
}

#[test]
fn the_example_of_the_standard() {
    let pass = (Verdict::Pass, true, None);
    assert_eq!(
        verdicts(&Zone::new(RFC8463_ZONE), RFC8463.as_bytes()),
        [pass.clone(), pass]
    );
}

#[test]
fn what_breaks_a_signature() {
    let zone = Zone::new(RFC8463_ZONE);
    let fine: &[(&str, &str)] = &[
        ("Joe.\r\n\r\n", "Joe.\r\n"),
        ("Joe.\r\n\r\n", "Joe.   \r\n \t \r\n   \r\n"),
        ("We lost the game.  Are", "We  lost the\tgame. Are"),
        ("Subject: Is dinner ready?", "SUBJECT:  Is\r\n dinner\t ready?  "),
        ("From: Joe", "Received: by x\r\nX-New: y\r\nFrom: Joe"),
    ];
    for (from, to) in fine {
        let changed = RFC8463.replacen(from, to, 1);
        assert_ne!(changed, RFC8463);
        for (verdict, _, reason) in verdicts(&zone, changed.as_bytes()) {
            assert_eq!(verdict, Verdict::Pass, "{from:?} to {to:?}: {reason:?}");
        }
    }
    let broken: &[(&str, &str)] = &[
        ("Joe.\r\n\r\n", "Joe!\r\n\r\n"),
        ("Joe.\r\n\r\n", "Joe.\r\n\r\nP. S.\r\n"),
        ("We lost", "\r\nWe lost"),
        ("dinner", "lunch"),
        ("From: Joe", "From: Eve <eve@evil.example>\r\nFrom: Joe"),
        ("\r\nFrom: Joe", "\r\nSubject: x\r\nFrom: Joe"),
        ("\r\nTo: Suzie", "\r\nX: Suzie"),
        ("t=1528637909", "t=1528637908"),
    ];
    for (from, to) in broken {
        let changed = RFC8463.replace(from, to);
        assert_ne!(changed, RFC8463);
        for (verdict, _, _) in verdicts(&zone, changed.as_bytes()) {
            assert_eq!(verdict, Verdict::Fail, "{from:?} to {to:?}");
        }
    }
}

/// Lines of white space only at the end of a body are nothing in relaxed form (RFC 6376 §3.4.4): first white space goes from the ends of lines, then
/// empty lines go from the end of the body. mail-auth before 0.15 did the second only for lines that were empty from the start.
#[test]
fn bodies_that_end_in_lines_of_white_space() {
    let header = "From: a@phys.example\r\nSubject: x\r\n\r\n";
    let ends = [
        "",
        "\r\n",
        " \r\n",
        "\t\r\n \r\n",
        " \t \r\n\r\n  \r\n",
        "\r\n \r\n\r\n\t",
        " ",
    ];
    for body in ["", "hello\r\n", "hello\r\n \r\nthere\r\n"] {
        for made in ends {
            let made = signed(format!("{header}{body}{made}").as_bytes());
            let text = String::from_utf8(made).unwrap();
            let top = text.split("From: a@").next().unwrap();
            for came in ends {
                let came = format!("{top}{header}{body}{came}");
                for (verdict, whole, reason) in verdicts(&zone(), came.as_bytes()) {
                    assert_eq!((verdict, whole), (Verdict::Pass, true), "{came:?}: {reason:?}");
                }
            }
        }
    }
}

#[test]
fn keys_that_are_no_good() {
    let record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let cases = [
        (record.to_owned(), Verdict::Pass),
        (
            record.replace("; p=", "; s=email; t=y; h=sha1:sha256; p="),
            Verdict::Pass,
        ),
        (record.replace("k=ed25519", "k=rsa"), Verdict::PermError),
        (record.replace("DKIM1", "DKIM2"), Verdict::PermError),
        (record.replace("; p=", "; h=sha1; p="), Verdict::PermError),
        (record.replace("; p=", "; s=tlsrpt; p="), Verdict::PermError),
        (record.replace("11qY", "12qY"), Verdict::Fail),
        ("v=DKIM1; k=ed25519; p=".to_owned(), Verdict::PermError),
        ("v=DKIM1; k=ed25519; p=AAAA".to_owned(), Verdict::PermError),
        ("v=DKIM1; k=ed25519".to_owned(), Verdict::PermError),
        ("hello".to_owned(), Verdict::PermError),
    ];
    for (text, expected) in cases {
        let zone = Zone::default().with("brisbane._domainkey.football.example.com", "TXT", &text);
        let found = verdicts(&zone, RFC8463.as_bytes());
        assert_eq!(found[0].0, expected, "{text}: {found:?}");
        assert_eq!(found[1].0, Verdict::PermError);
    }
    let down = Zone::default().with("brisbane._domainkey.football.example.com", "DOWN", "");
    assert_eq!(verdicts(&down, RFC8463.as_bytes())[0].0, Verdict::TempError);
}

#[test]
fn a_body_that_grows_behind_the_signed_part_does_not_count_as_whole() {
    let message = "From: a@phys.example\r\n\r\nhello\r\n";
    let text = String::from_utf8(signed(message.as_bytes())).unwrap();
    assert!(
        verdicts(&zone(), text.as_bytes())
            .iter()
            .all(|(v, whole, _)| *v == Verdict::Pass && *whole)
    );
    // A second From makes the signature fail, because one more than there was is signed.
    let twice = text.replacen("From: a@", "From: eve@evil.example\r\nFrom: a@", 1);
    assert!(
        verdicts(&zone(), twice.as_bytes())
            .iter()
            .all(|(v, _, _)| *v == Verdict::Fail)
    );
}

#[test]
fn signatures_by_the_thousand_cost_ten() {
    let signature = &RFC8463[..RFC8463.find("DKIM-Signature: v=1; a=rsa").unwrap()];
    let many = signature.repeat(5_000) + RFC8463;
    let limits = Limits {
        header: 16 << 20,
        ..Limits::default()
    };
    let heard = Heard::whole(many.as_bytes(), &limits);
    assert_eq!(now(verify(&Zone::new(RFC8463_ZONE), &heard, &limits, NOW)).len(), 10);
}

#[test]
fn private_keys_are_not_shown() {
    for key in keys() {
        assert!(format!("{key:?}").len() < 40);
    }
}

/// Header fields and bodies of any octets that a message can have.
fn messages() -> impl Strategy<Value = (Vec<(String, String)>, Vec<String>)> {
    let name = prop_oneof![
        Just("Subject".to_owned()),
        Just("To".to_owned()),
        Just("List-Id".to_owned()),
        Just("X-Other".to_owned()),
        "[A-Za-z-]{1,12}",
    ];
    let fields = prop::collection::vec((name, "[ \\t]?[!-~ü][ -~\\tü]{0,40}"), 0..8);
    let lines = prop::collection::vec("[ -~\\tü]{0,60}|[ \\t]{0,3}", 0..12);
    (fields, lines)
}

fn write(fields: &[(String, String)], lines: &[String]) -> Vec<u8> {
    let mut out = "From: Ada <ada@phys.example>\r\n".to_owned();
    for (name, value) in fields {
        out += &format!("{name}:{value}\r\n");
    }
    out += "\r\n";
    for line in lines {
        out += line;
        out += "\r\n";
    }
    out.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_verifies_under_the_changes_that_are_allowed((fields, lines) in messages(), cut in any::<prop::sample::Index>()) {
        let message = write(&fields, &lines);
        let out = signed(&message);
        for (verdict, whole, reason) in verdicts(&zone(), &out) {
            prop_assert_eq!(verdict, Verdict::Pass, "{:?}", reason);
            prop_assert!(whole);
        }
        // Lines get white space at their ends, words are set further apart, empty lines follow.
        let text = String::from_utf8(out.clone()).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        let relaxed = format!("X-New: 1\r\n{header}\r\n\r\n{}\r\n \r\n", body.replace(' ', " \t").replace("\r\n", "  \r\n"));
        for (verdict, _, reason) in verdicts(&zone(), relaxed.as_bytes()) {
            prop_assert_eq!(verdict, Verdict::Pass, "{:?}\n{}", reason, relaxed);
        }
        // However it is cut, it is heard alike.
        let at = cut.index(out.len() + 1);
        let mut listener = Listener::new(Limits::default());
        listener.push(&out[..at]);
        listener.push(&out[at..]);
        let heard = listener.finish();
        let limits = Limits::default();
        for found in now(verify(&zone(), &heard, &limits, NOW)) {
            prop_assert_eq!(found.verdict, Verdict::Pass);
        }
    }

    #[test]
    fn what_is_changed_otherwise_fails((fields, lines) in messages(), at in any::<prop::sample::Index>(), octet in b'!'..b'~') {
        let message = write(&fields, &lines);
        let out = signed(&message);
        let start = out.len() - message.len();
        let mut changed = out.clone();
        let place = start + at.index(message.len());
        // Another visible octet in place of a visible one, in a body or in a field that is signed.
        let visible = changed[place].is_ascii_graphic() && changed[place] != octet;
        let text = String::from_utf8_lossy(&message[..place - start]).into_owned();
        let in_body = text.contains("\r\n\r\n");
        let in_from = text.len() > 6 && !text.contains('\n');
        if visible && (in_body || in_from) {
            changed[place] = octet;
            for (verdict, _, _) in verdicts(&zone(), &changed) {
                prop_assert_eq!(verdict, Verdict::Fail);
            }
        }
    }

    #[test]
    fn no_octets_bring_it_down(message in prop::collection::vec(any::<u8>(), 0..400), record in "[ -~]{0,60}") {
        let zone = Zone::default().with("s._domainkey.d.example", "TXT", &record);
        let mut all = b"DKIM-Signature: v=1; a=rsa-sha256; d=d.example; s=s; h=from; bh=AA==; b=AA==;".to_vec();
        all.extend(&message);
        verdicts(&zone, &all);
        verdicts(&zone, &message);
    }
}
