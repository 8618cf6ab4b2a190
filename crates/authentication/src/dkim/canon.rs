//! Canonical forms (RFC 6376 §3.4): what may change on the way without breaking a signature.

use aws_lc_rs::digest::{Context, SHA256};

/// How much may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Canon {
    /// Nothing but empty lines at the end.
    Simple,
    /// White space, too.
    Relaxed,
}

impl Canon {
    pub(crate) fn parse(word: &str) -> Option<Canon> {
        match word {
            word if word.eq_ignore_ascii_case("simple") => Some(Canon::Simple),
            word if word.eq_ignore_ascii_case("relaxed") => Some(Canon::Relaxed),
            _ => None,
        }
    }

    /// As `c=` has it.
    pub fn name(self) -> &'static str {
        match self {
            Canon::Simple => "simple",
            Canon::Relaxed => "relaxed",
        }
    }
}

/// Appends a field in canonical form (§3.4.1, §3.4.2), its line end included.
pub(crate) fn header_field(out: &mut Vec<u8>, raw: &[u8], canon: Canon) {
    if canon == Canon::Simple {
        return out.extend_from_slice(raw);
    }
    let colon = memchr::memchr(b':', raw).unwrap_or(raw.len());
    let (name, value) = raw.split_at(colon);
    out.extend(name.trim_ascii().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut space = false;
    let mut begun = false;
    for &b in value.get(1..).unwrap_or_default() {
        match b {
            b' ' | b'\t' => space = true,
            b'\r' | b'\n' => {}
            b => {
                if space && begun {
                    out.push(b' ');
                }
                (space, begun) = (false, true);
                out.push(b);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The hash of a body that streams by.
pub(crate) struct BodyHash {
    canon: Canon,
    limit: Option<u64>,
    context: Context,
    /// Octets that gather before they are hashed.
    buffer: Vec<u8>,
    /// Canonical octets so far; the hash takes those up to the limit.
    length: u64,
    /// Line ends that count only if something follows them.
    ends: u64,
    /// A CR whose LF may come with the next piece.
    cr: bool,
    /// White space that counts only if something follows on its line.
    space: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDigest {
    /// The form that was hashed.
    pub canon: Canon,
    /// How many octets at most were hashed (`l=`).
    pub limit: Option<u64>,
    /// SHA-256.
    pub digest: [u8; 32],
    /// The octets of the canonical body, whatever the limit.
    pub length: u64,
}

const BUFFER: usize = 16 * 1024;

impl BodyHash {
    pub(crate) fn new(canon: Canon, limit: Option<u64>) -> BodyHash {
        BodyHash {
            canon,
            limit,
            context: Context::new(&SHA256),
            buffer: Vec::with_capacity(BUFFER),
            length: 0,
            ends: 0,
            cr: false,
            space: false,
        }
    }

    pub(crate) fn is(&self, canon: Canon, limit: Option<u64>) -> bool {
        self.canon == canon && self.limit == limit
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.cr) {
            match bytes.split_first() {
                Some((b'\n', rest)) => {
                    self.line_end();
                    bytes = rest;
                }
                _ => self.content(b"\r"),
            }
        }
        while let Some(at) = memchr::memchr(b'\r', bytes) {
            let (line, rest) = bytes.split_at(at);
            self.content(line);
            bytes = match rest {
                [_, b'\n', behind @ ..] => {
                    self.line_end();
                    behind
                }
                [_] => {
                    self.cr = true;
                    return;
                }
                [_, behind @ ..] => {
                    self.content(b"\r");
                    behind
                }
                [] => return,
            };
        }
        self.content(bytes);
    }

    pub(crate) fn finish(mut self) -> BodyDigest {
        if self.cr {
            self.content(b"\r");
        }
        if self.length > 0 || self.canon == Canon::Simple {
            self.emit(b"\r\n");
        }
        self.context.update(&self.buffer);
        let mut digest = [0; 32];
        digest.copy_from_slice(self.context.finish().as_ref());
        BodyDigest {
            canon: self.canon,
            limit: self.limit,
            digest,
            length: self.length,
        }
    }

    fn line_end(&mut self) {
        self.ends += 1;
        self.space = false;
    }

    /// A part of a line.
    fn content(&mut self, bytes: &[u8]) {
        if self.canon == Canon::Simple {
            return self.text(bytes);
        }
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let white = matches!(first, b' ' | b'\t');
            let end = if white {
                rest.iter().position(|b| !matches!(b, b' ' | b'\t'))
            } else {
                memchr::memchr2(b' ', b'\t', rest)
            };
            let (run, behind) = rest.split_at(end.unwrap_or(rest.len()));
            if white {
                self.space = true;
            } else {
                self.text(run);
            }
            rest = behind;
        }
    }

    /// Something that counts for certain.
    fn text(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        for _ in 0..std::mem::take(&mut self.ends) {
            self.emit(b"\r\n");
        }
        if std::mem::take(&mut self.space) {
            self.emit(b" ");
        }
        self.emit(bytes);
    }

    fn emit(&mut self, bytes: &[u8]) {
        let taken = match self.limit {
            None => bytes,
            Some(limit) => {
                let left = usize::try_from(limit.saturating_sub(self.length)).unwrap_or(usize::MAX);
                bytes.get(..left).unwrap_or(bytes)
            }
        };
        self.length += bytes.len() as u64;
        if self.buffer.len() + taken.len() > BUFFER {
            self.context.update(&self.buffer);
            self.buffer.clear();
        }
        if taken.len() > BUFFER {
            self.context.update(taken);
        } else {
            self.buffer.extend_from_slice(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &[u8]) -> [u8; 32] {
        aws_lc_rs::digest::digest(&SHA256, text).as_ref().try_into().unwrap()
    }

    fn check(body: &str, simple: &str, relaxed: &str) {
        for (canon, expected) in [(Canon::Simple, simple), (Canon::Relaxed, relaxed)] {
            // In one piece, and cut at every place.
            for cut in 0..=body.len() {
                let mut hash = BodyHash::new(canon, None);
                hash.push(&body.as_bytes()[..cut]);
                hash.push(&body.as_bytes()[cut..]);
                let found = hash.finish();
                assert_eq!(
                    found.digest,
                    digest(expected.as_bytes()),
                    "{canon:?} {body:?} cut at {cut}"
                );
                assert_eq!(found.length, expected.len() as u64, "{canon:?} {body:?}");
            }
        }
    }

    #[test]
    fn bodies() {
        // RFC 6376 §3.4.5.
        check(" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n");
        check("", "\r\n", "");
        check("\r\n\r\n", "\r\n", "");
        check("a", "a\r\n", "a\r\n");
        check("a\r\n\r\nb", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n");
        // Lines of white space only are empty lines to the relaxed form, at the end as elsewhere (§3.4.4).
        check("a\r\n  \r\n\t\r\n", "a\r\n  \r\n\t\r\n", "a\r\n");
        check("a\r\n \r\nb\r\n \t ", "a\r\n \r\nb\r\n \t \r\n", "a\r\n\r\nb\r\n");
        check(" \r\n", " \r\n", "");
        check("a\rb\nc\r\r\n", "a\rb\nc\r\r\n", "a\rb\nc\r\r\n");
    }

    #[test]
    fn limits() {
        for (limit, expected) in [(0, ""), (3, "ab\r"), (4, "ab\r\n"), (99, "ab\r\ncd\r\n")] {
            let mut hash = BodyHash::new(Canon::Simple, Some(limit));
            hash.push(b"ab\r\ncd\r\n\r\n");
            let found = hash.finish();
            assert_eq!(found.digest, digest(expected.as_bytes()), "{limit}");
            assert_eq!(found.length, 8);
        }
    }

    #[test]
    fn headers() {
        // RFC 6376 §3.4.5.
        let cases = [
            ("A: X\r\n", "A: X\r\n", "a:X\r\n"),
            ("B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
            ("C:\r\n \r\n", "C:\r\n \r\n", "c:\r\n"),
        ];
        for (raw, simple, relaxed) in cases {
            for (canon, expected) in [(Canon::Simple, simple), (Canon::Relaxed, relaxed)] {
                let mut out = Vec::new();
                header_field(&mut out, raw.as_bytes(), canon);
                assert_eq!(String::from_utf8_lossy(&out), expected, "{raw:?}");
            }
        }
    }
}
