//! The octets of a message: what they ask of the way, and how they go through `DATA`.

/// What the octets of a message ask of the way. Found by looking at them ([`Scan`]), since what was said about them is not always so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// There are octets beyond ASCII: it needs 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// There is a NUL, or a CR or LF that is alone: it needs BINARYMIME (RFC 3030), because by `DATA` it may not go at all (RFC 5321
    /// §2.3.8), and who lets it through invites smuggling.
    pub binary: bool,
    /// There are octets beyond ASCII in the header: it needs SMTPUTF8 (RFC 6531).
    pub utf8_header: bool,
}

/// Looks at a message, piece by piece.
#[derive(Clone, Debug)]
pub struct Scan {
    content: Content,
    last: u8,
    in_header: bool,
    /// Nothing but the line's end so far.
    line_is_empty: bool,
}

impl Default for Scan {
    fn default() -> Scan {
        Scan {
            content: Content::default(),
            last: 0,
            in_header: true,
            line_is_empty: true,
        }
    }
}

impl Scan {
    /// Looks at the next octets.
    pub fn update(&mut self, mut piece: &[u8]) {
        if self.in_header {
            let length = self.header(piece);
            let (head, body) = piece.split_at(length);
            if !head.is_ascii() {
                self.content.eight_bit = true;
                self.content.utf8_header = true;
            }
            self.lines(head);
            piece = body;
        }
        self.content.eight_bit = self.content.eight_bit || !piece.is_ascii();
        self.lines(piece);
    }

    /// What was found.
    pub fn content(mut self) -> Content {
        self.content.binary |= self.last == b'\r';
        self.content
    }

    /// How much of the piece is header.
    fn header(&mut self, piece: &[u8]) -> usize {
        for (index, &byte) in piece.iter().enumerate() {
            match byte {
                b'\n' if self.line_is_empty => {
                    self.in_header = false;
                    return index + 1;
                }
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
        }
        piece.len()
    }

    fn lines(&mut self, piece: &[u8]) {
        let Some(&last) = piece.last() else { return };
        if !self.content.binary {
            let mut before = self.last;
            let mut from = 0;
            // Each CR must be followed by LF, each LF preceded by CR; look from one to the next.
            while let Some(found) = memchr::memchr3(b'\r', b'\n', 0, piece.get(from..).unwrap_or_default()) {
                let at = from + found;
                if found > 0 {
                    self.content.binary |= before == b'\r';
                    before = b' ';
                }
                match piece.get(at) {
                    Some(b'\n') if before == b'\r' => before = b'\n',
                    Some(b'\r') if before != b'\r' => before = b'\r',
                    _ => self.content.binary = true,
                }
                if self.content.binary {
                    break;
                }
                from = at + 1;
            }
            self.content.binary |= before == b'\r' && from < piece.len();
        }
        self.last = last;
    }
}

/// Puts a dot before each line that begins with one (RFC 5321 §4.5.2).
#[derive(Clone, Debug)]
pub(super) struct Stuffer {
    at_line_start: bool,
}

impl Stuffer {
    pub(super) fn new() -> Stuffer {
        Stuffer { at_line_start: true }
    }

    pub(super) fn write(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        let Some(&last) = piece.last() else { return };
        output.reserve(piece.len() + 16);
        if self.at_line_start && piece.first() == Some(&b'.') {
            output.push(b'.');
        }
        let mut from = 0;
        for at in memchr::memmem::find_iter(piece, b"\n.") {
            output.extend_from_slice(piece.get(from..=at).unwrap_or_default());
            output.push(b'.');
            from = at + 1;
        }
        output.extend_from_slice(piece.get(from..).unwrap_or_default());
        self.at_line_start = last == b'\n';
    }

    /// The end of the message. A last line without its end gets one.
    pub(super) fn finish(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(if self.at_line_start { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_need() {
        let content = |eight_bit, binary, utf8_header| Content {
            eight_bit,
            binary,
            utf8_header,
        };
        for (message, expected) in [
            (&b""[..], content(false, false, false)),
            (b"a: b\r\n\r\nc\r\n", content(false, false, false)),
            (b"a: b\r\n\r\nc", content(false, false, false)),
            (b"a: b\r\n\r\nc\xe9\r\n", content(true, false, false)),
            (b"a: \xc3\xa9\r\n\r\nc\r\n", content(true, false, true)),
            (b"a: \xc3\xa9\r\n", content(true, false, true)),
            (b"\r\n\xc3\xa9\r\n", content(true, false, false)),
            (b"a: b\r\n\r\nc\n.\r\nd\r\n", content(false, true, false)),
            (b"a: b\r\n\r\nc\r.\r\n", content(false, true, false)),
            (b"a: b\r\n\r\nc\r\r\n", content(false, true, false)),
            (b"a: b\r\n\r\n\n", content(false, true, false)),
            (b"a: b\r\n\r\n\0\r\n", content(false, true, false)),
            (b"a: b\r\n\r\nc\r", content(false, true, false)),
            (b"\n", content(false, true, false)),
        ] {
            for size in [1, 2, 3, 100] {
                let mut scan = Scan::default();
                message.chunks(size).for_each(|piece| scan.update(piece));
                assert_eq!(
                    scan.content(),
                    expected,
                    "{} by {size}",
                    String::from_utf8_lossy(message)
                );
            }
        }
    }

    #[test]
    fn dots() {
        for (message, expected) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n..\r\na.\r\n", b"..\r\n...\r\na.\r\n.\r\n"),
            (b"\r\n.\r\n", b"\r\n..\r\n.\r\n"),
        ] {
            for size in [1, 2, 3, 100] {
                let (mut stuffer, mut output) = (Stuffer::new(), Vec::new());
                message.chunks(size).for_each(|piece| stuffer.write(piece, &mut output));
                stuffer.finish(&mut output);
                assert_eq!(output, expected, "{} by {size}", String::from_utf8_lossy(message));
            }
        }
    }
}
