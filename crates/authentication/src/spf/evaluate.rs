//! `check_host()` (RFC 7208 §4).

use super::Client;
use super::expand::{Spec, Values, parse_macros};
use super::record::{self, Lengths, Mechanism, Record};
use crate::dns::{Dns, Missing};
use crate::name::{is_name, is_within};
use crate::results::Verdict;
use crate::{Limits, normal};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// How deep records may include each other. Each level costs a lookup, so that more is out of reach with the default of ten.
const DEPTH: u32 = 20;

/// One check with everything it entails.
pub(super) struct Evaluation<'a, D> {
    dns: &'a D,
    client: &'a Client<'a>,
    address: IpAddr,
    local: &'a str,
    origin: &'a str,
    limits: &'a Limits,
    lookups: u32,
    void: u32,
    depth: u32,
    /// The validated name of the address for `%{p}`, once it has been asked for.
    name: Option<String>,
}

/// What a record says.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    /// The domain whose record failed, and its `exp=`.
    pub(super) explanation: Option<(String, Spec)>,
}

/// Why a record cannot be followed to its end.
enum Stop {
    Temporary(String),
    Permanent(String),
}

impl From<Stop> for Found {
    fn from(stop: Stop) -> Found {
        let (verdict, reason) = match stop {
            Stop::Temporary(reason) => (Verdict::TempError, reason),
            Stop::Permanent(reason) => (Verdict::PermError, reason),
        };
        Found {
            verdict,
            reason: Some(reason),
            explanation: None,
        }
    }
}

type Boxed<'b, T> = Pin<Box<dyn Future<Output = T> + Send + 'b>>;

