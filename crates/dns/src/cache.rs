//! Answers that are still good.

use crate::{Answer, Error};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

pub(crate) type Found = Result<Arc<Answer<RData>>, Error>;

/// The least recently used goes first.
pub(crate) struct Cache(Mutex<LruCache<(Name, RecordType), (Found, Instant)>>);

impl Cache {
    pub(crate) fn new(size: usize) -> Cache {
        let size = NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN);
        Cache(Mutex::new(LruCache::new(size)))
    }

    pub(crate) fn find(&self, key: &(Name, RecordType), now: Instant) -> Option<Found> {
        let mut cache = self.0.lock();
        match cache.get(key) {
            Some((found, expires)) if *expires > now => Some(found.clone()),
            Some(_) => {
                cache.pop(key);
                None
            }
            None => None,
        }
    }

    pub(crate) fn keep(&self, key: (Name, RecordType), found: Found, expires: Instant) {
        self.0.lock().put(key, (found, expires));
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
