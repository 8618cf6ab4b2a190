//! Our DMARC and ARC beside those of PyPI's authheaders, over made-up mail and, where the corpus is at hand, real mail. Both sides do all of it
//! themselves from the octets on, SPF and DKIM included, with the answers of one zone. Where they differ, [`EXPLAINED`] and
//! [`CHAINS_EXPLAINED`] say why, with the section of the standard; a difference that is not explained there fails, and so does an
//! explanation that nothing needs any more.
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

use authentication::dkim::{self, Canon, Request};
use authentication::dmarc::{self, Policy};
use authentication::results::{Results, Verdict};
use authentication::{Heard, Limits, SigningKey, arc, spf};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Zone, now};
use python::Python;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Later than any signature that is made today.
const NOW: u64 = 4_000_000_000;
/// What may send for every domain of the zone.
const GOOD: &str = "192.0.2.5";
const BAD: &str = "198.51.100.9";

// --- DMARC --------------------------------------------------------------------------------------------------------------------------------

/// Records at `_dmarc.NAME`.
const RECORDS: &str = "
plain.com v=DMARC1; p=reject
quarantine.com v=DMARC1; p=quarantine; sp=none
names.com v=DMARC1; p=none; sp=quarantine; np=reject
strict.com v=DMARC1; p=reject; adkim=s; aspf=s
strictspf.com v=DMARC1; p=quarantine; aspf=s
strictdkim.com v=DMARC1; p=quarantine; adkim=s
none.com v=DMARC1; p=none
pct.com v=DMARC1; p=reject; pct=50
pctzero.com v=DMARC1; p=reject; pct=0
testing.com v=DMARC1; p=quarantine; t=y
own.com v=DMARC1; p=reject
sub.own.com v=DMARC1; p=none
two.com v=DMARC1; p=none
two.com v=DMARC1; p=reject
beside.com some other text
beside.com v=DMARC1; p=reject
unordered.com p=reject; v=DMARC1
lower.com v=dmarc1; p=reject
newer.com v=DMARC2; p=reject
spaces.com v = DMARC1 ; p = reject ;
tight.com v=DMARC1;p=reject;sp=quarantine
capitals.com v=DMARC1; p=Reject; adkim=S; aspf=S
unknown.com v=DMARC1; p=quarantine; fo=1; future=x
wrong.com v=DMARC1; p=maybe
wrongreports.com v=DMARC1; p=maybe; rua=mailto:a@wrongreports.com
missing.com v=DMARC1; sp=reject
wrongsub.com v=DMARC1; p=reject; sp=maybe
broken.com v=DMARC1; p
trailing.com v=DMARC1; p=reject;;
hy-phen.com v=DMARC1; p=reject
co.uk v=DMARC1; p=reject; psd=y
shop.co.uk v=DMARC1; p=quarantine; psd=u
gov.uk v=DMARC1; p=quarantine
github.io v=DMARC1; p=reject
uni.edu v=DMARC1; p=reject
dept.uni.edu v=DMARC1; p=quarantine; psd=n
deep.org v=DMARC1; p=reject
";

/// Author domains: of each organization its own name, one below it, one far below, and one that there is not. Those that are given are by
/// their own.
const ALONE: [&str; 12] = [
    "shop.co.uk",
    "www.shop.co.uk",
    "bare.co.uk",
    "www.bare.co.uk",
    "city.gov.uk",
    "www.city.gov.uk",
    "user.github.io",
    "www.dept.uni.edu",
    "dept.uni.edu",
    "other.uni.edu",
    "a.b.c.d.e.f.g.h.deep.org",
    "down.com",
];
const ORGANIZATIONS: &str = "plain.com quarantine.com names.com strict.com strictspf.com strictdkim.com none.com pct.com pctzero.com \
    testing.com own.com two.com beside.com unordered.com lower.com newer.com spaces.com tight.com capitals.com unknown.com wrong.com \
    wrongreports.com missing.com wrongsub.com broken.com trailing.com nothing.com hy-phen.com";

/// A way to vouch, or not, for a message: SPF of a domain, and signatures of domains. `=` is the author's domain, `^` what is above it, `+`
/// one below, `~` one beside, anything else itself.
struct Way {
    name: &'static str,
    address: &'static str,
    envelope: &'static str,
    signers: &'static [&'static str],
    change: (&'static str, &'static str),
}

