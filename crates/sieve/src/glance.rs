//! What shows at a glance that a test fails.
//!
//! Of two hundred rules of a long script nearly all fail for nearly every message, and what they cost is the way through memory to their keys.
//! So the fields that tests look at are summed up once a message, letters folded: which pairs of octets they have, and which whole values, as
//! sets of 64. A test keeps beside it what its keys need. What is not in the summary is not in the field; what is may still not match, and then
//! the test is made in full.

use crate::ext::tests::EnvelopeItem;
use crate::mail::{AddressPart, Aspect, FieldName};
use crate::matching::Value;
use crate::run::Run;

/// Fields of one test that are kept beside it.
const FIELDS: usize = 4;

/// Something that tests look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Field(FieldName, Aspect),
    Envelope(EnvelopeItem, AddressPart),
}

/// What a test needs to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glance {
    /// Which of the script's sources it looks at.
    sources: [u16; FIELDS],
    count: usize,
    need: Need,
}

/// What the keys of a test need in a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// All of these pairs.
    Pairs(u64),
    /// One of these values.
    Whole(u64),
}

/// What is in the values of a source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    values: usize,
    pairs: u64,
    whole: u64,
}

impl Glance {
    /// `None` where there are too many sources to keep beside the test.
    pub fn new(found: &[u16], need: Need) -> Option<Glance> {
        let mut sources = [0; FIELDS];
        sources.get_mut(..found.len())?.copy_from_slice(found);
        Some(Glance {
            sources,
            count: found.len(),
            need,
        })
    }

    /// Whether the test fails, whatever stands in its fields' order; how many values were looked at.
    pub fn fails(&self, run: &mut Run<'_>) -> Option<usize> {
        let mut looked_at = 0;
        for source in self.sources.iter().take(self.count) {
            let summary = run.summary(usize::from(*source))?;
            if summary.may_match(self.need) {
                return None;
            }
            looked_at += summary.values;
        }
        Some(looked_at)
    }
}

impl Need {
    /// What every key needs.
    pub fn pairs_of<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Need {
        Need::Pairs(keys.map(pairs).fold(u64::MAX, |common, key| common & key))
    }

    /// What any key needs.
    pub fn whole_of<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Need {
        Need::Whole(keys.map(whole).fold(0, |any, key| any | key))
    }
}

impl Summary {
    pub fn of(values: &[Value]) -> Summary {
        let texts = || values.iter().map(|value| value.text.as_bytes());
        Summary {
            values: values.len(),
            pairs: texts().map(pairs).fold(0, |all, text| all | text),
            whole: texts().map(whole).fold(0, |all, text| all | text),
        }
    }

    fn may_match(&self, need: Need) -> bool {
        self.values > 0
            && match need {
                Need::Pairs(pairs) => pairs & !self.pairs == 0,
                Need::Whole(whole) => whole & self.whole != 0,
            }
    }
}

/// The pairs of neighbouring octets. Of pieces that need not be neighbours the sets are united.
pub(crate) fn pairs(text: &[u8]) -> u64 {
    text.windows(2).fold(0, |set, pair| match pair {
        [a, b] => {
            let a = u32::from(a.to_ascii_lowercase()).wrapping_mul(0x9e37_79b1);
            let b = u32::from(b.to_ascii_lowercase()).wrapping_mul(0x85eb_ca6b);
            set | 1 << ((a ^ b) >> 26)
        }
        _ => set,
    })
}

/// The text as a whole.
fn whole(text: &[u8]) -> u64 {
    1 << (crate::mail::hash(text) >> 58)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: &[&str]) -> Summary {
        let values: Vec<Value> = values.iter().map(|text| Value::new((*text).to_owned())).collect();
        Summary::of(&values)
    }

    #[test]
    fn what_is_there_is_never_overlooked() {
        for (values, key) in [
            (&["Meeting of the LIST-12 people"][..], "list-12"),
            (&["x", "ada@phys.example"], "ADA@phys.example"),
            (&[""], ""),
            (&["grün"], "GRüN"),
            (&["a"], "A"),
        ] {
            let keys = || std::iter::once(key.as_bytes());
            assert!(summary(values).may_match(Need::pairs_of(keys())), "{values:?} {key}");
            let same = values.iter().any(|value| value.eq_ignore_ascii_case(key));
            let found = summary(values).may_match(Need::whole_of(keys()));
            assert!(found || !same, "{values:?} {key}");
        }
        // Of several keys one is enough.
        let keys = ["nothing like it", "list-12"];
        let need = Need::pairs_of(keys.iter().map(|key| key.as_bytes()));
        assert!(summary(&["[LIST-12] hello"]).may_match(need));
        let need = Need::whole_of(keys.iter().map(|key| key.as_bytes()));
        assert!(summary(&["List-12"]).may_match(need));
    }

    #[test]
    fn what_is_not_there_is_seen() {
        let need = Need::pairs_of(std::iter::once(b"[list-12]".as_slice()));
        assert!(!summary(&["Lunch on Friday"]).may_match(need));
        assert!(!summary(&[]).may_match(need));
        let need = Need::whole_of(std::iter::once(b"person7@elsewhere.example".as_slice()));
        let others = (0..64).filter(|n| summary(&[&format!("somebody{n}@x.example")]).may_match(need));
        assert!(others.count() < 10);
    }
}
