//! When something is tried again, and for how long. Each strategy has a name, which `queue list` shows and `[[retry]]` sets.

use std::sync::Arc;
use std::time::Duration;

/// How a strategy goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The wait after the first failure, doubled after each further one,
    pub first: Duration,
    /// up to this.
    pub longest: Duration,
    /// How long it goes on before the sender gets the message back (RFC 5321 §4.5.4.1).
    pub lifetime: Duration,
    /// After what time the sender is told that it is late; `None`: never.
    pub delay_notice: Option<Duration>,
}

/// What is set of a schedule; everything left out is as it would be without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Changes {
    pub first: Option<Duration>,
    pub longest: Option<Duration>,
    pub lifetime: Option<Duration>,
    /// Zero: never.
    pub delay_notice: Option<Duration>,
}

impl Changes {
    /// These, over a schedule.
    pub fn over(&self, base: Schedule) -> Schedule {
        let first = self.first.unwrap_or(base.first);
        Schedule {
            first,
            // Whoever sets a first wait alone means it.
            longest: self.longest.unwrap_or(base.longest.max(first)),
            lifetime: self.lifetime.unwrap_or(base.lifetime),
            delay_notice: match self.delay_notice {
                Some(Duration::ZERO) => None,
                Some(span) => Some(span),
                None => base.delay_notice,
            },
        }
    }
}

/// What is set of strategies, by their names. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategies(Arc<[(String, Changes)]>);

impl Schedule {
    /// Seconds to wait before attempt number `attempts + 1`.
    pub fn wait(&self, attempts: u32) -> i64 {
        let (first, longest) = (seconds(self.first).max(1), seconds(self.longest).max(1));
        i64::min(longest, first.saturating_mul(1 << attempts.min(20)))
    }
}

impl Strategies {
    /// Of these names.
    pub fn new(set: Vec<(String, Changes)>) -> Strategies {
        Strategies(set.into())
    }

    /// The schedule of a strategy that has `base` where nothing is set of it.
    pub fn of(&self, name: &str, base: Schedule) -> Schedule {
        let set = self.0.iter().find(|(of, _)| of == name);
        set.map_or(base, |(_, changes)| changes.over(base))
    }

    /// The same strategies without what `drop` takes out of each.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&mut Changes)) -> Strategies {
        let mut set = self.0.to_vec();
        set.iter_mut().for_each(|(_, changes)| drop(changes));
        Strategies(set.into())
    }
}

/// Seconds, as rows keep times.
pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX >> 20)
}

/// How mail for mailboxes here is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long it is tried before its sender gets it back. Default 5 days (RFC 5321 §4.5.4.1).
    pub lifetime: Duration,
    /// After what time the sender is told that it is late; `None`: never. Default 4 h.
    pub delay_notice: Option<Duration>,
    /// What is set of strategies.
    pub strategies: Strategies,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            lifetime: Duration::from_secs(5 * 86_400),
            delay_notice: Some(Duration::from_secs(4 * 3600)),
            strategies: Strategies::default(),
        }
    }
}

impl Patience {
    /// How a strategy goes about it.
    pub fn of(&self, strategy: Strategy) -> Schedule {
        let (first, longest) = strategy.waits();
        let base = Schedule {
            first: Duration::from_secs(first),
            longest: Duration::from_secs(longest),
            lifetime: self.lifetime,
            delay_notice: self.delay_notice,
        };
        self.strategies.of(strategy.name(), base)
    }
}

/// How long to wait after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The disk is full, or can't be written: nothing is wrong with the message, and somebody is likely at work on it.
    ShortOfSpace,
    /// Something that may pass by itself.
    Transient,
    /// The message's bytes or the account's file are damaged: it takes a person.
    Damaged,
    /// The address was there when the message was accepted and is not now, or is disabled.
    AddressGone,
    /// The mailbox is full.
    OverQuota,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 5] = [
        Strategy::ShortOfSpace,
        Strategy::Transient,
        Strategy::Damaged,
        Strategy::AddressGone,
        Strategy::OverQuota,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::ShortOfSpace => "short of space",
            Strategy::Transient => "transient",
            Strategy::Damaged => "damaged",
            Strategy::AddressGone => "address gone",
            Strategy::OverQuota => "over quota",
        }
    }

    /// The first wait and the longest, in seconds, where nothing else is set.
    fn waits(self) -> (u64, u64) {
        match self {
            Strategy::ShortOfSpace => (5, 60),
            Strategy::Transient => (30, 3_600),
            Strategy::Damaged => (300, 14_400),
            Strategy::AddressGone => (3_600, 14_400),
            Strategy::OverQuota => (900, 14_400),
        }
    }

    /// The strategy for what the store said.
    pub(crate) fn of(error: &store::Error) -> Strategy {
        match error {
            e if e.is_no_space() => Strategy::ShortOfSpace,
            store::Error::Db(db::Error::ReadOnly { .. }) | store::Error::Blobs(blobs::Error::ReadOnly { .. }) => {
                Strategy::ShortOfSpace
            }
            store::Error::Db(
                db::Error::Corrupt { .. } | db::Error::FromTheFuture { .. } | db::Error::Column { .. },
            )
            | store::Error::Blobs(blobs::Error::Corrupt { .. } | blobs::Error::NotFound(_))
            | store::Error::Damaged { .. } => Strategy::Damaged,
            store::Error::OverQuota { .. } | store::Error::OverQuotaMessages { .. } => Strategy::OverQuota,
            _ => Strategy::Transient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(patience: &Patience, s: Strategy) -> [i64; 5] {
        [0, 1, 2, 3, 40].map(|n| patience.of(s).wait(n))
    }

    #[test]
    fn waits_grow_and_end() {
        let patience = Patience::default();
        for (strategy, expected) in [
            (Strategy::ShortOfSpace, [5, 10, 20, 40, 60]),
            (Strategy::Transient, [30, 60, 120, 240, 3600]),
            (Strategy::OverQuota, [900, 1800, 3600, 7200, 14_400]),
        ] {
            assert_eq!(waits(&patience, strategy), expected, "{strategy:?}");
        }
    }

    #[test]
    fn what_is_set_of_a_strategy_counts_for_it_alone() {
        let day = Duration::from_secs(86_400);
        let changes = Changes {
            first: Some(Duration::from_secs(7200)),
            lifetime: Some(14 * day),
            delay_notice: Some(Duration::ZERO),
            ..Changes::default()
        };
        let patience = Patience {
            lifetime: 3 * day,
            strategies: Strategies::new(vec![("transient".to_owned(), changes)]),
            ..Patience::default()
        };
        assert_eq!(waits(&patience, Strategy::Transient), [7200; 5]);
        assert_eq!(waits(&patience, Strategy::OverQuota), [900, 1800, 3600, 7200, 14_400]);
        let ends = |s| (patience.of(s).lifetime, patience.of(s).delay_notice);
        assert_eq!(ends(Strategy::Transient), (14 * day, None));
        assert_eq!(
            ends(Strategy::OverQuota),
            (3 * day, Some(Duration::from_secs(4 * 3600)))
        );
        let without = patience.strategies.without(|changes| changes.lifetime = None);
        assert_eq!(
            without.of("transient", patience.of(Strategy::OverQuota)).lifetime,
            3 * day
        );
    }
}
