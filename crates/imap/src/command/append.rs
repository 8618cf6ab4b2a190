//! APPEND with all that came to it: RFC 9051 §6.3.12, MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), UTF8 (RFC 6855 §4), and REPLACE
//! (RFC 8508). Messages pass by in pieces: see [`Event::Append`](crate::Event::Append).
//!
//! What stands between two literals of messages is a segment: it is read with the knowledge of where the one before has ended.

use crate::cursor::{Cursor, LiteralMark};
use crate::{Bound, DateTime, Error, Flag, Limits, MailboxName, Result};

/// The head of a message in an APPEND or REPLACE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The command's tag.
    pub tag: String,
    /// Where the message is to go.
    pub mailbox: MailboxName,
    /// The message in the selected mailbox whose place it takes (RFC 8508).
    pub replace: Option<Replace>,
    /// With which flags.
    pub flags: Vec<Flag>,
    /// The internal date; now, if left out.
    pub date: Option<DateTime>,
    /// The message comes in parts, none of which is here yet: [`Event::Part`](crate::Event::Part) and [`Event::Url`](crate::Event::Url)
    /// follow (RFC 4469).
    pub catenate: bool,
    /// How many octets the message has; 0 with `catenate`.
    pub size: u64,
    /// The client waits before it sends the message.
    pub sync: bool,
    /// The message came as `literal8`.
    pub binary: bool,
    /// The message came as `UTF8 (…)`: its header is UTF-8 (RFC 6855).
    pub utf8: bool,
}

/// Which message is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replace {
    /// The number is a UID.
    pub uid: bool,
    /// The message.
    pub message: Bound,
}

/// A literal in a CATENATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendPart {
    /// How many octets.
    pub size: u64,
    /// The client waits before it sends them.
    pub sync: bool,
    /// The part came as `UTF8 (…)`.
    pub utf8: bool,
}

/// What a segment means, in its order.
#[derive(Debug)]
pub(crate) enum Piece {
    Message(Append),
    Part(AppendPart),
    Url(String),
}

/// What a segment comes to.
pub(crate) enum Segment {
    /// These pieces; the literal at the end belongs to the last of them.
    Pieces(Vec<Piece>),
    /// These pieces, and the command is complete.
    Complete(Vec<Piece>),
    /// The literal at the end is an argument (a mailbox, a URL): read on and ask again.
    Argument,
}

/// Where in the command a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Options,
    CatenatePart,
    CatenateNext,
    Utf8 { catenate: bool },
    Next,
}

/// An APPEND or REPLACE that is being read.
#[derive(Debug, Clone)]
pub(crate) struct Appending {
    tag: String,
    mailbox: MailboxName,
    replace: Option<Replace>,
    stage: Stage,
    count: usize,
}

/// Reads the first segment: a command up to (not including) the literal that `mark` announces. `None`: another command, or one whose
/// mailbox is still to come.
// append = "APPEND" SP mailbox 1*append-message; replace = ["UID" SP] "REPLACE" SP seq-number SP mailbox append-message
pub(crate) fn append_begin(
    head: &[u8],
    mark: Option<LiteralMark>,
    utf8: bool,
    limits: &Limits,
) -> Option<Result<(Segment, Appending)>> {
    let mut cursor = Cursor::new(head, utf8, limits);
    let tag = cursor.tag().ok()?;
    let uid = cursor.eat_word("UID");
    if uid && !cursor.eat(b' ') {
        return None;
    }
    let replace = cursor.eat_word("REPLACE");
    if !(replace || (!uid && cursor.eat_word("APPEND"))) || !cursor.eat(b' ') {
        return None;
    }
    let mut number = || -> Result<Option<Replace>> {
        if !replace {
            return Ok(None);
        }
        let message = cursor.bound()?;
        cursor.space()?;
        Ok(Some(Replace { uid, message }))
    };
    let replace = match number() {
        Ok(replace) => replace,
        Err(error) => return Some(Err(error)),
    };
    if cursor.is_end() {
        return None;
    }
    let rest = || -> Result<(Segment, Appending)> {
        let mailbox = cursor.mailbox()?;
        cursor.space()?;
        let mut appending = Appending {
            tag,
            mailbox,
            replace,
            stage: Stage::Options,
            count: 0,
        };
        let segment = appending.read(&mut cursor, mark)?;
        Ok((segment, appending))
    };
    Some(rest())
}

