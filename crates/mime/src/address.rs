//! Address lists (RFC 5322 §3.4, obsolete forms of §4.4), read generously: whatever is written, each entry gives an
//! address.

use crate::charset::decode_header_onto;

/// One entry of an address list, as IMAP's envelope has them (RFC 9051 §7.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address.
    Mailbox(Mailbox),
    /// The beginning of a group and its name.
    GroupStart(Box<[u8]>),
    /// The end of a group.
    GroupEnd,
}

/// An address with what is written around it. Quotes are removed, encoded words stay as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, or the comment behind the address.
    pub name: Option<Box<[u8]>>,
    /// The source route (obsolete), such as `@a.example,@b.example`.
    pub route: Option<Box<[u8]>>,
    /// What stands before the `@`.
    pub local: Box<[u8]>,
    /// What stands behind the `@`; empty if there is none.
    pub host: Box<[u8]>,
}

impl Address {
    pub(crate) fn weight(&self) -> usize {
        let length = |text: &Option<Box<[u8]>>| text.as_ref().map_or(0, |text| text.len() + 16);
        size_of::<Address>()
            + match self {
                Address::Mailbox(mailbox) => {
                    length(&mailbox.name) + length(&mailbox.route) + mailbox.local.len() + mailbox.host.len() + 32
                }
                Address::GroupStart(name) => name.len() + 16,
                Address::GroupEnd => 0,
            }
    }
}

/// A list in readable form: `Name <local@host>, …`, encoded words decoded.
pub(crate) fn addresses_text(list: &[Address]) -> String {
    let mut text = String::new();
    for address in list {
        match address {
            Address::Mailbox(mailbox) => {
                if let Some(name) = &mailbox.name {
                    decode_header_onto(name, &mut text);
                    text.push(' ');
                }
                text.push('<');
                text.push_str(&String::from_utf8_lossy(&mailbox.local));
                if !mailbox.host.is_empty() {
                    text.push('@');
                    text.push_str(&String::from_utf8_lossy(&mailbox.host));
                }
                text.push_str(">, ");
            }
            Address::GroupStart(name) => {
                decode_header_onto(name, &mut text);
                text.push_str(": ");
            }
            Address::GroupEnd => text.push_str("; "),
        }
    }
    text
}

/// The entries of an unfolded address field, at most `most` of them and the end of a group.
pub fn addresses(value: &[u8], most: usize) -> Vec<Address> {
    let mut list = Vec::new();
    parse_addresses(value, most, &mut list);
    list
}

/// Reads the unfolded value of an address field and appends to `list`, which never grows beyond `most` entries and the
/// end of a group.
pub(crate) fn parse_addresses(value: &[u8], most: usize, list: &mut Vec<Address>) {
    let mut reader = Reader { bytes: value, at: 0 };
    let mut in_group = false;
    let mut entry = Entry::default();
    while list.len() < most {
        let Some(byte) = reader.next() else {
            entry.finish(list);
            break;
        };
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => entry.space = true,
            b',' => entry.finish(list),
            b';' => {
                entry.finish(list);
                if std::mem::take(&mut in_group) {
                    list.push(Address::GroupEnd);
                }
            }
            b':' if !in_group && entry.angle.is_none() && entry.at.is_none() && !entry.phrase.is_empty() => {
                list.push(Address::GroupStart(
                    std::mem::take(&mut entry).phrase.into_boxed_slice(),
                ));
                in_group = true;
            }
            b'(' => {
                let comment = reader.comment();
                if entry.comment.is_none() {
                    entry.comment = Some(comment);
                }
                entry.space = true;
            }
            b'"' => {
                entry.separate();
                reader.quoted(&mut entry.phrase);
            }
            b'<' if entry.angle.is_none() => entry.angle = Some(reader.angle()),
            b'@' => {
                entry.separate();
                entry.at = Some(entry.phrase.len());
                entry.phrase.push(b'@');
            }
            byte => {
                entry.separate();
                entry.phrase.push(byte);
            }
        }
    }
    if in_group {
        list.push(Address::GroupEnd);
    }
}

/// One entry while it is read.
#[derive(Default)]
struct Entry {
    /// Words, one blank between them.
    phrase: Vec<u8>,
    /// White space came since the last word.
    space: bool,
    /// Where the last `@` outside quotes stands in the phrase.
    at: Option<usize>,
    comment: Option<Vec<u8>>,
    angle: Option<Mailbox>,
}

impl Entry {
    /// Before a word that follows white space.
    fn separate(&mut self) {
        if std::mem::take(&mut self.space) && !self.phrase.is_empty() {
            self.phrase.push(b' ');
        }
    }

    fn finish(&mut self, list: &mut Vec<Address>) {
        let entry = std::mem::take(self);
        let comment: Option<Box<[u8]>> = entry
            .comment
            .as_deref()
            .map(<[u8]>::trim_ascii)
            .filter(|text| !text.is_empty())
            .map(Box::from);
        let mailbox = match (entry.angle, entry.at) {
            (Some(mut mailbox), _) => {
                let phrase = entry.phrase.into_boxed_slice();
                mailbox.name = if phrase.is_empty() { comment } else { Some(phrase) };
                mailbox
            }
            (None, _) if entry.phrase.is_empty() => return,
            (None, at) => {
                let (local, host) = entry.phrase.split_at(at.unwrap_or(entry.phrase.len()));
                Mailbox {
                    name: comment,
                    route: None,
                    local: Box::from(local.trim_ascii()),
                    host: without_blanks(host.strip_prefix(b"@").unwrap_or(host)),
                }
            }
        };
        list.push(Address::Mailbox(mailbox));
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// After an opening quote: to the closing one.
    fn quoted(&mut self, out: &mut Vec<u8>) {
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return,
                b'\\' => out.extend(self.next()),
                byte => out.push(byte),
            }
        }
    }

    /// After an opening parenthesis: to the one that closes it.
    fn comment(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut depth = 1usize;
        while let Some(byte) = self.next() {
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => {
                    out.extend(self.next());
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            out.push(byte);
        }
        out
    }

    /// After `<`: an address with an optional route, to `>`.
    fn angle(&mut self) -> Mailbox {
        let mut text = Vec::new();
        let mut route = None;
        let mut at = None;
        while let Some(byte) = self.next() {
            match byte {
                b'>' => break,
                b'"' => self.quoted(&mut text),
                b'(' => drop(self.comment()),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b':' if route.is_none() && text.first() == Some(&b'@') => {
                    route = Some(std::mem::take(&mut text).into_boxed_slice());
                    at = None;
                }
                byte => {
                    if byte == b'@' {
                        at = Some(text.len());
                    }
                    text.push(byte);
                }
            }
        }
        let (local, host) = text.split_at(at.unwrap_or(text.len()));
        Mailbox {
            name: None,
            route,
            local: Box::from(local),
            host: Box::from(host.strip_prefix(b"@").unwrap_or(host)),
        }
    }
}

fn without_blanks(text: &[u8]) -> Box<[u8]> {
    text.iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect()
}
