//! The envelope as IMAP shows it (RFC 9051 §7.5.2): ten fields of the header, unfolded, encoded words as written.

use crate::address::{Address, addresses_text, parse_addresses};
use crate::charset::decode_header;
use crate::header::{fields, unfold};
use crate::limits::Limits;
use crate::quoting::{write_nstring, write_string};

/// The envelope of a message. Values are raw; [`Envelope::write_imap`] applies the rules for missing ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// `Date`, as written.
    pub date: Option<Box<[u8]>>,
    /// `Subject`, as written.
    pub subject: Option<Box<[u8]>>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`.
    pub sender: Vec<Address>,
    /// `Reply-To`.
    pub reply_to: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Bcc`.
    pub bcc: Vec<Address>,
    /// `In-Reply-To`, as written.
    pub in_reply_to: Option<Box<[u8]>>,
    /// `Message-ID`, as written.
    pub message_id: Option<Box<[u8]>>,
}

impl Envelope {
    /// Reads a header with the default [`Limits`].
    pub fn parse(header: &[u8]) -> Envelope {
        Envelope::parse_within(header, &Limits::default())
    }

    /// Reads a header. Of text fields that come twice the first counts; addresses of all fields of a name are joined.
    pub fn parse_within(header: &[u8], limits: &Limits) -> Envelope {
        let mut envelope = Envelope::default();
        for field in fields(header) {
            let text = match field.name.len() {
                4 if field.is("date") => &mut envelope.date,
                7 if field.is("subject") => &mut envelope.subject,
                10 if field.is("message-id") => &mut envelope.message_id,
                11 if field.is("in-reply-to") => &mut envelope.in_reply_to,
                length => {
                    let list = match length {
                        2 if field.is("to") => &mut envelope.to,
                        2 if field.is("cc") => &mut envelope.cc,
                        3 if field.is("bcc") => &mut envelope.bcc,
                        4 if field.is("from") => &mut envelope.from,
                        6 if field.is("sender") => &mut envelope.sender,
                        8 if field.is("reply-to") => &mut envelope.reply_to,
                        _ => continue,
                    };
                    parse_addresses(&unfold(field.value), limits.addresses, list);
                    continue;
                }
            };
            if text.is_none() {
                *text = Some(Box::from(&*unfold(field.value)));
            }
        }
        envelope
    }

    /// Writes the value of the `ENVELOPE` item.
    pub fn write_imap(&self, out: &mut Vec<u8>) {
        out.push(b'(');
        write_nstring(out, self.date.as_deref());
        out.push(b' ');
        write_nstring(out, self.subject.as_deref());
        // Sender and Reply-To are the author where they are missing (RFC 9051 §7.5.2).
        let sender = if self.sender.is_empty() {
            &self.from
        } else {
            &self.sender
        };
        let reply_to = if self.reply_to.is_empty() {
            &self.from
        } else {
            &self.reply_to
        };
        for list in [&self.from, sender, reply_to, &self.to, &self.cc, &self.bcc] {
            out.push(b' ');
            write_addresses(out, list);
        }
        out.push(b' ');
        write_nstring(out, self.in_reply_to.as_deref());
        out.push(b' ');
        write_nstring(out, self.message_id.as_deref());
        out.push(b')');
    }

    /// Addresses of `From` in readable form, for `SEARCH FROM`.
    pub fn from_text(&self) -> String {
        addresses_text(&self.from)
    }

    /// Addresses of `To` in readable form, for `SEARCH TO`.
    pub fn to_text(&self) -> String {
        addresses_text(&self.to)
    }

    /// Addresses of `Cc` in readable form, for `SEARCH CC`.
    pub fn cc_text(&self) -> String {
        addresses_text(&self.cc)
    }

    /// Addresses of `Bcc` in readable form, for `SEARCH BCC`.
    pub fn bcc_text(&self) -> String {
        addresses_text(&self.bcc)
    }

    /// The subject with its encoded words decoded, for `SEARCH SUBJECT`.
    pub fn subject_text(&self) -> String {
        self.subject.as_deref().map(decode_header).unwrap_or_default()
    }

    /// Bytes held, roughly.
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.date, &self.subject, &self.in_reply_to, &self.message_id];
        let lists = [&self.from, &self.sender, &self.reply_to, &self.to, &self.cc, &self.bcc];
        texts
            .iter()
            .filter_map(|text| text.as_ref())
            .map(|text| text.len())
            .sum::<usize>()
            + lists
                .iter()
                .flat_map(|list| list.iter())
                .map(Address::weight)
                .sum::<usize>()
    }
}

fn write_addresses(out: &mut Vec<u8>, list: &[Address]) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in list {
        match address {
            Address::Mailbox(mailbox) => {
                out.push(b'(');
                write_nstring(out, mailbox.name.as_deref());
                out.push(b' ');
                write_nstring(out, mailbox.route.as_deref());
                out.push(b' ');
                write_string(out, &mailbox.local);
                out.push(b' ');
                write_string(out, &mailbox.host);
                out.push(b')');
            }
            Address::GroupStart(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                write_string(out, name);
                out.extend_from_slice(b" NIL)");
            }
            Address::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.push(b')');
}
