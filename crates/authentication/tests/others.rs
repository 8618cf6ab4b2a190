//! Our verdicts beside those of other people's code, over made-up mail: PyPI's pyspf and dkimpy. Where they differ, the table of this file
//! says why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs
)]

mod common;
#[path = "common/python.rs"]
mod python;

use authentication::dkim::{Canon, Request, sign, verify};
use authentication::results::{Results, Verdict};
use authentication::{Heard, Limits, SigningKey, arc, spf};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{RFC8463, RFC8463_ZONE, SPF_ZONE, Zone, now};
use python::Python;
use serde_json::json;

/// Later than any signature that is made today.
const NOW: u64 = 4_000_000_000;

fn messages() -> Vec<String> {
    let headers = [
        "From: Ada <ada@phys.example>\r\nSubject: plain\r\nTo: b@c.example\r\n",
        "from:ada@phys.example\r\nSUBJECT:  two  words\t\r\n\tfolded  \r\nTo: b@c.example\r\n",
        "Received: by x\r\nFrom: ada@phys.example\r\nSubject:\r\nSubject: twice\r\nTo: a@b.example,\r\n c@d.example\r\n",
        "From: \"Ä\" <ada@phys.example>\r\nSubject: grün\r\nX-Empty:\r\nTo: b@c.example\r\n",
    ];
    let bodies = [
        "hello\r\n",
        "",
        "\r\n\r\n",
        "a\r\n \r\n\t\r\n",
        "a  b\t c \r\n\r\n d\r\n\r\n\r\n",
        " leading\r\n\r\n  \r\nmiddle   \r\n   \r\n",
        "grün\r\n.\r\n..\r\n",
    ];
    headers
        .iter()
        .flat_map(|header| bodies.iter().map(move |body| format!("{header}\r\n{body}")))
        .collect()
}

fn passes(zone: &Zone, message: &[u8]) -> Vec<bool> {
    let limits = Limits::default();
    let heard = Heard::whole(message, &limits);
    let found = now(verify(zone, &heard, &limits, NOW));
    found.iter().map(|found| found.verdict == Verdict::Pass).collect()
}

