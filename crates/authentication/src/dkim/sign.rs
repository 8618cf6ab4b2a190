//! Signing (RFC 6376 §5).

use super::BodyDigest;
use super::verify::Selection;
use crate::key::{KeyError, Random, SigningKey};
use crate::message::{Field, fields};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Fields that are signed (§5.4.1), each as often as it occurs; those with `true` once more, so that nobody can add one (§8.15).
pub const SIGNED: [(&str, bool); 24] = [
    ("From", true),
    ("Reply-To", true),
    ("Subject", true),
    ("Date", true),
    ("To", true),
    ("Cc", true),
    ("Message-ID", true),
    ("In-Reply-To", false),
    ("References", false),
    ("Sender", true),
    ("MIME-Version", true),
    ("Content-Type", true),
    ("Content-Transfer-Encoding", true),
    ("Content-ID", false),
    ("Content-Description", false),
    ("Resent-Date", false),
    ("Resent-From", false),
    ("Resent-To", false),
    ("Resent-Cc", false),
    ("List-Id", false),
    ("List-Help", false),
    ("List-Unsubscribe", false),
    ("List-Unsubscribe-Post", false),
    ("List-Post", false),
];

/// Columns at which the field is folded.
const WIDTH: usize = 72;

/// What a signature is to say.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who signs.
    pub domain: &'a str,
    /// With which key.
    pub selector: &'a str,
    /// The key.
    pub key: &'a SigningKey,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Until when it is good; `None`: for ever.
    pub expires: Option<u64>,
}

/// Makes a `DKIM-Signature` field, line end included, to be put on top of the message with this header and this body (in relaxed form).
pub fn sign(header: &[u8], body: &BodyDigest, request: &Request<'_>, random: &dyn Random) -> Result<Vec<u8>, KeyError> {
    let mut text = format!(
        "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; d={};\r\n\ts={}; t={};",
        request.key.algorithm().name(),
        request.domain,
        request.selector,
        request.time
    );
    if let Some(expires) = request.expires {
        // Writing to a String cannot fail.
        let _ = write!(text, " x={expires};");
    }
    finish(text, header, &names(header), body, request.key, random)
}

/// The names for `h=`.
pub(crate) fn names(header: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for (name, over) in SIGNED {
        let there = fields(header).filter(|field| field.is(name)).count();
        let times = there + usize::from(over);
        names.extend(std::iter::repeat_n(name.to_ascii_lowercase(), times));
    }
    names
}

/// Adds `h=`, `bh=` and `b=` to what a signature field begins with.
pub(crate) fn finish(
    mut text: String,
    header: &[u8],
    names: &[String],
    body: &BodyDigest,
    key: &SigningKey,
    random: &dyn Random,
) -> Result<Vec<u8>, KeyError> {
    text.push_str("\r\n\th=");
    fold_words(&mut text, names);
    // Writing to a String cannot fail.
    let _ = write!(text, ";\r\n\tbh={};\r\n\tb=", STANDARD.encode(body.digest));
    let own = Field {
        raw: text.as_bytes(),
        name: b"",
        value: b"",
    };
    let data = Selection::new(header).data(names, super::Canon::Relaxed, &own);
    let signature = key.sign(&data, random)?;
    fold_base64(&mut text, &signature);
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

/// Words between colons, folded.
fn fold_words(text: &mut String, words: &[String]) {
    let mut column = 10;
    for (number, word) in words.iter().enumerate() {
        if number > 0 {
            text.push(':');
            if column + word.len() > WIDTH {
                text.push_str("\r\n\t ");
                column = 9;
            }
        }
        text.push_str(word);
        column += word.len() + 1;
    }
}

/// Octets in base64, folded.
pub(crate) fn fold_base64(text: &mut String, octets: &[u8]) {
    let packed = STANDARD.encode(octets);
    for (number, line) in packed.as_bytes().chunks(WIDTH - 8).enumerate() {
        if number > 0 {
            text.push_str("\r\n\t ");
        }
        // Base64 is ASCII.
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
    }
}
