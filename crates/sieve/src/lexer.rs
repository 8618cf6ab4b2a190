//! Words of the language (RFC 5228 §8.1): identifiers, tags, numbers, strings, punctuation; white space and comments between
//! them are kept as they stand.

use crate::error::{Error, ErrorKind, Position, Result};
use crate::tree::{Number, Span, Unit};

/// A word and the white space and comments before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
    /// Where the white space before it begins.
    pub leading: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    Identifier(String),
    /// Without its colon.
    Tag(String),
    Number(Number),
    Text {
        value: String,
        multiline: bool,
    },
    Punctuation(char),
    End,
}

impl TokenKind {
    /// How an error names it.
    pub fn shown(&self) -> String {
        match self {
            TokenKind::Identifier(name) => format!("\"{}\"", shorten(name)),
            TokenKind::Tag(name) => format!("\":{}\"", shorten(name)),
            TokenKind::Number(number) => format!("the number {}", number.count),
            TokenKind::Text { value, .. } => format!("the string \"{}\"", shorten(value)),
            TokenKind::Punctuation(mark) => format!("\"{mark}\""),
            TokenKind::End => "the end of the script".into(),
        }
    }
}

pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(40)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if short.len() < text.len() && text.chars().nth(40).is_some() {
        short.push('…');
    }
    short
}

