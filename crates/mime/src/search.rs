//! Text for `SEARCH` (RFC 9051 §6.4.4): decoded, and compared without regard to case, substrings counting.

use memchr::memmem;

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

/// Text made comparable: lower case, character by character.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // The final sigma is another letter only in lower case.
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
        .collect()
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

    /// Whether `text` contains it, case apart. The empty needle is in every text.
    pub fn is_in(&self, text: &str) -> bool {
        self.finder.find(fold(text).as_bytes()).is_some()
    }

    /// Whether a text that [`fold`] has already made comparable contains it.
    pub fn is_in_folded(&self, folded: &str) -> bool {
        self.finder.find(folded.as_bytes()).is_some()
    }
}
