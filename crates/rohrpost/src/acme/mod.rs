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
//! [`names`] knows which names those are, [`renewal`] when a certificate is renewed. What fails is tried again later and later, up to once a day;
//! that is remembered across restarts, because authorities count failures.
//!
//! Exposed to: the authority, which the administrator has chosen; whoever asks for a challenge's proof. Touches: `acme/` in the data directory,
//! the hook. **Bounds:** an order takes [`order::PATIENCE`] at most.

mod hook;
mod names;
mod order;
mod proofs;
mod renewal;
mod state;

pub use proofs::Proofs;
pub use renewal::Renewal;
pub use state::{Progress, State};

use crate::config::{Acme, Config, TlsFiles};
use crate::failure::{At as _, Failure};
use crate::tls::{self, Tls};
use crate::{files, privileges};
use names::Names;
use order::{Authority, Wish};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After the first failure, and at most, in seconds. Let's Encrypt allows five failures an hour for a name.
const RETRY_FIRST: i64 = 300;
const RETRY_LONGEST: i64 = 86_400;
/// After being told that there were too many orders.
const RETRY_LIMITED: i64 = 3600;

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
    metrics: Metrics,
    names: Names,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    /// One that has nothing to do yet. It ends when `stop` says so.
    pub fn new(
        config: &Config,
        settings: &Acme,
        tls: &Arc<Tls>,
        proofs: &Arc<Proofs>,
        directory: directory::Directory,
        metrics: Metrics,
        stop: watch::Receiver<bool>,
    ) -> Result<Keeper, Failure> {
        Ok(Keeper {
            hostname: config.hostname.clone(),
            folder: folder(&config.data),
            settings: settings.clone(),
            tls: Arc::clone(tls),
            proofs: Arc::clone(proofs),
            names: Names::new(config, settings, directory)?,
            metrics,
            stop,
        })
    }

    /// Looks after the certificates until the server stops, and takes away what lies in the DNS then.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut stop = self.stop.clone();
        loop {
            let wishes = async {
                ticks.tick().await;
                self.names.wishes(net::now()).await
            };
            let wishes = tokio::select! {
                wishes = wishes => wishes,
                () = stopped(&mut stop) => return,
            };
            for wish in wishes {
                let mut state = State::read(&self.folder);
                tokio::select! {
                    () = self.ask(&wish, &mut state) => {}
                    () = stopped(&mut stop) => return,
                }
                let now = net::now();
                if !self.is_due(&wish, state.of(&wish.name), now) {
                    continue;
                }
                let ordered = self.order(&wish, state.of(&wish.name)).await;
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
                    Err(fault) if fault.is_stop => return,
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

    fn authority(&self) -> Authority<'_> {
        Authority {
            settings: &self.settings,
            folder: &self.folder,
            proofs: &self.proofs,
        }
    }

    async fn order(&self, wish: &Wish, progress: &Progress) -> Result<(), order::Fault> {
        // Only to an authority that has said something of it, and that it is the authority's own, is a certificate named as the one to be replaced.
        let known = progress.renewal.as_ref().filter(|renewal| renewal.window.is_some());
        let old = known.filter(|_| progress.directory == self.settings.directory);
        let old = old.map(|renewal| renewal.certificate.as_str());
        let (key, path) = (self.folder.join("key.pem"), self.path(&wish.name));
        let mut stop = self.stop.clone();
        self.authority()
            .certificate(wish, &key, &path, old, stopped(&mut stop))
            .await?;
        self.tls.reload().map_err(|e| order::Fault::new(e.message))
    }

    /// Asks the authority when it wants a certificate of its own renewed (RFC 9773), where it is time to ask.
    async fn ask(&self, wish: &Wish, state: &mut State) {
        let now = net::now();
        let progress = state.of(&wish.name);
        let Ok(chain) = tls::read_chain(&self.path(&wish.name)) else {
            return;
        };
        let Some(id) = chain.first().and_then(order::identifier) else {
            return;
        };
        let known = progress.renewal.clone().filter(|known| known.certificate == id);
        let is_asked = known.as_ref().is_some_and(|known| now < known.ask_at);
        if is_asked || now < progress.next_at || progress.directory != self.settings.directory {
            return;
        }
        let answer = match self.authority().renewal(&id).await {
            Ok(answer) => answer,
            Err(fault) => {
                tracing::debug!(
                    certificate = wish.name,
                    error = fault.message,
                    "no word on when to renew"
                );
                None
            }
        };
        let renewal = Renewal::answered(known, &id, answer, now, rand::random());
        if renewal.window != progress.renewal.as_ref().and_then(|known| known.window) {
            tracing::info!(certificate = wish.name, window = ?renewal.window, "the authority says when to renew");
        }
        state.of_mut(&wish.name).renewal = Some(renewal);
        if let Err(e) = state.write(&self.folder) {
            tracing::error!(error = %e.message, "how certificates stand was not written down");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        path(&self.folder, name, &self.hostname)
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
            Some((from, until)) if covers && !tls::is_self_signed(own) => {
                let known = progress.renewal.as_ref();
                let known = known.filter(|known| order::identifier(own).is_some_and(|id| id == known.certificate));
                now >= renewal::due(from, until, own, known.and_then(|known| known.at))
            }
            _ => true,
        }
    }
}

/// Until the server stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Who could say so being gone says so, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Where a certificate lies.
fn path(folder: &Path, name: &str, hostname: &str) -> PathBuf {
    match name == hostname {
        true => folder.join("host.pem"),
        false => folder.join(format!("site-{name}.pem")),
    }
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
