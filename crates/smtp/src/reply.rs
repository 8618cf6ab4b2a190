//! Replies: RFC 5321 §4.2, with the enhanced status codes of RFC 2034, 3463 and 5248.

use std::borrow::Cow;

/// The longest text of a reply line. RFC 5321 §4.5.3.1.5 gives a line 512 octets, the rest is the code, the status and CRLF.
const TEXT_LENGTH: usize = 490;

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8, pub u16, pub u16);

/// A reply to a command: a code, an enhanced status where the code has one, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: Option<Status>,
    text: Cow<'static, str>,
}

impl Reply {
    /// A reply with an enhanced status. A line feed in the text begins a further line.
    pub fn new(code: u16, status: Status, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            code,
            status: Some(status),
            text: text.into(),
        }
    }

    /// A reply that carries no status: greeting, EHLO and 3xx (RFC 2034 §4).
    pub fn bare(code: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            code,
            status: None,
            text: text.into(),
        }
    }

    /// The three-digit code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the code refuses (4xx or 5xx).
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Appends the reply as it goes over the wire. What is no printable ASCII becomes `?`, and an overlong line is cut.
    pub fn write(&self, output: &mut Vec<u8>) {
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let code = self.code.clamp(200, 599);
            for divisor in [100, 10, 1] {
                output.push(b'0' + (code / divisor % 10) as u8);
            }
            output.push(if lines.peek().is_some() { b'-' } else { b' ' });
            if let Some(Status(class, subject, detail)) = self.status {
                output.extend_from_slice(format!("{class}.{subject}.{detail} ").as_bytes());
            }
            let printable = |b: u8| if (b' '..=b'~').contains(&b) { b } else { b'?' };
            output.extend(line.bytes().take(TEXT_LENGTH).map(printable));
            output.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form() {
        let cases: &[(Reply, &str)] = &[
            (Reply::new(250, Status(2, 1, 5), "fine"), "250 2.1.5 fine\r\n"),
            (Reply::bare(354, "go ahead"), "354 go ahead\r\n"),
            (
                Reply::new(550, Status(5, 1, 1), "a\nb"),
                "550-5.1.1 a\r\n550 5.1.1 b\r\n",
            ),
            (Reply::new(550, Status(5, 1, 1), "a\rb\u{e9}"), "550 5.1.1 a?b??\r\n"),
        ];
        for (reply, expected) in cases {
            let mut output = Vec::new();
            reply.write(&mut output);
            assert_eq!(String::from_utf8_lossy(&output), *expected);
        }
        let mut output = Vec::new();
        Reply::new(250, Status(2, 0, 0), "x".repeat(5000)).write(&mut output);
        assert!(output.len() <= 512);
    }
}
