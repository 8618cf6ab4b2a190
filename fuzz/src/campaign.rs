use crate::{Rng, Signature, Target, mutation, seeds};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Inputs kept because they made a reader do something new.
const KEPT_MOST: usize = 4096;
/// An input that takes longer is a finding: readers take time in proportion to what they read.
const SLOW: Duration = Duration::from_secs(5);

/// One target, tried with a sequence of inputs that follows from the seed.
#[derive(Debug)]
pub struct Campaign {
    target: Target,
    rng: Rng,
    pool: Vec<Vec<u8>>,
    seen: HashSet<u16>,
    tally: Tally,
}

/// What a campaign has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Inputs tried.
    pub inputs: u64,
    /// Octets in them.
    pub octets: u64,
    /// Different things that they made the reader do.
    pub behaviours: usize,
}

/// An input that breaks a promise.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The input, as short as it could be made.
    pub input: Vec<u8>,
    /// What was said.
    pub message: String,
}

impl Campaign {
    /// Begins; the seeds are tried first.
    pub fn new(target: Target, seed: u64) -> Campaign {
        Campaign {
            rng: Rng::new(seed),
            pool: Vec::new(),
            seen: HashSet::new(),
            tally: Tally::default(),
            target,
        }
    }

    /// Tries the seeds and then mutants until `go_on` says no or something is found.
    pub fn run(&mut self, mut go_on: impl FnMut(&Tally) -> bool) -> Result<Tally, Finding> {
        if self.pool.is_empty() {
            for seed in seeds(&self.target) {
                self.attempt(&seed)?;
                self.pool.push(seed);
            }
            if self.pool.is_empty() {
                self.pool.push(Vec::new());
            }
        }
        while go_on(&self.tally) {
            let mut input = self.rng.pick(&self.pool).cloned().unwrap_or_default();
            mutation::mutate(
                &mut input,
                &self.pool,
                self.target.tokens,
                self.target.longest,
                &mut self.rng,
            );
            if self.attempt(&input)? {
                if self.pool.len() < KEPT_MOST {
                    self.pool.push(input);
                } else {
                    let place = self.rng.below(KEPT_MOST);
                    if let Some(old) = self.pool.get_mut(place) {
                        *old = input;
                    }
                }
            }
        }
        Ok(self.tally)
    }

    /// Whether the input did something new.
    fn attempt(&mut self, input: &[u8]) -> Result<bool, Finding> {
        self.tally.inputs += 1;
        self.tally.octets += input.len() as u64;
        let sum = outcome(&self.target, input).map_err(|message| Finding {
            input: shorten(&self.target, input.to_vec(), &message),
            message,
        })?;
        let known = self.seen.len();
        self.seen.extend(sum.things());
        let new = self.seen.len() > known;
        self.tally.behaviours = self.seen.len();
        Ok(new)
    }
}

/// What the target makes of the input, or what it said when it broke.
fn outcome(target: &Target, input: &[u8]) -> Result<Signature, String> {
    let begun = Instant::now();
    let sum = catch_unwind(AssertUnwindSafe(|| (target.check)(input))).map_err(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| cause.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words")
            .to_owned()
    })?;
    match begun.elapsed() {
        long if long > SLOW => Err(format!("{} octets took {long:?}", input.len())),
        _ => Ok(sum),
    }
}

/// Takes away what the finding does not need, in ever smaller pieces, for a bounded number of tries.
fn shorten(target: &Target, mut input: Vec<u8>, message: &str) -> Vec<u8> {
    // The same promise broken, about other data.
    let begins = |text: &str| {
        text.chars()
            .take_while(|c| !matches!(c, ':' | '{' | '['))
            .collect::<String>()
    };
    let promise = message.lines().next().map(begins);
    let mut piece = input.len().next_power_of_two();
    let mut tries = 0;
    while piece > 0 {
        let mut at = 0;
        while at < input.len() && tries < 5000 {
            tries += 1;
            let mut shorter = input.clone();
            shorter.drain(at..(at + piece).min(input.len()));
            if outcome(target, &shorter).is_err_and(|said| said.lines().next().map(begins) == promise) {
                input = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_shortens() {
        let target = Target {
            name: "nothing on disk",
            about: "",
            tokens: &[b"needle"],
            longest: 1000,
            seeds: || vec![b"hay hay hay".to_vec()],
            check: |input| {
                assert!(!input.windows(6).any(|w| w == b"needle"), "ouch");
                Signature::default()
            },
        };
        let finding = Campaign::new(target, 1).run(|tally| tally.inputs < 10_000).unwrap_err();
        assert_eq!(
            (finding.input.as_slice(), finding.message.as_str()),
            (&b"needle"[..], "ouch")
        );
    }
}
