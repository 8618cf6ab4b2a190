//! Flags and keywords. RFC 9051 §2.3.2.

use std::fmt;

use crate::cursor::Cursor;
use crate::{Error, Result};

/// A flag of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
    /// A keyword, such as `$Junk`. Compared without regard to case, kept as it was first written.
    Keyword(String),
}

impl Flag {
    /// The flags of the system, with their names.
    pub const SYSTEM: [Flag; 5] = [Flag::Answered, Flag::Flagged, Flag::Deleted, Flag::Seen, Flag::Draft];

    /// The flag of this name: `\Seen`, `$Forwarded`. `\Recent` and unknown system flags are none.
    pub fn parse(name: &str) -> Option<Flag> {
        if let Some(system) = name.strip_prefix('\\') {
            return Flag::SYSTEM
                .into_iter()
                .find(|flag| flag.name().get(1..).is_some_and(|n| n.eq_ignore_ascii_case(system)));
        }
        (!name.is_empty() && name.bytes().all(crate::cursor::is_atom)).then(|| Flag::Keyword(name.to_owned()))
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Flag::Answered => "\\Answered",
            Flag::Flagged => "\\Flagged",
            Flag::Deleted => "\\Deleted",
            Flag::Seen => "\\Seen",
            Flag::Draft => "\\Draft",
            Flag::Keyword(name) => name,
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a mailbox is for. RFC 6154 §2, and `\Important` of RFC 8457.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important`
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// All of them.
    pub const ALL: [SpecialUse; 8] = [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Important,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// The use of this name, `\Sent`, in any case.
    pub fn parse(name: &str) -> Option<SpecialUse> {
        SpecialUse::ALL
            .into_iter()
            .find(|r#use| r#use.name().eq_ignore_ascii_case(name))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Important => "\\Important",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }
}

impl<'a> Cursor<'a> {
    // flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension
    pub(crate) fn flag(&mut self) -> Result<Flag> {
        if !self.eat(b'\\') {
            return Ok(Flag::Keyword(self.atom("a flag")?.to_owned()));
        }
        let name = self.atom("a flag")?;
        Flag::parse(&format!("\\{name}")).ok_or(Error::Unknown("flag"))
    }

    pub(crate) fn special_use(&mut self) -> Result<SpecialUse> {
        self.expect(b'\\', "a special use")?;
        let name = self.atom("a special use")?;
        SpecialUse::parse(&format!("\\{name}")).ok_or(Error::Unknown("special use"))
    }
}
