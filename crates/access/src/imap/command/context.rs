//! Keeping the results of SEARCH and SORT up to date: `RETURN (UPDATE)` and CANCELUPDATE. RFC 5267 §4.3, RFC 5465 §7.
//!
//! What a message's change means for a result is found by putting that message alone to the search. Where a result hangs on more than its
//! messages (on the time, or on which UID is the last), all are put to it again.

use super::evaluate::{Evaluation, Item};
use super::query::{Query, Setting};
use super::sort::Sorter;
use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use crate::imap::contexts::{Change, Context, Listed, Ready};
use crate::imap::now;
use imap::command::{Fetch, FetchItem, SearchKey, SortCriterion, SortKey};
use imap::response::{Code, EsearchUpdate, Status};
use imap::{Bound, NumberSet, SequenceSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use store::{Account, Diff, Error, Snapshot, Uid};
use tokio::time::Instant;

/// Messages that are put into their places of a sorted result one by one; of more than this all are sorted again.
const FEW: usize = 64;

/// One context, ready to be looked at.
struct Work {
    query: Query,
    /// All messages are put to the search.
    whole: bool,
    result: Arc<Listed>,
}

impl Connection {
    /// RFC 5267 §4.3: a tag stands for one context.
    pub(super) fn context_check(&self, tag: &str, update: Option<&Vec<FetchItem>>) -> Result<(), Answer> {
        let used = self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.contexts.has(tag));
        match used && update.is_some() {
            true => Err(Answer::bad("a search of that tag is being kept up to date")),
            false => Ok(()),
        }
    }

    /// Begins to keep a result up to date, or says that it is not done.
    pub(super) fn context_begin(
        &mut self,
        (tag, uid): (&str, bool),
        keys: &[SearchKey],
        sort: Option<&[SortCriterion]>,
        update: Option<&Vec<FetchItem>>,
        found: &[Item],
    ) {
        let most = self.options().contexts;
        let (Some(fetch), Some(selected)) = (update, self.selected.as_mut()) else {
            return;
        };
        // How relevant a message is changes with the others.
        let by_relevancy = |criterion: &SortCriterion| criterion.key == SortKey::Relevancy;
        if sort.is_some_and(|criteria| criteria.iter().any(by_relevancy)) {
            return self.context_refuse(tag, "an order by relevance is not kept up to date");
        }
        if selected.contexts.list.len() >= most {
            return self.context_refuse(tag, "too many searches are being kept up to date; cancel one");
        }
        let keys = keys
            .iter()
            .map(|key| settled(key, &selected.told, &selected.saved))
            .collect();
        let uids = found.iter().map(|(_, message)| message.uid.0);
        let result = match sort {
            Some(criteria) => Listed::Sort(criteria.into(), uids.collect()),
            None => Listed::Search(uids.collect()),
        };
        selected.contexts.ready = None;
        selected.contexts.aged.get_or_insert_with(Instant::now);
        selected.contexts.list.push(Context {
            tag: tag.to_owned(),
            uid,
            keys,
            fetch: fetch.clone(),
            result: Arc::new(result),
        });
    }

    /// §4.3.1: the search is answered, its result is not kept up to date.
    pub(super) fn context_refuse(&mut self, tag: &str, text: &str) {
        self.encoder().untagged(Status::No, Some(&Code::NoUpdate(tag)), text);
    }

    pub(crate) fn cancel_update(&mut self, tags: &[String]) -> Answer {
        let Some(selected) = &mut self.selected else {
            return Answer::bad("select a mailbox first");
        };
        let mut unknown = None;
        for tag in tags {
            if !selected.contexts.cancel(tag) {
                unknown = Some(tag);
            }
        }
        match unknown {
            None => Answer::ok("no further updates"),
            Some(_) => Answer::bad("no search of that tag is being kept up to date"),
        }
    }

    /// Works out how results have changed, before it is told what is new. `expunge`: EXPUNGE may be told; where it may not, and there is
    /// one to tell, nothing is.
    pub(crate) async fn contexts_prepare(&mut self, expunge: bool) -> io::Result<()> {
        if self.watch.as_ref().is_some_and(|watch| !watch.selected().messages) {
            return Ok(());
        }
        let ageing = self.options().ageing;
        let Some(selected) = self.selected.as_mut().filter(|s| !s.contexts.list.is_empty()) else {
            return Ok(());
        };
        let (told, newest) = (Arc::clone(&selected.told), selected.open.snapshot());
        let timed = |context: &Context| context.keys.iter().any(is_timed);
        let old = selected.contexts.aged.is_none_or(|aged| aged.elapsed() >= ageing);
        let aged = old && selected.contexts.list.iter().any(timed);
        let ready = selected.contexts.is_ready(&told, &newest);
        if newest.deleted || (!aged && (ready || Arc::ptr_eq(&told, &newest))) {
            return Ok(());
        }
        let diff = told.diff(&newest);
        if !diff.expunged.is_empty() && !expunge {
            return Ok(());
        }
        selected.contexts.aged = Some(Instant::now());
        let account = Arc::clone(&selected.account);
        let nothing = NumberSet::new();
        let setting = Setting {
            account: &account,
            mailbox: selected.mailbox,
            told: &newest,
            saved: &nothing,
            newest: &newest,
            now: now(),
        };
        let mut work = Vec::with_capacity(selected.contexts.list.len());
        for context in &selected.contexts.list {
            work.push(Query::all(&context.keys, &setting).map(|query| Work {
                query,
                whole: context.keys.iter().any(is_of_all),
                result: Arc::clone(&context.result),
            }));
        }
        let recent_from = selected.open.recent_from;
        let (before, after) = (Arc::clone(&told), Arc::clone(&newest));
        let (changes, diff) = self
            .offload(move |stop| {
                let changes: Vec<Option<Change>> = work
                    .iter()
                    .map(|work| {
                        look(
                            &account,
                            work.as_ref().ok()?,
                            &before,
                            &after,
                            &diff,
                            recent_from,
                            &stop,
                        )
                    })
                    .collect();
                (changes, diff)
            })
            .await?;
        let Some(selected) = self.selected.as_mut() else {
            return Ok(());
        };
        let contexts = &mut selected.contexts;
        let mut kept = Vec::new();
        let mut lost = Vec::new();
        for (context, change) in std::mem::take(&mut contexts.list).into_iter().zip(changes) {
            match change {
                Some(change) => {
                    contexts.list.push(context);
                    kept.push(change);
                }
                None => lost.push(context.tag),
            }
        }
        contexts.ready = Some(Box::new(Ready {
            told,
            newest,
            diff,
            changes: kept,
        }));
        for tag in lost {
            self.context_refuse(&tag, "the search cannot be kept up to date any more");
        }
        Ok(())
    }

    /// Tells what is owed: messages, and then that they belong to a result (RFC 5465 §7).
    pub(crate) async fn contexts_settle(&mut self) -> io::Result<()> {
        let owed = self.selected.as_mut().map(|s| std::mem::take(&mut s.contexts.owed));
        for owed in owed.unwrap_or_default() {
            let ranges = owed.messages.ranges();
            let fetch = Fetch {
                uid: true,
                set: SequenceSet::Ranges(
                    ranges
                        .map(|range| (Bound::Number(*range.start()), Bound::Number(*range.end())))
                        .collect(),
                ),
                items: owed.fetch,
                changed_since: None,
                vanished: false,
                partial: None,
            };
            // What could not be read is not said: nobody has asked.
            Box::pin(self.fetch(&fetch)).await?;
            self.encoder().esearch_update(&EsearchUpdate {
                tag: &owed.tag,
                uid: owed.uid,
                removed: &[],
                added: &owed.added,
            });
        }
        Ok(())
    }
}

