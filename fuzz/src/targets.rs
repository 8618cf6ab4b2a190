use crate::{Rng, Signature};

mod authentication;
mod imap;
mod index;
mod mime;
mod pop3;
mod scratch;
mod segment;
mod sieve;
mod smtp;
mod smtp_client;

/// One reader under trial.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How it is called on the command line; also the folder of its corpus.
    pub name: &'static str,
    /// What is tried.
    pub about: &'static str,
    /// Words of the language it reads.
    pub tokens: &'static [&'static [u8]],
    /// Octets of the longest input.
    pub longest: usize,
    /// Inputs to start from, beside those on disk.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Drives the reader; panics where it breaks a promise; sums up what it did.
    pub check: fn(&[u8]) -> Signature,
}

/// All targets.
pub fn targets() -> [Target; 9] {
    [
        smtp::TARGET,
        smtp_client::TARGET,
        imap::TARGET,
        pop3::TARGET,
        mime::TARGET,
        segment::TARGET,
        index::TARGET,
        sieve::TARGET,
        authentication::TARGET,
    ]
}

/// Ways to cut an input: whole, in pieces that follow from the input, and (if it is short) octet by octet. Each must give the same.
pub(crate) fn cuts(input: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut rng = Rng::of(input);
    let mut pieces = Vec::new();
    let mut rest = input;
    let usual = 1 + rng.below(64);
    while !rest.is_empty() {
        let length = if rng.below(8) == 0 {
            rng.below(rest.len() + 1)
        } else {
            rng.below(usual + 1)
        };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    let mut ways = vec![vec![input], pieces];
    if input.len() <= 2048 {
        ways.push(input.chunks(1).collect());
    }
    ways
}
