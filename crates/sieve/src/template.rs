//! Strings with variables (RFC 5229 §3) and encoded characters (RFC 5228 §2.4.2.4).

use std::borrow::Cow;

use crate::build::Builder;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::lexer::shorten;
use crate::run::Run;

/// A string of a script.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    Fixed(Box<str>),
    Pieces(Box<[Piece]>),
}

#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(Box<str>),
    Variable(Variable),
    Match(usize),
    /// `${env.name}` (vnd.dovecot.environment).
    Environment(Box<str>),
}

#[derive(Debug, Clone)]
pub(crate) enum Variable {
    Own(usize),
    Global(Box<str>),
}

impl Template {
    pub fn fixed(&self) -> Option<&str> {
        match self {
            Template::Fixed(text) => Some(text),
            Template::Pieces(_) => None,
        }
    }

    pub fn render<'t>(&'t self, run: &Run<'_>) -> Cow<'t, str> {
        let pieces = match self {
            Template::Fixed(text) => return Cow::Borrowed(text),
            Template::Pieces(pieces) => pieces,
        };
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(variable) => out.push_str(run.variable(variable)),
                Piece::Match(number) => out.push_str(run.capture(*number)),
                Piece::Environment(name) => {
                    if let Some(value) = run.world.environment_variable(name) {
                        out.push_str(&value);
                    }
                }
            }
            if out.len() > run.limits.string_bytes {
                cut(&mut out, run.limits.string_bytes);
                break;
            }
        }
        Cow::Owned(out)
    }
}

/// Cuts a string to at most `most` octets, at a character.
pub(crate) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

impl Builder<'_> {
    /// A string as it is meant: encoded characters resolved, variables found.
    pub fn template(&mut self, value: &str, position: Position) -> Result<Template> {
        let value = self.decoded(value, position)?;
        if !self.has("variables") || !value.contains("${") {
            return Ok(Template::Fixed(value.into()));
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest: &str = &value;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            let inside = from.get(2..).unwrap_or_default();
            let reference = inside
                .find('}')
                .and_then(|end| inside.get(..end))
                .filter(|name| is_reference(name));
            let Some(name) = reference else {
                text.push_str("${");
                rest = inside;
                continue;
            };
            let piece = self.reference(name, position)?;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            pieces.push(piece);
            rest = inside.get(name.len() + 1..).unwrap_or_default();
        }
        text.push_str(rest);
        if pieces.is_empty() {
            return Ok(Template::Fixed(text.into()));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        Ok(Template::Pieces(pieces.into()))
    }

    /// A string in which nothing may be put at run time.
    pub fn constant(&mut self, value: &str, position: Position, what: &str) -> Result<String> {
        match self.template(value, position)? {
            Template::Fixed(text) => Ok(text.into()),
            Template::Pieces(_) => Err(Error::new(
                ErrorKind::Argument,
                position,
                format!("{what} must be known before the script runs: it cannot hold variables"),
            )),
        }
    }

    fn reference(&mut self, name: &str, position: Position) -> Result<Piece> {
        if name.bytes().all(|b| b.is_ascii_digit()) {
            let number = name.parse().ok().filter(|n| *n <= self.options.limits.captures);
            return number.map(Piece::Match).ok_or_else(|| {
                Error::new(
                    ErrorKind::Limit,
                    position,
                    format!(
                        "${{{name}}}: match variables go up to {} (limit captures)",
                        self.options.limits.captures
                    ),
                )
            });
        }
        let lower = name.to_ascii_lowercase();
        if let Some(item) = lower.strip_prefix("env.") {
            self.need("vnd.dovecot.environment", position, "the namespace env.")?;
            return Ok(Piece::Environment(item.into()));
        }
        match lower.rsplit_once('.') {
            None => Ok(Piece::Variable(self.variable(&lower, position)?)),
            Some(("global", own)) => {
                self.need("include", position, "the namespace global.")?;
                Ok(Piece::Variable(Variable::Global(own.into())))
            }
            Some((space, _)) => Err(Error::new(
                ErrorKind::Unknown,
                position,
                format!("the variable ${{{name}}} is in the namespace \"{space}\", which is not known"),
            )
            .hint("write a variable without a dot, or global.NAME with include")),
        }
    }

    fn decoded<'t>(&self, value: &'t str, position: Position) -> Result<Cow<'t, str>> {
        if !self.has("encoded-character") || !value.contains("${") {
            return Ok(Cow::Borrowed(value));
        }
        let mut out: Vec<u8> = Vec::with_capacity(value.len());
        let mut rest = value;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            out.extend_from_slice(before.as_bytes());
            let inside = from.get(2..).unwrap_or_default();
            let end = inside.find('}');
            let content = end.and_then(|end| inside.get(..end)).unwrap_or_default();
            let decoded = match content.split_once(':') {
                Some((kind, digits)) if kind.eq_ignore_ascii_case("hex") => hex(digits),
                Some((kind, digits)) if kind.eq_ignore_ascii_case("unicode") => unicode(digits, position)?,
                _ => None,
            };
            match decoded {
                Some(bytes) => {
                    out.extend_from_slice(&bytes);
                    rest = inside.get(content.len() + 1..).unwrap_or_default();
                }
                None => {
                    out.extend_from_slice(b"${");
                    rest = inside;
                }
            }
        }
        out.extend_from_slice(rest.as_bytes());
        String::from_utf8(out).map(Cow::Owned).map_err(|_| {
            Error::new(
                ErrorKind::Argument,
                position,
                format!("the octets in \"{}\" are no UTF-8", shorten(value)),
            )
            .hint("use ${unicode: …} for characters")
        })
    }
}

// encoded-arb-octets = "${hex:" *(blank) 1*2HEXDIG *(1*blank 1*2HEXDIG) *blank "}"
fn hex(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for pair in digits.split_ascii_whitespace() {
        if pair.len() > 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
    }
    (!bytes.is_empty()).then_some(bytes)
}

// encoded-unicode-char: values that are no character are an error (RFC 5228 §2.4.2.4).
fn unicode(digits: &str, position: Position) -> Result<Option<Vec<u8>>> {
    let mut text = String::new();
    for word in digits.split_ascii_whitespace() {
        if !word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let stripped = word.trim_start_matches('0');
        let code = if stripped.is_empty() {
            Ok(0)
        } else {
            u32::from_str_radix(stripped, 16)
        };
        let Some(c) = code.ok().and_then(char::from_u32) else {
            return Err(Error::new(
                ErrorKind::Argument,
                position,
                format!("${{unicode: {word}}} is no character"),
            )
            .hint("Unicode ends at 10FFFF and leaves out D800 to DFFF"));
        };
        text.push(c);
    }
    Ok((!text.is_empty()).then(|| text.into_bytes()))
}

fn is_reference(name: &str) -> bool {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    let mut words = name.split('.').enumerate();
    words
        .all(|(n, word)| is_identifier(word) || (n > 0 && !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())))
}

/// Whether it can be the name of a variable.
pub(crate) fn is_identifier(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
