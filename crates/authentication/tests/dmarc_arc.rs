//! DMARC over the tree walk, and ARC chains made by us and broken by others.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

mod common;

use authentication::dmarc::{self, Policy};
use authentication::results::{Results, Verdict};
use authentication::{Heard, Limits, SigningKey, arc, dkim, report, spf};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use common::{Zone, now};

fn signature(domain: &str, verdict: Verdict, whole: bool) -> dkim::Verification {
    dkim::Verification {
        verdict,
        domain: domain.to_owned(),
        selector: "s".to_owned(),
        algorithm: "rsa-sha256",
        identity: None,
        b: String::new(),
        reason: None,
        testing: false,
        whole,
    }
}

fn outcome(domain: &str, verdict: Verdict) -> spf::Outcome {
    spf::Outcome {
        verdict,
        identity: spf::Identity::MailFrom,
        domain: domain.to_owned(),
        reason: None,
        explanation: None,
    }
}

const ZONE: &str = "
_dmarc.example.com TXT v=DMARC1; p=reject; sp=quarantine; np=reject
sub.example.com A 192.0.2.1
sub.example.com MX sub.example.com
_dmarc.strict.example TXT v=DMARC1; p=reject; adkim=s; aspf=s
_dmarc.test.example TXT v=DMARC1; p=reject; t=y
_dmarc.none.example TXT v=DMARC1; p=none
_dmarc.two.example TXT v=DMARC1; p=none
_dmarc.two.example TXT v=DMARC1; p=reject
_dmarc.down.example DOWN
_dmarc.uk TXT v=DMARC1; p=reject; psd=y
_dmarc.giant.uk TXT v=DMARC1; p=quarantine; psd=n
_dmarc.long.example TXT v=DMARC1; p=reject
";

#[test]
fn verdicts() {
    let zone = Zone::new(ZONE);
    let none = |d: &str| outcome(d, Verdict::None);
    let pass = |d: &str| outcome(d, Verdict::Pass);
    type Case<'a> = (&'a str, spf::Outcome, Vec<dkim::Verification>, Verdict, Policy);
    let cases: Vec<Case<'_>> = vec![
        (
            "a@example.com",
            pass("example.com"),
            vec![],
            Verdict::Pass,
            Policy::None,
        ),
        (
            "a@example.com",
            pass("bounce.example.com"),
            vec![],
            Verdict::Pass,
            Policy::None,
        ),
        (
            "a@sub.example.com",
            pass("example.com"),
            vec![],
            Verdict::Pass,
            Policy::None,
        ),
        (
            "a@example.com",
            outcome("example.com", Verdict::SoftFail),
            vec![],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@example.com",
            pass("other.example"),
            vec![],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@example.com",
            pass("notexample.com"),
            vec![],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@sub.example.com",
            none("x.example"),
            vec![],
            Verdict::Fail,
            Policy::Quarantine,
        ),
        (
            "a@missing.example.com",
            none("x.example"),
            vec![],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@example.com",
            none("x.example"),
            vec![signature("mail.example.com", Verdict::Pass, true)],
            Verdict::Pass,
            Policy::None,
        ),
        (
            "a@example.com",
            none("x.example"),
            vec![signature("example.com", Verdict::Pass, false)],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@example.com",
            none("x.example"),
            vec![signature("example.com", Verdict::TempError, false)],
            Verdict::TempError,
            Policy::None,
        ),
        (
            "a@example.com",
            none("x.example"),
            vec![signature("x.example", Verdict::Pass, true)],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@example.com",
            outcome("example.com", Verdict::TempError),
            vec![],
            Verdict::TempError,
            Policy::None,
        ),
        (
            "a@strict.example",
            pass("a.strict.example"),
            vec![],
            Verdict::Fail,
            Policy::Reject,
        ),
        (
            "a@strict.example",
            pass("strict.example"),
            vec![],
            Verdict::Pass,
            Policy::None,
        ),
        (
            "a@test.example",
            none("x.example"),
            vec![],
            Verdict::Fail,
            Policy::Quarantine,
        ),
        ("a@none.example", none("x.example"), vec![], Verdict::Fail, Policy::None),
        ("a@two.example", none("x.example"), vec![], Verdict::None, Policy::None),
        (
            "a@nothing.example",
            none("x.example"),
            vec![],
            Verdict::None,
            Policy::None,
        ),
        (
            "a@down.example",
            pass("down.example"),
            vec![],
            Verdict::TempError,
            Policy::None,
        ),
        // Public suffixes: each name below one is an organization of its own.
        ("a@one.uk", pass("two.uk"), vec![], Verdict::Fail, Policy::Reject),
        ("a@one.uk", pass("mail.one.uk"), vec![], Verdict::Pass, Policy::None),
        (
            "a@x.giant.uk",
            none("x.example"),
            vec![],
            Verdict::Fail,
            Policy::Quarantine,
        ),
        ("a@x.giant.uk", pass("y.giant.uk"), vec![], Verdict::Pass, Policy::None),
        // Names too long to be walked label by label.
        (
            "a@a.b.c.d.e.f.g.h.i.j.long.example",
            pass("long.example"),
            vec![],
            Verdict::Pass,
            Policy::None,
        ),
        // The worst of several authors.
        (
            "a@none.example, b@example.com",
            pass("none.example"),
            vec![],
            Verdict::Fail,
            Policy::Reject,
        ),
    ];
    for (from, spf, dkim, verdict, disposition) in cases {
        let header = format!("From: {from}\r\n\r\n");
        let found = now(dmarc::verify(
            &zone,
            header.as_bytes(),
            Some(&spf),
            &dkim,
            &Limits::default(),
        ));
        assert_eq!(
            (found.verdict, found.disposition),
            (verdict, disposition),
            "{from} {spf:?} {dkim:?}: {found:?}"
        );
    }
}