#[test]
fn others_say_the_same() {
    let Some(mut python) = Python::start("others.py", "dkim, spf, nacl, dns") else {
        return;
    };
    use aws_lc_rs::encoding::AsDer;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = SigningKey::pem(der.as_ref()).to_string();
    let rsa = SigningKey::from_pem(&pem).unwrap();
    let ed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let ed = SigningKey::from_pkcs8(ed.as_ref()).unwrap();
    let zone = Zone::new(&format!("{SPF_ZONE}{RFC8463_ZONE}"))
        .with("py._domainkey.phys.example", "TXT", &rsa.record().unwrap())
        .with("r._domainkey.phys.example", "TXT", &rsa.record().unwrap())
        .with("e._domainkey.phys.example", "TXT", &ed.record().unwrap());
    let limits = Limits::default();

    // Senders: every domain of the zone from a handful of addresses.
    let mut domains: Vec<&str> = zone.lines().iter().map(|(name, _, _)| name.as_str()).collect();
    domains.retain(|name| name.ends_with("example.com") && !name.starts_with('_') && !name.contains("_spf"));
    domains.sort_unstable();
    domains.dedup();
    let addresses = [
        "192.0.2.1",
        "192.0.2.20",
        "192.0.2.129",
        "198.51.100.1",
        "2001:db8::129",
        "2001:db9::1",
    ];
    let mut senders = Vec::new();
    for domain in domains {
        for address in addresses {
            senders.push((address, format!("bad@{domain}"), "mail.host.example"));
        }
    }

    // Signatures of ours, sound and damaged, and the standard's.
    let mut ours: Vec<Vec<u8>> = Vec::new();
    let mut sealed: Vec<Vec<u8>> = Vec::new();
    for text in messages() {
        let heard = Heard::whole(text.as_bytes(), &limits);
        let body = heard.body(Canon::Relaxed, None).unwrap();
        let mut message = Vec::new();
        for (selector, key) in [("r", &rsa), ("e", &ed)] {
            let request = Request {
                domain: "phys.example",
                selector,
                key,
                time: 1_690_000_000,
                expires: None,
            };
            message.extend(sign(heard.header(), body, &request, &SystemRandom::new()).unwrap());
        }
        message.extend_from_slice(text.as_bytes());
        for (from, to) in [
            ("", ""),
            ("To: ", "To:  "),
            ("To: ", "To: x"),
            ("hello", "hallo"),
            ("c@d", "e@f"),
        ] {
            let changed = String::from_utf8(message.clone()).unwrap().replacen(from, to, 1);
            ours.push(changed.into_bytes());
        }
        let chain = now(arc::verify(&zone, &heard, &limits, NOW));
        let sealer = arc::Sealer {
            domain: "phys.example",
            selector: "r",
            key: &rsa,
            time: 1_690_000_000,
        };
        let results = Results::new("phys.example").text();
        let set = arc::seal(&heard, &results, &chain, &sealer, &limits, &SystemRandom::new())
            .unwrap()
            .unwrap();
        for (from, to) in [
            ("", ""),
            ("To: ", "To: x"),
            ("i=1", "i=2"),
            ("hello", "hallo"),
            ("none\r\n", "x\r\n"),
        ] {
            let changed = format!("{}{text}", String::from_utf8(set.clone()).unwrap()).replacen(from, to, 1);
            sealed.push(changed.into_bytes());
        }
    }
    for (from, to) in [
        ("", ""),
        ("dinner", "lunch"),
        ("game.  Are", "game. Are"),
        ("Joe.\r\n", "Joe. \r\n \r\n"),
        ("d=", "d=x"),
    ] {
        ours.push(RFC8463.replacen(from, to, 1).into_bytes());
    }

    // Signatures of theirs.
    let mut wanted = Vec::new();
    for text in messages() {
        for canon in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
            for length in [false, true] {
                wanted.push(json!({"message": STANDARD.encode(&text), "canon": canon, "length": length}));
            }
        }
    }
    let pack = |messages: &[Vec<u8>]| messages.iter().map(|m| STANDARD.encode(m)).collect::<Vec<_>>();
    let said = python.ask(
        &json!({"zone": zone.lines(), "spf": senders, "dkim": pack(&ours), "arc": pack(&sealed), "sign": wanted, "key": pem}),
    );

    let mut differences = Vec::new();
    for ((address, sender, helo), theirs) in senders.iter().zip(said["spf"].as_array().unwrap()) {
        let client = spf::Client {
            address: address.parse().unwrap(),
            helo,
            receiver: "mail.phys.example",
            now: NOW,
        };
        let found = now(spf::mail_from(&zone, &client, sender, &limits));
        if found.verdict.name() != theirs.as_str().unwrap() {
            differences.push(format!(
                "spf {address} {sender}: {} here, {theirs} there",
                found.verdict.name()
            ));
        }
    }
    for (message, theirs) in ours.iter().zip(said["dkim"].as_array().unwrap()) {
        let theirs: Vec<bool> = serde_json::from_value(theirs.clone()).unwrap();
        let found = passes(&zone, message);
        if found != theirs {
            differences.push(format!(
                "dkim {found:?} here, {theirs:?} there: {}",
                String::from_utf8_lossy(message)
            ));
        }
    }
    for (message, theirs) in sealed.iter().zip(said["arc"].as_array().unwrap()) {
        let found = now(arc::verify(&zone, &Heard::whole(message, &limits), &limits, NOW));
        if found.verdict.name() != theirs.as_str().unwrap() {
            differences.push(format!(
                "arc {found:?} here, {theirs} there: {}",
                String::from_utf8_lossy(message)
            ));
        }
    }
    for (message, asked) in said["signed"].as_array().unwrap().iter().zip(&wanted) {
        let message = STANDARD.decode(message.as_str().unwrap()).unwrap();
        if passes(&zone, &message) != [true] {
            differences.push(format!(
                "signed there {asked}, not good here: {}",
                String::from_utf8_lossy(&message)
            ));
        }
    }
    let cases = senders.len() + ours.len() + sealed.len() + wanted.len();
    assert!(cases > 500, "{cases}");
    assert!(
        differences.is_empty(),
        "{} of {cases}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
