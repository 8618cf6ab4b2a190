//! Relaying: what is for other servers leaves the ledger by here.
//!
//! [`transport`] is the seam between the queue, which knows what is due and when, and the network, which knows how a destination is reached.
//! [`Relay`] is the queue's side: it takes due rows from the ledger, gives connections to destinations and mail to connections, and has what
//! came of it written.

pub mod connector;
pub mod transport;

mod courier;
mod runner;
mod schedule;
mod scheduler;
mod settler;
mod window;

pub use runner::{Options, Relay, Statistics};
pub use schedule::Strategy;
