//! How much an account may hold. RFC 9208: STORAGE and MESSAGE.

use crate::account::State;
use crate::{Account, Error, Result};

/// The most that an account may hold, all its mailboxes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Octets; `None`: no bound.
    pub bytes: Option<u64>,
    /// Messages; `None`: no bound.
    pub messages: Option<u64>,
}

/// What an account holds, or what is to come to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets, as IMAP counts them; a copy counts again.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

impl Usage {
    /// Of messages of these sizes.
    pub fn of(sizes: impl IntoIterator<Item = u64>) -> Usage {
        sizes.into_iter().fold(Usage::default(), |sum, size| Usage {
            bytes: sum.bytes.saturating_add(size),
            messages: sum.messages.saturating_add(1),
        })
    }
}

impl Quota {
    /// No bounds.
    pub const NONE: Quota = Quota {
        bytes: None,
        messages: None,
    };

    /// Whether an account that holds `used` has room for `more`.
    pub fn room(&self, used: Usage, more: Usage) -> Result<()> {
        let over = |used: u64, more: u64, limit: &u64| used.saturating_add(more) > *limit;
        if let Some(limit) = self.bytes.filter(|limit| over(used.bytes, more.bytes, limit)) {
            let used = used.bytes;
            return Err(Error::OverQuota { used, limit });
        }
        if let Some(limit) = self.messages.filter(|limit| over(used.messages, more.messages, limit)) {
            let used = used.messages;
            return Err(Error::OverQuotaMessages { used, limit });
        }
        Ok(())
    }
}

impl Account {
    /// What it holds.
    pub fn usage(&self) -> Usage {
        self.lock().usage()
    }
}

impl State {
    pub(crate) fn usage(&self) -> Usage {
        let mailboxes = self.rows.mailboxes.values();
        mailboxes.fold(Usage::default(), |sum, row| Usage {
            bytes: sum.bytes + row.size,
            messages: sum.messages + u64::from(row.messages),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room() {
        let quota = |bytes, messages| Quota { bytes, messages };
        for (quota, used, more, fits) in [
            (Quota::NONE, (u64::MAX, u64::MAX), (1, 1), true),
            (quota(Some(10), None), (7, 100), (3, 1), true),
            (quota(Some(10), None), (7, 0), (4, 1), false),
            (quota(None, Some(3)), (1 << 40, 2), (1, 1), true),
            (quota(None, Some(3)), (0, 2), (0, 2), false),
            (quota(Some(10), Some(0)), (0, 0), (1, 1), false),
            (quota(Some(u64::MAX), Some(u64::MAX)), (u64::MAX, 0), (1, 1), true),
        ] {
            let usage = |(bytes, messages)| Usage { bytes, messages };
            let room = quota.room(usage(used), usage(more));
            assert_eq!(room.is_ok(), fits, "{quota:?} {used:?} {more:?}: {room:?}");
        }
        assert_eq!(Usage::of([3, 4]), Usage { bytes: 7, messages: 2 });
    }
}
