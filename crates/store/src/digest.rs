//! What is read out of a message once, when it arrives.

use mime::{Envelope, Limits, Scanner};

/// Octets at the start of a message that are kept while it comes in, for the envelope: as much of a header as is read for fields.
const HEADER_KEPT: usize = 256 << 10;

/// Header fields that mail programs ask for when they list a mailbox. They are kept beside the message, so that a list takes no look
/// into it. What Thunderbird, Roundcube, neomutt, Evolution, K-9, Apple Mail and Outlook ask for.
pub const LISTED_FIELDS: [&str; 29] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Content-Type",
    "Content-Description",
    "MIME-Version",
    "Priority",
    "X-Priority",
    "Importance",
    "Newsgroups",
    "Lines",
    "Mail-Followup-To",
    "Disposition-Notification-To",
    "List-Id",
    "List-Post",
    "List-Subscribe",
    "List-Unsubscribe",
    "X-Label",
    "X-Mailing-List",
    "X-Original-To",
    "Resent-Message-ID",
];

/// Most octets that are kept of listed fields. A message with more of them is looked into when it is listed.
const LISTED_BYTES: usize = 3 << 10;

/// Envelope and MIME structure of a message's bytes, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The ENVELOPE as IMAP shows it (RFC 9051 §7.5.2).
    pub envelope: Vec<u8>,
    /// `mime::Structure`, encoded.
    pub structure: Vec<u8>,
    /// The first words (RFC 8970); `None` if they were not worked out.
    pub preview: Option<String>,
    /// The [`LISTED_FIELDS`] of the header as they stand there, with the empty line behind them. Nothing where they are too long.
    pub fields: Vec<u8>,
}

impl Digest {
    /// Of a whole message.
    pub fn of(message: &[u8]) -> Digest {
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(message);
        made(scanner, message)
    }
}

/// Makes the digest of a message that comes in pieces, without keeping it.
pub struct Digester {
    scanner: Scanner,
    start: Vec<u8>,
}

impl Digester {
    /// Nothing read yet.
    pub fn new() -> Digester {
        Digester {
            scanner: Scanner::new(Limits::default()),
            start: Vec::new(),
        }
    }

    /// The next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.scanner.push(piece);
        let room = HEADER_KEPT - self.start.len();
        self.start.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The digest of all that was pushed.
    pub fn finish(self) -> Digest {
        made(self.scanner, &self.start)
    }
}

impl Default for Digester {
    fn default() -> Self {
        Digester::new()
    }
}

fn made(scanner: Scanner, start: &[u8]) -> Digest {
    let structure = scanner.finish();
    let header = usize::try_from(structure.root().body_start)
        .unwrap_or(usize::MAX)
        .min(start.len());
    let mut envelope = Vec::with_capacity(512);
    Envelope::parse(&start[..header]).write_imap(&mut envelope);
    // Of a header that was not kept to its end, fields may be missing.
    let mut fields = Vec::new();
    if structure.root().body_start == header as u64 {
        fields = mime::header_fields(&start[..header], &LISTED_FIELDS, false);
        if fields.len() > LISTED_BYTES {
            fields = Vec::new();
        }
    }
    Digest {
        envelope,
        preview: Some(mime::preview(start, &structure)),
        fields,
        structure: structure.encode(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_same_digest() {
        let message =
            b"From: a@b\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\none\r\n--q--\r\n";
        let whole = Digest::of(message);
        assert!(whole.envelope.starts_with(b"("));
        for size in 1..message.len() {
            let mut digester = Digester::new();
            message.chunks(size).for_each(|p| digester.push(p));
            assert_eq!(digester.finish(), whole, "{size}");
        }
    }
}
