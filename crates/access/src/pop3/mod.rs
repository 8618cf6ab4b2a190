//! The POP3 server: RFC 1939 and its extensions over the store.
//!
//! The protocol is in the crate `pop3`. Here is what it needs of the world: who somebody is, the messages of INBOX as they were when he
//! came, and the lock.
//!
//! The lock is POP3's own: a second POP3 session for the account is told `[IN-USE]`, IMAP sessions and deliveries go on. What they add is
//! not in this session's list, what they take away can't be retrieved any more. The lock lives in memory and goes with its connection,
//! however that ends.

mod connection;
mod lock;
mod metrics;
mod options;

pub use metrics::Pop3Own;
pub use options::Options;

use crate::ListenerConfig;
use crate::metrics::Metrics;
use connection::Connection;
use directory::Directory;
use lock::Locks;
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

/// Serves a listener until `shutdown` becomes true; returns when its sessions have ended, or were cut after [`ConnectionLimits::shutdown`](crate::ConnectionLimits::shutdown).
pub async fn serve(
    socket: TcpListener,
    context: Arc<Context>,
    config: ListenerConfig,
    shutdown: watch::Receiver<bool>,
) {
    let limits = &context.options.connection;
    let listener = Listener::new(&context, &context.metrics, limits, config, connection::TOO_MANY);
    let session = |listener, guest| Connection::new(listener, guest).run();
    listener.serve(socket, shutdown, session).await;
}

/// A listener at work.
type Listener = crate::listener::Listener<Context, Pop3Own>;
