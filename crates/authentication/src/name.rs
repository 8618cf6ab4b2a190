//! Names of domains, as they are compared.

/// A domain in the form in which it is asked for and compared: A-labels (RFC 5890), lower case, no dot at the end. `None`: it cannot be a
/// name in the DNS.
pub fn normal(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let mut name = if domain.is_ascii() {
        domain.to_owned()
    } else {
        // Underscores and other things that IDNA has no word on stand in names of records.
        idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::EMPTY)
            .ok()?
            .into_owned()
    };
    name.make_ascii_lowercase();
    is_name(&name).then_some(name)
}

/// Whether it can be asked for (RFC 1035 §2.3.4).
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        })
}

/// How many labels a name has.
pub fn labels(name: &str) -> usize {
    name.split('.').count()
}

/// Whether `name` is `domain` or below it. Both normal.
pub(crate) fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let cases = [
            ("Example.COM.", Some("example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("_dmarc.example", Some("_dmarc.example")),
            ("a..b", None),
            ("", None),
            (".", None),
            ("a b", None),
        ];
        for (domain, expected) in cases {
            assert_eq!(normal(domain).as_deref(), expected, "{domain}");
        }
        assert!(normal(&"a".repeat(64)).is_none());
        assert!(is_within("a.b", "b") && is_within("b", "b") && !is_within("ab", "b") && !is_within("b", "a.b"));
    }
}
