//! Macros (RFC 7208 §7).

use std::fmt::Write;
use std::net::IpAddr;

/// The longest name that a macro makes; of a longer one labels are dropped on the left (§7.3).
const NAME: usize = 253;
/// The longest text that an explanation makes.
const TEXT: usize = 512;

/// A `macro-string` or `domain-spec`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Macro {
        letter: u8,
        escape: bool,
        keep: Option<usize>,
        reverse: bool,
        delimiters: String,
    },
}

/// Reads a macro-string; `domain`: with the end that a domain-spec has (§7.1).
pub(super) fn parse_spec(text: &str, domain: bool) -> Option<Spec> {
    let spec = parse_macros(text, false)?;
    if !domain {
        return Some(spec);
    }
    match spec.0.last()? {
        Part::Macro { .. } => Some(spec),
        Part::Text(end) => {
            let end = end.strip_suffix('.').unwrap_or(end);
            // Where the text follows a macro it must have a dot of its own: `%{d}org` names nothing.
            let (_, top) = end.rsplit_once('.')?;
            is_top_label(top).then_some(spec)
        }
    }
}

/// Reads a macro-string; the letters `c`, `r` and `t` are for explanations only.
pub(super) fn parse_macros(text: &str, explanation: bool) -> Option<Spec> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        if c != '%' {
            let visible = c.is_ascii_graphic() || (explanation && c == ' ');
            if !visible {
                return None;
            }
            plain.push(c);
            continue;
        }
        let sign = rest.chars().next()?;
        rest = rest.get(sign.len_utf8()..)?;
        match sign {
            '%' => plain.push('%'),
            '_' => plain.push(' '),
            '-' => plain.push_str("%20"),
            '{' => {
                let (inner, behind) = rest.split_once('}')?;
                rest = behind;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(parse_macro(inner, explanation)?);
            }
            _ => return None,
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Some(Spec(parts))
}

/// What stands in the braces.
fn parse_macro(inner: &str, explanation: bool) -> Option<Part> {
    let first = *inner.as_bytes().first()?;
    let letter = first.to_ascii_lowercase();
    let known = b"slodiphv".contains(&letter) || (explanation && b"crt".contains(&letter));
    if !known {
        return None;
    }
    let rest = inner.get(1..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let keep = match rest.get(..digits)? {
        "" => None,
        digits => Some(digits.parse().unwrap_or(usize::MAX))
            .filter(|keep| *keep > 0)
            .map(Some)?,
    };
    let rest = rest.get(digits..)?;
    let (reverse, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
        return None;
    }
    Some(Part::Macro {
        letter,
        escape: first.is_ascii_uppercase(),
        keep,
        reverse,
        delimiters: if delimiters.is_empty() {
            ".".to_owned()
        } else {
            delimiters.to_owned()
        },
    })
}

/// `toplabel`: not all digits, no hyphen at either end.
fn is_top_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|b| b.is_ascii_digit())
}

/// What macros stand for.
#[derive(Debug, Clone)]
pub(super) struct Values<'a> {
    pub(super) local: &'a str,
    /// The domain of the sender.
    pub(super) origin: &'a str,
    /// The domain whose record is read.
    pub(super) domain: &'a str,
    pub(super) address: IpAddr,
    pub(super) helo: &'a str,
    pub(super) receiver: &'a str,
    pub(super) now: u64,
    /// The validated name of the address, or `unknown`.
    pub(super) name: &'a str,
}

impl Spec {
    /// Whether the validated name of the address is needed (`%{p}`).
    pub(super) fn needs_name(&self) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Macro { letter: b'p', .. }))
    }

    /// The name of a domain that it makes, shortened on the left where it is too long.
    pub(super) fn domain(&self, values: &Values<'_>) -> String {
        let mut name = self.text(values, usize::MAX);
        if name.ends_with('.') {
            name.pop();
        }
        while name.len() > NAME {
            match name.find('.') {
                Some(dot) => name.drain(..=dot),
                None => break,
            };
        }
        name.make_ascii_lowercase();
        name
    }

    /// The explanation that it makes.
    pub(super) fn explanation(&self, values: &Values<'_>) -> String {
        self.text(values, TEXT)
    }

    fn text(&self, values: &Values<'_>, most: usize) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Macro {
                    letter,
                    escape,
                    keep,
                    reverse,
                    delimiters,
                } => {
                    let value = value(*letter, values);
                    let mut pieces: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
                    if *reverse {
                        pieces.reverse();
                    }
                    let from = pieces.len().saturating_sub(keep.unwrap_or(usize::MAX));
                    let joined = pieces.get(from..).unwrap_or_default().join(".");
                    if *escape {
                        escape_into(&mut text, &joined);
                    } else {
                        text.push_str(&joined);
                    }
                }
            }
            if text.len() > most {
                break;
            }
        }
        let mut end = text.len().min(most);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

fn value(letter: u8, values: &Values<'_>) -> String {
    match letter {
        b's' => format!("{}@{}", values.local, values.origin),
        b'l' => values.local.to_owned(),
        b'o' => values.origin.to_owned(),
        b'd' => values.domain.to_owned(),
        b'i' => dotted(values.address),
        b'p' => values.name.to_owned(),
        b'v' => if values.address.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        b'h' => values.helo.to_owned(),
        b'c' => values.address.to_string(),
        b'r' => values.receiver.to_owned(),
        _ => values.now.to_string(),
    }
}

/// An address in the form in which it can be reversed: IPv6 nibble by nibble.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let mut text = String::with_capacity(63);
            for (number, octet) in address.octets().into_iter().enumerate() {
                let dot = if number > 0 { "." } else { "" };
                // Writing to a String cannot fail.
                let _ = write!(text, "{dot}{:x}.{:x}", octet >> 4, octet & 15);
            }
            text
        }
    }
}

/// RFC 3986 §2.1, for all but its unreserved characters.
fn escape_into(out: &mut String, text: &str) {
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, cases: &[(&str, &str)]) {
        let values = Values {
            local: "strong-bad",
            origin: "email.example.com",
            domain: "email.example.com",
            address: address.parse().unwrap(),
            helo: "mx.example.org",
            receiver: "mail.phys.example",
            now: 12,
            name: "unknown",
        };
        for (text, expected) in cases {
            let spec = parse_macros(text, true).unwrap();
            assert_eq!(spec.explanation(&values), *expected, "{text}");
        }
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7208 §7.4.
        check(
            "192.0.2.3",
            &[
                ("%{s}", "strong-bad@email.example.com"),
                ("%{o}", "email.example.com"),
                ("%{d}", "email.example.com"),
                ("%{d4}", "email.example.com"),
                ("%{d3}", "email.example.com"),
                ("%{d2}", "example.com"),
                ("%{d1}", "com"),
                ("%{dr}", "com.example.email"),
                ("%{d2r}", "example.email"),
                ("%{l}", "strong-bad"),
                ("%{l-}", "strong.bad"),
                ("%{lr}", "strong-bad"),
                ("%{lr-}", "bad.strong"),
                ("%{l1r-}", "strong"),
                ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
                ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
                (
                    "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                    "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
                ),
                (
                    "%{d2}.trusted-domains.example.net",
                    "example.com.trusted-domains.example.net",
                ),
                ("%{S}%_%%%-", "strong-bad%40email.example.com %%20"),
                ("%{c} %{r} %{t} %{h}", "192.0.2.3 mail.phys.example 12 mx.example.org"),
            ],
        );
        check(
            "2001:db8::cb01",
            &[(
                "%{ir}.%{v}._spf.%{d2}",
                "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
            )],
        );
    }
}
