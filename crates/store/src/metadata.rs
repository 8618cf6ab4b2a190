//! What is said about mailboxes, and about the server. RFC 5464.

use crate::account::Account;
use crate::sharing::NO_MAILBOX;
use crate::{AccountId, Error, MailboxId, Result};
use db::Durability;

/// Octets of one value. The RFC asks for 1,024 at least (§4.1); 64 KiB hold a picture of a person.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Entries that everybody sees, and entries of each reader's own, on one mailbox. The RFC asks for 10 at least.
pub const MAX_METADATA_ENTRIES: usize = 100;

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

impl Account {
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
        if full { Err(Error::MetadataCount) } else { done }
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
        })
    }
}
