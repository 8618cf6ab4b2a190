//! From octets to complete commands. RFC 5804 §4: a line ends in CRLF; `{n+}` at its end announces `n` octets and more of the line.

use crate::{Error, Limits};

/// What one call of [`Framer::input`] has found.
#[derive(Debug)]
pub struct Step<'a> {
    /// How many octets of the input are dealt with. The next call starts behind them.
    pub used: usize,
    /// What they meant.
    pub event: Event<'a>,
}

/// What the octets of a client mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing yet: more octets are needed.
    More,
    /// A complete command, literals included, without its last line end: for [`Command::parse`](crate::Command::parse), or for
    /// [`sasl_response`](crate::sasl_response) where one is due.
    Command(&'a [u8]),
    /// The command is refused and done with: answer `NO`.
    Rejected(Error),
    /// The client doesn't come to an end: say `BYE` and close.
    Fatal(Error),
}

#[derive(Debug)]
enum State {
    /// In a line that began at this place of the buffer.
    Line(usize),
    /// So many octets of a literal are to come.
    Literal(usize),
    /// Throwing away so many octets of a literal, then the rest of the line.
    Swallow(u64, Error),
    /// Throwing a line away up to its end, of which the last octets are kept.
    SwallowLine(Vec<u8>, Error),
}

/// Cuts a stream into commands.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// The command in `buffer` was handed out.
    spent: bool,
    state: State,
    swallowed: u64,
}

impl Framer {
    /// Nothing read yet.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            buffer: Vec::new(),
            spent: false,
            state: State::Line(0),
            swallowed: 0,
        }
    }

    /// Other limits from the next command on.
    pub fn limits_set(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes octets up to the end of a command.
    pub fn input(&mut self, input: &[u8]) -> Step<'_> {
        if std::mem::take(&mut self.spent) {
            self.buffer.clear();
            self.buffer.shrink_to(4096);
        }
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Step {
                    used,
                    event: Event::More,
                };
            }
            match &mut self.state {
                State::Literal(left) => {
                    let count = rest.len().min(*left);
                    self.buffer.extend_from_slice(rest.get(..count).unwrap_or_default());
                    used += count;
                    *left -= count;
                    if *left == 0 {
                        self.state = State::Line(self.buffer.len());
                    }
                }
                State::Swallow(left, error) => {
                    let count = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(*left);
                    used += usize::try_from(count).unwrap_or(rest.len());
                    *left -= count;
                    if *left == 0 {
                        let error = error.clone();
                        self.state = State::SwallowLine(Vec::new(), error);
                    }
                }
                State::SwallowLine(tail, error) => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        used += rest.len();
                        keep_tail(tail, rest);
                        self.swallowed += rest.len() as u64;
                        if self.swallowed > self.limits.discard {
                            let error = error.clone();
                            return Step {
                                used,
                                event: Event::Fatal(error),
                            };
                        }
                        continue;
                    };
                    let (line, error) = (rest.get(..end).unwrap_or_default(), error.clone());
                    keep_tail(tail, line);
                    used += end + 1;
                    let announced = announced(tail.strip_suffix(b"\r").unwrap_or(tail));
                    if let Some(event) = self.swallow(announced, error) {
                        return Step { used, event };
                    }
                }
                State::Line(start) => {
                    let start = *start;
                    let have = self.buffer.len() - start;
                    let end = memchr::memchr(b'\n', rest);
                    let line = end.map_or(rest.len(), |end| end + 1);
                    if have + line > self.limits.line {
                        let error = Error::LineTooLong(self.limits.line);
                        self.buffer.clear();
                        self.swallowed = 0;
                        self.state = State::SwallowLine(Vec::new(), error);
                        continue;
                    }
                    self.buffer.extend_from_slice(rest.get(..line).unwrap_or_default());
                    used += line;
                    if end.is_none() {
                        continue;
                    }
                    let text = self.buffer.get(start..).unwrap_or_default();
                    let text = text.strip_suffix(b"\n").unwrap_or(text);
                    let text = text.strip_suffix(b"\r").unwrap_or(text);
                    match announced(text) {
                        Some(size) if size > self.limits.literal as u64 => {
                            let error = Error::LiteralTooLong {
                                size,
                                limit: self.limits.literal,
                            };
                            self.buffer.clear();
                            self.swallowed = 0;
                            if let Some(event) = self.swallow(Some(size), error) {
                                return Step { used, event };
                            }
                        }
                        // A command has no more than two literals; more would only be a way to make us hold more.
                        Some(_) if self.buffer.len() > self.limits.line + 2 * self.limits.literal => {
                            return Step {
                                used,
                                event: Event::Fatal(Error::Malformed("the command has too many literals")),
                            };
                        }
                        Some(0) => self.state = State::Line(self.buffer.len()),
                        Some(size) => self.state = State::Literal(usize::try_from(size).unwrap_or(usize::MAX)),
                        None => {
                            let end = start + text.len();
                            self.state = State::Line(0);
                            self.spent = true;
                            return Step {
                                used,
                                event: Event::Command(self.buffer.get(..end).unwrap_or_default()),
                            };
                        }
                    }
                }
            }
        }
    }

    /// Goes on throwing away: a literal that was announced, or nothing more, and then the refusal is told.
    fn swallow(&mut self, announced: Option<u64>, error: Error) -> Option<Event<'static>> {
        let Some(size) = announced else {
            self.state = State::Line(0);
            return Some(Event::Rejected(error));
        };
        self.swallowed = self.swallowed.saturating_add(size);
        if self.swallowed > self.limits.discard {
            return Some(Event::Fatal(error));
        }
        self.state = match size {
            0 => State::SwallowLine(Vec::new(), error),
            size => State::Swallow(size, error),
        };
        None
    }
}

