//! Searches whose results a client is kept informed of, and how their changes are written. RFC 5267 §4.3.
//!
//! A context remembers what was found, as UIDs. Whenever the client is about to be told what is new in its mailbox, the messages that have
//! changed are put to the search again (in [`crate::imap::command`], where that may wait for the disk), and what came of it waits here until
//! the news is told: what leaves a result is said before EXPUNGE, while the numbers are still those the client knows, what comes
//! to it after EXISTS.

use crate::imap::selected::sequence;
use imap::NumberSet;
use imap::command::{FetchItem, SearchKey, SortCriterion};
use imap::response::{Encoder, EsearchUpdate};
use std::sync::Arc;
use store::{Diff, Snapshot, Uid};
use tokio::time::Instant;

/// The contexts of a selected mailbox.
#[derive(Default)]
pub(crate) struct Contexts {
    pub(crate) list: Vec<Context>,
    /// What is to be told with the next news.
    pub(crate) ready: Option<Box<Ready>>,
    /// What is to be told behind messages that were asked for with the search (RFC 5465 §7).
    pub(crate) owed: Vec<Owed>,
    /// When those were last looked at whose results change with time alone.
    pub(crate) aged: Option<Instant>,
}

/// A search that is kept up to date.
pub(crate) struct Context {
    pub(crate) tag: String,
    /// It is told in UIDs.
    pub(crate) uid: bool,
    /// What is looked for. Message numbers and `$` are UIDs since the command was given.
    pub(crate) keys: Arc<[SearchKey]>,
    /// What of messages that come is told before they are said to belong to the result.
    pub(crate) fetch: Vec<FetchItem>,
    pub(crate) result: Arc<Listed>,
}

/// UIDs that were found.
#[derive(Debug, PartialEq)]
pub(crate) enum Listed {
    /// In the order of the mailbox.
    Search(NumberSet),
    /// In the order of a SORT.
    Sort(Arc<[SortCriterion]>, Vec<u32>),
}

/// How the results change from what the client knows to a newer snapshot.
pub(crate) struct Ready {
    pub(crate) told: Arc<Snapshot>,
    pub(crate) newest: Arc<Snapshot>,
    pub(crate) diff: Diff,
    /// For each context, in their order.
    pub(crate) changes: Vec<Change>,
}

/// The change of one result: places, each with UIDs that leave it or come to it.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) result: Arc<Listed>,
    pub(crate) removed: Pieces,
    pub(crate) added: Pieces,
}

type Pieces = Vec<(u32, Vec<u32>)>;

/// What waits for a FETCH.
pub(crate) struct Owed {
    pub(crate) tag: String,
    pub(crate) uid: bool,
    pub(crate) added: Pieces,
    pub(crate) fetch: Vec<FetchItem>,
    /// UIDs of the messages to be fetched.
    pub(crate) messages: NumberSet,
}

impl Contexts {
    /// Whether the client is kept informed of a search of this tag.
    pub(crate) fn has(&self, tag: &str) -> bool {
        self.list.iter().any(|context| context.tag == tag)
    }

    /// Ends the updates of a search. False: there is none of this tag.
    pub(crate) fn cancel(&mut self, tag: &str) -> bool {
        self.ready = None;
        let before = self.list.len();
        self.list.retain(|context| context.tag != tag);
        self.list.len() < before
    }

    /// Whether the way from one snapshot to the other is known.
    pub(crate) fn is_ready(&self, told: &Arc<Snapshot>, newest: &Arc<Snapshot>) -> bool {
        let known = |ready: &Ready| Arc::ptr_eq(&ready.told, told) && Arc::ptr_eq(&ready.newest, newest);
        self.ready.as_deref().is_some_and(known)
    }

    /// Says what is no more in the results.
    pub(crate) fn tell_removed(&self, ready: &Ready, encoder: &mut Encoder<'_>) {
        for (context, change) in self.list.iter().zip(&ready.changes) {
            if !change.removed.is_empty() {
                encoder.esearch_update(&EsearchUpdate {
                    tag: &context.tag,
                    uid: context.uid,
                    removed: &numbered(&change.removed, context.uid, &ready.told),
                    added: &[],
                });
            }
        }
    }

    /// Says what has come to the results, and takes them for known.
    pub(crate) fn tell_added(&mut self, ready: Ready, encoder: &mut Encoder<'_>) {
        let newest = &ready.newest;
        let first_new = newest.len().saturating_sub(ready.diff.appended);
        let first_new = newest.at(first_new).map_or(u32::MAX, |message| message.uid.0);
        for (context, change) in self.list.iter_mut().zip(ready.changes) {
            context.result = change.result;
            if change.added.is_empty() {
                continue;
            }
            let added = numbered(&change.added, context.uid, newest);
            // RFC 5465 §7: not of messages that came to the result because their flags have changed.
            let uids = change.added.iter().flat_map(|(_, uids)| uids);
            let messages: NumberSet = uids.copied().filter(|uid| *uid >= first_new).collect();
            if !context.fetch.is_empty() && !messages.is_empty() {
                self.owed.push(Owed {
                    tag: context.tag.clone(),
                    uid: context.uid,
                    added,
                    fetch: context.fetch.clone(),
                    messages,
                });
                continue;
            }
            encoder.esearch_update(&EsearchUpdate {
                tag: &context.tag,
                uid: context.uid,
                removed: &[],
                added: &added,
            });
        }
    }
}

