//! The way in, the same for every protocol: connections are taken off the listener, counted, unwrapped from PROXY and TLS and handed to a
//! session of their own, until it is time to stop.

use crate::{Proxies, Seat, Seats, Stream, Tls, now, stopped};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use smtp::proxy::Proxied;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long somebody who is turned away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long we wait when the system gives us no connection: it is out of file descriptors, most likely, and sessions that end will free
/// some.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// A listener.
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

/// What one listener may cost.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64 network).
    pub connections_per_address: usize,
    /// How long a TLS handshake or a PROXY header may take.
    pub handshake: Duration,
    /// How long sessions may go on after the stop signal.
    pub shutdown: Duration,
}

/// What is counted on the way in.
#[derive(Clone, Default)]
pub struct Counters {
    /// Connections taken or turned away.
    pub connections: Counter,
    /// Connections open now.
    pub open: Gauge,
    /// Connections turned away.
    pub turned_away: Counter,
    /// TLS handshakes that failed.
    pub handshakes: Counter,
}

/// The way in through one listener.
pub struct Entrance {
    config: ListenerConfig,
    bounds: Bounds,
    /// What is said where there is no seat: a whole line of the protocol.
    full: &'static [u8],
    counters: Counters,
    seats: Arc<Seats>,
}

/// Somebody who came in: PROXY header read, seat taken, TLS on where it is on from the first octet.
pub struct Guest {
    /// The session's name: when it began and its number, short enough for every line of the log.
    pub name: String,
    /// The connection.
    pub stream: Stream,
    /// Who is at its other end.
    pub peer: SocketAddr,
    /// TLS, where it was on from the first octet.
    pub tls: Option<smtp::Tls>,
    /// The seat; to be kept as long as the connection.
    pub seat: Seat,
    /// Becomes true when it is time to stop.
    pub shutdown: watch::Receiver<bool>,
}

impl Entrance {
    /// A way in. `full` is what the protocol says to somebody there is no seat for, with its CRLF.
    pub fn new(config: ListenerConfig, bounds: Bounds, full: &'static [u8], counters: Counters) -> Entrance {
        Entrance {
            config,
            bounds,
            full,
            counters,
            seats: Arc::new(Seats::default()),
        }
    }

    /// The listener.
    pub fn config(&self) -> &ListenerConfig {
        &self.config
    }

    /// Serves the listener until `shutdown` becomes true: each guest gets a task, in which `session` runs. Returns when the sessions have
    /// ended, or were cut after [`Bounds::shutdown`].
    pub async fn serve<S, F>(self: Arc<Self>, socket: TcpListener, mut shutdown: watch::Receiver<bool>, session: S)
    where
        S: Fn(Guest) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut shutdown) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.counters.connections.inc();
                        let Some(seat) = self.seats.take(self.bounds.connections) else {
                            self.turn_away(&stream);
                            continue;
                        };
                        // Answers are written whole; waiting for more to send would only make the client wait.
                        let _ = stream.set_nodelay(true);
                        // A client that is silent by right and gone without a word is found out by the system.
                        let _ = socket2::SockRef::from(&stream).set_keepalive(true);
                        let guest = Guest {
                            name: session_name(),
                            stream: Stream::Plain(stream),
                            peer,
                            tls: None,
                            seat,
                            shutdown: shutdown.clone(),
                        };
                        connections.spawn(Arc::clone(&self).receive(guest, session.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(listener = self.config.name, %error, "cannot accept connections");
                        tokio::time::sleep(OUT_OF_FILES).await;
                    }
                },
            }
        }
        drop(socket);
        let ended = timeout(self.bounds.shutdown, async {
            while connections.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::info!(
                listener = self.config.name,
                sessions = connections.len(),
                "sessions cut at shutdown"
            );
            connections.shutdown().await;
        }
    }

    /// The server's side of a TLS handshake, within its time and counted; for STARTTLS, and for TLS from the first octet.
    pub async fn handshake(&self, stream: &mut Stream) -> io::Result<smtp::Tls> {
        let config = match &self.config.tls {
            Tls::Off => return Err(io::ErrorKind::Unsupported.into()),
            Tls::Offer(provider) | Tls::Immediate(provider) => provider(),
        };
        let result = timeout(self.bounds.handshake, stream.handshake(config))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = &result {
            self.counters.handshakes.inc();
            tracing::debug!(listener = self.config.name, %error, "TLS handshake failed");
        }
        result
    }

    async fn receive<S, F>(self: Arc<Self>, guest: Guest, session: S)
    where
        S: Fn(Guest) -> F,
        F: Future<Output = io::Result<()>>,
    {
        let _open = Open::new(&self.counters.open);
        let name = guest.name.clone();
        let ended = async {
            match self.let_in(guest).await? {
                Some(guest) => session(guest).await,
                None => Ok(()),
            }
        };
        if let Err(error) = ended.await {
            tracing::debug!(session = name, listener = self.config.name, %error, "connection lost");
        }
    }

    /// What comes before the session: PROXY header, the count of connections, TLS from the first octet. `None`: turned away.
    async fn let_in(&self, mut guest: Guest) -> io::Result<Option<Guest>> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        if let Some(proxies) = &self.config.proxies
            && proxies(guest.peer.ip())
        {
            let proxied = timeout(self.bounds.handshake, guest.stream.proxied())
                .await
                .map_err(late)??;
            if let Proxied::Client { source, .. } = proxied {
                guest.peer = source;
            }
        }
        if !guest.seat.name(guest.peer.ip(), self.bounds.connections_per_address) {
            self.counters.turned_away.inc();
            tracing::info!(session = guest.name, listener = self.config.name, client = %guest.peer, "too many connections from there");
            if !matches!(self.config.tls, Tls::Immediate(_)) {
                timeout(LAST_WORDS, guest.stream.write(self.full))
                    .await
                    .map_err(late)??;
            }
            return Ok(None);
        }
        if matches!(self.config.tls, Tls::Immediate(_)) {
            guest.tls = Some(self.handshake(&mut guest.stream).await?);
        }
        tracing::debug!(session = guest.name, listener = self.config.name, client = %guest.peer, "connected");
        Ok(Some(guest))
    }

    /// There is no seat left; said without a task, and without waiting.
    fn turn_away(&self, stream: &TcpStream) {
        self.counters.turned_away.inc();
        if !matches!(self.config.tls, Tls::Immediate(_)) {
            let _ = stream.try_write(self.full);
        }
    }
}

