//! What people set for their mail, as a model that is read from and written to their Sieve script.
//!
//! There is **one truth**, the script (RFC 5228): it is what acts on mail, what `trace` explains, and what every ManageSieve client edits.
//! This crate reads it as [`Settings`]: forwarding, vacation (RFC 5230, with a beginning and an end: RFC 5260), rules, spam lists and
//! threshold (RFC 5235). It writes changed settings back so that the script differs only where they do. What a person wrote by hand, and
//! what the model has no words for, is a part of its own: shown, and kept octet for octet.
//!
//! ```
//! let reading = settings::Reading::of("redirect :copy \"ada@home.example\";\r\n")?;
//! let mut wanted = reading.settings().clone();
//! if let Some(forwarding) = &mut wanted.forwarding {
//!     forwarding.keep = false;
//! }
//! let script = reading.write(&wanted, &Default::default(), &Default::default())?;
//! assert_eq!(script, "redirect \"ada@home.example\";\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Rules are recognised in the forms of Roundcube's managesieve plugin, Horde Ingo, SOGo, KMail and of people; a changed one is
//! written in the form of its maker. New ones are written in a form that Roundcube reads.
//!
//! Nothing here knows the time: whether a vacation is on is asked with the time ([`Vacation::state`]), and answered by the script itself when
//! mail arrives.

mod action;
mod change;
mod check;
mod condition;
mod describe;
mod document;
mod forwarding;
mod model;
mod moment;
mod print;
mod read;
mod reading;
mod require;
mod spam;
mod vacation;
mod write;

pub use action::{Action, Interval, Notice, Reply};
pub use change::{Change, SpamChange, VacationChange};
pub use check::{Limits, Owner, Problem};
pub use condition::{AddressPart, BodyPart, Comparator, Comparison, Condition, Match, Relation, Test};
pub use document::{Part, Role};
pub use model::{Entry, Foreign, Forwarding, Join, PartId, Rule, Settings};
pub use moment::Moment;
pub use print::Maker;
pub use reading::Reading;
pub use spam::{Block, Disposal, Spam, Threshold};
pub use vacation::{Answer, Colleagues, Format, State, Vacation};
pub use write::Refused;
