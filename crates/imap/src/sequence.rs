//! Sequence sets. RFC 9051 §9 `sequence-set`, RFC 5182 (`$`, the saved result).

use std::fmt;
use std::ops::RangeInclusive;

use crate::cursor::Cursor;
use crate::{Error, Result};

/// A message sequence number or UID in a set, or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A number, never 0.
    Number(u32),
    /// `*`: the largest number in use.
    Largest,
}

/// Which messages a command is about, as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequenceSet {
    /// `2,4:7,12:*`
    Ranges(Vec<(Bound, Bound)>),
    /// `$`: the result that a SEARCH has saved.
    Saved,
}

impl SequenceSet {
    /// The numbers that are meant where `largest` is the largest one in use. `None` for `$`, which the session knows.
    ///
    /// With an empty mailbox (`largest` 0) `*` means nothing.
    pub fn resolve(&self, largest: u32) -> Option<NumberSet> {
        let SequenceSet::Ranges(ranges) = self else { return None };
        let number = |bound: Bound| match bound {
            Bound::Number(n) => n,
            Bound::Largest => largest,
        };
        let pairs = ranges.iter().map(|&(a, b)| (number(a), number(b)));
        Some(NumberSet::from_ranges(
            pairs.map(|(a, b)| (a.min(b), a.max(b))).filter(|&(a, _)| a > 0),
        ))
    }

    /// Whether a number above `largest` is asked for. RFC 9051 §9: as message sequence number an error, as UID not.
    pub fn exceeds(&self, largest: u32) -> bool {
        let over = |bound: Bound| match bound {
            Bound::Number(n) => n > largest,
            Bound::Largest => largest == 0,
        };
        matches!(self, SequenceSet::Ranges(ranges) if ranges.iter().any(|&(a, b)| over(a) || over(b)))
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SequenceSet::Ranges(ranges) = self else {
            return f.write_str("$");
        };
        for (i, (from, to)) in ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match (from, to) {
                (from, to) if from == to => write!(f, "{from}")?,
                (from, to) => write!(f, "{from}:{to}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Number(n) => write!(f, "{n}"),
            Bound::Largest => f.write_str("*"),
        }
    }
}

/// Numbers in ascending, disjoint ranges: what `COPYUID`, `ESEARCH … ALL` and `MODIFIED` print, and what a
/// [`SequenceSet`] comes down to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSet {
    ranges: Vec<(u32, u32)>,
}

impl NumberSet {
    /// The set without members.
    pub fn new() -> NumberSet {
        NumberSet::default()
    }

    /// From ranges in any order, overlapping or not. Each is (smallest, largest).
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> NumberSet {
        let mut all: Vec<(u32, u32)> = ranges.into_iter().filter(|(a, b)| a <= b).collect();
        if !all.is_sorted() {
            all.sort_unstable();
        }
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match merged.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        NumberSet { ranges: merged }
    }

    /// Adds a number. Cheap where numbers come in ascending order.
    pub fn insert(&mut self, number: u32) {
        match self.ranges.last_mut() {
            Some(last) if number > last.1 && number - 1 == last.1 => last.1 = number,
            Some(last) if number <= last.1 => {
                if !self.contains(number) {
                    let ranges = std::mem::take(&mut self.ranges);
                    *self = NumberSet::from_ranges(ranges.into_iter().chain([(number, number)]));
                }
            }
            _ => self.ranges.push((number, number)),
        }
    }

