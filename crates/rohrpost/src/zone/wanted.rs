//! The records that a zone must hold, worked out of the settings and of what lies in the data directory. Nobody is asked.

use super::{Facts, Service};
use delivery::KeyState;
use std::fmt::Write as _;
use std::net::IpAddr;

/// How much depends on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Makes things better.
    Optional,
    /// Without it, other servers doubt the mail.
    Advised,
    /// Without it, mail does not flow.
    Needed,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Kind {
    A,
    Aaaa,
    Ptr,
    Mx,
    Txt,
    Cname,
    Srv,
    Tlsa,
}

impl Kind {
    /// As it stands in a zone file.
    pub fn name(self) -> &'static str {
        match self {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Ptr => "PTR",
            Kind::Mx => "MX",
            Kind::Txt => "TXT",
            Kind::Cname => "CNAME",
            Kind::Srv => "SRV",
            Kind::Tlsa => "TLSA",
        }
    }
}

/// What is to be found where a record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Addresses of this family, ours among them where we know it.
    Addresses,
    /// A mail exchanger that is us.
    Exchanger,
    /// Mail from our addresses passes SPF.
    Spf,
    /// The public half of a key.
    Key,
    /// There is no key to publish.
    NoKey,
    /// A DMARC policy, here or above.
    Dmarc,
    /// An MTA-STS record with our policy's id.
    StsId,
    /// A policy that nobody serves is not announced.
    NoSts,
    /// A TLSRPT record.
    TlsReports,
    /// A name that leads to us.
    Alias,
    /// A service at our port.
    Service(Service),
    /// The hash of our key.
    Tlsa,
}

/// A record that a zone must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it stands; no dot at the end.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// What it holds, as in a zone file, with texts unquoted. Empty: whoever runs the host knows.
    pub value: String,
    /// How much depends on it.
    pub level: Level,
    /// Why it matters.
    pub why: &'static str,
    /// What is to be found.
    pub test: Test,
}

impl Wanted {
    /// Its line in a zone file; where we don't know what it holds, as a comment.
    pub fn line(&self, wide: usize) -> String {
        let name = format!("{}.", self.name);
        match (self.kind, self.value.is_empty()) {
            (_, true) => format!("; {name:wide$}  {:5}  (the address of this host)", self.kind.name()),
            (Kind::Txt, _) => format!("{name:wide$}    {:5}  {}", self.kind.name(), quoted(&self.value)),
            _ => format!("{name:wide$}    {:5}  {}", self.kind.name(), self.value),
        }
    }
}

/// A text as a zone file holds it: in pieces of at most 255 octets (RFC 1035 §3.3.14).
pub fn quoted(text: &str) -> String {
    let mut all = String::new();
    for piece in text.as_bytes().chunks(250) {
        let piece = String::from_utf8_lossy(piece)
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        let _ = write!(all, "{}\"{piece}\"", if all.is_empty() { "" } else { " " });
    }
    all
}

/// What the host's own zone must hold.
pub fn of_host(facts: &Facts) -> Vec<Wanted> {
    let host = &facts.hostname;
    let mut all = Vec::new();
    let of_family = |v4: bool| {
        let mut own = facts.addresses.iter().filter(move |a| a.is_ipv4() == v4);
        own.next().map(IpAddr::to_string)
    };
    all.push(
        record(host, Kind::A, of_family(true).unwrap_or_default())
            .needed(Test::Addresses, "Other servers bring mail to this address."),
    );
    all.push(
        record(host, Kind::Aaaa, of_family(false).unwrap_or_default())
            .optional(Test::Addresses, "Servers that have IPv6 only reach us by it."),
    );
    // Where the host is a mail domain of its own, that has the record.
    if !facts.domains.iter().any(|domain| domain.name == *host) {
        all.push(record(host, Kind::Txt, "v=spf1 a -all").optional(
            Test::Spf,
            "Bounces have no sender: of those, servers check the name we greet with (RFC 7208 §2.3).",
        ));
    }
    if let Some(hash) = &facts.key_hash
        && facts.offers(Service::Smtp)
    {
        all.push(
            record(format!("_25._tcp.{host}"), Kind::Tlsa, format!("3 1 1 {hash}")).optional(
                Test::Tlsa,
                "In a zone that is signed (DNSSEC), nobody between can listen or pretend to be us (DANE, RFC 7672).",
            ),
        );
    }
    all
}

