//! What is remembered of strangers, in `server.db`: who came back when asked to ([`Greylist`], RFC 6647); what was seen of mail in a domain's name,
//! and of TLS with it, for the reports that the domain has asked for ([`Tally`], RFC 7489 §7.2, RFC 8460); how it wants to be reached
//! ([`Policies`], RFC 8461).
//!
//! Strangers make both grow, so both are bounded and pruned. Nothing of it has to survive a power cut. All methods block on the disk.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod greylist;
mod policies;
mod tally;

pub use greylist::{Greylist, Known};
pub use policies::{Kept, Policies};
pub use tally::{Sighting, Tally};

use db::{Migration, Schema};

/// The tables, in `server.db`.
pub const SCHEMA: Schema = Schema {
    component: "inspection",
    steps: &[
        Migration {
            name: "who came back, and what was seen of domains",
            sql: include_str!("../migrations/0001_inspection.sql"),
        },
        Migration {
            name: "how TLS with domains went, and their policies",
            sql: include_str!("../migrations/0002_tls.sql"),
        },
    ],
};
