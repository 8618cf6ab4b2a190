//! Notices about what became of a message: DSNs (RFC 3461 to 3464, 6533).
//!
//! A notice is a `multipart/report` (RFC 6522) of three parts: text for a person, who reads that and nothing else; the same for a program
//! (`message/delivery-status`, RFC 3464, or `message/global-delivery-status`, RFC 6533 §4.1); and the message that it is about, or its
//! header. The text says what happened, to whom, why, and what can be done, in words that need no knowledge of mail; what the other server said
//! stands below that.
//!
//! [`Notice::compose`] gives the message. Its envelope is the caller's: the reverse path is null (RFC 3464 §2, RFC 5321 §4.5.5), so that a notice
//! that fails makes no further notice, and nobody is told of a message whose own reverse path was null.
//!
//! What strangers can put into a notice (replies of other servers, `ENVID`, `ORCPT`, header fields) is bounded by [`Limits`] and cannot end a line.

mod fields;
mod text;
mod words;

use crate::{Body, Return, Status};
use std::fmt::Write;

pub use words::Language;

/// What became of a message for one recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is given up.
    Failed,
    /// It is tried again, in vain so far.
    Delayed {
        /// Until when, in seconds since 1970.
        until: i64,
    },
    /// It was passed on to a server that tells nobody what becomes of it (RFC 3461 §5.2.2).
    Relayed,
    /// It was passed on to several others, who are not told about (RFC 3461 §5.2.7).
    Expanded,
    /// It is in the mailbox.
    Delivered,
}

impl Action {
    /// The word of the field.
    pub fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed { .. } => "delayed",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
            Action::Delivered => "delivered",
        }
    }
}

/// Who gets the notice, which decides how it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Who sent the message.
    Sender,
    /// Who set up that the message is sent on to where it failed.
    Forwarder,
    /// Who keeps this server: the message was a notice itself, or has nobody else who could be told (RFC 5321 §6.1).
    Postmaster,
}

/// One recipient of the message.
#[derive(Clone, Debug)]
pub struct Notified<'a> {
    /// The address, as the sender may know it.
    pub address: &'a str,
    /// `ORCPT`, still in xtext.
    pub original: Option<&'a str>,
    /// What became of it.
    pub action: Action,
    /// The enhanced status.
    pub status: Status,
    /// The host that spoke last.
    pub remote: Option<&'a str>,
    /// What was said: with its code and status where a host said it, a sentence where it is our own finding.
    pub diagnostic: Option<&'a str>,
    /// When the last attempt was, in seconds since 1970.
    pub last_attempt: Option<i64>,
}

/// The message that a notice is about.
#[derive(Clone, Debug)]
pub struct Original<'a> {
    /// All of it, or its beginning. [`Limits::returned`] octets are enough.
    pub bytes: &'a [u8],
    /// How many octets it has.
    pub size: u64,
    /// `BODY`.
    pub body: Body,
    /// `SMTPUTF8`
    pub smtputf8: bool,
    /// `RET`
    pub ret: Option<Return>,
    /// `ENVID`, still in xtext.
    pub envid: Option<&'a str>,
    /// Its reverse path; for readers other than the sender. Empty for `<>`.
    pub sender: &'a str,
    /// When it came, in seconds since 1970.
    pub arrived: i64,
    /// Its name in the ledger.
    pub id: &'a str,
}

/// What a notice may give back, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message given back whole; of longer ones the header. Default 65,536: notices should not double what fills mailboxes, and a
    /// forged sender should not get large ones.
    pub returned: usize,
    /// The longest header given back; a longer one ends there. Default 32,768.
    pub header: usize,
    /// What is shown of another server's reply. Default 1,000.
    pub diagnostic: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            returned: 64 * 1024,
            header: 32 * 1024,
            diagnostic: 1_000,
        }
    }
}

