//! Answers, written at the end of a buffer. RFC 9051 §7.
//!
//! An [`Encoder`] knows one thing of the session: whether the client reads UTF-8 (it has enabled IMAP4rev2). Nothing here can write
//! a line end where none belongs: texts are cleaned, strings that cannot be quoted become literals.

mod acl;
mod code;
mod fetch;
mod mailboxes;
mod metadata;
mod quota;
mod search;
mod string;
mod thread;
mod urlauth;
mod vanished;

pub use code::Code;
pub use fetch::FetchResponse;
pub use mailboxes::{Attribute, ListResponse, Namespaces};
pub use search::{Correlator, Esearch, EsearchUpdate, Partials};
pub use string::{astring, literal, nstring, quoted_or_literal};

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Flag;

/// How a command went, or what kind of remark this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Ok,
    /// It could not be done.
    No,
    /// It was not understood or not allowed now.
    Bad,
    /// The connection closes. Untagged only.
    Bye,
    /// The client is logged in already. Untagged only.
    PreAuth,
}

impl Status {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
            Status::Bye => "BYE",
            Status::PreAuth => "PREAUTH",
        }
    }
}

/// Writes responses.
#[derive(Debug)]
pub struct Encoder<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) utf8: bool,
}

impl<'a> Encoder<'a> {
    /// Writes to the end of `out`; mailbox names and quoted strings in UTF-8 if `utf8`.
    pub fn new(out: &'a mut Vec<u8>, utf8: bool) -> Encoder<'a> {
        Encoder { out, utf8 }
    }

    /// `A1 OK [CODE] text`
    pub fn tagged(&mut self, tag: &str, status: Status, code: Option<&Code<'_>>, text: &str) {
        self.push(tag);
        self.condition(status, code, text);
    }

    /// `* OK [CODE] text`
    pub fn untagged(&mut self, status: Status, code: Option<&Code<'_>>, text: &str) {
        self.push("*");
        self.condition(status, code, text);
    }

    /// `A1 BAD text`, or `* BAD text` where no tag could be read.
    pub fn bad(&mut self, tag: Option<&str>, text: &str) {
        self.push(tag.unwrap_or("*"));
        self.condition(Status::Bad, None, text);
    }

    /// `+ text`: go on.
    pub fn continuation(&mut self, text: &str) {
        self.push("+ ");
        self.text(text);
        self.end();
    }

    /// `+ base64`: a SASL challenge.
    pub fn challenge(&mut self, octets: &[u8]) {
        self.push("+ ");
        let encoded = STANDARD.encode(octets);
        self.push(&encoded);
        self.end();
    }

    /// `* CAPABILITY …`
    pub fn capability(&mut self, names: &[&str]) {
        self.words("* CAPABILITY", names);
    }

    /// `* ENABLED …`
    pub fn enabled(&mut self, names: &[&str]) {
        self.words("* ENABLED", names);
    }

    /// `* FLAGS (…)`
    pub fn flags(&mut self, flags: &[Flag]) {
        self.push("* FLAGS ");
        flag_list(self.out, flags.iter().map(Flag::name));
        self.end();
    }

    /// `* n EXISTS`
    pub fn exists(&mut self, count: u32) {
        self.counted(count, "EXISTS");
    }

    /// `* n RECENT`: rev1 only.
    pub fn recent(&mut self, count: u32) {
        self.counted(count, "RECENT");
    }

    /// `* n EXPUNGE`
    pub fn expunge(&mut self, sequence: u32) {
        self.counted(sequence, "EXPUNGE");
    }

    /// `* ID (…)`. RFC 2971.
    pub fn id(&mut self, fields: &[(&str, Option<&str>)]) {
        self.push("* ID ");
        if fields.is_empty() {
            self.push("NIL");
        } else {
            for (i, (field, value)) in fields.iter().enumerate() {
                self.push(if i == 0 { "(" } else { " " });
                quoted_or_literal(self.out, field.as_bytes(), self.utf8);
                self.push(" ");
                nstring(self.out, value.map(str::as_bytes), self.utf8);
            }
            self.push(")");
        }
        self.end();
    }

    /// `* BYE text`
    pub fn bye(&mut self, code: Option<&Code<'_>>, text: &str) {
        self.untagged(Status::Bye, code, text);
    }

    fn condition(&mut self, status: Status, code: Option<&Code<'_>>, text: &str) {
        self.push(" ");
        self.push(status.name());
        self.push(" ");
        if let Some(code) = code {
            self.push("[");
            code.write(self);
            self.push("] ");
        }
        self.text(if text.is_empty() { status.name() } else { text });
        self.end();
    }

    fn words(&mut self, head: &str, words: &[&str]) {
        self.push(head);
        for word in words {
            self.push(" ");
            self.push(word);
        }
        self.end();
    }

    fn counted(&mut self, count: u32, what: &str) {
        self.push("* ");
        self.number(count);
        self.push(" ");
        self.push(what);
        self.end();
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: impl Into<u64>) {
        decimal(self.out, number.into());
    }

    pub(crate) fn print(&mut self, value: impl std::fmt::Display) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "{value}");
    }

    pub(crate) fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// Human-readable text: no controls, and not a `[` in front that would read as a code.
    fn text(&mut self, text: &str) {
        let clean = text.chars().map(|c| {
            if c.is_control() || !(self.utf8 || c.is_ascii()) {
                ' '
            } else {
                c
            }
        });
        let mut utf8 = [0; 4];
        for character in clean {
            self.out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        }
    }
}

/// Decimal digits, without the detour of formatting: FETCH writes millions of them.
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
        if number == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// `(\Seen $Junk)`
pub(crate) fn flag_list<'n>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'n str>) {
    out.push(b'(');
    for (i, name) in names.into_iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b')');
}
