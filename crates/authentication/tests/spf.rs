//! SPF: one zone, and what each sender and address come to in it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

mod common;

use authentication::Limits;
use authentication::results::Verdict;
use authentication::spf::{Client, helo, mail_from};
use common::{Zone, now};

const ZONE: &str = "
example.com TXT v=spf1 +mx a:colo.example.com/28 -all
example.com MX mail-a.example.com
example.com MX mail-b.example.com
example.com A 192.0.2.10
mail-a.example.com A 192.0.2.129
mail-a.example.com AAAA 2001:db8::129
mail-b.example.com A 192.0.2.130
colo.example.com A 192.0.2.65
soft.example.com TXT v=spf1 ip4:192.0.2.0/24 ~all
two.example.com TXT v=spf1 -all
two.example.com TXT v=spf1 +all
other.example.com TXT some other text
other.example.com TXT v=spf1 ?all
broken.example.com TXT v=spf1 ip4:192.0.2 -all
redirect.example.com TXT v=spf1 redirect=example.com
nowhere.example.com TXT v=spf1 redirect=missing.example.com
include.example.com TXT v=spf1 include:soft.example.com include:example.com -all
includenone.example.com TXT v=spf1 include:missing.example.com -all
includebroken.example.com TXT v=spf1 include:broken.example.com -all
includedown.example.com TXT v=spf1 include:down.example.com -all
down.example.com DOWN
exists.example.com TXT v=spf1 exists:%{ir}.%{l1r-}._spf.%{d} -all
1.2.0.192.bad._spf.exists.example.com A 127.0.0.2
ptr.example.com TXT v=spf1 ptr -all
192.0.2.20 PTR mail.ptr.example.com
192.0.2.20 PTR liar.ptr.example.com
192.0.2.21 PTR liar.ptr.example.com
mail.ptr.example.com A 192.0.2.20
liar.ptr.example.com A 192.0.2.99
p.example.com TXT v=spf1 exists:%{p}.ok.example.com -all
mail.ptr.example.com.ok.example.com A 127.0.0.2
unknown.ok.example.com A 127.0.0.2
loop.example.com TXT v=spf1 include:loop.example.com -all
ten.example.com TXT v=spf1 a:l1.example.com a:l2.example.com a:l3.example.com a:l4.example.com a:l5.example.com a:l6.example.com a:l7.example.com a:l8.example.com a:l9.example.com a:l10.example.com ip4:192.0.2.1 -all
eleven.example.com TXT v=spf1 a:l1.example.com a:l2.example.com a:l3.example.com a:l4.example.com a:l5.example.com a:l6.example.com a:l7.example.com a:l8.example.com a:l9.example.com a:l10.example.com a:l11.example.com ip4:192.0.2.1 -all
l1.example.com A 198.51.100.1
l2.example.com A 198.51.100.1
l3.example.com A 198.51.100.1
l4.example.com A 198.51.100.1
l5.example.com A 198.51.100.1
l6.example.com A 198.51.100.1
l7.example.com A 198.51.100.1
l8.example.com A 198.51.100.1
l9.example.com A 198.51.100.1
l10.example.com A 198.51.100.1
l11.example.com A 198.51.100.1
void2.example.com TXT v=spf1 a:v1.example.com a:v2.example.com ip4:192.0.2.1 -all
void3.example.com TXT v=spf1 a:v1.example.com a:v2.example.com mx:v3.example.com ip4:192.0.2.1 -all
v6.example.com TXT v=spf1 ip6:2001:db8::/32 a:mail-a.example.com//64 -all
manymx.example.com TXT v=spf1 mx -all
manymx.example.com MX m1.example.com
manymx.example.com MX m2.example.com
manymx.example.com MX m3.example.com
manymx.example.com MX m4.example.com
manymx.example.com MX m5.example.com
manymx.example.com MX m6.example.com
manymx.example.com MX m7.example.com
manymx.example.com MX m8.example.com
manymx.example.com MX m9.example.com
manymx.example.com MX m10.example.com
manymx.example.com MX m11.example.com
exp.example.com TXT v=spf1 exp=why.example.com -all
why.example.com TXT %{i} is not one of %{d}'s hosts
expinc.example.com TXT v=spf1 include:exp.example.com exp=bad.example.com -all
bad.example.com TXT %{x} cannot be
noall.example.com TXT v=spf1 ip4:198.51.100.1
case.example.com TXT V=SPF1 IP4:192.0.2.1 -ALL
unknownmod.example.com TXT v=spf1 foo=bar ip4:192.0.2.1 -all
mail.host.example TXT v=spf1 ip4:192.0.2.1 -all
";

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