/// A name for a session: when it began and its number.
fn session_name() -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed) & 0xff_ffff;
    format!("{:08x}{number:06x}", now() & 0xffff_ffff)
}

/// An open connection is counted until its task ends, however it ends.
struct Open<'g>(&'g Gauge);

impl<'g> Open<'g> {
    fn new(gauge: &'g Gauge) -> Open<'g> {
        gauge.inc();
        Open(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A listener whose sessions say hello, return what they read and end.
    async fn open(
        connections: usize,
        per_address: usize,
    ) -> (SocketAddr, watch::Sender<bool>, Counters, tokio::task::JoinHandle<()>) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let config = ListenerConfig {
            name: "test".into(),
            tls: Tls::Off,
            plaintext: true,
            proxies: Some(Arc::new(|_| true)),
        };
        let bounds = Bounds {
            connections,
            connections_per_address: per_address,
            handshake: Duration::from_secs(30),
            shutdown: Duration::from_secs(30),
        };
        let counters = Counters::default();
        let entrance = Arc::new(Entrance::new(config, bounds, b"full\r\n", counters.clone()));
        let (stop, shutdown) = watch::channel(false);
        let task = tokio::spawn(entrance.serve(socket, shutdown, |mut guest: Guest| async move {
            let hello = format!("hello {}\n", guest.peer.ip());
            guest.stream.write(hello.as_bytes()).await?;
            let mut buffer = [0; 100];
            tokio::select! {
                count = guest.stream.read(&mut buffer) => guest.stream.write(&buffer[..count?]).await?,
                () = stopped(&mut guest.shutdown) => guest.stream.write(b"stop\n").await?,
            }
            drop(guest.seat);
            Ok(())
        }));
        (address, stop, counters, task)
    }

    async fn enter(address: SocketAddr, from: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let header = format!("PROXY TCP4 {from} 192.0.2.1 1000 25\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        stream
    }

    async fn hear(stream: &mut TcpStream, expected: &str) {
        let mut buffer = vec![0; expected.len()];
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer), expected);
    }

    #[tokio::test]
    async fn guests_are_counted_by_address_and_told_to_stop() {
        let (address, stop, counters, task) = open(3, 1).await;
        let mut one = enter(address, "198.51.100.1").await;
        hear(&mut one, "hello 198.51.100.1\n").await;
        let mut again = enter(address, "198.51.100.1").await;
        hear(&mut again, "full\r\n").await;
        let mut other = enter(address, "198.51.100.2").await;
        hear(&mut other, "hello 198.51.100.2\n").await;
        one.write_all(b"echo").await.unwrap();
        hear(&mut one, "echo").await;
        let mut end = Vec::new();
        one.read_to_end(&mut end).await.unwrap();
        stop.send(true).unwrap();
        hear(&mut other, "stop\n").await;
        task.await.unwrap();
        assert_eq!(
            (
                counters.connections.get(),
                counters.turned_away.get(),
                counters.open.get()
            ),
            (3, 1, 0)
        );
    }

    #[tokio::test]
    async fn there_is_no_seat_without_end() {
        let (address, stop, counters, task) = open(1, 1).await;
        let mut one = enter(address, "198.51.100.1").await;
        hear(&mut one, "hello 198.51.100.1\n").await;
        let mut two = TcpStream::connect(address).await.unwrap();
        hear(&mut two, "full\r\n").await;
        stop.send(true).unwrap();
        task.await.unwrap();
        assert_eq!(counters.turned_away.get(), 1);
    }
}
