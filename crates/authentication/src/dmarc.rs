//! DMARC (RFC 7489, and its revision RFC 9989): is the domain that people see, in From, the one that SPF or DKIM vouch for;
//! and what does that domain want done if not?
//!
//! Records are found by the revision's tree walk, not by a list of public suffixes that ages. What differs from RFC 7489 by that: `pct` is
//! not followed, except that `pct=0` counts as `t=y`, which is what people write it for; `psd` and `np` are.

use crate::dkim;
use crate::dns::{Dns, Missing};
use crate::message::fields;
use crate::name::{is_within, labels};
use crate::results::Verdict;
use crate::spf;
use crate::tags::Tags;
use crate::{Limits, normal};

/// What is to be done with mail that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Nothing.
    None,
    /// It is to be looked at with suspicion.
    Quarantine,
    /// It is not to be taken.
    Reject,
}

impl Policy {
    fn parse(word: &str) -> Option<Policy> {
        match word {
            word if word.eq_ignore_ascii_case("none") => Some(Policy::None),
            word if word.eq_ignore_ascii_case("quarantine") => Some(Policy::Quarantine),
            word if word.eq_ignore_ascii_case("reject") => Some(Policy::Reject),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }
}

/// A domain's record (RFC 9989 §4.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `p`
    pub policy: Policy,
    /// `sp`: for names below; `p` where it is not given.
    pub subdomains: Policy,
    /// `np`: for names that do not exist; `sp` where it is not given.
    pub nonexistent: Policy,
    /// `adkim=s`
    pub strict_dkim: bool,
    /// `aspf=s`
    pub strict_spf: bool,
    /// `t=y`: only trying.
    pub testing: bool,
    /// `psd`
    psd: Psd,
    /// What it says of policies can be followed. Otherwise it only asks for reports; and where it does not do that either, it is as if the
    /// domain had none (§4.10.1).
    pub followed: bool,
    /// `rua`: where reports go.
    pub reports: Vec<Destination>,
    /// As it was published.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Psd {
    Yes,
    No,
    Unknown,
}

/// Where reports go (RFC 7489 §6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address.
    pub address: String,
    /// The largest report it wants, in octets.
    pub limit: Option<u64>,
}

/// Destinations of one record.
const DESTINATIONS: usize = 5;

impl Record {
    /// Reads a record. `None`: it is none.
    pub fn parse(text: &[u8]) -> Option<Record> {
        let text = std::str::from_utf8(text).ok()?;
        // It must begin with the version; other faults are passed over (§4.7).
        let begin = Tags::parse(text.split(';').next()?)?;
        if begin.value("v") != Some("DMARC1") {
            return None;
        }
        let tags = Tags::lenient(text);
        let reports = tags.value("rua").map(destinations).unwrap_or_default();
        // §4.10.1: without a good `p`, or with a bad `sp` or `np`, the record only asks for reports.
        let said = |name: &str| tags.value(name).map(|word| Policy::parse(word).ok_or(()));
        let policies = (said("p"), said("sp").transpose(), said("np").transpose());
        let (policy, subdomains, nonexistent, followed) = match policies {
            (Some(Ok(policy)), Ok(sp), Ok(np)) => {
                let subdomains = sp.unwrap_or(policy);
                (policy, subdomains, np.unwrap_or(subdomains), true)
            }
            _ => (Policy::None, Policy::None, Policy::None, false),
        };
        let is = |name: &str, word: &str| tags.value(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        Some(Record {
            policy,
            subdomains,
            nonexistent,
            strict_dkim: is("adkim", "s"),
            strict_spf: is("aspf", "s"),
            testing: is("t", "y") || is("pct", "0"),
            psd: match tags.value("psd") {
                Some(word) if word.eq_ignore_ascii_case("y") => Psd::Yes,
                Some(word) if word.eq_ignore_ascii_case("n") => Psd::No,
                _ => Psd::Unknown,
            },
            followed,
            reports,
            text: text.to_owned(),
        })
    }
}

fn destinations(value: &str) -> Vec<Destination> {
    let parse = |uri: &str| {
        let uri = uri.trim();
        let scheme = uri.get(..7)?;
        if !scheme.eq_ignore_ascii_case("mailto:") {
            return None;
        }
        let rest = uri.get(7..)?;
        let (address, limit) = match rest.split_once('!') {
            Some((address, limit)) => (address, Some(octets(limit)?)),
            None => (rest, None),
        };
        let (local, host) = address.rsplit_once('@')?;
        let good = !local.is_empty()
            && normal(host).is_some()
            && address
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"<>,\"\\%()[]:;".contains(&b));
        good.then(|| Destination {
            address: address.to_owned(),
            limit,
        })
    };
    value.split(',').filter_map(parse).take(DESTINATIONS).collect()
}

