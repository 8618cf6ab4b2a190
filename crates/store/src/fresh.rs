//! Messages whose bytes the blob store does not have on disk yet.
//!
//! An APPEND must wait for its bytes and for its rows (RFC 9051 §6.3.12: what was answered OK is there), which are in two files. Small messages
//! wait once: their bytes go into the account's log together with the rows, and into the blob store at the same time. Whichever is on the disk
//! first, a crash finds the bytes in one of them. When the blob store has them, the account's own may be written over.

use crate::account::{Account, State};
use crate::{AccountId, ContentId, Error, Result};
use blobs::{BlobId, Blobs, Commit};
use db::{Database, Durability, Transaction, Value};
use std::collections::BTreeMap;
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

/// What waits for the blob store, of one account: by the place where its bytes lie.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    places: BTreeMap<u32, Waiter>,
    /// Places whose bytes the blob store has as well, by their size.
    free: [Vec<u32>; SIZES],
}

#[derive(Clone, Debug)]
struct Waiter {
    id: ContentId,
    size: usize,
    /// `None`: the blob store could not take it. Once it has it, the place is free.
    commit: Option<Commit>,
    free: bool,
}

/// Octets that a row keeps on its page, and that a further page has room for: a place is so large that it fills its pages.
const ON_PAGE: usize = 480;
const FURTHER: usize = 4092;
/// The smallest has no further page.
const SIZES: usize = 1 + Fresh::LONGEST.div_ceil(FURTHER);

/// The size of place that takes so many octets: its further pages.
fn size_for(octets: usize) -> usize {
    octets.saturating_sub(ON_PAGE).div_ceil(FURTHER).min(SIZES - 1)
}

impl Waiting {
    /// What the last run left, on its way again.
    pub(crate) fn load(account: AccountId, database: &Database, blobs: &Blobs) -> Result<Waiting> {
        let rows = database.read(|tx| {
            tx.query_all(
                "SELECT place, id, size, bytes FROM content_fresh WHERE account = ?1 ORDER BY place",
                &[account.0.into()],
                |row| Ok((row.u32(0)?, ContentId(row.u32(1)?), unpadded(row.u64(2)?, row.blob(3)?))),
            )
        })?;
        let mut waiting = Waiting::default();
        for (place, id, bytes) in rows {
            // Where the blob store takes nothing just now, the account can be read all the same.
            let commit = blobs
                .put(&bytes)
                .inspect_err(|error| tracing::warn!(account = account.0, %error, "the bytes of a message stay in the account's file"));
            waiting.set(place, id, size_for(bytes.len()), commit.ok());
        }
        Ok(waiting)
    }

    fn set(&mut self, place: u32, id: ContentId, size: usize, commit: Option<Commit>) {
        let free = false;
        self.places.insert(place, Waiter { id, size, commit, free });
    }

    /// A place for each of these messages, of the size it needs: free ones, then new ones. They are given back where it comes to nothing.
    pub(crate) fn take(&mut self, messages: &[Fresh]) -> Vec<u32> {
        let mut taken = Vec::with_capacity(messages.len());
        let mut new = self.places.last_key_value().map_or(0, |(last, _)| last + 1);
        for message in messages {
            let size = size_for(message.bytes.len());
            if self.free.get(size).is_some_and(Vec::is_empty) {
                self.look();
            }
            taken.push(match self.free.get_mut(size).and_then(Vec::pop) {
                Some(place) => place,
                None => {
                    new += 1;
                    new - 1
                }
            });
        }
        taken
    }

    pub(crate) fn give_back(&mut self, taken: &[u32]) {
        for place in taken {
            if let Some(waiter) = self.places.get(place)
                && let Some(free) = self.free.get_mut(waiter.size)
            {
                free.push(*place);
            }
        }
    }

