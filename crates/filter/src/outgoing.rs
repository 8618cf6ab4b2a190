//! What scripts send, on its way out: the same whether delivery runs them or an IMAP event.
//!
//! First a message gets what it leaves with ([`Departure`]: the return path, the seal of what is sent on, the signature of what we wrote), and
//! its bytes are written; then it is noted in the plan, and an acceptance is made of that note, also when the note was found after a crash.

use crate::{Outgoing, Sending};
use blobs::{Blobs, Commit};
use bytes::Bytes;
use db::AccountId;
use directory::{Directory, Resolution};
use ledger::{Acceptance, AcceptanceId, Lane, NewRecipient};

/// Readies what scripts send. It stands above this crate, with the keys that sign.
pub trait Departure: Send + Sync {
    /// Gives a message its return path and the fields on top that it leaves with. Blocks.
    fn ready(&self, leaving: &Leaving<'_>, sending: &mut Sending);
}

/// Whose script sends, and over which message.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'l> {
    /// The account.
    pub account: AccountId,
    /// Its main address.
    pub address: &'l str,
    /// The message, as the script had it to begin with.
    pub message: &'l [u8],
    /// What it came with: its header fields on top are ours. False where somebody put it into a mailbox himself, and may have written there
    /// what he likes.
    pub accepted: bool,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// What brought it about that a script sends.
#[derive(Clone, Debug, Default)]
pub struct Origin<'o> {
    /// The message and the recipient that it was delivered for.
    pub parent: Option<(&'o Acceptance, u32)>,
    /// Who did something in a mailbox, where no mail came.
    pub login: Option<AccountId>,
    /// The Message-ID of the message.
    pub message_id: Option<String>,
    /// It goes to many, or a program sent it.
    pub bulk: bool,
    /// Whose script sends.
    pub owner: String,
    /// For people: what it is about.
    pub about: String,
}

/// How the content of a message came, as its envelope said.
#[derive(Clone, Copy, Debug)]
pub struct Came<'c> {
    /// BODY.
    pub body: &'c str,
    /// SMTPUTF8. `None`: nobody said, its header shows it.
    pub smtputf8: Option<bool>,
}

/// A message on its way to the disk.
pub struct Written {
    /// As the plan notes it.
    pub plan: Outgoing,
    /// It is durable when this has been waited for.
    pub commit: Commit,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Readies what a script sends, and writes it. Blocks.
pub fn write(
    blobs: &Blobs,
    departure: Option<&dyn Departure>,
    leaving: &Leaving<'_>,
    came: Came<'_>,
    sending: &mut [Sending],
) -> blobs::Result<Vec<Written>> {
    let mut written = Vec::with_capacity(sending.len());
    for sending in sending {
        if let Some(departure) = departure {
            departure.ready(leaving, sending);
        }
        let bytes = Bytes::from(std::mem::take(&mut sending.bytes));
        let commit = blobs.put(&bytes)?;
        let header = bytes.get(..mime::header_end(&bytes)).unwrap_or_default();
        let on = sending.is_redirect();
        let body = match came.body {
            "BINARYMIME" if on => "BINARYMIME",
            _ if on && bytes.contains(&0) => "BINARYMIME",
            _ if bytes.is_ascii() => "7BIT",
            _ => "8BITMIME",
        };
        let plan = Outgoing {
            kind: sending.kind.to_owned(),
            sender: sending.sender.clone(),
            recipients: sending.recipients.clone(),
            blob: commit.id().to_string(),
            size: commit.len(),
            notify: sending.notify.clone(),
            ret: sending.ret.clone(),
            body: body.to_owned(),
            smtputf8: came
                .smtputf8
                .filter(|_| on)
                .unwrap_or_else(|| !header.is_ascii() || !sending.recipients.iter().all(|r| r.is_ascii())),
        };
        written.push(Written { plan, commit, bytes });
    }
    Ok(written)
}

impl Outgoing {
    /// The acceptance under which it enters custody.
    pub fn acceptance(
        &self,
        origin: &Origin<'_>,
        directory: &Directory,
        hostname: &str,
        id: AcceptanceId,
        now: i64,
    ) -> Acceptance {
        let recipients = self.recipients.iter().map(|address| NewRecipient {
            lane: match directory.resolve(address) {
                Resolution::Remote => Lane::Remote,
                _ => Lane::Local,
            },
            address: address.clone(),
            original: None,
            notify: self.notify.clone(),
        });
        let on = self.is_redirect();
        let mut acceptance = Acceptance {
            sender: self.sender.clone(),
            protocol: "Sieve".to_owned(),
            helo: hostname.to_owned(),
            login: origin.login,
            ret: self.ret.clone(),
            body: self.body.clone(),
            smtputf8: self.smtputf8,
            // What a program answers never goes before what people wrote.
            bulk: origin.bulk || !on,
            message_id: origin.message_id.clone().filter(|_| on),
            notes: Some(format!(
                "{} by the script of {}, {}",
                self.kind, origin.owner, origin.about
            )),
            recipients: recipients.collect(),
            ..Acceptance::ours(id, now, "sieve")
        };
        if let Some((parent, number)) = origin.parent {
            acceptance.parent = Some((parent.id, number));
            acceptance.session.clone_from(&parent.session);
            // What is said about a message goes no other way than the message (RFC 8689 §6).
            acceptance.requiretls = parent.requiretls;
        }
        acceptance
    }

    /// Somebody else's message, which is sent on.
    pub fn is_redirect(&self) -> bool {
        self.kind == "redirect"
    }
}
