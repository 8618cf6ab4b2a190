//! The server is killed, the power goes, files rot: nothing that was accepted is lost, nothing comes twice.
//!
//! - `tests/power_cut.rs` runs custody and mailboxes in this process, on a simulated disk for message bytes ([`blobs::simulation`]) and on
//!   SQLite files that are put back, at a random step, into a state that a power cut could have left ([`Tracked`]); mail for another server,
//!   which no power cut makes forget what it took, is part of it.
//! - `tests/killed.rs` loads the real server over SMTP, LMTP and IMAP, kills it at random moments ([`Sender`] counts what it was told
//!   is accepted), and looks for every message.
//! - `tests/relayed.rs` does the same to a server that passes mail on to another one ([`Receiver`]).
//! - `tests/damaged.rs` rots bits under the real server.

// This is test code through and through: it may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod check;
mod house;
mod receiver;
mod relaying;
mod sender;
mod tracked;
mod world;

pub use house::House;
pub use receiver::Receiver;
pub use sender::{Door, Sender, Sent};
pub use tracked::{Image, Tracked};
pub use world::{Fault, World};

/// A number out of the environment.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A folder in memory where there is one: these tests model the disk themselves, and real syncs would only take time.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("rohrpost-crash-");
    match memory.is_dir().then(|| builder.tempdir_in(memory)) {
        Some(Ok(folder)) => folder,
        _ => builder.tempdir().expect("folder"),
    }
}
