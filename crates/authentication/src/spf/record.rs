//! Records (RFC 7208 §4.6, §5, §6 and the grammar in §12).

use super::expand::{Spec, parse_spec};
use crate::results::Verdict;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<Spec>,
    pub(super) explanation: Option<Spec>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) verdict: Verdict,
    pub(super) mechanism: Mechanism,
    /// As written, for people.
    pub(super) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(Spec),
    A(Option<Spec>, Lengths),
    Mx(Option<Spec>, Lengths),
    Ptr(Option<Spec>),
    Ip(IpAddr, u8),
    Exists(Spec),
}

/// How many bits of an address count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// Whether a text is an SPF record at all (§4.5).
pub(super) fn is_record(text: &[u8]) -> bool {
    text.get(..6)
        .is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"))
        && matches!(text.get(6), None | Some(b' '))
}

/// Reads a record; the error says which term is wrong.
pub(super) fn parse(text: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or("the record is not ASCII")?;
    let mut record = Record::default();
    for term in text
        .get(6..)
        .unwrap_or_default()
        .split(' ')
        .filter(|term| !term.is_empty())
    {
        parse_term(term, &mut record).ok_or_else(|| format!("\"{}\" is no term", term.escape_default()))?;
    }
    Ok(record)
}

fn parse_term(term: &str, record: &mut Record) -> Option<()> {
    // A modifier is a name and an equals sign; in a mechanism another sign comes first.
    if let Some(at) = term.find(['=', ':', '/'])
        && term.as_bytes().get(at) == Some(&b'=')
    {
        let (name, value) = (term.get(..at)?, term.get(at + 1..)?);
        return modifier(name, value, record);
    }
    let (verdict, rest) = match term.as_bytes().first()? {
        b'+' => (Verdict::Pass, term.get(1..)?),
        b'-' => (Verdict::Fail, term.get(1..)?),
        b'~' => (Verdict::SoftFail, term.get(1..)?),
        b'?' => (Verdict::Neutral, term.get(1..)?),
        _ => (Verdict::Pass, term),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(end);
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if argument.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(parse_spec(argument.strip_prefix(':')?, true)?),
        "exists" => Mechanism::Exists(parse_spec(argument.strip_prefix(':')?, true)?),
        "a" => host(argument).map(|(spec, lengths)| Mechanism::A(spec, lengths))?,
        "mx" => host(argument).map(|(spec, lengths)| Mechanism::Mx(spec, lengths))?,
        "ptr" if argument.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(parse_spec(argument.strip_prefix(':')?, true)?)),
        "ip4" => {
            let (address, length) = network(argument.strip_prefix(':')?, 32)?;
            Mechanism::Ip(IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), length)
        }
        "ip6" => {
            let (address, length) = network(argument.strip_prefix(':')?, 128)?;
            Mechanism::Ip(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), length)
        }
        _ => return None,
    };
    record.directives.push(Directive {
        verdict,
        mechanism,
        text: term.to_owned(),
    });
    Some(())
}

fn modifier(name: &str, value: &str, record: &mut Record) -> Option<()> {
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !good {
        return None;
    }
    let slot = match name.to_ascii_lowercase().as_str() {
        "redirect" => &mut record.redirect,
        "exp" => &mut record.explanation,
        // §6: others are passed over, but must be well formed.
        _ => return parse_spec(value, false).map(|_| ()),
    };
    // §6: each of the two once.
    if slot.is_some() {
        return None;
    }
    *slot = Some(parse_spec(value, true)?);
    Some(())
}

/// `[":" domain-spec] [dual-cidr-length]`
fn host(argument: &str) -> Option<(Option<Spec>, Lengths)> {
    let (argument, v6) = match argument.rsplit_once("//") {
        Some((before, length)) => (before, bits(length, 128)?),
        None => (argument, 128),
    };
    let mut rest = argument;
    let mut v4 = 32;
    // A slash may be a delimiter within a macro; a length is digits at the end, behind the last slash.
    if let Some((before, length)) = argument.rsplit_once('/')
        && !length.contains('}')
    {
        v4 = bits(length, 32)?;
        rest = before;
    }
    let spec = match rest {
        "" => None,
        rest => Some(parse_spec(rest.strip_prefix(':')?, true)?),
    };
    Some((spec, Lengths { v4, v6 }))
}

fn network(argument: &str, most: u8) -> Option<(&str, u8)> {
    match argument.split_once('/') {
        None => Some((argument, most)),
        Some((address, length)) => Some((address, bits(length, most)?)),
    }
}

/// A length without leading zeros.
fn bits(digits: &str, most: u8) -> Option<u8> {
    let good = digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|length| good && *length <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        for text in ["v=spf1", "V=SPF1 a", "v=spf1  -all"] {
            assert!(is_record(text.as_bytes()), "{text}");
        }
        for text in ["v=spf10", "v=spf1\ta", "spf1", "", "v=spf"] {
            assert!(!is_record(text.as_bytes()), "{text}");
        }
        let good = [
            "a",
            "A",
            "+mx",
            "a/24",
            "a//64",
            "a/24//64",
            "a:example.org/0",
            "mx:%{d}",
            "ptr",
            "ptr:example.org",
            "ip4:192.0.2.1",
            "ip4:192.0.2.0/24",
            "ip6:::1",
            "ip6:2001:db8::/32",
            "exists:%{ir}.sbl.example.org",
            "include:_spf.example.org",
            "-all",
            "~all",
            "?all",
            "redirect=example.org",
            "exp=explain._spf.%{d}",
            "moo.cow-far_out=man:dog/cat",
            "moo=",
            "a:%{l/-}.example.org",
            "a:foo-bar.example",
            "exists:a.%{d2}",
            "mx:example.org.",
            "a:111.222.xn--p1ai",
            "a:museum.example/0//0",
        ];
        for term in good {
            assert!(parse(format!("v=spf1 {term}").as_bytes()).is_ok(), "{term}");
        }
        let bad = [
            "all:",
            "all/8",
            "a:",
            "a/33",
            "a//129",
            "a/",
            "a/01",
            "a//",
            "include",
            "include:",
            "exists",
            "ip4",
            "ip4:1.2.3",
            "ip4:1.2.3.4/33",
            "ip4:1.2.3.4:8",
            "ip6:1.2.3.4",
            "ip6:::1/129",
            "ip4:1.2.3.4/032",
            "foo",
            "foo:bar",
            "-",
            "a=b c:",
            "redirect=",
            "exp=",
            "redirect=a.b redirect=a.b",
            "=x",
            "1x=y",
            "a:example",
            "a:example.0",
            "a:%",
            "a:%{x}.b",
            "a:%{d0}",
            "a:%{d",
            "a:%{c}.b",
            "a:example.-a",
            "ptr/24",
            "mx:foo:8080",
            "a:ctrl.ex\u{7f}ample",
            "include:foo@bar/",
            "exists:foo:",
        ];
        for term in bad {
            assert!(parse(format!("v=spf1 {term}").as_bytes()).is_err(), "{term}");
        }
    }
}
