//! Mailbox names: UTF-8 inside, modified UTF-7 on the wire where the client has not enabled IMAP4rev2. RFC 3501 §5.1.3.

use std::fmt;

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::cursor::Cursor;
use crate::{Error, Result};

/// The name of a mailbox, decoded. `INBOX` is upper case whatever case it came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(String);

impl MailboxName {
    /// From a name in UTF-8.
    pub fn new(name: &str) -> MailboxName {
        if name.eq_ignore_ascii_case("INBOX") {
            MailboxName("INBOX".to_owned())
        } else {
            MailboxName(name.to_owned())
        }
    }

    /// From the wire.
    pub fn decode(wire: &[u8], utf8: bool) -> Result<MailboxName> {
        Ok(MailboxName::new(&wire_decode(wire, utf8)?))
    }

    /// The name in UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the INBOX.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// The name as it goes over the wire.
    pub fn encode(&self, utf8: bool) -> String {
        if utf8 { self.0.clone() } else { utf7_encode(&self.0) }
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes a name or pattern. A client that never enabled UTF-8 but sends it anyway is understood (RFC 9051 §5.1).
pub(crate) fn wire_decode(wire: &[u8], utf8: bool) -> Result<String> {
    let text = std::str::from_utf8(wire).map_err(|_| Error::Utf8)?;
    if utf8 || !text.is_ascii() {
        Ok(text.to_owned())
    } else {
        utf7_decode(text).ok_or(Error::MailboxName)
    }
}

/// Modified UTF-7 to UTF-8. `None` if it isn't the one right encoding of a text.
pub fn utf7_decode(name: &str) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, encoded)) = rest.split_once('&') {
        text.push_str(plain);
        let (encoded, behind) = encoded.split_once('-')?;
        rest = behind;
        if encoded.is_empty() {
            text.push('&');
            continue;
        }
        let octets = ENGINE.decode(encoded).ok()?;
        if octets.is_empty() || octets.len() % 2 != 0 {
            return None;
        }
        let units = octets
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        for character in char::decode_utf16(units) {
            let character = character.ok()?;
            // What can stand for itself must: else one name had several spellings.
            if (' '..='~').contains(&character) {
                return None;
            }
            text.push(character);
        }
        if rest.starts_with('&') && !rest.starts_with("&-") {
            return None;
        }
    }
    text.push_str(rest);
    Some(text)
}

/// UTF-8 to modified UTF-7.
pub fn utf7_encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut pending: Vec<u8> = Vec::new();
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            utf7_flush(&mut out, &mut pending);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            pending.extend(
                character
                    .encode_utf16(&mut units)
                    .iter()
                    .flat_map(|unit| unit.to_be_bytes()),
            );
        }
    }
    utf7_flush(&mut out, &mut pending);
    out
}

fn utf7_flush(out: &mut String, pending: &mut Vec<u8>) {
    if !pending.is_empty() {
        out.push('&');
        ENGINE.encode_string(&*pending, out);
        out.push('-');
        pending.clear();
    }
}

impl<'a> Cursor<'a> {
    // mailbox = "INBOX" / astring
    pub(crate) fn mailbox(&mut self) -> Result<MailboxName> {
        let wire = self.astring()?;
        MailboxName::decode(&wire, self.utf8)
    }

    // list-mailbox = 1*list-char / string
    pub(crate) fn pattern(&mut self) -> Result<String> {
        let wire = self.string_or(crate::cursor::is_list)?;
        wire_decode(&wire, self.utf8)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        for (text, wire) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("R&D", "R&-D"),
            ("☺!", "&Jjo-!"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("Gelöschte Objekte", "Gel&APY-schte Objekte"),
            ("😀", "&2D3eAA-"),
            ("", ""),
        ] {
            assert_eq!(utf7_encode(text), wire);
            assert_eq!(utf7_decode(wire).as_deref(), Some(text));
        }
        // RFC 3501 §5.1.3: superfluous shifts, unterminated ones, US-ASCII in base64, half a surrogate pair.
        for bad in [
            "&U,BTFw-&ZeVnLIqe-",
            "a&",
            "a&U,BT",
            "&AGE-",
            "&2D0-",
            "&Jj-",
            "&ü-",
            "&Jjo=-",
        ] {
            assert_eq!(utf7_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn inbox_in_any_case() {
        assert!(MailboxName::decode(b"inBox", false).unwrap().is_inbox());
        assert_eq!(
            MailboxName::decode("Entwürfe".as_bytes(), false).unwrap().as_str(),
            "Entwürfe"
        );
        assert_eq!(MailboxName::decode(b"R&D", false), Err(Error::MailboxName));
        assert_eq!(MailboxName::decode(b"R&D", true).unwrap().as_str(), "R&D");
        assert_eq!(MailboxName::decode(b"\xff", false), Err(Error::Utf8));
    }

    proptest! {
        #[test]
        fn utf7_round_trip(name in "\\PC*") {
            prop_assert_eq!(utf7_decode(&utf7_encode(&name)), Some(name));
        }

        #[test]
        fn utf7_has_one_spelling(wire in "[ -~]*") {
            if let Some(text) = utf7_decode(&wire) {
                prop_assert_eq!(utf7_encode(&text), wire);
            }
        }
    }
}
