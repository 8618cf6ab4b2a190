//! What is known of single messages beside the view: when they came into their mailboxes (SAVEDATE, RFC 8514), what they say.

use crate::account::Account;
use crate::{ContentId, MailboxId, Result, Uid};
use std::ops::Range;

impl Account {
    /// What the message of a UID says; `None` if it is not there.
    pub fn message_content(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<ContentId>> {
        Ok(self.database().read(|tx| {
            tx.query_row(
                "SELECT content FROM message WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
                &[self.id().0.into(), mailbox.into(), uid.into()],
                |row| Ok(ContentId(row.u32(0)?)),
            )
        })?)
    }

    /// When messages came into their mailbox, in their order, in seconds since 1970. `None`: not known, or the message is gone.
    pub fn message_saved(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Option<i64>>> {
        Ok(self.database().read(|tx| {
            uids.iter()
                .map(|uid| {
                    let row = tx.query_row(
                        "SELECT saved FROM message WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
                        &[self.id().0.into(), mailbox.into(), (*uid).into()],
                        |row| row.opt_i64(0),
                    )?;
                    Ok(row.flatten())
                })
                .collect::<db::Result<Vec<_>>>()
        })?)
    }

    /// The messages that came into a mailbox within a range of times, ascending. One of which it is not known counts by its internal date.
    pub fn message_saved_within(&self, mailbox: MailboxId, times: &Range<i64>) -> Result<Vec<Uid>> {
        Ok(self.database().read(|tx| {
            tx.query_all(
                "SELECT uid FROM message WHERE account = ?1 AND mailbox = ?2
                    AND COALESCE(saved, received) >= ?3 AND COALESCE(saved, received) < ?4 ORDER BY uid",
                &[self.id().0.into(), mailbox.into(), times.start.into(), times.end.into()],
                |row| Ok(Uid(row.u32(0)?)),
            )
        })?)
    }
}
