//! The mailbox a session has selected: what its client knows, and telling it what is new. RFC 9051 §7.4, §7.5.

use crate::imap::contexts::Contexts;
use imap::response::{Encoder, FetchResponse};
use imap::{Flag, NumberSet, SequenceSet};
use std::sync::Arc;
use store::{Account, AccountId, Flags, Keywords, MailboxId, Message, ModSeq, OpenMailbox, Rights, Snapshot, Uid, Who};

/// A selected mailbox.
pub(crate) struct Selected {
    /// Whose mailbox it is.
    pub(crate) account: Arc<Account>,
    pub(crate) mailbox: MailboxId,
    /// For whom `\Seen` is kept there.
    pub(crate) reader: Option<AccountId>,
    pub(crate) open: OpenMailbox,
    /// What the client knows. Its sequence numbers are positions here, counted from 1.
    pub(crate) told: Arc<Snapshot>,
    /// The keywords that the last FLAGS response named.
    pub(crate) keywords: Arc<Keywords>,
    pub(crate) read_only: bool,
    /// What the session's account may do with it; brought up to date before each command.
    pub(crate) rights: Rights,
    /// UIDs of the result that `$` stands for (RFC 5182).
    pub(crate) saved: NumberSet,
    /// Searches that are kept up to date.
    pub(crate) contexts: Contexts,
}

/// How changes are told.
#[derive(Clone, Copy)]
pub(crate) struct Telling<'a> {
    /// EXPUNGE may be said now. Where it may not, and there is one to say, everything waits.
    pub(crate) expunge: bool,
    /// Changes that the client made and was told of already, ascending.
    pub(crate) own: &'a [ModSeq],
    pub(crate) condstore: bool,
    /// What is gone is told as VANISHED (RFC 7162 §3.2.10, RFC 9586 §3.5).
    pub(crate) vanished: bool,
    /// No sequence numbers (RFC 9586).
    pub(crate) uid_only: bool,
    /// Changes of flags are told.
    pub(crate) flags: bool,
    pub(crate) rev2: bool,
}

impl Selected {
    pub(crate) fn new(
        account: Arc<Account>,
        mailbox: MailboxId,
        reader: Option<AccountId>,
        open: OpenMailbox,
        read_only: bool,
        rights: Rights,
    ) -> Selected {
        let told = open.snapshot();
        Selected {
            account,
            mailbox,
            reader,
            keywords: Arc::clone(&told.keywords),
            told,
            open,
            read_only,
            rights,
            saved: NumberSet::new(),
            contexts: Contexts::default(),
        }
    }

    /// Looks up what may be done now: its owner may have changed it. False: it must not be read any more.
    pub(crate) fn rights_renew(&mut self, who: &Who) -> bool {
        if self.account.id() != who.account
            && let Some(mailbox) = self.account.mailbox(self.mailbox)
        {
            self.rights = self.account.rights_of(&mailbox, who);
        }
        self.rights.contains(Rights::READ)
    }

