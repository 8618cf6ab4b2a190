//! The IMAP server: RFC 3501 and RFC 9051 over the store.
//!
//! Exposed to: anybody who can connect, before they have proven anything; then to people's programs. May touch: the directory
//! (reading), the account that has logged in, blobs (adding a message). Whatever a client names is looked up in its own account.
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
mod seats;
mod selected;
mod stream;
mod trouble;

pub use limits::Options;
pub use metrics::Metrics;

use connection::Connection;
use directory::Directory;
use metrics::ListenerMetrics;
use seats::Seats;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Store;
use stream::Stream;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Gives the TLS settings for the next handshake, so that they can change while we run.
pub type TlsProvider = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// Whether connections from this address begin with a PROXY header.
pub type Proxies = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

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

/// How TLS comes about on a listener.
#[derive(Clone)]
pub enum Tls {
    /// It does not.
    Off,
    /// By STARTTLS.
    Offer(TlsProvider),
    /// Before the first octet.
    Immediate(TlsProvider),
}

/// One listener.
#[derive(Clone)]
pub struct ListenerConfig {
    /// Its name in the log and the counters.
    pub name: String,
    /// How TLS comes about.
    pub tls: Tls,
    /// Logins without TLS. For loopback addresses.
    pub plaintext: bool,
    /// Whose connections begin with a PROXY header; `None`: nobody's.
    pub proxies: Option<Proxies>,
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

/// Returns when the signal to stop is given.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        // Whoever could give the signal is gone.
        std::future::pending::<()>().await;
    }
}

/// Runs what may wait for the disk, without holding up the other tasks of this thread where the runtime has other threads.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