/// Pieces in the numbers of the client.
fn numbered(pieces: &Pieces, uid: bool, snapshot: &Snapshot) -> Pieces {
    if uid {
        return pieces.clone();
    }
    let mut seeker = snapshot.seek();
    let mut number = |uid: &u32| seeker.uid(Uid(*uid)).map(|(position, _)| sequence(position));
    pieces
        .iter()
        .map(|(place, uids)| (*place, uids.iter().filter_map(&mut number).collect()))
        .collect()
}

impl Change {
    /// The change of an unsorted result.
    pub(crate) fn of_search(before: &NumberSet, removed: &NumberSet, found: &NumberSet) -> Change {
        let removed = before.intersection(removed);
        let added = found.difference(before);
        let left = before.difference(&removed);
        let all = left
            .ranges()
            .chain(added.ranges())
            .map(|range| (*range.start(), *range.end()));
        let somewhere = |uids: &NumberSet| match uids.is_empty() {
            true => Vec::new(),
            false => vec![(0, uids.iter().collect())],
        };
        Change {
            result: Arc::new(Listed::Search(NumberSet::from_ranges(all))),
            removed: somewhere(&removed),
            added: somewhere(&added),
        }
    }

    /// The change of a sorted result. What both have stands in the same order in both.
    pub(crate) fn of_sort(criteria: &Arc<[SortCriterion]>, before: &[u32], after: Vec<u32>) -> Change {
        let (old, new): (NumberSet, NumberSet) = (before.iter().copied().collect(), after.iter().copied().collect());
        // Who removes front to back finds each run as many places further to the front as were removed before it.
        let mut gone = 0;
        let removed = runs(before, |uid| !new.contains(uid))
            .map(|(place, uids)| {
                let piece = (sequence(place - gone), uids.to_vec());
                gone += uids.len();
                piece
            })
            .collect();
        let added = runs(&after, |uid| !old.contains(uid))
            .map(|(place, uids)| (sequence(place), uids.to_vec()))
            .collect();
        Change {
            result: Arc::new(Listed::Sort(Arc::clone(criteria), after)),
            removed,
            added,
        }
    }
}

/// Runs of neighbours that are picked, with the position of the first of them.
fn runs(list: &[u32], pick: impl Fn(u32) -> bool) -> impl Iterator<Item = (usize, &[u32])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += list.get(at..)?.iter().position(|uid| pick(*uid))?;
        let (start, rest) = (at, list.get(at..)?);
        let len = rest.iter().position(|uid| !pick(*uid)).unwrap_or(rest.len());
        at += len;
        Some((start, rest.get(..len)?))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a client makes of pieces (RFC 5267 §4.3.3, §4.3.4).
    fn apply(before: &[u32], change: &Change) -> Vec<u32> {
        let mut list = before.to_vec();
        for (place, uids) in &change.removed {
            let from = *place as usize - 1;
            let gone: Vec<u32> = list.drain(from..from + uids.len()).collect();
            assert_eq!(gone, *uids);
        }
        for (place, uids) in &change.added {
            let at = *place as usize - 1;
            list.splice(at..at, uids.iter().copied());
        }
        list
    }

    #[test]
    fn sorted() {
        let criteria: Arc<[SortCriterion]> = Arc::new([]);
        for (before, after, removed, added) in [
            (&[][..], &[3, 1, 2][..], "[]", "[(1, [3, 1, 2])]"),
            (&[3, 1, 2], &[], "[(1, [3, 1, 2])]", "[]"),
            (&[3, 1, 2], &[3, 2], "[(2, [1])]", "[]"),
            (&[5, 3, 1, 2, 4], &[3, 2], "[(1, [5]), (2, [1]), (3, [4])]", "[]"),
            (
                &[5, 3, 1, 2, 4],
                &[9, 3, 8, 7, 2, 6],
                "[(1, [5]), (2, [1]), (3, [4])]",
                "[(1, [9]), (3, [8, 7]), (6, [6])]",
            ),
            (&[1, 2], &[1, 2], "[]", "[]"),
        ] {
            let change = Change::of_sort(&criteria, before, after.to_vec());
            assert_eq!(
                (format!("{:?}", change.removed), format!("{:?}", change.added)),
                (removed.to_owned(), added.to_owned())
            );
            assert_eq!(apply(before, &change), after);
        }
    }

    #[test]
    fn unsorted() {
        let set = |uids: &[u32]| uids.iter().copied().collect::<NumberSet>();
        // 4 is found again, 2 and 9 go (9 was not in it), 1 and 7 come.
        let change = Change::of_search(&set(&[2, 3, 4]), &set(&[2, 9]), &set(&[1, 4, 7]));
        assert_eq!(*change.result, Listed::Search(set(&[1, 3, 4, 7])));
        assert_eq!(change.removed, [(0, vec![2])]);
        assert_eq!(change.added, [(0, vec![1, 7])]);
    }
}
