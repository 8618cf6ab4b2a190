//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051), the server's side of the wire: octets to commands, answers to octets. No sockets,
//! no clock, no storage: a session can be tested from a text file.
//!
//! - [`Framer`] cuts the stream into commands. It holds no more than [`Limits`] allow and lets the message of an APPEND through in
//!   pieces.
//! - [`Request::parse`] understands one command.
//! - [`State`] says which command is for which state of a session.
//! - [`response`] writes answers into a buffer.
//!
//! One file for each extension or group of commands, each with the grammar rule above the function that reads it.

pub mod command;
mod cursor;
mod date;
mod error;
mod flag;
mod framer;
mod limits;
mod mailbox;
mod object_id;
pub mod response;
mod sequence;
mod state;
pub mod thread;
mod url;

pub use command::{Append, Command, Refused, Request, sasl_response};
pub use date::{Date, DateTime};
pub use error::{Error, Result};
pub use flag::{Flag, SpecialUse};
pub use framer::{Event, Framer, Step};
pub use limits::Limits;
pub use mailbox::{MailboxName, utf7_decode, utf7_encode};
pub use object_id::ObjectKind;
pub use sequence::{Bound, NumberSet, SequenceSet};
pub use state::{State, allows_expunge, changes_mailbox, changes_mailboxes, saves_result, uses_sequence_numbers};
pub use url::{ImapUrl, UrlAuth};