/// How a result changes. `None`: that cannot be said any more.
fn look(
    account: &Arc<Account>,
    work: &Work,
    told: &Snapshot,
    newest: &Snapshot,
    diff: &Diff,
    recent_from: Uid,
    stop: &Arc<AtomicBool>,
) -> Option<Change> {
    let first_new = newest.len().saturating_sub(diff.appended);
    let item = |position: usize| Some((u32::try_from(position).ok()?, *newest.at(position)?));
    let items: Vec<Item> = match work.whole {
        true => (0u32..).zip(newest.iter().copied()).collect(),
        false => {
            let positions = diff.changed.iter().copied().chain(first_new..newest.len());
            positions.filter_map(item).collect()
        }
    };
    let gone = diff.expunged.iter().filter_map(|position| told.at(*position));
    let looked_at = gone.chain(items.iter().map(|(_, message)| message));
    let looked_at: NumberSet = looked_at.map(|message| message.uid.0).collect();
    let outcome = Evaluation::new(Arc::clone(account), items, recent_from, Arc::clone(stop)).run(&work.query);
    let found = match outcome {
        Ok(outcome) => outcome.found,
        // Nobody waits for it.
        Err(Error::Search(::search::Error::Stopped)) => return None,
        Err(error) => {
            tracing::error!(account = account.id().0, %error, "a search cannot be kept up to date");
            return None;
        }
    };
    let uids: NumberSet = found.iter().map(|(_, message)| message.uid.0).collect();
    let removed = looked_at.difference(&uids);
    match &*work.result {
        Listed::Search(before) => Some(Change::of_search(before, &removed, &uids)),
        Listed::Sort(criteria, before) => {
            let there: NumberSet = before.iter().copied().collect();
            let left: Vec<u32> = before.iter().copied().filter(|uid| !removed.contains(*uid)).collect();
            let new: Vec<Item> = found.into_iter().filter(|(_, m)| !there.contains(m.uid.0)).collect();
            let after = match new.is_empty() {
                true => left,
                false => merged(account, criteria, newest, left, new, stop),
            };
            Some(Change::of_sort(criteria, before, after))
        }
    }
}

