//! Tells senders what became of their mail, as they asked (RFC 3461 §4.1) or as the standard has it where they did not.
//!
//! A notice is a message of ours with a null reverse path; it enters custody in the transaction that settles what it is about (or puts it
//! off), so that it is sent once, and sent if and only if that is so. Nobody is told of a message whose own reverse path is null: if it was
//! to be a notice itself, it is the postmaster who learns that it reaches nobody (a double bounce), and of that one's failure only the log.

use crate::{Signer, own};
use blobs::BlobId;
use ledger::{Acceptance, Lane, Ledger, NewRecipient, Offspring, Work};
use smtp::dsn::{Action, Language, Limits, Notice, Notified, Original, Reader};
use smtp::{Body, Return, Status};
use std::sync::Arc;

/// Which part of us makes notices for senders.
const NOTICE: &str = "notice";
/// And those for the postmaster.
const DOUBLE_BOUNCE: &str = "double-bounce";

/// How notices are written.
#[derive(Clone, Debug)]
pub struct NoticeOptions {
    /// Our name.
    pub hostname: String,
    /// In which languages, the first first.
    pub languages: Vec<Language>,
    /// Who answers questions, and is told of double bounces.
    pub postmaster: String,
}

/// By which lane an address is reached.
pub type Lanes = Arc<dyn Fn(&str) -> Lane + Send + Sync>;

/// Writes notices.
pub struct Notifier {
    ledger: Ledger,
    lanes: Lanes,
    options: NoticeOptions,
    signer: Option<Arc<Signer>>,
}

/// What is to be told of a recipient.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) work: Work,
    pub(crate) action: Action,
    pub(crate) status: Status,
    /// The host that spoke last.
    pub(crate) remote: Option<String>,
    /// What was said.
    pub(crate) diagnostic: String,
    /// When, in seconds since 1970.
    pub(crate) at: i64,
}

impl News {
    /// Whether anybody wants to hear of it.
    pub(crate) fn is_wanted(work: &Work, action: Action) -> bool {
        let asked = |word: &str| {
            let notify = work.notify.as_deref();
            notify.map(|n| n.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
        };
        let failed = action == Action::Failed;
        if work.acceptance.sender.is_empty() {
            return failed && asked("NEVER") != Some(true) && work.acceptance.listener != DOUBLE_BOUNCE;
        }
        match action {
            Action::Failed => asked("FAILURE").unwrap_or(true),
            Action::Delayed { .. } => asked("DELAY").unwrap_or(true),
            Action::Relayed | Action::Expanded | Action::Delivered => asked("SUCCESS").unwrap_or(false),
        }
    }
}

impl Notifier {
    /// With a ledger that gives the notices their ids and keeps their bytes.
    pub fn new(ledger: Ledger, lanes: Lanes, options: NoticeOptions) -> Notifier {
        Notifier {
            ledger,
            lanes,
            options,
            signer: None,
        }
    }

    /// The same; notices are signed like all our mail.
    #[must_use]
    pub fn signed(self, signer: Arc<Signer>) -> Notifier {
        Notifier {
            signer: Some(signer),
            ..self
        }
    }

    /// The notice that is owed for news about one message, its bytes durable; none where nobody is to be told. Blocks.
    pub(crate) fn notices(&self, news: &[News]) -> ledger::Result<Vec<Offspring>> {
        let wanted: Vec<&News> = news.iter().filter(|n| News::is_wanted(&n.work, n.action)).collect();
        let Some(first) = wanted.first() else {
            return Ok(Vec::new());
        };
        let (work, about) = (&first.work, &first.work.acceptance);
        let (reader, to, by) = match about.sender.as_str() {
            "" => (Reader::Postmaster, self.options.postmaster.as_str(), DOUBLE_BOUNCE),
            sender => (Reader::Sender, sender, NOTICE),
        };
        let limits = Limits::default();
        let bytes = self.beginning(work.blob, work.size, &limits);
        let (id, now) = (self.ledger.next_id(), self.ledger.now());
        let recipients: Vec<Notified<'_>> = wanted
            .iter()
            .map(|n| Notified {
                address: &n.work.address,
                original: n.work.original.as_deref(),
                action: n.action,
                status: n.status,
                remote: n.remote.as_deref().filter(|r| !r.is_empty()),
                diagnostic: Some(&n.diagnostic),
                last_attempt: Some(n.at),
            })
            .collect();
        let about_id = about.id.to_string();
        let composed = Notice {
            reader,
            languages: &self.options.languages,
            hostname: &self.options.hostname,
            from: &self.options.postmaster,
            to,
            unique: &id.to_string(),
            now,
            recipients: &recipients,
            original: Original {
                bytes: &bytes,
                size: work.size,
                body: match about.body.as_str() {
                    "BINARYMIME" => Body::Binary,
                    "8BITMIME" => Body::EightBit,
                    _ => Body::SevenBit,
                },
                smtputf8: about.smtputf8,
                ret: about.ret.as_deref().map(|ret| {
                    if ret.eq_ignore_ascii_case("FULL") {
                        Return::Full
                    } else {
                        Return::Headers
                    }
                }),
                envid: about.envid.as_deref(),
                sender: &about.sender,
                arrived: about.received_at,
                id: &about_id,
            },
            limits,
        }
        .compose();
        let bytes = own::signed(self.signer.as_deref(), composed.bytes);
        let commit = self.ledger.blobs().put(&bytes)?;
        commit.wait()?;
        let words: Vec<&str> = wanted.iter().map(|n| n.action.name()).collect();
        let acceptance = Acceptance {
            helo: self.options.hostname.clone(),
            body: composed.body.to_string(),
            smtputf8: composed.smtputf8,
            bulk: true,
            notes: Some(format!("notice about {about_id}: {}", words.join(", "))),
            parent: Some((about.id, work.number)),
            recipients: vec![NewRecipient {
                address: to.to_owned(),
                original: None,
                notify: None,
                lane: (self.lanes)(to),
            }],
            ..Acceptance::ours(id, now, by)
        };
        Ok(vec![Offspring {
            acceptance,
            blob: commit.id(),
            size: commit.len(),
            bytes: Some(bytes.into()),
        }])
    }

    /// The beginning of a message, or all of it where it is short. A message that can't be read is told of without.
    fn beginning(&self, blob: BlobId, size: u64, limits: &Limits) -> Vec<u8> {
        let end = size.min(limits.returned as u64 + 1);
        match self.ledger.blobs().read_range(blob, 0..end) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%blob, %error, "a message that a notice is about can't be read");
                Vec::new()
            }
        }
    }
}
