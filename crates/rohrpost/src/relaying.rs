//! Mail for other servers: the queue runner on the connector, as the settings have it.

use crate::config::{Config, Protocol};
use crate::engine::{Engine, Outward};
use delivery::relay::connector::{ClientTls, Connector};
use delivery::relay::{Options, Relay, Statistics};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Relaying, running.
pub struct Relaying {
    relay: Relay<Connector>,
    connector: Connector,
    reporting: JoinHandle<()>,
}

impl Relaying {
    /// Where its figures can be asked for.
    pub fn gauge(&self) -> impl Fn() -> Statistics + Send + Sync + 'static + use<> {
        self.relay.gauge()
    }

    /// Lets the connections finish the message they are at.
    pub async fn stop(self, patience: Duration) {
        self.reporting.abort();
        self.relay.stop(patience).await;
        net::blocking(|| self.connector.flush());
    }
}

/// Starts it. Called once, within a tokio runtime.
pub fn start(
    config: &Config,
    engine: &Engine,
    outward: &Outward,
    resolver: dns::Resolver,
) -> std::io::Result<Relaying> {
    let fault = |text: String| std::io::Error::other(format!("[outgoing]: {text}"));
    let ports: Vec<u16> = config
        .listeners
        .iter()
        .filter(|listener| listener.protocol == Protocol::Smtp)
        .map(|listener| listener.bind.port())
        .collect();
    let own = Arc::new(move |address: SocketAddr| ports.contains(&address.port()) && is_of_this_machine(address));
    let options = config.connector(own).map_err(fault)?;
    let folder = config.file.parent().unwrap_or_else(|| Path::new(""));
    let authorities = config.outgoing.authorities.as_ref().map(|file| folder.join(file));
    let tls = ClientTls::new(authorities.as_deref()).map_err(fault)?;
    let connector = Connector::new(options, resolver, tls, Some(Arc::clone(&engine.database)));

    let (reporter, own) = (connector.clone(), outward.own.clone());
    let reporting = tokio::spawn(async move { reporter.report(own).await });

    let options = Options {
        connections: usize::try_from(config.outgoing.connections).unwrap_or(usize::MAX),
        ..Options::default()
    };
    let relay = Relay::start(
        engine.ledger.clone(),
        engine.blobs.clone(),
        Arc::new(connector.clone()),
        Arc::clone(&outward.notifier),
        options,
    );
    Ok(Relaying {
        relay,
        connector,
        reporting,
    })
}

/// Whether an address belongs to this machine: only then can something be bound to it.
fn is_of_this_machine(address: SocketAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address.ip(), 0)).is_ok()
}