    /// The positions that a set means, ascending. `Err`: a sequence number that is not in the mailbox.
    pub(crate) fn positions(&self, set: &SequenceSet, uid: bool) -> Result<Vec<u32>, &'static str> {
        let told = &self.told;
        let count = u32::try_from(told.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Ok(Vec::new());
        }
        if !uid && *set != SequenceSet::Saved {
            if set.exceeds(count) {
                return Err("there is no message of that number");
            }
            let numbers = set.resolve(count).unwrap_or_default();
            return Ok(numbers.iter().map(|number| number - 1).collect());
        }
        let last = told.last().map_or(0, |message| message.uid.0);
        let resolved;
        let uids = match set.resolve(last) {
            Some(uids) => {
                resolved = uids;
                &resolved
            }
            None => &self.saved,
        };
        let mut positions = Vec::new();
        for range in uids.ranges() {
            let from = told.lower_bound(Uid(*range.start()));
            let upto = match range.end().checked_add(1) {
                Some(end) => told.lower_bound(Uid(end)),
                None => told.len(),
            };
            positions.extend((from..upto).filter_map(|position| u32::try_from(position).ok()));
        }
        Ok(positions)
    }

    /// The UIDs at positions.
    pub(crate) fn uids(&self, positions: &[u32]) -> Vec<Uid> {
        let mut seeker = self.told.seek();
        let at = |position: &u32| seeker.at(*position as usize).map(|message| message.uid);
        positions.iter().filter_map(at).collect()
    }

    /// Whether a message is recent to this session (RFC 3501 §2.3.2).
    pub(crate) fn is_recent(&self, message: &Message) -> bool {
        message.uid >= self.open.recent_from
    }

    /// How many messages are recent.
    pub(crate) fn recent(&self) -> u32 {
        let from = self.told.lower_bound(self.open.recent_from);
        u32::try_from(self.told.len() - from).unwrap_or(u32::MAX)
    }

    /// Names the flags again if there are new keywords.
    pub(crate) fn tell_keywords(&mut self, out: &mut Vec<u8>, newest: &Snapshot, rev2: bool) {
        if newest.keywords != self.keywords {
            flags_line(out, &newest.keywords, rev2);
            self.keywords = Arc::clone(&newest.keywords);
        }
    }

    /// Tells what is new. False: the mailbox is no more. Where searches are kept up to date, nothing is new before it was worked out what
    /// that means for them.
    pub(crate) fn tell(&mut self, out: &mut Vec<u8>, how: Telling<'_>) -> bool {
        let mut newest = self.open.snapshot();
        if newest.deleted {
            return false;
        }
        let mut ready = self.contexts.ready.take();
        if !self.contexts.list.is_empty() {
            match ready.take_if(|ready| Arc::ptr_eq(&ready.told, &self.told)) {
                Some(known) => {
                    newest = Arc::clone(&known.newest);
                    ready = Some(known);
                }
                None => return true,
            }
        } else if Arc::ptr_eq(&newest, &self.told) {
            return true;
        }
        let found;
        let diff = match &ready {
            Some(ready) => &ready.diff,
            None => {
                found = self.told.diff(&newest);
                &found
            }
        };
        if !diff.expunged.is_empty() && !how.expunge {
            return true;
        }
        self.tell_keywords(out, &newest, how.rev2);
        let mut encoder = Encoder::new(out, how.rev2);
        if let Some(ready) = &ready {
            self.contexts.tell_removed(ready, &mut encoder);
        }
        if how.vanished {
            let gone = diff.expunged.iter().filter_map(|position| self.told.at(*position));
            encoder.vanished(false, &gone.map(|message| message.uid.0).collect());
        } else {
            for (gone, position) in diff.expunged.iter().enumerate() {
                encoder.expunge(sequence(position - gone));
            }
        }
        let recent = self.recent();
        self.told = newest;
        if diff.appended > 0 {
            encoder.exists(sequence(self.told.len()) - 1);
            if !how.rev2 && self.recent() != recent {
                encoder.recent(self.recent());
            }
        }
        for position in diff.changed.iter().copied().filter(|_| how.flags) {
            if let Some(message) = self.told.at(position)
                && how.own.binary_search(&message.modseq).is_err()
            {
                let mut fetch = begin(out, position, message.uid, how.uid_only);
                fetch.uid(out, message.uid.0);
                if how.condstore {
                    fetch.modseq(out, message.modseq.0);
                }
                let recent = !how.rev2 && self.is_recent(message);
                fetch.flags(out, flag_names(message.flags, &self.told.keywords, recent));
                fetch.end(out);
            }
        }
        if let Some(ready) = ready {
            self.contexts.tell_added(*ready, &mut Encoder::new(out, how.rev2));
        }
        true
    }
}

/// The head of a FETCH response, or of a UIDFETCH response.
pub(crate) fn begin(out: &mut Vec<u8>, position: usize, uid: Uid, uid_only: bool) -> FetchResponse {
    if uid_only {
        FetchResponse::begin_uid(out, uid.0)
    } else {
        FetchResponse::begin(out, sequence(position))
    }
}

/// The sequence number of a position.
pub(crate) fn sequence(position: usize) -> u32 {
    u32::try_from(position).map_or(u32::MAX, |position| position.saturating_add(1))
}

/// The names of a message's flags.
pub(crate) fn flag_names(flags: Flags, keywords: &Keywords, recent: bool) -> impl Iterator<Item = &str> {
    let system = Flags::SYSTEM.iter().filter(move |(flag, _)| flags.contains(*flag));
    system
        .map(|(_, name)| *name)
        .chain(recent.then_some("\\Recent"))
        .chain(flags.keywords(keywords))
}

/// `* FLAGS (…)`: the system flags and all keywords of the account.
pub(crate) fn flags_line(out: &mut Vec<u8>, keywords: &Keywords, rev2: bool) {
    Encoder::new(out, rev2).flags(&all_flags(keywords));
}

/// The system flags and all keywords.
pub(crate) fn all_flags(keywords: &Keywords) -> Vec<Flag> {
    let keywords = keywords.iter().map(|(_, name)| Flag::Keyword(name.to_owned()));
    Flag::SYSTEM.into_iter().chain(keywords).collect()
}
