//! Accounts' mailboxes: what IMAP, POP3, JMAP and delivery read and change.
//!
//! An [`Account`] stands on one database file. Every change runs under the account's own lock, in one transaction, and is then published
//! to whoever has the mailbox open, so that rows and views never disagree. A mailbox that is open has a [`Snapshot`]: an immutable list of
//! its messages in shared chunks. A session keeps the snapshot it has told its client about and asks for the [`Diff`] to the
//! newest one; comparing costs nothing where chunks are the same.
//!
//! What the bytes of a message say (envelope, MIME structure) is worked out once, by [`Digest`], and stored beside it.
//! The bytes themselves are in `blobs`; lines that belong to one recipient alone (`Return-Path`, `Delivered-To`) are kept in the row and
//! served in front.

mod account;
mod append;
mod arrival;
mod audit;
mod content;
mod crossing;
mod digest;
mod error;
mod expunge;
mod flags;
mod fresh;
mod ids;
mod indexing;
mod mailbox;
mod message;
mod metadata;
mod quota;
mod removal;
mod rights;
mod saved;
mod seeker;
mod seen;
mod sharing;
mod sieve;
mod snapshot;
mod store;
mod sweep;
mod thread;
mod transfer;
mod url_key;
mod warm;

pub use account::{Account, OpenMailbox, SCHEMA};
pub use append::AppendedAll;
pub use arrival::{Arrival, Delivered};
pub use audit::ArrivalState;
pub use content::{Content, Row, Wanted};
pub use crossing::Parcels;
pub use db::{AccountId, Durability};
pub use digest::{Digest, Digester, LISTED_FIELDS};
pub use error::{Error, Result};
pub use expunge::Expunged;
pub use flags::{FlagChange, Flags, Keywords, MAX_KEYWORD_BYTES, MAX_KEYWORDS};
pub use fresh::Fresh;
pub use ids::{ContentId, MailboxId, ModSeq, Uid};
pub use indexing::{IndexDue, IndexStep, SearchOptions};
pub use mailbox::{MAX_MAILBOX_DEPTH, MAX_MAILBOX_NAME_BYTES, MAX_MAILBOXES, Mailbox, SpecialUse};
pub use message::{Appended, Flagged, NewMessage};
pub use metadata::{Audience, MAX_METADATA_BYTES, MAX_METADATA_ENTRIES, MetadataKey, SEEN_ENTRY, SPECIAL_USE_ENTRY};
pub use quota::{Quota, Usage};
pub use rights::{Acl, AclEntry, Identifier, MAX_ACL_ENTRIES, Rights, Who};
pub use seeker::Seeker;
pub use sharing::Sharing;
pub use sieve::{
    Answered, Decided, DecidedDelivery, EVENT_SCRIPT, MAX_SCRIPT_NAME_BYTES, NewCopy, Recorded, Script, ScriptFault,
    ScriptInfo, ScriptLimits, Seen, Unless,
};
pub use snapshot::{Diff, Message, Snapshot, Stretch, Summary};
pub use store::{Options, Store};
pub use transfer::Copied;
