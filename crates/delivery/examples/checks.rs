//! What the checks on a message from outside cost, with a DNS whose answers are remembered: processor time of everything that the door does for it
//! between the connection and the `250`, beside SMTP itself and the disk. A message of 10 KB from a client with a name; its sender's domain has SPF with
//! an include, DMARC that wants reports, and one or two signatures.
//!
//!     cargo run --release -p delivery --example checks -- [MESSAGES] [--json]
//!
//! With `--json` a line for `rohrpost-bench table`. The bar is 1 ms.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use authentication::dkim::{Canon, Request, sign};
use authentication::{Heard, Limits, SigningKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use delivery::inspect::{Inspector, Options};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

const DOMAIN: &str = "far.example";
const CLIENT: &str = "192.0.2.5";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let messages: u32 = arguments
        .iter()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(10_000);
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let rsa = SigningKey::from_pkcs8(der.as_ref()).unwrap();
    let ed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let ed = SigningKey::from_pkcs8(ed.as_ref()).unwrap();
    let zone: Vec<(String, u16, String)> = [
        ("far.example", 16, "v=spf1 include:_spf.far.example -all".to_owned()),
        (
            "_spf.far.example",
            16,
            "v=spf1 ip4:198.51.100.0/24 mx ip4:192.0.2.0/24 ~all".to_owned(),
        ),
        ("far.example", 15, "mx.far.example".to_owned()),
        ("mx.far.example", 1, "203.0.113.7".to_owned()),
        (
            "_dmarc.far.example",
            16,
            "v=DMARC1; p=reject; rua=mailto:dmarc@far.example".to_owned(),
        ),
        ("rsa._domainkey.far.example", 16, rsa.record().unwrap()),
        ("ed._domainkey.far.example", 16, ed.record().unwrap()),
        ("5.2.0.192.in-addr.arpa", 12, "mail.far.example".to_owned()),
        ("mail.far.example", 1, CLIENT.to_owned()),
    ]
    .map(|(name, kind, value)| (name.to_owned(), kind, value))
    .to_vec();
    let options = dns::Options {
        servers: vec![name_server(zone)],
        validation: dns::Validation::Off,
        ..dns::Options::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("no signature", vec![]),
        ("RSA-2048", vec![("rsa", &rsa)]),
        ("Ed25519", vec![("ed", &ed)]),
        ("RSA-2048 and Ed25519", vec![("rsa", &rsa), ("ed", &ed)]),
    ];
    for (number, (name, keys)) in cases.iter().enumerate() {
        let database = db::Database::open(
            &folder.path().join(format!("{number}.db")),
            &[sightings::SCHEMA],
            db::Options::default(),
        )
        .unwrap();
        let inspector = {
            let _inside = runtime.enter();
            let mut set = Options::new("mail.phys.example");
            set.reports = true;
            (set.network_rate, set.sender_rate) = (0, 0);
            Arc::new(Inspector::new(
                dns::Resolver::new(&options).unwrap(),
                Arc::new(database),
                set,
            ))
        };
        let message = message(keys);
        let look = async |times: u32| {
            for _ in 0..times {
                let found = inspector
                    .inspect(
                        CLIENT.parse().unwrap(),
                        "mail.far.example",
                        "ada@far.example",
                        "ben@phys.example",
                        &message,
                    )
                    .await;
                let field = found.unwrap();
                let signed = if keys.is_empty() { "dkim=none" } else { "dkim=pass" };
                let all = ["iprev=pass", "spf=pass", "dmarc=pass", signed];
                assert!(
                    all.iter().all(|word| field.contains(word)) && !field.contains("fail"),
                    "{field}"
                );
            }
        };
        runtime.block_on(look(20));
        let before = processor_seconds();
        runtime.block_on(look(messages));
        let each = (processor_seconds() - before) / f64::from(messages) * 1e3;
        if json {
            println!(
                r#"{{"server":"Rohrpost","work":"checks, {name}","figures":{{"processor time, ms a message":{each:.3}}}}}"#
            );
        } else {
            println!(
                "{name}: {each:.3} ms of processor time a message of {} octets",
                message.len()
            );
        }
    }
}

/// 10 KB with signatures by these keys.
fn message(keys: &[(&str, &SigningKey)]) -> Vec<u8> {
    let text = format!(
        "Received: from desk.far.example ([10.0.0.7])\r\n\tby mail.far.example with ESMTPSA id 12345;\r\n\tMon, 2 Nov 2026 09:00:00 +0100\r\n\
         From: Ada <ada@far.example>\r\nTo: Ben <ben@phys.example>\r\nCc: all@phys.example\r\nSubject: the beam time of next week\r\n\
         Date: Mon, 2 Nov 2026 09:00:00 +0100\r\nMessage-ID: <1@far.example>\r\nIn-Reply-To: <0@phys.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nUser-Agent: Letters 3.1\r\n\r\n{}",
        "It would suit us best if the detector were  set up on Tuesday.\r\n".repeat(150)
    );
    let heard = Heard::whole(text.as_bytes(), &Limits::default());
    let mut out = Vec::new();
    for (selector, key) in keys {
        let request = Request {
            domain: DOMAIN,
            selector,
            key,
            time: 1_690_000_000,
            expires: None,
        };
        let body = heard.body(Canon::Relaxed, None).unwrap();
        out.extend(sign(heard.header(), body, &request, &SystemRandom::new()).unwrap());
    }
    out.extend_from_slice(text.as_bytes());
    out
}

/// A name server for these records: name, type (RFC 1035 §3.2.2) and value.
fn name_server(zone: Vec<(String, u16, String)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut asked = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut asked) {
            let asked = &asked[..length];
            let (mut name, mut at) = (String::new(), 12);
            while asked[at] != 0 {
                let end = at + 1 + usize::from(asked[at]);
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(&asked[at + 1..end]).to_ascii_lowercase());
                at = end;
            }
            let kind = u16::from_be_bytes([asked[at + 1], asked[at + 2]]);
            let found: Vec<Vec<u8>> = zone
                .iter()
                .filter(|(known, of, _)| *known == name && *of == kind)
                .map(|(_, _, value)| data(kind, value))
                .collect();
            let known = zone.iter().any(|(known, _, _)| *known == name);
            let mut answer = asked[..2].to_vec();
            answer.extend([
                0x81,
                if known { 0x80 } else { 0x83 },
                0,
                1,
                0,
                found.len() as u8,
                0,
                0,
                0,
                0,
            ]);
            answer.extend_from_slice(&asked[12..at + 5]);
            for data in found {
                // The name is the one that was asked for; a day.
                answer.extend([0xc0, 12]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 1, 0x51, 0x80]);
                answer.extend((data.len() as u16).to_be_bytes());
                answer.extend(data);
            }
            socket.send_to(&answer, client).unwrap();
        }
    });
    address
}

/// A record's data (RFC 1035 §3.3).
fn data(kind: u16, value: &str) -> Vec<u8> {
    let name = || -> Vec<u8> {
        let labels = value
            .split('.')
            .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
        labels.chain([0]).collect()
    };
    match kind {
        1 => value.split('.').map(|octet| octet.parse().unwrap()).collect(),
        15 => [vec![0, 10], name()].concat(),
        16 => value
            .as_bytes()
            .chunks(255)
            .flat_map(|piece| [&[piece.len() as u8], piece].concat())
            .collect(),
        _ => name(),
    }
}

/// What this process has used, in seconds: `proc(5)`, in the 1/100 s that Linux shows.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
