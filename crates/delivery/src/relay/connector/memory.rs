//! What is remembered of addresses: who did not answer, and with whom TLS did not work. In memory, and for minutes only.

use lru::LruCache;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// What there is to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trait {
    /// No connection, or no greeting.
    Dead,
    /// The handshake failed.
    WithoutTls,
    /// TLS did not come up to what was asked, which this number stands for.
    Barred(u64),
}

type Kept = LruCache<(SocketAddr, Trait), (Instant, String)>;

/// Bounded; the oldest is forgotten first.
pub(super) struct Memory(Mutex<Kept>);

impl Memory {
    pub(super) fn new(most: usize) -> Memory {
        Memory(Mutex::new(LruCache::new(
            NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN),
        )))
    }

    /// Remembers it for a while, with the reason.
    pub(super) fn note(&self, address: SocketAddr, what: Trait, span: Duration, reason: &str) {
        self.0
            .lock()
            .put((address, what), (Instant::now() + span, reason.to_owned()));
    }

    /// The reason, if it is remembered.
    pub(super) fn find(&self, address: SocketAddr, what: Trait) -> Option<String> {
        let mut kept = self.0.lock();
        let (until, reason) = kept.get(&(address, what))?;
        if *until > Instant::now() {
            return Some(reason.clone());
        }
        kept.pop(&(address, what));
        None
    }

    /// It is not so any more.
    pub(super) fn forget(&self, address: SocketAddr, what: Trait) {
        self.0.lock().pop(&(address, what));
    }
}
