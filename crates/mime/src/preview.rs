//! The first words of a message, for a list of messages. RFC 8970 §3.

use crate::charset::decode_charset;
use crate::html::html_text;
use crate::{Kind, Part, Structure, decode_part};

/// Most characters of a preview. RFC 8970 §3.3 recommends as many.
const CHARACTERS: usize = 200;
/// Octets of a part that are looked at: enough for [`CHARACTERS`] in base64, and for what HTML puts before its first word.
const PLAIN: usize = 2 * 1024;
const HTML: usize = 16 * 1024;

/// The preview of a message whose first octets are `start`. Empty where no text can be found in them.
pub fn preview(start: &[u8], structure: &Structure) -> String {
    let texts = || structure.parts().iter().filter(|part| is_shown(part));
    let part = texts()
        .find(|part| part.is("text", "plain"))
        .or_else(|| texts().find(|part| part.is("text", "html")));
    let Some(part) = part else { return String::new() };
    let html = part.is("text", "html");
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(start.len());
    let (from, to) = (at(part.body_start), at(part.body_end));
    let body = start.get(from..to).unwrap_or_default();
    let body = body.get(..if html { HTML } else { PLAIN }).unwrap_or(body);
    let decoded = decode_part(body, part.transfer_encoding());
    let text = decode_charset(&decoded, part.parameter("charset").as_deref());
    let mut seen = String::new();
    if html {
        html_text(&text, &mut seen);
        return words(seen.lines());
    }
    // What others wrote before is not what this message says, unless it says nothing else.
    let own = words(text.lines().filter(|line| !line.starts_with('>')));
    if own.is_empty() { words(text.lines()) } else { own }
}

fn is_shown(part: &Part) -> bool {
    let attached = part
        .disposition
        .as_ref()
        .is_some_and(|disposition| disposition.kind.eq_ignore_ascii_case(b"attachment"));
    part.kind == Kind::Leaf && part.is_text() && !attached
}

/// Words with one space between them, without what draws lines and without controls.
fn words<'t>(lines: impl Iterator<Item = &'t str>) -> String {
    let mut text = String::new();
    let mut characters = 0;
    for word in lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || c.is_control())) {
        // Cut octets of a character at the end of what was looked at, and rows of dashes.
        let word = word.trim_matches('\u{fffd}');
        if word.is_empty() || (word.len() > 2 && word.chars().all(|c| "-_=*#~".contains(c))) {
            continue;
        }
        for character in (!text.is_empty()).then_some(' ').into_iter().chain(word.chars()) {
            if characters == CHARACTERS {
                return text;
            }
            text.push(character);
            characters += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Scanner};

    fn of(message: &str) -> String {
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(message.as_bytes());
        preview(message.as_bytes(), &scanner.finish())
    }

    #[test]
    fn first_words() {
        for (message, expected) in [
            (
                "Subject: x\r\n\r\nHello,\r\n\r\n  how  are\tyou?\r\n-----\r\nbye\r\n",
                "Hello, how are you? bye",
            ),
            ("\r\n> quoted\r\n> more\r\nmy answer\r\n", "my answer"),
            ("\r\n> only quoted\r\n", "> only quoted"),
            (
                "Content-Type: text/html\r\n\r\n<html><head><style>p {}</style></head><body><p>Gr&uuml;&szlig;e</p>",
                "Grüße",
            ),
            (
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n",
                "Grüße",
            ),
            (
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>h</b>\r\n--b\r\n\r\nplain\r\n--b--\r\n",
                "plain",
            ),
            ("Content-Type: image/png\r\n\r\nabc", ""),
            ("Content-Disposition: attachment\r\n\r\nabc", ""),
            ("", ""),
        ] {
            assert_eq!(of(message), expected, "{message}");
        }
        let long = of(&format!("\r\n{}", "wörter ".repeat(500)));
        assert_eq!(long.chars().count(), 200);
    }
}