pub(crate) struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    /// The column of octet `counted`, so that a long line is counted once.
    column: u32,
    counted: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(source: &'a str) -> Lexer<'a> {
        Lexer {
            source,
            at: 0,
            line: 1,
            column: 1,
            counted: 0,
        }
    }

    pub fn token(&mut self) -> Result<Token> {
        let leading = self.at;
        self.skip_trivia()?;
        let start = self.at;
        let position = self.position();
        let kind = self.word(position)?;
        let span = Span {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(self.at).unwrap_or(u32::MAX),
            position,
        };
        Ok(Token { kind, span, leading })
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    /// The position of `at`.
    fn position(&mut self) -> Position {
        let passed = self.source.get(self.counted..self.at).unwrap_or_default();
        for c in passed.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.counted = self.at;
        Position {
            line: self.line,
            column: self.column,
        }
    }

    fn skip_trivia(&mut self) -> Result<()> {
        loop {
            match self.peek(0) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'#') => {
                    let rest = self.rest();
                    self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
                }
                Some(b'/') if self.peek(1) == Some(b'*') => {
                    let Some(end) = self.rest().get(2..).and_then(|inside| inside.find("*/")) else {
                        let position = self.position();
                        return Err(Error::new(
                            ErrorKind::Syntax,
                            position,
                            "the comment that begins here does not end",
                        )
                        .hint("end it with */"));
                    };
                    self.at += end + 4;
                }
                _ => return Ok(()),
            }
        }
    }

    fn word(&mut self, position: Position) -> Result<TokenKind> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(TokenKind::End);
        };
        match first {
            ';' | ',' | '(' | ')' | '[' | ']' | '{' | '}' => {
                self.at += 1;
                Ok(TokenKind::Punctuation(first))
            }
            ':' => {
                let name = identifier(rest.get(1..).unwrap_or_default());
                if name.is_empty() {
                    return Err(Error::new(ErrorKind::Syntax, position, "a colon without a name")
                        .hint("write a tag such as :contains"));
                }
                self.at += 1 + name.len();
                Ok(TokenKind::Tag(name.to_owned()))
            }
            '"' => self.quoted(position),
            '0'..='9' => self.number(position),
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = identifier(rest);
                self.at += name.len();
                if name.eq_ignore_ascii_case("text") && self.peek(0) == Some(b':') {
                    self.at += 1;
                    return self.multiline(position);
                }
                Ok(TokenKind::Identifier(name.to_owned()))
            }
            _ => {
                let hint = match first {
                    '\u{201C}' | '\u{201D}' | '\u{201E}' | '\'' | '\u{2018}' | '\u{2019}' => {
                        "strings stand in straight double quotes: \"like this\""
                    }
                    '\u{FEFF}' => "delete the byte order mark at the beginning of the file",
                    _ => "strings stand in double quotes; comments begin with #",
                };
                Err(Error::new(
                    ErrorKind::Syntax,
                    position,
                    format!("the character {} cannot stand here", first.escape_debug()),
                )
                .hint(hint))
            }
        }
    }

    // quoted-string = DQUOTE quoted-text DQUOTE; a backslash takes the next character as it is.
    fn quoted(&mut self, position: Position) -> Result<TokenKind> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let mut value = String::new();
        let mut plain = 0;
        let bytes = inside.as_bytes();
        let mut at = 0;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            let mark = at + found;
            value.push_str(inside.get(plain..mark).unwrap_or_default());
            if bytes.get(mark) == Some(&b'"') {
                self.at += mark + 2;
                if value.contains('\0') {
                    return Err(Error::new(ErrorKind::Syntax, position, "the string holds a NUL"));
                }
                return Ok(TokenKind::Text {
                    value,
                    multiline: false,
                });
            }
            let Some(next) = inside.get(mark + 1..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            value.push(next);
            at = mark + 1 + next.len_utf8();
            plain = at;
        }
        Err(Error::new(ErrorKind::Syntax, position, "the string that begins here does not end").hint("end it with \""))
    }

    // multi-line = "text:" *(SP / HTAB) (hash-comment / CRLF) *(multiline-literal / multiline-dotstart) "." CRLF
    fn multiline(&mut self, position: Position) -> Result<TokenKind> {
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let rest = self.rest();
        let end = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default().trim_end_matches('\r');
        if !line.is_empty() && !line.starts_with('#') {
            return Err(Error::new(ErrorKind::Syntax, position, "after text: the line must end")
                .hint("begin the text on the next line and end it with a line that has a single dot"));
        }
        self.at += (end + 1).min(rest.len());
        let mut value = String::new();
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Err(
                    Error::new(ErrorKind::Syntax, position, "the text that begins here does not end")
                        .hint("end it with a line that has a single dot"),
                );
            }
            let end = rest.find('\n').map_or(rest.len(), |end| end + 1);
            let line = rest.get(..end).unwrap_or(rest);
            if line.trim_end_matches(['\r', '\n']) == "." {
                self.at += end;
                if value.contains('\0') {
                    return Err(Error::new(ErrorKind::Syntax, position, "the text holds a NUL"));
                }
                return Ok(TokenKind::Text { value, multiline: true });
            }
            self.at += end;
            value.push_str(
                line.strip_prefix("..")
                    .map_or(line, |_| line.get(1..).unwrap_or_default()),
            );
        }
    }

    // number = 1*DIGIT [ QUANTIFIER ]
    fn number(&mut self, position: Position) -> Result<TokenKind> {
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match rest.as_bytes().get(digits) {
            Some(b'k' | b'K') => Some(Unit::K),
            Some(b'm' | b'M') => Some(Unit::M),
            Some(b'g' | b'G') => Some(Unit::G),
            _ => None,
        };
        let length = digits + usize::from(unit.is_some());
        if let Some(next) = rest.get(length..).and_then(|behind| behind.chars().next())
            && (next.is_ascii_alphanumeric() || next == '_')
        {
            return Err(
                Error::new(ErrorKind::Syntax, position, "a number that goes on in letters")
                    .hint("a number may be followed by K, M or G, and then by something else"),
            );
        }
        let too_large = || {
            Error::new(ErrorKind::Syntax, position, "the number is too large")
                .hint("the largest is 9223372036854775807")
        };
        let count: u64 = rest
            .get(..digits)
            .and_then(|text| text.parse().ok())
            .ok_or_else(too_large)?;
        let number = Number { count, unit };
        number.checked().ok_or_else(too_large)?;
        self.at += length;
        Ok(TokenKind::Number(number))
    }
}

fn identifier(text: &str) -> &str {
    let mut end = 0;
    for (at, b) in text.bytes().enumerate() {
        if b.is_ascii_alphabetic() || b == b'_' || (at > 0 && b.is_ascii_digit()) {
            end = at + 1;
        } else {
            break;
        }
    }
    text.get(..end).unwrap_or_default()
}