impl<'a, D: Dns> Evaluation<'a, D> {
    pub(super) fn new(
        dns: &'a D,
        client: &'a Client<'a>,
        local: &'a str,
        origin: &'a str,
        limits: &'a Limits,
    ) -> Evaluation<'a, D> {
        // §5: an IPv4 address in an IPv6 socket is an IPv4 address.
        let address = client.address.to_canonical();
        Evaluation {
            dns,
            client,
            address,
            local,
            origin,
            limits,
            lookups: 0,
            void: 0,
            depth: 0,
            name: None,
        }
    }

    /// Asks a domain's record. `included`: by another record, whose explanation would be the one that counts.
    pub(super) fn check_host<'b>(&'b mut self, domain: &'b str, included: bool) -> Boxed<'b, Found> {
        Box::pin(async move {
            self.depth += 1;
            let found = match self.follow(domain, included).await {
                Ok(found) => found,
                Err(stop) => stop.into(),
            };
            self.depth -= 1;
            found
        })
    }

    async fn follow(&mut self, domain: &str, included: bool) -> Result<Found, Stop> {
        if self.depth > DEPTH {
            return Err(Stop::Permanent("records include each other too deeply".to_owned()));
        }
        let Some(record) = self.record(domain).await? else {
            return Ok(Found {
                verdict: Verdict::None,
                reason: Some(format!("{domain} has no SPF record")),
                explanation: None,
            });
        };
        for directive in &record.directives {
            if self.matches(&directive.mechanism, domain).await? {
                return Ok(Found {
                    verdict: directive.verdict,
                    reason: Some(directive.text.clone()),
                    explanation: record
                        .explanation
                        .clone()
                        .filter(|_| !included)
                        .map(|spec| (domain.to_owned(), spec)),
                });
            }
        }
        let Some(redirect) = &record.redirect else {
            // §4.7
            return Ok(Found {
                verdict: Verdict::Neutral,
                reason: None,
                explanation: None,
            });
        };
        self.count()?;
        let target = self.target(Some(redirect), domain).await?;
        let found = match target {
            Some(target) => self.check_host(&target, included).await,
            None => return Err(Stop::Permanent("redirect= makes no domain".to_owned())),
        };
        if found.verdict == Verdict::None {
            return Err(Stop::Permanent("redirect= leads to no record".to_owned()));
        }
        Ok(found)
    }

    /// The one record of a domain (§4.4, §4.5).
    async fn record(&self, domain: &str) -> Result<Option<Record>, Stop> {
        let texts = match self.dns.txt(domain).await {
            Ok(texts) => texts,
            Err(Missing::Later(reason)) => return Err(Stop::Temporary(reason)),
            Err(_) => return Ok(None),
        };
        let mut records = texts.iter().filter(|text| record::is_record(text));
        let Some(record) = records.next() else {
            return Ok(None);
        };
        if records.next().is_some() {
            return Err(Stop::Permanent(format!("{domain} has several SPF records")));
        }
        if record.len() > self.limits.spf_record {
            return Err(Stop::Permanent(format!("{domain}'s SPF record is too long")));
        }
        record::parse(record)
            .map(Some)
            .map_err(|wrong| Stop::Permanent(format!("{domain}: {wrong}")))
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network, length) => Ok(in_network(self.address, *network, *length)),
            Mechanism::Include(spec) => {
                self.count()?;
                let Some(target) = self.target(Some(spec), domain).await? else {
                    return Err(Stop::Permanent("include: makes no domain".to_owned()));
                };
                let found = self.check_host(&target, true).await;
                let why = || found.reason.clone().unwrap_or_default();
                // §5.2
                match found.verdict {
                    Verdict::Pass => Ok(true),
                    Verdict::TempError => Err(Stop::Temporary(why())),
                    Verdict::PermError => Err(Stop::Permanent(why())),
                    Verdict::None => Err(Stop::Permanent(format!("{target} is included and has no SPF record"))),
                    _ => Ok(false),
                }
            }
            Mechanism::A(spec, lengths) => {
                self.count()?;
                match self.target(spec.as_ref(), domain).await? {
                    Some(target) => self.has_address(&target, *lengths).await,
                    None => Ok(false),
                }
            }
            Mechanism::Mx(spec, lengths) => {
                self.count()?;
                let Some(target) = self.target(spec.as_ref(), domain).await? else {
                    return Ok(false);
                };
                let hosts = self.dns.mx(&target).await;
                let hosts = self.answer(hosts)?;
                if hosts.len() > self.limits.spf_names {
                    // §4.6.4
                    return Err(Stop::Permanent(format!("{target} has too many MX records")));
                }
                for host in hosts {
                    if is_name(&host) && self.has_address(&host, *lengths).await? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Ptr(spec) => {
                self.count()?;
                let Some(target) = self.target(spec.as_ref(), domain).await? else {
                    return Ok(false);
                };
                let names = self.validated_names().await?;
                Ok(names.iter().any(|name| is_within(name, &target)))
            }
            Mechanism::Exists(spec) => {
                self.count()?;
                let Some(target) = self.target(Some(spec), domain).await? else {
                    return Ok(false);
                };
                // §5.7: A whatever the connection has.
                let found = self.dns.a(&target).await;
                Ok(!self.answer(found)?.is_empty())
            }
        }
    }

    /// The domain that a term is about. `None`: what its macros make cannot be one, and nothing is found there (§4.8).
    async fn target(&mut self, spec: Option<&Spec>, domain: &str) -> Result<Option<String>, Stop> {
        let Some(spec) = spec else {
            return Ok(Some(domain.to_owned()));
        };
        let name = self.name_for(spec, domain).await?;
        Ok(normal(&spec.domain(&self.values(domain, &name))))
    }

    /// What `%{p}` stands for, where it is needed (§7.3).
    async fn name_for(&mut self, spec: &Spec, domain: &str) -> Result<String, Stop> {
        if !spec.needs_name() {
            return Ok(String::new());
        }
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let names = self.validated_names().await?;
        let chosen = names
            .iter()
            .find(|name| *name == domain)
            .or_else(|| names.iter().find(|name| is_within(name, domain)))
            .or(names.first());
        let name = chosen.cloned().unwrap_or_else(|| "unknown".to_owned());
        self.name = Some(name.clone());
        Ok(name)
    }

    /// Names of the address that lead back to it (§5.5). What fails on the way is passed over.
    async fn validated_names(&mut self) -> Result<Vec<String>, Stop> {
        let names = match self.dns.ptr(self.address).await {
            Ok(names) => names,
            Err(Missing::Later(_)) => return Ok(Vec::new()),
            Err(_) => {
                self.count_void()?;
                return Ok(Vec::new());
            }
        };
        let mut good = Vec::new();
        for name in names.iter().take(self.limits.spf_names).filter_map(|name| normal(name)) {
            let addresses = self.addresses(&name).await.unwrap_or_default();
            if addresses.iter().any(|address| address.to_canonical() == self.address) {
                good.push(name);
            }
        }
        Ok(good)
    }

    async fn has_address(&mut self, host: &str, lengths: Lengths) -> Result<bool, Stop> {
        let found = self.addresses(host).await;
        let addresses = self.answer(found)?;
        Ok(addresses.iter().any(|address| {
            let length = if address.is_ipv4() { lengths.v4 } else { lengths.v6 };
            in_network(self.address, *address, length)
        }))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Missing> {
        match self.address {
            IpAddr::V4(_) => self.dns.a(host).await,
            IpAddr::V6(_) => self.dns.aaaa(host).await,
        }
    }

    /// §4.6.4: nothing found is an answer, but not too often.
    fn answer<T>(&mut self, answer: Result<Vec<T>, Missing>) -> Result<Vec<T>, Stop> {
        match answer {
            Ok(found) => Ok(found),
            Err(Missing::Later(reason)) => Err(Stop::Temporary(reason)),
            Err(_) => {
                self.count_void()?;
                Ok(Vec::new())
            }
        }
    }

    fn count(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > self.limits.spf_lookups {
            return Err(Stop::Permanent(format!(
                "the record takes more than {} lookups",
                self.limits.spf_lookups
            )));
        }
        Ok(())
    }

    fn count_void(&mut self) -> Result<(), Stop> {
        self.void += 1;
        if self.void > self.limits.spf_void_lookups {
            return Err(Stop::Permanent(format!(
                "more than {} lookups find nothing",
                self.limits.spf_void_lookups
            )));
        }
        Ok(())
    }

    fn values<'v>(&'v self, domain: &'v str, name: &'v str) -> Values<'v> {
        Values {
            local: self.local,
            origin: self.origin,
            domain,
            address: self.address,
            helo: self.client.helo,
            receiver: self.client.receiver,
            now: self.client.now,
            name,
        }
    }

    /// The explanation of a failure (§6.2). Whatever goes wrong: there is none.
    pub(super) async fn explain(&mut self, domain: &str, spec: &Spec) -> Option<String> {
        let target = self.target(Some(spec), domain).await.ok()??;
        let texts = self.dns.txt(&target).await.ok()?;
        let [text] = texts.as_slice() else {
            return None;
        };
        let text = std::str::from_utf8(text).ok()?;
        let spec = parse_macros(text, true)?;
        let name = self.name_for(&spec, domain).await.ok()?;
        let text = spec.explanation(&self.values(domain, &name));
        let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        good.then_some(text)
    }
}

/// Whether an address is in a network; those of another family never are.
fn in_network(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            u32::from(a) & mask == u32::from(b) & mask
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            u128::from(a) & mask == u128::from(b) & mask
        }
        _ => false,
    }
}
