//! Which texts hold which three octets in a row.
//!
//! Octets, not characters: a needle of one Chinese character has three. A segment numbers its texts from 0; the numbers of those that
//! hold a triple are a list of differences or, where they are many, a row of bits. Triples with the same first two octets share a row
//! of the table.

use crate::cells::{Cells, put_number};
use crate::{Error, Result};

/// Texts in a segment: a set of them is eight words.
pub(crate) const SLOTS: usize = 512;

/// A set of texts of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots([u64; SLOTS / 64]);

impl Slots {
    pub(crate) const NONE: Slots = Slots([0; SLOTS / 64]);
    pub(crate) const ALL: Slots = Slots([u64::MAX; SLOTS / 64]);

    pub(crate) fn insert(&mut self, slot: usize) {
        if let Some(word) = self.0.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.0.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn keep(&mut self, other: &Slots) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn add(&mut self, other: &Slots) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }
}

/// Lists longer than this are bits.
const LISTED_MOST: usize = SLOTS / 8 / 2;
/// What stands for the length of a list that is bits.
const BITS: u64 = 0;

/// The rows of a segment: (first two octets, row).
pub(crate) fn rows<'t>(texts: impl Iterator<Item = [&'t str; 2]>) -> Vec<(u32, Vec<u8>)> {
    let mut all: Vec<u64> = Vec::new();
    let mut one: Vec<u32> = Vec::new();
    for (slot, pieces) in texts.enumerate() {
        one.clear();
        for text in pieces {
            let triples = text.as_bytes().windows(3);
            one.extend(triples.map(|w| match w {
                [a, b, c] => u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c),
                _ => 0,
            }));
        }
        one.sort_unstable();
        one.dedup();
        all.extend(one.iter().map(|triple| u64::from(*triple) << 16 | slot as u64));
    }
    all.sort_unstable();
    let mut rows: Vec<(u32, Vec<u8>)> = Vec::new();
    for same in all.chunk_by(|a, b| a >> 16 == b >> 16) {
        let triple = same.first().map_or(0, |first| first >> 16);
        let pair = (triple >> 8) as u32;
        if rows.last().is_none_or(|(last, _)| *last != pair) {
            rows.push((pair, Vec::new()));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        row.push(triple as u8);
        let slots = same.iter().map(|entry| entry & 0xffff);
        if same.len() > LISTED_MOST {
            put_number(row, BITS);
            let mut bits = Slots::NONE;
            slots.for_each(|slot| bits.insert(slot as usize));
            bits.0
                .iter()
                .for_each(|word| row.extend_from_slice(&word.to_le_bytes()));
        } else {
            put_number(row, same.len() as u64);
            let mut before = 0;
            for slot in slots {
                put_number(row, slot - before);
                before = slot;
            }
        }
    }
    rows
}

/// The texts that hold the pair and one of `thirds`.
pub(crate) fn read(row: &[u8], thirds: impl Fn(u8) -> bool) -> Result<Slots> {
    let mut cells = Cells(row);
    let mut found = Slots::NONE;
    while !cells.is_end() {
        let wanted = thirds(cells.byte()?);
        match cells.number()? {
            BITS => {
                let bits = cells.octets(SLOTS / 8)?;
                if wanted {
                    let (words, _) = bits.as_chunks::<8>();
                    for (word, octets) in found.0.iter_mut().zip(words) {
                        *word |= u64::from_le_bytes(*octets);
                    }
                }
            }
            count => {
                let mut slot = 0usize;
                for _ in 0..count {
                    slot = slot
                        .checked_add(cells.size()?)
                        .ok_or(Error::Damaged("a list of texts has no end"))?;
                    if wanted {
                        found.insert(slot);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Triples that are looked up of one needle: more would rule out next to nothing.
const LOOKED_UP_MOST: usize = 12;

/// Which triples of a needle to look up, spread over it.
pub(crate) fn triples(needle: &[u8]) -> Vec<[u8; 3]> {
    let mut all: Vec<[u8; 3]> = needle.windows(3).filter_map(|w| w.try_into().ok()).collect();
    let step = all.len().div_ceil(LOOKED_UP_MOST).max(1);
    let last = all.last().copied();
    let mut at = 0;
    all.retain(|_| {
        at += 1;
        (at - 1) % step == 0
    });
    all.extend(last.filter(|_| step > 1));
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A row tells for each triple exactly the texts that hold it.
        #[test]
        fn tells_who_holds_what(texts in prop::collection::vec("[abc]{0,12}", 0..SLOTS)) {
            let rows = rows(texts.iter().map(|text| [text.as_str(), ""]));
            for needle in ["aaa", "abc", "cba", "bca"] {
                let [a, b, c]: [u8; 3] = needle.as_bytes().try_into().unwrap();
                let pair = u32::from(a) << 8 | u32::from(b);
                let row = rows.iter().find(|(known, _)| *known == pair);
                let slots = row.map_or(Slots::NONE, |(_, row)| read(row, |third| third == c).unwrap());
                for (slot, text) in texts.iter().enumerate() {
                    prop_assert_eq!(slots.contains(slot), text.contains(needle));
                }
            }
        }

        #[test]
        fn damage_is_an_error(row in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&row, |_| true);
        }
    }
}
