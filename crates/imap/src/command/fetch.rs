//! FETCH. RFC 9051 §6.4.5; RFC 3501 §6.4.5 (`RFC822…`); `CHANGEDSINCE` and `MODSEQ`: RFC 7162 §3.1.4; `BINARY`: RFC 3516.

use crate::command::PartialRange;
use crate::cursor::Cursor;
use crate::{Error, Result, SequenceSet};

/// FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The numbers are UIDs.
    pub uid: bool,
    /// The messages.
    pub set: SequenceSet,
    /// What of them. Macros are written out.
    pub items: Vec<FetchItem>,
    /// Only messages that have changed since this mod-sequence.
    pub changed_since: Option<u64>,
    /// Those of the set that were expunged since, too (RFC 7162 §3.2.6).
    pub vanished: bool,
    /// Only these places of the answer (RFC 9394 §3.4); with UID FETCH.
    pub partial: Option<PartialRange>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`: the structure without its extensions.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `UID`
    Uid,
    /// `MODSEQ`
    ModSeq,
    /// `RFC822`: as `BODY[]`.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
    /// `BODY[…]`, and `BODY.PEEK[…]` if `peek`.
    Section {
        /// Without setting `\Seen`.
        peek: bool,
        /// What of the message.
        section: Section,
        /// Which octets of it.
        partial: Option<Partial>,
    },
    /// `BINARY[…]`: a part with its transfer encoding taken off.
    Binary {
        /// Without setting `\Seen`.
        peek: bool,
        /// The part.
        part: Part,
        /// Which octets of it.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[…]`
    BinarySize(Part),
    /// `EMAILID`: RFC 8474.
    EmailId,
    /// `THREADID`: RFC 8474.
    ThreadId,
    /// `SAVEDATE`: RFC 8514.
    SaveDate,
    /// `PREVIEW`, with `lazy` only if it is at hand: RFC 8970.
    Preview {
        /// Only if it is at hand.
        lazy: bool,
    },
}

/// The number of a part: `4.2.1`; empty for the whole message.
pub type Part = Vec<u32>;

/// `<from.count>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The first octet, from 0.
    pub from: u64,
    /// At most this many, never 0.
    pub count: u64,
}

/// What stands between the brackets of `BODY[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The part.
    pub part: Part,
    /// What of the part.
    pub text: SectionText,
}

/// What of a part is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// All of it; of a message, with its header.
    All,
    /// The header of a message.
    Header,
    /// Some fields of the header of a message.
    HeaderFields {
        /// All but these.
        not: bool,
        /// Names, as the client wrote them.
        names: Vec<String>,
    },
    /// The body of a message.
    Text,
    /// The MIME header of a part.
    Mime,
}

impl FetchItem {
    /// Whether fetching it sets `\Seen`.
    pub fn sets_seen(&self) -> bool {
        match self {
            FetchItem::Section { peek, .. } | FetchItem::Binary { peek, .. } => !peek,
            FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
            _ => false,
        }
    }
}

impl<'a> Cursor<'a> {
    // fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
    pub(crate) fn fetch(&mut self, uid: bool) -> Result<Fetch> {
        use FetchItem::{Body, Envelope, Flags, InternalDate, ModSeq, Size, Uid};
        let set = self.sequence_set()?;
        self.space()?;
        let mut items = if self.peek() == Some(b'(') {
            self.list(false, Cursor::fetch_item)?
        } else if self.eat_word("ALL") {
            vec![Flags, InternalDate, Size, Envelope]
        } else if self.eat_word("FULL") {
            vec![Flags, InternalDate, Size, Envelope, Body]
        } else if self.eat_word("FAST") {
            vec![Flags, InternalDate, Size]
        } else {
            vec![self.fetch_item()?]
        };
        let mut changed_since = None;
        let mut vanished = false;
        let mut partial = None;
        if self.more() {
            self.list(false, |c| {
                if c.eat_word("CHANGEDSINCE") {
                    c.space()?;
                    changed_since = Some(c.number64()?);
                } else if c.eat_word("VANISHED") {
                    vanished = true;
                } else if c.eat_word("PARTIAL") {
                    c.space()?;
                    partial = Some(c.partial_range()?);
                } else {
                    return Err(Error::Unknown("FETCH modifier"));
                }
                Ok(())
            })?;
        }
        if vanished && !(uid && changed_since.is_some()) {
            return Err(Error::Expected("UID FETCH with CHANGEDSINCE beside VANISHED"));
        }
        if partial.is_some() && !uid {
            return Err(Error::Expected("UID FETCH with PARTIAL"));
        }
        // RFC 9051 §6.4.9: a UID command answers with UIDs. RFC 7162 §3.1.4.1: CHANGEDSINCE answers with MODSEQ.
        if uid && !items.contains(&Uid) {
            items.insert(0, Uid);
        }
        if changed_since.is_some() && !items.contains(&ModSeq) {
            items.push(ModSeq);
        }
        Ok(Fetch {
            uid,
            set,
            items,
            changed_since,
            vanished,
            partial,
        })
    }

