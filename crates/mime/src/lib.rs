//! Messages as IMAP and delivery see them: structure, envelope, sections, text for search.
//!
//! A message (RFC 5322) is a header, an empty line and a body; MIME (RFC 2045, 2046) makes a tree of parts of that body.
//! [`Scanner`] reads a message once, as it arrives, in whatever pieces the network gives, and remembers only where each
//! part begins and ends and what its header says of it: a [`Structure`]. From then on the message itself is bytes that
//! are never changed; what IMAP asks for (RFC 9051 §6.4.5, §7.5.2) is a range of them ([`Structure::locate`]) or is
//! written from the structure ([`Structure::write_bodystructure`]) and the [`Envelope`].
//!
//! Nothing here fails on a message: what cannot be understood is an opaque body, and memory is bounded by [`Limits`].
//! There is no clock, no file and no network in this crate.

mod address;
pub mod calendar;
mod charset;
mod codec;
mod compose;
mod content;
mod date;
mod envelope;
mod error;
mod header;
mod html;
mod limits;
mod preview;
mod quoting;
mod render;
mod scanner;
mod search;
mod section;
mod structure;
mod subject;
mod transfer;

pub use address::{Address, Mailbox, addresses};
pub use charset::{decode_charset, decode_header};
pub use compose::{crlf, encode_header, one_line, quoted_printable, text_part};
pub use content::{Disposition, Parameter};
pub use date::Date;
pub use envelope::Envelope;
pub use error::{Error, Result};
pub use header::{Field, Fields, fields, header_end, header_field, header_fields, unfold};
pub use html::html_text;
pub use limits::Limits;
pub use preview::preview;
pub use quoting::{write_nstring, write_string};
pub use scanner::Scanner;
pub use search::{Needle, body_text, contains_folded, fold, fold_onto, header_text, search_text};
pub use section::SectionText;
pub use structure::{Kind, Part, Structure};
pub use subject::{base_subject, message_ids};
pub use transfer::{Encoding, decode_part};

/// When the header says the message was written: seconds since 1970 in UTC of the first `Date` field that can be read.
///
/// For IMAP's `SENTBEFORE`, `SENTON` and `SENTSINCE`, which disregard time and zone, use [`Date::day`] instead.
pub fn sent_date(header: &[u8]) -> Option<i64> {
    Date::of_header(header).map(|date| date.seconds)
}
