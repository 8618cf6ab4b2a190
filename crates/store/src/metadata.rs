//! What is said about mailboxes, and about the server. RFC 5464.

use crate::account::Account;
use crate::sharing::NO_MAILBOX;
use crate::{AccountId, Error, MailboxId, Result};
use db::Durability;
use std::collections::BTreeMap;

/// Octets of one value. The RFC asks for 1,024 at least (§4.1); 64 KiB hold a picture of a person.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Entries that everybody sees, and entries of each reader's own, on one mailbox. The RFC asks for 10 at least.
pub const MAX_METADATA_ENTRIES: usize = 100;

/// What the mailbox is for (RFC 6154 §5.4). It is the owner's alone to see and to set.
pub const SPECIAL_USE_ENTRY: &str = "/private/specialuse";
/// `own`: every reader but the owner has a `\Seen` of his own; `shared`: there is one for all.
pub const SEEN_ENTRY: &str = "/shared/vendor/rohrpost/seen";

impl crate::Mailbox {
    /// The entries that are not kept as such but follow from what the mailbox is, as its owner sees them.
    pub fn computed_metadata(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let seen = if self.sharing.seen_own { "own" } else { "shared" };
        let special_use = self.special_use.map(|special| (SPECIAL_USE_ENTRY, special.attribute()));
        special_use.into_iter().chain([(SEEN_ENTRY, seen)])
    }
}

/// Whose entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// `/shared`: everybody's.
    Shared,
    /// `/private`: those of one account.
    Private(AccountId),
}

impl Audience {
    fn key(self) -> AccountId {
        match self {
            Audience::Shared => AccountId(0),
            Audience::Private(id) => id,
        }
    }
}

/// An entry of which is remembered that it was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataKey {
    /// The mailbox; `None`: the server.
    pub mailbox: Option<MailboxId>,
    /// Whose entry: 0 for all.
    reader: AccountId,
    /// Its name.
    pub entry: String,
}

/// When entries were changed last, as long as the account is open: for sessions that are told (RFC 5464 §4.4.2).
#[derive(Default)]
pub(crate) struct MetadataChanges {
    count: u64,
    last: BTreeMap<MetadataKey, u64>,
}

/// Entries of which that is remembered. Beyond it those changed the longest ago are forgotten: only a session that was not told for so long
/// can miss one.
const CHANGES_KEPT: usize = 10_000;

impl MetadataChanges {
    fn note(&mut self, mailbox: Option<MailboxId>, audience: Audience, entry: &str) {
        let key = MetadataKey {
            mailbox,
            reader: audience.key(),
            entry: entry.to_owned(),
        };
        self.count += 1;
        self.last.insert(key, self.count);
        if self.last.len() > CHANGES_KEPT {
            let half = self.count.saturating_sub(CHANGES_KEPT as u64 / 2);
            self.last.retain(|_, at| *at > half);
        }
    }
}

impl Account {
    /// How many changes of metadata there were since the account was opened, and the entries that were changed after the first `since` of
    /// them: everybody's, and those of `reader`.
    pub fn metadata_changes(&self, since: u64, reader: AccountId) -> (u64, Vec<MetadataKey>) {
        let state = self.lock();
        let seen = |key: &MetadataKey| [AccountId(0), reader].contains(&key.reader);
        let changed = state.metadata.last.iter().filter(|(key, at)| **at > since && seen(key));
        (state.metadata.count, changed.map(|(key, _)| key.clone()).collect())
    }

    /// The entries of a mailbox (`None`: of the server) whose names `wanted` lets through, by name.
    pub fn metadata(
        &self,
        mailbox: Option<MailboxId>,
        audience: Audience,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        self.database().read(|tx| {
            tx.query(
                "SELECT entry, value FROM metadata WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 ORDER BY entry",
                &[
                    self.id().into(),
                    mailbox.unwrap_or(NO_MAILBOX).into(),
                    audience.key().into(),
                ],
                |row| {
                    let entry = row.text(0)?;
                    if wanted(entry) {
                        found.push((entry.to_owned(), row.blob(1)?.to_vec()));
                    }
                    Ok(())
                },
            )
        })?;
        Ok(found)
    }

    /// Sets entries, takes away those without a value: all of them or, on an error, none.
    pub fn metadata_set(&self, mailbox: Option<MailboxId>, entries: &[(Audience, &str, Option<&[u8]>)]) -> Result<()> {
        let mut state = self.lock();
        if mailbox.is_some_and(|id| !state.rows.mailboxes.contains_key(&id)) {
            return Err(Error::NoMailbox);
        }
        if entries
            .iter()
            .any(|(_, _, value)| value.is_some_and(|v| v.len() > MAX_METADATA_BYTES))
        {
            return Err(Error::MetadataSize);
        }
        let account = self.id();
        let of = mailbox;
        let mailbox = mailbox.unwrap_or(NO_MAILBOX);
        let mut full = false;
        let done = self.change(&mut state, Durability::Deferred, |tx, _| {
            for (audience, entry, value) in entries {
                let key = [account.into(), mailbox.into(), audience.key().into(), (*entry).into()];
                tx.execute(
                    "DELETE FROM metadata WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 AND entry = ?4",
                    &key,
                )?;
                let Some(value) = value else { continue };
                let [account, mailbox, reader, entry] = key;
                tx.execute(
                    "INSERT INTO metadata (account, mailbox, reader, entry, value) VALUES (?1, ?2, ?3, ?4, ?5)",
                    &[account, mailbox, reader, entry, (*value).into()],
                )?;
                let count = tx.query_row(
                    "SELECT count(*) FROM metadata WHERE account = ?1 AND mailbox = ?2 AND reader = ?3",
                    &[account, mailbox, reader],
                    |row| row.i64(0),
                )?;
                if usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX) > MAX_METADATA_ENTRIES {
                    full = true;
                    return Err(db::Error::Constraint("too many metadata entries".into()));
                }
            }
            Ok(())
        });
        if full {
            return Err(Error::MetadataCount);
        }
        done?;
        self.event_scripts_forget();
        // Whoever was woken by the change waits for the lock that is held here.
        for (audience, entry, _) in entries {
            state.metadata.note(of, *audience, entry);
        }
        Ok(())
    }

    /// Remembers that an entry has changed which is not kept as such, but worked out.
    pub fn metadata_touch(&self, mailbox: MailboxId, audience: Audience, entry: &str) {
        self.lock().metadata.note(Some(mailbox), audience, entry);
        self.tell_of_change();
    }

    /// Gives one mailbox what is said about another: RENAME of INBOX (RFC 5464 §4.1).
    pub(crate) fn metadata_copy(&self, from: MailboxId, to: MailboxId) -> Result<()> {
        let mut state = self.lock();
        let account = self.id();
        self.change(&mut state, Durability::Deferred, |tx, _| {
            tx.execute(
                "INSERT INTO metadata (account, mailbox, reader, entry, value)
                 SELECT account, ?3, reader, entry, value FROM metadata WHERE account = ?1 AND mailbox = ?2",
                &[account.into(), from.into(), to.into()],
            )?;
            Ok(())
        })?;
        self.event_scripts_forget();
        Ok(())
    }
}