    pub(crate) fn fetch_item(&mut self) -> Result<FetchItem> {
        let name = self.word("a FETCH item")?.to_ascii_uppercase();
        let section = self.peek() == Some(b'[');
        Ok(match (name.as_str(), section) {
            ("FLAGS", _) => FetchItem::Flags,
            ("INTERNALDATE", _) => FetchItem::InternalDate,
            ("RFC822.SIZE", _) => FetchItem::Size,
            ("ENVELOPE", _) => FetchItem::Envelope,
            ("BODYSTRUCTURE", _) => FetchItem::BodyStructure,
            ("UID", _) => FetchItem::Uid,
            ("MODSEQ", _) => FetchItem::ModSeq,
            ("RFC822", _) => FetchItem::Rfc822,
            ("RFC822.HEADER", _) => FetchItem::Rfc822Header,
            ("RFC822.TEXT", _) => FetchItem::Rfc822Text,
            ("EMAILID", _) => FetchItem::EmailId,
            ("THREADID", _) => FetchItem::ThreadId,
            ("SAVEDATE", _) => FetchItem::SaveDate,
            ("PREVIEW", _) => FetchItem::Preview {
                lazy: self.preview_modifiers()?,
            },
            ("BODY", false) => FetchItem::Body,
            ("BODY" | "BODY.PEEK", true) => FetchItem::Section {
                peek: name == "BODY.PEEK",
                section: self.section()?,
                partial: self.partial()?,
            },
            ("BINARY" | "BINARY.PEEK", true) => FetchItem::Binary {
                peek: name == "BINARY.PEEK",
                part: self.section_binary()?,
                partial: self.partial()?,
            },
            ("BINARY.SIZE", true) => FetchItem::BinarySize(self.section_binary()?),
            _ => return Err(Error::Unknown("FETCH item")),
        })
    }

    // "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]
    fn preview_modifiers(&mut self) -> Result<bool> {
        // A bracket here may also begin the FETCH's own modifiers: they follow what stands without brackets, where none of ours can.
        if !self
            .rest()
            .get(..6)
            .is_some_and(|head| head.eq_ignore_ascii_case(b" (LAZY"))
        {
            return Ok(false);
        }
        self.space()?;
        self.list(false, |c| {
            if c.eat_word("LAZY") {
                Ok(())
            } else {
                Err(Error::Unknown("PREVIEW modifier"))
            }
        })?;
        Ok(true)
    }

    // section = "[" [section-spec] "]"
    pub(crate) fn section(&mut self) -> Result<Section> {
        self.expect(b'[', "a section")?;
        let (part, dotted) = self.part()?;
        let text = if self.peek() == Some(b']') && !dotted {
            SectionText::All
        } else if !part.is_empty() && !dotted {
            return Err(Error::Expected("the end of the section"));
        } else {
            let name = self.word("the text of a section")?.to_ascii_uppercase();
            match name.as_str() {
                "HEADER" => SectionText::Header,
                "TEXT" => SectionText::Text,
                "MIME" if !part.is_empty() => SectionText::Mime,
                "HEADER.FIELDS" | "HEADER.FIELDS.NOT" => {
                    self.space()?;
                    let names = self.list(false, |c| {
                        let name = c.astring_text()?;
                        // It is repeated in the answer. One that no header can have is in none.
                        if name.chars().any(char::is_control) {
                            return Err(Error::Expected("the name of a header field"));
                        }
                        Ok(name)
                    })?;
                    SectionText::HeaderFields {
                        not: name == "HEADER.FIELDS.NOT",
                        names,
                    }
                }
                _ => return Err(Error::Unknown("section")),
            }
        };
        self.expect(b']', "the end of the section")?;
        Ok(Section { part, text })
    }

    // section-binary = "[" [section-part] "]"
    fn section_binary(&mut self) -> Result<Part> {
        self.expect(b'[', "a part")?;
        let (part, dotted) = self.part()?;
        if dotted {
            return Err(Error::Expected("the number of a part"));
        }
        self.expect(b']', "the end of the part")?;
        Ok(part)
    }

    /// Numbers with dots between them; says whether another dot stands behind the last.
    fn part(&mut self) -> Result<(Part, bool)> {
        let mut part = Vec::new();
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            part.push(self.number_nonzero()?);
            if !self.eat(b'.') {
                return Ok((part, false));
            }
        }
        let dotted = !part.is_empty();
        Ok((part, dotted))
    }

    // partial = "<" number64 "." nz-number64 ">"
    fn partial(&mut self) -> Result<Option<Partial>> {
        if !self.eat(b'<') {
            return Ok(None);
        }
        let from = self.number64()?;
        self.expect(b'.', "a partial range")?;
        let count = self.number64()?;
        self.expect(b'>', "the end of a partial range")?;
        if count == 0 {
            return Err(Error::Number);
        }
        Ok(Some(Partial { from, count }))
    }
}
