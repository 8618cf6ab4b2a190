//! Delivery into an account's mailboxes.

use crate::dispatch::Options;
use crate::forward::Forwarding;
use crate::notifier::Notifier;
use crate::patience;
use crate::retry::{Patience, Strategy};
use crate::scripted;
use db::AccountId;
use directory::Directory;
use filter::Filter;
use ledger::{Fate, Ledger, Settlement, Work};
use lru::LruCache;
use parking_lot::Mutex;
use std::io::Read;
use std::num::NonZeroUsize;
use std::sync::Arc;
use store::{Account, Arrival, Digest, Flags, MailboxId, NewMessage, Store, Usage};

/// Digests kept, for messages with several recipients here.
const DIGESTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// Octets read at a time where a message is not in memory.
const PIECE: usize = 128 << 10;

pub(crate) struct Local {
    pub(crate) store: Arc<Store>,
    pub(crate) directory: Directory,
    pub(crate) ledger: Ledger,
    pub(crate) filter: Arc<Filter>,
    /// Whether a subaddress may name a mailbox.
    subaddress_mailbox: bool,
    pub(crate) forwarding: Option<Arc<Forwarding>>,
    pub(crate) notifier: Option<Arc<Notifier>>,
    patience: Patience,
    digests: Mutex<LruCache<blobs::BlobId, Arc<Digest>>>,
}

/// What a turn came to.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) delivered: u64,
    pub(crate) deferred: u64,
}

struct Ready {
    work: Work,
    mailbox: MailboxId,
    prefix: Vec<u8>,
    digest: Arc<Digest>,
}

impl Local {
    pub(crate) fn new(
        store: Arc<Store>,
        directory: Directory,
        ledger: Ledger,
        filter: Arc<Filter>,
        options: &Options,
    ) -> Local {
        Local {
            store,
            directory,
            ledger,
            filter,
            subaddress_mailbox: options.subaddress_mailbox,
            forwarding: options.forwarding.clone(),
            notifier: options.notifier.clone(),
            patience: options.patience.clone(),
            digests: Mutex::new(LruCache::new(DIGESTS)),
        }
    }

    /// Delivers a turn's work: one transaction, one wait for the disk, then the fates.
    pub(crate) fn deliver(&self, id: AccountId, mut turn: Vec<(Work, Option<String>)>, now: i64) -> Outcome {
        let mut outcome = Outcome::default();
        let account = match self.store.account(id) {
            Ok(account) => account,
            Err(e) => {
                self.defer(turn.iter().map(|(w, _)| w), &e, now, &mut outcome);
                return outcome;
            }
        };
        let one = Usage::of([1]);
        if let Err(full) = filter::quota_of(&self.directory, id).room(account.usage(), one) {
            self.defer(turn.iter().map(|(w, _)| w), &full, now, &mut outcome);
            return outcome;
        }
        let Some(inbox) = account.mailbox_find("INBOX").map(|m| m.id) else {
            self.defer(turn.iter().map(|(w, _)| w), &store::Error::NoMailbox, now, &mut outcome);
            return outcome;
        };
        match scripted::applies(&self.filter, &account) {
            Ok(true) => {
                // What comes of mail that this account sends on must not be sent on itself.
                let scripted: Vec<_>;
                (turn, scripted) = turn.into_iter().partition(|(w, _)| self.is_return_path(w, now));
                if !scripted.is_empty() {
                    self.deliver_scripted(&account, scripted, inbox, now, &mut outcome);
                }
                if turn.is_empty() {
                    return outcome;
                }
            }
            Ok(false) => {}
            Err(e) => {
                self.defer(turn.iter().map(|(w, _)| w), &e, now, &mut outcome);
                return outcome;
            }
        }
        let mut ready: Vec<Ready> = Vec::with_capacity(turn.len());
        for (work, subaddress) in turn {
            match self.digest(&work) {
                Ok(digest) => ready.push(Ready {
                    mailbox: self.kept_in(&account, &work, subaddress.as_deref(), inbox),
                    prefix: prefix(&work),
                    digest,
                    work,
                }),
                Err(e) => self.defer([&work], &e, now, &mut outcome),
            }
        }
        if ready.is_empty() {
            return outcome;
        }
        let arrivals: Vec<Arrival<'_>> = ready
            .iter()
            .map(|r| Arrival {
                acceptance: r.work.acceptance.id.0,
                recipient: r.work.number,
                mailbox: r.mailbox,
                message: NewMessage {
                    blob: r.work.blob,
                    blob_len: r.work.size,
                    prefix: &r.prefix,
                    digest: &r.digest,
                    flags: Flags::NONE,
                    received: r.work.acceptance.received_at,
                },
            })
            .collect();
        // Only what is on disk is settled: until then the open row in the ledger is what makes it safe.
        let delivered = account.deliver(&arrivals).and_then(|d| account.sync().map(|()| d));
        drop(arrivals);
        match delivered {
            Ok(delivered) => {
                let done = ready.into_iter().zip(&delivered).map(|(r, d)| {
                    let settlement = Settlement {
                        acceptance: r.work.acceptance.id,
                        number: r.work.number,
                        fate: Fate::Delivered,
                        at: now,
                        detail: None,
                        account: Some(id),
                        place: Some((d.mailbox.0, d.uid.0)),
                        attempt: None,
                    };
                    (r.work, settlement)
                });
                patience::delivered(&self.ledger, self.notifier.as_deref(), &self.patience, done.collect());
                outcome.delivered += delivered.len() as u64;
            }
            Err(e) => self.defer(ready.iter().map(|r| &r.work), &e, now, &mut outcome),
        }
        outcome
    }

