//! What is remembered of those who send from outside, in `server.db`: who came back when asked to ([`Greylist`], RFC 6647), and what was seen of
//! mail in a domain's name, for the report that the domain has asked for ([`Tally`], RFC 7489 §7.2).
//!
//! Strangers make both grow, so both are bounded and pruned. Nothing of it has to survive a power cut. All methods block on the disk.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod greylist;
mod tally;

pub use greylist::{Greylist, Known};
pub use tally::{Sighting, Tally};

use db::{Migration, Schema};

/// The tables, in `server.db`.
pub const SCHEMA: Schema = Schema {
    component: "inspection",
    steps: &[Migration {
        name: "who came back, and what was seen of domains",
        sql: include_str!("../migrations/0001_inspection.sql"),
    }],
};
