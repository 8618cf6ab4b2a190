//! The words that all commands are made of: atoms, strings, numbers. RFC 9051 §4 and §9.

use std::borrow::Cow;

use crate::{Error, Limits, Result};

/// A place in a complete command, its literals included.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
    /// Mailbox names come in UTF-8, not in modified UTF-7.
    pub(crate) utf8: bool,
    pub(crate) limits: &'a Limits,
    /// A search whose result is to be kept (RFC 5182) was read so far.
    pub(crate) saves: bool,
    /// The command has said what charset its texts are in.
    pub(crate) charset: bool,
}

/// How a literal announces itself: `{12}`, `{12+}`, `~{12}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiteralMark {
    pub(crate) size: u64,
    /// The client waits for our go-ahead.
    pub(crate) sync: bool,
    /// `~{…}`: the octets may contain NUL.
    pub(crate) binary: bool,
    /// Length of the mark itself.
    pub(crate) width: usize,
}

/// The literal mark at the end of `line` (which has no line end any more). `Err` means a number that doesn't fit.
pub(crate) fn literal_mark(line: &[u8]) -> Result<Option<LiteralMark>> {
    let Some(rest) = line.strip_suffix(b"}") else {
        return Ok(None);
    };
    let (digits, sync) = match rest.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (rest, true),
    };
    let start = digits.iter().rposition(|b| !b.is_ascii_digit());
    let Some(start) = start.filter(|&i| digits.get(i) == Some(&b'{')) else {
        return Ok(None);
    };
    let number = digits.get(start + 1..).unwrap_or_default();
    if number.is_empty() {
        return Ok(None);
    }
    let size = decimal(number)
        .filter(|&n| n <= i64::MAX as u64)
        .ok_or(Error::LiteralTooBig)?;
    let binary = start > 0 && digits.get(start - 1) == Some(&b'~');
    Ok(Some(LiteralMark {
        size,
        sync,
        binary,
        width: line.len() - start + usize::from(binary),
    }))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for digit in digits {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit.checked_sub(b'0')?))?;
    }
    Some(value)
}

