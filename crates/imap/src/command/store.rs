//! STORE. RFC 9051 §6.4.6; `UNCHANGEDSINCE`: RFC 7162 §3.1.3.

use crate::cursor::Cursor;
use crate::{Error, Flag, Result, SequenceSet};

/// A change of flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The numbers are UIDs.
    pub uid: bool,
    /// The messages.
    pub set: SequenceSet,
    /// What to do with the flags.
    pub action: StoreAction,
    /// The client doesn't want to be told the new flags.
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
    /// Only messages that have not changed since this mod-sequence.
    pub unchanged_since: Option<u64>,
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`: these and no others.
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

impl<'a> Cursor<'a> {
    // store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
    // store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    pub(crate) fn store(&mut self, uid: bool) -> Result<Store> {
        let set = self.sequence_set()?;
        self.space()?;
        let mut unchanged_since = None;
        if self.peek() == Some(b'(') {
            for value in self.list(false, |c| {
                if !c.eat_word("UNCHANGEDSINCE") {
                    return Err(Error::Unknown("STORE modifier"));
                }
                c.space()?;
                c.number64()
            })? {
                unchanged_since = Some(value);
            }
            self.space()?;
        }
        let action = if self.eat(b'+') {
            StoreAction::Add
        } else if self.eat(b'-') {
            StoreAction::Remove
        } else {
            StoreAction::Replace
        };
        let silent = match self.word("FLAGS")?.to_ascii_uppercase().as_str() {
            "FLAGS" => false,
            "FLAGS.SILENT" => true,
            _ => return Err(Error::Expected("FLAGS")),
        };
        self.space()?;
        let flags = if self.peek() == Some(b'(') {
            self.list(true, Cursor::flag)?
        } else {
            let mut flags = vec![self.flag()?];
            while self.more() {
                flags.push(self.flag()?);
            }
            flags
        };
        Ok(Store {
            uid,
            set,
            action,
            silent,
            flags,
            unchanged_since,
        })
    }
}
