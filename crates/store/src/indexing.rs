//! The search index of an account: kept up with what arrives, and asked.
//!
//! It lies beside the account's file and knows nothing that is not in the messages. It is brought forward after delivery, in steps;
//! whoever searches first brings it forward to what they see. So an answer is complete however far behind the index was: also when it
//! was deleted, or when a crash came between a message and its entry.

use crate::account::Account;
use crate::{Content, ContentId, Result};
use mime::Structure;
use parking_lot::Mutex;
use search::{Attachments, Columns, Doc, Entry, Found, Group, Hit, Index, Keys, Leaf, Limits};
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

/// How accounts are searched.
#[derive(Clone)]
pub struct SearchOptions {
    /// Bounds on what is indexed.
    pub limits: Limits,
    /// What looks into attachments.
    pub attachments: Arc<dyn Attachments + Send + Sync>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        SearchOptions {
            limits: Limits::default(),
            attachments: Arc::new(search::NoAttachments),
        }
    }
}

impl std::fmt::Debug for SearchOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchOptions")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Accounts whose index has fallen behind, each once, in the order in which they did.
#[derive(Default)]
pub struct IndexDue {
    queue: Mutex<(VecDeque<crate::AccountId>, HashSet<crate::AccountId>)>,
    notify: Notify,
}

impl IndexDue {
    /// An account has fallen behind.
    pub fn note(&self, account: crate::AccountId) {
        let mut queue = self.queue.lock();
        let (order, known) = &mut *queue;
        if known.insert(account) {
            order.push_back(account);
            self.notify.notify_one();
        }
    }

    /// The next account; waits for one.
    pub async fn next(&self) -> crate::AccountId {
        loop {
            {
                let mut queue = self.queue.lock();
                let (order, known) = &mut *queue;
                if let Some(account) = order.pop_front() {
                    known.remove(&account);
                    return account;
                }
            }
            self.notify.notified().await;
        }
    }
}

/// The account's index, opened when it is first needed.
pub(crate) struct Indexing {
    options: SearchOptions,
    pub(crate) due: Arc<IndexDue>,
    index: Mutex<Option<Arc<Index>>>,
    /// Held by who brings the index forward: two would do the same work.
    stepping: Mutex<()>,
    /// Searches of the account that run at once.
    turns: Arc<Semaphore>,
}

/// A second one for the person who sits at another machine; more would take the processor from other people.
const TURNS: usize = 2;

impl Indexing {
    pub(crate) fn new(options: SearchOptions, due: Arc<IndexDue>) -> Indexing {
        Indexing {
            options,
            due,
            index: Mutex::new(None),
            stepping: Mutex::new(()),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }
}

/// Messages that one step reads, and octets of their text: what is held in memory.
const STEP: usize = 128;
const STEP_OCTETS: usize = 8 << 20;

/// How far a step brought the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexStep {
    /// Messages that were added.
    pub added: usize,
    /// Nothing is left to be added.
    pub done: bool,
}

/// The index of an account file.
pub(crate) fn path_of(account: &Path) -> PathBuf {
    account.with_extension("search")
}

