use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// What an input made a reader do: the things noted, each as a number below 65,536, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature(BTreeSet<u16>);

impl Signature {
    /// Notes that this happened; how often does not matter.
    pub(crate) fn note(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.0.insert((hasher.finish() % 65_536) as u16);
    }

    /// The things noted.
    pub fn things(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }
}
