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

    /// Nothing of it is to count any more.
    pub(super) fn forget_all(&self) {
        self.0.lock().clear();
    }

    /// It is not so any more.
    pub(super) fn forget(&self, address: SocketAddr, what: Trait) {
        self.0.lock().pop(&(address, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_not_answer_is_known_until_somebody_asks_for_another_try() {
        let memory = Memory::new(10);
        let [one, other] = [25, 26].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let minute = Duration::from_secs(60);
        memory.note(one, Trait::Dead, minute, "no answer");
        memory.note(other, Trait::WithoutTls, minute, "no handshake");
        assert_eq!(memory.find(one, Trait::Dead).as_deref(), Some("no answer"));
        assert_eq!(memory.find(one, Trait::WithoutTls), None);
        memory.forget_all();
        assert_eq!(memory.find(one, Trait::Dead), None);
        assert_eq!(memory.find(other, Trait::WithoutTls), None);
    }
}
