//! How much somebody has sent in the last hour, for as many as fit into a bounded memory: who has been quiet longest is forgotten first.

use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Those who are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();
const HOUR: Duration = Duration::from_secs(3600);

/// Leaky counters: each leaks its whole measure within an hour.
pub(crate) struct Rates(Mutex<LruCache<String, (f64, Instant)>>);

impl Default for Rates {
    fn default() -> Rates {
        Rates(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Rates {
    /// Counts one message more of somebody, if that stays within `limit` an hour. 0: any number.
    pub(crate) fn take(&self, who: String, limit: u32, now: Instant) -> bool {
        if limit == 0 {
            return true;
        }
        let limit = f64::from(limit);
        let mut known = self.0.lock();
        let (full, at) = known.get(&who).copied().unwrap_or((0.0, now));
        let leaked = limit * now.saturating_duration_since(at).as_secs_f64() / HOUR.as_secs_f64();
        let full = (full - leaked).max(0.0);
        let fits = full + 1.0 <= limit;
        known.put(who, (if fits { full + 1.0 } else { full }, now));
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_an_hour() {
        let rates = Rates::default();
        let start = Instant::now();
        let take = |seconds| rates.take("a".to_owned(), 60, start + Duration::from_secs(seconds));
        assert!((0..60).all(|_| take(0)));
        assert!(!take(0));
        assert!(!take(50));
        assert!(take(61));
        assert!(!take(61));
        assert!(rates.take("b".to_owned(), 60, start));
        assert!((0..1000).all(|_| rates.take("c".to_owned(), 0, start)));
    }
}
