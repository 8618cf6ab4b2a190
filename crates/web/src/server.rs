//! The listener below the pages: HTTP/1.1 by hyper, over the connections that [`net::Entrance`] lets in.

use crate::health::{self, Parts};
use crate::site::{self, Site};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use net::{Bounds, Counters, Entrance, Guest, ListenerConfig, Tls};
use prometheus_client::registry::Registry;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// ALPN of a certificate authority that looks whether a name leads to us (RFC 8737 §3): the handshake is all it wants.
const ACME_TLS: &[u8] = b"acme-tls/1";

/// What a client may cost, beside what [`Bounds`] says.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long the head of a request may take, and how long a connection may be idle between two.
    pub head: Duration,
    /// How long a connection may last. Whoever has more to ask connects again.
    pub connection: Duration,
    /// Octets of the head of a request.
    pub head_size: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: Duration::from_secs(15),
            connection: Duration::from_secs(300),
            head_size: 16 * 1024,
        }
    }
}

/// What is counted, over all listeners.
#[derive(Clone, Default)]
pub struct Metrics {
    counters: Counters,
}

impl Metrics {
    /// Registers them; the caller has given the registry its prefix.
    pub fn register(&self, registry: &mut Registry) {
        let Counters {
            connections,
            open,
            turned_away,
            handshakes,
        } = self.counters.clone();
        registry.register("http_connections", "Connections taken or turned away", connections);
        registry.register("http_connections_open", "Connections open now", open);
        registry.register("http_connections_turned_away", "Connections turned away", turned_away);
        registry.register("http_tls_failures", "TLS handshakes that failed", handshakes);
    }
}

/// What all listeners share.
pub struct Context {
    /// For those who run the server.
    pub parts: Parts,
    /// Who they are: addresses that get [`Parts`].
    pub insiders: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// For the world.
    pub site: Arc<Site>,
    /// What a client may cost.
    pub limits: Limits,
    /// Connections at once, and the like.
    pub bounds: Bounds,
    /// What is counted.
    pub metrics: Metrics,
}

/// Serves a listener until `shutdown` becomes true.
pub async fn serve(
    socket: TcpListener,
    context: Arc<Context>,
    config: ListenerConfig,
    shutdown: watch::Receiver<bool>,
) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let tls = matches!(config.tls, Tls::Immediate(_));
    let counters = context.metrics.counters.clone();
    let entrance = Arc::new(Entrance::new(config, context.bounds.clone(), FULL, counters));
    let world = site::router(Arc::clone(&context.site), tls);
    let all = health::router(context.parts.clone()).merge(world.clone());
    let session = move |guest: Guest| {
        let insider = (context.insiders)(guest.peer.ip().to_canonical());
        let router = if insider { all.clone() } else { world.clone() };
        converse(guest, router, context.limits.clone())
    };
    entrance.serve(socket, shutdown, session).await;
}

/// One connection.
async fn converse(mut guest: Guest, router: Router, limits: Limits) -> io::Result<()> {
    if guest.stream.alpn() == Some(ACME_TLS) {
        return guest.stream.finish().await;
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_size);
    let connection = builder.serve_connection(TokioIo::new(guest.stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let mut end = pin!(tokio::time::sleep(limits.connection));
    let mut shutdown = guest.shutdown.clone();
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = end.as_mut() => {}
        () = net::stopped(&mut shutdown) => {}
    }
    // The answer that is being written is written to its end, within bounds.
    connection.as_mut().graceful_shutdown();
    match tokio::time::timeout(limits.head, connection).await {
        Ok(ended) => ended.map_err(io::Error::other),
        Err(_) => Ok(()),
    }
}
