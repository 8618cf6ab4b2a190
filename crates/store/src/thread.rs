//! Conversations (THREADID, RFC 8474 §5.2): messages whose headers name each other's Message-ID.
//!
//! They are worked out when somebody asks, in the order in which messages came, for all that came since the last time. A message that was
//! given a conversation keeps it: two that turn out to be one stay two, as the standard wants it.

use crate::account::Account;
use crate::{ContentId, Result};
use db::Durability;
use std::collections::BTreeMap;

/// Messages that are worked on in one transaction.
const BATCH: usize = 256;
/// Octets of a header that are looked at.
const HEADER: u64 = 32 * 1024;
/// Message-IDs of one message: the last ones are the nearest.
const REFERENCES: usize = 64;

impl Account {
    /// The conversations of messages, in their order; `None` for a message that is gone.
    pub fn threads(&self, ids: &[ContentId]) -> Result<Vec<Option<ContentId>>> {
        self.threads_catch_up()?;
        Ok(self.database().read(|tx| {
            ids.iter()
                .map(|id| {
                    let row = tx.query_row(
                        "SELECT thread FROM content WHERE account = ?1 AND id = ?2",
                        &[self.id().0.into(), (*id).into()],
                        |row| row.opt_i64(0),
                    )?;
                    Ok(row
                        .flatten()
                        .and_then(|thread| u32::try_from(thread).ok())
                        .map(ContentId))
                })
                .collect::<db::Result<Vec<_>>>()
        })?)
    }

    /// The messages of a conversation, ascending.
    pub fn thread_contents(&self, thread: ContentId) -> Result<Vec<ContentId>> {
        self.threads_catch_up()?;
        Ok(self.database().read(|tx| {
            tx.query_all(
                "SELECT id FROM content WHERE account = ?1 AND thread = ?2 ORDER BY id",
                &[self.id().0.into(), thread.into()],
                |row| Ok(ContentId(row.u32(0)?)),
            )
        })?)
    }

    fn threads_catch_up(&self) -> Result<()> {
        let account = self.id().0;
        loop {
            let open: Vec<ContentId> = self.database().read(|tx| {
                tx.query_all(
                    "SELECT id FROM content WHERE account = ?1 AND thread IS NULL ORDER BY id LIMIT ?2",
                    &[account.into(), (BATCH as i64).into()],
                    |row| Ok(ContentId(row.u32(0)?)),
                )
            })?;
            if open.is_empty() {
                return Ok(());
            }
            let mut names: BTreeMap<ContentId, Vec<i64>> = BTreeMap::new();
            for (id, content) in open.iter().zip(self.contents(&open)) {
                // One that cannot be read is a conversation of its own.
                let header = content.and_then(|content| self.content_range(&content, 0..HEADER));
                names.insert(*id, header.map(|header| message_ids(&header)).unwrap_or_default());
            }
            let mut state = self.lock();
            self.change(&mut state, Durability::Deferred, |tx, _| {
                for (id, hashes) in &names {
                    let mut thread = None;
                    for hash in hashes {
                        thread = tx.query_row(
                            "SELECT thread FROM thread_reference WHERE account = ?1 AND hash = ?2",
                            &[account.into(), (*hash).into()],
                            |row| row.i64(0),
                        )?;
                        if thread.is_some() {
                            break;
                        }
                    }
                    let thread = thread.unwrap_or(i64::from(id.0));
                    for hash in hashes {
                        tx.execute(
                            "INSERT INTO thread_reference (account, hash, thread) VALUES (?1, ?2, ?3) ON CONFLICT (account, hash) DO NOTHING",
                            &[account.into(), (*hash).into(), thread.into()],
                        )?;
                    }
                    tx.execute(
                        "UPDATE content SET thread = ?3 WHERE account = ?1 AND id = ?2 AND thread IS NULL",
                        &[account.into(), (*id).into(), thread.into()],
                    )?;
                }
                Ok(())
            })?;
        }
    }
}

/// The Message-IDs that a header names, hashed: its own, then those it answers, the nearest first.
fn message_ids(header: &[u8]) -> Vec<i64> {
    let mut hashes = Vec::new();
    for name in ["Message-ID", "In-Reply-To", "References"] {
        let Some(value) = mime::header_field(header, name) else {
            continue;
        };
        for id in value
            .split(|b| *b == b'<')
            .skip(1)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            let Some(end) = id.iter().position(|b| *b == b'>') else {
                continue;
            };
            let id: Vec<u8> = id
                .iter()
                .take(end)
                .copied()
                .filter(|b| !b.is_ascii_whitespace())
                .collect();
            if id.is_empty() {
                continue;
            }
            let digest = blake3::hash(&id);
            let hash = i64::from_be_bytes(*digest.as_bytes().first_chunk().unwrap_or(&[0; 8]));
            if !hashes.contains(&hash) && hashes.len() < REFERENCES {
                hashes.push(hash);
            }
        }
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_header() {
        let own = message_ids(b"Message-ID: <a@x>\r\n\r\n");
        assert_eq!(own.len(), 1);
        let reply =
            message_ids(b"References: <c@x>\r\n <a@x>\r\nMessage-ID: <b@x>\r\nIn-Reply-To: <a@x> (yours)\r\n\r\n");
        assert_eq!(reply.len(), 3);
        assert_eq!(reply.get(1), own.first());
        assert_eq!(
            message_ids(b"Message-ID: none\r\nReferences: <> <open\r\n\r\n"),
            Vec::<i64>::new()
        );
    }
}
