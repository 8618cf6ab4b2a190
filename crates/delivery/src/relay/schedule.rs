//! When relaying is tried again: named strategies over the [`Terms`] of a destination. `[[retry]]` sets what is different for one of them.
//!
//! Each waits the first wait after the first failure, twice as long after each further one, up to the longest, all of it a little more or
//! less (a fifth), so that what failed together does not come back together. The dice are the message's and the attempt's number, so that
//! the same row in the same state gets the same time.

use crate::relay::transport::Terms;
use crate::retry::Schedule;
use std::time::Duration;

/// How long a message waits over which our own code failed.
const DAMAGED: Duration = Duration::from_secs(3600);

/// Why something is tried again, and so when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
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
    /// All of them.
    pub const ALL: [Strategy; 6] = [
        Strategy::Unreachable,
        Strategy::RefusedForNow,
        Strategy::Broken,
        Strategy::Doubtful,
        Strategy::Needs,
        Strategy::Damaged,
    ];

    /// How it goes about it for a destination.
    pub(crate) fn of(self, terms: &Terms) -> Schedule {
        let base = match self {
            // It takes a person.
            Strategy::Damaged => (DAMAGED, DAMAGED),
            _ => (terms.retry_first, terms.retry_longest),
        };
        let base = Schedule {
            first: base.0,
            longest: base.1,
            lifetime: terms.lifetime,
            delay_notice: terms.delay_notice,
        };
        terms.strategies.of(self.name(), base)
    }

    /// Its name, which `queue list` shows.
    pub fn name(self) -> &'static str {
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
pub(crate) fn wait(schedule: &Schedule, failures: u32, dice: i64) -> i64 {
    let wait = schedule.wait(failures);
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
    use crate::retry::{Changes, Strategies};

    #[test]
    fn waits_double_to_a_bound_and_spread() {
        let schedule = Strategy::RefusedForNow.of(&Terms::default());
        for (failures, middle) in [(0, 300), (1, 600), (2, 1200), (3, 2400), (4, 3600), (60, 3600)] {
            let waits: Vec<i64> = (0..1000).map(|dice| wait(&schedule, failures, dice)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(
                *least >= middle * 4 / 5 && *most <= middle * 6 / 5,
                "{failures}: {least} to {most}"
            );
            assert!(most - least > middle / 4, "{failures}: they spread");
            assert_eq!(wait(&schedule, failures, 7), wait(&schedule, failures, 7));
        }
    }

    #[test]
    fn a_strategy_has_what_is_set_of_it_and_else_what_its_destination_has() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let terms = Terms {
            retry_first: minutes(1),
            strategies: Strategies::new(vec![(
                "doubtful".to_owned(),
                Changes {
                    first: Some(minutes(120)),
                    lifetime: Some(minutes(600)),
                    ..Changes::default()
                },
            )]),
            ..Terms::default()
        };
        let doubtful = Strategy::Doubtful.of(&terms);
        assert_eq!((doubtful.first, doubtful.longest), (minutes(120), minutes(120)));
        assert_eq!(doubtful.lifetime, minutes(600));
        let broken = Strategy::Broken.of(&terms);
        assert_eq!((broken.first, broken.longest), (minutes(1), minutes(60)));
        assert_eq!(broken.lifetime, terms.lifetime);
        assert_eq!(Strategy::Damaged.of(&terms).first, minutes(60));
    }
}
