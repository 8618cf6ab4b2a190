use lru::LruCache;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

/// Things that stand on an open file each, by key: at most so many kept open while nobody uses them. A file in use is never opened a
/// second time, however long ago it was asked for, because that would give it two writers.
pub struct OpenFiles<K, V> {
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    kept: LruCache<K, Arc<V>>,
    alive: HashMap<K, Weak<V>>,
    /// Held by whoever opens the file of that key.
    opening: HashMap<K, Arc<Mutex<()>>>,
}

impl<K: Hash + Eq + Copy, V> Inner<K, V> {
    fn find(&mut self, key: K) -> Option<Arc<V>> {
        if let Some(found) = self.kept.get(&key) {
            return Some(Arc::clone(found));
        }
        // In use and not kept any more: it stays open as long as its users have it.
        self.alive.get(&key).and_then(Weak::upgrade)
    }

    /// Keeps an open file; what had to make room for it.
    fn keep(&mut self, key: K, value: &Arc<V>) -> Option<(K, Arc<V>)> {
        self.alive.insert(key, Arc::downgrade(value));
        if self.alive.len() > 2 * self.kept.cap().get() {
            self.alive.retain(|_, weak| weak.strong_count() > 0);
        }
        self.kept.push(key, Arc::clone(value))
    }
}

impl<K: Hash + Eq + Copy, V> OpenFiles<K, V> {
    /// Keeps up to `capacity` idle files open.
    pub fn new(capacity: NonZeroUsize) -> Self {
        OpenFiles {
            inner: Mutex::new(Inner {
                kept: LruCache::new(capacity),
                alive: HashMap::new(),
                opening: HashMap::new(),
            }),
        }
    }

    /// What stands on the file of `key`, opened by `open` if nobody has it open. Only those who want the same file wait for the opening.
    pub fn open<E>(&self, key: K, open: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let turn = {
            let mut inner = self.inner.lock();
            if let Some(found) = inner.find(key) {
                return Ok(found);
            }
            Arc::clone(inner.opening.entry(key).or_default())
        };
        let mine = turn.lock();
        let found = self.inner.lock().find(key);
        let opened = match found {
            Some(found) => Ok(found),
            None => open().map(Arc::new),
        };
        // Dropped after the lock is released: closing a file checkpoints it, which nobody else should wait for.
        let _evicted;
        let mut inner = self.inner.lock();
        if let Ok(value) = &opened {
            _evicted = inner.keep(key, value);
        }
        drop(mine);
        // The map's and this one: nobody else is waiting for a turn.
        if Arc::strong_count(&turn) <= 2 {
            inner.opening.remove(&key);
        }
        opened
    }

    /// What is open now, without opening anything.
    pub fn peek(&self, key: K) -> Option<Arc<V>> {
        self.inner.lock().alive.get(&key).and_then(Weak::upgrade)
    }

    /// Lets go of all that is kept open; what somebody still uses closes when they are done.
    pub fn clear(&self) {
        let kept: Vec<Arc<V>> = {
            let mut inner = self.inner.lock();
            std::iter::from_fn(|| inner.kept.pop_lru()).map(|(_, v)| v).collect()
        };
        drop(kept);
    }

    /// Lets go of an idle file, so that it can be moved or deleted.
    pub fn forget(&self, key: K) {
        let mut inner = self.inner.lock();
        let _closed = inner.kept.pop(&key);
        inner.alive.remove(&key);
    }
}