    /// Whether a recipient is a return path of ours, which stands for the account.
    fn is_return_path(&self, work: &Work, now: i64) -> bool {
        let forwarding = self.forwarding.as_ref();
        forwarding.is_some_and(|forwarding| forwarding.reverse(&work.address, now).is_some())
    }

    /// Where a message goes that no rule says anything about: Junk if it was found to be suspicious when it came, else where its
    /// subaddress says, else the inbox.
    pub(crate) fn kept_in(
        &self,
        account: &Account,
        work: &Work,
        subaddress: Option<&str>,
        inbox: MailboxId,
    ) -> MailboxId {
        if work.acceptance.quarantine.is_some() {
            let junk = |m: &store::Mailbox| m.special_use == Some(store::SpecialUse::Junk);
            if let Some(junk) = account.mailbox_list().into_iter().find(|m| junk(m)) {
                return junk.id;
            }
        }
        self.mailbox(account, subaddress).unwrap_or(inbox)
    }

    /// The mailbox a subaddress names (RFC 5233), if it is there.
    pub(crate) fn mailbox(&self, account: &Account, subaddress: Option<&str>) -> Option<MailboxId> {
        let name = subaddress.filter(|_| self.subaddress_mailbox)?;
        if let Some(exact) = account.mailbox_find(name) {
            return Some(exact.id);
        }
        let name = name.to_lowercase();
        let found = account
            .mailbox_list()
            .into_iter()
            .find(|m| m.name.to_lowercase() == name);
        found.map(|m| m.id)
    }

    pub(crate) fn digest(&self, work: &Work) -> store::Result<Arc<Digest>> {
        if let Some(known) = self.digests.lock().get(&work.blob) {
            return Ok(Arc::clone(known));
        }
        let digest = Arc::new(match &work.bytes {
            Some(bytes) => Digest::of(bytes),
            None => {
                let mut digester = store::Digester::new();
                let mut reader = self.store.blobs().reader(work.blob)?;
                let mut piece = vec![0; PIECE];
                loop {
                    match reader.read(&mut piece) {
                        Ok(0) => break digester.finish(),
                        Ok(n) => digester.push(&piece[..n]),
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(e) => {
                            // The reader's own class of error says more than the I/O error it was wrapped in.
                            self.store.blobs().read_range(work.blob, 0..work.size)?;
                            return Err(store::Error::Db(db::Error::Io {
                                file: "blobs".into(),
                                source: e,
                            }));
                        }
                    }
                }
            }
        });
        self.digests.lock().put(work.blob, Arc::clone(&digest));
        Ok(digest)
    }

    pub(crate) fn defer<'w>(
        &self,
        works: impl IntoIterator<Item = &'w Work>,
        error: &store::Error,
        now: i64,
        outcome: &mut Outcome,
    ) {
        let strategy = Strategy::of(error);
        let reason = error.to_string();
        for work in works {
            tracing::warn!(
                acceptance = %work.acceptance.id, recipient = %work.address, strategy = strategy.name(), error = %error,
                "delivery deferred"
            );
            outcome.deferred += 1;
            patience::put_off(
                &self.ledger,
                self.notifier.as_deref(),
                &self.patience,
                work,
                strategy,
                &reason,
                now,
            );
        }
    }
}

/// The lines that belong to this recipient alone: where bounces go (RFC 5321 §4.4), and for whom it was (RFC 9228).
pub(crate) fn prefix(work: &Work) -> Vec<u8> {
    format!(
        "Return-Path: <{}>\r\nDelivered-To: {}\r\n",
        work.acceptance.sender, work.address
    )
    .into_bytes()
}
