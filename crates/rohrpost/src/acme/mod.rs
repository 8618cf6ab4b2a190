//! Certificates from an authority that gives them out by itself: ACME (RFC 8555).
//!
//! An order names what the certificate is for, and for each name the authority gives a challenge: something that only who has the name can
//! put where it will look ([`proofs`]; over HTTP, RFC 8555 §8.3; in a TLS handshake, RFC 8737; in the DNS by a program of the
//! administrator's, RFC 8555 §8.4, [`hook`]). Then it signs. [`order`] talks to it; this file decides when.
//!
//! One certificate is for the host, which all listeners show; one for each domain's `mta-sts.`, `autoconfig.` and `autodiscover.` names, as
//! far as these lead to us, so that one domain whose zone is broken harms no other. All have one key, made once: what a TLSA record says
//! stays true across renewals (RFC 7671 §5.1).
//!
//! A certificate is renewed when two thirds of its life are over. What fails is tried again later and later, up to once a day; that is
//! remembered across restarts, because authorities count failures.
//!
//! Exposed to: the authority, which the administrator has chosen; whoever asks for a challenge's proof. Touches: `acme/` in the data directory,
//! the hook. **Bounds:** an order takes [`order::PATIENCE`] at most.

mod hook;
mod order;
mod proofs;
mod state;

pub use proofs::Proofs;
pub use state::{Progress, State};

use crate::config::{Acme, Config, TlsFiles};
use crate::failure::{At as _, Failure};
use crate::tls::{self, Tls};
use crate::{files, privileges};
use dns::Resolver;
use order::{Authority, Wish};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often is asked which names lead to us.
const ASK_EVERY: i64 = 3600;
/// After the first failure, and at most, in seconds. Let's Encrypt allows five failures an hour for a name.
const RETRY_FIRST: i64 = 300;
const RETRY_LONGEST: i64 = 86_400;
/// After being told that there were too many orders.
const RETRY_LIMITED: i64 = 3600;

/// The names below a domain that want a certificate.
const LABELS: [&str; 3] = ["mta-sts", "autoconfig", "autodiscover"];

/// Where what belongs to it lies.
pub fn folder(data: &Path) -> PathBuf {
    data.join("acme")
}

/// The certificate and key that listeners show.
pub fn files(data: &Path) -> TlsFiles {
    let folder = folder(data);
    TlsFiles {
        certificate: folder.join("host.pem"),
        key: folder.join("key.pem"),
        others: Some(folder),
        client_ca: None,
    }
}

