//! Lines out of a stream of octets, each within its bound.

/// What was cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line without its end.
    Whole(Vec<u8>),
    /// One that was too long; it is read and gone.
    TooLong,
}

/// Collects a line. A LF ends it, a CR before that belongs to the end.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    overflown: bool,
}

impl Lines {
    /// Takes a line off the front of `input`, or all of it where it holds no end of line.
    pub(crate) fn cut(&mut self, input: &mut &[u8], limit: usize) -> Option<Line> {
        let end = memchr::memchr(b'\n', input);
        let taken = end.map_or(input.len(), |at| at + 1);
        let (now, rest) = input.split_at_checked(taken)?;
        *input = rest;
        if self.overflown || self.begun.len() + now.len() > limit {
            self.overflown = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(now);
        }
        end?;
        if std::mem::take(&mut self.overflown) {
            return Some(Line::TooLong);
        }
        let mut line = std::mem::take(&mut self.begun);
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Line::Whole(line))
    }

    /// Forgets what has begun.
    pub(crate) fn clear(&mut self) {
        *self = Lines::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str], limit: usize) -> Vec<Option<String>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut input = piece.as_bytes();
            while let Some(line) = lines.cut(&mut input, limit) {
                found.push(match line {
                    Line::Whole(line) => Some(String::from_utf8_lossy(&line).into_owned()),
                    Line::TooLong => None,
                });
            }
            assert!(input.is_empty());
        }
        found
    }

    #[test]
    fn lines_are_cut_and_bounded() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(cut(&["NOOP\r\nQUIT\n"], 10), [some("NOOP"), some("QUIT")]);
        assert_eq!(cut(&["NO", "OP\r", "\n", "\r\n"], 10), [some("NOOP"), some("")]);
        assert_eq!(cut(&["0123456789", "0123\r\nNOOP\r\n"], 10), [None, some("NOOP")]);
        assert_eq!(cut(&["01234567\r\n", "012345678\r\n"], 10), [some("01234567"), None]);
    }
}
