//! Header fields (RFC 5322 §2.2): a name, a colon, a value that may be folded over several lines.
//!
//! Values stay bytes: a header may hold UTF-8 (RFC 6532), encoded words (RFC 2047) or plain rubbish.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// One field of a header, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as written, without the colon.
    pub name: &'a [u8],
    /// Everything after the colon, folds and final line end included.
    pub value: &'a [u8],
    /// The whole field as it stands in the header.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// Whether this is the field `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header in their order; lines that are no field are passed over. Ends at the empty line.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { rest: header }
}

/// Iterator of [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            if self.rest.is_empty() || is_blank(self.rest) {
                return None;
            }
            let mut end = line_end(self.rest, 0);
            while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
                end = line_end(self.rest, end);
            }
            let (raw, rest) = self.rest.split_at(end);
            self.rest = rest;
            if let Some(colon) = field_colon(raw) {
                let (name, value) = raw.split_at(colon);
                return Some(Field {
                    name: name.trim_ascii_end(),
                    value: value.get(1..).unwrap_or_default(),
                    raw,
                });
            }
        }
    }
}

/// The value of the first field of that name, unfolded.
pub fn header_field<'a>(header: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    fields(header)
        .find(|field| field.is(name))
        .map(|field| unfold(field.value))
}

/// What `BODY[HEADER.FIELDS (…)]` gives (RFC 9051 §6.4.5.1): the fields named, or with `not` all others, as they stand,
/// followed by the empty line.
pub fn header_fields(header: &[u8], names: &[&str], not: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    for field in fields(header) {
        if names.iter().any(|name| field.is(name)) != not {
            out.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Where the header of a message held in memory ends: the index of the first byte of the body.
///
/// The same rule as the [`Scanner`](crate::Scanner)'s: after the empty line, or before the first line that is no field.
pub fn header_end(message: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
        let end = line_end(rest, 0);
        let line = rest.get(..end).unwrap_or(rest);
        match LineKind::of(line, at == 0) {
            LineKind::Blank => return at + end,
            LineKind::Other => return at,
            LineKind::Field | LineKind::Continuation | LineKind::MboxFrom => at += end,
        }
    }
    message.len()
}

/// The value without folds, leading and trailing white space.
///
/// RFC 5322 §2.2.3 would only take the line end out and leave the white space that follows, often a tab or a whole indentation
/// that was never part of the text. As other IMAP servers do, one blank stands for both.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    let Some(first) = memchr(b'\n', value) else {
        return Cow::Borrowed(value);
    };
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut next = Some(first);
    while let Some(at) = next {
        let line = rest.get(..at).unwrap_or_default();
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.push(b' ');
        rest = rest.get(at + 1..).unwrap_or_default();
        let blank = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t'))
            .unwrap_or(rest.len());
        rest = rest.get(blank..).unwrap_or_default();
        next = memchr(b'\n', rest);
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Bytes of a line that decide what it is; a name or boundary longer than that is none.
pub(crate) const LINE_HEAD: usize = 1000;

/// What a line within a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    Blank,
    Field,
    Continuation,
    /// `From ` or `>From ` as mbox files leave it before the first field.
    MboxFrom,
    Other,
}

impl LineKind {
    pub(crate) fn of(line: &[u8], first: bool) -> LineKind {
        match line.first() {
            _ if is_blank(line) => LineKind::Blank,
            Some(b' ' | b'\t') => LineKind::Continuation,
            _ if first && (line.starts_with(b"From ") || line.starts_with(b">From ")) => LineKind::MboxFrom,
            _ if field_colon(line).is_some() => LineKind::Field,
            _ => LineKind::Other,
        }
    }
}

/// Where the colon stands, if this begins as a field does: printable ASCII, white space at most just before the colon.
fn field_colon(line: &[u8]) -> Option<usize> {
    let head = line.get(..LINE_HEAD).unwrap_or(line);
    let end = head.iter().position(|&byte| !matches!(byte, 33..=57 | 59..=126))?;
    if end == 0 {
        return None;
    }
    let gap = head
        .get(end..)?
        .iter()
        .position(|&byte| byte != b' ' && byte != b'\t')?;
    (head.get(end + gap) == Some(&b':')).then_some(end + gap)
}

fn is_blank(line: &[u8]) -> bool {
    line.starts_with(b"\n") || line.starts_with(b"\r\n")
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    memchr(b'\n', rest).map_or(bytes.len(), |at| from + at + 1)
}

/// Whether the value holds an encoded word (RFC 2047).
pub(crate) fn has_encoded_word(value: &[u8]) -> bool {
    memmem::find(value, b"=?").is_some()
}