impl Account {
    /// The index, opened if need be.
    fn index(&self) -> Result<Arc<Index>> {
        let mut slot = self.indexing().index.lock();
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let limits = self.indexing().options.limits.clone();
        let index = Index::open(&path_of(self.database().path()), self.id(), limits)?;
        // An account that was put back to an earlier state gives ids again that the index knows from before.
        let given = self.lock().rows.counters.next_content;
        let foreign = index.next() > given
            || index.newest().into_iter().any(|(id, mark)| {
                self.content(ContentId(id))
                    .is_ok_and(|content| mark_of(&content) != mark)
            });
        if foreign {
            tracing::warn!(
                account = self.id().0,
                "the search index is not of this state of the account: made anew"
            );
            index.clear()?;
        }
        let index = Arc::new(index);
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Where searches of the account take turns.
    pub fn search_turns(&self) -> Arc<Semaphore> {
        Arc::clone(&self.indexing().turns)
    }

    /// Throws the index away. It is made again by and by, or by the next search.
    pub fn index_reset(&self) -> Result<()> {
        let mut slot = self.indexing().index.lock();
        match slot.take() {
            // Somebody may be reading in it: it is emptied, not deleted.
            Some(index) if Arc::strong_count(&index) > 1 && index.clear().is_ok() => *slot = Some(index),
            index => {
                drop(index);
                Index::remove(&path_of(self.database().path()))?;
            }
        }
        self.indexing().due.note(self.id());
        Ok(())
    }

    /// Messages whose ids are not in the index yet, at most.
    pub fn index_behind(&self) -> Result<u32> {
        let next = self.index()?.next();
        Ok(self.lock().rows.counters.next_content.saturating_sub(next))
    }

    /// Messages in the index, and octets of its file.
    pub fn index_size(&self) -> Result<(u64, u64)> {
        let index = self.index()?;
        let octets = std::fs::metadata(index.path()).map_or(0, |file| file.len());
        Ok((index.statistics().messages, octets))
    }

    /// Brings the index forward by some messages.
    pub fn index_step(&self) -> Result<IndexStep> {
        let _mine = self.indexing().stepping.lock();
        let step = self.index_step_in();
        if let Err(crate::Error::Search(error)) = &step
            && error.is_damage()
        {
            tracing::warn!(account = self.id().0, %error, "the search index is made anew");
            self.index_reset()?;
            return self.index_step_in();
        }
        step
    }

    fn index_step_in(&self) -> Result<IndexStep> {
        let index = self.index()?;
        let given = self.lock().rows.counters.next_content;
        if index.next() >= given {
            return Ok(IndexStep { added: 0, done: true });
        }
        // What a power cut could take back from the account must not stay in the index: its id will be given again.
        self.sync()?;
        let ids = self.database().read(|tx| {
            tx.query_all(
                "SELECT id FROM content WHERE account = ?1 AND id >= ?2 AND id < ?3 ORDER BY id LIMIT ?4",
                &[
                    self.id().0.into(),
                    index.next().into(),
                    given.into(),
                    db::Value::Integer(STEP as i64),
                ],
                |row| Ok(ContentId(row.u32(0)?)),
            )
        })?;
        let mut entries = Vec::with_capacity(ids.len());
        let mut octets = 0;
        let mut next = given;
        for (id, content) in ids.iter().zip(self.contents(&ids)) {
            if octets >= STEP_OCTETS {
                next = id.0;
                break;
            }
            let (mark, doc) = match content {
                Ok(content) => {
                    // What cannot be read now may be readable another time: it stays unsure.
                    let doc = self.content_doc(&content).unwrap_or_else(|error| {
                        tracing::warn!(account = self.id().0, content = id.0, %error, "not indexed");
                        Doc {
                            cut: true,
                            ..Doc::default()
                        }
                    });
                    (mark_of(&content), doc)
                }
                Err(crate::Error::NoContent(_)) => continue,
                Err(error) => return Err(error),
            };
            octets += doc.head.len() + doc.body.len();
            entries.push(Entry {
                content: id.0,
                mark,
                doc,
            });
        }
        if next == given && ids.len() == STEP {
            next = ids.last().map_or(given, |id| id.0 + 1);
        }
        let added = entries.len();
        index.add(entries, next)?;
        Ok(IndexStep {
            added,
            done: next >= given,
        })
    }

    /// Takes what was expunged out of the index, where it is worth it; gives how many messages.
    pub fn index_forget(&self) -> Result<u64> {
        let index = self.index()?;
        let mut alive = HashSet::new();
        self.database().read(|tx| {
            tx.query(
                "SELECT id FROM content WHERE account = ?1",
                &[self.id().0.into()],
                |row| {
                    alive.insert(row.u32(0)?);
                    Ok(())
                },
            )
        })?;
        index.trim();
        // What came since is not in the index, or its id is above all that was read.
        let upto = alive.iter().max().copied().unwrap_or(0);
        Ok(index.forget(|id| id > upto || alive.contains(&id))?)
    }

    /// Says of contents, ascending, whether they are what is looked for. Without a working index all are unsure.
    pub fn index_find(&self, ids: &[u32], leaf: &Leaf, stop: &dyn Fn() -> bool) -> Result<Found> {
        let found = self.index().and_then(|index| Ok(index.find(ids, leaf, stop)?));
        match found {
            Err(crate::Error::Search(search::Error::Stopped)) => Err(crate::Error::Search(search::Error::Stopped)),
            Err(error) => {
                self.index_trouble(&error);
                Ok(Found {
                    hits: vec![Hit::Unsure; ids.len()],
                    scores: Vec::new(),
                })
            }
            found => found,
        }
    }

    /// Columns of the index; `None` if it does not work.
    pub fn index_columns(&self, group: Group) -> Option<Columns> {
        match self.index().and_then(|index| Ok(index.columns(group)?)) {
            Ok(columns) => Some(columns),
            Err(error) => {
                self.index_trouble(&error);
                None
            }
        }
    }

    fn index_trouble(&self, error: &crate::Error) {
        tracing::warn!(account = self.id().0, %error, "searched without an index");
        if let crate::Error::Search(error) = error
            && error.is_damage()
            && let Err(error) = self.index_reset()
        {
            tracing::warn!(account = self.id().0, %error, "the damaged search index could not be removed");
        }
    }

    /// What a search sees of a message, as far as the index keeps it.
    pub fn content_doc(&self, content: &Content) -> Result<Doc> {
        self.doc_within(content, &self.indexing().options.limits)
    }

    /// The same with all its text.
    pub fn content_doc_whole(&self, content: &Content) -> Result<Doc> {
        let limits = Limits {
            text: usize::MAX,
            ..self.indexing().options.limits.clone()
        };
        self.doc_within(content, &limits)
    }

    /// What a message is sorted and threaded by.
    pub fn content_keys(&self, content: &Content) -> Result<Keys> {
        let structure = self.structure(content)?;
        let range = structure.root().header_range();
        let limit = self.indexing().options.limits.header;
        Ok(Keys::of(
            &self.content_range(content, range.start..range.end.min(limit))?,
        ))
    }

    fn doc_within(&self, content: &Content, limits: &Limits) -> Result<Doc> {
        let structure = self.structure(content)?;
        let attachments = &*self.indexing().options.attachments;
        // Most messages are small: read at once.
        let whole = match content.len() {
            0..=ONE_READ => Some(self.content_range(content, 0..content.len())?),
            _ => None,
        };
        Doc::read(&structure, limits, attachments, |range| match &whole {
            Some(whole) => {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
                Ok(whole.get(at(range.start)..at(range.end)).unwrap_or_default().to_vec())
            }
            None => self.content_range(content, range),
        })
    }

    /// The structure of a message as it is served. One that cannot be read any more is made anew.
    fn structure(&self, content: &Content) -> Result<Structure> {
        if let Ok(structure) = Structure::decode(&content.digest.structure) {
            return Ok(structure.shifted(content.prefix.len() as u64));
        }
        let mut scanner = mime::Scanner::new(mime::Limits::default());
        let mut at = 0;
        while at < content.len() {
            let piece = self.content_range(content, at..at + ONE_READ)?;
            if piece.is_empty() {
                return Err(crate::Error::Blobs(blobs::Error::NotFound(content.blob)));
            }
            at += piece.len() as u64;
            scanner.push(&piece);
        }
        Ok(scanner.finish())
    }
}

/// Octets that are read at once.
const ONE_READ: u64 = 256 << 10;

/// Tells a content from another one of the same id.
fn mark_of(content: &Content) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *content.blob.as_bytes();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}
