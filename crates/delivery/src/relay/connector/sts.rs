//! MTA-STS (RFC 8461): a domain says over HTTPS, where authorities vouch for it, which hosts take its mail, and that they have TLS with good
//! certificates. It is for who has no DNSSEC, and works for who has been there before: the policy is kept for as long as it says, so that
//! nobody in the middle can take it away meanwhile.
//!
//! A TXT record at `_mta-sts.DOMAIN` names the policy's version, so that it is fetched when it has changed. A policy that cannot be fetched does
//! not stop mail: the one before holds, if there is one, and without one there is nothing to keep (§3.3, §5.1).

use super::https::Https;
use super::tls::{Fault, FaultKind};
use lru::LruCache;
use parking_lot::Mutex;
use sightings::{Kept, Policies};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For how long a policy that could not be fetched is not asked for again (§3.3: five minutes).
const AGAIN: Duration = Duration::from_secs(300);
/// After what time a policy in use is fetched again, so that it does not end (§10.2).
const REFRESH: i64 = 86_400;
/// The longest `max_age` (§3.2).
const LONGEST_AGE: u64 = 31_557_600;
/// Hosts that a policy may name.
const HOSTS: usize = 200;
/// Policies and failures that are remembered in memory.
const REMEMBERED: usize = 10_000;

/// What is asked of mail to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    /// Names, or `*.` and a name.
    pub(super) hosts: Vec<String>,
    /// How long it holds, in seconds.
    pub(super) age: u64,
    /// Its lines, for reports.
    pub(super) lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Mail must not go to a host that does not keep it.
    Enforce,
    /// It goes, and what would have been is reported.
    Testing,
    /// There is none any more.
    None,
}

impl Policy {
    /// `sts-policy-record`, §3.2.
    pub(super) fn parse(text: &str) -> Result<Policy, String> {
        let (mut version, mut mode, mut age, mut hosts, mut lines) = (false, None, None, Vec::new(), Vec::new());
        for line in text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) = line
                .split_once(':')
                .ok_or_else(|| format!("\"{line}\" is no line of a policy"))?;
            let value = value.trim();
            lines.push(format!("{key}: {value}"));
            match key.trim() {
                "version" if value == "STSv1" => version = true,
                "version" => return Err(format!("the version {value} is not known")),
                // Of several, the first counts (§3.2).
                "mode" if mode.is_none() => {
                    mode = Some(match value {
                        "enforce" => Mode::Enforce,
                        "testing" => Mode::Testing,
                        "none" => Mode::None,
                        _ => return Err(format!("the mode {value} is not known")),
                    });
                }
                "max_age" if age.is_none() => {
                    age = Some(value.parse().map_err(|_| format!("max_age {value} is no number"))?);
                }
                "mx" if hosts.len() < HOSTS => {
                    let (star, name) = value.strip_prefix("*.").map_or(("", value), |name| ("*.", name));
                    let name = authentication::normal(name).ok_or_else(|| format!("{value} is no host"))?;
                    hosts.push(format!("{star}{name}"));
                }
                // What is not known is passed over.
                _ => {}
            }
        }
        if !version {
            return Err("it does not say its version".to_owned());
        }
        let mode = mode.ok_or("it does not say its mode")?;
        let age: u64 = age.ok_or("it does not say how long it holds (max_age)")?;
        if hosts.is_empty() && mode != Mode::None {
            return Err("it names no host (mx)".to_owned());
        }
        Ok(Policy {
            mode,
            hosts,
            age: age.min(LONGEST_AGE),
            lines,
        })
    }

    /// Whether a host may take the domain's mail (§4.1). `*.` stands for one label.
    pub(super) fn allows(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => pattern == host,
        })
    }
}

/// The `id` of the policy, if the domain has one (§3.1). Several records are none.
pub(super) fn id_of(records: &[Vec<u8>]) -> Option<String> {
    let mut found = records.iter().filter_map(|record| {
        let text = std::str::from_utf8(record).ok()?;
        text.starts_with("v=STSv1;").then_some(text)
    });
    let record = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let id = record.split(';').find_map(|field| field.trim().strip_prefix("id="))?;
    let sound = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    sound.then(|| id.to_owned())
}

/// Policies of domains: remembered, kept and fetched.
pub(super) struct Sts {
    https: Https,
    kept: Option<Policies>,
    /// By domain: the version and the policy.
    known: Mutex<LruCache<String, Known>>,
    failed: Mutex<LruCache<String, (Instant, Fault)>>,
}

#[derive(Clone)]
struct Known {
    id: String,
    policy: Arc<Policy>,
    fetched: i64,
    expires: i64,
}

impl Sts {
    /// `kept`: where policies outlive us.
    pub(super) fn new(https: Https, kept: Option<Policies>) -> Sts {
        let most = NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        Sts {
            https,
            kept,
            known: Mutex::new(LruCache::new(most)),
            failed: Mutex::new(LruCache::new(most)),
        }
    }

