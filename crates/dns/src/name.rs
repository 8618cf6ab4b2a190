//! Names as callers write them, as the DNS has them, and in what errors say.

use crate::Error;
use hickory_resolver::proto::rr::{Name, RecordType};

/// A full name, whether or not a dot ends it; Unicode as its A-labels.
pub(crate) fn name_of(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut parsed = match name.is_ascii() {
        true => Name::from_ascii(name),
        false => Name::from_utf8(name),
    }
    .ok()?;
    parsed.set_fqdn(true);
    // `Name` takes labels that are empty or escaped; no host is called so.
    let sound = !name.is_empty() && name.split('.').all(|label| !label.is_empty()) && !name.contains(['\\', ' ', '\0']);
    sound.then_some(parsed)
}

pub(crate) fn text_of(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

pub(crate) fn label(kind: RecordType) -> &'static str {
    kind.into()
}

pub(crate) fn temporary(name: &Name, kind: RecordType, reason: &str) -> Error {
    Error::Temporary {
        name: text_of(name),
        kind: label(kind),
        reason: reason.to_owned(),
    }
}

pub(crate) fn bogus(name: &Name, kind: RecordType) -> Error {
    Error::Bogus {
        name: text_of(name),
        kind: label(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("Mail.Example.", Some("mail.example")),
            ("mail.example", Some("mail.example")),
            ("_25._tcp.mail.example", Some("_25._tcp.mail.example")),
            ("grüße.example", Some("xn--gre-6ka8l.example")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b.example", None),
            ("a\\.b.example", None),
        ] {
            assert_eq!(name_of(text).map(|n| text_of(&n)).as_deref(), expected, "{text}");
        }
        assert!(name_of(&format!("{}.example", "x".repeat(64))).is_none());
    }
}
