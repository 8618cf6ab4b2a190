//! Reading replies: RFC 5321 §4.2, with the enhanced status codes of RFC 3463 where they stand in the text (RFC 2034).

use crate::Status;
use std::fmt;

/// A reply as the peer gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three-digit code, 200 to 599.
    pub code: u16,
    /// The enhanced status of its first line, if it has one and that fits the code.
    pub status: Option<Status>,
    /// The text without code and status; a line feed between lines. What is not UTF-8 is replaced, controls are taken out, and what goes
    /// beyond [`Limits::reply_text`] is cut.
    pub text: String,
}

impl Reply {
    /// `2yz`
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// `4yz` or `5yz`
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// `5yz`
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The enhanced status; where the peer gave none, `x.0.0` with the class of the code.
    pub fn status_or_class(&self) -> Status {
        let class = u8::try_from(self.code / 100).unwrap_or(5);
        self.status.unwrap_or(Status(class, 0, 0))
    }
}

/// How much of a reply is too much. Sizes are in octets.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One line with its CRLF. RFC 5321 §4.5.3.1.5 has 512; servers with long explanations go beyond that.
    pub reply_line: usize,
    /// All lines of one reply. The longest EHLO answers have thirty lines.
    pub reply: usize,
    /// Text that is kept of a reply, for the ledger and for bounces.
    pub reply_text: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            reply_line: 4096,
            reply: 32 * 1024,
            reply_text: 2000,
        }
    }
}

/// What a peer did that no reading of the standard allows. There is no way to go on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Not a reply line.
    #[error("what it says is no SMTP reply")]
    NotAReply,
    /// Longer than [`Limits`] allow.
    #[error("its reply does not end")]
    TooLong,
    /// A reply to nothing.
    #[error("it answers what was not asked")]
    Unasked,
    /// A code that cannot stand where it stands.
    #[error("its reply makes no sense at this point")]
    OutOfPlace,
    /// Octets in clear text behind the answer to STARTTLS: somebody may have put them there (CVE-2011-0411).
    #[error("it says something between STARTTLS and TLS")]
    BehindStartTls,
}

/// Puts lines together.
#[derive(Debug)]
pub(super) struct Reader {
    limits: Limits,
    line: Vec<u8>,
    octets: usize,
    code: u16,
    status: Option<Status>,
    text: String,
    lines: Vec<String>,
    keep_lines: bool,
}

impl Reader {
    pub(super) fn new(limits: Limits) -> Reader {
        Reader {
            limits,
            line: Vec::new(),
            octets: 0,
            code: 0,
            status: None,
            text: String::new(),
            lines: Vec::new(),
            keep_lines: false,
        }
    }

    /// Forgets a reply that is not whole.
    pub(super) fn clear(&mut self) {
        *self = Reader::new(self.limits.clone());
    }

    /// Whether the next reply's lines are wanted one by one, whatever their length: an answer to EHLO.
    pub(super) fn keep_lines(&mut self, keep: bool) {
        self.keep_lines = keep;
    }

    /// The lines of the last reply.
    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Takes what it needs from the front of `input`; a reply once it is whole.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Violation> {
        while !input.is_empty() {
            let end = memchr::memchr(b'\n', input);
            let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
            *input = rest;
            self.line.extend_from_slice(part);
            if self.line.len() > self.limits.reply_line {
                return Err(Violation::TooLong);
            }
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                if let Some(reply) = self.line(&line)? {
                    return Ok(Some(reply));
                }
            }
        }
        Ok(None)
    }

    /// `Reply-code [ SP / "-" text ] CRLF`; a bare LF ends a line, too.
    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Violation> {
        self.octets += line.len();
        if self.octets > self.limits.reply {
            return Err(Violation::TooLong);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (digits, rest) = line.split_at_checked(3).ok_or(Violation::NotAReply)?;
        let code = match digits {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err(Violation::NotAReply),
        };
        let (last, text) = match rest.split_first() {
            None => (true, &[][..]),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(Violation::NotAReply),
        };
        if self.code == 0 {
            self.code = code;
        } else if self.code != code {
            return Err(Violation::NotAReply);
        }
        let text = String::from_utf8_lossy(text);
        let (status, bare) = status(&text, code);
        let text = if status.is_some() { bare } else { text.as_ref() };
        if self.status.is_none() && self.text.is_empty() {
            self.status = status;
        }
        if self.keep_lines {
            self.lines.push(text.to_owned());
        }
        if self.text.len() < self.limits.reply_text {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            let room = self.limits.reply_text - self.text.len().min(self.limits.reply_text);
            let mut taken = 0;
            for c in text.trim_end().chars() {
                taken += c.len_utf8();
                if taken > room {
                    break;
                }
                self.text.push(if c.is_control() { ' ' } else { c });
            }
        }
        if !last {
            return Ok(None);
        }
        self.octets = 0;
        Ok(Some(Reply {
            code: std::mem::take(&mut self.code),
            status: self.status.take(),
            text: std::mem::take(&mut self.text),
        }))
    }
}

