//! Messages whose bytes the blob store does not have on disk yet.
//!
//! An APPEND must wait for its bytes and for its rows (RFC 9051 §6.3.12: what was answered OK is there), which are in two files. Small messages
//! wait once: their bytes go into the account's log together with the rows, and into the blob store at the same time. Whichever is on the disk
//! first, a crash finds the bytes in one of them. When the blob store has them, the account's own are taken away, without anybody waiting.

use crate::account::{Account, State};
use crate::{AccountId, ContentId, Error, Result};
use blobs::{BlobId, Blobs, Commit};
use db::{Database, Durability, Transaction};
use std::ops::Range;

/// A small message on its way into the blob store, with its bytes.
#[derive(Debug)]
pub struct Fresh {
    /// Its way.
    pub commit: Commit,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Fresh {
    /// The longest message that is worth writing twice.
    pub const LONGEST: usize = 16 << 10;
}

/// What waits for the blob store, of one account. Without a commit: the blob store could not take it.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<(ContentId, Option<Commit>)>);

impl Waiting {
    /// What the last run left, on its way again.
    pub(crate) fn load(account: AccountId, database: &Database, blobs: &Blobs) -> Result<Waiting> {
        let rows = database.read(|tx| {
            tx.query_all(
                "SELECT id, bytes FROM content_fresh WHERE account = ?1 ORDER BY id",
                &[account.0.into()],
                |row| Ok((ContentId(row.u32(0)?), row.blob(1)?.to_vec())),
            )
        })?;
        let mut waiting = Vec::with_capacity(rows.len());
        for (id, bytes) in rows {
            // Where the blob store takes nothing just now, the account can be read all the same.
            let commit = blobs
                .put(&bytes)
                .inspect_err(|error| tracing::warn!(account = account.0, %error, "the bytes of a message stay in the account's file"));
            waiting.push((id, commit.ok()));
        }
        Ok(Waiting(waiting))
    }

    /// Those of which it is known by now that the blob store has them.
    pub(crate) fn landed(&self) -> Vec<ContentId> {
        let landed = |commit: &Option<Commit>| commit.as_ref().and_then(Commit::landed) == Some(true);
        let landed = self.0.iter().filter(|(_, commit)| landed(commit));
        landed.map(|(id, _)| *id).collect()
    }

    pub(crate) fn forget(&mut self, ids: &[ContentId]) {
        self.0.retain(|(id, _)| !ids.contains(id));
    }

    pub(crate) fn add(&mut self, id: ContentId, commit: Commit) {
        self.0.push((id, Some(commit)));
    }
}

/// Puts the bytes of a message beside its rows.
pub(crate) fn keep_in(tx: &Transaction<'_>, account: AccountId, id: ContentId, bytes: &[u8]) -> db::Result<()> {
    tx.execute(
        "INSERT INTO content_fresh (account, id, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (account, id) DO UPDATE SET bytes = excluded.bytes",
        &[account.0.into(), id.into(), bytes.into()],
    )?;
    Ok(())
}

/// Takes bytes away that are elsewhere by now.
pub(crate) fn drop_in(tx: &Transaction<'_>, account: AccountId, ids: &[ContentId]) -> db::Result<()> {
    for id in ids {
        tx.execute(
            "DELETE FROM content_fresh WHERE account = ?1 AND id = ?2",
            &[account.0.into(), (*id).into()],
        )?;
    }
    Ok(())
}

impl Account {
    /// Waits until the blob store has what was appended, and takes the account's own copy away. What the blob store could not write (its disk
    /// was full) it gets again.
    pub fn fresh_settle(&self) -> Result<()> {
        let waiting = self.lock().fresh.0.clone();
        if waiting.is_empty() {
            return Ok(());
        }
        for (id, commit) in waiting {
            if commit.is_some_and(|commit| commit.wait().is_ok()) {
                continue;
            }
            if let Some(bytes) = self.fresh_bytes(id)? {
                let again = self.blobs().put(&bytes)?;
                again.wait()?;
                let mut state = self.lock();
                state.fresh.forget(&[id]);
                state.fresh.add(id, again);
            }
        }
        let mut state = self.lock();
        let landed = state.fresh.landed();
        self.fresh_drop(&mut state, &landed)
    }

    fn fresh_drop(&self, state: &mut State, ids: &[ContentId]) -> Result<()> {
        let account = self.id();
        self.database()
            .write(Durability::Deferred, |tx| drop_in(tx, account, ids))?;
        state.fresh.forget(ids);
        Ok(())
    }

    fn fresh_bytes(&self, id: ContentId) -> Result<Option<Vec<u8>>> {
        let account = self.id();
        Ok(self.database().read(|tx| {
            tx.query_row(
                "SELECT bytes FROM content_fresh WHERE account = ?1 AND id = ?2",
                &[account.0.into(), id.into()],
                |row| Ok(row.blob(0)?.to_vec()),
            )
        })?)
    }

    /// A part of a message that the blob store says it does not have.
    pub(crate) fn fresh_range(&self, blob: BlobId, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let missing = || Error::Blobs(blobs::Error::NotFound(blob));
        let account = self.id();
        let id = self.database().read(|tx| {
            tx.query_row(
                "SELECT f.id FROM content_fresh f JOIN content c ON c.account = ?1 AND c.id = f.id
                 WHERE f.account = ?1 AND c.blob = ?2 LIMIT 1",
                &[account.0.into(), blob.as_bytes().into()],
                |row| Ok(ContentId(row.u32(0)?)),
            )
        })?;
        let bytes = match id {
            Some(id) => self.fresh_bytes(id)?.ok_or_else(missing)?,
            None => return Err(missing()),
        };
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = bounds.and_then(|(start, end)| bytes.get(start..end.min(bytes.len())));
        out.extend_from_slice(part.ok_or_else(missing)?);
        Ok(())
    }
}
