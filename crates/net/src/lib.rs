//! What every listening service shares: an [`Entrance`] takes connections off a listener until it is time to stop, [`Seats`] bound how many
//! there are, a [`Stream`] is one of them with or without TLS and with a PROXY header in front where the listener says so.
//!
//! Exposed to: the first octets of a PROXY header and the TLS handshake, both bounded. Touches nothing but sockets.

mod deflate;
mod entrance;
mod seats;
pub mod secured;
mod stream;

pub use entrance::{Bounds, Counters, Entrance, Guest, ListenerConfig};
pub use seats::{Seat, Seats};
pub use stream::Stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Gives the TLS settings for the next handshake, so that they can change while we run.
pub type TlsProvider = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// Whether connections from this address begin with a PROXY header.
pub type Proxies = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

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

/// Returns when the signal to stop is given.
pub async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        // Whoever could give the signal is gone.
        std::future::pending::<()>().await;
    }
}

/// Runs what may wait for the disk, without holding up the other tasks of this thread where the runtime has other threads.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
