//! SORT and THREAD (RFC 5256), SORT by what is shown (RFC 5957), `RETURN` for SORT (RFC 5267 §3), by relevance (RFC 6203 §4).
//!
//! What messages are sorted and threaded by was worked out when they were indexed, and lies in columns.

use super::evaluate::{Item, Outcome, columns, missing_keys};
use super::search::{Reply, highest_modseq, number};
use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use ::search::{Columns, Group, Keys};
use imap::command::{SearchKey, Sort, SortCriterion, SortKey, Thread};
use imap::thread;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicBool;
use store::Account;

impl Connection {
    pub(crate) async fn sort(&mut self, tag: &str, sort: &Sort) -> io::Result<Answer> {
        let by_modseq = sort.keys.iter().any(SearchKey::has_modseq);
        if by_modseq {
            self.condstore_enable();
        }
        let fuzzy = sort.keys.iter().any(SearchKey::has_fuzzy);
        if sort
            .criteria
            .iter()
            .any(|criterion| criterion.key == SortKey::Relevancy)
            && !fuzzy
        {
            return Ok(Answer::bad("RELEVANCY needs a FUZZY search key"));
        }
        let returns = sort.returns.as_ref();
        if let Err(answer) = self.search_prepare(tag, returns, &sort.keys) {
            return Ok(answer);
        }
        let criteria = sort.criteria.clone();
        let found = self
            .find(&sort.keys, move |account, outcome, stop| {
                Sorter::new(account, &criteria, stop).order(&outcome.found, &outcome.relevancy)
            })
            .await?;
        let (mut outcome, order) = match found {
            Ok(found) => found,
            Err(answer) => return Ok(answer),
        };
        let pick = |at: &usize| outcome.found.get(*at).copied();
        let found: Vec<Item> = order.iter().filter_map(pick).collect();
        let relevancy = order
            .iter()
            .filter_map(|at| outcome.relevancy.get(*at).copied())
            .collect();
        (outcome.found, outcome.relevancy) = (found, relevancy);
        let numbers: Vec<u32> = outcome.found.iter().map(|item| number(item, sort.uid)).collect();
        self.search_save(returns, &outcome.found);
        match returns {
            None => self.encoder().sort(numbers),
            Some(returns) => {
                let reply = Reply {
                    tag,
                    uid: sort.uid,
                    returns,
                    correlator: None,
                    sorted: true,
                    modseq: highest_modseq(&outcome.found, by_modseq),
                };
                self.search_reply(&reply, &numbers, &outcome.relevancy);
                let criteria = Some(&sort.criteria[..]);
                let update = returns.update.as_ref();
                self.context_begin((tag, sort.uid), &sort.keys, criteria, update, &outcome.found);
            }
        }
        Ok(self.search_answer(outcome))
    }

    pub(crate) async fn thread(&mut self, command: &Thread) -> io::Result<Answer> {
        if command.keys.iter().any(SearchKey::has_modseq) {
            self.condstore_enable();
        }
        let (algorithm, uid) = (command.algorithm, command.uid);
        let found = self
            .find(&command.keys, move |account, outcome, stop| {
                threads(account, outcome, algorithm, uid, stop)
            })
            .await?;
        let (outcome, threads) = match found {
            Ok(found) => found,
            Err(answer) => return Ok(answer),
        };
        self.encoder().thread(&threads);
        Ok(self.search_answer(outcome))
    }
}

/// What a message is sorted by, one criterion.
enum Values<'k> {
    Numbers(Vec<i64>),
    /// The first octets as a number, so that most comparisons do not reach for the text.
    Texts(Vec<(u64, &'k str)>),
}

/// An order of messages.
pub(super) struct Sorter<'a> {
    account: &'a Account,
    criteria: &'a [SortCriterion],
    groups: Vec<Option<Columns>>,
}

impl<'a> Sorter<'a> {
    /// Brings what it needs of the index forward.
    pub(super) fn new(account: &'a Account, criteria: &'a [SortCriterion], stop: &AtomicBool) -> Sorter<'a> {
        let wants = |keys: &[SortKey]| criteria.iter().any(|criterion| keys.contains(&criterion.key));
        let mut groups = Vec::new();
        if wants(&[SortKey::Date, SortKey::Subject]) {
            groups.push(columns(account, Group::Subject, stop));
        }
        let names = [
            SortKey::From,
            SortKey::To,
            SortKey::Cc,
            SortKey::DisplayFrom,
            SortKey::DisplayTo,
        ];
        if wants(&names) {
            groups.push(columns(account, Group::Names, stop));
        }
        Sorter {
            account,
            criteria,
            groups,
        }
    }

    /// Positions of the found messages, which come in the order of the mailbox, sorted.
    pub(super) fn order(&self, found: &[Item], relevancy: &[u8]) -> Vec<usize> {
        let missing = missing_keys(self.account, found, &self.groups);
        let rows = Rows {
            found,
            groups: &self.groups,
            missing: &missing,
        };
        let values: Vec<(bool, Values<'_>)> = self
            .criteria
            .iter()
            .map(|criterion| (criterion.reverse, rows.values(criterion.key, relevancy)))
            .collect();
        let mut order: Vec<usize> = (0..found.len()).collect();
        // What is equal stays in the order of the mailbox, reversed or not.
        order.sort_by(|a, b| {
            for (reverse, values) in &values {
                let compared = match values {
                    Values::Numbers(list) => list.get(*a).cmp(&list.get(*b)),
                    Values::Texts(list) => by_text(list.get(*a), list.get(*b)),
                };
                if compared != Ordering::Equal {
                    return if *reverse { compared.reverse() } else { compared };
                }
            }
            Ordering::Equal
        });
        order
    }

    /// Whether one message stands before another.
    pub(super) fn is_before(&self, a: &Item, b: &Item) -> bool {
        match a.0 < b.0 {
            true => self.order(&[*a, *b], &[]).first() == Some(&0),
            false => self.order(&[*b, *a], &[]).first() == Some(&1),
        }
    }
}

