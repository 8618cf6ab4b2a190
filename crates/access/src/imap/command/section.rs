//! Where the octets of a section are. RFC 9051 §6.4.5.1; RFC 3516 for decoded parts.

use crate::imap::decode::Decoder;
use imap::command::{Partial, Section, SectionText};
use mime::{Encoding, Structure};
use std::ops::Range;
use std::sync::OnceLock;
use store::{Account, Content, Error, Result};

/// Octets that are read, and held, at a time.
pub(super) const PIECE: u64 = 256 * 1024;

/// The octets of a section.
pub(super) enum Octets {
    /// There is no such section.
    Nil,
    /// They are here.
    Here(Vec<u8>),
    /// They stand in the message as they are.
    There(Range<u64>),
    /// They come out of an encoded part: these of the decoded ones.
    Encoded {
        part: Range<u64>,
        encoding: Encoding,
        decoded: Range<u64>,
        nul: bool,
    },
    /// The part's transfer encoding is not known.
    Unknown,
}

/// A message that is read.
pub(super) struct Reading<'a> {
    pub(super) account: &'a Account,
    pub(super) content: &'a Content,
    header_limit: u64,
    structure: OnceLock<Structure>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(account: &'a Account, content: &'a Content, header_limit: u64) -> Reading<'a> {
        Reading {
            account,
            content,
            header_limit,
            structure: OnceLock::new(),
        }
    }

    /// The structure of the message as it is served. One that cannot be read any more is made anew.
    pub(super) fn structure(&self) -> Result<&Structure> {
        if let Some(structure) = self.structure.get() {
            return Ok(structure);
        }
        let structure = match Structure::decode(&self.content.digest.structure) {
            Ok(structure) => structure.shifted(self.content.prefix.len() as u64),
            Err(_) => {
                let mut scanner = mime::Scanner::new(mime::Limits::default());
                let mut at = 0;
                while at < self.content.len() {
                    let piece = self.octets(at..at + PIECE)?;
                    at += piece.len() as u64;
                    scanner.push(&piece);
                }
                scanner.finish()
            }
        };
        Ok(self.structure.get_or_init(|| structure))
    }

    /// Octets of the message.
    pub(super) fn octets(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let range = range.start..range.end.min(self.content.len());
        let expected = range.end.saturating_sub(range.start);
        let octets = self.account.content_range(self.content, range)?;
        // A message shorter than its row says.
        if octets.len() as u64 == expected {
            Ok(octets)
        } else {
            Err(Error::Blobs(blobs::Error::NotFound(self.content.blob)))
        }
    }

    /// The first words of the message, where they were not worked out when it came.
    pub(super) fn preview(&self) -> Result<String> {
        let start = self.octets(0..PIECE)?;
        Ok(mime::preview(&start, self.structure()?))
    }

    /// The same, added to what is in `out` already.
    pub(super) fn octets_into(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let range = range.start..range.end.min(self.content.len());
        let expected = range.end.saturating_sub(range.start);
        let before = out.len();
        self.account.content_range_into(self.content, range, out)?;
        if (out.len() - before) as u64 == expected {
            Ok(())
        } else {
            Err(Error::Blobs(blobs::Error::NotFound(self.content.blob)))
        }
    }

    /// The octets of `BODY[…]`.
    pub(super) fn section(&self, section: &Section, partial: Option<Partial>) -> Result<Octets> {
        let text = match &section.text {
            SectionText::All if section.part.is_empty() => {
                return Ok(Octets::There(cut(0..self.content.len(), partial)));
            }
            SectionText::All => mime::SectionText::Whole,
            SectionText::Header | SectionText::HeaderFields { .. } => mime::SectionText::Header,
            SectionText::Text => mime::SectionText::Text,
            SectionText::Mime => mime::SectionText::Mime,
        };
        let Some(range) = self.structure()?.locate(&section.part, text) else {
            return Ok(Octets::Nil);
        };
        let SectionText::HeaderFields { not, names } = &section.text else {
            return Ok(Octets::There(cut(range, partial)));
        };
        let header = self.octets(range.start..range.end.min(range.start + self.header_limit))?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut fields = mime::header_fields(&header, &names, *not);
        if partial.is_some() {
            let range = cut(0..fields.len() as u64, partial);
            fields.truncate(usize::try_from(range.end).unwrap_or(usize::MAX));
            fields.drain(..usize::try_from(range.start).unwrap_or(usize::MAX).min(fields.len()));
        }
        Ok(Octets::Here(fields))
    }

    /// The octets of `BINARY[…]`.
    pub(super) fn binary(&self, path: &[u32], partial: Option<Partial>) -> Result<Octets> {
        if path.is_empty() {
            return Ok(Octets::There(cut(0..self.content.len(), partial)));
        }
        let Some(part) = self.structure()?.part(path) else {
            return Ok(Octets::Nil);
        };
        let encoding = part.transfer_encoding();
        let range = part.body_range();
        match encoding {
            _ if part.kind != mime::Kind::Leaf => Ok(Octets::There(cut(range, partial))),
            Encoding::Unknown => Ok(Octets::Unknown),
            Encoding::Identity => Ok(Octets::There(cut(range, partial))),
            encoding => {
                let (mut len, mut nul) = (0u64, false);
                self.decoded(range.clone(), encoding, |piece| {
                    len += piece.len() as u64;
                    nul |= piece.contains(&0);
                })?;
                Ok(Octets::Encoded {
                    part: range,
                    encoding,
                    decoded: cut(0..len, partial),
                    nul,
                })
            }
        }
    }

    /// How many octets `BINARY[…]` has in all.
    pub(super) fn binary_size(&self, path: &[u32]) -> Result<Option<u64>> {
        Ok(match self.binary(path, None)? {
            Octets::There(range) | Octets::Encoded { decoded: range, .. } => Some(range.end - range.start),
            Octets::Here(octets) => Some(octets.len() as u64),
            Octets::Nil => Some(0),
            Octets::Unknown => None,
        })
    }

    fn decoded(&self, part: Range<u64>, encoding: Encoding, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut decoder = Decoder::new(encoding);
        let mut at = part.start;
        while at < part.end {
            let piece = self.octets(at..part.end.min(at + PIECE))?;
            at += piece.len() as u64;
            each(&decoder.push(&piece));
        }
        each(&decoder.finish());
        Ok(())
    }
}

/// A range with `<from.count>` applied; from behind its end it is empty.
fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(Partial { from, count }) = partial else {
        return range;
    };
    let start = range.start.saturating_add(from).min(range.end);
    start..start.saturating_add(count).min(range.end)
}