    /// Sees which places have become free.
    fn look(&mut self) {
        for (place, waiter) in &mut self.places {
            if !waiter.free && waiter.commit.as_ref().and_then(Commit::landed) == Some(true) {
                waiter.free = true;
                // What holds the blob is not needed any more.
                waiter.commit = None;
                if let Some(free) = self.free.get_mut(waiter.size) {
                    free.push(*place);
                }
            }
        }
    }

    /// These bytes are in that place now.
    pub(crate) fn add(&mut self, place: u32, id: ContentId, fresh: Fresh) {
        self.set(place, id, size_for(fresh.bytes.len()), Some(fresh.commit));
    }
}

fn unpadded(size: u64, bytes: &[u8]) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    bytes.get(..size).unwrap_or(bytes).to_vec()
}

/// Puts the bytes of a message beside its rows.
pub(crate) fn keep_in(
    tx: &Transaction<'_>,
    account: AccountId,
    place: u32,
    id: ContentId,
    bytes: &[u8],
) -> db::Result<()> {
    let mut padded = Vec::with_capacity(ON_PAGE + SIZES * FURTHER);
    padded.extend_from_slice(bytes);
    padded.resize(bytes.len().max(ON_PAGE + size_for(bytes.len()) * FURTHER), 0);
    tx.execute(
        "INSERT INTO content_fresh (account, place, id, size, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (account, place) DO UPDATE SET id = excluded.id, size = excluded.size, bytes = excluded.bytes",
        &[
            account.0.into(),
            place.into(),
            id.into(),
            Value::Integer(bytes.len() as i64),
            (&padded).into(),
        ],
    )?;
    Ok(())
}

/// Places that are given up in one transaction.
const PLACES_AT_ONCE: usize = 256;

impl Account {
    /// Waits until the blob store has what was appended, and takes the account's own copy away. What the blob store could not write (its disk
    /// was full) it gets again.
    pub fn fresh_settle(&self) -> Result<()> {
        let waiting = self.lock().fresh.places.clone();
        if waiting.is_empty() {
            return Ok(());
        }
        for (place, waiter) in waiting {
            if waiter.free || waiter.commit.is_some_and(|commit| commit.wait().is_ok()) {
                continue;
            }
            if let Some(bytes) = self.fresh_bytes(waiter.id)? {
                let again = self.blobs().put(&bytes)?;
                again.wait()?;
                let mut state = self.lock();
                // Somebody else may have done the same meanwhile, and the place be another message's.
                let places = &mut state.fresh.places;
                if let Some(now) = places.get_mut(&place).filter(|now| now.id == waiter.id && !now.free) {
                    now.commit = Some(again);
                }
            }
        }
        let mut state = self.lock();
        state.fresh.look();
        let free: Vec<u32> = state.fresh.free.iter().flatten().copied().collect();
        for some in free.chunks(PLACES_AT_ONCE) {
            self.fresh_drop(&mut state, some)?;
        }
        Ok(())
    }

    fn fresh_drop(&self, state: &mut State, places: &[u32]) -> Result<()> {
        let account = self.id();
        self.database().write(Durability::Deferred, |tx| {
            for place in places {
                tx.execute(
                    "DELETE FROM content_fresh WHERE account = ?1 AND place = ?2",
                    &[account.0.into(), (*place).into()],
                )?;
            }
            Ok(())
        })?;
        for place in places {
            state.fresh.places.remove(place);
        }
        state
            .fresh
            .free
            .iter_mut()
            .for_each(|free| free.retain(|place| !places.contains(place)));
        Ok(())
    }

    fn fresh_bytes(&self, id: ContentId) -> Result<Option<Vec<u8>>> {
        let account = self.id();
        Ok(self.database().read(|tx| {
            tx.query_row(
                "SELECT size, bytes FROM content_fresh WHERE account = ?1 AND id = ?2",
                &[account.0.into(), id.into()],
                |row| Ok(unpadded(row.u64(0)?, row.blob(1)?)),
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