/// A size: digits and `k`, `m`, `g` or `t`.
fn octets(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|number| number.saturating_mul(factor))
}

/// What came of it for an author's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The verdict: `none`, `pass`, `fail`, `temperror` or `permerror`.
    pub verdict: Verdict,
    /// The author's domain; empty where there is none.
    pub domain: String,
    /// What the domain publishes for such mail.
    pub policy: Option<Policy>,
    /// What it wants done with this message.
    pub disposition: Policy,
    /// SPF passed for a domain of the author's.
    pub spf_aligned: bool,
    /// DKIM passed for a domain of the author's.
    pub dkim_aligned: bool,
    /// The message has several From fields, or names more authors than are looked at: `permerror`.
    pub several_authors: bool,
    /// The record and where it stands.
    pub record: Option<(String, Record)>,
    /// Why it is not `pass`.
    pub reason: Option<String>,
}

impl Verification {
    fn new(verdict: Verdict, domain: &str, reason: Option<String>) -> Verification {
        Verification {
            verdict,
            domain: domain.to_owned(),
            policy: None,
            disposition: Policy::None,
            spf_aligned: false,
            dkim_aligned: false,
            several_authors: false,
            record: None,
            reason,
        }
    }
}

/// Why a message has no authors' domains that could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAuthor {
    /// There is none, or none with a domain.
    Nobody(&'static str),
    /// It has several From fields, or one with too many domains.
    Several(String),
}

impl std::fmt::Display for NoAuthor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoAuthor::Nobody(why) => f.write_str(why),
            NoAuthor::Several(why) => f.write_str(why),
        }
    }
}

