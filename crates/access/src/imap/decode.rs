//! Transfer encodings undone in pieces, for BINARY (RFC 3516): a part of any size passes through in constant memory.

use mime::{Encoding, decode_part};

/// Octets of quoted-printable that wait for the end of their line.
const LINE: usize = 64 * 1024;

/// Takes the encoded octets of a part in pieces.
pub(crate) struct Decoder {
    encoding: Encoding,
    carry: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new(encoding: Encoding) -> Decoder {
        Decoder {
            encoding,
            carry: Vec::new(),
        }
    }

    /// What the next piece decodes to, as far as it can be told yet.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        match self.encoding {
            Encoding::Base64 => {
                let wanted = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
                self.carry.extend(piece.iter().copied().filter(wanted));
                // Groups of four, counted from the last padding: what stands before it is complete.
                let start = self.carry.iter().rposition(|b| *b == b'=').map_or(0, |i| i + 1);
                let whole = start + (self.carry.len() - start) / 4 * 4;
                self.decode(whole)
            }
            Encoding::QuotedPrintable => {
                self.carry.extend_from_slice(piece);
                let whole = match self.carry.iter().rposition(|b| *b == b'\n') {
                    Some(end) => end + 1,
                    None if self.carry.len() < LINE => 0,
                    // No line is so long; an escape at the cut is kept whole.
                    None => {
                        let tail = self.carry.len() - 3;
                        let escape = self.carry.iter().skip(tail).position(|b| *b == b'=');
                        escape.map_or(self.carry.len(), |i| tail + i)
                    }
                };
                self.decode(whole)
            }
            Encoding::Identity | Encoding::Unknown => piece.to_vec(),
        }
    }

    /// What was still waiting.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.decode(self.carry.len())
    }

    fn decode(&mut self, upto: usize) -> Vec<u8> {
        let decoded = decode_part(self.carry.get(..upto).unwrap_or_default(), self.encoding).into_owned();
        self.carry.drain(..upto);
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: Encoding, input: &[u8]) {
        let whole = decode_part(input, encoding).into_owned();
        for size in [1, 2, 3, 4, 5, 7, 64, 1000] {
            let mut decoder = Decoder::new(encoding);
            let mut pieces = Vec::new();
            for piece in input.chunks(size) {
                pieces.extend(decoder.push(piece));
            }
            pieces.extend(decoder.finish());
            assert_eq!(pieces, whole, "{encoding:?} in pieces of {size}");
        }
    }

    #[test]
    fn pieces_decode_like_the_whole() {
        check(Encoding::Base64, b"SGVsbG8s\r\nIHdvcmxkIQ==\r\n");
        check(Encoding::Base64, b"YQ==YmM=ZGVm!Z2hp\r\n\r\nYQ");
        check(Encoding::QuotedPrintable, b"a=20b=\r\nc =3D d   \r\nlast=C3=A4");
        check(Encoding::Identity, b"plain\0text");
    }
}
