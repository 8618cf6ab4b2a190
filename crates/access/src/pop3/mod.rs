//! The POP3 server: RFC 1939 and its extensions over the store.
//!
//! The protocol is in the crate `pop3`. Here is what it needs of the world: who somebody is, the messages of INBOX as they were when he
//! came, and the lock.
//!
//! The lock is POP3's own: a second POP3 session for the account is told `[IN-USE]`, IMAP sessions and deliveries go on. What they add is
//! not in this session's list, what they take away can't be retrieved any more. The lock lives in memory and goes with its connection,
//! however that ends.

mod connection;
mod limits;
mod lock;
mod metrics;

pub use limits::Options;
pub use metrics::Pop3Own;

use crate::ListenerConfig;
use crate::metrics::{ListenerMetrics, Metrics};
use connection::Connection;
use directory::Directory;
use lock::Locks;
use net::{Bounds, Entrance};
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What all POP3 listeners share.
pub struct Context {
    directory: Directory,
    store: Arc<Store>,
    options: Options,
    metrics: Metrics<Pop3Own>,
    locks: Locks,
}

impl Context {
    /// Puts together what sessions need.
    pub fn new(directory: Directory, store: Arc<Store>, options: Options) -> Context {
        Context {
            directory,
            store,
            options,
            metrics: Metrics::default(),
            locks: Locks::default(),
        }
    }

    /// The counters, to be registered.
    pub fn metrics(&self) -> &Metrics<Pop3Own> {
        &self.metrics
    }
}

/// Serves a listener until `shutdown` becomes true; returns when its sessions have ended, or were cut after [`Options::shutdown`].
pub async fn serve(
    socket: TcpListener,
    context: Arc<Context>,
    config: ListenerConfig,
    shutdown: watch::Receiver<bool>,
) {
    let metrics = context.metrics.of(&config.name);
    let options = &context.options;
    let bounds = Bounds {
        connections: options.connections,
        connections_per_address: options.connections_per_address,
        handshake: options.handshake,
        shutdown: options.shutdown,
    };
    let counters = metrics.entrance.clone();
    let entrance = Arc::new(Entrance::new(config, bounds, connection::TOO_MANY, counters));
    let listener = Arc::new(Listener {
        entrance: Arc::clone(&entrance),
        metrics,
        context,
    });
    let session = move |guest| Connection::new(Arc::clone(&listener), guest).run();
    entrance.serve(socket, shutdown, session).await;
}

/// A listener at work.
struct Listener {
    context: Arc<Context>,
    entrance: Arc<Entrance>,
    metrics: ListenerMetrics<Pop3Own>,
}
