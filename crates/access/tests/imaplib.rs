//! Python's imaplib as a client. Skipped, saying so, where there is no python3.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use std::process::Command;

#[test]
fn imaplib() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    for mode in [Mode::Plain, Mode::StartTls, Mode::Immediate] {
        let server = Server::start(mode, options());
        let mode = match mode {
            Mode::Plain => "plain",
            Mode::StartTls => "starttls",
            Mode::Immediate => "immediate",
        };
        let output = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client.py"))
            .args([&server.address.port().to_string(), mode, "ada@rohrpost.test", PASSWORD])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{mode}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
