//! Reading one field out of a stored ENVELOPE (RFC 9051 §7.5.2), so that SEARCH need not read messages for what was read out of them
//! already.

use std::fmt::Write;

/// Fields of an ENVELOPE, by their place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Date = 0,
    Subject = 1,
    From = 2,
    To = 5,
    Cc = 6,
    Bcc = 7,
    MessageId = 9,
}

/// The octets of a text field; `None` where it is `NIL` or the envelope cannot be read.
pub(crate) fn text(envelope: &[u8], field: Field) -> Option<Vec<u8>> {
    at(envelope, field)?.string()?
}

/// The addresses of a field as text, `Name <local@domain>`, one a line.
pub(crate) fn addresses(envelope: &[u8], field: Field) -> String {
    let mut text = String::new();
    let Some(mut reader) = at(envelope, field) else {
        return text;
    };
    if reader.take(b"(").is_none() {
        return text;
    }
    while reader.take(b"(").is_some() {
        let mut parts = [None, None, None, None];
        for (i, part) in parts.iter_mut().enumerate() {
            if i > 0 && reader.take(b" ").is_none() {
                return text;
            }
            match reader.string() {
                Some(value) => *part = value,
                None => return text,
            }
        }
        let [name, _, mailbox, host] = parts.map(|part| part.map(|octets| mime::decode_header(&octets)));
        if let Some(name) = name {
            text.push_str(&name);
            text.push(' ');
        }
        match (mailbox, host) {
            (Some(mailbox), Some(host)) => {
                // Writing to a String cannot fail.
                let _ = write!(text, "<{mailbox}@{host}>");
            }
            (Some(group), None) => text.push_str(&group),
            _ => {}
        }
        text.push('\n');
        if reader.take(b")").is_none() {
            break;
        }
    }
    text
}

fn at(envelope: &[u8], field: Field) -> Option<Reader<'_>> {
    let mut reader = Reader { rest: envelope };
    reader.take(b"(")?;
    for _ in 0..field as usize {
        reader.skip()?;
        reader.take(b" ")?;
    }
    Some(reader)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, prefix: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(prefix)?;
        Some(())
    }

    /// `nstring`
    fn string(&mut self) -> Option<Option<Vec<u8>>> {
        if self.take(b"NIL").is_some() {
            return Some(None);
        }
        if self.take(b"\"").is_some() {
            let mut value = Vec::new();
            loop {
                let (&octet, rest) = self.rest.split_first()?;
                self.rest = rest;
                match octet {
                    b'"' => return Some(Some(value)),
                    b'\\' => {
                        let (&escaped, rest) = self.rest.split_first()?;
                        self.rest = rest;
                        value.push(escaped);
                    }
                    octet => value.push(octet),
                }
            }
        }
        self.literal().map(|octets| Some(octets.to_vec()))
    }

    fn literal(&mut self) -> Option<&'a [u8]> {
        self.take(b"{")?;
        let end = self.rest.iter().position(|b| *b == b'}')?;
        let (digits, rest) = self.rest.split_at(end);
        let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let rest = rest.strip_prefix(b"}\r\n")?;
        let octets = rest.get(..len)?;
        self.rest = rest.get(len..)?;
        Some(octets)
    }

    /// Over a value, whatever it is.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.rest.first()? {
                b'(' => {
                    self.take(b"(")?;
                    depth += 1;
                }
                b')' => {
                    self.take(b")")?;
                    depth = depth.checked_sub(1)?;
                }
                b' ' => self.take(b" ")?,
                b'"' => {
                    self.take(b"\"")?;
                    loop {
                        let (&octet, rest) = self.rest.split_first()?;
                        self.rest = rest;
                        match octet {
                            b'"' => break,
                            b'\\' => self.rest = self.rest.get(1..)?,
                            _ => {}
                        }
                    }
                }
                b'{' => {
                    self.literal()?;
                }
                _ => self.take(b"NIL")?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_written_envelope() {
        let header = b"Date: Mon, 2 Jan 2006 15:04:05 -0700\r\nSubject: a \"b\" \\ =?utf-8?q?=C3=A4?=\r\nFrom: \"Ada (L.)\" <ada@phys.example>, bob@phys.example\r\n\
            To: friends: carol@phys.example;\r\nMessage-ID: <1@x>\r\n\r\n";
        let mut envelope = Vec::new();
        mime::Envelope::parse(header).write_imap(&mut envelope);
        assert_eq!(
            text(&envelope, Field::Subject).as_deref(),
            Some(&b"a \"b\" \\ =?utf-8?q?=C3=A4?="[..])
        );
        assert_eq!(text(&envelope, Field::MessageId).as_deref(), Some(&b"<1@x>"[..]));
        assert_eq!(
            text(&envelope, Field::Date).as_deref(),
            Some(&b"Mon, 2 Jan 2006 15:04:05 -0700"[..])
        );
        let from = addresses(&envelope, Field::From);
        assert!(
            from.contains("Ada (L.) <ada@phys.example>") && from.contains("<bob@phys.example>"),
            "{from}"
        );
        assert!(addresses(&envelope, Field::To).contains("<carol@phys.example>"));
        assert_eq!(addresses(&envelope, Field::Cc), "");
        for end in 0..envelope.len() {
            // Cut short, it is not understood, and that is all.
            text(&envelope[..end], Field::MessageId);
            addresses(&envelope[..end], Field::From);
        }
    }
}