#[test]
fn who_wants_reports() {
    let zone = Zone::new(ZONE).with("example.com._report._dmarc.reports.example", "TXT", "v=DMARC1");
    let wants = |to: &str, domain: &str| {
        let destination = dmarc::Destination {
            address: to.to_owned(),
            limit: None,
        };
        now(dmarc::wants_reports(&zone, domain, &destination, &Limits::default()))
    };
    assert_eq!(wants("x@mail.example.com", "example.com"), Ok(true));
    assert_eq!(wants("x@reports.example", "example.com"), Ok(true));
    assert_eq!(wants("x@reports.example", "none.example"), Ok(false));
    assert!(wants("x@down.example", "none.example").is_err());
}

fn key() -> SigningKey {
    let seed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    SigningKey::from_pkcs8(seed.as_ref()).unwrap()
}

#[test]
fn chains() {
    let keys = [key(), key(), key()];
    let domains = ["one.example", "two.example", "three.example"];
    let mut zone = Zone::default();
    for (key, domain) in keys.iter().zip(domains) {
        zone = zone.with(&format!("k._domainkey.{domain}"), "TXT", &key.record().unwrap());
    }
    let limits = Limits::default();
    let mut message = b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n".to_vec();
    let check = |message: &[u8]| {
        now(arc::verify(
            &zone,
            &Heard::whole(message, &limits),
            &limits,
            2_000_000_000,
        ))
    };
    assert_eq!(check(&message).verdict, Verdict::None);
    for (number, (key, domain)) in keys.iter().zip(domains).enumerate() {
        let heard = Heard::whole(&message, &limits);
        let chain = now(arc::verify(&zone, &heard, &limits, 2_000_000_000));
        let sealer = arc::Sealer {
            domain,
            selector: "k",
            key,
            time: 1_900_000_000,
        };
        let mut results = Results::new(domain);
        results.auth(Verdict::Pass, "a@b.example");
        let mut sealed = arc::seal(&heard, &results.text(), &chain, &sealer, &limits, &SystemRandom::new())
            .unwrap()
            .unwrap();
        sealed.extend_from_slice(&message);
        message = sealed;
        let chain = check(&message);
        assert_eq!(chain.verdict, Verdict::Pass, "{chain:?}");
        assert_eq!((chain.sets as usize, chain.oldest_pass), (number + 1, 0));
        assert_eq!(chain.sealers, domains[..=number]);
        assert_eq!(
            chain.results.as_deref(),
            Some(format!("i={}; {domain};\r\n\tauth=pass smtp.auth=a@b.example", number + 1).as_str())
        );
    }
    let text = String::from_utf8(message).unwrap();
    // A list changes the body and seals again: the seals before hold, their message signatures do not.
    let heard = Heard::whole(text.replace("hello", "changed").as_bytes(), &limits);
    assert_eq!(
        now(arc::verify(&zone, &heard, &limits, 2_000_000_000)).verdict,
        Verdict::Fail
    );
    let broken: &[(&str, &str)] = &[
        ("hello", "hallo"),
        ("Subject: x", "Subject: y"),
        ("cv=none", "cv=pass"),
        ("cv=pass", "cv=fail"),
        ("i=2", "i=4"),
        ("i=3", "i=2"),
        ("i=1", "i=0"),
        ("i=1", "i=51"),
        ("smtp.auth=a@b.example", "smtp.auth=eve@b.example"),
        ("ARC-Authentication-Results: i=2", "X: i=2"),
        ("d=one.example", "d=two.example"),
        ("ARC-Seal: i=3;", "ARC-Seal: i=3; h=from;"),
    ];
    for (from, to) in broken {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let chain = check(changed.as_bytes());
        assert_eq!(chain.verdict, Verdict::Fail, "{from} to {to}");
        let heard = Heard::whole(changed.as_bytes(), &limits);
        let sealer = arc::Sealer {
            domain: "one.example",
            selector: "k",
            key: &keys[0],
            time: 0,
        };
        let again = arc::seal(&heard, "x; none", &chain, &sealer, &limits, &SystemRandom::new()).unwrap();
        assert_eq!(again, None, "a broken chain is not mended");
    }
    let down = zone.clone().with("k._domainkey.one.example", "DOWN", "");
    let heard = Heard::whole(text.as_bytes(), &limits);
    assert_eq!(
        now(arc::verify(&down, &heard, &limits, 2_000_000_000)).verdict,
        Verdict::TempError
    );
}

