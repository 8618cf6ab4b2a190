//! Custody: from the `250` on, every recipient of a message is in this ledger until exactly one fate is written beside it.
//! The ledger is the queue and, for as long as history is kept, the answer to "where is my mail?".
//!
//! All writing is done by one thread that takes what has gathered, writes it in one transaction and waits for the disk once
//! (group commit). [`Ledger::accept`] returns when the message's bytes and its rows are durable. What is settled needs no
//! wait of its own: a row that a crash leaves open is worked on again, and doing it again is harmless, because delivering is keyed
//! by (acceptance, recipient).
//!
//! `docs/custody.md` has the table of states and transitions.

mod acceptance;
mod audit;
mod entry;
mod error;
mod id;
mod ledger;
mod outcome;
mod queue;
mod record;
mod trace;
mod work;
mod writer;

pub use acceptance::{Acceptance, Lane, NewRecipient, RequireTls, domain_of};
pub use audit::{AuditedRecipient, Fault};
pub use error::{Error, Result};
pub use id::AcceptanceId;
pub use ledger::{Clock, Ledger, Options, SCHEMA};
pub use queue::{Depth, Open, Order, Selection};
pub use trace::{Filter, RecipientRecord, Record, State, Totals, Try};
pub use work::{Attempt, Child, Conclusion, Deferral, Desk, Fate, Lease, Offspring, Settlement, Unreachable, Work};
pub use writer::{Ask, Found};
