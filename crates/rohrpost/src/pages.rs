//! Settings into what HTTP answers.

use crate::acme::Proofs;
use crate::config::{Config, Listener, Protocol, TlsMode};
use crate::engine::Engine;
use crate::services::whole;
use net::Bounds;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use web::{Encryption, Offer, OfferProtocol, Offers, Site};

/// How long a health check may take.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

/// What all HTTP listeners share. `bound` are the listeners with the addresses they really have.
pub fn context(
    config: &Config,
    bound: &[Listener],
    engine: &Arc<Engine>,
    proofs: &Arc<Proofs>,
    registry: Registry,
    metrics: web::Metrics,
) -> web::Context {
    let (asked, directory) = (Arc::clone(engine), engine.directory.clone());
    let proofs = Arc::clone(proofs);
    let insiders = config.web.figures.clone();
    let limits = &config.limits;
    web::Context {
        parts: web::Parts {
            health: Arc::new(move || asked.health()),
            registry: Arc::new(registry),
            patience: HEALTH_PATIENCE,
        },
        insiders: Arc::new(move |address| insiders.iter().any(|network| network.contains(address))),
        site: Arc::new(Site {
            hostname: config.hostname.clone(),
            is_ours: Arc::new(move |domain| directory.domain_is_ours(domain)),
            policy: config.sts_policy(),
            offers: config.web.autoconfig.then(|| offers(config, bound)),
            challenge: Arc::new(move |token| proofs.answer(token)),
        }),
        limits: web::Limits::default(),
        bounds: Bounds {
            connections: whole(limits.connections),
            connections_per_address: whole(limits.connections_per_address),
            handshake: limits.handshake,
            shutdown: limits.shutdown,
        },
        metrics,
    }
}

/// The ports that mail programs can use. Those on loopback addresses only where there are no others: on a machine for trials.
fn offers(config: &Config, bound: &[Listener]) -> Offers {
    let certificate = config.tls.is_some();
    let all: Vec<(bool, Offer)> = bound
        .iter()
        .filter_map(|listener| {
            let protocol = match listener.protocol {
                Protocol::Imap | Protocol::Imaps => OfferProtocol::Imap,
                Protocol::Pop3 | Protocol::Pop3s => OfferProtocol::Pop3,
                Protocol::Submission | Protocol::Submissions => OfferProtocol::Submission,
                _ => return None,
            };
            let encryption = match listener.tls_mode(certificate) {
                TlsMode::Immediate => Encryption::Immediate,
                TlsMode::Offer => Encryption::StartTls,
                // Nobody can log in there.
                TlsMode::Off if !listener.plaintext => return None,
                TlsMode::Off => Encryption::None,
            };
            let offer = Offer {
                protocol,
                port: listener.bind.port(),
                encryption,
            };
            Some((listener.bind.ip().is_loopback(), offer))
        })
        .collect();
    let trial = all.iter().all(|(loopback, _)| *loopback);
    let open = all.into_iter().filter(|(loopback, _)| trial || !loopback);
    Offers::new(config.hostname.as_str(), open.map(|(_, offer)| offer).collect())
}
