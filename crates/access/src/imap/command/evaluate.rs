//! Finding the messages that a query means.
//!
//! Sets of messages go through the query from what is cheap to what is dear: the view in memory decides most, the index of the account
//! the rest. Before the index is asked it is brought forward to everything the session can see. A message of which the index
//! cannot say whether it is meant (its text was too long to be kept whole, or there is no index) is read.
//!
//! All of this runs on a thread that may block, holds no lock of the account while it runs, and ends when nobody waits for it any more.

use super::query::Query;
use ::search::{Found, Group, Hit, Keys, Leaf};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Account, ContentId, Error, Message, Result, Snapshot, Uid};

/// A message with its position in what the client knows.
pub(super) type Item = (u32, Message);

/// What is searched, and what came of it so far.
pub(super) struct Evaluation {
    account: Arc<Account>,
    recent_from: Uid,
    items: Vec<Item>,
    /// How well each item fits what FUZZY keys look for.
    scores: Vec<f32>,
    /// The first message that could not be read, and why.
    trouble: Option<(Uid, Error)>,
    stop: Arc<AtomicBool>,
}

/// What was found, in the order of the mailbox.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) found: Vec<Item>,
    /// For each its relevance, 1 to 100. Empty where nothing fuzzy was looked for.
    pub(super) relevancy: Vec<u8>,
    pub(super) trouble: Option<(Uid, Error)>,
}

/// The messages the client knows, as they are now: one that is gone cannot be looked into, and nobody misses it.
pub(super) fn current(told: &Arc<Snapshot>, newest: &Arc<Snapshot>) -> Vec<Item> {
    let numbered = told.iter().zip(0u32..);
    if Arc::ptr_eq(told, newest) {
        return numbered.map(|(message, position)| (position, *message)).collect();
    }
    let mut seeker = newest.seek();
    numbered
        .filter_map(|(known, position)| {
            let (_, message) = seeker.uid(known.uid)?;
            Some((position, *message))
        })
        .collect()
}

