//! Sieve at work: the scripts of an account run over its mail.
//!
//! The crate `sieve` knows the language and no world; here is the world: mailboxes, what was answered, what was seen, the administrator's
//! scripts before and after the user's own. [`Filter::decide`] runs them over one message and gives a [`Verdict`]: into which mailboxes, what
//! goes out to whom, what is to be remembered, and why. It changes nothing, so that it serves a dry run as it serves delivery. [`Events`] runs
//! them over messages that lie in a mailbox, when something happens to these over IMAP, and carries out what they say.
//!
//! The messages that come of a script (answers, notices, refusals, what is sent on) are put together in [`compose`].

mod actions;
mod answer;
pub mod compose;
mod decide;
mod events;
mod lists;
mod options;
pub mod outgoing;
mod place;
mod plan;
mod programs;
mod quota;
mod scripts;
mod settings;
mod verdict;
mod world;

pub use self::settings::{SETTINGS_SCRIPT, SettingsError, StoredSettings};
pub use answer::may_be_answered;
pub use decide::{Delivery, Memory, Person};
pub use events::{Cause, Event, Events, Touched};
pub use options::{EventOptions, Options};
pub use place::{Placed, place, place_made};
pub use plan::{Outgoing, Plan, Reason};
pub use programs::ProgramOptions;
pub use quota::quota_of;
pub use scripts::{Filter, ScriptsFault};
pub use verdict::{Filed, Place, Refusal, Sending, Verdict, Why};
