//! What workers take from the ledger and give back.

use crate::{Acceptance, AcceptanceId, Lane, NewRecipient};
use blobs::BlobId;
use bytes::Bytes;
use db::AccountId;
use std::sync::Arc;

/// One recipient that is due, leased to whoever holds this.
#[derive(Clone, Debug)]
pub struct Work {
    /// The message; `recipients` in it is empty.
    pub acceptance: Arc<Acceptance>,
    /// Its bytes in `blobs`.
    pub blob: BlobId,
    /// How many.
    pub size: u64,
    /// The bytes themselves, where they are at hand since the message came in.
    pub bytes: Option<Bytes>,
    /// Its number within the acceptance.
    pub number: u32,
    /// The recipient it came from by expanding.
    pub parent: Option<u32>,
    /// The address.
    pub address: String,
    /// ORCPT.
    pub original: Option<String>,
    /// Attempts that failed before.
    pub attempts: u32,
    /// When the lease ends, in seconds since 1970.
    pub lease_until: i64,
}

/// Where due work is put as soon as it is durable, without a way through the database. It must not block.
pub trait Desk: Send + Sync {
    /// How many more it can take now. What does not fit stays due and is claimed later.
    fn room(&self, lane: Lane) -> usize;
    /// Takes work.
    fn put(&self, lane: Lane, work: Vec<Work>);
    /// There is due work in the ledger that found no room.
    fn more(&self, lane: Lane);
}

/// How it ended for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// In a mailbox.
    Delivered,
    /// Replaced by other recipients.
    Expanded,
    /// The same address is a recipient of this message already.
    Duplicate,
    /// Thrown away because a rule said so.
    Discarded,
    /// Sent on to others, and not kept.
    Redirected,
    /// Refused by a rule; the sender was told, where there is one to tell.
    Rejected,
    /// Given up; the detail says why.
    Failed,
    /// Taken out of the queue by an administrator.
    Cancelled,
}

impl Fate {
    /// All of them.
    pub const ALL: [Fate; 8] = [
        Fate::Delivered,
        Fate::Expanded,
        Fate::Duplicate,
        Fate::Discarded,
        Fate::Redirected,
        Fate::Rejected,
        Fate::Failed,
        Fate::Cancelled,
    ];

    /// Its name, as rows and `--fate` have it.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Expanded => "expanded",
            Fate::Duplicate => "duplicate",
            Fate::Discarded => "discarded",
            Fate::Redirected => "redirected",
            Fate::Rejected => "rejected",
            Fate::Failed => "failed",
            Fate::Cancelled => "cancelled",
        }
    }

    /// The fate of a name.
    pub fn parse(name: &str) -> Option<Fate> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// The end of a recipient's custody.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The message.
    pub acceptance: AcceptanceId,
    /// The recipient.
    pub number: u32,
    /// How it ended.
    pub fate: Fate,
    /// When, in seconds since 1970.
    pub at: i64,
    /// A sentence for people.
    pub detail: Option<String>,
    /// The account it was delivered to.
    pub account: Option<AccountId>,
    /// The mailbox and UID it got.
    pub place: Option<(u32, u32)>,
}

/// A message that comes of a delivery.
#[derive(Clone, Debug)]
pub struct Offspring {
    /// Its envelope, with a parent.
    pub acceptance: Acceptance,
    /// Its bytes in `blobs`, durable.
    pub blob: BlobId,
    /// How many.
    pub size: u64,
    /// The bytes themselves, where they are at hand.
    pub bytes: Option<Bytes>,
}

/// The end of a recipient's custody and the messages that come of it.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// How it ended.
    pub settlement: Settlement,
    /// What comes of it.
    pub offspring: Vec<Offspring>,
}

/// A failed attempt: the row stays open.
#[derive(Clone, Debug)]
pub struct Deferral {
    /// The message.
    pub acceptance: AcceptanceId,
    /// The recipient.
    pub number: u32,
    /// When it is due again, in seconds since 1970.
    pub due_at: i64,
    /// Why, for people.
    pub reason: String,
    /// The retry strategy that chose the time.
    pub strategy: &'static str,
}

/// A recipient that takes the place of another.
pub type Child = NewRecipient;
