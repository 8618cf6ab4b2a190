//! What is known of one message: its text, and what it is sorted and threaded by.

use crate::cells::{Cells, put_number, put_signed, put_text};
use crate::find::Leaf;
use crate::{Limits, Result};
use mime::{Address, Envelope, Kind, Part, Structure, decode_header, fold, fold_onto};
use std::ops::Range;

/// A message as searches see it. All text is folded (`mime::fold`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doc {
    /// What it is sorted and threaded by.
    pub keys: Keys,
    /// The message's own header, a field a line.
    pub head: String,
    /// All other text: headers of parts, text, names of attachments and what is in them.
    pub body: String,
    /// There is more text than was kept.
    pub cut: bool,
}

/// What a message is sorted, threaded and quickly searched by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// `Date:`, seconds since 1970, UTC.
    pub sent: Option<i64>,
    /// The day it names, in days since 1970, zone disregarded.
    pub day: Option<i64>,
    /// The subject, decoded and folded.
    pub subject: String,
    /// The base subject (RFC 5256 §2.1), folded.
    pub base: String,
    /// The subject says reply or forward.
    pub reply: bool,
    /// `From`, `To`, `Cc` and `Bcc`: names and addresses, folded, an address a line.
    pub people: [String; 4],
    /// Local part of the first address of `From`, `To` and `Cc`, folded.
    pub mailbox: [String; 3],
    /// What is shown for the first address of `From` and `To` (RFC 5957), folded.
    pub shown: [String; 2],
    /// A hash of the Message-ID.
    pub id: Option<u64>,
    /// Hashes of what it refers to, the parent last.
    pub references: Vec<u64>,
}

/// Message-IDs of `References` that count, the last ones: a thread that goes on longer is held together by these.
const REFERENCES_MOST: usize = 100;

/// Reads text out of attachments. The answer is plain text, not folded.
pub trait Attachments {
    /// Whether a part of that type and name can be read, before it is fetched.
    fn wants(&self, media_type: &str, name: &str) -> bool;
    /// Its text; `None` where it has none or cannot be read.
    fn text(&self, media_type: &str, name: &str, octets: &[u8]) -> Option<String>;
}

/// Looks into no attachment.
pub struct NoAttachments;

impl Attachments for NoAttachments {
    fn wants(&self, _: &str, _: &str) -> bool {
        false
    }

    fn text(&self, _: &str, _: &str, _: &[u8]) -> Option<String> {
        None
    }
}

impl Doc {
    /// Reads a message of that structure; `octets` gives pieces of it.
    pub fn read<E>(
        structure: &Structure,
        limits: &Limits,
        attachments: &dyn Attachments,
        mut octets: impl FnMut(Range<u64>) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Doc, E> {
        let mut doc = Doc::default();
        let mut looked_into = 0;
        let mut text = String::new();
        for (index, part) in structure.parts().iter().enumerate() {
            let header = octets(bounded(&part.header_range(), limits.header))?;
            text.clear();
            mime::header_text(&header, &mut text);
            if index == 0 {
                doc.keys = Keys::of(&header);
                doc.head = fold(&text);
                text.clear();
            }
            let name = attachment_name(part);
            if !name.is_empty() {
                text.push_str(&name);
                text.push('\n');
            }
            doc.push(&text, limits);
            text.clear();
            if part.kind != Kind::Leaf {
                continue;
            }
            if part.is_text() || part.media_type.eq_ignore_ascii_case(b"message") {
                let body = octets(bounded(&part.body_range(), limits.part))?;
                mime::body_text(&body, part, &mut text);
            } else {
                let media_type = media_type(part);
                if !attachments.wants(&media_type, &name) {
                    continue;
                }
                looked_into += 1;
                // Half an attachment is none: what is too long is not looked into, and the documentation says so.
                if looked_into > limits.attachments || part.body_len() > limits.part {
                    continue;
                }
                let body = octets(part.body_range())?;
                let body = mime::decode_part(&body, part.transfer_encoding());
                if let Some(inside) = attachments.text(&media_type, &name, &body) {
                    text.push_str(&inside);
                    text.push('\n');
                }
            }
            doc.push(&text, limits);
        }
        Ok(doc)
    }

    fn push(&mut self, text: &str, limits: &Limits) {
        let room = limits.text.saturating_sub(self.body.len());
        fold_onto(text, &mut self.body);
        if room + self.head.len() < text.len() {
            // Folding may change the length; only what is too long now is cut.
            let mut end = limits.text;
            if self.body.len() > end {
                while !self.body.is_char_boundary(end) {
                    end -= 1;
                }
                self.body.truncate(end);
                self.body.push('\n');
                self.cut = true;
            }
        }
    }

    /// Whether the message is what is looked for. With text cut off, a no may be wrong.
    pub fn matches(&self, leaf: &Leaf) -> bool {
        leaf.is_in(self)
    }

    /// For the tail.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head.len() + self.body.len() + 512);
        self.keys.encode(&mut out);
        put_number(&mut out, u64::from(self.cut));
        put_text(&mut out, &self.head);
        put_text(&mut out, &self.body);
        out
    }

