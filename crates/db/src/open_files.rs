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
}

impl<K: Hash + Eq + Copy, V> OpenFiles<K, V> {
    /// Keeps up to `capacity` idle files open.
    pub fn new(capacity: NonZeroUsize) -> Self {
        OpenFiles {
            inner: Mutex::new(Inner {
                kept: LruCache::new(capacity),
                alive: HashMap::new(),
            }),
        }
    }

    /// What stands on the file of `key`, opened by `open` if nobody has it open.
    pub fn open<E>(&self, key: K, open: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        // Dropped after the lock is released: closing a file checkpoints it, which nobody else should wait for.
        let _evicted;
        let mut inner = self.inner.lock();
        if let Some(found) = inner.kept.get(&key) {
            return Ok(Arc::clone(found));
        }
        let value = match inner.alive.get(&key).and_then(Weak::upgrade) {
            Some(found) => found,
            None => Arc::new(open()?),
        };
        inner.alive.insert(key, Arc::downgrade(&value));
        _evicted = inner.kept.push(key, Arc::clone(&value));
        if inner.alive.len() > 2 * inner.kept.cap().get() {
            inner.alive.retain(|_, weak| weak.strong_count() > 0);
        }
        Ok(value)
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
