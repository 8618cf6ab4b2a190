//! What is searched for in an account: its messages' text, made comparable, and their sort keys, in a file of its own.
//!
//! IMAP searches for substrings (RFC 9051 §6.4.4), without regard to case (RFC 5051). So the index does not know words: it knows which
//! texts hold which three octets in a row, and keeps the texts, compressed. A search looks up the triples of what it looks for, and
//! reads only the texts that have them all: its answer is exact.
//!
//! The file holds nothing that could not be made again from the messages. It is never synced on delivery's account, it may be deleted
//! at any time, and when it is damaged it is thrown away and made anew.
//!
//! - [`Doc`] is what is known of one message.
//! - [`Index`] keeps them: [`Index::add`], [`Index::find`], [`Index::columns`].
//! - [`Leaf`] is what can be looked for; [`Doc::matches`] answers it without an index, in the same way.

mod cells;
mod columns;
mod doc;
mod error;
mod find;
mod fuzzy;
mod gram;
mod index;
mod segment;

pub use columns::{Columns, Group, Row};
pub use doc::{Attachments, Doc, Keys, NoAttachments};
pub use error::{Error, Result};
pub use find::{Found, Hit, Leaf};
pub use fuzzy::{FuzzyWords, Scope};
pub use index::{Entry, Index, SCHEMA, Statistics};

/// Bounds on what is kept and looked at.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a message's header that are looked at. Default 1 MiB.
    pub header: u64,
    /// Octets of one part, as encoded, that are looked at. Default 16 MiB: text that people write is far below.
    pub part: u64,
    /// Octets of text kept of one message. Default 4 MiB. What is longer is still found, by reading the message.
    pub text: usize,
    /// Attachments of one message that are looked into. Default 64.
    pub attachments: usize,
    /// Octets of columns and texts that one account's index may hold in memory. Default 96 MiB: a million subjects.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header: 1 << 20,
            part: 16 << 20,
            text: 4 << 20,
            attachments: 64,
            memory: 96 << 20,
        }
    }
}
