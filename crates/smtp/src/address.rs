//! Mail addresses as they stand in the envelope: RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3.
//!
//! An address is kept in one canonical spelling: the local part is unquoted where quoting changes nothing
//! (`"ada"@phys.example` is `ada@phys.example`), otherwise quoted with as few backslashes as will do. Case is left alone; which
//! addresses are the same is the directory's decision. Source routes (`<@a,@b:c@d>`) are read and forgotten, as RFC 5321 appendix C asks.

use crate::{Error, Result};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest address taken, in octets. RFC 5321 §4.5.3.1.3 asks for at least 256; senders that encode a recipient in the return
/// address go beyond that.
pub const ADDRESS_LENGTH: usize = 1000;
/// The longest domain, in octets: RFC 5321 §4.5.3.1.2.
pub const DOMAIN_LENGTH: usize = 255;

/// An envelope address in canonical spelling: `local@domain`, or the bare `postmaster` that RFC 5321 §4.5.1 allows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    text: String,
    /// Where the `@` stands; the length of the text where there is no domain.
    at: usize,
}

impl Address {
    /// Reads a bare address (without angle brackets).
    pub fn parse(text: &str) -> Result<Address> {
        let (address, rest) = mailbox(text)?;
        if rest.is_empty() {
            Ok(address)
        } else {
            Err(Error::Address("characters after the domain"))
        }
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part, quoted where it has to be.
    pub fn local_part(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The domain or address literal; `None` for the bare `postmaster`.
    pub fn domain(&self) -> Option<&str> {
        self.text.get(self.at + 1..)
    }

    /// Whether the address can be written without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Where failures go: an address, or nowhere (`<>`, what bounces themselves carry).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// A mailbox.
    Address(Address),
}

impl ReversePath {
    /// The address, or the empty string for the null path.
    pub fn as_str(&self) -> &str {
        match self {
            ReversePath::Null => "",
            ReversePath::Address(address) => address.as_str(),
        }
    }

    /// The address, if it is not the null path.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// `Reverse-path = Path / "<>"`. Gives the path and what follows it.
pub(crate) fn reverse_path(text: &str) -> Result<(ReversePath, &str)> {
    if let Some(rest) = text.strip_prefix("<>") {
        return Ok((ReversePath::Null, rest));
    }
    let (address, rest) = path(text)?;
    Ok((ReversePath::Address(address), rest))
}

/// `Forward-path = Path`, and `"<Postmaster>"` (case does not matter). Gives the address and what follows it.
pub(crate) fn forward_path(text: &str) -> Result<(Address, &str)> {
    const POSTMASTER: &str = "<postmaster>";
    if let (Some(head), Some(rest)) = (text.get(..POSTMASTER.len()), text.get(POSTMASTER.len()..))
        && head.eq_ignore_ascii_case(POSTMASTER)
    {
        return Ok((
            Address {
                text: "postmaster".into(),
                at: "postmaster".len(),
            },
            rest,
        ));
    }
    path(text)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(text: &str) -> Result<(Address, &str)> {
    let mut text = text
        .strip_prefix('<')
        .ok_or(Error::Address("it must stand in angle brackets"))?;
    if text.starts_with('@') {
        text = source_route(text)?;
    }
    let (address, rest) = mailbox(text)?;
    let rest = rest
        .strip_prefix('>')
        .ok_or(Error::Address("the closing angle bracket is missing"))?;
    Ok((address, rest))
}

/// `A-d-l = At-domain *( "," At-domain )`: read and forgotten.
fn source_route(mut text: &str) -> Result<&str> {
    loop {
        text = text
            .strip_prefix('@')
            .ok_or(Error::Address("a source route needs @ before each domain"))?;
        let (_, rest) = domain(text)?;
        match rest.as_bytes().first() {
            Some(b',') => text = rest.get(1..).unwrap_or_default(),
            Some(b':') => return Ok(rest.get(1..).unwrap_or_default()),
            _ => return Err(Error::Address("a source route ends with a colon")),
        }
    }
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
fn mailbox(text: &str) -> Result<(Address, &str)> {
    let mut canonical = String::new();
    let rest = local_part(text, &mut canonical)?;
    let rest = rest.strip_prefix('@').ok_or(Error::Address("the @ is missing"))?;
    let (domain, rest) = domain(rest)?;
    let at = canonical.len();
    canonical.push('@');
    canonical.push_str(domain);
    if canonical.len() > ADDRESS_LENGTH {
        return Err(Error::Address("it is too long"));
    }
    Ok((Address { text: canonical, at }, rest))
}

/// `Local-part = Dot-string / Quoted-string`, appended in canonical spelling.
fn local_part<'a>(text: &'a str, canonical: &mut String) -> Result<&'a str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c != '.' && !is_atom(c)).unwrap_or(text.len());
        let (local, rest) = text.split_at(end);
        if !is_dot_string(local) {
            return Err(Error::Address("the local part is empty or its dots are misplaced"));
        }
        canonical.push_str(local);
        return Ok(rest);
    };
    let mut plain = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '"' => {
                if is_dot_string(&plain) {
                    canonical.push_str(&plain);
                } else {
                    canonical.push('"');
                    for c in plain.chars() {
                        if c == '"' || c == '\\' {
                            canonical.push('\\');
                        }
                        canonical.push(c);
                    }
                    canonical.push('"');
                }
                return Ok(quoted.get(index + 1..).unwrap_or_default());
            }
            '\\' => match characters.next() {
                Some((_, c)) if !c.is_control() => plain.push(c),
                _ => return Err(Error::Address("a backslash quotes nothing")),
            },
            c if c.is_control() => return Err(Error::Address("a control character in the local part")),
            c => plain.push(c),
        }
    }
    Err(Error::Address("the closing quotation mark is missing"))
}

