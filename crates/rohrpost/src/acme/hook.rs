//! The administrator's program that puts proofs into the DNS (RFC 8555 §8.4): there are as many ways of changing a zone as there are name
//! servers.
//!
//!     HOOK present _acme-challenge.mail.phys.example TEXT
//!     HOOK cleanup _acme-challenge.mail.phys.example TEXT
//!
//! It ends with 0 once all name servers of the zone have the TXT record. A name and its wildcard want two records at the same place, so it
//! must add to what is there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long it may take: secondary name servers want their time.
const PATIENCE: Duration = Duration::from_secs(600);
/// Of what it says when it fails, so much is told.
const WORDS: usize = 500;

/// Runs it. The error says what went wrong.
pub(super) async fn run(program: &Path, verb: &str, name: &str, text: &str) -> Result<(), String> {
    let shown = program.display();
    let child = Command::new(program)
        .args([verb, name, text])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("the hook {shown} cannot be started: {e}"))?;
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .map_err(|_| format!("the hook {shown} took longer than {} s", PATIENCE.as_secs()))?
        .map_err(|e| format!("the hook {shown}: {e}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&ended.stderr)
        .trim()
        .chars()
        .take(WORDS)
        .collect();
    Err(format!("the hook {shown} {verb} failed ({}): {said}", ended.status))
}
