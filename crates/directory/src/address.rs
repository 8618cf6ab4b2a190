use std::borrow::Cow;
use std::fmt;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Octets of a local part (RFC 5321 §4.5.3.1.1), without its quotes.
const LOCAL_OCTETS: usize = 64;
/// Octets of a domain (RFC 5321 §4.5.3.1.2), as A-labels.
const DOMAIN_OCTETS: usize = 255;
/// Octets of one label of a domain (RFC 1035 §2.3.4).
const LABEL_OCTETS: usize = 63;

/// An address, `local@domain`. The local part stays as it was written (its case may matter to a foreign server), the domain is
/// in lower case and A-labels. [`Address::canonical`] is the form in which addresses of ours compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    local: String,
    domain: String,
}

/// What is wrong with an address or a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressFault {
    /// There is no `@` with something on both sides.
    #[error("it needs a local part, an @ and a domain")]
    NoAt,
    /// The local part is neither a dot-string nor a quoted string (RFC 5321 §4.1.2).
    #[error("the part before the @ has characters or dots where they can't be; put it in quotes")]
    Local,
    /// The local part is longer than 64 octets.
    #[error("the part before the @ is longer than 64 octets")]
    LocalTooLong,
    /// The domain is not a valid name (RFC 5890, RFC 1035).
    #[error("the domain is not a valid name")]
    Domain,
    /// The domain is longer than 255 octets.
    #[error("the domain is longer than 255 octets")]
    DomainTooLong,
}

impl Address {
    /// Reads `local@domain`; the local part may be quoted, the domain may have U-labels or be an address literal (`[192.0.2.1]`).
    pub fn parse(text: &str) -> Result<Address, AddressFault> {
        let (local, domain) = split(text).ok_or(AddressFault::NoAt)?;
        Ok(Address {
            domain: domain_canonical(domain)?.into_owned(),
            local: unquote(local)?.into_owned(),
        })
    }

    /// The local part as written, without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain in lower case and A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The form in which addresses compare: the local part folded by [`local_canonical`], quoted if it must be.
    pub fn canonical(&self) -> String {
        join(&local_canonical(&self.local), &self.domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.local, &self.domain))
    }
}

/// Splits at the last `@`: a quoted local part may hold others, a domain never.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('@')
        .filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// Puts a local part (without quotes) and a domain together, with quotes if the local part needs them.
pub(crate) fn join(local: &str, domain: &str) -> String {
    let mut address = String::with_capacity(local.len() + domain.len() + 3);
    if is_dot_string(local) {
        address.push_str(local);
    } else {
        address.push('"');
        for c in local.chars() {
            if matches!(c, '"' | '\\') {
                address.push('\\');
            }
            address.push(c);
        }
        address.push('"');
    }
    address.push('@');
    address.push_str(domain);
    address
}

/// `Local-part = Dot-string / Quoted-string`; gives what it stands for.
pub(crate) fn unquote(local: &str) -> Result<Cow<'_, str>, AddressFault> {
    let plain = match local.strip_prefix('"') {
        None if is_dot_string(local) => Cow::Borrowed(local),
        None => return Err(AddressFault::Local),
        Some(rest) => {
            let inner = rest.strip_suffix('"').ok_or(AddressFault::Local)?;
            Cow::Owned(unescape(inner)?)
        }
    };
    if plain.len() > LOCAL_OCTETS {
        return Err(AddressFault::LocalTooLong);
    }
    Ok(plain)
}

fn unescape(inner: &str) -> Result<String, AddressFault> {
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let meant = match c {
            '\\' => chars.next().filter(|c| c.is_ascii()).ok_or(AddressFault::Local)?,
            '"' => return Err(AddressFault::Local),
            c => c,
        };
        if meant.is_control() {
            return Err(AddressFault::Local);
        }
        plain.push(meant);
    }
    if plain.is_empty() {
        return Err(AddressFault::Local);
    }
    Ok(plain)
}

/// `Dot-string = Atom *("." Atom)`, UTF-8 beyond ASCII counts as atom text (RFC 6531 §3.3).
fn is_dot_string(local: &str) -> bool {
    let is_atext = |c: char| {
        c.is_ascii_alphanumeric()
            || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
            || "!#$%&'*+-/=?^_`{|}~".contains(c)
    };
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Folds a local part (without quotes): case and Unicode normal form go. Cheap for ASCII in lower case.
pub(crate) fn local_canonical(local: &str) -> Cow<'_, str> {
    if local.is_ascii() {
        return ascii_lower(local);
    }
    let folded: String = local.nfc().flat_map(fold).collect();
    match is_nfc_quick(folded.chars()) {
        IsNormalized::Yes => Cow::Owned(folded),
        _ => Cow::Owned(folded.nfc().collect()),
    }
}

/// Case folding of one character: to upper case and back brings together what only differs there (`ß` and `SS`, `ς` and `σ`).
/// The dotless `ı` stays apart from `i`, as in Unicode's own folding.
fn fold(c: char) -> impl Iterator<Item = char> {
    let upper = (c != 'ı').then(|| c.to_uppercase());
    let same = (c == 'ı').then_some(c);
    upper.into_iter().flatten().flat_map(char::to_lowercase).chain(same)
}

