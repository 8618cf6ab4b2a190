//! How people's programs reach their mail: the servers of the access protocols, over the store.
//!
//! Exposed to: anybody who can connect, before they have proven anything; then to people's programs. May touch: the directory
//! (reading), the accounts that whoever has logged in may use, blobs (adding a message).
//!
//! Each protocol has a module of its own, with its own options, counters and `serve`.

pub mod imap;
mod listener;
mod login;
pub mod managesieve;
mod metrics;
pub mod pop3;
pub mod sharing;

pub use listener::ConnectionLimits;
pub use metrics::{Metrics, Own};
pub use net::{ListenerConfig, Proxies, Tls, TlsProvider};