    pub(crate) fn decode(octets: &[u8]) -> Result<Doc> {
        let mut cells = Cells(octets);
        Ok(Doc {
            keys: Keys::decode(&mut cells)?,
            cut: cells.number()? != 0,
            head: cells.text()?.to_owned(),
            body: cells.text()?.to_owned(),
        })
    }
}

fn bounded(range: &Range<u64>, limit: u64) -> Range<u64> {
    range.start..range.end.min(range.start.saturating_add(limit))
}

fn media_type(part: &Part) -> String {
    let mut name = String::from_utf8_lossy(&part.media_type).into_owned();
    name.push('/');
    name.push_str(&String::from_utf8_lossy(&part.media_subtype));
    name.make_ascii_lowercase();
    name
}

/// The name of an attachment, decoded, whichever way it was encoded: RFC 2231 §4 (`filename*=utf-8''…`), or an encoded word.
fn attachment_name(part: &Part) -> String {
    let given = part.disposition.as_ref().map(|disposition| &disposition.parameters);
    let named = [(given, "filename"), (Some(&part.parameters), "name")];
    for (parameters, name) in named {
        let Some(parameters) = parameters else { continue };
        let found: Vec<_> = parameters
            .iter()
            .filter(|p| {
                p.name
                    .get(..name.len())
                    .is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
            })
            .collect();
        let extended = found.iter().any(|p| p.name.ends_with(b"*"));
        let joined: Vec<u8> = match found.iter().find(|p| p.name.len() == name.len()) {
            Some(plain) if !extended => plain.value.to_vec(),
            _ => found
                .iter()
                .filter(|p| p.name.len() > name.len())
                .flat_map(|p| p.value.iter().copied())
                .collect(),
        };
        if joined.is_empty() {
            continue;
        }
        if !extended {
            return decode_header(&joined);
        }
        let mut pieces = joined.splitn(3, |byte| *byte == b'\'');
        let (charset, octets) = match (pieces.next(), pieces.next(), pieces.next()) {
            (Some(charset), Some(_), Some(rest)) => (Some(charset), rest),
            _ => (None, joined.as_slice()),
        };
        return mime::decode_charset(&percent_decoded(octets), charset).into_owned();
    }
    String::new()
}

fn percent_decoded(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let code = after.get(..2).filter(|_| byte == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => out.push(byte),
        }
    }
    out
}

/// A Message-ID as a number: two that differ are the same one in 2⁶⁴ times.
fn id_hash(id: &[u8]) -> u64 {
    let hash = blake3::hash(id);
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    // 0 stands for none where it is stored.
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
}