/// A sorted result with some more messages in their places.
fn merged(
    account: &Account,
    criteria: &[SortCriterion],
    newest: &Snapshot,
    mut sorted: Vec<u32>,
    new: Vec<Item>,
    stop: &AtomicBool,
) -> Vec<u32> {
    let sorter = Sorter::new(account, criteria, stop);
    let item = |uid: u32| {
        let position = newest.position(Uid(uid))?;
        Some((u32::try_from(position).ok()?, *newest.at(position)?))
    };
    if new.len() > FEW {
        let mut all: Vec<Item> = sorted.iter().filter_map(|uid| item(*uid)).chain(new).collect();
        all.sort_unstable_by_key(|(position, _)| *position);
        let order = sorter.order(&all, &[]);
        let uid = |at: usize| all.get(at).map(|(_, message)| message.uid.0);
        return order.into_iter().filter_map(uid).collect();
    }
    for added in new {
        let place = sorted.partition_point(|uid| item(*uid).is_some_and(|known| sorter.is_before(&known, &added)));
        sorted.insert(place, added.1.uid.0);
    }
    sorted
}

/// RFC 5267 §4.3: message numbers mean the messages that had them when the command came; so does `$` with its messages.
fn settled(key: &SearchKey, told: &Snapshot, saved: &NumberSet) -> SearchKey {
    let uids = |numbers: &NumberSet| {
        let pair = |range: std::ops::RangeInclusive<u32>| (Bound::Number(*range.start()), Bound::Number(*range.end()));
        SearchKey::Uid(SequenceSet::Ranges(numbers.ranges().map(pair).collect()))
    };
    let inner = |key: &SearchKey| Box::new(settled(key, told, saved));
    match key {
        SearchKey::Sequence(SequenceSet::Saved) | SearchKey::Uid(SequenceSet::Saved) => uids(saved),
        SearchKey::Sequence(set) => {
            let count = u32::try_from(told.len()).unwrap_or(u32::MAX);
            let numbers = set.resolve(count).unwrap_or_default();
            // What lies beyond the mailbox means nothing.
            let there = numbers.intersection(&NumberSet::from_ranges([(1, count)]));
            let uid = |number: u32| told.at(number as usize - 1).map(|message| message.uid.0);
            uids(&there.iter().filter_map(uid).collect())
        }
        SearchKey::Not(key) => SearchKey::Not(inner(key)),
        SearchKey::Fuzzy(key) => SearchKey::Fuzzy(inner(key)),
        SearchKey::Or(a, b) => SearchKey::Or(inner(a), inner(b)),
        SearchKey::And(keys) => SearchKey::And(keys.iter().map(|key| settled(key, told, saved)).collect()),
        key => key.clone(),
    }
}

/// Whether some key, at any depth, is such a one.
fn any(key: &SearchKey, is: fn(&SearchKey) -> bool) -> bool {
    match key {
        SearchKey::Not(key) | SearchKey::Fuzzy(key) => any(key, is),
        SearchKey::Or(a, b) => any(a, is) || any(b, is),
        SearchKey::And(keys) => keys.iter().any(|key| any(key, is)),
        key => is(key),
    }
}

/// Whether a message may come to match, or cease to, by time alone.
pub(crate) fn is_timed(key: &SearchKey) -> bool {
    any(key, |key| matches!(key, SearchKey::Older(_) | SearchKey::Younger(_)))
}

/// Whether a message may come to match, or cease to, without being changed.
fn is_of_all(key: &SearchKey) -> bool {
    let by_last = |key: &SearchKey| {
        let SearchKey::Uid(SequenceSet::Ranges(ranges)) = key else {
            return false;
        };
        ranges.iter().any(|(a, b)| [a, b].contains(&&Bound::Largest))
    };
    is_timed(key) || any(key, by_last)
}
