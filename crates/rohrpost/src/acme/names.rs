//! Which certificates there are to be: one for the host, and one for those names of each domain that lead to it.
//!
//! A domain is asked for as soon as it is there, and again after a tenth of the time for which it has been known, between a minute and an hour:
//! whoever adds one is about to write its zone.

use super::order::Wish;
use crate::config::{Acme, Config};
use crate::failure::Failure;
use directory::Directory;
use dns::Resolver;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

/// The names below a domain that want a certificate.
const LABELS: [&str; 3] = ["mta-sts", "autoconfig", "autodiscover"];
/// How long is waited between two questions for a domain, in seconds.
const ASK_SOONEST: i64 = 60;
const ASK_LATEST: i64 = 3600;

/// Knows where names lead.
pub(super) struct Names {
    host: Wish,
    /// Of which domains; `None`: of none.
    directory: Option<Directory>,
    resolver: Resolver,
    known: HashMap<String, Known>,
}

/// What is known of a domain.
struct Known {
    since: i64,
    asked_at: i64,
    /// Those of its names that lead to us.
    names: Vec<String>,
}

impl Names {
    pub(super) fn new(config: &Config, settings: &Acme, directory: Directory) -> Result<Names, Failure> {
        let usual = config.dns.options();
        let options = dns::Options {
            validation: dns::Validation::Off,
            limits: dns::Limits {
                longest_absence: Duration::from_secs(ASK_SOONEST.unsigned_abs()),
                ..usual.limits.clone()
            },
            ..usual
        };
        let mut names = vec![config.hostname.clone()];
        names.extend(settings.names.iter().cloned());
        names.dedup();
        Ok(Names {
            host: Wish {
                name: config.hostname.clone(),
                names,
            },
            directory: Some(directory).filter(|_| settings.domains),
            resolver: Resolver::new(&options).map_err(Failure::new)?,
            known: HashMap::new(),
        })
    }

    /// What certificates there are to be.
    pub(super) async fn wishes(&mut self, now: i64) -> Vec<Wish> {
        let mut wishes = vec![self.host.clone()];
        let domains = self.directory.as_ref().map(Directory::domain_list).unwrap_or_default();
        let there: HashSet<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
        self.known.retain(|name, _| there.contains(name.as_str()));
        for domain in &domains {
            let known = self.known.get(&domain.name);
            let due =
                known.is_none_or(|known| now - known.asked_at >= pause(now - known.since) || now < known.asked_at);
            if due {
                let names = self.of_domain(&domain.name).await;
                let known = self.known.entry(domain.name.clone()).or_insert(Known {
                    since: now,
                    asked_at: now,
                    names: Vec::new(),
                });
                known.asked_at = now;
                known.names = names;
            }
            let names = self.known.get(&domain.name).map(|known| known.names.clone());
            if let Some(names) = names.filter(|names| !names.is_empty()) {
                wishes.push(Wish {
                    name: domain.name.clone(),
                    names,
                });
            }
        }
        wishes
    }

    /// The names of a domain that lead to us, and are not among the host's own.
    async fn of_domain(&self, domain: &str) -> Vec<String> {
        let ours = self.addresses(&self.host.name).await;
        let mut names = Vec::new();
        for label in LABELS {
            let name = format!("{label}.{domain}");
            let theirs = self.addresses(&name).await;
            let leads = !theirs.is_empty() && theirs.iter().all(|address| ours.contains(address));
            if leads && !self.host.names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    async fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let (v4, v6) = tokio::join!(self.resolver.a(name), self.resolver.aaaa(name));
        let found = [v4, v6].into_iter().flatten();
        found.flat_map(|answer| answer.records).collect()
    }
}

/// Until a domain is asked for again that has been known for so long.
fn pause(age: i64) -> i64 {
    (age / 10).clamp(ASK_SOONEST, ASK_LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_new_is_asked_for_often() {
        for (age, expected) in [(0, 60), (599, 60), (1200, 120), (36_000, 3600), (i64::MAX, 3600)] {
            assert_eq!(pause(age), expected, "{age}");
        }
    }
}