/// What a mail domain's zone must hold.
pub fn of_domain(facts: &Facts, domain: &super::Domain) -> Vec<Wanted> {
    let (name, host) = (&domain.name, &facts.hostname);
    let exchanger = record(name, Kind::Mx, format!("10 {host}."));
    let senders = record(name, Kind::Txt, "v=spf1 mx -all");
    let mut all = vec![
        exchanger.needed(Test::Exchanger, "Mail for the domain goes where it says (RFC 5321 §5)."),
        senders.advised(
            Test::Spf,
            "It says which hosts may send for the domain (SPF). Without it, large providers refuse mail or put it into spam.",
        ),
    ];
    keys(domain, &mut all);
    all.push(
        record(
            format!("_dmarc.{name}"),
            Kind::Txt,
            format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{name}"),
        )
        .advised(
            Test::Dmarc,
            "It says what to do with mail that only pretends to be the domain's (DMARC).",
        ),
    );
    match &facts.policy {
        Some(policy) => {
            all.push(
                record(
                    format!("_mta-sts.{name}"),
                    Kind::Txt,
                    format!("v=STSv1; id={}", policy.id()),
                )
                .optional(
                    Test::StsId,
                    "It announces the policy that mail to us must be encrypted (MTA-STS, RFC 8461).",
                ),
            );
            all.push(alias(
                "mta-sts",
                name,
                host,
                "Servers fetch the MTA-STS policy from this name.",
            ));
        }
        None => all.push(record(format!("_mta-sts.{name}"), Kind::Txt, "").optional(
            Test::NoSts,
            "This server serves no MTA-STS policy: no https listener, or `web.mta_sts = \"none\"`.",
        )),
    }
    if facts.offers(Service::Smtp) && facts.key_hash.is_some() {
        all.push(
            record(
                format!("_smtp._tls.{name}"),
                Kind::Txt,
                format!("v=TLSRPTv1; rua=mailto:postmaster@{name}"),
            )
            .optional(
                Test::TlsReports,
                "Other servers report when encryption to us fails (TLSRPT, RFC 8460).",
            ),
        );
    }
    services(facts, name, &mut all);
    all
}

/// Keys that sign, and keys that wait for their records.
fn keys(domain: &super::Domain, all: &mut Vec<Wanted>) {
    let name = &domain.name;
    for key in &domain.keys {
        let (level, why) = match key.state {
            KeyState::Signs => (
                Level::Advised,
                "This key signs the domain's mail (DKIM); without its record every signature fails.",
            ),
            KeyState::Waits => (
                Level::Optional,
                "This key is to sign next; `rohrpost dkim activate` once its record is there.",
            ),
            KeyState::Retired => continue,
        };
        all.push(
            record(format!("{}._domainkey.{name}", key.selector), Kind::Txt, &key.record).of(level, Test::Key, why),
        );
    }
    if !domain.keys.iter().any(|key| key.state != KeyState::Retired) {
        all.push(record(format!("_domainkey.{name}"), Kind::Txt, "").advised(
            Test::NoKey,
            "Mail is not signed (DKIM), and large providers want it to be.",
        ));
    }
}

/// Where people's programs find what is for them: RFC 6186, RFC 8314 §5.1, RFC 5804 §1.8, and what Thunderbird and Outlook ask for.
fn services(facts: &Facts, name: &str, all: &mut Vec<Wanted>) {
    for (service, port) in &facts.services {
        let Some((label, priority, why)) = service.record() else {
            continue;
        };
        all.push(
            record(
                format!("_{label}._tcp.{name}"),
                Kind::Srv,
                format!("{priority} 1 {port} {}.", facts.hostname),
            )
            .optional(Test::Service(*service), why),
        );
    }
    if facts.autoconfig {
        let host = &facts.hostname;
        let thunderbird = "Thunderbird and others ask here how to set an account up.";
        all.push(alias("autoconfig", name, host, thunderbird));
        all.push(alias(
            "autodiscover",
            name,
            host,
            "Outlook asks here how to set an account up.",
        ));
    }
}

fn alias(label: &str, domain: &str, host: &str, why: &'static str) -> Wanted {
    record(format!("{label}.{domain}"), Kind::Cname, format!("{host}.")).optional(Test::Alias, why)
}

/// A record, of which it is to be said how much depends on it.
struct Record {
    name: String,
    kind: Kind,
    value: String,
}

fn record(name: impl Into<String>, kind: Kind, value: impl Into<String>) -> Record {
    Record {
        name: name.into(),
        kind,
        value: value.into(),
    }
}

impl Record {
    fn needed(self, test: Test, why: &'static str) -> Wanted {
        self.of(Level::Needed, test, why)
    }

    fn advised(self, test: Test, why: &'static str) -> Wanted {
        self.of(Level::Advised, test, why)
    }

    fn optional(self, test: Test, why: &'static str) -> Wanted {
        self.of(Level::Optional, test, why)
    }

    fn of(self, level: Level, test: Test, why: &'static str) -> Wanted {
        Wanted {
            name: self.name,
            kind: self.kind,
            value: self.value,
            level,
            why,
            test,
        }
    }
}