/// The domains of a message's authors, in their order. The error says why there are none.
pub fn authors(header: &[u8], limits: &Limits) -> Result<Vec<String>, NoAuthor> {
    let mut from = fields(header).filter(|field| field.is("From"));
    let Some(field) = from.next() else {
        return Err(NoAuthor::Nobody("the message has no From"));
    };
    if from.next().is_some() {
        return Err(NoAuthor::Several("the message has several From fields".to_owned()));
    }
    let value = mime::unfold(field.value);
    let mut domains: Vec<String> = Vec::new();
    for address in mime::addresses(&value, 1000) {
        if let mime::Address::Mailbox(mailbox) = address {
            // An address literal is no domain.
            let host = std::str::from_utf8(&mailbox.host)
                .ok()
                .filter(|host| !host.starts_with('['));
            let domain = host.and_then(normal);
            let domain = domain.ok_or(NoAuthor::Nobody("From names somebody without a domain"))?;
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
    }
    match domains.len() {
        0 => Err(NoAuthor::Nobody("From names nobody")),
        count if count > limits.author_domains => Err(NoAuthor::Several(format!("From names {count} domains"))),
        _ => Ok(domains),
    }
}

/// Checks a message. Where From names several domains, the worst verdict stands.
pub async fn verify<D: Dns>(
    dns: &D,
    header: &[u8],
    spf: Option<&spf::Outcome>,
    dkim: &[dkim::Verification],
    limits: &Limits,
) -> Verification {
    let domains = match authors(header, limits) {
        Ok(domains) => domains,
        Err(reason) => {
            let mut found = Verification::new(Verdict::PermError, "", Some(reason.to_string()));
            found.several_authors = matches!(reason, NoAuthor::Several(_));
            return found;
        }
    };
    let mut worst: Option<Verification> = None;
    for domain in domains {
        let found = verify_domain(dns, &domain, spf, dkim, limits).await;
        let badness = |found: &Verification| {
            let kind = match found.verdict {
                Verdict::Fail => 3,
                Verdict::TempError => 2,
                Verdict::None => 1,
                _ => 0,
            };
            (found.disposition, kind)
        };
        if worst.as_ref().is_none_or(|worst| badness(&found) > badness(worst)) {
            worst = Some(found);
        }
    }
    worst.unwrap_or_else(|| Verification::new(Verdict::PermError, "", None))
}

async fn verify_domain<D: Dns>(
    dns: &D,
    domain: &str,
    spf: Option<&spf::Outcome>,
    dkim: &[dkim::Verification],
    limits: &Limits,
) -> Verification {
    let walk = match walk(dns, domain, limits).await {
        Ok(walk) => walk,
        Err(reason) => return Verification::new(Verdict::TempError, domain, Some(reason)),
    };
    let Some((at, record)) = walk.applicable(domain) else {
        return Verification::new(Verdict::None, domain, None);
    };
    if !record.followed && record.reports.is_empty() {
        return Verification::new(Verdict::None, domain, None);
    }
    let (at, record) = (at.to_owned(), record.clone());
    let organization = walk.organization(domain);
    let mut found = Verification::new(Verdict::Fail, domain, None);
    let mut doubt = None;
    if let Some(spf) = spf {
        match aligned(dns, &spf.domain, domain, &organization, record.strict_spf, limits).await {
            Ok(true) if spf.verdict == Verdict::Pass => found.spf_aligned = true,
            Ok(true) if spf.verdict == Verdict::TempError => doubt = Some(spf.reason.clone().unwrap_or_default()),
            Ok(_) => {}
            Err(reason) if spf.verdict == Verdict::Pass => doubt = Some(reason),
            Err(_) => {}
        }
    }
    for signature in dkim {
        let counts = match signature.verdict {
            Verdict::Pass => signature.whole,
            Verdict::TempError => true,
            _ => false,
        };
        if !counts || found.dkim_aligned {
            continue;
        }
        match aligned(
            dns,
            &signature.domain,
            domain,
            &organization,
            record.strict_dkim,
            limits,
        )
        .await
        {
            Ok(true) if signature.verdict == Verdict::Pass => found.dkim_aligned = true,
            Ok(true) => doubt = Some(signature.reason.clone().unwrap_or_default()),
            Ok(false) => {}
            Err(reason) => doubt = Some(reason),
        }
    }
    let published = if at == domain {
        record.policy
    } else if record.nonexistent != record.subdomains && matches!(dns.mx(domain).await, Err(Missing::NoName)) {
        record.nonexistent
    } else {
        record.subdomains
    };
    found.policy = Some(published);
    if found.spf_aligned || found.dkim_aligned {
        found.verdict = Verdict::Pass;
    } else if let Some(reason) = doubt {
        found.verdict = Verdict::TempError;
        found.reason = Some(reason);
    } else {
        found.reason = Some("neither SPF nor DKIM vouches for the author's domain".to_owned());
        found.disposition = match (published, record.testing) {
            (policy, false) => policy,
            // A domain that is trying out a policy gets the next milder one.
            (Policy::Reject, true) => Policy::Quarantine,
            (_, true) => Policy::None,
        };
    }
    found.record = Some((at, record));
    found
}

/// Whether a domain that was vouched for is the author's (RFC 7489 §3.1).
async fn aligned<D: Dns>(
    dns: &D,
    vouched: &str,
    author: &str,
    organization: &str,
    strict: bool,
    limits: &Limits,
) -> Result<bool, String> {
    if vouched == author {
        return Ok(true);
    }
    // A name outside the author's organization needs no walk of its own.
    if strict || vouched.is_empty() || !is_within(vouched, organization) {
        return Ok(false);
    }
    Ok(walk(dns, vouched, limits).await?.organization(vouched) == organization)
}

/// The organizational domain of a domain.
pub async fn organization<D: Dns>(dns: &D, domain: &str, limits: &Limits) -> Result<String, String> {
    Ok(walk(dns, domain, limits).await?.organization(domain))
}

/// The records on the way up from a domain, from the bottom.
struct Walk(Vec<(String, Record)>);

impl Walk {
    /// The revision §4.10.2: `psd=n` is the organization; what is right below `psd=y` is; otherwise the record highest up.
    fn organization(&self, domain: &str) -> String {
        for (name, record) in &self.0 {
            match record.psd {
                Psd::No => return name.clone(),
                Psd::Yes if name != domain => {
                    let count = labels(name) + 1;
                    return last_labels(domain, count).to_owned();
                }
                _ => {}
            }
        }
        self.0
            .last()
            .map_or_else(|| domain.to_owned(), |(name, _)| name.clone())
    }

    /// The record that counts (§4.10.1): the author's own, or the organization's, or the public suffix's.
    fn applicable(&self, domain: &str) -> Option<(&str, &Record)> {
        let organization = self.organization(domain);
        let at = |wanted: &str| self.0.iter().find(|(name, _)| name == wanted);
        at(domain)
            .or_else(|| at(&organization))
            .or_else(|| self.0.iter().find(|(_, record)| record.psd == Psd::Yes))
            .map(|(name, record)| (name.as_str(), record))
    }
}

/// Walks up from a domain (the revision §4.10).
async fn walk<D: Dns>(dns: &D, domain: &str, limits: &Limits) -> Result<Walk, String> {
    let mut found = Vec::new();
    let mut name = domain;
    for _ in 0..limits.dmarc_steps {
        if let Some(record) = record_at(dns, &format!("_dmarc.{name}")).await? {
            let last = record.psd != Psd::Unknown;
            found.push((name.to_owned(), record));
            if last {
                break;
            }
        }
        let count = labels(name);
        if count == 1 {
            break;
        }
        name = last_labels(name, if count > 8 { 7 } else { count - 1 });
    }
    Ok(Walk(found))
}

/// The one DMARC record of a name; several are none.
async fn record_at<D: Dns>(dns: &D, name: &str) -> Result<Option<Record>, String> {
    match dns.txt(name).await {
        Ok(texts) => {
            let mut records = texts.iter().filter_map(|text| Record::parse(text));
            let first = records.next();
            Ok(first.filter(|_| records.next().is_none()))
        }
        Err(Missing::Later(reason)) => Err(reason),
        Err(_) => Ok(None),
    }
}

/// Whether a destination outside the domain wants its reports (RFC 7489 §7.1). The error says why that cannot be told now.
pub async fn wants_reports<D: Dns>(
    dns: &D,
    domain: &str,
    destination: &Destination,
    limits: &Limits,
) -> Result<bool, String> {
    let Some(host) = destination.address.rsplit_once('@').and_then(|(_, host)| normal(host)) else {
        return Ok(false);
    };
    if organization(dns, &host, limits).await? == organization(dns, domain, limits).await? {
        return Ok(true);
    }
    match dns.txt(&format!("{domain}._report._dmarc.{host}")).await {
        Ok(texts) => Ok(texts.iter().any(|text| Record::parse(text).is_some())),
        Err(Missing::Later(reason)) => Err(reason),
        Err(_) => Ok(false),
    }
}

fn last_labels(name: &str, count: usize) -> &str {
    match name.rmatch_indices('.').nth(count - 1) {
        Some((dot, _)) => name.get(dot + 1..).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let record = Record::parse(
            b"v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:a@b.example!10m , mailto:c@d.example, https://x",
        )
        .unwrap();
        assert_eq!(
            (record.policy, record.subdomains, record.nonexistent),
            (Policy::Reject, Policy::Quarantine, Policy::Quarantine)
        );
        assert!(record.strict_dkim && !record.strict_spf && !record.testing);
        let addresses: Vec<_> = record.reports.iter().map(|d| (d.address.as_str(), d.limit)).collect();
        assert_eq!(addresses, [("a@b.example", Some(10 << 20)), ("c@d.example", None)]);
        for none in ["v=DMARC2; p=none", "p=none; v=DMARC1", "v=dmarc1; p=none", ""] {
            assert_eq!(Record::parse(none.as_bytes()), None, "{none}");
        }
        let read = |text: &str| {
            Record::parse(text.as_bytes()).map(|record| (record.policy, !record.followed && record.reports.is_empty()))
        };
        for bad in ["p=maybe", "p", "sp=reject", "p=reject; sp=maybe", "p=reject; np=maybe"] {
            let bad = format!("v=DMARC1; {bad}");
            assert_eq!(read(&bad), Some((Policy::None, true)), "{bad}");
            let told = format!("{bad}; rua=mailto:a@b.example");
            assert_eq!(read(&told), Some((Policy::None, false)), "{told}");
        }
        for fine in [
            "v=DMARC1;p=reject;;",
            "v = DMARC1 ; p = reject; fo; p=none; x=y",
            "v=DMARC1; rua; p=Reject",
        ] {
            assert_eq!(read(fine), Some((Policy::Reject, false)), "{fine}");
        }
        assert!(Record::parse(b"v=DMARC1; p=reject; pct=0").is_some_and(|r| r.testing));
    }

    #[test]
    fn authors_of_messages() {
        let limits = Limits::default();
        let cases: [(&str, Result<&[&str], ()>); 9] = [
            ("From: a@[192.0.2.1]\r\n", Err(())),
            ("From: Ada <ada@Phys.Example>\r\n", Ok(&["phys.example"])),
            ("From: a@b.example, c@d.example\r\n", Ok(&["b.example", "d.example"])),
            ("From: \"x@evil.example\" <a@b.example>\r\n", Ok(&["b.example"])),
            ("From: a@b\u{fc}cher.example\r\n", Ok(&["xn--bcher-kva.example"])),
            ("From: a@b.example\r\nFrom: c@d.example\r\n", Err(())),
            ("Subject: x\r\n", Err(())),
            ("From: nobody\r\n", Err(())),
            ("From: a@a.a, a@b.b, a@c.c, a@d.d, a@e.e\r\n", Err(())),
        ];
        for (header, expected) in cases {
            let found = authors(header.as_bytes(), &limits).map_err(|_| ());
            assert_eq!(
                found,
                expected.map(|e| e.iter().map(|d| (*d).to_owned()).collect()),
                "{header}"
            );
        }
    }
}
