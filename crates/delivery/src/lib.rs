//! The doors mail comes in by, and what carries it from custody into mailboxes.
//!
//! [`Dispatch`] is the desk at which due recipients arrive: it routes them,
//! and its workers expand aliases and deliver into accounts, settling each in the ledger.

pub mod door;
pub mod inspect;
pub mod relay;

mod alarm;
mod desk;
mod dispatch;
mod forward;
mod local;
mod notifier;
pub mod own;
mod patience;
mod retry;
mod scripted;
mod signing;

pub use dispatch::{Dispatch, Options, Statistics};
pub use forward::{ForwardOptions, Forwarding, Owner, StandsFor};
pub use notifier::{Bounced, Lanes, NoticeOptions, Notifier, bounce};
pub use retry::{Changes, Patience, Schedule, Strategies, Strategy};
pub use signing::{KeyFile, KeyState, Signer, key_files};
