//! A listener at work, the same for IMAP, POP3 and ManageSieve: what all its sessions share, how patient it is with them, and how it waits
//! for a client.

use crate::ListenerConfig;
use crate::metrics::{ListenerMetrics, Metrics, Own};
use net::{Bounds, Entrance, Guest, Stream, stopped};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What one client may cost in connections and in time.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Connections at once on one listener. Default 10,000.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64 network) on one listener. Default 200.
    pub connections_per_address: usize,
    /// Pause before a failed login is answered. Default 2 s.
    pub login_failure_delay: Duration,
    /// Silence after which a session that has not logged in is ended. Default 1 minute.
    pub login_idle: Duration,
    /// Time after which a session is ended that has still not logged in. Default 5 minutes.
    pub login_time: Duration,
    /// Silence after which any other session is ended. Default 30 minutes (RFC 9051 §5.4, RFC 5804 §1.2); POP3's is 10 minutes, with the lock
    /// free afterwards, and no less is allowed (RFC 1939 §3).
    pub idle: Duration,
    /// How long the client may take to read a piece of an answer, or to send a piece of a message. Default 5 minutes.
    pub stall: Duration,
    /// How long a TLS handshake or a PROXY header may take. Default 30 s.
    pub handshake: Duration,
    /// How long sessions may go on after the stop signal. Default 10 s.
    pub shutdown: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connections: 10_000,
            connections_per_address: 200,
            login_failure_delay: Duration::from_secs(2),
            login_idle: Duration::from_secs(60),
            login_time: Duration::from_secs(5 * 60),
            idle: Duration::from_secs(30 * 60),
            stall: Duration::from_secs(5 * 60),
            handshake: Duration::from_secs(30),
            shutdown: Duration::from_secs(10),
        }
    }
}

impl ConnectionLimits {
    /// How long the next octets of a client may take that came at `started`.
    pub(crate) fn patience(&self, logged_in: bool, started: Instant) -> Duration {
        if logged_in {
            return self.idle;
        }
        // Who drips in octet by octet has no more time than who is silent.
        let left = self.login_time.saturating_sub(started.elapsed());
        self.login_idle.min(left)
    }
}

/// What came of waiting for a client.
pub(crate) enum Heard {
    /// So many octets.
    Octets(usize),
    /// It has ended its side.
    End,
    /// Its time has run out.
    Silence,
    /// It is time to stop.
    Stop,
}

/// Waits for the client, for the signal to stop, and for time to run out.
pub(crate) async fn hear(
    stream: &mut Stream,
    shutdown: &mut watch::Receiver<bool>,
    patience: Duration,
    buffer: &mut [u8],
) -> io::Result<Heard> {
    tokio::select! {
        biased;
        read = stream.read(buffer) => match read? {
            0 => Ok(Heard::End),
            count => Ok(Heard::Octets(count)),
        },
        () = stopped(shutdown) => Ok(Heard::Stop),
        () = tokio::time::sleep(patience) => Ok(Heard::Silence),
    }
}

/// Writes an answer, if the client takes it in time.
pub(crate) async fn say(stream: &mut Stream, stall: Duration, octets: &[u8]) -> io::Result<()> {
    timeout(stall, stream.write(octets))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// A listener at work: `C` is what all listeners of its protocol share, `O` what the protocol counts beside the others.
pub(crate) struct Listener<C, O> {
    pub(crate) context: Arc<C>,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) metrics: ListenerMetrics<O>,
}

impl<C, O> Listener<C, O>
where
    C: Send + Sync + 'static,
    O: Own + Send + Sync + 'static,
{
    /// `full` is what the protocol says to somebody there is no room for, with its CRLF.
    pub(crate) fn new(
        context: &Arc<C>,
        metrics: &Metrics<O>,
        limits: &ConnectionLimits,
        config: ListenerConfig,
        full: &'static [u8],
    ) -> Listener<C, O> {
        let metrics = metrics.of(&config.name);
        let bounds = Bounds {
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            handshake: limits.handshake,
            shutdown: limits.shutdown,
        };
        Listener {
            context: Arc::clone(context),
            entrance: Arc::new(Entrance::new(config, bounds, full, metrics.entrance.clone())),
            metrics,
        }
    }

    /// How it was set up.
    pub(crate) fn config(&self) -> &ListenerConfig {
        self.entrance.config()
    }

    /// Serves until `shutdown` becomes true; returns when the sessions have ended, or were cut after [`ConnectionLimits::shutdown`].
    pub(crate) async fn serve<S, F>(self, socket: TcpListener, shutdown: watch::Receiver<bool>, session: S)
    where
        S: Fn(Arc<Self>, Guest) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = Arc::new(self);
        let entrance = Arc::clone(&listener.entrance);
        let session = move |guest| session(Arc::clone(&listener), guest);
        entrance.serve(socket, shutdown, session).await;
    }
}