impl Keys {
    /// Out of a message's header.
    pub fn of(header: &[u8]) -> Keys {
        let envelope = Envelope::parse(header);
        let date = envelope.date.as_deref().and_then(mime::Date::parse);
        let subject = envelope.subject.as_deref().map(decode_header).unwrap_or_default();
        let (base, reply) = mime::base_subject(&subject);
        let ids = |value: &[u8], most| mime::message_ids(value, most).into_iter();
        let first = |value: &Option<Box<[u8]>>| {
            let value = value.as_deref()?;
            // All but the first do not count, and how many there are is up to the sender.
            ids(value, usize::MAX).next().map(|id| id_hash(&id))
        };
        let mut references: Vec<u64> = mime::header_field(header, "References")
            .map(|value| ids(&value, REFERENCES_MOST).map(|id| id_hash(&id)).collect())
            .unwrap_or_default();
        if references.is_empty() {
            references.extend(first(&envelope.in_reply_to));
        }
        let lists = [&envelope.from, &envelope.to, &envelope.cc, &envelope.bcc];
        Keys {
            sent: date.map(|date| date.seconds),
            day: date.map(|date| date.day()),
            base: fold(&base),
            subject: fold(&subject),
            reply,
            people: lists.map(|list| people(list)),
            mailbox: [&envelope.from, &envelope.to, &envelope.cc].map(|list| first_mailbox(list)),
            shown: [&envelope.from, &envelope.to].map(|list| first_shown(list)),
            id: first(&envelope.message_id),
            references,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_signed(out, self.sent.unwrap_or(i64::MIN));
        put_signed(out, self.day.unwrap_or(i64::MIN));
        put_number(out, u64::from(self.reply));
        put_text(out, &self.subject);
        put_text(out, &self.base);
        for text in self.people.iter().chain(&self.mailbox).chain(&self.shown) {
            put_text(out, text);
        }
        out.extend_from_slice(&self.id.unwrap_or(0).to_le_bytes());
        put_number(out, self.references.len() as u64);
        for id in &self.references {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }

    pub(crate) fn decode(cells: &mut Cells<'_>) -> Result<Keys> {
        let given = |number: i64| (number != i64::MIN).then_some(number);
        let mut keys = Keys {
            sent: given(cells.signed()?),
            day: given(cells.signed()?),
            reply: cells.number()? != 0,
            subject: cells.text()?.to_owned(),
            base: cells.text()?.to_owned(),
            ..Keys::default()
        };
        let texts = keys.people.iter_mut().chain(&mut keys.mailbox).chain(&mut keys.shown);
        for text in texts {
            cells.text()?.clone_into(text);
        }
        let word = |cells: &mut Cells<'_>| -> Result<u64> {
            let mut octets = [0; 8];
            octets.copy_from_slice(cells.octets(8)?);
            Ok(u64::from_le_bytes(octets))
        };
        keys.id = Some(word(cells)?).filter(|id| *id != 0);
        for _ in 0..cells.size()?.min(REFERENCES_MOST) {
            keys.references.push(word(cells)?);
        }
        Ok(keys)
    }
}

/// `name <local@host>`, a line each; names of groups, too.
fn people(list: &[Address]) -> String {
    let mut text = String::new();
    for address in list {
        match address {
            Address::Mailbox(mailbox) => {
                if let Some(name) = &mailbox.name {
                    text.push_str(&decode_header(name));
                    text.push(' ');
                }
                text.push('<');
                text.push_str(&decode_header(&mailbox.local));
                if !mailbox.host.is_empty() {
                    text.push('@');
                    text.push_str(&decode_header(&mailbox.host));
                }
                text.push_str(">\n");
            }
            Address::GroupStart(name) => {
                text.push_str(&decode_header(name));
                text.push('\n');
            }
            Address::GroupEnd => {}
        }
    }
    fold(&text)
}

/// RFC 5256 §3: the addr-mailbox of the first address, as the envelope has it (a group's is its name).
fn first_mailbox(list: &[Address]) -> String {
    match list.first() {
        Some(Address::Mailbox(mailbox)) => fold(&String::from_utf8_lossy(&mailbox.local)),
        Some(Address::GroupStart(name)) => fold(&String::from_utf8_lossy(name)),
        Some(Address::GroupEnd) | None => String::new(),
    }
}

/// RFC 5957 §3: the name, decoded; without one, `local@host`.
fn first_shown(list: &[Address]) -> String {
    match list.first() {
        Some(Address::Mailbox(mailbox)) => match mailbox.name.as_deref().map(decode_header) {
            Some(name) if !name.trim().is_empty() => fold(name.trim()),
            _ => {
                let local = String::from_utf8_lossy(&mailbox.local);
                fold(&format!("{local}@{}", String::from_utf8_lossy(&mailbox.host)))
            }
        },
        Some(Address::GroupStart(name)) => fold(&decode_header(name)),
        Some(Address::GroupEnd) | None => String::new(),
    }
}
