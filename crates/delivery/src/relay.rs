//! Relaying: what is for other servers leaves the ledger by here.
//!
//! [`transport`] is the seam between the queue, which knows what is due and when, and the network, which knows how a destination is reached.

pub mod transport;

mod connection;
mod connector;
mod dane;
mod hosts;
mod memory;
mod options;
mod tls;
mod wire;

pub use connection::Connection;
pub use connector::Connector;
pub use options::{Limits, Options, Own, Requirement, Route, Target};
pub use tls::ClientTls;
