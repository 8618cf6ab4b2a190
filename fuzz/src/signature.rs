use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Sums up what an input made a reader do: the set of things noted, in no order.
#[derive(Debug, Default)]
pub(crate) struct Signature(u64);

impl Signature {
    /// Notes that this happened; how often does not matter.
    pub(crate) fn note(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        // One of 64 bits: few enough that not every input looks new.
        self.0 |= 1 << (hasher.finish() % 64);
    }

    /// The sum.
    pub(crate) fn sum(&self) -> u64 {
        self.0
    }
}