/// Keeps as much of the end as `{18446744073709551615+}` and a CR take.
fn keep_tail(tail: &mut Vec<u8>, piece: &[u8]) {
    const TAIL: usize = 26;
    tail.extend_from_slice(piece.get(piece.len().saturating_sub(TAIL)..).unwrap_or_default());
    if tail.len() > TAIL {
        tail.drain(..tail.len() - TAIL);
    }
}

/// The size that `{n+}` at the end of a line announces.
fn announced(line: &[u8]) -> Option<u64> {
    let inner = line.strip_suffix(b"+}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let digits = inner.get(open + 1..)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().or(Some(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], size: usize, limits: &Limits) -> Vec<String> {
        let mut framer = Framer::new(limits.clone());
        let mut found = Vec::new();
        for piece in input.chunks(size) {
            let mut piece = piece;
            while !piece.is_empty() {
                let step = framer.input(piece);
                piece = &piece[step.used..];
                match step.event {
                    Event::More => {}
                    Event::Command(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                    Event::Rejected(e) => found.push(format!("NO {e}")),
                    Event::Fatal(e) => {
                        found.push(format!("BYE {e}"));
                        return found;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn commands_are_cut_wherever_they_are_torn() {
        let limits = Limits {
            line: 40,
            literal: 30,
            discard: 100,
        };
        let input = b"NOOP\r\nPUTSCRIPT \"a\" {7+}\r\n{3+}\r\nx\r\nCHECKSCRIPT {0+}\r\n\r\nPUTSCRIPT \"b\" {31+}\r\n0123456789012345678901234567890\r\n\
            LISTSCRIPTS\nPUTSCRIPT \"0123456789012345678901234567890\" {4+}\r\nabcd\r\nLOGOUT\r\nPUTSCRIPT \"c\" {99999999999999999999+}\r\n";
        let wanted = [
            "NOOP",
            "PUTSCRIPT \"a\" {7+}\r\n{3+}\r\nx",
            "CHECKSCRIPT {0+}\r\n",
            "NO 31 octets are more than the 30 that a script may have",
            "LISTSCRIPTS",
            "NO a line has more than 40 octets",
            "LOGOUT",
            "BYE 18446744073709551615 octets are more than the 30 that a script may have",
        ];
        for size in 1..input.len() {
            assert_eq!(all(input, size, &limits), wanted, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_fatal() {
        let limits = Limits {
            line: 40,
            literal: 30,
            discard: 100,
        };
        assert_eq!(all(&[b'x'; 1000], 7, &limits), ["BYE a line has more than 40 octets"]);
    }
}