    /// Whether `number` is a member.
    pub fn contains(&self, number: u32) -> bool {
        let after = self.ranges.partition_point(|&(from, _)| from <= number);
        after
            .checked_sub(1)
            .and_then(|i| self.ranges.get(i))
            .is_some_and(|&(_, to)| number <= to)
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many members there are.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(from, to)| u64::from(to - from) + 1).sum()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u32>> + '_ {
        self.ranges.iter().map(|&(from, to)| from..=to)
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges().flatten()
    }

    /// The smallest member.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|r| r.0)
    }

    /// The largest member.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|r| r.1)
    }

    /// What both sets have.
    #[must_use]
    pub fn intersection(&self, other: &NumberSet) -> NumberSet {
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(&&(from_a, to_a)), Some(&&(from_b, to_b))) = (a.peek(), b.peek()) {
            let (from, to) = (from_a.max(from_b), to_a.min(to_b));
            if from <= to {
                ranges.push((from, to));
            }
            if to_a < to_b {
                a.next();
            } else {
                b.next();
            }
        }
        NumberSet { ranges }
    }

    /// What this set has and the other has not.
    #[must_use]
    pub fn difference(&self, other: &NumberSet) -> NumberSet {
        let mut ranges = Vec::new();
        let mut others = other.ranges.iter().peekable();
        for &(from, to) in &self.ranges {
            let mut from = u64::from(from);
            let to = u64::from(to);
            while let Some(&&(start, end)) = others.peek() {
                let (start, end) = (u64::from(start), u64::from(end));
                if end < from {
                    others.next();
                    continue;
                }
                if start > to {
                    break;
                }
                if start > from {
                    ranges.push((from as u32, (start - 1) as u32));
                }
                from = end + 1;
                if end > to {
                    break;
                }
                others.next();
            }
            if from <= to {
                ranges.push((from as u32, to as u32));
            }
        }
        NumberSet { ranges }
    }

    /// The members that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        *self = self.iter().filter(|&n| keep(n)).collect();
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> NumberSet {
        let mut set = NumberSet::new();
        let mut rest = Vec::new();
        for number in numbers {
            if set.last().is_none_or(|last| number > last) {
                set.insert(number);
            } else {
                rest.push((number, number));
            }
        }
        if rest.is_empty() {
            set
        } else {
            NumberSet::from_ranges(set.ranges.into_iter().chain(rest))
        }
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(from, to)) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if from == to {
                write!(f, "{from}")?;
            } else {
                write!(f, "{from}:{to}")?;
            }
        }
        Ok(())
    }
}

impl<'a> Cursor<'a> {
    // sequence-set = (seq-number / seq-range) ["," sequence-set] / seq-last-command
    pub(crate) fn sequence_set(&mut self) -> Result<SequenceSet> {
        if self.eat(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let from = self.bound()?;
            let to = if self.eat(b':') { self.bound()? } else { from };
            ranges.push((from, to));
            if !self.eat(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }

    /// Whether a sequence set stands here and not a word.
    pub(crate) fn at_sequence_set(&self) -> bool {
        self.peek()
            .is_some_and(|b| b.is_ascii_digit() || b == b'*' || b == b'$')
    }

    pub(crate) fn bound(&mut self) -> Result<Bound> {
        if self.eat(b'*') {
            return Ok(Bound::Largest);
        }
        if !self.at_sequence_set() {
            return Err(Error::Expected("a sequence set"));
        }
        self.number_nonzero().map(Bound::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn set(input: &str) -> Result<SequenceSet> {
        let limits = Limits::default();
        let mut cursor = Cursor::new(input.as_bytes(), false, &limits);
        let set = cursor.sequence_set()?;
        cursor.end()?;
        Ok(set)
    }

    #[test]
    fn resolved() {
        for (input, largest, expected) in [
            ("1", 10, "1"),
            ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"),
            ("*", 5, "5"),
            ("*:4,5:7", 10, "4:10"),
            ("12:*", 5, "5:12"),
            ("3,1,2,1:3", 5, "1:3"),
            ("*", 0, ""),
            ("1:*", 0, ""),
            ("4294967295:*", 7, "7:4294967295"),
        ] {
            let set = set(input).unwrap();
            assert_eq!(set.resolve(largest).unwrap().to_string(), expected, "{input}");
            assert_eq!(self::set(&set.to_string()).unwrap(), set);
        }
        assert_eq!(set("$").unwrap().resolve(3), None);
        for bad in [
            "",
            "0",
            "1:",
            ":1",
            "1,,2",
            "1;2",
            "a",
            "4294967296",
            "1:0",
            "01",
            "$,1",
        ] {
            assert!(set(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers() {
        let mut set: NumberSet = [5, 1, 2, 3, 9, 8, 5].into_iter().collect();
        assert_eq!(set.to_string(), "1:3,5,8:9");
        assert_eq!((set.len(), set.first(), set.last()), (6, Some(1), Some(9)));
        set.insert(4);
        assert_eq!(set.to_string(), "1:5,8:9");
        set.retain(|n| n % 2 == 1);
        assert_eq!(set.to_string(), "1,3,5,9");
        assert!(set.contains(9) && !set.contains(8) && !set.contains(10) && !set.contains(0));
        let sets = |text: &str| super::tests::set(text).unwrap().resolve(1).unwrap();
        for (a, b, both, only_a) in [
            ("1:10", "3:4,8", "3:4,8", "1:2,5:7,9:10"),
            ("1:3,5:7", "2:6", "2:3,5:6", "1,7"),
            ("5", "1:10", "5", ""),
            ("1:4294967295", "4294967295", "4294967295", "1:4294967294"),
            ("1:2,9", "3:8", "", "1:2,9"),
        ] {
            assert_eq!(sets(a).intersection(&sets(b)).to_string(), both, "{a} {b}");
            assert_eq!(sets(a).difference(&sets(b)).to_string(), only_a, "{a} {b}");
        }
    }
}
