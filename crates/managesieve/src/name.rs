//! Names of scripts: RFC 5804 §1.6, Net-Unicode of RFC 5198 §2.

use crate::Error;
use unicode_normalization::{UnicodeNormalization, is_nfc_quick};

/// Octets of a name: 128 characters must be possible, which take up to 512.
pub const MAX_NAME_OCTETS: usize = 512;

/// The name in normal form C, which Net-Unicode asks for, or why no script can be called that.
pub fn check_name(name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::Name("it is empty"));
    }
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if name.chars().any(forbidden) {
        return Err(Error::Name("control characters are not allowed"));
    }
    let name: String = match is_nfc_quick(name.chars()) {
        unicode_normalization::IsNormalized::Yes => name.to_owned(),
        _ => name.nfc().collect(),
    };
    if name.len() > MAX_NAME_OCTETS {
        return Err(Error::Name("it has more than 512 octets"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(check_name("Urlaub im Süden").unwrap(), "Urlaub im Süden");
        assert_eq!(check_name("Su\u{308}den").unwrap(), "Süden");
        assert_eq!(check_name(&"x".repeat(512)).unwrap().len(), 512);
        for bad in ["", "a\tb", "a\u{7f}", "a\u{85}", "a\u{2028}b", &"x".repeat(513)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