const UNCHANGED: (&str, &str) = ("", "");
const WAYS: [Way; 19] = [
    way("nobody", BAD, "esp.net", &[], UNCHANGED),
    way("spf =", GOOD, "=", &[], UNCHANGED),
    way("spf = fails", BAD, "=", &[], UNCHANGED),
    way("spf ^", GOOD, "^", &[], UNCHANGED),
    way("spf +", GOOD, "+", &[], UNCHANGED),
    way("spf ~", GOOD, "~", &[], UNCHANGED),
    way("spf other", GOOD, "esp.net", &[], UNCHANGED),
    way("helo =", GOOD, "", &[], UNCHANGED),
    way("dkim =", BAD, "esp.net", &["="], UNCHANGED),
    way("dkim = capitals", BAD, "esp.net", &["*"], UNCHANGED),
    way("dkim ^", BAD, "esp.net", &["^"], UNCHANGED),
    way("dkim +", BAD, "esp.net", &["+"], UNCHANGED),
    way("dkim ~", BAD, "esp.net", &["~"], UNCHANGED),
    way("dkim other", GOOD, "esp.net", &["esp.net"], UNCHANGED),
    way("dkim = second", GOOD, "esp.net", &["=", "esp.net"], UNCHANGED),
    way("dkim = broken", GOOD, "esp.net", &["="], ("Subject: a", "Subject: b")),
    way("dkim = body", GOOD, "esp.net", &["="], ("hello", "hallo")),
    way(
        "dkim = two From",
        BAD,
        "esp.net",
        &["="],
        ("From:", "From: x@evil.net\r\nFrom:"),
    ),
    way("both", GOOD, "=", &["="], UNCHANGED),
];

const fn way(
    name: &'static str,
    address: &'static str,
    envelope: &'static str,
    signers: &'static [&'static str],
    change: (&'static str, &'static str),
) -> Way {
    Way {
        name,
        address,
        envelope,
        signers,
        change,
    }
}

/// Which of the two ways to find a record authheaders went: `list` is RFC 7489 with the list of public suffixes, `walk` its own reading of
/// the revision.
const MODES: [&str; 2] = ["list", "walk"];

/// What differs, and why: `mode | author's domain | way | here | there | why`. `*` at an end stands for anything.
const EXPLAINED: &str = include_str!("authheaders.txt");

struct Row<'t> {
    pattern: [&'t str; 5],
    used: bool,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [a, b, c, d, e, why] = cells[..] else {
                panic!("{line}");
            };
            assert!(why.contains("RFC ") && why.contains('§'), "no section: {line}");
            Row {
                pattern: [a, b, c, d, e],
                used: false,
            }
        })
        .collect()
}

fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), _) if pattern == "*" => true,
        (Some(end), _) => text.ends_with(end),
        (_, Some(start)) => text.starts_with(start),
        _ => pattern == text,
    }
}

