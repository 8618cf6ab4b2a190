//! The part for programs: fields of the message, an empty line, and fields of each recipient (RFC 3464 §2, RFC 6533 §4.1).

use super::{Action, Notice, Notified};
use crate::Status;
use std::fmt::Write;

/// Where a line is folded; RFC 5322 §2.1.1.
const LINE: usize = 76;

pub(super) fn delivery_status(notice: &Notice<'_>, global: bool) -> String {
    let mut out = String::with_capacity(500);
    if let Some(envid) = notice.original.envid {
        field(&mut out, "Original-Envelope-Id", &unquoted(envid));
    }
    field(&mut out, "Reporting-MTA", &format!("dns; {}", notice.hostname));
    field(&mut out, "Arrival-Date", &date(notice.original.arrived));
    for recipient in notice.recipients {
        out.push_str("\r\n");
        of_recipient(&mut out, notice, recipient, global);
    }
    out
}

fn of_recipient(out: &mut String, notice: &Notice<'_>, recipient: &Notified<'_>, global: bool) {
    if let Some(original) = recipient.original {
        field(out, "Original-Recipient", &original_recipient(original, global));
    }
    field(out, "Final-Recipient", &address(recipient.address, global));
    field(out, "Action", recipient.action.name());
    let Status(class, subject, detail) = recipient.status;
    field(out, "Status", &format!("{class}.{subject}.{detail}"));
    if let Some(remote) = recipient.remote {
        field(out, "Remote-MTA", &format!("dns; {}", shown(remote, false)));
    }
    if let Some(diagnostic) = recipient.diagnostic {
        // What a host has said begins with its reply code; our own findings are no SMTP replies.
        let kind = if is_reply(diagnostic) { "smtp" } else { "x-rohrpost" };
        let text = shown(clipped(diagnostic, notice.limits.diagnostic), global);
        field(out, "Diagnostic-Code", &format!("{kind}; {text}"));
    }
    if let Some(at) = recipient.last_attempt {
        field(out, "Last-Attempt-Date", &date(at));
    }
    field(out, "Final-Log-ID", notice.original.id);
    if let Action::Delayed { until } = recipient.action {
        field(out, "Will-Retry-Until", &date(until));
    }
}

/// Whether a diagnostic begins with a reply code.
pub(super) fn is_reply(diagnostic: &str) -> bool {
    let bytes = diagnostic.as_bytes();
    bytes.len() > 3 && bytes.iter().take(3).all(u8::is_ascii_digit) && matches!(bytes.get(3), Some(b' ' | b'-'))
}

fn field(out: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{name}: {}\r\n", folded(value, name.len() + 2));
}

