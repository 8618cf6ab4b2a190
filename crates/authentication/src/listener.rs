//! Hears a message while it streams by.

use crate::Limits;
use crate::arc;
use crate::dkim::{BodyDigest, BodyHash, Canon, Signature};
use crate::message::fields;

/// Takes the octets of a message in any pieces. Keeps the header, and hashes the body in each of the ways that its signatures need.
pub struct Listener {
    limits: Limits,
    header: Vec<u8>,
    /// From where on the end of the header is looked for.
    looked: usize,
    bodies: Vec<BodyHash>,
    in_body: bool,
    /// A hash for a signature of ours is made, too.
    signing: bool,
}

/// A message that was heard to its end.
#[derive(Clone, Debug)]
pub struct Heard {
    header: Vec<u8>,
    bodies: Vec<BodyDigest>,
}

impl Listener {
    /// For signatures that are there.
    pub fn new(limits: Limits) -> Listener {
        Listener {
            limits,
            header: Vec::new(),
            looked: 0,
            bodies: Vec::new(),
            in_body: false,
            signing: false,
        }
    }

    /// The same, and for signatures that are to be made.
    #[must_use]
    pub fn signing(self) -> Listener {
        Listener { signing: true, ..self }
    }

    /// The next octets.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.in_body {
            return self.body(bytes);
        }
        self.header.extend_from_slice(bytes);
        if let Some(end) = self.header_end() {
            let rest = self.header.split_off(end);
            self.begin_body();
            self.body(&rest);
        } else if self.header.len() > self.limits.header {
            // Not a header any more. Nothing in it is believed: what is cut off cannot be verified.
            self.begin_body();
        }
    }

    /// The message is over.
    pub fn finish(mut self) -> Heard {
        if !self.in_body {
            self.begin_body();
        }
        Heard {
            header: self.header,
            bodies: self.bodies.into_iter().map(BodyHash::finish).collect(),
        }
    }

    /// Where the body begins: behind the empty line.
    fn header_end(&mut self) -> Option<usize> {
        for (empty, length) in [(&b"\r\n"[..], 2), (b"\n", 1)] {
            if self.looked == 0 && self.header.starts_with(empty) {
                return Some(length);
            }
        }
        let from = self.looked;
        for end in memchr::memchr_iter(b'\n', self.header.get(from..)?) {
            let end = from + end + 1;
            match self.header.get(end..) {
                Some([b'\n', ..]) => return Some(end + 1),
                Some([b'\r', b'\n', ..]) => return Some(end + 2),
                _ => {}
            }
        }
        self.looked = self.header.len().saturating_sub(3);
        None
    }

    fn begin_body(&mut self) {
        self.in_body = true;
        let mut wanted: Vec<(Canon, Option<u64>)> = Vec::new();
        if self.signing {
            wanted.push((Canon::Relaxed, None));
        }
        let signatures = fields(&self.header).filter(|field| field.is("DKIM-Signature"));
        for field in signatures.take(self.limits.signatures) {
            if let Ok(signature) = Signature::parse(field.value, false) {
                wanted.push((signature.body_canon, signature.length));
            }
        }
        if let Some(signature) = arc::newest_signature(&self.header, &self.limits) {
            wanted.push((signature.body_canon, signature.length));
        }
        for (canon, limit) in wanted {
            if !self.bodies.iter().any(|body| body.is(canon, limit)) {
                self.bodies.push(BodyHash::new(canon, limit));
            }
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        for body in &mut self.bodies {
            body.push(bytes);
        }
    }
}

impl Heard {
    /// A message that is at hand.
    pub fn whole(message: &[u8], limits: &Limits) -> Heard {
        let mut listener = Listener::new(limits.clone()).signing();
        listener.push(message);
        listener.finish()
    }

    /// The header, with the empty line where there is one.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The hash of the body in this form, if it was made.
    pub fn body(&self, canon: Canon, limit: Option<u64>) -> Option<&BodyDigest> {
        self.bodies
            .iter()
            .find(|body| body.canon == canon && body.limit == limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_body_are_told_apart_wherever_they_are_cut() {
        let cases = [
            ("A: b\r\n\r\nbody\r\n", "A: b\r\n\r\n"),
            ("\r\nbody", "\r\n"),
            ("A: b\n\nbody", "A: b\n\n"),
            ("A: b\r\n", "A: b\r\n"),
            ("", ""),
        ];
        for (message, header) in cases {
            let message = message.as_bytes();
            let whole = Heard::whole(message, &Limits::default());
            assert_eq!(String::from_utf8_lossy(whole.header()), header);
            for cut in 0..message.len() {
                let mut listener = Listener::new(Limits::default()).signing();
                listener.push(&message[..cut]);
                listener.push(&message[cut..]);
                let heard = listener.finish();
                assert_eq!(heard.header(), whole.header(), "{message:?} {cut}");
                assert_eq!(heard.body(Canon::Relaxed, None), whole.body(Canon::Relaxed, None));
            }
        }
    }
}
