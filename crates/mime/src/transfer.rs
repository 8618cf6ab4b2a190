//! Transfer encodings (RFC 2045 §6), undone generously: what does not belong is passed over.

use std::borrow::Cow;

use memchr::memchr;

/// `Content-Transfer-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary`: nothing to undo.
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// Something else, such as `x-uuencode`: IMAP's `BINARY` answers `UNKNOWN-CTE` (RFC 3516 §4.3).
    Unknown,
}

impl Encoding {
    /// The encoding of that name, in any case.
    pub fn parse(name: &[u8]) -> Encoding {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("base64") {
            Encoding::Base64
        } else if is("quoted-printable") {
            Encoding::QuotedPrintable
        } else if is("7bit") || is("8bit") || is("binary") {
            Encoding::Identity
        } else {
            Encoding::Unknown
        }
    }
}

/// The body of a part with its transfer encoding undone. [`Encoding::Unknown`] is left as it is.
pub fn decode_part(bytes: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Identity | Encoding::Unknown => Cow::Borrowed(bytes),
        Encoding::Base64 => Cow::Owned(decode_base64(bytes)),
        Encoding::QuotedPrintable => Cow::Owned(decode_quoted_printable(bytes)),
    }
}

/// Characters outside the alphabet are passed over; padding ends a group, and more groups may follow.
pub(crate) fn decode_base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    let mut group = 0u32;
    let mut have = 0u32;
    for &byte in bytes {
        let value = BASE64[byte as usize];
        if value < 64 {
            group = group << 6 | u32::from(value);
            have += 1;
            if have == 4 {
                out.extend_from_slice(&[(group >> 16) as u8, (group >> 8) as u8, group as u8]);
                (group, have) = (0, 0);
            }
        } else if byte == b'=' {
            end_group(&mut out, group, have);
            (group, have) = (0, 0);
        }
    }
    end_group(&mut out, group, have);
    out
}

fn end_group(out: &mut Vec<u8>, group: u32, have: u32) {
    match have {
        2 => out.push((group >> 4) as u8),
        3 => out.extend_from_slice(&[(group >> 10) as u8, (group >> 2) as u8]),
        _ => {}
    }
}

const BASE64: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [255u8; 256];
    let mut index = 0;
    while index < 64 {
        table[alphabet[index] as usize] = index as u8;
        index += 1;
    }
    table
};

/// White space at the end of a line was put there on the way and goes (RFC 2045 §6.7 rule 3); an `=` that begins no code
/// stays.
fn decode_quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let text = line.trim_ascii_end();
        let line_end: &[u8] = if line.ends_with(b"\r\n") {
            b"\r\n"
        } else if line.ends_with(b"\n") {
            b"\n"
        } else {
            b""
        };
        match text.strip_suffix(b"=") {
            Some(text) => decode_codes(text, &mut out),
            None => {
                decode_codes(text, &mut out);
                out.extend_from_slice(line_end);
            }
        }
    }
    out
}

fn decode_codes(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'=', rest) {
        let (plain, code) = rest.split_at(at);
        out.extend_from_slice(plain);
        match code {
            [b'=', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                out.push(b'=');
                rest = code.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest);
}

/// The Q encoding of headers (RFC 2047 §4.2): as quoted-printable, with `_` for a blank.
pub(crate) fn decode_q(text: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'_' { b' ' } else { byte })
        .collect();
    let mut out = Vec::with_capacity(text.len());
    decode_codes(&blanks, &mut out);
    out
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
