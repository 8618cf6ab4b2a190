//! APPEND. RFC 9051 §6.3.12. The message itself passes by in pieces: see [`Event::Append`](crate::Event::Append).

use crate::cursor::{Cursor, LiteralMark};
use crate::{DateTime, Flag, Limits, MailboxName, Result};

/// The head of an APPEND, up to its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The command's tag.
    pub tag: String,
    /// Where the message is to go.
    pub mailbox: MailboxName,
    /// With which flags.
    pub flags: Vec<Flag>,
    /// The internal date; now, if left out.
    pub date: Option<DateTime>,
    /// How many octets the message has.
    pub size: u64,
    /// The client waits before it sends the message.
    pub sync: bool,
    /// The message came as `literal8`.
    pub binary: bool,
}

/// `head` is a command up to (not including) the literal that `mark` announces. If that literal is the message of an APPEND,
/// gives its head. `None`: another command, or the literal is the mailbox name.
// append = "APPEND" SP mailbox SP [flag-list SP] [date-time SP] (literal / literal8)
pub(crate) fn append_head(head: &[u8], mark: LiteralMark, utf8: bool, limits: &Limits) -> Option<Result<Append>> {
    let mut cursor = Cursor::new(head, utf8, limits);
    let tag = cursor.tag().ok()?;
    if !cursor.eat_word("APPEND") || !cursor.eat(b' ') || cursor.is_end() {
        return None;
    }
    let rest = || -> Result<Append> {
        let mailbox = cursor.mailbox()?;
        cursor.space()?;
        let mut flags = Vec::new();
        if cursor.peek() == Some(b'(') {
            for flag in cursor.list(true, Cursor::append_flag)?.into_iter().flatten() {
                if !flags.contains(&flag) {
                    flags.push(flag);
                }
            }
            cursor.space()?;
        }
        let date = if cursor.peek() == Some(b'"') {
            let date = cursor.date_time()?;
            cursor.space()?;
            Some(date)
        } else {
            None
        };
        cursor.end()?;
        let LiteralMark { size, sync, binary, .. } = mark;
        Ok(Append {
            tag,
            mailbox,
            flags,
            date,
            size,
            sync,
            binary,
        })
    };
    Some(rest())
}

impl<'a> Cursor<'a> {
    /// A flag, or `\Recent`: old clients copy a message with all the flags they have read, and mean no harm.
    fn append_flag(&mut self) -> Result<Option<Flag>> {
        if self.eat_word("\\Recent") {
            Ok(None)
        } else {
            self.flag().map(Some)
        }
    }
}