/// `Dot-string = Atom *("."  Atom)`
fn is_dot_string(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

/// `atext` of RFC 5322 §3.2.3, widened by RFC 6531 §3.3.
fn is_atom(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        '!' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{' | '|' | '}'
        | '~' => true,
        c => !c.is_ascii() && !c.is_control(),
    }
}

/// `Domain / address-literal`. Underscores are let through: host names in the wild carry them.
fn domain(text: &str) -> Result<(&str, &str)> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or(Error::Address("the closing bracket is missing"))?;
        let (literal, rest) = text.split_at(end + 1);
        return if is_address_literal(literal) {
            Ok((literal, rest))
        } else {
            Err(Error::Address("not an address literal"))
        };
    }
    let in_domain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || (!c.is_ascii() && !c.is_control());
    let end = text.find(|c: char| !in_domain(c)).unwrap_or(text.len());
    let (domain, rest) = text.split_at(end);
    if is_domain(domain) {
        Ok((domain, rest))
    } else {
        Err(Error::Address("not a domain"))
    }
}

fn is_domain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= DOMAIN_LENGTH
        && text
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

/// `address-literal` of RFC 5321 §4.1.3, brackets included.
fn is_address_literal(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return false;
    };
    if inner.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let Some((tag, content)) = inner.split_once(':') else {
        return false;
    };
    if tag.eq_ignore_ascii_case("IPv6") {
        return content.parse::<Ipv6Addr>().is_ok();
    }
    let tag_is_fine =
        tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && tag.bytes().last().is_some_and(|b| b != b'-');
    tag_is_fine && !content.is_empty() && content.bytes().all(|b| b.is_ascii_graphic() && b != b'[' && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_paths() {
        let cases: &[(&str, Option<(&str, &str)>)] = &[
            ("<ada@phys.example>", Some(("ada@phys.example", ""))),
            (
                "<ada@phys.example> NOTIFY=NEVER",
                Some(("ada@phys.example", " NOTIFY=NEVER")),
            ),
            ("<ada+list@phys.example>", Some(("ada+list@phys.example", ""))),
            ("<\"ada\"@phys.example>", Some(("ada@phys.example", ""))),
            ("<\"a\\d\\a\"@phys.example>", Some(("ada@phys.example", ""))),
            (
                "<\"ada lovelace\"@phys.example>",
                Some(("\"ada lovelace\"@phys.example", "")),
            ),
            ("<\"a>b@c\"@phys.example>", Some(("\"a>b@c\"@phys.example", ""))),
            (
                "<\"a\\\"b\\\\\"@phys.example>",
                Some(("\"a\\\"b\\\\\"@phys.example", "")),
            ),
            ("<\"\"@phys.example>", Some(("\"\"@phys.example", ""))),
            ("<\"a..b\"@phys.example>", Some(("\"a..b\"@phys.example", ""))),
            (
                "<@a.example,@b.example:ada@phys.example>",
                Some(("ada@phys.example", "")),
            ),
            ("<@[192.0.2.1]:ada@phys.example>", Some(("ada@phys.example", ""))),
            ("<ada@[192.0.2.1]>", Some(("ada@[192.0.2.1]", ""))),
            ("<ada@[IPv6:2001:db8::1]>", Some(("ada@[IPv6:2001:db8::1]", ""))),
            ("<ada@[x400:c=de]>", Some(("ada@[x400:c=de]", ""))),
            ("<POSTMASTER>", Some(("postmaster", ""))),
            ("<Postmaster@phys.example>", Some(("Postmaster@phys.example", ""))),
            ("<grüße@übung.example>", Some(("grüße@übung.example", ""))),
            ("<a_b@under_score.example>", Some(("a_b@under_score.example", ""))),
            (
                "<user%other.example@phys.example>",
                Some(("user%other.example@phys.example", "")),
            ),
            ("<ada@localhost>", Some(("ada@localhost", ""))),
            ("<>", None),
            ("ada@phys.example", None),
            ("<ada>", None),
            ("<ada@>", None),
            ("<@phys.example>", None),
            ("<ada@phys.example", None),
            ("<a..b@phys.example>", None),
            ("<.a@phys.example>", None),
            ("<a.@phys.example>", None),
            ("<a b@phys.example>", None),
            ("<ada@phys..example>", None),
            ("<ada@phys.example.>", None),
            ("<ada@-phys.example>", None),
            ("<ada@[300.0.2.1]>", None),
            ("<ada@[IPv6:xyz]>", None),
            ("<ada@[192.0.2.1>", None),
            ("<\"ada@phys.example>", None),
            ("<\"ada\\", None),
            ("<@a.example ada@phys.example>", None),
            ("<postmaster", None),
            ("", None),
        ];
        for (input, expected) in cases {
            let parsed = forward_path(input);
            let parsed = parsed.as_ref().ok().map(|(address, rest)| (address.as_str(), *rest));
            assert_eq!(parsed, *expected, "{input}");
        }
    }

    #[test]
    fn parts_of_an_address() {
        let address = Address::parse("\"a@b\"@phys.example").unwrap();
        assert_eq!(
            (address.local_part(), address.domain()),
            ("\"a@b\"", Some("phys.example"))
        );
        let (postmaster, _) = forward_path("<Postmaster>").unwrap();
        assert_eq!((postmaster.local_part(), postmaster.domain()), ("postmaster", None));
        assert_eq!(reverse_path("<> SIZE=1").unwrap(), (ReversePath::Null, " SIZE=1"));
        assert!(Address::parse("a@b.example>").is_err());
        assert!(Address::parse(&format!("{}@b.example", "a".repeat(2000))).is_err());
        assert!(Address::parse(&format!("a@{}", "b".repeat(300))).is_err());
    }
}
