//! Scripts that run when something happens to messages over IMAP. RFC 6785.
//!
//! A mailbox says by its metadata entry `/shared/imapsieve/script` which of its owner's scripts runs when a message is appended, copied or
//! moved into it, or has its flags changed; where it says nothing the server's entry counts. The administrator may have a script that runs
//! before it everywhere. The command is done by then, and stays done whatever the script says or fails at.
//!
//! What a script decides is carried out in this order, so that a crash loses no mail: what goes out enters custody; copies and what is
//! remembered are one transaction of the account's file; then the message's flags change. What a crash cuts off is not done: the message
//! lies where it lay. Nothing of it is an event again, so no script can run in circles (§2.2.3, §6).

use crate::answer::is_bulk;
use crate::outgoing::{self, Came, Departure, Leaving, Origin, Written};
use crate::{Delivery, Filed, Filter, Memory, Person, Place, Placed, Plan, Reason, Sending, Verdict, compose};
use db::AccountId;
use directory::Directory;
use ledger::{AcceptanceId, Ledger};
use net::blocking;
use std::sync::Arc;
use std::time::Instant;
use store::{
    Account, Decided, Digest, EVENT_SCRIPT, FlagChange, Flags, MailboxId, NewCopy, NewMessage, Quota, Script, Store,
    Uid, Usage,
};

/// Messages whose decisions are written in one transaction.
const BATCH: usize = 64;
/// A command for so many messages is bulk, in what its scripts send: people's mail goes first.
const MANY: usize = 50;

/// Why a script runs (RFC 6785 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// APPEND, REPLACE.
    Append,
    /// COPY, MOVE.
    Copy,
    /// Flags have changed.
    Flag,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Append => "APPEND",
            Cause::Copy => "COPY",
            Cause::Flag => "FLAG",
        }
    }
}

/// A message that something has happened to.
#[derive(Clone, Copy, Debug)]
pub struct Touched {
    /// Which.
    pub uid: Uid,
    /// The flags that are others now.
    pub changed: Flags,
}

/// What a command did in one mailbox.
pub struct Event {
    /// The account that the mailbox is in.
    pub account: Arc<Account>,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What happened.
    pub cause: Cause,
    /// To which messages.
    pub messages: Vec<Touched>,
}

/// Runs scripts on events.
pub struct Events {
    filter: Arc<Filter>,
    store: Arc<Store>,
    directory: Directory,
    ledger: Ledger,
    departure: Option<Arc<dyn Departure>>,
}

/// What stays the same for all messages of an event.
struct Scene<'e> {
    event: &'e Event,
    mailbox: String,
    owner: Person,
    /// Who gave the command.
    by: String,
    script: Option<Arc<Script>>,
}

/// A decision that is to be carried out.
struct Ready {
    id: AcceptanceId,
    uid: Uid,
    add: Flags,
    remove: Flags,
    copies: Vec<Copy>,
    plan: Plan,
    encoded: String,
    verdict: Verdict,
    origin: Origin<'static>,
    written: Vec<Written>,
}

struct Copy {
    mailbox: MailboxId,
    flags: Flags,
    blob: blobs::BlobId,
    len: u64,
    prefix: Vec<u8>,
    digest: Digest,
    received: i64,
}

impl Events {
    /// For these parts of a server.
    pub fn new(filter: Arc<Filter>, store: Arc<Store>, directory: Directory, ledger: Ledger) -> Events {
        Events {
            filter,
            store,
            directory,
            ledger,
            departure: None,
        }
    }

    /// With return paths, seals and signatures for what scripts send. Without it that goes out as it is.
    #[must_use]
    pub fn departing(mut self, departure: Arc<dyn Departure>) -> Events {
        self.departure = Some(departure);
        self
    }

    /// Whether a script runs on what happens in that mailbox. From memory, but the first time.
    pub fn listens(&self, account: &Account, mailbox: MailboxId) -> bool {
        let options = &self.filter.options().events;
        options.enabled && (options.script.is_some() || self.script_name(account, mailbox).is_some())
    }

    /// Runs the scripts for what a command of that account's did. For how many messages they did not run, since the command has had its
    /// share (limits `messages` and `time`).
    pub async fn run(&self, by: AccountId, events: Vec<Event>) -> usize {
        let options = &self.filter.options().events;
        let begun = Instant::now();
        let by = self
            .directory
            .account(by)
            .map(|account| account.address().to_owned())
            .unwrap_or_default();
        let (mut ran, mut left) = (0, 0);
        for event in &events {
            let Some(scene) = blocking(|| self.scene(event, &by)) else {
                continue;
            };
            let mut messages = event.messages.as_slice();
            while !messages.is_empty() {
                let room = options.messages.saturating_sub(ran).min(BATCH);
                if room == 0 || begun.elapsed() >= options.time {
                    left += messages.len();
                    break;
                }
                let _turn = event.account.turn().await;
                let (done, ready) = blocking(|| self.prepare(&scene, &messages[..room.min(messages.len())], begun));
                ran += done;
                messages = &messages[done..];
                self.carry_out(&scene, ready).await;
            }
        }
        if left > 0 {
            tracing::warn!(
                by,
                messages = left,
                "scripts on IMAP events did not run: the command has had its share"
            );
        }
        left
    }

