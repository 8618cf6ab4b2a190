//! When a delivery that failed is tried again. Each strategy has a name, which `queue list` shows.

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

    /// Seconds to wait before attempt number `attempts + 1`: the first wait, doubled each time, up to the longest.
    pub fn wait(self, attempts: u32) -> i64 {
        let (first, longest) = match self {
            Strategy::ShortOfSpace => (5, 60),
            Strategy::Transient => (30, 3_600),
            Strategy::Damaged => (300, 14_400),
            Strategy::AddressGone => (3_600, 14_400),
            Strategy::OverQuota => (900, 14_400),
        };
        i64::min(longest, first << attempts.min(16))
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

    #[test]
    fn waits_grow_and_end() {
        let waits = |s: Strategy| [0, 1, 2, 3, 40].map(|n| s.wait(n));
        assert_eq!(waits(Strategy::ShortOfSpace), [5, 10, 20, 40, 60]);
        assert_eq!(waits(Strategy::Transient), [30, 60, 120, 240, 3600]);
        assert_eq!(waits(Strategy::OverQuota), [900, 1800, 3600, 7200, 14_400]);
    }
}
