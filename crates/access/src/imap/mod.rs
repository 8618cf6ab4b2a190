//! The IMAP server: RFC 3501 and RFC 9051 over the store.
//!
//! Whatever mailbox a client names is looked up by [`place`] alone, which knows what the account may see.
//!
//! [`serve`] takes connections off one listener until it is told to stop; each is a task of its own. The protocol is in the crate
//! `imap`: its framer cuts the stream into commands, its encoder writes the answers. Here is what they mean: one file for each group of
//! commands under `command`.
//!
//! A session that has selected a mailbox keeps the [`store::Snapshot`] that its client knows. Sequence numbers are positions in it.
//! Where a command may speak of changes, the newest snapshot is compared with it and the difference told; while a client idles, each
//! new snapshot wakes its session.

mod answer;
mod capability;
mod command;
mod connection;
mod decode;
mod envelope;
mod limits;
mod login;
mod metrics;
mod place;
mod selected;
mod trouble;

pub use limits::Options;
pub use metrics::Metrics;

use crate::{ListenerConfig, Tls};
use connection::Connection;
use directory::Directory;
use metrics::ListenerMetrics;
use net::{Seats, Stream, blocking, now, stopped};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What all IMAP listeners share.
pub struct Context {
    directory: Directory,
    store: Arc<Store>,
    options: Options,
    metrics: Metrics,
    sessions: AtomicU64,
}

impl Context {
    /// Puts together what sessions need.
    pub fn new(directory: Directory, store: Arc<Store>, options: Options) -> Context {
        Context {
            directory,
            store,
            options,
            metrics: Metrics::default(),
            sessions: AtomicU64::new(0),
        }
    }

    /// The counters, to be registered.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A name for a session: when it began and its number, short enough for every line of the log.
    fn session_name(&self) -> String {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed) & 0xff_ffff;
        format!("{:08x}{number:06x}", now() & 0xffff_ffff)
    }
}

/// Serves a listener until `shutdown` becomes true; returns when its sessions have ended, or were cut after [`Options::shutdown`].
pub async fn serve(
    socket: TcpListener,
    context: Arc<Context>,
    config: ListenerConfig,
    mut shutdown: watch::Receiver<bool>,
) {
    let bound = context.options.shutdown;
    let listener = Arc::new(Listener {
        metrics: context.metrics.of(&config.name),
        seats: Arc::new(Seats::default()),
        config,
        context,
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    listener.metrics.connections.inc();
                    let Some(seat) = listener.seats.take(listener.context.options.connections) else {
                        listener.turn_away(&stream);
                        continue;
                    };
                    // Answers are written whole; waiting for more to send would only make the client wait.
                    let _ = stream.set_nodelay(true);
                    // A client that idles and is gone without a word is found out by the system.
                    let _ = socket2::SockRef::from(&stream).set_keepalive(true);
                    let connection =
                        Connection::new(Arc::clone(&listener), Stream::Plain(stream), peer, seat, shutdown.clone());
                    connections.spawn(connection.run());
                }
                Err(error) => {
                    // Out of file descriptors, most likely; connections that end will free some.
                    tracing::warn!(listener = listener.config.name, %error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(socket);
    let ended = tokio::time::timeout(bound, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::info!(
            listener = listener.config.name,
            sessions = connections.len(),
            "sessions cut at shutdown"
        );
        connections.shutdown().await;
    }
}

/// A listener at work.
struct Listener {
    context: Arc<Context>,
    config: ListenerConfig,
    seats: Arc<Seats>,
    metrics: ListenerMetrics,
}

impl Listener {
    /// There is no seat left; said without a task, and without waiting.
    fn turn_away(&self, stream: &tokio::net::TcpStream) {
        if !matches!(self.config.tls, Tls::Immediate(_)) {
            let _ = stream.try_write(connection::TOO_MANY);
        }
    }
}