impl Evaluation {
    pub(super) fn new(account: Arc<Account>, items: Vec<Item>, recent_from: Uid, stop: Arc<AtomicBool>) -> Evaluation {
        Evaluation {
            account,
            recent_from,
            scores: Vec::new(),
            items,
            trouble: None,
            stop,
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Finds what `query` means. An error only when it was given up.
    pub(super) fn run(mut self, query: &Query) -> Result<Outcome> {
        if query.needs_index() {
            self.catch_up()?;
        }
        let all: Vec<usize> = (0..self.items.len()).collect();
        let hits = self.among(query, all)?;
        let mut outcome = Outcome {
            found: hits.iter().filter_map(|at| self.items.get(*at).copied()).collect(),
            relevancy: Vec::new(),
            trouble: self.trouble,
        };
        if !self.scores.is_empty() {
            let score = |at: &usize| self.scores.get(*at).copied().unwrap_or(0.0);
            let best = hits.iter().map(score).fold(0.0f32, f32::max);
            let scaled = |score: f32| {
                if best > 0.0 {
                    (score / best * 100.0).round()
                } else {
                    100.0
                }
            };
            // The cast saturates, and 0 would say that it does not fit at all.
            outcome.relevancy = hits.iter().map(|at| (scaled(score(at)) as u8).clamp(1, 100)).collect();
        }
        Ok(outcome)
    }

    /// Brings the index forward to all that the session sees.
    fn catch_up(&self) -> Result<()> {
        loop {
            if self.stopped() {
                return Err(Error::Search(::search::Error::Stopped));
            }
            match self.account.index_step() {
                Ok(step) if step.done => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    // The messages themselves are still there.
                    tracing::warn!(account = self.account.id().0, %error, "the search index stays behind");
                    return Ok(());
                }
            }
        }
    }

    /// Those of `among` (ascending) that the query means.
    fn among(&mut self, query: &Query, among: Vec<usize>) -> Result<Vec<usize>> {
        let mut hits = Vec::new();
        let mut open = Vec::new();
        for at in among {
            let Some((position, message)) = self.items.get(at) else {
                continue;
            };
            match query.quick(message, *position, self.recent_from) {
                Some(true) => hits.push(at),
                Some(false) => {}
                None => open.push(at),
            }
        }
        if open.is_empty() {
            return Ok(hits);
        }
        let more = match query {
            Query::And(all) => {
                for query in all {
                    open = self.among(query, open)?;
                }
                open
            }
            Query::Or(both) => {
                let first = self.among(&both.0, open.clone())?;
                let rest = if self.scores.is_empty() {
                    without(open, &first)
                } else {
                    open
                };
                let second = self.among(&both.1, rest)?;
                joined(&first, &second)
            }
            Query::Not(query) => {
                let inner = self.among(query, open.clone())?;
                without(open, &inner)
            }
            Query::Leaf(leaf) => self.leaf(leaf, &open)?,
            _ => Vec::new(),
        };
        Ok(if hits.is_empty() { more } else { joined(&hits, &more) })
    }

    fn leaf(&mut self, leaf: &Leaf, among: &[usize]) -> Result<Vec<usize>> {
        let content = |at: &usize| self.items.get(*at).map_or(0, |(_, message)| message.content.0);
        // Copies share what they say.
        let mut ids: Vec<u32> = among.iter().map(content).collect();
        if !ids.is_sorted() {
            ids.sort_unstable();
        }
        ids.dedup();
        let stop = Arc::clone(&self.stop);
        let Found { mut hits, mut scores } = self.account.index_find(&ids, leaf, &|| stop.load(Ordering::Relaxed))?;
        for (at, id) in ids.iter().enumerate() {
            if hits.get(at) != Some(&Hit::Unsure) {
                continue;
            }
            if self.stopped() {
                return Err(Error::Search(::search::Error::Stopped));
            }
            let hit = match self.look(*id, leaf) {
                Ok(true) => Hit::Yes,
                Ok(false) => Hit::No,
                Err(error) => {
                    self.note(*id, error);
                    Hit::No
                }
            };
            if let Some(slot) = hits.get_mut(at) {
                *slot = hit;
            }
            if let Some(score) = scores.get_mut(at) {
                *score = f32::from(u8::from(hit == Hit::Yes));
            }
        }
        if matches!(leaf, Leaf::Fuzzy(..)) && self.scores.is_empty() {
            self.scores = vec![0.0; self.items.len()];
        }
        let mut found = Vec::new();
        for at in among {
            let id = self.items.get(*at).map_or(0, |(_, message)| message.content.0);
            let Ok(place) = ids.binary_search(&id) else { continue };
            if hits.get(place) == Some(&Hit::Yes) {
                found.push(*at);
                if let (Some(sum), Some(score)) = (self.scores.get_mut(*at), scores.get(place)) {
                    *sum += score;
                }
            }
        }
        Ok(found)
    }

    /// Looks into the message itself.
    fn look(&self, id: u32, leaf: &Leaf) -> Result<bool> {
        let content = self.account.content(ContentId(id))?;
        let doc = self.account.content_doc(&content)?;
        if doc.matches(leaf) || !doc.cut {
            return Ok(doc.matches(leaf));
        }
        Ok(self.account.content_doc_whole(&content)?.matches(leaf))
    }

    fn note(&mut self, id: u32, error: Error) {
        if !matches!(error, Error::NoContent(_)) && self.trouble.is_none() {
            let item = self.items.iter().find(|(_, message)| message.content.0 == id);
            self.trouble = Some((item.map_or(Uid(0), |(_, message)| message.uid), error));
        }
    }
}

/// Two ascending lists as one.
fn joined(a: &[usize], b: &[usize]) -> Vec<usize> {
    let mut all = [a, b].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// What is in the first ascending list and not in the second.
fn without(mut all: Vec<usize>, gone: &[usize]) -> Vec<usize> {
    let mut gone = gone.iter().peekable();
    all.retain(|at| {
        while gone.next_if(|gone| *gone < at).is_some() {}
        gone.next_if(|gone| *gone == at).is_none()
    });
    all
}

/// Keys of messages that the index does not have, read from the messages.
pub(super) fn missing_keys(
    account: &Account,
    items: &[Item],
    groups: &[Option<::search::Columns>],
) -> HashMap<u32, Keys> {
    let mut missing = HashMap::new();
    let mut hints = vec![(0, 0); groups.len()];
    for (_, message) in items {
        let id = message.content.0;
        let known = groups.iter().zip(&mut hints).all(|(columns, hint)| {
            let columns = columns.as_ref();
            columns.is_some_and(|columns| columns.row_near(id, hint).is_some())
        });
        if !known && !missing.contains_key(&id) {
            // What cannot be read sorts as if it said nothing.
            let keys = account
                .content(message.content)
                .and_then(|content| account.content_keys(&content));
            missing.insert(id, keys.unwrap_or_default());
        }
    }
    missing
}

/// The columns, once the index is as far as it can be.
pub(super) fn columns(account: &Account, group: Group, stop: &AtomicBool) -> Option<::search::Columns> {
    loop {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        match account.index_step() {
            Ok(step) if !step.done => {}
            _ => return account.index_columns(group),
        }
    }
}
