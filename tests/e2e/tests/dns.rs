//! Our resolver against a real name server with signed zones, and with everything that can be wrong with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dns::{Error, Limits, Options, Resolver, Security, Validation};
use e2e::{NameServer, Zone};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn zones() -> Vec<Zone> {
    let mut many = String::new();
    for n in 0..300 {
        writeln!(many, "many MX {n} mx{n}.many\nmany A 10.0.{}.{}", n / 250, n % 250).unwrap();
    }
    let mut chain = String::new();
    for n in 0..12 {
        writeln!(chain, "hop{n} CNAME hop{}", n + 1).unwrap();
    }
    vec![
        Zone::signed(
            "test",
            "ns A 127.0.0.1\nwild.sub A 10.1.1.1\nalias CNAME mail.signed.test.\n",
        ),
        Zone::signed(
            "signed.test",
            &format!(
                "@ MX 20 b\n@ MX 10 a\n@ MX 10 mail\n@ TXT \"v=spf1 \" \"-all\"\n@ TXT \"\\200\\255\"\nmail A 192.0.2.1\nmail AAAA 2001:db8::1\n\
                 _25._tcp.mail TLSA 3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
                 alias CNAME mail\nout CNAME www.unsigned.test.\ndangling CNAME nothing.signed.test.\nempty CNAME text\ntext TXT \"x\"\n\
                 *.wild A 192.0.2.9\none CNAME two\ntwo CNAME one\nnullmx MX 0 .\n{many}{chain}hop12 A 192.0.2.12\n"
            ),
        ),
        Zone::signed(
            "nsec3.test",
            "@ MX 10 mail\nmail A 192.0.2.3\n*.wild A 192.0.2.9\ndangling CNAME nothing\n",
        )
        .nsec3(),
        Zone::unsigned(
            "unsigned.test",
            "@ MX 10 www\nwww A 192.0.2.2\nback CNAME mail.signed.test.\n",
        ),
        Zone::signed("expired.test", "@ MX 10 mail\nmail A 192.0.2.4\n").expired(),
        Zone::signed("stripped.test", "@ MX 10 mail\nmail A 192.0.2.5\n").stripped(),
        Zone::signed("forged.test", "mail A 192.0.2.6\nother A 192.0.2.7\n").forged("192.0.2.6", "192.0.2.66"),
    ]
}

/// One line that says what came of a question.
async fn ask(resolver: &Resolver, question: &str) -> String {
    fn line<T: std::fmt::Debug>(answer: Result<dns::Answer<T>, Error>, show: impl Fn(&T) -> String) -> String {
        let word = |s: Security| if s.is_secure() { "secure" } else { "insecure" };
        match answer {
            Ok(answer) => {
                let mut records: Vec<_> = answer.records.iter().map(show).collect();
                records.sort();
                format!("{} {} {}", word(answer.security), answer.name, records.join(" "))
            }
            Err(Error::NoName { security, .. }) => format!("no name {}", word(security)),
            Err(Error::NoData { security, .. }) => format!("no data {}", word(security)),
            Err(Error::Bogus { .. }) => "bogus".to_owned(),
            Err(Error::Loop { .. }) => "loop".to_owned(),
            Err(Error::Temporary { .. }) => "temporary".to_owned(),
            Err(e) => format!("{e}"),
        }
    }
    let (kind, name) = question.split_once(' ').unwrap();
    match kind {
        "MX" => line(resolver.mx(name).await, |mx| format!("{}:{}", mx.preference, mx.host)),
        "A" => line(resolver.a(name).await, ToString::to_string),
        "AAAA" => line(resolver.aaaa(name).await, ToString::to_string),
        "TXT" => line(resolver.txt(name).await, |t| {
            format!("{:?}", String::from_utf8_lossy(t))
        }),
        "TLSA" => line(resolver.tlsa(name, 25).await, |t| {
            format!("{}{}{}:{}", t.usage, t.selector, t.matching, t.data.len())
        }),
        "CNAME" => line(resolver.cname(name).await, Clone::clone),
        _ => panic!("{kind}"),
    }
}

