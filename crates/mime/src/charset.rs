//! From bytes to text: charsets, and encoded words in headers (RFC 2047). Generous, because it serves search.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use memchr::{memchr, memmem};

use crate::header::has_encoded_word;
use crate::transfer::{decode_base64, decode_q};

/// Bytes in the named charset as text. What is said to be ASCII or nothing at all may be UTF-8; if it is not, it is taken
/// for Windows-1252, as is everything of unknown name.
pub fn decode_charset<'a>(bytes: &'a [u8], charset: Option<&[u8]>) -> Cow<'a, str> {
    let name = charset.unwrap_or_default().trim_ascii();
    let name = name.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    let named_utf8 = name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"utf8");
    if named_utf8 {
        return String::from_utf8_lossy(bytes);
    }
    let ascii = name.is_empty() || name.eq_ignore_ascii_case(b"us-ascii") || name.eq_ignore_ascii_case(b"ascii");
    let decoder = if ascii || name.len() > 40 {
        None
    } else {
        charset_decoder(name)
    };
    match decoder {
        Some(decode) => Cow::Owned(decode(bytes)),
        None => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => match charset_decoder(b"windows-1252") {
                Some(decode) => Cow::Owned(decode(bytes)),
                None => String::from_utf8_lossy(bytes),
            },
        },
    }
}

/// An unfolded header value with its encoded words decoded.
pub fn decode_header(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    decode_header_onto(value, &mut text);
    text
}

pub(crate) fn decode_header_onto(value: &[u8], text: &mut String) {
    if !has_encoded_word(value) {
        text.push_str(&decode_charset(value, None));
        return;
    }
    let mut rest = value;
    // Words that follow each other are one text; a character may be cut between two of the same charset.
    let mut run: Option<(&[u8], Vec<u8>)> = None;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (before, from) = rest.split_at(at);
        let Some((word, after)) = Word::parse(from) else {
            flush(&mut run, text);
            let (literal, after) = rest.split_at(at + 2);
            text.push_str(&decode_charset(literal, None));
            rest = after;
            continue;
        };
        rest = after;
        if !before.trim_ascii().is_empty() || run.is_none() {
            flush(&mut run, text);
            text.push_str(&decode_charset(before, None));
        }
        match &mut run {
            Some((charset, bytes)) if charset.eq_ignore_ascii_case(word.charset) => bytes.extend(word.bytes),
            _ => {
                flush(&mut run, text);
                run = Some((word.charset, word.bytes));
            }
        }
    }
    flush(&mut run, text);
    text.push_str(&decode_charset(rest, None));
}

fn flush(run: &mut Option<(&[u8], Vec<u8>)>, text: &mut String) {
    if let Some((charset, bytes)) = run.take() {
        text.push_str(&decode_charset(&bytes, Some(charset)));
    }
}

/// RFC 2047 §2 allows 75 characters; more is met, but not without end.
const WORD_MOST: usize = 1000;

struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
}

impl<'a> Word<'a> {
    /// `=?charset*language?encoding?text?=`
    fn parse(from: &'a [u8]) -> Option<(Word<'a>, &'a [u8])> {
        let head = from.get(2..WORD_MOST.min(from.len()))?;
        let charset_end = memchr(b'?', head)?;
        let charset = head.get(..charset_end)?;
        let charset = charset.split(|&byte| byte == b'*').next().unwrap_or(charset);
        let encoding = *head.get(charset_end + 1)?;
        if charset.is_empty() || head.get(charset_end + 2) != Some(&b'?') {
            return None;
        }
        let text_start = charset_end + 3;
        let length = memmem::find(head.get(text_start..)?, b"?=")?;
        let text = head.get(text_start..text_start + length)?;
        let bytes = match encoding {
            b'B' | b'b' => decode_base64(text),
            b'Q' | b'q' => decode_q(text),
            _ => return None,
        };
        Some((Word { charset, bytes }, from.get(2 + text_start + length + 2..)?))
    }
}