    /// The policy of a domain; and a fault where it should have one that cannot be had.
    pub(super) async fn policy(&self, domain: &str) -> (Option<Arc<Policy>>, Option<Fault>) {
        let now = net::now();
        let known = self.known(domain, now);
        let id = match self.https.resolver.txt(&format!("_mta-sts.{domain}")).await {
            Ok(found) => id_of(&found.records),
            // No answer is not "none": somebody may keep it from us (§10.2).
            Err(_) => None,
        };
        let Some(id) = id else {
            return (known.map(|known| known.policy), None);
        };
        if let Some(known) = &known
            && known.id == id
            && now - known.fetched < REFRESH
        {
            return (Some(Arc::clone(&known.policy)), None);
        }
        let before = known.map(|known| known.policy);
        if let Some((until, fault)) = self.failed.lock().get(domain).cloned()
            && until > Instant::now()
        {
            return (before, Some(fault));
        }
        let read = self.fetch(domain).await.and_then(|text| match Policy::parse(&text) {
            Ok(policy) => Ok((policy, text)),
            Err(why) => Err(Fault::new(
                FaultKind::StsInvalid,
                format!("the policy of {domain}: {why}"),
            )),
        });
        match read {
            Ok((policy, text)) => {
                let expires = now.saturating_add(i64::try_from(policy.age).unwrap_or(i64::MAX));
                let known = Known {
                    id,
                    policy: Arc::new(policy),
                    fetched: now,
                    expires,
                };
                self.keep(domain, &known, text, now);
                (Some(known.policy), None)
            }
            Err(fault) => {
                tracing::info!(domain, why = fault.text, "an MTA-STS policy cannot be had");
                let until = Instant::now() + AGAIN;
                self.failed.lock().put(domain.to_owned(), (until, fault.clone()));
                (before, Some(fault))
            }
        }
    }

    fn known(&self, domain: &str, now: i64) -> Option<Known> {
        if let Some(known) = self.known.lock().get(domain) {
            return (known.expires > now).then(|| known.clone());
        }
        let kept = self.kept.as_ref()?;
        let found = match net::blocking(|| kept.find(domain, now)) {
            Ok(found) => found?,
            Err(error) => {
                tracing::warn!(domain, %error, "the kept MTA-STS policy cannot be read");
                return None;
            }
        };
        let known = Known {
            id: found.id,
            policy: Arc::new(Policy::parse(&found.policy).ok()?),
            fetched: found.fetched,
            expires: found.expires,
        };
        self.known.lock().put(domain.to_owned(), known.clone());
        Some(known)
    }

    fn keep(&self, domain: &str, known: &Known, policy: String, now: i64) {
        self.failed.lock().pop(domain);
        self.known.lock().put(domain.to_owned(), known.clone());
        let kept = Kept {
            id: known.id.clone(),
            policy,
            fetched: known.fetched,
            expires: known.expires,
        };
        if let Some(policies) = &self.kept
            && let Err(error) = net::blocking(|| policies.keep(domain, &kept, now))
        {
            tracing::warn!(domain, %error, "an MTA-STS policy is not kept: it is forgotten at the next start");
        }
    }

    /// `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`, without following where it might lead elsewhere (§3.3).
    async fn fetch(&self, domain: &str) -> Result<String, Fault> {
        let fault = |text: String| Fault::new(FaultKind::StsFetch, text);
        let body = self
            .https
            .get(&format!("mta-sts.{domain}"), "/.well-known/mta-sts.txt")
            .await
            .map_err(fault)?;
        String::from_utf8(body.to_vec()).map_err(|_| fault(format!("the policy of {domain} is no text")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let policy = Policy::parse(
            "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n",
        )
        .unwrap();
        assert_eq!((policy.mode, policy.age), (Mode::Enforce, 604_800));
        for (host, allowed) in [
            ("mail.example.com", true),
            ("mail2.example.com", false),
            ("a.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
            ("", false),
        ] {
            assert_eq!(policy.allows(host), allowed, "{host}");
        }
        for (text, fine) in [
            ("version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1", true),
            ("version: STSv1\nmode: none\nmax_age: 1\nfuture: x\n\n", true),
            ("mode: none\nmax_age: 1", false),
            ("version: STSv2\nmode: none\nmax_age: 1", false),
            ("version: STSv1\nmode: enforce\nmax_age: 1", false),
            ("version: STSv1\nmode: maybe\nmx: a.example\nmax_age: 1", false),
            ("version: STSv1\nmode: enforce\nmx: a.example", false),
            ("version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1", false),
            ("version: STSv1\nmode: enforce\nmx: a..example\nmax_age: 1", false),
            ("<html>", false),
        ] {
            assert_eq!(Policy::parse(text).is_ok(), fine, "{text}");
        }
        let long = Policy::parse("version: STSv1\nmode: none\nmax_age: 99999999999").unwrap();
        assert_eq!(long.age, LONGEST_AGE);
    }

    #[test]
    fn records() {
        for (records, expected) in [
            (&["v=STSv1; id=20160831085700Z;"][..], Some("20160831085700Z")),
            (&["v=STSv1;id=1", "v=spf1 -all"], Some("1")),
            (&["v=STSv1; id=1", "v=STSv1; id=2"], None),
            (&["v=STSv1; id="], None),
            (&["v=STSv1; id=a-b"], None),
            (&["v=STSv1"], None),
            (&[], None),
        ] {
            let records: Vec<Vec<u8>> = records.iter().map(|r| r.as_bytes().to_vec()).collect();
            assert_eq!(id_of(&records).as_deref(), expected, "{records:?}");
        }
    }
}
