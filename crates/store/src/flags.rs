//! Flags and keywords of messages (RFC 9051 §2.3.2) as one 64-bit set: the system flags have fixed bits, keywords get theirs from the
//! account's table when first used.

use std::ops::{BitAnd, BitOr, Not};

/// Keywords that one account may use at a time. The set of flags is one machine word, that leaves 56.
pub const MAX_KEYWORDS: usize = 56;
/// Longest keyword kept.
pub const MAX_KEYWORD_BYTES: usize = 255;
pub(crate) const FIRST_KEYWORD_BIT: u32 = 8;

/// A set of flags of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u64);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// `\Seen`
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(1 << 2);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(1 << 3);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(1 << 4);

    /// The system flags with their names.
    pub const SYSTEM: [(Flags, &'static str); 5] = [
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::SEEN, "\\Seen"),
        (Flags::DRAFT, "\\Draft"),
    ];

    /// Whether all of `other` are in this set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The system flag of that name, in any case.
    pub fn system(name: &str) -> Option<Flags> {
        Self::SYSTEM
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|(f, _)| *f)
    }

    /// The names of the keywords in this set.
    pub fn keywords(self, table: &Keywords) -> impl Iterator<Item = &str> {
        table
            .iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Flags;
    fn not(self) -> Flags {
        Flags(!self.0)
    }
}

impl From<Flags> for db::Value<'_> {
    fn from(flags: Flags) -> Self {
        db::Value::Integer(flags.0.cast_signed())
    }
}

/// How a set of flags is to change (RFC 9051 §6.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// `+FLAGS`
    Add(Flags),
    /// `-FLAGS`
    Remove(Flags),
    /// `FLAGS`
    Replace(Flags),
    /// `FLAGS` from somebody who may change only some of them (RFC 4314 §4).
    ReplaceWithin {
        /// The flags after the change,
        flags: Flags,
        /// as far as they are among these.
        allowed: Flags,
    },
}

impl FlagChange {
    /// The set after the change.
    pub fn apply(self, to: Flags) -> Flags {
        match self {
            FlagChange::Add(flags) => to | flags,
            FlagChange::Remove(flags) => to & !flags,
            FlagChange::Replace(flags) => flags,
            FlagChange::ReplaceWithin { flags, allowed } => (to & !allowed) | (flags & allowed),
        }
    }
}

/// The account's keywords and their bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords {
    names: Vec<Option<String>>,
}

impl Keywords {
    pub(crate) fn insert(&mut self, bit: u32, name: &str) {
        let at = (bit - FIRST_KEYWORD_BIT) as usize;
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        self.names[at] = Some(name.to_owned());
    }

    /// Leaves those that are in `used`; gives the bits of the others, which are free now.
    pub(crate) fn retain(&mut self, used: Flags) -> Vec<u32> {
        let mut freed = Vec::new();
        for (bit, name) in (FIRST_KEYWORD_BIT..).zip(&mut self.names) {
            if name.is_some() && !used.contains(Flags(1 << bit)) {
                *name = None;
                freed.push(bit);
            }
        }
        freed
    }

    /// Whether the account can have another keyword.
    pub fn has_room(&self) -> bool {
        self.free_bit().is_some()
    }

    pub(crate) fn free_bit(&self) -> Option<u32> {
        let at = self.names.iter().position(Option::is_none).unwrap_or(self.names.len());
        (at < MAX_KEYWORDS).then_some(at as u32 + FIRST_KEYWORD_BIT)
    }

    /// The flag of a keyword that is in the table; names are compared without regard to case.
    pub fn find(&self, name: &str) -> Option<Flags> {
        self.iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|(flag, _)| flag)
    }

    /// All keywords.
    pub fn iter(&self) -> impl Iterator<Item = (Flags, &str)> {
        (FIRST_KEYWORD_BIT..)
            .zip(&self.names)
            .filter_map(|(bit, name)| Some((Flags(1 << bit), name.as_deref()?)))
    }
}
