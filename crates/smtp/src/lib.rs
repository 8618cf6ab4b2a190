//! SMTP and LMTP as state machines, without sockets or clock.
//!
//! SMTP (RFC 5321) is a dialogue of lines. The client names a sender (`MAIL`) and recipients (`RCPT`), hands over the message (`DATA`, or
//! `BDAT` of RFC 3030), and the server's final `250` takes responsibility for it. LMTP (RFC 2033) is the same dialogue with one final reply
//! a recipient, for the last hop into mailboxes. What else the server can do, it says in its answer to `EHLO`.
//!
//! A [`Session`] is the server's side of one connection. The caller owns the socket, the clock and every decision:
//!
//! 1. Bytes go in through [`Session::next`], which takes what it needs from the front of a slice and gives back an [`Event`].
//! 2. An event that asks something (is this recipient ours? is this password right?) is answered by the method its documentation names.
//!    Until then the session reads no further, so replies keep the order of the commands, however the client pipelines them (RFC 2920).
//! 3. Replies gather in [`Session::output`]; when `next` has nothing more to say, everything there goes out in one write.
//!
//! Message bytes come out as [`Event::MessageData`]: slices of the caller's own buffer, already un-stuffed, copied nowhere.
//!
//! Beside the session: [`Received`] builds the trace header, [`proxy`] reads the PROXY protocol's preamble, and [`dsn`] writes the notices about
//! what became of a message.

mod address;
pub mod client;
mod command;
mod config;
mod data;
pub mod dsn;
mod error;
mod event;
mod header;
mod moment;
mod parameter;
pub mod proxy;
mod received;
mod reply;
mod session;

pub use address::{Address, ReversePath};
pub use config::{Authentication, Config, Limits, Role};
pub use error::{Error, Result};
pub use event::{Event, Recipient, Sender, Tls};
pub use moment::{date, timestamp};
pub use parameter::{Body, Hold, Notify, Return};
pub use received::Received;
pub use reply::{Reply, Status};
pub use session::Session;

/// Pieces of the session that the fuzz targets and property tests reach on their own.
pub mod parts {
    pub use crate::data::{DataReader, Piece};
    pub use crate::header::{HeaderScan, Verdict};
}
