//! Object identifiers. RFC 8474 §7.

use crate::cursor::Cursor;
use crate::{Error, Result};

/// What an identifier is of, and the letter that it begins with, so that no two kinds can be taken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// MAILBOXID
    Mailbox,
    /// EMAILID
    Email,
    /// THREADID
    Thread,
}

impl ObjectKind {
    fn letter(self) -> char {
        match self {
            ObjectKind::Mailbox => 'F',
            ObjectKind::Email => 'M',
            ObjectKind::Thread => 'T',
        }
    }

    /// The identifier of a number: `F1b`.
    pub fn write(self, number: u64) -> String {
        format!("{}{number:x}", self.letter())
    }

    /// The number of an identifier. `None`: it was never given.
    pub fn read(self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.letter())?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        (self.write(number) == id).then_some(number)
    }
}

impl<'a> Cursor<'a> {
    // objectid = 1*255(ALPHA / DIGIT / "_" / "-")
    pub(crate) fn object_id(&mut self) -> Result<String> {
        let id = self.run(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        match std::str::from_utf8(id) {
            Ok(id) if (1..=255).contains(&id.len()) => Ok(id.to_owned()),
            _ => Err(Error::Expected("an object identifier")),
        }
    }
}
