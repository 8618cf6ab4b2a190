//! Real mail programs against the real server.
//!
//! Each test starts the `rohrpost` binary in a folder of its own, on ports the system chooses, and lets a program talk to it
//! that its users use: swaks, Python, curl, mbsync, offlineimap, fetchmail, Postfix,
//! Roundcube in a browser. What the test then asserts is read back
//! over IMAP, byte for byte.
//!
//! A program that is not installed skips its tests, saying so on standard error; with `CI=true` or
//! `ROHRPOST_REQUIRE_TOOLS=1` it fails them. `tests/install-tools.sh` installs what is missing. `ROHRPOST_BINARY` names another
//! server binary than the one of this workspace.

// This is test code through and through: it may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod binary;
mod browser;
mod dovecot;
mod fetchmail;
mod https;
mod imap;
mod mail;
mod maildir;
mod nameserver;
mod pebble;
mod ports;
mod postfix;
mod remote;
mod roundcube;
mod server;
mod smtp;
mod tls_line;
mod tools;
mod unbound;

pub use binary::path as binary;
pub use browser::{browse, browser_available};
pub use dovecot::Dovecot;
pub use fetchmail::{body, fetchmail_collects};
pub use https::Https;
pub use imap::{Imap, Line, Reply};
pub use mail::{Pattern, corpus, crlf, lf, made_up, ours_removed};
pub use maildir::{maildir_files, maildir_make, maildir_messages, maildir_put};
pub use nameserver::{NameServer, Zone};
pub use pebble::{Looks, Names, Pebble};
pub use ports::free_port;
pub use postfix::Postfix;
pub use remote::{Act, Got, Identity, Manners, Remotes};
pub use roundcube::Roundcube;
pub use server::{ADA, BOB, DOMAIN, PASSWORD, Server, Setup};
pub use smtp::Smtp;
pub use tls_line::TlsLine;
pub use tools::{Ran, installed, is_root, python, required, run, run_unchecked, skipped};
pub use unbound::Unbound;

use std::time::{Duration, Instant};

/// Asks again and again until `done` gives something, for at most `most`; then the test has failed.
pub fn wait_for<T>(what: &str, most: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + most;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < end, "waited {most:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
