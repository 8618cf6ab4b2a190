//! The message after `DATA`: RFC 5321 §4.5.2 (transparency) and §4.1.1.4 (the end).
//!
//! The end is `CRLF . CRLF` and nothing else. A server that also took `LF . LF` would read two messages where its neighbour saw one
//! ("SMTP smuggling"), so a CR or LF that stands alone never begins a line here; it is data, and [`DataReader::bare`] tells that it
//! was there.
//!
//! Pieces are slices of the input, as long as they can be: they end where a stuffed dot has to be left out.

use memchr::memchr2;

/// Takes the dots out of a message and finds its end.
#[derive(Debug, Clone)]
pub struct DataReader {
    state: State,
    bare: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Behind CRLF.
    LineStart,
    /// Within a line.
    Middle,
    /// Behind a CR that was already handed out.
    Cr,
    /// Behind a dot that begins a line; it is withheld.
    Dot,
    /// Behind dot and CR; both are withheld.
    DotCr,
}

/// What [`DataReader::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of the message.
    Data(&'a [u8]),
    /// The end of the message. What follows in the input are commands.
    End,
}

impl Default for DataReader {
    fn default() -> DataReader {
        DataReader {
            state: State::LineStart,
            bare: false,
        }
    }
}

impl DataReader {
    /// Whether a CR or LF stood alone so far.
    pub fn bare(&self) -> bool {
        self.bare
    }

    /// Takes the next piece off the front of the input; `None` when the input is used up.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        loop {
            let (&first, behind) = input.split_first()?;
            match (self.state, first) {
                (State::LineStart, b'.') => {
                    *input = behind;
                    self.state = State::Dot;
                }
                (State::Dot, b'\r') => {
                    *input = behind;
                    self.state = State::DotCr;
                }
                (State::DotCr, b'\n') => {
                    *input = behind;
                    self.state = State::LineStart;
                    return Some(Piece::End);
                }
                (State::DotCr, _) => {
                    self.bare = true;
                    self.state = State::Middle;
                    return Some(Piece::Data(b"\r"));
                }
                _ => {
                    let length = self.run(input);
                    let (data, rest) = input.split_at(length);
                    *input = rest;
                    return Some(Piece::Data(data));
                }
            }
        }
    }

    /// How many bytes of the input can be handed out as they are: up to a dot that begins a line, or all. At least one, as the first
    /// byte is no such dot.
    fn run(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        if self.state == State::Cr {
            if bytes.first() == Some(&b'\n') {
                at = 1;
                if self.at_line_start(bytes, at) {
                    return at;
                }
            } else if let Some(end) = self.stands_alone(bytes, 0) {
                return end;
            }
        }
        loop {
            let found = bytes
                .get(at..)
                .and_then(|rest| memchr2(b'\r', b'\n', rest))
                .map(|offset| at + offset);
            let Some(found) = found else {
                // The last byte is neither CR nor LF, or `at` is the end of the input behind one of them.
                self.state = State::Middle;
                return bytes.len();
            };
            if bytes.get(found) == Some(&b'\n') {
                if let Some(end) = self.stands_alone(bytes, found) {
                    return end;
                }
                at = found + 1;
                continue;
            }
            match bytes.get(found + 1) {
                None => {
                    self.state = State::Cr;
                    return bytes.len();
                }
                Some(b'\n') => {
                    at = found + 2;
                    if self.at_line_start(bytes, at) {
                        return at;
                    }
                }
                Some(_) => {
                    if let Some(end) = self.stands_alone(bytes, found + 1) {
                        return end;
                    }
                    at = found + 1;
                }
            }
        }
    }

    /// The byte at `at` shows that a CR or LF stands alone. Where it is the first, the run ends behind that byte, so that a server that
    /// takes no such message finds the same place however the input was cut.
    fn stands_alone(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        if std::mem::replace(&mut self.bare, true) {
            return None;
        }
        self.state = if bytes.get(at) == Some(&b'\r') {
            State::Cr
        } else {
            State::Middle
        };
        Some(at + 1)
    }

    /// A line begins at `at`: whether the run has to stop there.
    fn at_line_start(&mut self, bytes: &[u8], at: usize) -> bool {
        self.state = State::LineStart;
        matches!(bytes.get(at), None | Some(b'.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Message, what follows its end, whether a bare CR or LF was seen; `None`: no end.
    fn read(chunks: &[&[u8]]) -> (Vec<u8>, Option<Vec<u8>>, bool) {
        let mut reader = DataReader::default();
        let (mut message, mut rest) = (Vec::new(), None::<Vec<u8>>);
        for chunk in chunks {
            if let Some(rest) = &mut rest {
                rest.extend_from_slice(chunk);
                continue;
            }
            let mut input = *chunk;
            while let Some(piece) = reader.next(&mut input) {
                match piece {
                    Piece::Data(data) => message.extend_from_slice(data),
                    Piece::End => {
                        rest = Some(input.to_vec());
                        break;
                    }
                }
            }
        }
        (message, rest, reader.bare())
    }

    #[test]
    fn ends_and_dots() {
        let cases: &[(&str, &str, Option<&str>, bool)] = &[
            (".\r\n", "", Some(""), false),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n", Some("QUIT\r\n"), false),
            ("..\r\n.\r\n", ".\r\n", Some(""), false),
            (".a\r\n..b\r\n.\r\n", "a\r\n.b\r\n", Some(""), false),
            ("a\n.\n", "a\n.\n", None, true),
            ("a\r\n.\n", "a\r\n\n", None, true),
            ("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", Some(""), true),
            ("a\r\n.\r.\r\n.\r\n", "a\r\n\r.\r\n", Some(""), true),
            ("a\r.\r\n.\r\n", "a\r.\r\n", Some(""), true),
            ("\r\r\n.\r\n", "\r\r\n", Some(""), true),
            ("\0\r\n.\r\n", "\0\r\n", Some(""), false),
            ("a\r\n.", "a\r\n", None, false),
            ("a\r\n.\r", "a\r\n", None, false),
            ("a\r\n.\r\rb\r\n.\r\n", "a\r\n\r\rb\r\n", Some(""), true),
        ];
        for (input, message, rest, bare) in cases {
            let expected = (
                message.as_bytes().to_vec(),
                rest.map(|rest| rest.as_bytes().to_vec()),
                *bare,
            );
            assert_eq!(read(&[input.as_bytes()]), expected, "{input:?} at once");
            let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
            assert_eq!(read(&bytes), expected, "{input:?} byte by byte");
        }
    }

    /// The stuffing of RFC 5321 §4.5.2, done by a client.
    fn stuff(lines: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let (mut plain, mut stuffed) = (Vec::new(), Vec::new());
        for line in lines {
            if line.first() == Some(&b'.') {
                stuffed.push(b'.');
            }
            for text in [&mut plain, &mut stuffed] {
                text.extend_from_slice(line);
                text.extend_from_slice(b"\r\n");
            }
        }
        stuffed.extend_from_slice(b".\r\n");
        (plain, stuffed)
    }

    proptest! {
        #[test]
        fn stuffed_lines_come_back(
            lines in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'a'), Just(0u8)], 0..5), 0..20),
            size in 1usize..40,
        ) {
            let (plain, stuffed) = stuff(&lines);
            let chunks: Vec<&[u8]> = stuffed.chunks(size).collect();
            prop_assert_eq!(read(&chunks), (plain, Some(Vec::new()), false));
        }

        #[test]
        fn chunking_changes_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            size in 1usize..10,
        ) {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(read(&chunks), read(&[&bytes]));
        }
    }
}