/// RFC 4790 §9.2, RFC 5051: letters are compared as upper case, so that what stands between the two alphabets comes after them.
fn upper(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_uppercase())
}

fn by_text(a: Option<&(u64, &str)>, b: Option<&(u64, &str)>) -> Ordering {
    let (Some((a_start, a)), Some((b_start, b))) = (a, b) else {
        return a.is_some().cmp(&b.is_some());
    };
    a_start.cmp(b_start).then_with(|| upper(a).cmp(upper(b)))
}

struct Rows<'k> {
    found: &'k [Item],
    groups: &'k [Option<Columns>],
    missing: &'k HashMap<u32, Keys>,
}

impl<'k> Rows<'k> {
    fn values(&self, key: SortKey, relevancy: &[u8]) -> Values<'k> {
        let numbers = |of: &dyn Fn(usize, &Item) -> i64| {
            let items = self.found.iter().enumerate();
            Values::Numbers(items.map(|(at, item)| of(at, item)).collect())
        };
        match key {
            SortKey::Arrival => numbers(&|_, (_, message)| i64::from(message.received)),
            SortKey::Size => numbers(&|_, (_, message)| i64::from(message.size)),
            // RFC 6203 §4: the best first.
            SortKey::Relevancy => numbers(&|at, _| -i64::from(relevancy.get(at).copied().unwrap_or(0))),
            SortKey::Date => {
                let sent = self.each(Group::Subject, |row| row.sent(), |keys| keys.sent);
                let items = self.found.iter().zip(sent);
                Values::Numbers(
                    items
                        .map(|((_, message), sent)| sent.flatten().unwrap_or(i64::from(message.received)))
                        .collect(),
                )
            }
            SortKey::Subject => self.texts(Group::Subject, |row| row.base(), |keys| &keys.base),
            SortKey::From => self.texts(Group::Names, |row| row.mailbox(0), |keys| first(&keys.mailbox, 0)),
            SortKey::To => self.texts(Group::Names, |row| row.mailbox(1), |keys| first(&keys.mailbox, 1)),
            SortKey::Cc => self.texts(Group::Names, |row| row.mailbox(2), |keys| first(&keys.mailbox, 2)),
            SortKey::DisplayFrom => self.texts(Group::Names, |row| row.shown(0), |keys| first(&keys.shown, 0)),
            SortKey::DisplayTo => self.texts(Group::Names, |row| row.shown(1), |keys| first(&keys.shown, 1)),
        }
    }

    fn texts(
        &self,
        group: Group,
        row: impl Fn(::search::Row<'k>) -> &'k str,
        keys: impl Fn(&'k Keys) -> &'k str,
    ) -> Values<'k> {
        let texts = self.each(group, row, keys);
        Values::Texts(
            texts
                .into_iter()
                .map(|text| {
                    let text = text.unwrap_or("");
                    let mut start = [0; 8];
                    start.iter_mut().zip(upper(text)).for_each(|(to, from)| *to = from);
                    (u64::from_be_bytes(start), text)
                })
                .collect(),
        )
    }

    fn each<T>(
        &self,
        group: Group,
        row: impl Fn(::search::Row<'k>) -> T,
        keys: impl Fn(&'k Keys) -> T,
    ) -> Vec<Option<T>> {
        let columns = self.groups.iter().flatten().find(|columns| columns.is_of(group));
        let mut hint = (0, 0);
        self.found
            .iter()
            .map(|(_, message)| {
                let id = message.content.0;
                match columns.and_then(|columns| columns.row_near(id, &mut hint)) {
                    Some(found) => Some(row(found)),
                    None => self.missing.get(&id).map(&keys),
                }
            })
            .collect()
    }
}

fn first(texts: &[String], which: usize) -> &str {
    texts.get(which).map_or("", String::as_str)
}

fn threads(
    account: &Account,
    outcome: &Outcome,
    algorithm: thread::Algorithm,
    uid: bool,
    stop: &AtomicBool,
) -> thread::Threads {
    let by_links = algorithm != thread::Algorithm::OrderedSubject;
    let mut groups = vec![columns(account, Group::Subject, stop)];
    if by_links {
        groups.push(columns(account, Group::Links, stop));
    }
    let missing = missing_keys(account, &outcome.found, &groups);
    let rows = Rows {
        found: &outcome.found,
        groups: &groups,
        missing: &missing,
    };
    let subjects = rows.each(
        Group::Subject,
        |row| (row.sent(), row.base(), row.is_reply()),
        |keys| (keys.sent, keys.base.as_str(), keys.reply),
    );
    let links = match by_links {
        true => rows.each(
            Group::Links,
            |row| (row.id(), row.references()),
            |keys| (keys.id, keys.references.as_slice()),
        ),
        false => vec![None; outcome.found.len()],
    };
    let messages: Vec<thread::Message<'_>> = outcome
        .found
        .iter()
        .zip(subjects.into_iter().zip(links))
        .map(|(item, (subject, links))| {
            let received = i64::from(item.1.received);
            let (sent, subject, reply) = subject.unwrap_or((None, "", false));
            let (id, references) = links.unwrap_or((None, &[]));
            thread::Message {
                number: number(item, uid),
                sent: sent.unwrap_or(received),
                subject,
                reply,
                id,
                references,
            }
        })
        .collect();
    thread::thread(algorithm, &messages)
}
