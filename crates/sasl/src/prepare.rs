use crate::Failure;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Brings a password to the form in which it is compared, so that the same keys pressed on two systems give the same bytes.
///
/// This is SASLprep (RFC 4013) without its tables for right-to-left text and for code points unassigned in Unicode 3.2: spaces
/// beyond ASCII become a space, soft hyphens, joiners and the like vanish, the rest is normalised by NFKC, control characters
/// are refused. ASCII comes out as it went in. An empty result is refused.
///
/// Use it on both sides: when a password is set and when it is verified.
pub fn prepare(password: &[u8]) -> Result<Cow<'_, [u8]>, Failure> {
    let text = std::str::from_utf8(password).map_err(|_| Failure::Malformed("password is not UTF-8"))?;
    if text.is_empty() {
        return Err(Failure::Malformed("password is empty"));
    }
    if text.chars().any(is_refused) {
        return Err(Failure::Malformed("password has control characters"));
    }
    if text.is_ascii() {
        return Ok(Cow::Borrowed(password));
    }
    let mapped: Zeroizing<String> = Zeroizing::new(
        text.chars()
            .filter(|c| !vanishes(*c))
            .map(|c| if is_space(c) { ' ' } else { c })
            .collect(),
    );
    let normal: String = mapped.nfkc().collect();
    if normal.is_empty() {
        return Err(Failure::Malformed("password is empty"));
    }
    Ok(Cow::Owned(normal.into_bytes()))
}

/// RFC 3454 tables C.2, C.3, C.4, C.6 and C.8 in short: controls, private use, noncharacters, direction overrides.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{206A}'..='\u{206F}')
        || matches!(c, '\u{E000}'..='\u{F8FF}' | '\u{FFF9}'..='\u{FFFD}' | '\u{FDD0}'..='\u{FDEF}')
        || u32::from(c) >= 0xE0000
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// RFC 3454 table C.1.2, spaces beyond ASCII.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
    )
}

/// RFC 3454 table B.1, "commonly mapped to nothing".
fn vanishes(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{1806}' | '\u{180B}'..='\u{180D}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_forms() {
        // The first five are the examples of RFC 4013 §3.
        let table: &[(&str, Option<&str>)] = &[
            ("I\u{AD}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{AA}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("a\0b", None),
            ("", None),
            ("\u{AD}", None),
            ("pa ss\u{A0}word", Some("pa ss word")),
            ("gr\u{FC}n", Some("gr\u{FC}n")),
            ("gru\u{308}n", Some("gr\u{FC}n")),
            ("x\u{202E}y", None),
            ("x\u{FFFE}y", None),
            ("🔑 key", Some("🔑 key")),
        ];
        for (input, expected) in table {
            let prepared = prepare(input.as_bytes()).ok();
            assert_eq!(prepared.as_deref(), expected.map(str::as_bytes), "{input:?}");
        }
        assert!(prepare(b"\xFF\xFE").is_err());
    }
}
