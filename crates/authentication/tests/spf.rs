//! SPF: one zone, and what each sender and address come to in it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

mod common;

use authentication::Limits;
use authentication::results::Verdict;
use authentication::spf::{Client, helo, mail_from};
use common::{SPF_ZONE as ZONE, Zone, now};

#[test]
fn verdicts() {
    use Verdict::{Fail, Neutral, None as Nothing, Pass, PermError, SoftFail, TempError};
    let zone = Zone::new(ZONE);
    let cases = [
        // RFC 7208 appendix A.1, A.2.
        ("192.0.2.129", "a@example.com", Pass),
        ("192.0.2.130", "a@example.com", Pass),
        ("192.0.2.64", "a@example.com", Pass),
        ("192.0.2.80", "a@example.com", Fail),
        ("::ffff:192.0.2.129", "a@example.com", Pass),
        ("2001:db8::129", "a@example.com", Pass),
        ("2001:db8::130", "a@example.com", Fail),
        ("192.0.2.1", "a@soft.example.com", Pass),
        ("198.51.100.1", "a@soft.example.com", SoftFail),
        ("192.0.2.1", "a@two.example.com", PermError),
        ("192.0.2.1", "a@other.example.com", Neutral),
        ("192.0.2.1", "a@broken.example.com", PermError),
        ("192.0.2.129", "a@redirect.example.com", Pass),
        ("192.0.2.1", "a@redirect.example.com", Fail),
        ("192.0.2.1", "a@nowhere.example.com", PermError),
        ("192.0.2.1", "a@include.example.com", Pass),
        ("198.51.100.1", "a@include.example.com", Fail),
        ("192.0.2.1", "a@includenone.example.com", PermError),
        ("192.0.2.1", "a@includebroken.example.com", PermError),
        ("192.0.2.1", "a@includedown.example.com", TempError),
        ("192.0.2.1", "a@down.example.com", TempError),
        ("192.0.2.1", "a@missing.example.com", Nothing),
        ("192.0.2.1", "a@localhost", Nothing),
        ("192.0.2.1", "a@a..b.example", Nothing),
        ("192.0.2.1", "a@[192.0.2.1]", Nothing),
        ("192.0.2.1", "strong-bad@exists.example.com", Fail),
        ("192.0.2.1", "bad-strong@exists.example.com", Pass),
        ("192.0.2.1", "bad@exists.example.com", Pass),
        ("192.0.2.20", "a@ptr.example.com", Pass),
        ("192.0.2.21", "a@ptr.example.com", Fail),
        ("192.0.2.20", "a@p.example.com", Pass),
        ("192.0.2.21", "a@p.example.com", Pass),
        ("192.0.2.1", "a@loop.example.com", PermError),
        ("192.0.2.1", "a@ten.example.com", Pass),
        ("192.0.2.1", "a@eleven.example.com", PermError),
        ("192.0.2.1", "a@void2.example.com", Pass),
        ("192.0.2.1", "a@void3.example.com", PermError),
        ("2001:db8:ffff::1", "a@v6.example.com", Pass),
        ("2001:db9::1", "a@v6.example.com", Fail),
        ("192.0.2.129", "a@v6.example.com", Pass),
        ("192.0.2.1", "a@manymx.example.com", PermError),
        ("192.0.2.1", "a@noall.example.com", Neutral),
        ("192.0.2.1", "a@case.example.com", Pass),
        ("192.0.2.2", "a@case.example.com", Fail),
        ("192.0.2.1", "a@unknownmod.example.com", Pass),
        ("192.0.2.129", "a@EXAMPLE.com", Pass),
        // The null path stands for the name in HELO (§2.4).
        ("192.0.2.1", "", Pass),
        ("192.0.2.2", "", Fail),
    ];
    for (address, sender, expected) in cases {
        let client = Client {
            address: address.parse().unwrap(),
            helo: "mail.host.example",
            receiver: "mail.phys.example",
            now: 0,
        };
        let outcome = now(mail_from(&zone, &client, sender, &Limits::default()));
        assert_eq!(outcome.verdict, expected, "{address} {sender}: {outcome:?}");
    }
}

#[test]
fn explanations() {
    let zone = Zone::new(ZONE);
    let client = Client {
        address: "192.0.2.1".parse().unwrap(),
        helo: "example.com",
        receiver: "mail.phys.example",
        now: 0,
    };
    let explain = |sender: &str| now(mail_from(&zone, &client, sender, &Limits::default())).explanation;
    assert_eq!(
        explain("a@exp.example.com").as_deref(),
        Some("192.0.2.1 is not one of exp.example.com's hosts")
    );
    assert_eq!(explain("a@expinc.example.com"), None);
    assert_eq!(explain("a@example.com"), None);
    assert_eq!(now(helo(&zone, &client, &Limits::default())).verdict, Verdict::Fail);
}