/// `atom-specials` and everything that is no CHAR.
pub(crate) fn is_atom(b: u8) -> bool {
    (0x21..0x7f).contains(&b) && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`
pub(crate) fn is_astring(b: u8) -> bool {
    is_atom(b) || b == b']'
}

/// `list-char`
pub(crate) fn is_list(b: u8) -> bool {
    is_astring(b) || b == b'%' || b == b'*'
}

/// A character of a tag.
pub(crate) fn is_tag(b: u8) -> bool {
    is_astring(b) && b != b'+'
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(input: &'a [u8], utf8: bool, limits: &'a Limits) -> Cursor<'a> {
        Cursor {
            input,
            at: 0,
            utf8,
            limits,
            saves: false,
            charset: false,
        }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    pub(crate) fn is_end(&self) -> bool {
        self.at >= self.input.len()
    }

    pub(crate) fn end(&mut self) -> Result<()> {
        self.spaces();
        if self.is_end() { Ok(()) } else { Err(Error::Trailing) }
    }

    /// Steps over `byte` if it stands here.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(Error::Expected(what))
        }
    }

    /// One space, or more: the grammar has one everywhere, but programs that send two, or one before a bracket or the line's end, have
    /// always been understood by other servers.
    pub(crate) fn space(&mut self) -> Result<()> {
        self.expect(b' ', "a space")?;
        self.spaces();
        Ok(())
    }

    /// Steps over spaces. Says whether there were any and something stands behind them.
    pub(crate) fn more(&mut self) -> bool {
        self.spaces() && !self.is_end()
    }

    fn spaces(&mut self) -> bool {
        !self.run(|b| b == b' ').is_empty()
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        self.expect(b'(', "an opening bracket")
    }

    /// The longest run of bytes for which `of` holds; may be empty.
    pub(crate) fn run(&mut self, of: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|&b| !of(b)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    pub(crate) fn atom(&mut self, what: &'static str) -> Result<&'a str> {
        let atom = self.run(is_atom);
        match std::str::from_utf8(atom) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => Err(Error::Expected(what)),
        }
    }

    /// Letters, digits, `-` and `.`: the names of commands and items, which may end at a bracket.
    pub(crate) fn word(&mut self, what: &'static str) -> Result<&'a str> {
        let word = self.run(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        match std::str::from_utf8(word) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => Err(Error::Expected(what)),
        }
    }

    /// Steps over `word` if it stands here as a whole word, in any case.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let there = rest
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
            && !rest
                .get(word.len())
                .is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if there {
            self.at += word.len();
        }
        there
    }

    /// `number`: 32 bits.
    pub(crate) fn number(&mut self) -> Result<u32> {
        u32::try_from(self.number64()?).map_err(|_| Error::Number)
    }

    /// `nz-number`
    pub(crate) fn number_nonzero(&mut self) -> Result<u32> {
        let leading_zero = self.peek() == Some(b'0');
        match self.number()? {
            0 => Err(Error::Number),
            _ if leading_zero => Err(Error::Expected("a number without leading zeros")),
            number => Ok(number),
        }
    }

    /// `number64`: 63 bits.
    pub(crate) fn number64(&mut self) -> Result<u64> {
        let digits = self.run(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return Err(Error::Expected("a number"));
        }
        decimal(digits).filter(|&n| n <= i64::MAX as u64).ok_or(Error::Number)
    }

    /// `string = quoted / literal`, and `literal8`.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{' | b'~') => self.literal().map(Cow::Borrowed),
            _ => Err(Error::Expected("a string")),
        }
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub(crate) fn astring(&mut self) -> Result<Cow<'a, [u8]>> {
        self.string_or(is_astring)
    }

    /// A string, or a bare run of bytes for which `of` holds.
    pub(crate) fn string_or(&mut self, of: impl Fn(u8) -> bool) -> Result<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            Some(b'~') if self.rest().starts_with(b"~{") => self.string(),
            _ => match self.run(of) {
                b"" => Err(Error::Expected("a string")),
                bare => Ok(Cow::Borrowed(bare)),
            },
        }
    }

    /// `astring` that must be text.
    pub(crate) fn astring_text(&mut self) -> Result<String> {
        String::from_utf8(self.astring()?.into_owned()).map_err(|_| Error::Utf8)
    }

    /// `nstring = string / nil`
    pub(crate) fn nstring(&mut self) -> Result<Option<Cow<'a, [u8]>>> {
        if self.eat_word("NIL") {
            Ok(None)
        } else {
            self.string().map(Some)
        }
    }

    // quoted = DQUOTE *QUOTED-CHAR DQUOTE. We take 8-bit octets in it from everybody; what they mean is up to the argument.
    fn quoted(&mut self) -> Result<Cow<'a, [u8]>> {
        self.expect(b'"', "a quoted string")?;
        let plain = self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b @ (b'"' | b'\\')) => text.push(b),
                        _ => return Err(Error::Expected("a quote or backslash after a backslash")),
                    }
                    self.at += 1;
                }
                _ => return Err(Error::Expected("the end of a quoted string")),
            }
            text.extend_from_slice(self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)));
        }
    }

    fn literal(&mut self) -> Result<&'a [u8]> {
        let rest = self.rest();
        let line_end = memchr::memchr(b'\n', rest).ok_or(Error::Expected("a literal"))?;
        let line = rest.get(..line_end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mark = literal_mark(line)?
            .filter(|mark| mark.width == line.len())
            .ok_or(Error::Expected("a literal"))?;
        let size = usize::try_from(mark.size).map_err(|_| Error::LiteralTooBig)?;
        let start = line_end + 1;
        let end = start.checked_add(size).ok_or(Error::LiteralTooBig)?;
        let octets = rest.get(start..end).ok_or(Error::Expected("a whole literal"))?;
        if !mark.binary && memchr::memchr(0, octets).is_some() {
            return Err(Error::Expected("a literal without NUL octets"));
        }
        self.at += end;
        Ok(octets)
    }

    /// `"(" item *(SP item) ")"`, or `"()"` where `empty` allows it.
    pub(crate) fn list<T>(&mut self, empty: bool, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.open()?;
        self.spaces();
        let mut items = Vec::new();
        if empty && self.eat(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            let spaced = self.spaces();
            if self.eat(b')') {
                return Ok(items);
            }
            if !spaced {
                return Err(Error::Expected("a space"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(input: &[u8], read: impl Fn(&mut Cursor<'_>) -> Result<T>) -> (Result<T>, Vec<u8>) {
        let limits = Limits::default();
        let mut cursor = Cursor::new(input, false, &limits);
        let result = read(&mut cursor);
        (result, cursor.rest().to_vec())
    }

    #[test]
    fn strings() {
        for (input, expected, rest) in [
            (&b"abc def"[..], Some(&b"abc"[..]), &b" def"[..]),
            (b"\"a b\"x", Some(b"a b"), b"x"),
            (b"\"a\\\"b\\\\c\"", Some(b"a\"b\\c"), b""),
            (b"\"\"", Some(b""), b""),
            (b"{3}\r\na\"b)", Some(b"a\"b"), b")"),
            (b"{3+}\r\nabc", Some(b"abc"), b""),
            (b"~{2}\r\n\0a", Some(b"\0a"), b""),
            (b"{2}\r\n\0a", None, b""),
            (b"{4}\r\nabc", None, b""),
            (b"\"abc", None, b""),
            (b"\"a\\b\"", None, b""),
            (b"\"a\nb\"", None, b""),
            (b"", None, b""),
            (b"(", None, b""),
            (b"\xc3\xa4", None, b""),
            (b"]a", Some(b"]a"), b""),
        ] {
            let (result, left) = with(input, |c| c.astring().map(Cow::into_owned));
            assert_eq!(result.as_deref().ok(), expected, "{input:?}");
            if expected.is_some() {
                assert_eq!(left, rest, "{input:?}");
            }
        }
    }

    #[test]
    fn numbers() {
        for (input, expected) in [
            ("0", Ok(0)),
            ("4294967295", Ok(u32::MAX)),
            ("4294967296", Err(Error::Number)),
            ("99999999999999999999999", Err(Error::Number)),
            ("x", Err(Error::Expected("a number"))),
        ] {
            assert_eq!(with(input.as_bytes(), |c| c.number()).0, expected, "{input}");
        }
        assert_eq!(with(b"9223372036854775807", |c| c.number64()).0, Ok(i64::MAX as u64));
        assert_eq!(with(b"9223372036854775808", |c| c.number64()).0, Err(Error::Number));
        assert_eq!(with(b"0", |c| c.number_nonzero()).0, Err(Error::Number));
    }

    #[test]
    fn marks() {
        let mark = |line: &str| {
            literal_mark(line.as_bytes())
                .unwrap()
                .map(|m| (m.size, m.sync, m.binary, m.width))
        };
        assert_eq!(mark("a LOGIN {11}"), Some((11, true, false, 4)));
        assert_eq!(mark("a LOGIN {11+}"), Some((11, false, false, 5)));
        assert_eq!(mark("a APPEND x ~{0+}"), Some((0, false, true, 5)));
        assert_eq!(mark("a {}"), None);
        assert_eq!(mark("a {x1}"), None);
        assert_eq!(mark("a {1"), None);
        assert_eq!(mark("1}"), None);
        assert_eq!(literal_mark(b"{99999999999999999999}"), Err(Error::LiteralTooBig));
    }
}
