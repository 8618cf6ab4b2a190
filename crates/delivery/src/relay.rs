//! Relaying: what is for other servers leaves the ledger by here.
//!
//! [`transport`] is the seam between the queue, which knows what is due and when, and the network, which knows how a destination is reached.

pub mod connector;
pub mod transport;
