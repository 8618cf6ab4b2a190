//! Tells senders what became of their mail, as they asked (RFC 3461 §4.1) or as the standard has it where they did not.
//!
//! A notice is a message of ours with a null reverse path; it enters custody in the transaction that settles what it is about (or puts it
//! off), so that it is sent once, and sent if and only if that is so. Nobody is told of a message whose own reverse path is null: if it was
//! to be a notice itself, it is the postmaster who learns that it reaches nobody (a double bounce), and of that one's failure only the log.

use crate::forward::{Forwarding, StandsFor};
use crate::{Signer, own};
use blobs::BlobId;
use ledger::{
    Acceptance, AcceptanceId, Conclusion, Fate, Lane, Ledger, NewRecipient, Offspring, RequireTls, Selection,
    Settlement, Work,
};
use smtp::dsn::{Action, Language, Limits, Notice, Notified, Original, Reader};
use smtp::{Body, Return, Status};
use std::collections::BTreeMap;
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
    forwarding: Option<Arc<Forwarding>>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
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
            forwarding: None,
        }
    }

    /// The same; what is owed to a return path of ours goes to whom that stands for.
    #[must_use]
    pub fn forwarding(self, forwarding: Arc<Forwarding>) -> Notifier {
        Notifier {
            forwarding: Some(forwarding),
            ..self
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
        let now = self.ledger.now();
        let forwarding = self.forwarding.as_ref();
        let stands_for = forwarding.and_then(|forwarding| forwarding.reverse(&about.sender, now));
        // Whom it speaks to, and by which address it reaches him: what an owner is told goes to his return path, past his scripts.
        let (reader, to, recipient, by) = match (about.sender.as_str(), &stands_for) {
            ("", _) => (
                Reader::Postmaster,
                &*self.options.postmaster,
                &*self.options.postmaster,
                DOUBLE_BOUNCE,
            ),
            (path, Some(Ok(StandsFor::Owner(owner)))) => (Reader::Forwarder, owner.as_str(), path, NOTICE),
            (_, Some(Ok(StandsFor::Sender(sender)))) => (Reader::Sender, sender.as_str(), sender.as_str(), NOTICE),
            (sender, _) => (Reader::Sender, sender, sender, NOTICE),
        };
        let sender = match (reader, about.parent) {
            (Reader::Forwarder, Some((parent, _))) => {
                self.ledger.show(parent)?.map(|came| came.acceptance.sender.clone())
            }
            _ => None,
        };
        let sender = sender.as_deref().unwrap_or(&about.sender);
        let limits = Limits::default();
        let bytes = self.beginning(work.blob, work.size, &limits);
        let id = self.ledger.next_id();
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
                ret: returned_part(about),
                envid: about.envid.as_deref(),
                sender,
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
            // RFC 8689 §5: what it carries of the message wants the same care.
            requiretls: about.requiretls,
            bulk: true,
            notes: Some(format!("notice about {about_id}: {}", words.join(", "))),
            parent: Some((about.id, work.number)),
            recipients: vec![NewRecipient {
                address: recipient.to_owned(),
                original: None,
                notify: None,
                lane: (self.lanes)(recipient),
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

/// How much of a message its notices carry: as RET asks, and the header alone of what must not be seen on the way (RFC 8689 §5).
fn returned_part(about: &Acceptance) -> Option<Return> {
    if about.requiretls == RequireTls::Yes {
        return Some(Return::Headers);
    }
    let ret = about.ret.as_deref()?;
    Some(if ret.eq_ignore_ascii_case("FULL") {
        Return::Full
    } else {
        Return::Headers
    })
}

/// What an order to bounce came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounced {
    /// Recipients given up.
    pub returned: u64,
    /// Recipients that were being worked on, and were left alone.
    pub busy: u64,
}

/// Rows looked at together.
const PAGE: u32 = 500;

/// Gives up open recipients by an administrator's order, and tells their senders. Blocks.
pub fn bounce(ledger: &Ledger, notifier: &Notifier, selection: &Selection) -> ledger::Result<Bounced> {
    let mut bounced = Bounced::default();
    let mut after = None;
    loop {
        let page = ledger.open_rows(selection, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(bounced) };
        after = Some((last.id, last.number));
        let keys: Vec<(AcceptanceId, u32)> = page.iter().map(|row| (row.id, row.number)).collect();
        ledger.recall(&keys);
        let claimed = ledger.claim_these(keys)?;
        bounced.busy += page.len().saturating_sub(claimed.len()) as u64;
        let mut messages: BTreeMap<AcceptanceId, Vec<Work>> = BTreeMap::new();
        for work in claimed {
            messages.entry(work.acceptance.id).or_default().push(work);
        }
        for works in messages.into_values() {
            bounced.returned += returned(ledger, notifier, works)?;
        }
    }
}

fn returned(ledger: &Ledger, notifier: &Notifier, mut works: Vec<Work>) -> ledger::Result<u64> {
    const WHY: &str = "given up by the postmaster";
    let now = ledger.now();
    while !works.is_empty() {
        let news: Vec<News> = works
            .iter()
            .map(|work| News {
                work: work.clone(),
                action: Action::Failed,
                // RFC 3463 §3.8: by our own rules, for other reasons.
                status: Status(5, 7, 0),
                remote: None,
                diagnostic: WHY.to_owned(),
                at: now,
            })
            .collect();
        let settlements = works.iter().map(|work| Settlement {
            acceptance: work.acceptance.id,
            number: work.number,
            fate: Fate::Failed,
            at: now,
            detail: Some(WHY.to_owned()),
            account: None,
            place: None,
            attempt: None,
        });
        let conclusion = Conclusion {
            settlements: settlements.collect(),
            deferrals: Vec::new(),
            offspring: notifier.notices(&news)?,
        };
        let alone = conclusion.offspring.is_empty();
        let stale = ledger.conclude_all(vec![conclusion])?.pop().unwrap_or_default();
        let all = works.len() as u64;
        if stale.is_empty() || alone {
            return Ok(all - stale.len() as u64);
        }
        // Somebody settled one of them meanwhile: the notice is written anew without it.
        works.retain(|work| !stale.contains(&work.key()));
    }
    Ok(0)
}
