//! From text to what may stand in a message: encoded words (RFC 2047), quoted-printable (RFC 2045 §6.7), parts of plain text.

use std::fmt::Write;

/// The longest line of a part that goes out as it is (RFC 5322 §2.1.1 allows 998 octets).
const PLAIN_LINE: usize = 900;

/// Without what could end a line: for the values of fields.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text for a field: as it is if it is ASCII, else in encoded words of at most 75 characters (RFC 2047 §2).
pub fn encode_header(text: &str) -> String {
    let text = one_line(text);
    if text.is_ascii() {
        return text;
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        let mut piece = String::new();
        match c {
            ' ' => piece.push('_'),
            c if c.is_ascii_alphanumeric() => piece.push(c),
            c => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(piece, "={byte:02X}");
                }
            }
        }
        if word.len() + piece.len() > 60 {
            words.push(std::mem::take(&mut word));
        }
        word.push_str(&piece);
    }
    words.push(word);
    let words: Vec<String> = words.into_iter().map(|w| format!("=?UTF-8?Q?{w}?=")).collect();
    words.join(" ")
}

/// Line ends as mail has them.
pub fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Header and body of a part of plain text. ASCII goes out as it is, everything else as quoted-printable.
pub fn text_part(body: &str) -> String {
    let body = crlf(body);
    let plain = body.is_ascii() && body.lines().all(|line| line.len() <= PLAIN_LINE);
    let mut part = String::from("Content-Type: text/plain; charset=utf-8\r\n");
    if plain {
        part.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        part.push_str(&body);
    } else {
        part.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        part.push_str(&quoted_printable(body.as_bytes()));
    }
    if !part.ends_with("\r\n") {
        part.push_str("\r\n");
    }
    part
}

/// Quoted-printable of lines that end in CRLF (RFC 2045 §6.7).
pub fn quoted_printable(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    loop {
        let end = memchr::memmem::find(rest, b"\r\n");
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let mut column = 0;
        let last = line.len().saturating_sub(1);
        for (at, &byte) in line.iter().enumerate() {
            let literal = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && at != last);
            let width = if literal { 1 } else { 3 };
            if column + width > 75 {
                out.push_str("=\r\n");
                column = 0;
            }
            if literal {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "={byte:02X}");
            }
            column += width;
        }
        let Some(end) = end else {
            return out;
        };
        out.push_str("\r\n");
        rest = rest.get(end + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_keeps_lines_short() {
        let text = quoted_printable(format!("\r\n{} \r\nä={}", "x".repeat(200), "ö".repeat(50)).as_bytes());
        assert!(text.split("\r\n").all(|l| l.len() <= 76), "{text}");
        assert!(text.starts_with("\r\nx"), "{text}");
        assert!(text.contains("=20\r\n=C3=A4=3D"));
    }

    #[test]
    fn fields_are_one_line_of_ascii() {
        let cases = [
            ("plain", "plain"),
            ("weg\r\nBcc: x@y", "weg  Bcc: x@y"),
            ("Grüße an alle", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe_an_alle?="),
        ];
        for (text, expected) in cases {
            assert_eq!(encode_header(text), expected);
            assert_eq!(crate::decode_header(expected.as_bytes()), one_line(text));
        }
    }
}
