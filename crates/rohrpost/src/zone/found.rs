//! What a zone does hold, and how that compares with what it must.

use super::judge::{self, Judged, hex, relevant};
use super::wanted::{self, Kind, Level, Test, Wanted};
use super::{Facts, is_public};
use crate::failure::Failure;
use authentication::results::Verdict;
use authentication::{Limits, dmarc, spf};
use delivery::inspect::Names;
use dns::{Error, Options, Resolver};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// One question may take this long. Many domains are asked about at once.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Domains that are asked about at once.
const AT_ONCE: usize = 16;

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there.
    Ok,
    /// It is not.
    Missing,
    /// Something else is.
    Differs,
    /// It could not be found out.
    Unknown,
    /// It is not there and need not be.
    Unused,
}

/// A record, as it must be and as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The mail domain that it belongs to; none: to the host.
    pub domain: Option<String>,
    /// Where it stands.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it must hold; empty where we cannot know.
    pub wanted: String,
    /// What it holds.
    pub found: Vec<String>,
    /// How it stands.
    pub state: State,
    /// How much depends on it.
    pub level: Level,
    /// What is wrong and what to do.
    pub what: String,
}

impl Row {
    /// Whether nothing needed or advised is wrong here.
    pub fn is_sound(&self) -> bool {
        matches!(self.state, State::Ok | State::Unused)
            || (self.level == Level::Optional && matches!(self.state, State::Missing))
    }
}

