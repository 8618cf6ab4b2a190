//! What a part's header says of it: `Content-*` fields (RFC 2045 §5–8, RFC 2183, RFC 2231), read generously.

use crate::header::{fields, unfold};
use crate::limits::Limits;

/// A parameter `name=value` of a MIME field. The value is without its quotes; RFC 2231 forms stay as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name as written.
    pub name: Box<[u8]>,
    /// The value, quotes and backslashes removed.
    pub value: Box<[u8]>,
}

/// `Content-Disposition` (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// `attachment`, `inline` or another token, as written.
    pub kind: Box<[u8]>,
    /// Parameters such as `filename`.
    pub parameters: Vec<Parameter>,
}

/// Media type and subtype.
type Media = (Box<[u8]>, Box<[u8]>);

/// The `Content-*` fields of one header.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub media: Option<Media>,
    pub parameters: Vec<Parameter>,
    /// A `Content-Type` field was there, readable or not.
    pub typed: bool,
    pub encoding: Option<Box<[u8]>>,
    pub id: Option<Box<[u8]>>,
    pub description: Option<Box<[u8]>>,
    pub md5: Option<Box<[u8]>>,
    pub disposition: Option<Disposition>,
    pub languages: Vec<Box<[u8]>>,
    pub location: Option<Box<[u8]>>,
}

impl Content {
    /// Reads a header. Where a field comes twice, the first counts.
    pub fn parse(header: &[u8], limits: &Limits) -> Content {
        let mut content = Content::default();
        for field in fields(header) {
            let Some(name) = field.name.get(8..).filter(|_| field.name.len() <= 25) else {
                continue;
            };
            if !field
                .name
                .get(..8)
                .is_some_and(|head| head.eq_ignore_ascii_case(b"content-"))
            {
                continue;
            }
            let value = unfold(field.value);
            let keep = |slot: &mut Option<Box<[u8]>>| {
                if slot.is_none() {
                    *slot = Some(Box::from(&*value));
                }
            };
            if name.eq_ignore_ascii_case(b"type") {
                if !content.typed {
                    content.typed = true;
                    let mut reader = Reader { bytes: &value };
                    content.media = reader.media();
                    if content.media.is_some() {
                        content.parameters = reader.parameters(limits.parameters);
                    }
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                let token = Reader { bytes: &value }.token();
                if content.encoding.is_none() && !token.is_empty() {
                    content.encoding = Some(Box::from(token));
                }
            } else if name.eq_ignore_ascii_case(b"id") {
                keep(&mut content.id);
            } else if name.eq_ignore_ascii_case(b"description") {
                keep(&mut content.description);
            } else if name.eq_ignore_ascii_case(b"md5") {
                keep(&mut content.md5);
            } else if name.eq_ignore_ascii_case(b"location") {
                keep(&mut content.location);
            } else if name.eq_ignore_ascii_case(b"language") && content.languages.is_empty() {
                content.languages = Reader { bytes: &value }.languages(limits.parameters);
            } else if name.eq_ignore_ascii_case(b"disposition") && content.disposition.is_none() {
                let mut reader = Reader { bytes: &value };
                let kind = reader.token();
                if !kind.is_empty() {
                    let kind = Box::from(kind);
                    content.disposition = Some(Disposition {
                        kind,
                        parameters: reader.parameters(limits.parameters),
                    });
                }
            }
        }
        content
    }

    /// Bytes kept, roughly, with what they cost to hold.
    pub fn weight(&self) -> usize {
        let parameters = |list: &[Parameter]| list.iter().map(|p| p.name.len() + p.value.len() + 32).sum::<usize>();
        let value = |slot: &Option<Box<[u8]>>| slot.as_ref().map_or(0, |value| value.len());
        self.media.as_ref().map_or(0, |(a, b)| a.len() + b.len())
            + parameters(&self.parameters)
            + self
                .disposition
                .as_ref()
                .map_or(0, |d| d.kind.len() + parameters(&d.parameters))
            + value(&self.encoding)
            + value(&self.id)
            + value(&self.description)
            + value(&self.md5)
            + value(&self.location)
            + self.languages.iter().map(|language| language.len() + 16).sum::<usize>()
    }
}

/// A parameter by name; if only continuations are there (`name*0`, `name*1*`, RFC 2231 §3), these joined.
pub(crate) fn parameter(parameters: &[Parameter], name: &str) -> Option<Box<[u8]>> {
    let plain = parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes()));
    if let Some(plain) = plain {
        return Some(plain.value.clone());
    }
    let mut joined = Vec::new();
    let mut found = false;
    for section in 0..parameters.len() {
        let wanted = format!("{name}*{section}");
        let part = parameters.iter().find(|p| {
            let bare = p.name.strip_suffix(b"*").unwrap_or(&p.name);
            bare.eq_ignore_ascii_case(wanted.as_bytes())
        });
        let Some(part) = part else { break };
        found = true;
        joined.extend_from_slice(&part.value);
    }
    if found {
        return Some(joined.into_boxed_slice());
    }
    let wanted = format!("{name}*");
    parameters
        .iter()
        .find(|p| p.name.eq_ignore_ascii_case(wanted.as_bytes()))
        .map(|p| p.value.clone())
}

