//! Sections of a message by part number (RFC 9051 §6.4.5.1).

use std::ops::Range;

use crate::structure::{Kind, Part, Structure};

/// What is wanted of the part that a section path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionText {
    /// `BODY[]` of the message, `BODY[1.2]` of a part: its body, encoded as it is.
    Whole,
    /// `HEADER`: the header of the message, or of the message within the part. With the empty line.
    Header,
    /// `TEXT`: the body of the message, or of the message within the part.
    Text,
    /// `MIME`: the part's own header. Only with a path. With the empty line.
    Mime,
}

impl Structure {
    /// Where a section stands, or `None` where the message has no such section.
    ///
    /// The path counts parts from 1; it is empty for the message itself. Part 1 of a message that is no multipart is its
    /// body.
    pub fn locate(&self, path: &[u32], text: SectionText) -> Option<Range<u64>> {
        if path.is_empty() {
            let root = self.root();
            return match text {
                SectionText::Whole => Some(root.header_start..root.body_end),
                SectionText::Header => Some(root.header_range()),
                SectionText::Text => Some(root.body_range()),
                SectionText::Mime => None,
            };
        }
        let index = self.index_of(path)?;
        let part = self.parts.get(index)?;
        match text {
            SectionText::Whole => Some(part.body_range()),
            SectionText::Mime => Some(part.header_range()),
            SectionText::Header => self.message_within(index).map(Part::header_range),
            SectionText::Text => self.message_within(index).map(Part::body_range),
        }
    }

    /// The part that a path names, or `None` where there is none. The empty path names the message.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        self.parts.get(self.index_of(path)?)
    }

    fn index_of(&self, path: &[u32]) -> Option<usize> {
        let mut index = 0;
        // The root of a message stands for its part 1 unless it is a multipart; once so named it is a part.
        let mut as_message = true;
        for &number in path {
            let nth = (number as usize).checked_sub(1)?;
            let mut holder = index;
            if !as_message && self.parts.get(index)?.kind == Kind::Message {
                holder = index + 1;
                as_message = true;
            }
            let part = self.parts.get(holder)?;
            index = if part.kind == Kind::Multipart {
                self.children(holder).nth(nth)?
            } else if as_message && nth == 0 {
                holder
            } else {
                return None;
            };
            as_message = false;
        }
        Some(index)
    }

    fn message_within(&self, index: usize) -> Option<&Part> {
        (self.parts.get(index)?.kind == Kind::Message).then(|| self.parts.get(index + 1))?
    }
}

impl Part {
    /// The header, with its empty line.
    pub fn header_range(&self) -> Range<u64> {
        self.header_start..self.body_start
    }

    /// The body, as encoded.
    pub fn body_range(&self) -> Range<u64> {
        self.body_start..self.body_end
    }
}
