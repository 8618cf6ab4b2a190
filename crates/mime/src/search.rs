//! Text for `SEARCH` (RFC 9051 §6.4.4): decoded, and compared without regard to case, substrings counting.

use memchr::memmem;
use unicode_normalization::char::decompose_compatible;

use crate::charset::{decode_charset, decode_header_onto};
use crate::header::{fields, unfold};
use crate::html::html_text;
use crate::structure::{Kind, Part, Structure};
use crate::transfer::decode_part;

/// All text of a message that a search looks through: of `BODY`, the text parts and the headers of parts; with `header`,
/// as `TEXT` wants it, the header of the message before them. Transfer encodings, charsets and encoded words are undone,
/// HTML is there as it is seen and as it is written.
///
/// `message` are the bytes that `structure` describes.
pub fn search_text(message: &[u8], structure: &Structure, header: bool) -> String {
    let mut text = String::new();
    for (index, part) in structure.parts().iter().enumerate() {
        if index > 0 || header {
            header_text(slice(message, part.header_start, part.body_start), &mut text);
        }
        if part.kind == Kind::Leaf && (part.is_text() || part.media_type.eq_ignore_ascii_case(b"message")) {
            body_text(slice(message, part.body_start, part.body_end), part, &mut text);
        }
    }
    text
}

/// Adds the text of a header: names and decoded values, a line each.
pub fn header_text(header: &[u8], text: &mut String) {
    for field in fields(header) {
        text.push_str(&String::from_utf8_lossy(field.name));
        text.push_str(": ");
        decode_header_onto(&unfold(field.value), text);
        text.push('\n');
    }
}

/// Adds the text of a part's body: transfer encoding and charset undone, HTML without its tags. Only for parts that are text.
pub fn body_text(body: &[u8], part: &Part, text: &mut String) {
    let decoded = decode_part(body, part.transfer_encoding());
    let charset = part.parameter("charset");
    let decoded = decode_charset(&decoded, charset.as_deref());
    if part.is("text", "html") {
        // What is seen, and then the source: links and descriptions of images are searched for too.
        html_text(&decoded, text);
        text.push('\n');
    }
    text.push_str(&decoded);
    text.push('\n');
}

fn slice(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(at(from)..at(to)).unwrap_or_default()
}

/// Text made comparable, character by character: what is the same to i;unicode-casemap (RFC 5051) is the same here. Characters are
/// decomposed, compatibility forms included (`é` is `e` and its accent, `ﬁ` is `fi`), and then case is taken away; the collation does
/// these two in the other order, so that a few ligatures and digraphs differ in case there and do not here.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len() + text.len() / 8);
    fold_onto(text, &mut folded);
    folded
}

/// The same, added to what is there.
pub fn fold_onto(text: &str, folded: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
        let (ascii, other) = rest.split_at(at);
        push_lower(ascii, folded);
        let end = other.bytes().position(|byte| byte.is_ascii()).unwrap_or(other.len());
        let (other, after) = other.split_at(end);
        for letter in other.chars() {
            decompose_compatible(letter, |piece| folded.push(caseless(piece)));
        }
        rest = after;
    }
    push_lower(rest, folded);
}

fn push_lower(ascii: &str, folded: &mut String) {
    let from = folded.len();
    folded.push_str(ascii);
    if let Some(added) = folded.get_mut(from..) {
        added.make_ascii_lowercase();
    }
}

/// Lower case by way of upper case, where either is one character: so the two forms of the small sigma are one.
fn caseless(letter: char) -> char {
    let only = |mut letters: &mut dyn Iterator<Item = char>| match (letters.next(), (&mut letters).next()) {
        (Some(only), None) => Some(only),
        _ => None,
    };
    let upper = only(&mut letter.to_uppercase()).unwrap_or(letter);
    only(&mut upper.to_lowercase()).unwrap_or(upper)
}

/// Whether `text` contains `needle`, case apart. For one needle and many texts, make a [`Needle`].
pub fn contains_folded(text: &str, needle: &str) -> bool {
    Needle::new(needle).is_in(text)
}

/// What is searched for, made ready once.
#[derive(Debug, Clone)]
pub struct Needle {
    finder: memmem::Finder<'static>,
}

impl Needle {
    /// Makes the text that is searched for ready.
    pub fn new(needle: &str) -> Needle {
        Needle {
            finder: memmem::Finder::new(fold(needle).as_bytes()).into_owned(),
        }
    }

    /// What is looked for in texts that [`fold`] has made comparable.
    pub fn folded(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Whether `text` contains it, case apart. The empty needle is in every text.
    pub fn is_in(&self, text: &str) -> bool {
        self.finder.find(fold(text).as_bytes()).is_some()
    }

    /// Whether a text that [`fold`] has already made comparable contains it.
    pub fn is_in_folded(&self, folded: &str) -> bool {
        self.finder.find(folded.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded() {
        for (a, b) in [
            ("GRÜSSE", "grüsse"),
            ("Gru\u{308}ße", "Grüße"),
            ("ΟΔΟΣ", "οδος"),
            ("οδός", "ΟΔΌΣ"),
            ("ﬁnden", "FINDEN"),
            ("Ｆｕｌｌ", "full"),
            ("ǅ", "ǆ"),
            ("K", "k"),
            ("a\u{a0}b", "A B"),
            ("ПРИВЕТ", "привет"),
            ("ﬀ", "FF"),
            ("Å", "Å"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("ß"), fold("ss"));
        assert!(contains_folded("ein Café hier", "CAFÉ"));
        assert!(contains_folded("straße", "STRAßE"));
        assert!(!contains_folded("Muller", "Müller"));
    }
}