/// A value folded at its spaces; the first line has something before it already.
pub(super) fn folded(value: &str, before: usize) -> String {
    let mut out = String::with_capacity(value.len() + 16);
    let mut column = before;
    for (number, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if number > 0 {
            if column + 1 + word.len() > LINE {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

fn date(time: i64) -> String {
    let mut out = Vec::with_capacity(32);
    crate::date(time, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// `address-type ";" generic-address` of an address that we know.
fn address(address: &str, global: bool) -> String {
    let address = mime::one_line(address);
    if address.is_ascii() {
        format!("rfc822; {address}")
    } else if global {
        format!("utf-8; {address}")
    } else {
        format!("utf-8; {}", unitext(&address))
    }
}

/// What `ORCPT` said. RFC 3461 §6.3 d has it without its xtext; where that would be no line of ASCII, it stays as it came.
fn original_recipient(original: &str, global: bool) -> String {
    let Some((kind, address)) = original.split_once(';') else {
        return shown(original, global);
    };
    let kind = shown(kind, false);
    if !kind.eq_ignore_ascii_case("utf-8") {
        return format!("{kind}; {}", unquoted(address));
    }
    let plain = from_unitext(address);
    match plain {
        Some(plain) if global => format!("{kind}; {plain}"),
        Some(plain) => format!("{kind}; {}", unitext(&plain)),
        // RFC 6533 §3: what does not conform is copied; but it must be able to stand where it is copied to.
        None if global => format!("{kind}; {}", shown(address, true)),
        None => format!("{kind}; {}", unitext(address)),
    }
}

/// The characters of xtext (RFC 3461 §4), if they are printable ASCII; otherwise the xtext.
fn unquoted(xtext: &str) -> String {
    let mut out = String::with_capacity(xtext.len());
    let mut rest = xtext.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '+' => {
                let digits: String = rest.by_ref().take(2).collect();
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) => char::from(byte),
                    Err(_) => return shown(xtext, false),
                }
            }
            c => c,
        };
        if !(' '..='~').contains(&c) {
            return shown(xtext, false);
        }
        out.push(c);
    }
    out
}

/// `utf-8-addr-xtext` of RFC 6533 §3: in ASCII alone.
fn unitext(address: &str) -> String {
    let mut out = String::with_capacity(address.len() + 16);
    for c in address.chars() {
        match c {
            '\\' | '+' | '=' => _ = write!(out, "\\x{{{:02X}}}", u32::from(c)),
            '!'..='~' => out.push(c),
            c => _ = write!(out, "\\x{{{:02X}}}", u32::from(c)),
        }
    }
    out
}

/// The address that `utf-8-enc-addr` stands for; `None` if it is none, or could end a line.
fn from_unitext(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, length) = match rest.strip_prefix("\\x{") {
            Some(hex) => {
                let end = hex.find('}').filter(|end| (2..=6).contains(end))?;
                let point = u32::from_str_radix(hex.get(..end)?, 16).ok()?;
                (char::from_u32(point)?, end + 4)
            }
            None => (c, c.len_utf8()),
        };
        if c.is_control() {
            return None;
        }
        out.push(c);
        rest = rest.get(length..)?;
    }
    Some(out)
}

/// Text of a stranger's on one line; ASCII alone, unless UTF-8 may stand there.
fn shown(text: &str, utf8: bool) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_control() => ' ',
            c if c.is_ascii() || utf8 => c,
            _ => '?',
        })
        .collect()
}

/// The beginning of a text, at most so many octets.
pub(super) fn clipped(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn original_recipients() {
        // As it came, in ASCII, in UTF-8.
        let cases = [
            ("rfc822;bob@x.example", "rfc822; bob@x.example", "rfc822; bob@x.example"),
            (
                "rfc822;bob+2Bx@x.example",
                "rfc822; bob+x@x.example",
                "rfc822; bob+x@x.example",
            ),
            ("rfc822;a+0D+0Ab@x", "rfc822; a+0D+0Ab@x", "rfc822; a+0D+0Ab@x"),
            ("rfc822;a+C3b@x", "rfc822; a+C3b@x", "rfc822; a+C3b@x"),
            ("utf-8;gr\\x{FC}n@x", "utf-8; gr\\x{FC}n@x", "utf-8; grün@x"),
            ("utf-8;grün@x", "utf-8; gr\\x{FC}n@x", "utf-8; grün@x"),
            ("utf-8;a\\x{2B}b@x", "utf-8; a\\x{2B}b@x", "utf-8; a+b@x"),
            ("utf-8;a\\x{0A}b@x", "utf-8; a\\x{5C}x{0A}b@x", "utf-8; a\\x{0A}b@x"),
            (
                "utf-8;a\\x{D800}b@x",
                "utf-8; a\\x{5C}x{D800}b@x",
                "utf-8; a\\x{D800}b@x",
            ),
            ("nonsense", "nonsense", "nonsense"),
        ];
        for (came, ascii, utf8) in cases {
            assert_eq!(original_recipient(came, false), ascii, "{came}");
            assert_eq!(original_recipient(came, true), utf8, "{came}");
        }
    }

    #[test]
    fn lines_are_folded() {
        let text = "x".repeat(70);
        assert_eq!(folded(&format!("a {text} b"), 10), format!("a\r\n {text} b"));
        assert_eq!(folded("", 10), "");
    }
}