/// Asks for all that `facts` want: as `options` say, but with less patience.
pub fn look(options: &Options, facts: &Facts) -> Result<Vec<Row>, Failure> {
    let options = Options {
        limits: dns::Limits {
            timeout: TIMEOUT,
            patience: TIMEOUT,
            retries: 0,
            ..dns::Limits::default()
        },
        ..options.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    runtime.block_on(async {
        let resolver = Resolver::new(&options).map_err(Failure::new)?;
        Ok(ask(&resolver, facts).await)
    })
}

async fn ask(resolver: &Resolver, facts: &Facts) -> Vec<Row> {
    let mut asker = Asker {
        resolver: resolver.clone(),
        names: Arc::new(Names::new(resolver.clone())),
        facts: Arc::new(facts.clone()),
        addresses: Vec::new(),
        unsure: None,
        silent: false,
    };
    asker.find_addresses().await;
    let mut rows = asker.host().await;
    let mut tasks = JoinSet::new();
    let mut done: Vec<(usize, Vec<Row>)> = Vec::new();
    for at in 0..facts.domains.len() {
        if tasks.len() >= AT_ONCE
            && let Some(Ok(some)) = tasks.join_next().await
        {
            done.push(some);
        }
        let asker = asker.clone();
        tasks.spawn(async move { (at, asker.domain(at).await) });
    }
    while let Some(finished) = tasks.join_next().await {
        done.extend(finished.ok());
    }
    done.sort_by_key(|(at, _)| *at);
    rows.extend(done.into_iter().flat_map(|(_, rows)| rows));
    rows
}

/// What was found at a name, for people; or why nothing was.
pub(super) type Texts = Result<Vec<String>, Error>;

#[derive(Clone)]
struct Asker {
    resolver: Resolver,
    names: Arc<Names>,
    facts: Arc<Facts>,
    /// Of our host, as the DNS has them.
    addresses: Vec<IpAddr>,
    /// Why they are not known.
    unsure: Option<Error>,
    /// Nobody answers at all.
    silent: bool,
}

impl Asker {
    async fn find_addresses(&mut self) {
        let host = &self.facts.hostname;
        let mut addresses = Vec::new();
        let domain = self.facts.domains.first().map_or(host, |domain| &domain.name);
        let (v4, v6, other) = tokio::join!(
            self.resolver.a(host),
            self.resolver.aaaa(host),
            self.resolver.mx(domain)
        );
        for answer in [v4, v6] {
            match answer {
                Ok(answer) => addresses.extend(answer.records),
                Err(error) if error.is_absent() => {}
                Err(error) => self.unsure = Some(error),
            }
        }
        self.addresses = addresses;
        // One name may be somebody's broken zone; several are a name server that cannot be reached, and each further question would be
        // waited for in vain.
        self.silent = self.unsure.is_some() && other.is_err_and(|error| matches!(error, Error::Temporary { .. }));
    }

    async fn host(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for wanted in wanted::of_host(&self.facts) {
            rows.push(self.row(None, wanted).await);
        }
        for address in self.addresses.iter().filter(|address| is_public(**address)) {
            rows.push(self.reverse(*address).await);
        }
        rows
    }

    async fn domain(&self, at: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(domain) = self.facts.domains.get(at) {
            for wanted in wanted::of_domain(&self.facts, domain) {
                rows.push(self.row(Some(&domain.name), wanted).await);
            }
        }
        rows
    }

    async fn row(&self, domain: Option<&str>, wanted: Wanted) -> Row {
        let (found, judged) = match (&self.unsure, &wanted.test) {
            (_, Test::NoKey) => (
                Vec::new(),
                Judged::new(
                    State::Missing,
                    format!(
                        "`rohrpost dkim rotate {}` makes keys and prints their records",
                        domain.unwrap_or("DOMAIN")
                    ),
                ),
            ),
            (Some(error), _) if self.silent => (Vec::new(), Judged::unknown(error)),
            (_, test) => self.judged(domain, &wanted, test).await,
        };
        let mut what = judged.what;
        if matches!(judged.state, State::Missing | State::Differs) {
            let space = if what.is_empty() { "" } else { " " };
            what = format!("{}{space}{what}", wanted.why);
        }
        Row {
            domain: domain.map(str::to_owned),
            name: wanted.name,
            kind: wanted.kind,
            wanted: wanted.value,
            found,
            state: judged.state,
            level: judged.level.unwrap_or(wanted.level),
            what,
        }
    }

    async fn judged(&self, domain: Option<&str>, wanted: &Wanted, test: &Test) -> (Vec<String>, Judged) {
        match test {
            Test::Addresses => self.own_addresses(wanted).await,
            Test::Exchanger => self.exchanger(wanted).await,
            Test::Spf => self.spf(domain, wanted).await,
            Test::Dmarc => self.dmarc(domain.unwrap_or_default(), wanted).await,
            Test::Alias => self.alias(wanted).await,
            Test::Tlsa => self.tlsa().await,
            Test::Service(_) => self.service(wanted).await,
            Test::Key | Test::NoKey | Test::StsId | Test::NoSts | Test::TlsReports => {
                let texts = self.texts(&wanted.name).await;
                let judged = judge::text(wanted, &texts);
                (relevant(test, texts), judged)
            }
        }
    }

    async fn own_addresses(&self, wanted: &Wanted) -> (Vec<String>, Judged) {
        let v4 = wanted.kind == Kind::A;
        if let Ok(alias) = self.resolver.cname(&self.facts.hostname).await {
            return (
                alias.records.iter().map(|name| format!("CNAME {name}.")).collect(),
                Judged::new(
                    State::Differs,
                    "The host is an alias, and an MX record must not name one (RFC 2181 §10.3): give it address records.",
                ),
            );
        }
        let there: Vec<IpAddr> = self.addresses.iter().copied().filter(|a| a.is_ipv4() == v4).collect();
        let own: Vec<IpAddr> = self
            .facts
            .addresses
            .iter()
            .copied()
            .filter(|a| a.is_ipv4() == v4)
            .collect();
        let other_family = self.addresses.iter().any(|a| a.is_ipv4() != v4);
        let judged = match &self.unsure {
            Some(error) if there.is_empty() => Judged::unknown(error),
            _ => judge::addresses(&there, &own, v4, other_family),
        };
        (there.iter().map(IpAddr::to_string).collect(), judged)
    }

    async fn reverse(&self, address: IpAddr) -> Row {
        let found = self.resolver.ptr(address).await;
        let host = &self.facts.hostname;
        let (found, judged) = match found {
            Ok(answer) => {
                let judged = if answer.records.contains(host) {
                    Judged::ok()
                } else {
                    Judged::new(State::Differs, POINTS_BACK)
                };
                (answer.records, judged)
            }
            Err(error) if error.is_absent() => (Vec::new(), Judged::new(State::Missing, POINTS_BACK)),
            Err(error) => (Vec::new(), Judged::unknown(&error)),
        };
        Row {
            domain: None,
            name: reverse_name(address),
            kind: Kind::Ptr,
            wanted: format!("{host}."),
            found: found.into_iter().map(|name| format!("{name}.")).collect(),
            state: judged.state,
            level: Level::Advised,
            what: judged.what,
        }
    }

    async fn exchanger(&self, wanted: &Wanted) -> (Vec<String>, Judged) {
        let host = &self.facts.hostname;
        match self.resolver.mx(&wanted.name).await {
            Ok(answer) => {
                let hosts: Vec<&str> = answer.records.iter().map(|mx| mx.host.as_str()).collect();
                let judged = judge::exchangers(&hosts, host, self.facts.policy.as_ref());
                let found = answer
                    .records
                    .iter()
                    .map(|mx| format!("{} {}.", mx.preference, mx.host));
                (found.collect(), judged)
            }
            Err(error) if error.is_absent() => (Vec::new(), Judged::new(State::Missing, "")),
            Err(error) => (Vec::new(), Judged::unknown(&error)),
        }
    }

    /// Not how the record is written counts, but whether our mail passes by it.
    async fn spf(&self, domain: Option<&str>, wanted: &Wanted) -> (Vec<String>, Judged) {
        let texts = self.texts(&wanted.name).await;
        let found = match &texts {
            Ok(_) => relevant(&Test::Spf, texts),
            Err(error) if error.is_absent() => Vec::new(),
            Err(error) => return (Vec::new(), Judged::unknown(error)),
        };
        if found.is_empty() {
            return (found, Judged::new(State::Missing, ""));
        }
        if found.len() > 1 {
            let judged = Judged::new(
                State::Differs,
                "Only one SPF record may stand; with several, all are void (RFC 7208 §4.5).",
            );
            return (found, judged.at(Level::Advised));
        }
        let addresses = match self.facts.addresses.is_empty() {
            true => &self.addresses,
            false => &self.facts.addresses,
        };
        let sender = domain.map(|domain| format!("postmaster@{domain}")).unwrap_or_default();
        for address in addresses {
            let client = spf::Client {
                address: *address,
                helo: &self.facts.hostname,
                receiver: &self.facts.hostname,
                now: 0,
            };
            let outcome = spf::mail_from(&*self.names, &client, &sender, &Limits::default()).await;
            match outcome.verdict {
                Verdict::Pass => {}
                Verdict::TempError => {
                    return (found, Judged::new(State::Unknown, outcome.reason.unwrap_or_default()));
                }
                verdict => {
                    let reason = outcome.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                    let what = format!("Mail from {address} is `{}` by it{reason}.", verdict.name());
                    return (found, Judged::new(State::Differs, what).at(Level::Advised));
                }
            }
        }
        (found, Judged::ok())
    }

    async fn dmarc(&self, domain: &str, wanted: &Wanted) -> (Vec<String>, Judged) {
        let texts = self.texts(&wanted.name).await;
        match &texts {
            Ok(_) => {}
            Err(error) if error.is_absent() => {}
            Err(error) => return (Vec::new(), Judged::unknown(error)),
        }
        let found = relevant(&wanted.test, texts);
        let sound = found
            .iter()
            .filter(|text| dmarc::Record::parse(text.as_bytes()).is_some_and(|record| record.followed))
            .count();
        let judged = match (found.len(), sound) {
            (0, _) => match dmarc::organization(&*self.names, domain, &Limits::default()).await {
                Ok(above) if above != domain => {
                    return (found, Judged::new(State::Ok, format!("by the record of {above}")));
                }
                Ok(_) => Judged::new(State::Missing, ""),
                Err(reason) => Judged::new(State::Unknown, reason),
            },
            (1, 1) => Judged::ok(),
            (1, _) => Judged::new(State::Differs, "Its policy cannot be read, and counts as none."),
            _ => Judged::new(State::Differs, "Only one record may stand; several count as none."),
        };
        (found, judged)
    }

    /// A name that leads to us, however: an alias, or our addresses.
    async fn alias(&self, wanted: &Wanted) -> (Vec<String>, Judged) {
        let mut there = Vec::new();
        let mut name = wanted.name.clone();
        for answer in [
            self.resolver.a(&wanted.name).await,
            self.resolver.aaaa(&wanted.name).await,
        ] {
            match answer {
                Ok(answer) => {
                    name = answer.name;
                    there.extend(answer.records);
                }
                Err(error) if error.is_absent() => {}
                Err(error) => return (Vec::new(), Judged::unknown(&error)),
            }
        }
        if there.is_empty() {
            return (Vec::new(), Judged::new(State::Missing, ""));
        }
        let mut found: Vec<String> = there.iter().map(IpAddr::to_string).collect();
        let elsewhere: Vec<&IpAddr> = there.iter().filter(|a| !self.addresses.contains(a)).collect();
        if name == self.facts.hostname || elsewhere.is_empty() {
            let judged = match self.facts.certifies(&wanted.name) {
                true => Judged::ok(),
                false => Judged::new(State::Differs, "It leads here, but no certificate here is for it."),
            };
            return (found, judged);
        }
        if name != wanted.name {
            found = vec![format!("{name}.")];
        }
        let judged = Judged::new(
            State::Differs,
            "It leads elsewhere; fine if a proxy there passes requests on to us.",
        );
        (found, judged)
    }

    async fn service(&self, wanted: &Wanted) -> (Vec<String>, Judged) {
        let Some((label, domain)) = wanted.name.strip_prefix('_').and_then(|name| name.split_once("._tcp.")) else {
            return (Vec::new(), Judged::new(State::Unknown, ""));
        };
        match self.resolver.srv(domain, label).await {
            Ok(answer) => {
                let text = |srv: &dns::Srv| format!("{} {} {} {}.", srv.priority, srv.weight, srv.port, srv.host);
                let found: Vec<String> = answer.records.iter().map(text).collect();
                let place = wanted.value.rsplitn(3, ' ').take(2).collect::<Vec<_>>();
                let ours = answer.records.iter().any(|srv| {
                    let (port, host) = (srv.port.to_string(), format!("{}.", srv.host));
                    place == [host.as_str(), port.as_str()]
                });
                let judged = match ours {
                    true => Judged::ok(),
                    false => Judged::new(State::Differs, "It leads mail programs elsewhere."),
                };
                (found, judged)
            }
            Err(error) if error.is_absent() => (Vec::new(), Judged::new(State::Missing, "")),
            Err(error) => (Vec::new(), Judged::unknown(&error)),
        }
    }

    async fn tlsa(&self) -> (Vec<String>, Judged) {
        let hash = self.facts.key_hash.clone().unwrap_or_default();
        let answer = self.resolver.tlsa(&self.facts.hostname, 25).await;
        let found = match &answer {
            Ok(answer) => {
                let text = |t: &dns::Tlsa| format!("{} {} {} {}", t.usage, t.selector, t.matching, hex(&t.data));
                answer.records.iter().map(text).collect()
            }
            Err(_) => Vec::new(),
        };
        (found, judge::tlsa(answer, &hash))
    }

    async fn texts(&self, name: &str) -> Texts {
        let answer = self.resolver.txt(name).await?;
        Ok(answer
            .records
            .iter()
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect())
    }
}

const POINTS_BACK: &str = "The address must point back to the host's name: many servers refuse mail where it does not. Ask who runs the network.";

/// The name at which an address's PTR record stands (RFC 1035 §3.5, RFC 3596 §2.5).
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(a) => {
            let nibbles = a.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses() {
        for (address, name) in [
            ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
            (
                "2001:db8::567:89ab",
                "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
        ] {
            assert_eq!(reverse_name(address.parse().unwrap()), name);
        }
    }
}