/// Makes the key, and a certificate to begin with that nobody vouches for, where there is none yet; while the process still is root, for
/// whom it will become.
pub fn prepare(config: &Config) -> Result<(), Failure> {
    let Some(pair) = config.acme.as_ref().and(config.tls.as_ref()) else {
        return Ok(());
    };
    let folder = folder(&config.data);
    if !pair.certificate.exists() || !pair.key.exists() {
        files::folder(&folder)?;
        if pair.certificate.exists() {
            // Without its key it is worth nothing.
            std::fs::remove_file(&pair.certificate).at("remove", &pair.certificate)?;
        }
        tls::self_sign(&[&config.hostname], i32::from(jiff::Zoned::now().year()), pair)?;
    }
    if let Some(user) = config.user.as_deref().filter(|_| privileges::is_root()) {
        let identity = privileges::identity(user, config.group.as_deref())?;
        for path in [&config.data, &folder, &pair.certificate, &pair.key] {
            chown(path, Some(identity.uid), Some(identity.gid)).at("give the server", path)?;
        }
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// What is counted.
#[derive(Clone, Default)]
pub struct Metrics {
    orders: Family<ResultLabel, Counter>,
}

impl Metrics {
    /// Registers it.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("acme_orders", "Certificates ordered, by result", self.orders.clone());
    }

    fn count(&self, result: &'static str) {
        self.orders.get_or_create(&ResultLabel { result }).inc();
    }
}

/// Gets certificates for as long as the server runs.
pub struct Keeper {
    hostname: String,
    folder: PathBuf,
    settings: Acme,
    tls: Arc<Tls>,
    proofs: Arc<Proofs>,
    resolver: Resolver,
    directory: directory::Directory,
    metrics: Metrics,
    names: Mutex<Option<(i64, Vec<Wish>)>>,
}

impl Keeper {
    /// One that has nothing to do yet.
    pub fn new(
        config: &Config,
        settings: &Acme,
        tls: &Arc<Tls>,
        proofs: &Arc<Proofs>,
        directory: directory::Directory,
        metrics: Metrics,
    ) -> Result<Keeper, Failure> {
        let asked = dns::Options {
            validation: dns::Validation::Off,
            ..config.dns.options()
        };
        Ok(Keeper {
            hostname: config.hostname.clone(),
            folder: folder(&config.data),
            settings: settings.clone(),
            tls: Arc::clone(tls),
            proofs: Arc::clone(proofs),
            resolver: Resolver::new(&asked).map_err(Failure::new)?,
            directory,
            metrics,
            names: Mutex::new(None),
        })
    }

    /// Looks after the certificates until it is aborted.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            for wish in self.wishes().await {
                let mut state = State::read(&self.folder);
                let now = net::now();
                if !self.is_due(&wish, state.of(&wish.name), now) {
                    continue;
                }
                let ordered = self.order(&wish).await;
                let progress = state.of_mut(&wish.name);
                progress.tried_at = now;
                match ordered {
                    Ok(()) => {
                        tracing::info!(certificate = wish.name, names = ?wish.names, "certificate received");
                        self.metrics.count("received");
                        *progress = Progress {
                            tried_at: now,
                            directory: self.settings.directory.clone(),
                            ..Progress::default()
                        };
                    }
                    Err(fault) => {
                        self.metrics.count("failed");
                        progress.failures = progress.failures.saturating_add(1);
                        progress.next_at = net::now() + pause(progress.failures, fault.is_limit, rand::random());
                        tracing::warn!(
                            certificate = wish.name,
                            names = ?wish.names,
                            failures = progress.failures,
                            error = fault.message,
                            "no certificate; the old one stays in use"
                        );
                        progress.error = Some(fault.message);
                    }
                }
                if let Err(e) = state.write(&self.folder) {
                    tracing::error!(error = %e.message, "how certificates stand was not written down");
                }
            }
        }
    }

    async fn order(&self, wish: &Wish) -> Result<(), order::Fault> {
        let authority = Authority {
            settings: &self.settings,
            folder: &self.folder,
            proofs: &self.proofs,
        };
        let path = self.path(&wish.name);
        authority.certificate(wish, &self.folder.join("key.pem"), &path).await?;
        self.tls.reload().map_err(|e| order::Fault::new(e.message))
    }

    fn path(&self, name: &str) -> PathBuf {
        path(&self.folder, name, &self.hostname)
    }

    /// What certificates there are to be.
    async fn wishes(&self) -> Vec<Wish> {
        let now = net::now();
        if let Some((asked_at, wishes)) = &*self.names.lock()
            && now - asked_at < ASK_EVERY
            && now >= *asked_at
        {
            return wishes.clone();
        }
        let mut names = vec![self.hostname.clone()];
        names.extend(self.settings.names.iter().cloned());
        names.dedup();
        let mut wishes = vec![Wish {
            name: self.hostname.clone(),
            names,
        }];
        if self.settings.domains {
            for domain in self.directory.domain_list() {
                wishes.extend(self.of_domain(&domain.name, &wishes[0].names).await);
            }
        }
        *self.names.lock() = Some((now, wishes.clone()));
        wishes
    }

    /// The names of a domain that lead to us.
    async fn of_domain(&self, domain: &str, known: &[String]) -> Option<Wish> {
        let ours = self.addresses(&self.hostname).await;
        let mut names = Vec::new();
        for label in LABELS {
            let name = format!("{label}.{domain}");
            let theirs = self.addresses(&name).await;
            let ours = !theirs.is_empty() && theirs.iter().all(|address| ours.contains(address));
            if ours && !known.contains(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| Wish {
            name: domain.to_owned(),
            names,
        })
    }

    async fn addresses(&self, name: &str) -> Vec<std::net::IpAddr> {
        let (v4, v6) = tokio::join!(self.resolver.a(name), self.resolver.aaaa(name));
        let found = [v4, v6].into_iter().flatten();
        found.flat_map(|answer| answer.records).collect()
    }

    fn is_due(&self, wish: &Wish, progress: &Progress, now: i64) -> bool {
        if now < progress.next_at {
            return false;
        }
        // Another authority than the one that signed, such as the real one after trials.
        if progress.directory != self.settings.directory {
            return true;
        }
        let Ok(chain) = tls::read_chain(&self.path(&wish.name)) else {
            return true;
        };
        let Some(own) = chain.first() else { return true };
        // Somebody has taken the key away, so that a new one was made.
        if !self.tls.is_of_our_key(&chain) {
            return true;
        }
        let there = tls::names(own);
        let covers = wish.names.iter().all(|name| there.contains(name));
        match tls::validity(own) {
            Some((from, until)) if covers && !tls::is_self_signed(own) => now >= renewal(from, until, own),
            _ => true,
        }
    }
}

/// Where a certificate lies.
fn path(folder: &Path, name: &str, hostname: &str) -> PathBuf {
    match name == hostname {
        true => folder.join("host.pem"),
        false => folder.join(format!("site-{name}.pem")),
    }
}

/// When a certificate is renewed: after two thirds of its life, or up to a thirtieth of it before, so that not all the world's servers that
/// were set up on one day come on one day. When within that is drawn from the certificate itself: it stays the same across restarts.
fn renewal(from: i64, until: i64, certificate: &[u8]) -> i64 {
    let life = (until - from).max(0);
    let hash = certificate.iter().fold(0x811c_9dc5_u32, |hash, octet| {
        (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
    });
    from + life / 3 * 2 - (life / 30) * i64::from(hash % 1000) / 1000
}

/// How long to wait after so many failures in a row, with up to a quarter more.
fn pause(failures: u32, is_limit: bool, draw: u8) -> i64 {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let least = if is_limit { RETRY_LIMITED } else { 0 };
    let pause = doubled.min(RETRY_LONGEST).max(least);
    pause + pause / 4 * i64::from(draw) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_at_two_thirds_and_a_little_before() {
        let day = 86_400;
        for seed in 0..50u8 {
            let at = renewal(0, 90 * day, &[seed]);
            assert!((57 * day..=60 * day).contains(&at), "{at}");
            assert_eq!(at, renewal(0, 90 * day, &[seed]));
        }
        let all: std::collections::HashSet<i64> = (0..50).map(|seed| renewal(0, 90 * day, &[seed])).collect();
        assert!(all.len() > 40);
        assert_eq!(renewal(5, 0, b""), 5);
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_pauses() {
        for (failures, is_limit, least) in [
            (1, false, 300),
            (2, false, 600),
            (5, false, 4800),
            (9, false, 76_800),
            (10, false, 86_400),
            (u32::MAX, false, 86_400),
            (1, true, 3600),
            (20, true, 86_400),
        ] {
            assert_eq!(pause(failures, is_limit, 0), least, "{failures}");
            let most = pause(failures, is_limit, 255);
            assert!(most > least && most <= least + least / 4, "{failures}: {most}");
        }
    }
}
