//! The tree of parts of one message, flat and in reading order.

use crate::content::{Disposition, Parameter};
use crate::envelope::Envelope;
use crate::transfer::Encoding;

/// Where the parts of a message are and what their headers say.
///
/// Parts stand in the order of their headers: the message itself is the first, a part is followed by its children. All
/// offsets count bytes from the start of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    pub(crate) parts: Vec<Part>,
}

/// What a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A body without structure.
    Leaf,
    /// A multipart or message nested too deep, or met when the number of parts was spent: a body left closed.
    Opaque,
    /// Parts between boundaries (RFC 2046 §5.1). May be without children, if no boundary came.
    Multipart,
    /// A message (`message/rfc822`, `message/global`): exactly one child, the root of the message within.
    Message,
}

/// One part: the message itself, a part of a multipart, or the root of a message within the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// First byte of the header.
    pub header_start: u64,
    /// First byte of the body, after the empty line: also the end of the header.
    pub body_start: u64,
    /// Behind the last byte of the body. The line end before a boundary belongs to the boundary.
    pub body_end: u64,
    /// Line ends in the body.
    pub lines: u64,
    /// What it is made of.
    pub kind: Kind,
    /// Top-level media type as written, such as `text`.
    pub media_type: Box<[u8]>,
    /// Media subtype as written, such as `plain`.
    pub media_subtype: Box<[u8]>,
    /// Parameters of `Content-Type`, RFC 2231 forms as written.
    pub parameters: Vec<Parameter>,
    /// `Content-Transfer-Encoding` as written; absent is `7bit`.
    pub encoding: Option<Box<[u8]>>,
    /// `Content-ID`.
    pub id: Option<Box<[u8]>>,
    /// `Content-Description`, encoded words as written.
    pub description: Option<Box<[u8]>>,
    /// `Content-MD5`.
    pub md5: Option<Box<[u8]>>,
    /// `Content-Disposition` (RFC 2183).
    pub disposition: Option<Disposition>,
    /// `Content-Language` (RFC 3282).
    pub languages: Vec<Box<[u8]>>,
    /// `Content-Location` (RFC 2557).
    pub location: Option<Box<[u8]>>,
    /// Of [`Kind::Message`]: the envelope of the message within.
    pub envelope: Option<Box<Envelope>>,
    /// Index behind the last part below this one.
    pub(crate) end: usize,
}

impl Structure {
    /// The message itself.
    pub fn root(&self) -> &Part {
        // A structure is only ever made with its root.
        &self.parts[0]
    }

    /// All parts in reading order, the message itself first.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Length of the message in bytes.
    pub fn len(&self) -> u64 {
        self.root().body_end
    }

    /// Whether the message has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same message with `n` bytes of header fields put before it: the root's header begins at 0 and is longer,
    /// everything else moves.
    #[must_use]
    pub fn shifted(mut self, n: u64) -> Structure {
        for (index, part) in self.parts.iter_mut().enumerate() {
            if index > 0 {
                part.header_start += n;
            }
            part.body_start += n;
            part.body_end += n;
        }
        self
    }

    /// Indices of the children of the part at `index`.
    pub(crate) fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.parts.get(index).map_or(0, |part| part.end);
        let mut next = index + 1;
        std::iter::from_fn(move || {
            let child = next;
            let part = self.parts.get(child).filter(|_| child < end)?;
            // A child ends behind itself, or the walk would not.
            next = part.end.max(child + 1);
            Some(child)
        })
    }
}

impl Part {
    /// Whether the media type is `kind/subtype`, in any case.
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type.as_bytes())
            && self.media_subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// Whether the media type is `text/…`.
    pub fn is_text(&self) -> bool {
        self.media_type.eq_ignore_ascii_case(b"text")
    }

    /// A parameter of the content type, RFC 2231 continuations joined, percent codes as written.
    pub fn parameter(&self, name: &str) -> Option<Box<[u8]>> {
        crate::content::parameter(&self.parameters, name)
    }

    /// How the body is encoded for transfer.
    pub fn transfer_encoding(&self) -> Encoding {
        self.encoding.as_deref().map_or(Encoding::Identity, Encoding::parse)
    }

    /// Length of the body in bytes, as encoded.
    pub fn body_len(&self) -> u64 {
        self.body_end.saturating_sub(self.body_start)
    }
}