impl Appending {
    /// Reads a segment behind a literal.
    pub(crate) fn segment(
        &mut self,
        segment: &[u8],
        mark: Option<LiteralMark>,
        utf8: bool,
        limits: &Limits,
    ) -> Result<Segment> {
        self.read(&mut Cursor::new(segment, utf8, limits), mark)
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    fn read(&mut self, cursor: &mut Cursor<'_>, mark: Option<LiteralMark>) -> Result<Segment> {
        let mut pieces = Vec::new();
        let mut stage = self.stage;
        let begin = stage;
        loop {
            if pieces.len() + self.count > cursor.limits.append_parts {
                return Err(Error::TooMany("messages and parts in one command"));
            }
            let here = if cursor.is_end() { mark } else { None };
            match stage {
                Stage::Next => {
                    if cursor.is_end() && mark.is_none() {
                        return Ok(Segment::Complete(pieces));
                    }
                    if self.replace.is_some() {
                        return Err(Error::OneMessage);
                    }
                    cursor.space()?;
                    stage = Stage::Options;
                }
                Stage::Options => {
                    let (literal, next) = self.message(cursor, mark, &mut pieces)?;
                    stage = next;
                    if literal {
                        break;
                    }
                }
                // cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")"
                Stage::CatenatePart => {
                    if cursor.eat_word("URL") {
                        cursor.space()?;
                        if cursor.is_end() && mark.is_some() {
                            self.stage = begin;
                            return Ok(Segment::Argument);
                        }
                        pieces.push(Piece::Url(cursor.astring_text()?));
                        stage = Stage::CatenateNext;
                        continue;
                    }
                    let utf8 = !cursor.eat_word("TEXT");
                    if utf8 && !cursor.eat_word("UTF8") {
                        return Err(Error::Expected("TEXT or URL"));
                    }
                    cursor.space()?;
                    if utf8 {
                        cursor.open()?;
                    }
                    let here = if cursor.is_end() { mark } else { here };
                    let mark = here.ok_or(Error::Expected("a part as literal"))?;
                    pieces.push(Piece::Part(AppendPart {
                        size: mark.size,
                        sync: mark.sync,
                        utf8,
                    }));
                    stage = if utf8 {
                        Stage::Utf8 { catenate: true }
                    } else {
                        Stage::CatenateNext
                    };
                    break;
                }
                Stage::CatenateNext => {
                    stage = if cursor.eat(b')') {
                        Stage::Next
                    } else {
                        cursor.space()?;
                        Stage::CatenatePart
                    };
                }
                Stage::Utf8 { catenate } => {
                    cursor.expect(b')', "a closing bracket")?;
                    stage = if catenate { Stage::CatenateNext } else { Stage::Next };
                }
            }
        }
        self.stage = stage;
        self.count += pieces.len();
        Ok(Segment::Pieces(pieces))
    }

    /// The options of a message up to its literal (then true), or to the first part of it.
    // append-message = [SP flag-list] [SP date-time] SP append-data
    // append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" / "CATENATE" SP "(" cat-part *(SP cat-part) ")"
    fn message(
        &self,
        cursor: &mut Cursor<'_>,
        mark: Option<LiteralMark>,
        pieces: &mut Vec<Piece>,
    ) -> Result<(bool, Stage)> {
        let mut flags = Vec::new();
        if cursor.peek() == Some(b'(') {
            for flag in cursor.list(true, Cursor::append_flag)?.into_iter().flatten() {
                if !flags.contains(&flag) {
                    flags.push(flag);
                }
            }
            cursor.space()?;
        }
        let mut date = None;
        if cursor.peek() == Some(b'"') {
            date = Some(cursor.date_time()?);
            cursor.space()?;
        }
        let mut message = Append {
            tag: self.tag.clone(),
            mailbox: self.mailbox.clone(),
            replace: self.replace,
            flags,
            date,
            catenate: false,
            size: 0,
            sync: false,
            binary: false,
            utf8: false,
        };
        if cursor.eat_word("CATENATE") {
            cursor.space()?;
            cursor.open()?;
            message.catenate = true;
            pieces.push(Piece::Message(message));
            return Ok((false, Stage::CatenatePart));
        }
        if cursor.eat_word("UTF8") {
            cursor.space()?;
            cursor.open()?;
            message.utf8 = true;
        }
        if !cursor.is_end() {
            return Err(Error::Expected("a message as literal"));
        }
        let mark = mark.ok_or(Error::Expected("a message as literal"))?;
        (message.size, message.sync, message.binary) = (mark.size, mark.sync, mark.binary);
        let stage = if message.utf8 {
            Stage::Utf8 { catenate: false }
        } else {
            Stage::Next
        };
        pieces.push(Piece::Message(message));
        Ok((true, stage))
    }
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
