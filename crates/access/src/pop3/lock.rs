//! One POP3 session an account. RFC 1939 §4: the maildrop is locked from login to the end of the session.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use store::AccountId;

/// The accounts that have a session.
#[derive(Clone, Default)]
pub(super) struct Locks(Arc<Mutex<HashSet<AccountId>>>);

/// An account's lock; free again when this is dropped.
pub(super) struct Lock {
    locks: Locks,
    account: AccountId,
}

impl Locks {
    /// The lock of an account, if nobody has it.
    pub(super) fn take(&self, account: AccountId) -> Option<Lock> {
        self.0.lock().insert(account).then(|| Lock {
            locks: self.clone(),
            account,
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.0.lock().remove(&self.account);
    }
}
