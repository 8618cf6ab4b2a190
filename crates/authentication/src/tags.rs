//! Lists of `name=value`, as DKIM has them (RFC 6376 §3.2), and DMARC and ARC after it.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Padding is often forgotten in zones.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Tags in one list.
const TAGS: usize = 64;

/// A list that was read. Names are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Reads a list. `None`: it is none, a name stands twice, or there are too many.
    pub(crate) fn parse(text: &'a str) -> Option<Tags<'a>> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let mut items = text.split(';').peekable();
        while let Some(item) = items.next() {
            let item = item.trim_matches(is_space);
            if item.is_empty() && items.peek().is_none() && !tags.is_empty() {
                break;
            }
            let (name, value) = item.split_once('=')?;
            let name = name.trim_end_matches(is_space);
            let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !good || tags.iter().any(|(known, _)| *known == name) || tags.len() == TAGS {
                return None;
            }
            tags.push((name, value.trim_matches(is_space)));
        }
        Some(Tags(tags))
    }

    /// Reads what can be read of a list: a part that is no tag, and a name that stands twice, are passed over.
    pub(crate) fn lenient(text: &'a str) -> Tags<'a> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        for item in text.split(';').take(TAGS) {
            if let Some(Tags(read)) = Tags::parse(item)
                && let [tag] = read[..]
                && !tags.iter().any(|(known, _)| *known == tag.0)
            {
                tags.push(tag);
            }
        }
        Tags(tags)
    }

    /// The value of a name, without space around it.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The name that stands first.
    pub(crate) fn first(&self) -> Option<&'a str> {
        self.0.first().map(|(name, _)| *name)
    }
}

/// What may stand between the parts of a list: FWS.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Base64 with space anywhere.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.chars().filter(|c| !is_space(*c)).collect();
    LENIENT.decode(packed).ok()
}

/// Words between colons, without the space around them.
pub(crate) fn colons(text: &str) -> impl Iterator<Item = &str> {
    text.split(':').map(|word| word.trim_matches(is_space))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let tags = Tags::parse(" v=1; a = rsa-sha256 ;\r\n\tb=ab\r\n cd=;").unwrap();
        assert_eq!(tags.first(), Some("v"));
        assert_eq!(tags.value("a"), Some("rsa-sha256"));
        assert_eq!(tags.value("b"), Some("ab\r\n cd="));
        assert_eq!(tags.value("A"), None);
        for wrong in ["", ";", "v", "v=1;;a=2", "v=1; v=2", "1v=2", "=x"] {
            assert_eq!(Tags::parse(wrong), None, "{wrong}");
        }
        let some = Tags::lenient("v=1;; a=2; nonsense; 1b=3; a=4 ; c = d");
        assert_eq!(some, Tags(vec![("v", "1"), ("a", "2"), ("c", "d")]));
        assert_eq!(base64("AQ ID\r\n\tBA"), Some(vec![1, 2, 3, 4]));
        assert_eq!(base64("AQIDBA=="), Some(vec![1, 2, 3, 4]));
        assert_eq!(base64("?"), None);
    }
}