#[test]
fn reports() {
    let record = dmarc::Record::parse(b"v=DMARC1; p=reject; sp=none; adkim=s").unwrap();
    let reporter = report::Reporter {
        organization: "Physics & \"Friends\"".to_owned(),
        contact: "postmaster@phys.example".to_owned(),
        host: "mail.phys.example".to_owned(),
    };
    let rows = [report::Row {
        source: "2001:db8::1".to_owned(),
        count: 3,
        disposition: Policy::Quarantine,
        reason: Some("a <trusted> list".to_owned()),
        dkim_aligned: false,
        spf_aligned: true,
        header_from: "example.com".to_owned(),
        envelope_from: "bounce.example.com".to_owned(),
        dkim: vec![("list.example".to_owned(), "s".to_owned(), Verdict::Pass)],
        spf: Some(("bounce.example.com".to_owned(), false, Verdict::Pass)),
    }];
    let report = report::Report {
        reporter: &reporter,
        domain: "example.com",
        record: &record,
        begin: 86_400,
        end: 172_799,
        rows: &rows,
    };
    let xml = report.xml();
    // It is well-formed, and nothing in it was taken for markup.
    let mut reader = quick_xml::Reader::from_str(&xml);
    let (mut open, mut elements) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(_) => (open, elements) = (open + 1, elements + 1),
            quick_xml::events::Event::End(_) => open -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((open, elements), (0, 39), "{xml}");
    assert!(
        xml.contains("a &lt;trusted&gt; list") && xml.contains("<source_ip>2001:db8::1</source_ip><count>3</count>")
    );
    let message = report
        .message("r@example.com", "Fri, 2 Jan 1970 00:00:00 +0000", "u1")
        .unwrap();
    let text = String::from_utf8(message).unwrap();
    assert!(text.contains(
        "Subject: Report Domain: example.com Submitter: mail.phys.example Report-ID: <example.com.86400.172799>\r\n"
    ));
    assert!(text.contains("filename=\"mail.phys.example!example.com!86400!172799.xml.gz\""));
}
