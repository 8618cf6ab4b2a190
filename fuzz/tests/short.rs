//! A short run of every target, the same inputs every time.
#![allow(clippy::unwrap_used, clippy::panic)]

use fuzz::{Campaign, targets};

fn run(name: &str, inputs: u64) {
    let target = targets().into_iter().find(|t| t.name == name).unwrap();
    let mut campaign = Campaign::new(target, 1);
    match campaign.run(|tally| tally.inputs < inputs) {
        Ok(tally) => assert!(tally.behaviours > 5, "the inputs exercise next to nothing: {tally:?}"),
        Err(finding) => panic!("{name}: {}\n{}", finding.message, finding.input.escape_ascii()),
    }
}

#[test]
fn smtp() {
    run("smtp", 15_000);
}

#[test]
fn smtp_client() {
    run("smtp-client", 8_000);
}

#[test]
fn imap() {
    run("imap", 8_000);
}

#[test]
fn pop3() {
    run("pop3", 8_000);
}

#[test]
fn authentication() {
    run("authentication", 3_000);
}

#[test]
fn mime() {
    run("mime", 3_000);
}

#[test]
fn segment() {
    run("segment", 1_000);
}

#[test]
fn index() {
    run("index", 500);
}

#[test]
fn sieve() {
    run("sieve", 4_000);
}