    /// The name of the script that a mailbox or the server gives (RFC 6785 §2.3.1).
    fn script_name(&self, account: &Account, mailbox: MailboxId) -> Option<Arc<str>> {
        let named = account.event_script(mailbox).unwrap_or_else(|error| {
            tracing::warn!(account = account.id().0, %error, "a mailbox's metadata cannot be read: no script runs");
            Some("".into())
        });
        let server = || {
            let value = self.directory.server_metadata_entry(EVENT_SCRIPT)?;
            Some(String::from_utf8_lossy(&value).trim().into())
        };
        named.or_else(server).filter(|name| !name.is_empty())
    }

    /// `None` where nothing runs after all.
    fn scene<'e>(&self, event: &'e Event, by: &str) -> Option<Scene<'e>> {
        let account = &event.account;
        let script = match self.script_name(account, event.mailbox) {
            Some(name) => account.script_read(&name).unwrap_or_else(|error| {
                tracing::warn!(account = account.id().0, %error, "a script cannot be read: it does not run");
                None
            }),
            None => None,
        };
        if script.is_none() && self.filter.options().events.script.is_none() {
            return None;
        }
        let owner = self.directory.account(account.id())?;
        Some(Scene {
            event,
            mailbox: account.mailbox_name(event.mailbox)?,
            owner: Person {
                address: owner.address().to_owned(),
                addresses: owner.addresses.clone(),
                name: owner.name.clone(),
            },
            by: by.to_owned(),
            script: script.map(Arc::new),
        })
    }

    /// Runs the script over messages, as far as time allows; over how many.
    fn prepare(&self, scene: &Scene<'_>, messages: &[Touched], begun: Instant) -> (usize, Vec<Ready>) {
        let mut memory = Memory::default();
        let mut ready = Vec::new();
        for (done, message) in messages.iter().enumerate() {
            if done > 0 && begun.elapsed() >= self.filter.options().events.time {
                return (done, ready);
            }
            match self.decide(scene, *message, &memory) {
                Ok(Some(decided)) => {
                    memory.seen.extend(decided.verdict.seen.iter().cloned());
                    memory.sent += u64::from(decided.verdict.sent());
                    ready.push(decided);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    account = scene.event.account.id().0, mailbox = scene.mailbox, uid = message.uid.0, %error,
                    "the script on an IMAP event did not run"
                ),
            }
        }
        (messages.len(), ready)
    }

    /// What the script says about one message; nothing where it leaves it as it is.
    fn decide(&self, scene: &Scene<'_>, touched: Touched, memory: &Memory) -> store::Result<Option<Ready>> {
        let account = &scene.event.account;
        let open = account.mailbox_open(scene.event.mailbox, false)?;
        let snapshot = open.snapshot();
        let Some(message) = snapshot
            .position(touched.uid)
            .and_then(|position| snapshot.at(position))
        else {
            return Ok(None);
        };
        let content = account.content(message.content)?;
        if content.blob_len > self.filter.options().message_bytes {
            return Ok(None);
        }
        // Without the lines that delivery put before it: by these, what is sent on would seem to come back.
        let bytes = account.content_range(&content, content.prefix.len() as u64..content.len())?;
        let keywords = account.keywords();
        let names = |flags: Flags| -> Vec<String> {
            let system = Flags::SYSTEM.iter().filter(|(flag, _)| flags.contains(*flag));
            let system = system.map(|(_, name)| (*name).to_owned());
            system.chain(flags.keywords(&keywords).map(str::to_owned)).collect()
        };
        let id = self.ledger.next_id();
        let now = net::now();
        let item = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let delivery = Delivery {
            message: &bytes,
            // RFC 6785 §3.4: what is sent comes from the mailbox's owner.
            envelope: sieve::Envelope {
                from: Some(scene.owner.address.clone()),
                ..sieve::Envelope::default()
            },
            now,
            unique: id.to_string(),
            environment: vec![
                item("location", "MS"),
                item("phase", "post"),
                item("imap.user", &scene.by),
                item("imap.email", &scene.by),
                item("imap.cause", scene.event.cause.name()),
                item("imap.mailbox", &scene.mailbox),
                item("imap.changedflags", &names(touched.changed).join(" ")),
            ],
            flags: names(message.flags),
            rehearsal: false,
        };
        let script = scene.script.clone();
        let mut verdict = self
            .filter
            .decide_event(script, account, &scene.owner, &delivery, memory);
        verdict.answerable(&self.directory);
        self.tell_of_fault(scene, &mut verdict, &delivery);
        // Only messages that the script made itself are new; copies of the one that lies here share its bytes (§3.3).
        let blobs = self.store.blobs();
        let mut made = Vec::with_capacity(verdict.messages.len());
        for message in &verdict.messages {
            made.push((blobs.put(message)?, Digest::of(message)));
        }
        for (commit, _) in &made {
            commit.wait()?;
        }
        let mut notes = Vec::new();
        let mut copies: Vec<Copy> = Vec::new();
        let mut left_out = false;
        for filed in &verdict.filed {
            let Place::Mailbox(target) = &filed.place else { continue };
            let mailbox = match crate::place_made(account, target, self.filter.options())? {
                Placed::In(id, _) => id,
                Placed::New(name, _) | Placed::Nowhere(name) => {
                    notes.push(format!("{name}; the message stays where it is"));
                    left_out = true;
                    continue;
                }
            };
            let flags = self.flags(account, filed, &mut notes)?;
            let changed = filed.message.checked_sub(1).and_then(|at| made.get(at));
            let copy = match changed {
                Some((commit, digest)) => Copy {
                    mailbox,
                    flags,
                    blob: commit.id(),
                    len: commit.len(),
                    prefix: Vec::new(),
                    digest: digest.clone(),
                    received: now,
                },
                None => Copy {
                    mailbox,
                    flags,
                    blob: content.blob,
                    len: content.blob_len,
                    prefix: content.prefix.clone(),
                    digest: content.digest.clone(),
                    received: i64::from(message.received),
                },
            };
            if !copies.iter().any(|c| c.mailbox == copy.mailbox && c.blob == copy.blob) {
                copies.push(copy);
            }
        }
        let size = |copy: &Copy| copy.len + copy.prefix.len() as u64;
        if let Err(error) = self
            .quota(account)
            .room(account.usage(), Usage::of(copies.iter().map(size)))
        {
            notes.push(format!("not filed: {error}; the message stays where it is"));
            copies.clear();
            left_out = true;
        }
        let kept = verdict.filed.iter().find(|f| f.place == Place::Kept);
        let flags = match kept {
            Some(kept) => self.flags(account, kept, &mut notes)?,
            None if left_out => message.flags,
            None => message.flags | Flags::DELETED,
        };
        let (add, remove) = (flags & !message.flags, message.flags & !flags);
        let sent = !verdict.sending.is_empty() || !verdict.piped.is_empty();
        let nothing = copies.is_empty() && !sent && add == Flags::NONE && remove == Flags::NONE;
        let told = verdict.fault.is_some() || !notes.is_empty() || verdict.why.iter().any(|r| !r.notes.is_empty());
        if nothing && !told && verdict.seen.is_empty() {
            return Ok(None);
        }
        let leaving = Leaving {
            account: account.id(),
            address: &scene.owner.address,
            message: &bytes,
            // Lines of ours stand before what came by mail, and before nothing that a program appended.
            accepted: !content.prefix.is_empty(),
            now,
        };
        let came = Came {
            body: "8BITMIME",
            smtputf8: None,
        };
        let written = outgoing::write(blobs, self.departure.as_deref(), &leaving, came, &mut verdict.sending)?;
        let header = bytes.get(..mime::header_end(&bytes)).unwrap_or_default();
        let message_id = mime::header_field(header, "Message-ID");
        let origin = Origin {
            login: Some(account.id()),
            message_id: message_id.map(|id| String::from_utf8_lossy(&id).trim().to_owned()),
            bulk: scene.event.messages.len() >= MANY || is_bulk(header),
            owner: scene.owner.address.clone(),
            about: format!(
                "for {} of UID {} in {}",
                scene.event.cause.name(),
                touched.uid.0,
                scene.mailbox
            ),
            ..Origin::default()
        };
        let implied = |said: &&String| said.starts_with("implicit keep");
        let mut said: Vec<String> = verdict.said.iter().filter(|said| !implied(said)).cloned().collect();
        if said.is_empty() {
            said.push("kept".to_owned());
        }
        if !notes.is_empty() {
            verdict.why.push(Reason {
                script: scene.script.as_ref().map_or("events", |s| &s.info.name).to_owned(),
                notes,
                ..Reason::default()
            });
        }
        let plan = Plan {
            fate: verdict.fate().to_owned(),
            detail: format!(
                "Sieve, on {} in {} of UID {} by {}: {}",
                scene.event.cause.name(),
                scene.mailbox,
                touched.uid.0,
                scene.by,
                said.join("; ")
            ),
            outgoing: written.iter().map(|w| w.plan.clone()).collect(),
            reasons: std::mem::take(&mut verdict.why),
        };
        Ok(Some(Ready {
            id,
            uid: touched.uid,
            add,
            remove,
            copies,
            encoded: plan.encode(),
            plan,
            verdict,
            origin,
            written,
        }))
    }

    fn flags(&self, account: &Account, filed: &Filed, notes: &mut Vec<String>) -> store::Result<Flags> {
        match account.flags_resolve(filed.flags.iter().map(String::as_str), true) {
            Err(error @ store::Error::Limit(_)) => {
                notes.push(format!("flags were left out: {error}"));
                account.flags_resolve(filed.flags.iter().map(String::as_str), false)
            }
            flags => flags,
        }
    }

    fn quota(&self, account: &Account) -> Quota {
        crate::quota_of(&self.directory, account.id())
    }

    /// A script that fails is noted with it, and its owner is told once a day.
    fn tell_of_fault(&self, scene: &Scene<'_>, verdict: &mut Verdict, delivery: &Delivery<'_>) {
        let (Some(fault), Some(script)) = (verdict.fault.clone(), &scene.script) else {
            return;
        };
        let account = &scene.event.account;
        let every = self.filter.options().fault_every;
        let (name, version) = (&script.info.name, script.info.version);
        match account.script_failed(name, version, &fault, delivery.now, every) {
            Ok(true) => {
                let from = compose::From {
                    address: &scene.owner.address,
                    name: &scene.owner.name,
                    hostname: &self.filter.options().hostname,
                    unique: &delivery.unique,
                    now: delivery.now,
                };
                let bytes = compose::fault(&from, name, &fault, delivery.message, "was left where it is");
                let to = vec![scene.owner.address.clone()];
                verdict.sending.push(Sending::ours("fault", to, bytes));
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(account = account.id().0, %error, "a failed script was not noted"),
        }
    }

    async fn carry_out(&self, scene: &Scene<'_>, ready: Vec<Ready>) {
        let account = &scene.event.account;
        let mut custody = Vec::with_capacity(ready.len());
        for mut r in ready {
            let mut taken = Ok(());
            for Written { plan, commit, bytes } in r.written.drain(..) {
                let id = self.ledger.next_id();
                let hostname = &self.filter.options().hostname;
                let acceptance = plan.acceptance(&r.origin, &self.directory, hostname, id, net::now());
                taken = self.ledger.accept(acceptance, commit, Some(bytes)).await;
                if taken.is_err() {
                    break;
                }
            }
            match taken {
                Ok(()) => custody.push(r),
                // The message stays as it is: better once too often than lost.
                Err(error) => tracing::error!(
                    account = account.id().0, mailbox = scene.mailbox, uid = r.uid.0, %error,
                    "what a script sends was not taken into custody"
                ),
            }
        }
        if custody.is_empty() {
            return;
        }
        if let Err(error) = blocking(|| self.write(scene, &custody)) {
            tracing::error!(account = account.id().0, mailbox = scene.mailbox, %error, "what a script decided was not written");
        }
    }

    fn write(&self, scene: &Scene<'_>, ready: &[Ready]) -> store::Result<()> {
        let account = &scene.event.account;
        let now = net::now();
        let decided: Vec<Decided<'_>> = ready.iter().map(|r| r.decided(now)).collect();
        account.deliver_decided(&decided)?;
        account.sync()?;
        for r in ready {
            tracing::info!(account = account.id().0, decision = %r.id, detail = r.plan.detail, "a script on an IMAP event");
            let mailbox = scene.event.mailbox;
            if r.remove != Flags::NONE {
                account.message_flag(mailbox, &[r.uid], FlagChange::Remove(r.remove), None)?;
            }
            if r.add != Flags::NONE {
                account.message_flag(mailbox, &[r.uid], FlagChange::Add(r.add), None)?;
            }
            let gone = !r.verdict.filed.iter().any(|f| f.place == Place::Kept) && r.add.contains(Flags::DELETED);
            if gone && self.filter.options().events.expunge {
                account.message_expunge(mailbox, Some(&[r.uid]))?;
            }
        }
        Ok(())
    }
}

impl Ready {
    fn decided(&self, now: i64) -> Decided<'_> {
        Decided {
            acceptance: self.id.0,
            recipient: 0,
            at: now,
            copies: self
                .copies
                .iter()
                .map(|c| NewCopy {
                    mailbox: c.mailbox,
                    message: NewMessage {
                        blob: c.blob,
                        blob_len: c.len,
                        prefix: &c.prefix,
                        digest: &c.digest,
                        flags: c.flags,
                        received: c.received,
                    },
                })
                .collect(),
            plan: &self.encoded,
            blobs: self.plan.outgoing.iter().filter_map(|o| o.blob.parse().ok()).collect(),
            sent: self.verdict.sent(),
            answered: self.verdict.answered.clone(),
            seen: self.verdict.seen.clone(),
        }
    }
}
