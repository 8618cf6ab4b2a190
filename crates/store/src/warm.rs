//! Views that nobody has open any more, kept for whoever opens their mailbox next: opening it then costs nothing. The least recently
//! opened make room when all together weigh too much.

use crate::account::View;
use crate::{AccountId, MailboxId};
use lru::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;

/// What a view weighs beside its messages: itself, its numbers, its channel.
const VIEW_BYTES: usize = 1024;

/// The views that are kept, of all accounts.
pub(crate) struct Warm {
    budget: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    views: LruCache<(AccountId, MailboxId), Kept>,
    bytes: usize,
}

struct Kept {
    view: Arc<View>,
    bytes: usize,
}

impl Warm {
    /// Keeps views of at most `budget` octets.
    pub(crate) fn new(budget: usize) -> Warm {
        Warm {
            budget,
            inner: Mutex::new(Inner {
                views: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    /// Keeps a view, as the one that was opened last.
    pub(crate) fn keep(&self, account: AccountId, mailbox: MailboxId, view: &Arc<View>) {
        let bytes = view.weight() + VIEW_BYTES;
        let kept = Kept {
            view: Arc::clone(view),
            bytes,
        };
        // Dropped after the lock is released: a large view takes a while to free.
        let mut gone = Vec::new();
        let mut inner = self.inner.lock();
        inner.bytes += bytes;
        if let Some(before) = inner.views.put((account, mailbox), kept) {
            inner.bytes -= before.bytes;
            gone.push(before.view);
        }
        while inner.bytes > self.budget
            && let Some((_, oldest)) = inner.views.pop_lru()
        {
            inner.bytes -= oldest.bytes;
            gone.push(oldest.view);
        }
        drop(inner);
    }

    /// Lets go of the view of a mailbox that is no more.
    pub(crate) fn forget(&self, account: AccountId, mailbox: MailboxId) {
        let mut inner = self.inner.lock();
        let gone = inner.views.pop(&(account, mailbox));
        inner.bytes -= gone.as_ref().map_or(0, |kept| kept.bytes);
        drop(inner);
    }

    /// Lets go of all views of an account that is closed.
    pub(crate) fn forget_account(&self, account: AccountId) {
        let mut gone = Vec::new();
        let mut inner = self.inner.lock();
        let keys: Vec<_> = inner
            .views
            .iter()
            .filter(|((id, _), _)| *id == account)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            if let Some(kept) = inner.views.pop(&key) {
                inner.bytes -= kept.bytes;
                gone.push(kept.view);
            }
        }
        drop(inner);
    }
}
