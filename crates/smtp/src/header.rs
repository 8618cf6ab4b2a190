//! A first look at a message's header while it streams by: how long it is, and how many servers it has passed (RFC 5321 §6.3 counts
//! Received lines to find loops). Constant memory; whatever does not look like a header field ends the header.

/// What a message's header showed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing wrong.
    Fine,
    /// More Received lines than allowed.
    Loop,
    /// Longer than allowed.
    TooLarge,
}

/// Watches a message go by.
#[derive(Debug, Clone)]
pub struct HeaderScan {
    state: State,
    size: u64,
    hops: u32,
    looping: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    /// In a field's name; how many bytes of `received` it has matched, `None` if it is another name.
    Name(Option<usize>),
    /// In the white space that old messages have before the colon; whether the name was `received`.
    BeforeColon(bool),
    /// In a field's value.
    Value,
    /// In the body.
    Done,
}

const RECEIVED: &[u8] = b"received";

impl Default for HeaderScan {
    fn default() -> HeaderScan {
        HeaderScan {
            state: State::LineStart,
            size: 0,
            hops: 0,
            looping: false,
        }
    }
}

impl HeaderScan {
    /// Looks at the next bytes of the message.
    pub fn push(&mut self, bytes: &[u8], hops: u32, size: u64) -> Verdict {
        let mut rest = bytes;
        while self.state != State::Done {
            if self.state == State::Value {
                let Some(end) = memchr::memchr(b'\n', rest) else {
                    self.size += rest.len() as u64;
                    break;
                };
                self.size += end as u64 + 1;
                rest = rest.get(end + 1..).unwrap_or_default();
                self.state = State::LineStart;
                continue;
            }
            let Some((&byte, behind)) = rest.split_first() else {
                break;
            };
            rest = behind;
            self.size += 1;
            self.state = match (self.state, byte) {
                (State::LineStart, b' ' | b'\t') => State::Value,
                (State::LineStart, byte) => name(Some(0), byte),
                (State::Name(matched), b':') => self.field(matched == Some(RECEIVED.len()), hops, size),
                (State::Name(matched), b' ' | b'\t') => State::BeforeColon(matched == Some(RECEIVED.len())),
                (State::Name(matched), byte) => name(matched, byte),
                (State::BeforeColon(received), b':') => self.field(received, hops, size),
                (State::BeforeColon(received), b' ' | b'\t') => State::BeforeColon(received),
                _ => State::Done,
            };
        }
        if self.looping {
            Verdict::Loop
        } else if self.size > size {
            Verdict::TooLarge
        } else {
            Verdict::Fine
        }
    }

    /// How many Received lines were seen.
    pub fn hops(&self) -> u32 {
        self.hops
    }

    fn field(&mut self, received: bool, hops: u32, size: u64) -> State {
        self.hops += u32::from(received);
        // What comes first is what is wrong with the message, also where both are seen at once.
        self.looping |= self.hops > hops && self.size <= size;
        State::Value
    }
}

/// One more byte of a field's name: `ftext` of RFC 5322 §3.6.8, or the header has ended.
fn name(matched: Option<usize>, byte: u8) -> State {
    if !byte.is_ascii_graphic() || byte == b':' {
        return State::Done;
    }
    let matched = matched.filter(|&at| RECEIVED.get(at) == Some(&byte.to_ascii_lowercase()));
    State::Name(matched.map(|at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_and_sizes() {
        let cases: &[(&str, u32, u64)] = &[
            ("", 0, 0),
            ("Subject: x\r\n\r\nReceived: y\r\n", 0, 13),
            (
                "Received: a\r\nRECEIVED : b\r\n c\r\nReceived-SPF: d\r\nX-Received: e\r\n\r\nbody",
                2,
                64,
            ),
            ("Received\r\nReceived: x\r\n", 0, 9),
            ("no header at all\r\nReceived: x\r\n", 0, 4),
            ("\r\nReceived: x\r\n", 0, 1),
            (" folded first\r\nreceived:x", 1, 25),
        ];
        for (input, hops, size) in cases {
            let mut at_once = HeaderScan::default();
            at_once.push(input.as_bytes(), 50, 1000);
            assert_eq!((at_once.hops, at_once.size), (*hops, *size), "{input:?}");
            let mut bytewise = HeaderScan::default();
            for byte in input.as_bytes().chunks(1) {
                bytewise.push(byte, 50, 1000);
            }
            assert_eq!(
                (bytewise.hops, bytewise.size, bytewise.state),
                (at_once.hops, at_once.size, at_once.state),
                "{input:?}"
            );
        }
        assert_eq!(
            HeaderScan::default().push(b"Received: a\r\nReceived: b\r\n", 1, 100),
            Verdict::Loop
        );
        assert_eq!(
            HeaderScan::default().push(b"Subject: abcdefgh\r\n", 1, 10),
            Verdict::TooLarge
        );
    }
}