/// A domain in lower case and A-labels, without the dot of the root. Address literals are kept, in lower case.
pub(crate) fn domain_canonical(domain: &str) -> Result<Cow<'_, str>, AddressFault> {
    if domain.starts_with('[') {
        let inner = domain
            .strip_prefix('[')
            .and_then(|d| d.strip_suffix(']'))
            .ok_or(AddressFault::Domain)?;
        let fits = inner
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-'));
        return if fits && !inner.is_empty() && domain.len() <= DOMAIN_OCTETS {
            Ok(ascii_lower(domain))
        } else {
            Err(AddressFault::Domain)
        };
    }
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.len() > 4 * DOMAIN_OCTETS {
        return Err(AddressFault::DomainTooLong);
    }
    let canonical = if domain.is_ascii() && !has_a_label(domain) {
        ascii_lower(domain)
    } else {
        Cow::Owned(idna::domain_to_ascii(domain).map_err(|_| AddressFault::Domain)?)
    };
    if canonical.len() > DOMAIN_OCTETS {
        return Err(AddressFault::DomainTooLong);
    }
    let is_label = |label: &str| {
        (1..=LABEL_OCTETS).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if canonical.split('.').all(is_label) {
        Ok(canonical)
    } else {
        Err(AddressFault::Domain)
    }
}

fn has_a_label(domain: &str) -> bool {
    domain.as_bytes().windows(4).any(|w| w.eq_ignore_ascii_case(b"xn--"))
}

fn ascii_lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let table: &[(&str, &str)] = &[
            ("ada@phys.example", "ada@phys.example"),
            ("Ada.Lovelace@PHYS.Example", "ada.lovelace@phys.example"),
            ("\"ada\"@phys.example", "ada@phys.example"),
            ("\"A\\da\"@phys.example", "ada@phys.example"),
            ("\"Ada Lovelace\"@phys.example", "\"ada lovelace\"@phys.example"),
            ("\"a@b\"@phys.example", "\"a@b\"@phys.example"),
            ("\"a\\\"b\\\\c\"@phys.example", "\"a\\\"b\\\\c\"@phys.example"),
            ("\".dot.\"@x", "\".dot.\"@x"),
            ("ada+list@phys.example.", "ada+list@phys.example"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
            ("JÜRGEN@x.example", "jürgen@x.example"),
            ("ju\u{308}rgen@x.example", "jürgen@x.example"),
            ("JU\u{308}RGEN@x.example", "jürgen@x.example"),
            ("straße@x.example", "strasse@x.example"),
            ("STRASSE@x.example", "strasse@x.example"),
            ("ΣΊΣΥΦΟΣ@x.example", "σίσυφοσ@x.example"),
            ("σίσυφος@x.example", "σίσυφοσ@x.example"),
            ("ılık@x.example", "ılık@x.example"),
            ("用户@例え.テスト", "用户@xn--r8jz45g.xn--zckzah"),
            ("ada@[192.0.2.1]", "ada@[192.0.2.1]"),
            ("ada@[IPv6:2001:DB8::1]", "ada@[ipv6:2001:db8::1]"),
            ("!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~@x"),
        ];
        for (input, expected) in table {
            let address = Address::parse(input).unwrap_or_else(|e| panic!("{input}: {e}"));
            assert_eq!(address.canonical(), *expected, "{input}");
            let again = Address::parse(&address.canonical()).unwrap();
            assert_eq!(again.canonical(), *expected, "canonical twice: {input}");
            assert_eq!(
                Address::parse(&address.to_string()).unwrap(),
                address,
                "printed and read: {input}"
            );
        }
    }

    #[test]
    fn the_local_part_keeps_its_case_for_others() {
        assert_eq!(
            Address::parse("Bob.X@Other.EXAMPLE").unwrap().to_string(),
            "Bob.X@other.example"
        );
    }

    #[test]
    fn faults() {
        let (long_local, long_domain) = ("x".repeat(65), format!("{}com", "x23456789.".repeat(26)));
        let table: &[(&str, AddressFault)] = &[
            ("", AddressFault::NoAt),
            ("ada", AddressFault::NoAt),
            ("@x.example", AddressFault::NoAt),
            ("ada@", AddressFault::NoAt),
            ("a b@x.example", AddressFault::Local),
            (".a@x.example", AddressFault::Local),
            ("a.@x.example", AddressFault::Local),
            ("a..b@x.example", AddressFault::Local),
            ("a@b@x.example", AddressFault::Local),
            ("<ada@x.example", AddressFault::Local),
            ("\"\"@x.example", AddressFault::Local),
            ("\"ada@x.example", AddressFault::Local),
            ("\"@x.example", AddressFault::Local),
            ("\"a\"b\"@x.example", AddressFault::Local),
            ("\"a\\\"@x.example", AddressFault::Local),
            ("\"a\nb\"@x.example", AddressFault::Local),
            ("a\0b@x.example", AddressFault::Local),
            ("ada\u{85}@x.example", AddressFault::Local),
            (&format!("{long_local}@x.example"), AddressFault::LocalTooLong),
            (&format!("ada@{long_domain}"), AddressFault::DomainTooLong),
            (&format!("ada@{}", "ü".repeat(2000)), AddressFault::DomainTooLong),
            ("ada@x..example", AddressFault::Domain),
            ("ada@.example", AddressFault::Domain),
            ("ada@-x.example", AddressFault::Domain),
            ("ada@x-.example", AddressFault::Domain),
            ("ada@x y.example", AddressFault::Domain),
            ("ada@x.example>", AddressFault::Domain),
            ("ada@[192.0.2.1", AddressFault::Domain),
            ("ada@[]", AddressFault::Domain),
            ("ada@xn--\u{FC}.example", AddressFault::Domain),
            (&format!("ada@{}.example", "x".repeat(64)), AddressFault::Domain),
        ];
        for (input, expected) in table {
            assert_eq!(Address::parse(input), Err(*expected), "{input:?}");
        }
        assert!(Address::parse(&format!("{}@x.example", "x".repeat(64))).is_ok());
    }
}