/// A cursor over an unfolded structured value.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn media(&mut self) -> Option<Media> {
        let media_type = self.token();
        self.blank();
        if media_type.is_empty() || !self.take(b'/') {
            return None;
        }
        let subtype = self.token();
        (!subtype.is_empty()).then(|| (Box::from(media_type), Box::from(subtype)))
    }

    /// Everything up to the next semicolon is passed over, then parameters are read as long as there are any.
    fn parameters(&mut self, most: usize) -> Vec<Parameter> {
        let mut list = Vec::new();
        while list.len() < most && self.skip_past_semicolon() {
            self.blank();
            let name = self.take_while(|byte| !matches!(byte, b'=' | b';' | b' ' | b'\t' | b'"'));
            self.blank();
            if name.is_empty() || !self.take(b'=') {
                continue;
            }
            self.blank();
            let value = if self.bytes.first() == Some(&b'"') {
                self.quoted()
            } else {
                self.bare_value()
            };
            list.push(Parameter {
                name: Box::from(name),
                value,
            });
        }
        list
    }

    fn languages(&mut self, most: usize) -> Vec<Box<[u8]>> {
        let mut list = Vec::new();
        while list.len() < most {
            let tag = self.token();
            if !tag.is_empty() {
                list.push(Box::from(tag));
            }
            self.blank();
            if self.take(b',') {
                continue;
            }
            if self.bytes.is_empty() || tag.is_empty() {
                break;
            }
        }
        list
    }

    /// RFC 2045 §5.1 token, after blanks and comments.
    fn token(&mut self) -> &'a [u8] {
        self.blank();
        self.take_while(|byte| !matches!(byte, 0..=32 | 127) && !b"()<>@,;:\\\"/[]?=".contains(&byte))
    }

    fn quoted(&mut self) -> Box<[u8]> {
        let mut value = Vec::new();
        let mut at = 1;
        while let Some(&byte) = self.bytes.get(at) {
            at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    value.extend(self.bytes.get(at));
                    at += 1;
                }
                byte => value.push(byte),
            }
        }
        self.bytes = self.bytes.get(at..).unwrap_or_default();
        value.into_boxed_slice()
    }

    /// A value without quotes: to the next semicolon, because programs forget the quotes around names with blanks; a comment
    /// after white space does not belong to it.
    fn bare_value(&mut self) -> Box<[u8]> {
        let mut before = 0u8;
        let value = self.take_while(|byte| {
            let inside = byte != b';' && !(byte == b'(' && matches!(before, b' ' | b'\t' | 0));
            before = byte;
            inside
        });
        Box::from(value.trim_ascii())
    }

    fn skip_past_semicolon(&mut self) -> bool {
        loop {
            self.blank();
            match self.bytes.first() {
                None => return false,
                Some(b';') => {
                    self.take(b';');
                    return true;
                }
                Some(b'"') => {
                    self.quoted();
                }
                Some(_) => self.bytes = self.bytes.get(1..).unwrap_or_default(),
            }
        }
    }

    /// White space and comments, nested ones too (RFC 5322 §3.2.2).
    fn blank(&mut self) {
        self.bytes = skip_blank(self.bytes);
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.bytes.split_first() {
            Some((&first, rest)) if first == byte => {
                self.bytes = rest;
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, mut inside: impl FnMut(u8) -> bool) -> &'a [u8] {
        let end = self
            .bytes
            .iter()
            .position(|&byte| !inside(byte))
            .unwrap_or(self.bytes.len());
        let (head, rest) = self.bytes.split_at(end);
        self.bytes = rest;
        head
    }
}

/// Passes over white space and comments. A comment that never closes runs to the end.
pub(crate) fn skip_blank(bytes: &[u8]) -> &[u8] {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => at += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if depth > 0 => {}
            _ => break,
        }
        at += 1;
    }
    bytes.get(at..).unwrap_or_default()
}
