//! What the checks on a message cost, with a DNS that answers at once: `cargo run --release -p authentication --example speed`.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use authentication::{Heard, Limits, Listener, arc, dkim, dmarc, spf};
use common::{RFC8463, RFC8463_ZONE, Zone, now};
use std::time::Instant;

fn main() {
    let zone = Zone::new(RFC8463_ZONE)
        .with("football.example.com", "TXT", "v=spf1 mx ip4:192.0.2.0/24 -all")
        .with("football.example.com", "MX", "mail.football.example.com")
        .with("mail.football.example.com", "A", "192.0.2.9")
        .with("_dmarc.football.example.com", "TXT", "v=DMARC1; p=reject");
    let limits = Limits::default();
    let client = spf::Client {
        address: "192.0.2.1".parse().expect("address"),
        helo: "mail.football.example.com",
        receiver: "mail.phys.example",
        now: 0,
    };
    let large = format!(
        "{RFC8463}{}",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab\r\n".repeat(160)
    );
    for (name, message) in [
        ("small, two signatures", RFC8463.to_owned()),
        ("10 KB, body changed", large),
    ] {
        let rounds = 2_000u32;
        let start = Instant::now();
        let mut passed = 0;
        for _ in 0..rounds {
            let mut listener = Listener::new(limits.clone());
            listener.push(message.as_bytes());
            let heard: Heard = listener.finish();
            let spf = now(spf::mail_from(&zone, &client, "joe@football.example.com", &limits));
            let dkim = now(dkim::verify(&zone, &heard, &limits, 1_700_000_000));
            let dmarc = now(dmarc::verify(&zone, heard.header(), Some(&spf), &dkim, &limits));
            let arc = now(arc::verify(&zone, &heard, &limits, 1_700_000_000));
            passed += u32::from(dmarc.verdict == authentication::results::Verdict::Pass && arc.sets == 0);
        }
        let each = start.elapsed() / rounds;
        println!("{name}: {each:?} a message ({passed} of {rounds} pass)");
    }
}