/// A notice to be written.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    /// Who reads it.
    pub reader: Reader,
    /// In which languages, the first first. None is English.
    pub languages: &'a [Language],
    /// Our name.
    pub hostname: &'a str,
    /// Whose the notice is, and who answers questions: an address.
    pub from: &'a str,
    /// To whom it goes: an address.
    pub to: &'a str,
    /// A word that no other message of ours has, for Message-ID and boundaries.
    pub unique: &'a str,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// At least one.
    pub recipients: &'a [Notified<'a>],
    /// What it is about.
    pub original: Original<'a>,
    /// What it may give back.
    pub limits: Limits,
}

/// A notice as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The message.
    pub bytes: Vec<u8>,
    /// What `BODY` it needs.
    pub body: Body,
    /// Whether it needs `SMTPUTF8`: its addressee cannot be written without.
    pub smtputf8: bool,
}

/// How much of the original stands in the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Returned {
    Whole,
    Header,
    /// The header, since the message is too large.
    TooLarge,
}

impl Notice<'_> {
    /// Writes it.
    pub fn compose(&self) -> Composed {
        // A message that came with SMTPUTF8 came from who can read one.
        let global = self.original.smtputf8 || !self.to.is_ascii();
        let (part, how) = self.returned_part(global);
        let fields = fields::delivery_status(self, global);
        let text = mime::text_part(&text::text(self, how));
        let boundary = boundary(self.unique, &[&part, fields.as_bytes(), text.as_bytes()]);

        let eight_bit = !part.is_ascii() || !fields.is_ascii();
        let mut out = self.header(&boundary, eight_bit).into_bytes();
        out.extend_from_slice(format!("--{boundary}\r\n{text}").as_bytes());
        let (media, encoding) = match global {
            true => ("message/global-delivery-status", "Content-Transfer-Encoding: 8bit\r\n"),
            false => ("message/delivery-status", ""),
        };
        out.extend_from_slice(
            format!("\r\n--{boundary}\r\nContent-Type: {media}\r\n{encoding}\r\n{fields}").as_bytes(),
        );
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        out.extend_from_slice(&part);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Composed {
            body: if out.is_ascii() { Body::SevenBit } else { Body::EightBit },
            smtputf8: !self.to.is_ascii(),
            bytes: out,
        }
    }

    fn header(&self, boundary: &str, eight_bit: bool) -> String {
        let (language, words) = self.first_words();
        let mut date = Vec::with_capacity(32);
        crate::date(self.now, &mut date);
        let subject = match self.subject_of_original() {
            Some(subject) => format!("{}: {subject}", words.subject(self)),
            None => words.subject(self).to_owned(),
        };
        let automatic = match self.reader {
            Reader::Sender => "auto-replied",
            Reader::Forwarder | Reader::Postmaster => "auto-generated",
        };
        let mut header = String::with_capacity(600);
        // Writing to a String cannot fail.
        let _ = write!(
            header,
            "Date: {}\r\nMessage-ID: <{}.dsn@{}>\r\nFrom: {} <{}>\r\nTo: <{}>\r\nSubject: {}\r\n",
            String::from_utf8_lossy(&date),
            self.unique,
            self.hostname,
            mime::encode_header(words.server),
            self.from,
            mime::one_line(self.to),
            fields::folded(&mime::encode_header(&subject), 9),
        );
        if let Some(id) = self.message_id_of_original() {
            let _ = write!(header, "In-Reply-To: {id}\r\nReferences: {id}\r\n");
        }
        let _ = write!(
            header,
            "Auto-Submitted: {automatic}\r\nContent-Language: {}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n",
            match self.languages {
                [] => language.tag().to_owned(),
                all => all.iter().map(|l| l.tag()).collect::<Vec<_>>().join(", "),
            },
        );
        if eight_bit {
            header.push_str("Content-Transfer-Encoding: 8bit\r\n");
        }
        header.push_str("\r\n");
        header
    }

    fn first_words(&self) -> (Language, &'static words::Words) {
        let language = self.languages.first().copied().unwrap_or_default();
        (language, language.words())
    }

    /// The third part with its header, and how much of the message it gives back.
    ///
    /// RFC 3461 §6.2: what `RET` asks for counts where something failed; otherwise the header is enough. A message of `BODY=BINARYMIME` would
    /// need that for the notice, too, and its reader's server need not have it: of such a message the header goes back.
    fn returned_part(&self, global: bool) -> (Vec<u8>, Returned) {
        let original = &self.original;
        let failed = self.recipients.iter().any(|r| r.action == Action::Failed);
        let wanted = failed && original.ret == Some(Return::Full) && original.body != Body::Binary;
        let there = u64::try_from(original.bytes.len()).is_ok_and(|length| length == original.size);
        let fits = there && original.bytes.len() <= self.limits.returned;
        if wanted && fits {
            let media = if global { "message/global" } else { "message/rfc822" };
            let encoding = encoding(original.bytes);
            let head = format!("Content-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
            return ([head.as_bytes(), original.bytes].concat(), Returned::Whole);
        }
        let header = self.header_of_original();
        let part = if global {
            let head = format!(
                "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: {}\r\n\r\n",
                encoding(header)
            );
            [head.as_bytes(), header].concat()
        } else if header.is_ascii() {
            [b"Content-Type: text/rfc822-headers\r\n\r\n", header].concat()
        } else {
            // RFC 6522 §4: a broken header may be encoded.
            let head = "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
            [head.as_bytes(), mime::quoted_printable(header).as_bytes()].concat()
        };
        (part, if wanted { Returned::TooLarge } else { Returned::Header })
    }

    /// The header, without the empty line, ending with a whole line.
    fn header_of_original(&self) -> &[u8] {
        let bytes = self.original.bytes;
        let end = mime::header_end(bytes);
        let header = bytes.get(..end).unwrap_or_default();
        if header.len() > self.limits.header {
            let cut = header.get(..self.limits.header).unwrap_or_default();
            let line = memchr::memmem::rfind(cut, b"\r\n").map_or(0, |at| at + 2);
            return cut.get(..line).unwrap_or_default();
        }
        match header.strip_suffix(b"\r\n\r\n") {
            Some(fields) => header.get(..fields.len() + 2).unwrap_or_default(),
            None => header,
        }
    }

    fn subject_of_original(&self) -> Option<String> {
        /// Characters shown of it.
        const SHOWN: usize = 100;
        let value = mime::header_field(self.header_of_original(), "Subject")?;
        let subject = mime::one_line(&mime::decode_header(&value));
        let subject = subject.trim();
        match subject.char_indices().nth(SHOWN) {
            Some((at, _)) => Some(format!("{}…", subject.get(..at).unwrap_or_default())),
            None => (!subject.is_empty()).then(|| subject.to_owned()),
        }
    }

    /// For threads (RFC 3834 §3.1.5).
    fn message_id_of_original(&self) -> Option<String> {
        let value = mime::header_field(self.header_of_original(), "Message-ID")?;
        let fine = value.len() < 900 && value.starts_with(b"<") && value.ends_with(b">");
        (fine && value.iter().all(u8::is_ascii_graphic)).then(|| String::from_utf8_lossy(&value).into_owned())
    }
}

fn encoding(bytes: &[u8]) -> &'static str {
    if bytes.is_ascii() { "7bit" } else { "8bit" }
}

/// A boundary that stands in none of the parts.
fn boundary(unique: &str, parts: &[&[u8]]) -> String {
    let mut boundary = format!("=_{unique}");
    // Whoever wrote a part has not known the word; each round makes it longer, so this ends.
    while parts
        .iter()
        .any(|part| memchr::memmem::find(part, boundary.as_bytes()).is_some())
    {
        boundary.push('_');
    }
    boundary
}
