//! COPY and MOVE from one account to another: what the message says is written down again in the other account's file, its bytes are shared.
//!
//! The copies come into being in one transaction of the account they go to, all or none. Where the originals are to go away, they do so
//! after that: a crash between the two leaves both, never none.

use crate::account::Account;
use crate::message::{NewMessage, add_in};
use crate::{
    AccountId, Content, Copied, Error, FlagChange, Flags, Keywords, MailboxId, Message, Quota, Result, Uid, Usage,
};
use db::Durability;
use std::collections::HashMap;
use std::sync::Arc;

/// Messages on their way to another account. Their bytes are not reclaimed while this is held.
pub struct Parcels {
    keywords: Arc<Keywords>,
    messages: Vec<(Message, Content)>,
    _pins: Vec<blobs::Pin>,
}

impl Parcels {
    /// The UIDs they have where they come from.
    pub fn uids(&self) -> Vec<Uid> {
        self.messages.iter().map(|(message, _)| message.uid).collect()
    }
}

impl Account {
    /// Messages as somebody reads them who is to take them elsewhere; UIDs ascend, those that are not there are passed over.
    pub fn message_parcels(&self, from: MailboxId, reader: Option<AccountId>, uids: &[Uid]) -> Result<Parcels> {
        let snapshot = {
            let mut state = self.lock();
            self.snapshot_as(&mut state, from, reader)?
        };
        let mut seeker = snapshot.seek();
        let messages: Vec<Message> = uids
            .iter()
            .filter_map(|uid| seeker.uid(*uid))
            .map(|(_, message)| *message)
            .collect();
        let ids: Vec<_> = messages.iter().map(|message| message.content).collect();
        let contents = self.contents(&ids).into_iter().collect::<Result<Vec<Content>>>()?;
        let mut pins = Vec::with_capacity(contents.len());
        for (content, id) in contents.iter().zip(&ids) {
            pins.push(self.blobs().pin(content.blob)?.ok_or(Error::NoContent(id.0))?);
            // The other account's rows must not be on disk before the bytes are.
            self.blobs().wait(content.blob)?;
        }
        Ok(Parcels {
            keywords: Arc::clone(&snapshot.keywords),
            messages: messages.into_iter().zip(contents).collect(),
            _pins: pins,
        })
    }

    /// Puts messages of another account into a mailbox of this one, with those of their flags that are `allowed`: all of them or, on an
    /// error, none. `quota` is the most that this account may hold.
    pub fn message_receive(
        &self,
        to: MailboxId,
        reader: Option<AccountId>,
        parcels: &Parcels,
        allowed: Flags,
        quota: Quota,
    ) -> Result<Copied> {
        // Keywords have other bits here.
        let mut flags: HashMap<Flags, Flags> = HashMap::new();
        for (message, _) in &parcels.messages {
            let wanted = message.flags & allowed;
            if let std::collections::hash_map::Entry::Vacant(vacant) = flags.entry(wanted) {
                let system = Flags::SYSTEM.iter().filter(|(flag, _)| wanted.contains(*flag));
                let names = || {
                    system
                        .clone()
                        .map(|(_, name)| *name)
                        .chain(wanted.keywords(&parcels.keywords))
                };
                // An account with no room for another keyword gets the message without it.
                let here = match self.flags_resolve(names(), true) {
                    Err(Error::Limit(_)) => self.flags_resolve(names(), false)?,
                    resolved => resolved?,
                };
                vacant.insert(here);
            }
        }
        let mut state = self.lock();
        let uid_validity = state.rows.mailboxes.get(&to).ok_or(Error::NoMailbox)?.uid_validity;
        let sizes = parcels.messages.iter().map(|(message, _)| u64::from(message.size));
        quota.room(state.usage(), Usage::of(sizes))?;
        let mut copied = Copied {
            uid_validity,
            ..Copied::default()
        };
        if parcels.messages.is_empty() {
            return Ok(copied);
        }
        let account = self.id();
        let others = if reader.is_some() { Flags::SEEN } else { Flags::NONE };
        let added = self.change(&mut state, Durability::Synced, |tx, draft| {
            let mut added: Vec<Message> = Vec::with_capacity(parcels.messages.len());
            for (message, content) in &parcels.messages {
                let new = NewMessage {
                    blob: content.blob,
                    blob_len: content.blob_len,
                    prefix: &content.prefix,
                    digest: &content.digest,
                    flags: flags
                        .get(&(message.flags & allowed))
                        .map_or(Flags::NONE, |flags| *flags & !others),
                    received: i64::from(message.received),
                };
                added.extend(add_in(tx, account, draft, to, &new)?);
            }
            Ok(added)
        })?;
        state.publish(to, |snapshot| snapshot.append(&added));
        drop(state);
        // What a reader has seen elsewhere he has seen here.
        let seen: Vec<Uid> = parcels
            .messages
            .iter()
            .zip(&added)
            .filter(|((message, _), _)| (message.flags & allowed).contains(Flags::SEEN))
            .map(|(_, added)| added.uid)
            .collect();
        if reader.is_some() && !seen.is_empty() {
            self.message_flag_as(reader, to, &seen, FlagChange::Add(Flags::SEEN), None)?;
        }
        copied.from = parcels.uids();
        copied.to = added.iter().map(|message| message.uid).collect();
        Ok(copied)
    }
}
