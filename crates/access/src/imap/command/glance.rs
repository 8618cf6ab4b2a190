//! Searches that the view in memory decides by itself, which are most that programs ask for by themselves: flags, sizes, dates. Only numbers
//! come of them, and what holds for a whole stretch of messages is asked once.

use super::query::{Query, Setting};
use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use crate::imap::now;
use crate::imap::selected::sequence;
use imap::command::Search;
use std::sync::Arc;
use store::{ModSeq, Snapshot, Summary, Uid};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// UIDs or sequence numbers, ascending.
    pub(super) numbers: Vec<u32>,
    /// The highest modification sequence among them.
    pub(super) modseq: ModSeq,
}

impl Connection {
    /// Finds what is searched for, where a glance at the view is enough and nothing but the numbers is wanted.
    pub(super) fn glance(&mut self, search: &Search) -> Result<Option<Glance>, Answer> {
        let only_numbers = |r: &imap::command::SearchReturn| !r.save && !r.relevancy && r.update.is_none();
        if !search.returns.as_ref().is_none_or(only_numbers) {
            return Ok(None);
        }
        let (account, selected) = self.working()?;
        let newest = selected.open.snapshot();
        // What has changed and was not told yet is taken apart with more care.
        if !Arc::ptr_eq(&selected.told, &newest) {
            return Ok(None);
        }
        let setting = Setting {
            account: &account,
            mailbox: selected.mailbox,
            told: &newest,
            saved: &selected.saved,
            newest: &newest,
            now: now(),
        };
        let query = Query::all(&search.keys, &setting).map_err(Answer::bad)?;
        let recent_from = selected.open.recent_from;
        Ok((!query.needs_index())
            .then(|| query.glance(&newest, search.uid, recent_from))
            .flatten())
    }
}

impl Query {
    /// The messages it means; `None` where the view does not know.
    fn glance(&self, snapshot: &Snapshot, uid: bool, recent_from: Uid) -> Option<Glance> {
        let mut glance = Glance::default();
        for stretch in snapshot.stretches() {
            match self.of_all(&stretch.summary) {
                Some(false) => {}
                Some(true) => {
                    glance.modseq = glance.modseq.max(stretch.summary.modseq);
                    match uid {
                        true => glance.numbers.extend(stretch.messages.iter().map(|m| m.uid.0)),
                        false => {
                            let first = sequence(stretch.start);
                            glance.numbers.extend((first..).take(stretch.messages.len()));
                        }
                    }
                }
                None => {
                    for (within, message) in stretch.messages.iter().enumerate() {
                        let number = sequence(stretch.start + within);
                        if self.quick(message, number - 1, recent_from)? {
                            glance.modseq = glance.modseq.max(message.modseq);
                            glance.numbers.push(if uid { message.uid.0 } else { number });
                        }
                    }
                }
            }
        }
        Some(glance)
    }

    /// What the sum of a stretch says of all its messages; `None` where they must be looked at.
    fn of_all(&self, summary: &Summary) -> Option<bool> {
        match self {
            Query::Always(answer) => Some(*answer),
            Query::Flags { flags, set } if summary.all.contains(*flags) => Some(*set),
            Query::Flags { flags, set } if !summary.any.contains(*flags) => Some(!*set),
            Query::ModSeq(modseq) if summary.modseq.0 < *modseq => Some(false),
            Query::Not(query) => query.of_all(summary).map(|answer| !answer),
            Query::Or(both) => match (both.0.of_all(summary), both.1.of_all(summary)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Query::And(all) => {
                if all.iter().any(|query| query.of_all(summary) == Some(false)) {
                    return Some(false);
                }
                all.iter()
                    .all(|query| query.of_all(summary) == Some(true))
                    .then_some(true)
            }
            _ => None,
        }
    }
}
