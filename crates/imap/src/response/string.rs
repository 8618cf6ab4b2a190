//! Strings. RFC 9051 §4.3.

use crate::cursor::is_astring;
use crate::response::decimal;

/// Longer ones become literals: old clients read a quoted string into a line buffer.
const QUOTED: usize = 1000;

/// `astring`: bare where it can be, else quoted, else a literal.
pub fn astring(out: &mut Vec<u8>, octets: &[u8], utf8: bool) {
    let bare = !octets.is_empty() && octets.iter().all(|&b| is_astring(b)) && !octets.eq_ignore_ascii_case(b"NIL");
    if bare {
        out.extend_from_slice(octets);
    } else {
        quoted_or_literal(out, octets, utf8);
    }
}

/// `string`: quoted where it can be, else a literal. Octets above 127 are quoted only if they are UTF-8 and the client reads it.
pub fn quoted_or_literal(out: &mut Vec<u8>, octets: &[u8], utf8: bool) {
    let quotable = octets.len() <= QUOTED
        && !octets.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
        && (octets.is_ascii() || (utf8 && std::str::from_utf8(octets).is_ok()));
    if !quotable {
        return literal(out, octets);
    }
    out.push(b'"');
    for &octet in octets {
        if octet == b'"' || octet == b'\\' {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

/// `nstring`: a string or `NIL`.
pub fn nstring(out: &mut Vec<u8>, octets: Option<&[u8]>, utf8: bool) {
    match octets {
        Some(octets) => quoted_or_literal(out, octets, utf8),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `literal`
pub fn literal(out: &mut Vec<u8>, octets: &[u8]) {
    literal_head(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// `{n}` and its line end; the octets are for the caller to send.
pub(crate) fn literal_head(out: &mut Vec<u8>, len: u64) {
    out.push(b'{');
    decimal(out, len);
    out.extend_from_slice(b"}\r\n");
}
