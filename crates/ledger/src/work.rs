//! What workers take from the ledger and give back.

use crate::{Acceptance, AcceptanceId, NewRecipient};
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
    /// NOTIFY.
    pub notify: Option<String>,
    /// What it is grouped by on its way to another server; empty for ours.
    pub destination: Arc<str>,
    /// When its lifetime began, in seconds since 1970.
    pub queued_at: i64,
    /// The sender has been told that it is late.
    pub delay_told: bool,
    /// Attempts that failed before.
    pub attempts: u32,
    /// The lease: whoever has another one has no say any more about when it is due.
    pub lease: Lease,
    /// When the lease ends, in seconds since 1970.
    pub lease_until: i64,
}

impl Work {
    /// Which recipient of which message.
    pub fn key(&self) -> (AcceptanceId, u32) {
        (self.acceptance.id, self.number)
    }
}

/// One leasing of one or several recipients. Never given twice in a run, and at its start all leases are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease(pub(crate) i64);

/// Where the due work of a lane is put as soon as it is durable, without a way through the database. It must not block.
pub trait Desk: Send + Sync {
    /// How many more it can take now. What does not fit stays due and is claimed later.
    fn room(&self) -> usize;
    /// Takes work.
    fn put(&self, work: Vec<Work>);
    /// There is work in the ledger that was not put: it found no room, or was not wanted, or is due later. The destination is empty for
    /// ours, and where it may be any.
    fn more(&self, destination: &Arc<str>, due_at: i64);
    /// What an address of another server is grouped by.
    fn destination(&self, address: &str) -> Arc<str> {
        crate::domain_of(address).into()
    }
    /// Whether it takes work for that destination now. Called within the ledger's transaction: it must be quick.
    fn wants(&self, _destination: &str, _bulk: bool) -> bool {
        true
    }
    /// An administrator wants that destination tried again now, also where it could not be reached.
    fn retry(&self, destination: &Arc<str>, now: i64) {
        self.more(destination, now);
    }
    /// These recipients were taken back (held, cancelled): what has not begun with them must not.
    fn recall(&self, _recipients: &[(AcceptanceId, u32)]) {}
}

/// An attempt to hand a recipient to another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The host; empty where none was found.
    pub host: String,
    /// Its address.
    pub address: Option<String>,
    /// TLS version and cipher.
    pub tls: Option<String>,
    /// What was asked of TLS, and how it was judged.
    pub policy: String,
    /// `taken`, `refused`, `deferred`, `broken` or `doubtful`.
    pub outcome: &'static str,
    /// What was said.
    pub reply: String,
}

/// How it ended for a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// In a mailbox.
    Delivered,
    /// Another server has taken it.
    Relayed,
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
    pub const ALL: [Fate; 9] = [
        Fate::Delivered,
        Fate::Relayed,
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
            Fate::Relayed => "relayed",
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
    /// The attempt that ended it.
    pub attempt: Option<Attempt>,
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

/// What became of recipients, and the messages that come of it.
#[derive(Clone, Debug, Default)]
pub struct Conclusion {
    /// How it ended, for those for whom it did.
    pub settlements: Vec<Settlement>,
    /// For whom it goes on.
    pub deferrals: Vec<Deferral>,
    /// What comes of it. It speaks of all of the above: if one of them has been settled meanwhile, or is another's now, nothing is written.
    pub offspring: Vec<Offspring>,
}

/// A failed attempt: the row stays open.
#[derive(Clone, Debug)]
pub struct Deferral {
    /// The message.
    pub acceptance: AcceptanceId,
    /// The recipient.
    pub number: u32,
    /// By which lease. If it is another's by now, or held, its time stays as it is.
    pub lease: Lease,
    /// When it is due again, in seconds since 1970.
    pub due_at: i64,
    /// Why, for people.
    pub reason: String,
    /// The retry strategy that chose the time.
    pub strategy: &'static str,
    /// The sender is told with this that it is late.
    pub delay_told: bool,
    /// Whether an attempt failed; false where the row is only put off.
    pub failed: bool,
    /// The attempt, where it was one to hand it to another server.
    pub attempt: Option<Attempt>,
}

/// A destination that can't be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The destination.
    pub destination: Arc<str>,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was, in seconds since 1970.
    pub since: i64,
    /// The last.
    pub failed_at: i64,
    /// When it is tried again: until then all its mail waits.
    pub retry_at: i64,
    /// What was found.
    pub reason: String,
}

/// A recipient that takes the place of another.
pub type Child = NewRecipient;