/// `status-code SP text` (RFC 2034 §4): believed where its class is that of the code.
fn status(text: &str, code: u16) -> (Option<Status>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut numbers = word.split('.');
    let mut number = || {
        numbers
            .next()
            .filter(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|n| n.parse::<u16>().ok())
    };
    let (Some(class), Some(subject), Some(detail)) = (number(), number(), number()) else {
        return (None, text);
    };
    if numbers.next().is_some() || class != code / 100 || class == 3 {
        return (None, text);
    }
    let class = u8::try_from(class).unwrap_or(5);
    (Some(Status(class, subject, detail)), rest)
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(Status(class, subject, detail)) = self.status {
            write!(f, " {class}.{subject}.{detail}")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text.replace('\n', " "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, Violation> {
        let mut reader = Reader::new(Limits::default());
        let mut input = text;
        let mut replies = Vec::new();
        while let Some(reply) = reader.next(&mut input)? {
            replies.push(format!("{} {:?} {:?}", reply.code, reply.status, reply.text));
        }
        Ok(replies)
    }

    #[test]
    fn replies_as_they_come() {
        for (input, expected) in [
            (
                &b"250 2.1.5 fine\r\n"[..],
                Ok(vec!["250 Some(Status(2, 1, 5)) \"fine\""]),
            ),
            (b"250\r\n", Ok(vec!["250 None \"\""])),
            (b"250 2.0.0\r\n", Ok(vec!["250 Some(Status(2, 0, 0)) \"\""])),
            (b"354 go\n", Ok(vec!["354 None \"go\""])),
            (
                b"550-5.1.1 a\r\n550 5.1.1 b\r\n250 c\r\n",
                Ok(vec!["550 Some(Status(5, 1, 1)) \"a\\nb\"", "250 None \"c\""]),
            ),
            // Not a status: another class, too many parts, too many digits.
            (b"550 4.1.1 a\r\n", Ok(vec!["550 None \"4.1.1 a\""])),
            (b"250 2.1.5.6 a\r\n", Ok(vec!["250 None \"2.1.5.6 a\""])),
            (b"250 2.1000.5 a\r\n", Ok(vec!["250 None \"2.1000.5 a\""])),
            (b"250 caf\xe9 \x07\r\n", Ok(vec!["250 None \"caf\u{fffd}  \""])),
            (b"250-a\r\n251 b\r\n", Err(Violation::NotAReply)),
            (b"150 a\r\n", Err(Violation::NotAReply)),
            (b"650 a\r\n", Err(Violation::NotAReply)),
            (b"25 a\r\n", Err(Violation::NotAReply)),
            (b"250_a\r\n", Err(Violation::NotAReply)),
            (b"\r\n", Err(Violation::NotAReply)),
            (b"HTTP/1.1 400 Bad Request\r\n", Err(Violation::NotAReply)),
        ] {
            let expected = expected.map(|lines| lines.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(read(input), expected, "{}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn replies_without_end() {
        assert_eq!(read(&[b'2'; 5000]), Err(Violation::TooLong));
        assert_eq!(read(&b"250-more\r\n".repeat(5000)), Err(Violation::TooLong));
        let long = [b"550-".as_slice(), &[b'x'; 3000], b"\r\n550-y\r\n550 z\r\n"].concat();
        let mut reader = Reader::new(Limits::default());
        let reply = reader.next(&mut long.as_slice()).unwrap().unwrap();
        assert_eq!((reply.code, reply.text.len()), (550, 2000));
    }
}
