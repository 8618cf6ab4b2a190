//! When relaying is tried again: named strategies over the [`Terms`] of a destination.
//!
//! Each waits the first wait after the first failure, twice as long after each further one, up to the longest, all of it a little more or
//! less (a fifth), so that what failed together does not come back together. The dice are the message's and the attempt's number, so that
//! the same row in the same state gets the same time.

use crate::relay::transport::Terms;

/// Why something is tried again, and so when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The destination can't be reached: all its mail waits for one attempt.
    Unreachable,
    /// The peer said `4yz` about this recipient or message.
    RefusedForNow,
    /// The connection ended before the message was given.
    Broken,
    /// The connection ended after the message was given: it may have been taken.
    Doubtful,
    /// The way does not have what this message needs.
    Needs,
    /// Our own code failed over it.
    Damaged,
}

impl Strategy {
    /// Its name, which `queue list` shows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Strategy::Unreachable => "destination unreachable",
            Strategy::RefusedForNow => "refused for now",
            Strategy::Broken => "connection broken",
            Strategy::Doubtful => "doubtful",
            Strategy::Needs => "needs not met",
            Strategy::Damaged => "damaged",
        }
    }
}

/// Seconds to wait after failure number `failures + 1`. `dice`: what spreads it.
pub(crate) fn wait(terms: &Terms, failures: u32, dice: i64) -> i64 {
    let seconds = |d: std::time::Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX >> 20).max(1);
    let (first, longest) = (seconds(terms.retry_first), seconds(terms.retry_longest));
    let wait = i64::min(longest, first.saturating_mul(1 << failures.min(20)));
    // A fifth up or down, in steps of a thousandth.
    let spread = wait / 5;
    let rolled = mixed(dice, failures) % 1001;
    let rolled = i64::try_from(rolled).unwrap_or(500);
    wait - spread + (2 * spread).saturating_mul(rolled) / 1000
}

/// Bits that have little to do with what they are made of (the finaliser of SplitMix64).
fn mixed(dice: i64, failures: u32) -> u64 {
    let mut z = dice
        .cast_unsigned()
        .wrapping_add(u64::from(failures).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_spread() {
        let terms = Terms::default();
        for (failures, middle) in [(0, 300), (1, 600), (2, 1200), (3, 2400), (4, 3600), (60, 3600)] {
            let waits: Vec<i64> = (0..1000).map(|dice| wait(&terms, failures, dice)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(
                *least >= middle * 4 / 5 && *most <= middle * 6 / 5,
                "{failures}: {least} to {most}"
            );
            assert!(most - least > middle / 4, "{failures}: they spread");
            assert_eq!(wait(&terms, failures, 7), wait(&terms, failures, 7));
        }
    }
}