const ANSWERS: &[(&str, &str)] = &[
    (
        "MX signed.test",
        "secure signed.test 10:a.signed.test 10:mail.signed.test 20:b.signed.test",
    ),
    (
        "MX SIGNED.test.",
        "secure signed.test 10:a.signed.test 10:mail.signed.test 20:b.signed.test",
    ),
    ("MX nullmx.signed.test", "secure nullmx.signed.test 0:"),
    ("A mail.signed.test", "secure mail.signed.test 192.0.2.1"),
    ("AAAA mail.signed.test", "secure mail.signed.test 2001:db8::1"),
    (
        "TXT signed.test",
        "secure signed.test \"v=spf1 -all\" \"\u{fffd}\u{fffd}\"",
    ),
    ("TLSA mail.signed.test", "secure _25._tcp.mail.signed.test 311:32"),
    ("CNAME alias.signed.test", "secure alias.signed.test mail.signed.test"),
    // Aliases: as secure as the weakest of them.
    ("A alias.signed.test", "secure mail.signed.test 192.0.2.1"),
    ("A alias.test", "secure mail.signed.test 192.0.2.1"),
    ("A out.signed.test", "insecure www.unsigned.test 192.0.2.2"),
    ("A back.unsigned.test", "insecure mail.signed.test 192.0.2.1"),
    ("A dangling.signed.test", "no name secure"),
    ("A dangling.nsec3.test", "no name secure"),
    ("A empty.signed.test", "no data secure"),
    ("A one.signed.test", "loop"),
    ("A hop0.signed.test", "loop"),
    ("A hop6.signed.test", "secure hop12.signed.test 192.0.2.12"),
    // Wildcards.
    ("A x.wild.signed.test", "secure x.wild.signed.test 192.0.2.9"),
    ("A x.wild.nsec3.test", "secure x.wild.nsec3.test 192.0.2.9"),
    ("MX x.wild.signed.test", "no data secure"),
    // What is not there, and is proven not to be.
    ("TLSA a.signed.test", "no name secure"),
    ("MX mail.signed.test", "no data secure"),
    ("MX nothing.signed.test", "no name secure"),
    ("MX sub.test", "no data secure"),
    ("MX nothing.nsec3.test", "no name secure"),
    ("MX mail.nsec3.test", "no data secure"),
    ("TLSA mail.nsec3.test", "no name secure"),
    ("A nothing.example", "no name secure"),
    // Not signed, and proven not to be.
    ("MX unsigned.test", "insecure unsigned.test 10:www.unsigned.test"),
    ("TLSA www.unsigned.test", "no name insecure"),
    ("MX www.unsigned.test", "no data insecure"),
    // Broken or forged.
    ("MX expired.test", "bogus"),
    ("TLSA mail.expired.test", "bogus"),
    ("MX stripped.test", "bogus"),
    ("TLSA mail.stripped.test", "bogus"),
    ("A mail.forged.test", "bogus"),
    ("A other.forged.test", "secure other.forged.test 192.0.2.7"),
    // No names.
    ("A a..b", "\"a..b\" is no name in the DNS"),
    ("A ", "\"\" is no name in the DNS"),
    ("A 192.0.2.77", "insecure 192.0.2.77 192.0.2.77"),
    ("AAAA 192.0.2.77", "no data insecure"),
];

#[test]
fn answers_say_whether_they_can_be_trusted() {
    if !NameServer::available() {
        return;
    }
    let mut server = NameServer::start(&zones());
    let options = Options {
        servers: vec![server.address],
        validation: Validation::On,
        trust_anchor: Some(server.anchor()),
        limits: Limits {
            timeout: Duration::from_secs(1),
            ..Limits::default()
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let resolver = Resolver::new(&options).unwrap();
        let mut wrong = String::new();
        for (question, expected) in ANSWERS {
            let answer = ask(&resolver, question).await;
            if answer != *expected {
                writeln!(wrong, "{question}\n  expected {expected}\n  but      {answer}").unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        // By TCP, and cut to what anybody needs.
        let many = resolver.mx("many.signed.test").await.unwrap();
        assert_eq!(
            (many.records.len(), many.security),
            (Limits::default().records, Security::Secure)
        );

        // Without validation the same zones answer, and nothing is secure.
        let trusting = Resolver::new(&Options {
            validation: Validation::Off,
            ..options.clone()
        })
        .unwrap();
        assert!(ask(&trusting, "MX expired.test").await.starts_with("insecure"));
        assert_eq!(
            ask(&trusting, "A alias.signed.test").await,
            "insecure mail.signed.test 192.0.2.1"
        );
        assert_eq!(ask(&trusting, "A dangling.signed.test").await, "no name insecure");
        // Whose root this is, nobody knows who trusts the real one.
        let auto = Resolver::new(&Options {
            validation: Validation::Auto,
            trust_anchor: None,
            ..options.clone()
        })
        .unwrap();
        assert!(!auto.validates().await);
        assert!(ask(&auto, "MX signed.test").await.starts_with("insecure"));

        // Cut off: what is remembered stays, the rest is a failure and no answer.
        server.stop();
        assert!(ask(&resolver, "MX signed.test").await.starts_with("secure"));
        let began = Instant::now();
        assert_eq!(ask(&resolver, "MX later.signed.test").await, "temporary");
        assert!(began.elapsed() < Duration::from_secs(30));
    });
}
