//! The message under test: its fields are found once, decoded when they are asked for, and remembered.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use mime::{Address, Scanner, Structure};

use crate::glance::Summary;
use crate::matching::Value;

/// What of a field a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Aspect {
    /// The text, unfolded and decoded.
    Text,
    /// Whole addresses, and parts of them.
    Address(AddressPart),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AddressPart {
    All,
    Localpart,
    Domain,
    User,
    Detail,
}

impl Aspect {
    /// What tells it from the others in a hash.
    fn mark(self) -> u64 {
        let number: u64 = match self {
            Aspect::Text => 0,
            Aspect::Address(AddressPart::All) => 1,
            Aspect::Address(AddressPart::Localpart) => 2,
            Aspect::Address(AddressPart::Domain) => 3,
            Aspect::Address(AddressPart::User) => 4,
            Aspect::Address(AddressPart::Detail) => 5,
        };
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A field name as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldName {
    pub lower: Arc<str>,
    hash: u64,
}

impl FieldName {
    pub fn new(name: &str) -> FieldName {
        let lower: Arc<str> = name.trim().to_ascii_lowercase().into();
        FieldName {
            hash: hash(lower.as_bytes()),
            lower,
        }
    }

    /// What can be the name of a field (RFC 5322 §3.6.8).
    pub fn is_valid(&self) -> bool {
        !self.lower.is_empty() && self.lower.bytes().all(|b| (33..=126).contains(&b) && b != b':')
    }
}

/// FNV-1a of the name in small letters.
pub(crate) fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| {
        (hash ^ u64::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The fields of a header.
#[derive(Debug, Clone)]
pub(crate) struct Header<'m> {
    fields: Vec<Field<'m>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Field<'m> {
    hash: u64,
    /// The whole field with its line end.
    raw: Cow<'m, [u8]>,
    name: usize,
}

impl Field<'_> {
    pub fn name(&self) -> &[u8] {
        self.raw.get(..self.name).unwrap_or_default().trim_ascii_end()
    }

    /// What stands behind the colon.
    pub fn value(&self) -> &[u8] {
        self.raw
            .get(self.name..)
            .and_then(|rest| rest.get(1 + rest.iter().take_while(|b| **b != b':').count()..))
            .unwrap_or_default()
    }

    pub fn text(&self) -> String {
        mime::decode_header(&unfolded(self.value()))
    }
}

impl<'m> Header<'m> {
    pub fn read(header: &'m [u8]) -> Header<'m> {
        let mut fields = Vec::with_capacity(FIELDS);
        fields.extend(mime::fields(header).map(|field| Field {
            hash: hash(field.name),
            name: field.name.len(),
            raw: Cow::Borrowed(field.raw),
        }));
        Header { fields }
    }

    pub fn named<'a>(&'a self, name: &'a FieldName) -> impl DoubleEndedIterator<Item = &'a Field<'m>> {
        self.fields
            .iter()
            .filter(|field| field.hash == name.hash && field.name().eq_ignore_ascii_case(name.lower.as_bytes()))
    }

    pub fn values(&self, name: &FieldName, aspect: Aspect, most: usize) -> Vec<Value> {
        let mut values = Vec::new();
        for field in self.named(name) {
            match aspect {
                Aspect::Text => values.push(Value::new(field.text())),
                Aspect::Address(part) => addresses_of(field.value(), part, most, &mut values),
            }
        }
        values
    }
}

/// The value as RFC 5322 §2.2.3 unfolds it, which is what tests compare (RFC 5228 §2.4.2.2): only the line ends go, the white space
/// behind them stays.
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    for line in value.split(|b| *b == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    Cow::Owned(out)
}

/// The addresses of a field, or a part of each.
pub(crate) fn addresses_of(value: &[u8], part: AddressPart, most: usize, values: &mut Vec<Value>) {
    for address in mime::addresses(&mime::unfold(value), most) {
        let Address::Mailbox(mailbox) = address else { continue };
        let local = String::from_utf8_lossy(&mailbox.local);
        let host = String::from_utf8_lossy(&mailbox.host);
        if let Some(text) = address_part(&local, &host, part) {
            values.push(Value::new(text));
        }
    }
}

/// RFC 5228 §2.7.4, RFC 5233 §4. `None` if there is no such part.
pub(crate) fn address_part(local: &str, host: &str, part: AddressPart) -> Option<String> {
    Some(match part {
        AddressPart::All if host.is_empty() => local.to_owned(),
        AddressPart::All => format!("{local}@{host}"),
        AddressPart::Localpart => local.to_owned(),
        AddressPart::Domain => host.to_owned(),
        AddressPart::User => local.split_once('+').map_or(local, |(user, _)| user).to_owned(),
        AddressPart::Detail => local.split_once('+')?.1.to_owned(),
    })
}

/// Fields that a message has, as a rule, and names of fields that a script asks for: lists of that length need not grow.
const FIELDS: usize = 32;
const ASKED: usize = 14;

/// Addresses and fields that are looked at in one field.
const ADDRESSES: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Mail<'m> {
    /// The message as it is now, unless `edited`.
    bytes: Cow<'m, [u8]>,
    /// Where its body begins.
    body: usize,
    given: Option<&'m Structure>,
    structure: OnceCell<Rc<Structure>>,
    header: Header<'m>,
    cache: HashMap<u64, Cached, BuildHasherDefault<Hashed>>,
    /// What the sources of the script have, by their number; `None` within: it is not to be judged at a glance.
    pub summaries: Vec<Option<Option<Summary>>>,
    /// Fields were added or taken away, and `bytes` does not have that yet.
    edited: bool,
    /// `bytes` is not the message that came.
    changed: bool,
    /// The number of the message handed out last, and whether it is still right.
    saved: usize,
    newline: &'static [u8],
    pub added: usize,
}

type Cached = (Arc<str>, Aspect, Rc<[Value]>);

/// Takes a number for its own hash: it is one already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= hash(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl<'m> Mail<'m> {
    pub fn new(bytes: &'m [u8], given: Option<&'m Structure>, header_bytes: usize) -> Mail<'m> {
        let body = match given {
            Some(structure) => usize::try_from(structure.root().body_start)
                .unwrap_or(bytes.len())
                .min(bytes.len()),
            None => mime::header_end(bytes),
        };
        let header = Header::read(bytes.get(..body.min(header_bytes)).unwrap_or_default());
        let newline: &'static [u8] = match memchr::memchr(b'\n', bytes) {
            Some(at) if at == 0 || bytes.get(at - 1) != Some(&b'\r') => b"\n",
            _ => b"\r\n",
        };
        Mail {
            bytes: Cow::Borrowed(bytes),
            body,
            given,
            structure: OnceCell::new(),
            header,
            cache: HashMap::with_capacity_and_hasher(ASKED, BuildHasherDefault::default()),
            summaries: Vec::new(),
            edited: false,
            changed: false,
            saved: 0,
            newline,
            added: 0,
        }
    }

    pub fn newline(&self) -> &'static [u8] {
        self.newline
    }

    pub fn header(&self) -> &Header<'m> {
        &self.header
    }

    /// The values of all fields of that name.
    pub fn values(&mut self, name: &FieldName, aspect: Aspect) -> Rc<[Value]> {
        let key = name.hash ^ aspect.mark();
        match self.cache.get(&key) {
            // A script has each name once, so that the same name is, as a rule, the same one.
            Some((lower, of, values)) if *of == aspect && (Arc::ptr_eq(lower, &name.lower) || *lower == name.lower) => {
                return Rc::clone(values);
            }
            // Another field of the same hash was first: this one is looked for each time.
            Some(_) => return self.header.values(name, aspect, ADDRESSES).into(),
            None => {}
        }
        let values: Rc<[Value]> = self.header.values(name, aspect, ADDRESSES).into();
        self.cache.insert(key, (name.lower.clone(), aspect, Rc::clone(&values)));
        values
    }

    pub fn has(&self, name: &FieldName) -> bool {
        self.header.named(name).next().is_some()
    }

    /// Octets of the message (RFC 5228 §5.9): of the one that came, whatever was changed since (RFC 5293 §6).
    pub fn size(&self) -> usize {
        if !self.edited {
            return self.bytes.len();
        }
        self.header.fields.iter().map(|field| field.raw.len()).sum::<usize>()
            + self.newline.len()
            + self.body_bytes().len()
    }

    fn body_bytes(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    /// The message as it is now.
    pub fn bytes(&mut self) -> &[u8] {
        self.settle();
        &self.bytes
    }

    fn settle(&mut self) {
        if !self.edited {
            return;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() + 1024);
        for field in &self.header.fields {
            bytes.extend_from_slice(&field.raw);
            if !field.raw.ends_with(b"\n") {
                bytes.extend_from_slice(self.newline);
            }
        }
        bytes.extend_from_slice(self.newline);
        let body = bytes.len();
        bytes.extend_from_slice(self.body_bytes());
        self.bytes = Cow::Owned(bytes);
        self.body = body;
        self.edited = false;
        self.given = None;
        self.structure = OnceCell::new();
    }

    pub fn structure(&mut self) -> Rc<Structure> {
        self.settle();
        let structure = self.structure.get_or_init(|| match self.given {
            Some(structure) => Rc::new(structure.clone()),
            None => {
                let mut scanner = Scanner::new(mime::Limits::default());
                scanner.push(&self.bytes);
                Rc::new(scanner.finish())
            }
        });
        Rc::clone(structure)
    }

    /// The message as it is now, to be kept, if it is not the one that came; and its number among `messages`.
    pub fn save(&mut self, messages: &mut Vec<Arc<[u8]>>) -> usize {
        if self.changed && self.saved == 0 {
            self.settle();
            messages.push(self.bytes.as_ref().into());
            self.saved = messages.len();
        }
        self.saved
    }

    fn changes(&mut self) {
        self.changed = true;
        self.saved = 0;
        self.cache.clear();
        self.summaries.clear();
    }

    /// Puts a field before the others, or behind them. `value` is without line ends.
    pub fn add(&mut self, name: &str, value: &str, last: bool) {
        let mut raw = fold(name, value, self.newline);
        raw.extend_from_slice(self.newline);
        let field = Field {
            hash: hash(name.as_bytes()),
            name: name.len(),
            raw: Cow::Owned(raw),
        };
        if last {
            self.header.fields.push(field);
        } else {
            self.header.fields.insert(0, field);
        }
        self.added += 1;
        self.edited = true;
        self.changes();
    }

    /// Takes away the fields of that name for which `which` says so, counting from 0.
    pub fn delete(&mut self, name: &FieldName, mut which: impl FnMut(usize) -> bool) -> usize {
        let before = self.header.fields.len();
        let mut at = 0;
        self.header.fields.retain(|field| {
            if field.hash != name.hash || !field.name().eq_ignore_ascii_case(name.lower.as_bytes()) {
                return true;
            }
            at += 1;
            !which(at - 1)
        });
        let deleted = before - self.header.fields.len();
        if deleted > 0 {
            self.edited = true;
            self.changes();
        }
        deleted
    }

    /// Another message takes its place.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.body = mime::header_end(&bytes);
        let header = bytes.get(..self.body).unwrap_or_default();
        self.header = Header {
            fields: mime::fields(header)
                .map(|field| Field {
                    hash: hash(field.name),
                    name: field.name.len(),
                    raw: Cow::Owned(field.raw.to_vec()),
                })
                .collect(),
        };
        self.bytes = Cow::Owned(bytes);
        self.given = None;
        self.structure = OnceCell::new();
        self.edited = false;
        self.changes();
    }
}

/// A field as it is written, lines longer than 78 characters folded at white space (RFC 5322 §2.2.3), text that is not ASCII as
/// encoded words (RFC 2047).
pub(crate) fn fold(name: &str, value: &str, newline: &[u8]) -> Vec<u8> {
    let mut out = format!("{name}: ").into_bytes();
    let encoded = if value.is_ascii() {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(mime::encode_header(value))
    };
    let mut column = out.len();
    for (n, word) in encoded.split(' ').enumerate() {
        if n > 0 {
            if column + 1 + word.len() > 78 && !word.is_empty() && column > name.len() + 2 {
                out.extend_from_slice(newline);
                column = 0;
            }
            out.push(b' ');
            column += 1;
        }
        out.extend_from_slice(word.as_bytes());
        column += word.len();
    }
    out
}
