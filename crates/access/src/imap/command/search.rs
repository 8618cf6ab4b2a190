//! SEARCH. RFC 9051 §6.4.4, RFC 5182 (`$`), RFC 7162 §3.1.5 (`MODSEQ`).

use super::query::{Query, Setting};
use super::section::Reading;
use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use crate::imap::selected::sequence;
use crate::imap::{blocking, now};
use imap::NumberSet;
use imap::command::{Search, SearchKey, SearchReturn};
use imap::response::Esearch;
use std::io;
use std::sync::Arc;
use store::Message;

/// Messages whose rows are read at once.
const BATCH: usize = 32;

impl Connection {
    pub(crate) async fn search(&mut self, tag: &str, search: &Search) -> io::Result<Answer> {
        let by_modseq = search.keys.iter().any(SearchKey::has_modseq);
        if by_modseq {
            self.condstore_enable();
        }
        let save = search.returns.is_some_and(|returns| returns.save);
        let (header_limit, part_limit) = (self.options().header, self.options().search_part);
        let (account, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return Ok(answer),
        };
        let told = Arc::clone(&selected.told);
        let newest = selected.open.snapshot();
        let recent_from = selected.open.recent_from;
        let setting = Setting {
            selected,
            newest: &newest,
            now: now(),
        };
        let query = match Query::all(&search.keys, &setting) {
            Ok(query) => query,
            Err(text) => return Ok(Answer::bad(text)),
        };
        if save {
            // RFC 5182 §2.1: also when it fails, the result before is gone.
            selected.saved = NumberSet::new();
        }

        let same = Arc::ptr_eq(&told, &newest);
        let mut found: Vec<(u32, Message)> = Vec::new();
        let mut open: Vec<(u32, Message)> = Vec::new();
        for (position, known) in told.iter().enumerate() {
            let current = if same {
                Some(known)
            } else {
                newest.position(known.uid).and_then(|p| newest.at(p))
            };
            // A message that is gone cannot be looked into, and nobody misses it.
            let Some(message) = current else { continue };
            let Ok(position) = u32::try_from(position) else { break };
            match query.quick(message, position, recent_from) {
                Some(true) => found.push((position, *message)),
                Some(false) => {}
                None => open.push((position, *message)),
            }
        }
        let mut trouble = None;
        if !open.is_empty() {
            for batch in open.chunks(BATCH) {
                blocking(|| {
                    let ids: Vec<_> = batch.iter().map(|(_, message)| message.content).collect();
                    for ((position, message), content) in batch.iter().zip(account.contents(&ids)) {
                        let hit = content.and_then(|content| {
                            let reading = Reading::new(&account, &content, header_limit);
                            query.full(message, *position, recent_from, &reading, part_limit)
                        });
                        match hit {
                            Ok(true) => found.push((*position, *message)),
                            Ok(false) | Err(store::Error::NoContent(_)) => {}
                            Err(error) => {
                                trouble.get_or_insert((message.uid, error));
                            }
                        }
                    }
                });
                tokio::task::yield_now().await;
            }
            found.sort_unstable_by_key(|(position, _)| *position);
        }

        let number = |(position, message): &(u32, Message)| {
            if search.uid {
                message.uid.0
            } else {
                sequence(*position as usize)
            }
        };
        let modseq = if by_modseq {
            found.iter().map(|(_, message)| message.modseq.0).max()
        } else {
            None
        };
        let (rev2, returns) = (self.rev2, search.returns);
        if let Some(selected) = self.selected.as_mut().filter(|_| save) {
            selected.saved = saved(&found, returns.unwrap_or_default());
        }
        match returns {
            None if !rev2 => self.encoder().search(found.iter().map(number), modseq),
            returns => {
                let returns = returns.unwrap_or(SearchReturn {
                    all: true,
                    ..SearchReturn::default()
                });
                let all: NumberSet = if returns.all {
                    found.iter().map(number).collect()
                } else {
                    NumberSet::new()
                };
                let response = Esearch {
                    tag,
                    uid: search.uid,
                    min: found.first().map(number).filter(|_| returns.min),
                    max: found.last().map(number).filter(|_| returns.max),
                    all: returns.all.then_some(&all),
                    count: returns.count.then_some(found.len() as u64),
                    modseq,
                    ..Esearch::default()
                };
                // RFC 5182 §2.1: who only saves is not told.
                if returns.min || returns.max || returns.all || returns.count {
                    self.encoder().esearch(&response);
                }
            }
        }
        Ok(match trouble {
            None => Answer::ok("that is all"),
            Some((uid, error)) => {
                let answer = self.trouble(&error);
                let text = format!("UID {uid} could not be looked into: {}", answer.text);
                Answer { text, ..answer }
            }
        })
    }
}

/// What `$` stands for from now on: RFC 5182 §2.1, where only MIN or MAX were asked for, only those.
fn saved(found: &[(u32, Message)], returns: SearchReturn) -> NumberSet {
    let uid = |(_, message): &(u32, Message)| message.uid.0;
    if (returns.min || returns.max) && !returns.all && !returns.count {
        let min = found.first().map(uid).filter(|_| returns.min);
        let max = found.last().map(uid).filter(|_| returns.max);
        return min.into_iter().chain(max).collect();
    }
    found.iter().map(uid).collect()
}
