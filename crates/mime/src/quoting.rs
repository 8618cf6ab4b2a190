//! IMAP strings (RFC 9051 §4.3): quoted where the bytes allow it, a literal where not.

/// Writes `NIL` or the string.
pub fn write_nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => write_string(out, value),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Writes a quoted string or, where there are line ends or 8-bit bytes, a literal. NUL, which no IMAP string may hold, is
/// left out.
pub fn write_string(out: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|&byte| matches!(byte, 1..=9 | 11..=12 | 14..=127)) {
        out.push(b'"');
        for &byte in value {
            if byte == b'"' || byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        let nuls = value.iter().filter(|&&byte| byte == 0).count();
        out.push(b'{');
        write_number(out, (value.len() - nuls) as u64);
        out.extend_from_slice(b"}\r\n");
        out.extend(value.iter().filter(|&&byte| byte != 0));
    }
}

pub(crate) fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