/// Whether a difference is in the table.
fn explained(rows: &mut [Row<'_>], found: [&str; 5]) -> bool {
    let row = rows.iter_mut().find(|row| {
        row.pattern
            .iter()
            .zip(found)
            .all(|(pattern, text)| matches(pattern, text))
    });
    row.map(|row| row.used = true).is_some()
}

fn unneeded(rows: &[Row<'_>]) -> Vec<String> {
    let idle = rows.iter().filter(|row| !row.used);
    idle.map(|row| format!("explained, but nothing needs it: {}", row.pattern.join(" | ")))
        .collect()
}

struct Case {
    /// What stands in the table.
    domain: String,
    way: String,
    address: &'static str,
    sender: String,
    helo: String,
    message: Vec<u8>,
}

impl Case {
    /// What we say of it: SPF, DKIM (of the first signature), and DMARC with the policy that is published for it.
    fn ours(&self, zone: &Zone) -> (String, bool, String, Policy) {
        let limits = Limits::default();
        let heard = Heard::whole(&self.message, &limits);
        let client = spf::Client {
            address: self.address.parse().unwrap(),
            helo: &self.helo,
            receiver: "mail.phys.example",
            now: NOW,
        };
        let spf = now(spf::mail_from(zone, &client, &self.sender, &limits));
        let dkim = now(dkim::verify(zone, &heard, &limits, NOW));
        let dmarc = now(dmarc::verify(zone, heard.header(), Some(&spf), &dkim, &limits));
        let policy = dmarc.policy.map_or("", Policy::name);
        (
            spf.verdict.name().to_owned(),
            dkim.first().is_some_and(|found| found.verdict == Verdict::Pass),
            format!("{} {policy}", dmarc.verdict.name()).trim().to_owned(),
            dmarc.disposition,
        )
    }

    fn question(&self) -> Value {
        json!({"message": STANDARD.encode(&self.message), "address": self.address, "sender": self.sender, "helo": self.helo})
    }
}

fn rsa() -> (SigningKey, String) {
    use aws_lc_rs::encoding::AsDer;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = SigningKey::pem(der.as_ref()).to_string();
    (SigningKey::from_pem(&pem).unwrap(), pem)
}

/// With a signature of each of these, the last on top.
fn signed(message: Vec<u8>, domains: &[String], key: &SigningKey) -> Vec<u8> {
    let mut message = message;
    for domain in domains {
        let heard = Heard::whole(&message, &Limits::default());
        let request = Request {
            domain,
            selector: "k",
            key,
            time: 1_690_000_000,
            expires: None,
        };
        let body = heard.body(Canon::Relaxed, None).unwrap();
        let mut field = dkim::sign(heard.header(), body, &request, &SystemRandom::new()).unwrap();
        field.extend_from_slice(&message);
        message = field;
    }
    message
}

/// A domain that may be sent for from `GOOD`, and that has a key.
fn publish(zone: Zone, known: &mut BTreeSet<String>, domain: &str, record: &str) -> Zone {
    if !known.insert(domain.to_owned()) {
        return zone;
    }
    zone.with(domain, "TXT", "v=spf1 ip4:192.0.2.0/24 -all")
        .with(domain, "A", "192.0.2.80")
        .with(&format!("k._domainkey.{domain}"), "TXT", record)
}

/// Compares, and gives what is not explained.
fn compare(python: &mut Python, zone: &Zone, cases: &[Case], rows: &mut [Row<'_>]) -> Vec<String> {
    let questions: Vec<Value> = cases.iter().map(Case::question).collect();
    let said = python.ask(&json!({"zone": zone.lines(), "verify": questions}));
    let mut differences = Vec::new();
    for (case, theirs) in cases.iter().zip(said["verify"].as_array().unwrap()) {
        let (spf, dkim, dmarc, _) = case.ours(zone);
        let mut differs = |kind: &str, ours: &str, theirs: &str| {
            if ours != theirs && !explained(rows, [kind, &case.domain, &case.way, ours, theirs]) {
                differences.push(format!("{kind} | {} | {} | {ours} | {theirs} |", case.domain, case.way));
            }
        };
        differs("spf", &spf, theirs["spf"].as_str().unwrap());
        let word = |good: bool| if good { "pass" } else { "fail" };
        differs("dkim", word(dkim), word(theirs["dkim"] == "pass"));
        for mode in MODES {
            differs(mode, &dmarc, theirs[mode].as_str().unwrap());
        }
    }
    differences
}

#[test]
fn authheaders_finds_the_same_of_authors() {
    let Some(mut python) = Python::start("others_dmarc.py", "authheaders, dkim, spf, nacl, dns") else {
        return;
    };
    let (key, _) = rsa();
    let record = key.record().unwrap();
    let mut zone = Zone::default().with("_dmarc.down.com", "DOWN", "");
    for line in RECORDS.lines().filter(|line| !line.is_empty()) {
        let (name, text) = line.split_once(' ').unwrap();
        zone = zone.with(&format!("_dmarc.{name}"), "TXT", text);
    }
    // It has a name, but nothing that mail could go to.
    zone = zone.with("text.names.com", "TXT", "nothing else is here");
    let mut known = BTreeSet::new();
    zone = publish(zone, &mut known, "esp.net", &record);
    let mut domains: Vec<String> = ALONE.iter().map(|&name| name.to_owned()).collect();
    for name in ORGANIZATIONS.split_whitespace() {
        domains.extend([name.to_owned(), format!("sub.{name}")]);
        if ["plain.com", "names.com", "quarantine.com"].contains(&name) {
            domains.extend([format!("a.b.{name}"), format!("gone.{name}")]);
        }
    }
    domains.push("text.names.com".to_owned());
    let mut cases = Vec::new();
    for domain in &domains {
        let exists = !domain.starts_with("gone.") && domain != "text.names.com";
        let above = domain.split_once('.').unwrap().1;
        for way in &WAYS {
            let named = |word: &str| match word {
                "=" => domain.clone(),
                "*" => domain.to_uppercase(),
                "^" => above.to_owned(),
                "+" => format!("below.{domain}"),
                "~" => format!("beside.{above}"),
                other => other.to_owned(),
            };
            let envelope = named(way.envelope);
            let signers: Vec<String> = way.signers.iter().map(|word| named(word)).collect();
            let all = signers.iter().map(|name| name.to_lowercase()).chain([envelope.clone()]);
            let all: Vec<String> = all.filter(|name| !name.is_empty()).collect();
            // What is not there cannot vouch, and nobody signs for a suffix.
            if all
                .iter()
                .any(|name| !name.contains('.') || (!exists && name.ends_with(domain.as_str())))
            {
                continue;
            }
            for name in &all {
                zone = publish(zone, &mut known, name, &record);
            }
            if exists {
                zone = publish(zone, &mut known, domain, &record);
            }
            let text = format!(
                "From: Ada <ada@{domain}>\r\nTo: b@c.example\r\nSubject: a\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nhello\r\n \r\n\t\r\n"
            );
            let message = String::from_utf8(signed(text.into_bytes(), &signers, &key)).unwrap();
            cases.push(Case {
                domain: domain.clone(),
                way: way.name.to_owned(),
                address: way.address,
                sender: if envelope.is_empty() {
                    String::new()
                } else {
                    format!("bounces@{envelope}")
                },
                helo: if envelope.is_empty() {
                    domain.clone()
                } else {
                    "mail.esp.net".to_owned()
                },
                message: message.replacen(way.change.0, way.change.1, 1).into_bytes(),
            });
        }
    }
    assert!(cases.len() > 1000, "{}", cases.len());
    let mut rows = rows(EXPLAINED);
    rows.retain(|row| !row.pattern[2].starts_with("real"));
    let mut wrong = compare(&mut python, &zone, &cases, &mut rows);
    wrong.extend(unneeded(&rows));
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );

    // What authheaders has no word for: how much of a policy is followed (RFC 7489 §6.3 `pct`, the revision's `t`).
    let followed = [
        ("plain.com", Policy::Reject),
        ("pct.com", Policy::Reject),
        ("pctzero.com", Policy::Quarantine),
        ("testing.com", Policy::None),
        ("none.com", Policy::None),
    ];
    for (domain, expected) in followed {
        let case = cases
            .iter()
            .find(|case| case.domain == domain && case.way == "nobody")
            .unwrap();
        assert_eq!(case.ours(&zone).3, expected, "{domain}");
    }
}

// --- Real mail ----------------------------------------------------------------------------------------------------------------------------

/// Up to `most` real messages, evenly picked; none where the corpus is not at hand.
fn corpus(most: usize) -> Vec<Vec<u8>> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/corpus/mail.tar.zst"))
        .find(|path| path.exists());
    let Some(archive) = archive else {
        eprintln!("skipped: no shared/corpus/mail.tar.zst beside the repository");
        return Vec::new();
    };
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-I", "zstd", "-xf"])
        .arg(archive)
        .arg("-C")
        .arg(folder.path());
    assert!(tar.status().expect("tar").success(), "tar with zstd");
    let (mut files, mut folders) = (Vec::new(), vec![folder.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    files.sort();
    let step = (files.len() / most).max(1);
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let start = if bytes.starts_with(b"From ") {
            bytes.iter().position(|&b| b == b'\n').unwrap() + 1
        } else {
            0
        };
        let mut out = Vec::with_capacity(bytes.len() * 21 / 20);
        for &byte in bytes[start..].iter().filter(|&&b| b != b'\r') {
            if byte == b'\n' {
                out.push(b'\r');
            }
            out.push(byte);
        }
        out
    };
    files.iter().step_by(step).take(most).map(read).collect()
}

#[test]
fn authheaders_finds_the_same_of_real_mail() {
    let Some(mut python) = Python::start("others_dmarc.py", "authheaders, dkim, spf, nacl, dns") else {
        return;
    };
    let mail = corpus(400);
    if mail.is_empty() {
        return;
    }
    let (key, pem) = rsa();
    let record = key.record().unwrap();
    let limits = Limits::default();
    let (mut zone, mut known, mut cases) = (Zone::default(), BTreeSet::new(), Vec::new());
    zone = publish(zone, &mut known, "esp.net", &record);
    for (number, message) in mail.iter().enumerate() {
        let author = dmarc::authors(Heard::whole(message, &limits).header(), &limits).ok();
        let author = author.and_then(|authors| authors.into_iter().next());
        let (mut signers, mut envelope) = (Vec::new(), "esp.net".to_owned());
        if let Some(author) = &author {
            if !known.contains(author) {
                let policy = ["none", "quarantine", "reject"][known.len() % 3];
                let text = format!("v=DMARC1; p={policy}");
                zone = zone.with(&format!("_dmarc.{author}"), "TXT", &text);
            }
            zone = publish(zone, &mut known, author, &record);
            if number % 2 == 0 {
                signers.push(author.clone());
            }
            if number % 3 == 0 {
                envelope.clone_from(author);
            }
        }
        let fields = mime::fields(Heard::whole(message, &limits).header())
            .filter(|field| field.is("From"))
            .count();
        let kind = match &author {
            None => "real, nobody",
            Some(_) if fields > 1 => "real, two From",
            Some(author) if author.contains('-') => "real, hyphen",
            Some(_) => "real",
        };
        cases.push(Case {
            domain: author.unwrap_or_default(),
            way: kind.to_owned(),
            address: GOOD,
            sender: format!("bounces@{envelope}"),
            helo: "mail.esp.net".to_owned(),
            message: signed(message.clone(), &signers, &key),
        });
    }
    // Those above whom there is another author's domain.
    for case in cases.iter_mut().filter(|case| case.way == "real") {
        let mut above = case.domain.match_indices('.').map(|(dot, _)| &case.domain[dot + 1..]);
        if above.any(|name| known.contains(name)) {
            case.way = "real, below another".to_owned();
        }
    }
    let mut rows = rows(EXPLAINED);
    rows.retain(|row| row.pattern[2].starts_with("real"));
    let mut wrong = compare(&mut python, &zone, &cases, &mut rows);
    wrong.extend(unneeded(&rows));

    // Seals of ours over real mail, read by them; and theirs by us.
    let sealed: Vec<Vec<u8>> = cases
        .iter()
        .step_by(5)
        .map(|case| our_seal(&zone, &case.message, "esp.net", "", &key))
        .collect();
    let theirs = python.ask(&json!({"arc": sealed.iter().map(|m| STANDARD.encode(m)).collect::<Vec<_>>()}));
    for (message, verdict) in sealed.iter().zip(theirs["arc"].as_array().unwrap()) {
        if verdict != "pass" {
            wrong.push(format!(
                "our seal is {verdict} there: {}",
                String::from_utf8_lossy(&message[..message.len().min(3000)])
            ));
        }
    }
    let asked: Vec<Value> = cases
        .iter()
        .step_by(30)
        .map(|case| to_seal(&case.message, "esp.net", "", &pem))
        .collect();
    let theirs = python.ask(&json!({"seal": asked}));
    for message in theirs["seal"].as_array().unwrap() {
        let message = STANDARD.decode(message.as_str().unwrap()).unwrap();
        let found = chain(&zone, &message);
        if found.verdict != Verdict::Pass {
            wrong.push(format!(
                "their seal: {found:?}: {}",
                String::from_utf8_lossy(&message[..message.len().min(3000)])
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

// --- ARC ----------------------------------------------------------------------------------------------------------------------------------

fn chain(zone: &Zone, message: &[u8]) -> arc::Chain {
    let limits = Limits::default();
    now(arc::verify(zone, &Heard::whole(message, &limits), &limits, NOW))
}

/// Asks them for a seal.
fn to_seal(message: &[u8], domain: &str, footer: &str, pem: &str) -> Value {
    json!({"message": STANDARD.encode(message), "domain": domain, "selector": "k", "key": pem, "footer": footer})
}

/// A message with our seal on top; a footer is added after we had looked at it, and before we seal.
fn our_seal(zone: &Zone, message: &[u8], domain: &str, footer: &str, key: &SigningKey) -> Vec<u8> {
    let limits = Limits::default();
    let chain = chain(zone, message);
    let message = [message, footer.as_bytes()].concat();
    let heard = Heard::whole(&message, &limits);
    let mut results = Results::new(domain);
    results.arc(&chain);
    let sealer = arc::Sealer {
        domain,
        selector: "k",
        key,
        time: 1_690_000_000,
    };
    let made = arc::seal(&heard, &results.text(), &chain, &sealer, &limits, &SystemRandom::new());
    let mut out = made.unwrap().unwrap_or_else(|| panic!("{chain:?}"));
    out.extend_from_slice(&message);
    out
}

/// What differs of chains: `arc | who sealed | what was done to it | here | there | why`.
const CHAINS_EXPLAINED: &str = include_str!("authheaders_arc.txt");

/// What is done to a chain: a name, and the change.
type Harm = (&'static str, fn(&str) -> String);

fn first(text: &str, from: &str, to: &str) -> String {
    text.replacen(from, to, 1)
}

/// Without the first field of this name, or with what `with` makes of it.
fn field(text: &str, name: &str, with: impl Fn(&str) -> String) -> String {
    let start = if text.starts_with(name) {
        Some(0)
    } else {
        text.find(&format!("\r\n{name}")).map(|at| at + 2)
    };
    let Some(start) = start else {
        return text.to_owned();
    };
    let mut end = start;
    loop {
        end += text[end..].find("\r\n").unwrap() + 2;
        if !text[end..].starts_with([' ', '\t']) {
            break;
        }
    }
    format!("{}{}{}", &text[..start], with(&text[start..end]), &text[end..])
}

const SEAL: &str = "ARC-Seal:";
const SIGNATURE: &str = "ARC-Message-Signature:";
const RESULTS: &str = "ARC-Authentication-Results:";

const HARMS: [Harm; 28] = [
    ("nothing", str::to_owned),
    ("new trace", |t| format!("Received: by x\r\nX-Other: y\r\n{t}")),
    ("body", |t| first(t, "hello", "hallo")),
    ("body grows", |t| format!("{t}more\r\n")),
    ("white space at the end", |t| format!("{t} \r\n\t\r\n")),
    ("subject", |t| first(t, "Subject: ", "Subject: x")),
    ("second subject", |t| first(t, "Subject: ", "Subject: x\r\nSubject: ")),
    ("folded anew", |t| first(t, "Subject: ", "subject:\r\n  ")),
    ("no seal", |t| field(t, SEAL, |_| String::new())),
    ("no signature", |t| field(t, SIGNATURE, |_| String::new())),
    ("no results", |t| field(t, RESULTS, |_| String::new())),
    ("seal twice", |t| field(t, SEAL, |f| f.repeat(2))),
    ("signature twice", |t| field(t, SIGNATURE, |f| f.repeat(2))),
    ("results twice", |t| field(t, RESULTS, |f| f.repeat(2))),
    ("results changed", |t| {
        field(t, RESULTS, |f| f.replacen("\r\n", " x\r\n", 1))
    }),
    ("last set gone", |t| {
        let t = field(t, SEAL, |_| String::new());
        let t = field(&t, SIGNATURE, |_| String::new());
        field(&t, RESULTS, |_| String::new())
    }),
    ("last seal cv=none", |t| {
        field(t, SEAL, |f| f.replacen("cv=pass", "cv=none", 1))
    }),
    ("last seal cv=fail", |t| {
        field(t, SEAL, |f| {
            f.replacen("cv=pass", "cv=fail", 1).replacen("cv=none", "cv=fail", 1)
        })
    }),
    ("last seal without cv", |t| {
        field(t, SEAL, |f| f.replacen(" cv=", " xv=", 1))
    }),
    ("last seal with h=", |t| {
        field(t, SEAL, |f| f.replacen(": i", ": h=from; i", 1))
    }),
    ("last seal's key not there", |t| {
        field(t, SEAL, |f| f.replacen("s=k", "s=gone", 1))
    }),
    ("last signature's key not there", |t| {
        field(t, SIGNATURE, |f| f.replacen("s=k", "s=gone", 1))
    }),
    ("last seal's domain another", |t| {
        field(t, SEAL, |f| f.replacen("d=", "d=www.", 1))
    }),
    ("last seal's time", |t| field(t, SEAL, |f| f.replacen("t=1", "t=2", 1))),
    ("last seal of SHA-1", |t| {
        field(t, SEAL, |f| f.replacen("rsa-sha256", "rsa-sha1", 1))
    }),
    ("last seal i=0", |t| field(t, SEAL, |f| f.replacen("i=", "i=0; x=", 1))),
    ("last seal far ahead", |t| {
        field(t, SEAL, |f| f.replacen("i=", "i=51; x=", 1))
    }),
    ("last seal's b cut", |t| {
        field(t, SEAL, |f| f.replacen("b=", "b=AAAA", 1))
    }),
];

#[test]
fn authheaders_finds_the_same_of_chains() {
    let Some(mut python) = Python::start("others_dmarc.py", "authheaders, dkim, spf, nacl, dns") else {
        return;
    };
    let (key, pem) = rsa();
    let record = key.record().unwrap();
    let (mut zone, mut known) = (Zone::default(), BTreeSet::new());
    let domains = ["one.com", "two.org", "three.net", "author.com"];
    for domain in domains {
        zone = publish(zone, &mut known, domain, &record);
    }
    python.ask(&json!({"zone": zone.lines()}));
    let bodies = [
        "hello  to \t all\r\n\r\nof you\r\n \r\n\t\r\n",
        "",
        "\r\n \r\n",
        "hello",
    ];
    // Who sealed so far, and the message; each is sealed on by us and by them.
    let mut chains: Vec<(String, Vec<u8>)> = bodies
        .iter()
        .map(|body| {
            let text = format!(
                "From: Ada <ada@author.com>\r\nTo: b@c.example\r\nSubject: of a list\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\
                 Message-ID: <1@author.com>\r\n\r\n{body}"
            );
            (String::new(), signed(text.into_bytes(), &["author.com".to_owned()], &key))
        })
        .collect();
    let mut wrong = Vec::new();
    let mut messages: Vec<(String, &'static str, Vec<u8>)> = Vec::new();
    for (hop, domain) in domains.iter().take(3).enumerate() {
        // The second is a mailing list.
        let footer = if hop == 1 { "_____\r\nthe list\r\n" } else { "" };
        let asked: Vec<Value> = chains
            .iter()
            .map(|(_, message)| to_seal(message, domain, footer, &pem))
            .collect();
        let theirs = python.ask(&json!({"seal": asked}));
        let mut next = Vec::new();
        for ((who, message), theirs) in chains.iter().zip(theirs["seal"].as_array().unwrap()) {
            let Some(theirs) = theirs.as_str() else {
                wrong.push(format!("they would not seal what {who:?} has sealed"));
                continue;
            };
            next.push((format!("{who}we "), our_seal(&zone, message, domain, footer, &key)));
            next.push((format!("{who}they "), STANDARD.decode(theirs).unwrap()));
        }
        for (who, message) in &next {
            for (name, harm) in HARMS {
                let text = String::from_utf8(message.clone()).unwrap();
                let harmed = harm(&text);
                if name == "nothing" || harmed != text {
                    messages.push((who.clone(), name, harmed.into_bytes()));
                }
            }
        }
        chains = next;
    }
    let asked: Vec<String> = messages
        .iter()
        .map(|(_, _, message)| STANDARD.encode(message))
        .collect();
    let said = python.ask(&json!({"arc": asked}));
    let mut rows = rows(CHAINS_EXPLAINED);
    let mut passed = 0;
    for ((who, harm, message), theirs) in messages.iter().zip(said["arc"].as_array().unwrap()) {
        let found = chain(&zone, message);
        let (ours, theirs) = (found.verdict.name(), theirs.as_str().unwrap());
        passed += usize::from(found.verdict == Verdict::Pass);
        if ours != theirs && !explained(&mut rows, ["arc", who.trim(), harm, ours, theirs]) {
            wrong.push(format!("arc | {who}| {harm} | {ours} | {theirs} | {:?}", found.reason));
        }
        if *harm == "nothing" && found.verdict != Verdict::Pass {
            wrong.push(format!("{who}: {found:?}"));
        }
    }
    wrong.extend(unneeded(&rows));
    assert!(messages.len() > 600 && passed > 50, "{passed} of {}", messages.len());
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        messages.len(),
        wrong.join("\n")
    );
}
