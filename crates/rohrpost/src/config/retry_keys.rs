//! The keys of `[[retry]]`.

use super::Config;
use super::keys::{Key, Kind, Section, Set, optional, required};
use super::outgoing::RetrySettings;

/// Strategies of mail for mailboxes here, and of mail for other servers.
const NAMES: [&str; 10] = [
    "destination unreachable",
    "refused for now",
    "connection broken",
    "doubtful",
    "needs not met",
    "damaged",
    "short of space",
    "transient",
    "address gone",
    "over quota",
];

fn retry(config: &mut Config, change: impl FnOnce(&mut RetrySettings)) -> Result<(), String> {
    match config.retries.last_mut() {
        Some(retry) => {
            change(retry);
            Ok(())
        }
        None => Err("this key belongs under [[retry]]".to_owned()),
    }
}

const fn own(name: &'static str, example: &'static str, about: &'static str, set: Set) -> Key {
    optional(Section::Retry, name, Kind::Duration, example, about, set)
}

pub static KEYS: &[Key] = &[
    required(
        Section::Retry,
        "strategy",
        Kind::OneOf(&NAMES),
        "\"refused for now\"",
        "Which, by the name that `rohrpost queue list` shows. docs/queue.md and docs/custody.md tell when each is used, and what it does where nothing is set.",
        |c, g| retry(c, |r| r.strategy = g.text().to_owned()),
    ),
    own(
        "first",
        "\"10 min\"",
        "How long to wait after a first failure. Each further wait is twice as long.",
        |c, g| retry(c, |r| r.changes.first = Some(g.duration())),
    ),
    own("longest", "\"2 h\"", "The longest wait between two tries.", |c, g| {
        retry(c, |r| r.changes.longest = Some(g.duration()))
    }),
    own(
        "lifetime",
        "\"2 days\"",
        "How long a message is tried before its sender gets it back: looked at whenever it has failed by this strategy.",
        |c, g| retry(c, |r| r.changes.lifetime = Some(g.duration())),
    ),
    own(
        "delay_notice",
        "\"1 day\"",
        "After what time a sender is told that a message is late, once. `\"0 s\"`: never.",
        |c, g| retry(c, |r| r.changes.delay_notice = Some(g.duration())),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_can_be_set() {
        let remote = delivery::relay::Strategy::ALL.map(delivery::relay::Strategy::name);
        let local = delivery::Strategy::ALL.map(delivery::Strategy::name);
        let all: std::collections::BTreeSet<&str> = remote.into_iter().chain(local).collect();
        assert_eq!(NAMES.into_iter().collect::<std::collections::BTreeSet<_>>(), all);
    }
}
