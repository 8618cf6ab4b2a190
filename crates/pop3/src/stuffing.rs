//! A message in an answer of many lines. RFC 1939 §3: it ends with a line that is a dot alone, so a line of the message that begins with a
//! dot gets another one in front.
//!
//! A line begins behind CRLF. A LF alone should not be in a message; if one is, programs disagree whether it ends a line, and a dot behind it
//! could end the answer for those who think so. There, too, it gets a dot in front.

/// Octets of a message on their way into an answer.
#[derive(Clone, Debug)]
pub struct Stuffing {
    last: [u8; 2],
    /// In the header, or how many lines of the body are still to come; `None`: all.
    lines: Option<u64>,
    in_header: bool,
    /// What the line has in it so far.
    begun: Begun,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    Nothing,
    Cr,
    Text,
}

impl Stuffing {
    /// A whole message (`RETR`).
    pub fn whole() -> Stuffing {
        Stuffing {
            last: *b"\r\n",
            lines: None,
            in_header: true,
            begun: Begun::Nothing,
            done: false,
        }
    }

    /// The header, the empty line and some lines of the body (`TOP`, RFC 1939 §7).
    pub fn top(lines: u64) -> Stuffing {
        Stuffing {
            lines: Some(lines),
            ..Stuffing::whole()
        }
    }

    /// Takes the next octets; false: nothing behind them is wanted.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> bool {
        let mut rest = octets;
        while !self.done && !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, later) = rest.split_at_checked(end).unwrap_or((rest, b""));
            rest = later;
            if self.last[1] == b'\n' && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            self.seen(line);
        }
        !self.done
    }

    fn seen(&mut self, line: &[u8]) {
        self.last = match line {
            [.., a, b] => [*a, *b],
            [b] => [self.last[1], *b],
            [] => self.last,
        };
        if !line.ends_with(b"\n") {
            self.begun = match (self.begun, line) {
                (Begun::Nothing, b"\r") => Begun::Cr,
                _ => Begun::Text,
            };
            return;
        }
        let empty = matches!(
            (self.begun, line),
            (Begun::Nothing, b"\n" | b"\r\n") | (Begun::Cr, b"\n")
        );
        self.begun = Begun::Nothing;
        let Some(lines) = &mut self.lines else { return };
        if self.in_header {
            self.in_header = !empty;
            self.done = empty && *lines == 0;
        } else {
            *lines -= 1;
            self.done = *lines == 0;
        }
    }

    /// Ends the answer.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.last == *b"\r\n" { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stuffing: &Stuffing, message: &str, expected: &str) {
        for step in [1, 2, 3, 1000] {
            let mut stuffing = stuffing.clone();
            let mut out = Vec::new();
            for piece in message.as_bytes().chunks(step) {
                if !stuffing.push(piece, &mut out) {
                    break;
                }
            }
            stuffing.finish(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{message:?} by {step}");
        }
    }

    #[test]
    fn dots() {
        let whole = Stuffing::whole();
        check(&whole, "", ".\r\n");
        check(&whole, "a\r\n", "a\r\n.\r\n");
        check(&whole, "a", "a\r\n.\r\n");
        check(&whole, "a\n", "a\n\r\n.\r\n");
        check(&whole, ".a\r\n.\r\n..\r\nb.\r\n", "..a\r\n..\r\n...\r\nb.\r\n.\r\n");
        check(&whole, "a\n.\nb\r\n", "a\n..\nb\r\n.\r\n");
        check(&whole, "a\r.\r\n", "a\r.\r\n.\r\n");
    }

    #[test]
    fn tops() {
        let message = "A: b\r\nC: d\r\n\r\none\r\n.two\r\n\r\nthree\r\n";
        check(&Stuffing::top(0), message, "A: b\r\nC: d\r\n\r\n.\r\n");
        check(&Stuffing::top(1), message, "A: b\r\nC: d\r\n\r\none\r\n.\r\n");
        check(
            &Stuffing::top(3),
            message,
            "A: b\r\nC: d\r\n\r\none\r\n..two\r\n\r\n.\r\n",
        );
        check(
            &Stuffing::top(99),
            message,
            "A: b\r\nC: d\r\n\r\none\r\n..two\r\n\r\nthree\r\n.\r\n",
        );
        check(&Stuffing::top(0), "A: b\n\nbody\n", "A: b\n\n\r\n.\r\n");
        check(&Stuffing::top(5), "A: b\r\n", "A: b\r\n.\r\n");
    }
}
