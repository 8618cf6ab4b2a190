//! SEARCH. RFC 9051 §6.4.4, RFC 5182 (`$`), RFC 7162 §3.1.5 (`MODSEQ`), RFC 9394 §3.1 (`PARTIAL`), RFC 6203 (`FUZZY`, `RELEVANCY`).

use super::evaluate::{Evaluation, Item, Outcome, current};
use super::glance::Glance;
use super::query::{Query, Setting};
use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use crate::imap::now;
use crate::imap::selected::sequence;
use imap::NumberSet;
use imap::command::{Search, SearchKey, SearchReturn};
use imap::response::{Code, Correlator, Esearch, Partials, Status};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Account, Error};

/// How often a long search looks whether its client is still there.
const TICK: Duration = Duration::from_millis(500);

/// A search that nobody waits for any more ends by itself.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is answered to a search, whichever command asked.
pub(super) struct Reply<'a> {
    pub(super) tag: &'a str,
    pub(super) uid: bool,
    pub(super) returns: &'a SearchReturn,
    pub(super) correlator: Option<Correlator<'a>>,
    /// The numbers are in the order of a SORT, not ascending.
    pub(super) sorted: bool,
    pub(super) modseq: Option<u64>,
}

impl Connection {
    pub(crate) async fn search(&mut self, tag: &str, search: &Search) -> io::Result<Answer> {
        let by_modseq = search.keys.iter().any(SearchKey::has_modseq);
        if by_modseq {
            self.condstore_enable();
        }
        let returns = search.returns.as_ref();
        if let Err(answer) = self.search_prepare(tag, returns, &search.keys) {
            return Ok(answer);
        }
        match self.glance(search) {
            Ok(None) => {}
            Err(answer) => return Ok(answer),
            Ok(Some(Glance { numbers, modseq })) => {
                let modseq = (by_modseq && !numbers.is_empty()).then_some(modseq.0);
                self.search_found(tag, search, &numbers, modseq, &[]);
                return Ok(self.search_answer(Outcome::default()));
            }
        }
        let (outcome, ()) = match self.find(&search.keys, |_, _, _| ()).await? {
            Ok(found) => found,
            Err(answer) => return Ok(answer),
        };
        let numbers: Vec<u32> = outcome.found.iter().map(|item| number(item, search.uid)).collect();
        let modseq = highest_modseq(&outcome.found, by_modseq);
        self.search_save(returns, &outcome.found);
        self.search_found(tag, search, &numbers, modseq, &outcome.relevancy);
        let update = returns.and_then(|returns| returns.update.as_ref());
        self.context_begin((tag, search.uid), &search.keys, None, update, &outcome.found);
        Ok(self.search_answer(outcome))
    }

    /// Says what was found: as a SEARCH response, or as an ESEARCH where that was asked for or is all that the client knows.
    fn search_found(&mut self, tag: &str, search: &Search, numbers: &[u32], modseq: Option<u64>, relevancy: &[u8]) {
        if search.returns.is_none() && !self.rev2 {
            self.encoder().search(numbers.iter().copied(), modseq);
            return;
        }
        let all = SearchReturn {
            all: true,
            ..SearchReturn::default()
        };
        let reply = Reply {
            tag,
            uid: search.uid,
            returns: search.returns.as_ref().unwrap_or(&all),
            correlator: None,
            sorted: false,
            modseq,
        };
        self.search_reply(&reply, numbers, relevancy);
    }

    /// What must hold before anything is looked for. Also when the search fails, the result that was kept before is gone (RFC 5182
    /// §2.1).
    pub(super) fn search_prepare(
        &mut self,
        tag: &str,
        returns: Option<&SearchReturn>,
        keys: &[SearchKey],
    ) -> Result<(), Answer> {
        self.context_check(tag, returns.and_then(|returns| returns.update.as_ref()))?;
        if returns.is_some_and(|returns| returns.relevancy) && !keys.iter().any(SearchKey::has_fuzzy) {
            return Err(Answer::bad("RELEVANCY needs a FUZZY search key"));
        }
        Ok(())
    }

    /// Finds what the keys mean in the selected mailbox and, where that may wait for the disk, works on it in the same go.
    pub(super) async fn find<R: Send + 'static>(
        &mut self,
        keys: &[SearchKey],
        then: impl FnOnce(&Account, &Outcome, &AtomicBool) -> R + Send + 'static,
    ) -> io::Result<Result<(Outcome, R), Answer>> {
        let (account, selected) = match self.working() {
            Ok(working) => working,
            Err(answer) => return Ok(Err(answer)),
        };
        let told = Arc::clone(&selected.told);
        let newest = selected.open.snapshot();
        let recent_from = selected.open.recent_from;
        let setting = Setting {
            account: &account,
            mailbox: selected.mailbox,
            told: &told,
            saved: &selected.saved,
            newest: &newest,
            now: now(),
        };
        let query = match Query::all(keys, &setting) {
            Ok(query) => query,
            Err(text) => return Ok(Err(Answer::bad(text))),
        };
        let alone = size_of::<R>() == 0 && !query.needs_index();
        let work = move |stop: Arc<AtomicBool>| {
            let evaluation = Evaluation::new(
                Arc::clone(&account),
                current(&told, &newest),
                recent_from,
                Arc::clone(&stop),
            );
            evaluation.run(&query).map(|outcome| {
                let more = then(&account, &outcome, &stop);
                (outcome, more)
            })
        };
        let result = match alone {
            // Nothing here waits for the disk.
            true => work(Arc::default()),
            false => self.offload(work).await?,
        };
        Ok(result.map_err(|error| self.search_failed(&error)))
    }

    pub(super) fn search_failed(&self, error: &Error) -> Answer {
        match error {
            Error::Search(::search::Error::Stopped) => Answer::no(None, "the search was given up"),
            error => self.trouble(error),
        }
    }

    /// Runs what may take long on a thread of its own. At most two at once for an account, and some for all: others wait their turn.
    /// It is told to stop when the client is gone.
    pub(super) async fn offload<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Arc<AtomicBool>) -> T + Send + 'static,
    ) -> io::Result<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let _stop = StopOnDrop(Arc::clone(&stop));
        let gone = |_| io::Error::other("the server is going down");
        let turn = match &self.selected {
            Some(selected) => Some(selected.account.search_turns().acquire_owned().await.map_err(gone)?),
            None => None,
        };
        let seat = Arc::clone(&self.listener.context.searches)
            .acquire_owned()
            .await
            .map_err(gone)?;
        let mut task = tokio::task::spawn_blocking(move || {
            let done = work(stop);
            drop((turn, seat));
            done
        });
        let mut told = tokio::time::Instant::now();
        loop {
            tokio::select! {
                done = &mut task => return done.map_err(io::Error::other),
                () = tokio::time::sleep(TICK) => {
                    // Who has only closed its own direction gets its answer. Who is gone answers this with a reset, and the next one
                    // cannot be sent.
                    // Everybody else hears now and then that it goes on (RFC 9585).
                    if told.elapsed() >= self.options().progress || self.stream.is_half_closed().await {
                        told = tokio::time::Instant::now();
                        self.encoder()
                            .untagged(Status::Ok, Some(&Code::InProgress(None)), "still searching");
                        self.flush().await?;
                    }
                }
            }
        }
    }

    /// Keeps the result for `$`. RFC 5182 §2.1: where only MIN or MAX were asked for, only those; RFC 9394 §3.2: a piece with them.
    pub(super) fn search_save(&mut self, returns: Option<&SearchReturn>, found: &[Item]) {
        let Some(returns) = returns.filter(|returns| returns.save) else {
            return;
        };
        let uid = |item: &Item| item.1.uid.0;
        let some = returns.min || returns.max || returns.partial.is_some();
        let saved: NumberSet = if some && !returns.all && !returns.count {
            let min = found.first().map(uid).filter(|_| returns.min);
            let max = found.last().map(uid).filter(|_| returns.max);
            let piece = returns.partial.map_or(0..0, |range| range.of(found.len()));
            let piece = found.get(piece).unwrap_or_default().iter().map(uid);
            min.into_iter().chain(max).chain(piece).collect()
        } else {
            found.iter().map(uid).collect()
        };
        if let Some(selected) = self.selected.as_mut() {
            selected.saved = saved;
        }
    }

    /// Writes an ESEARCH response.
    pub(super) fn search_reply(&mut self, reply: &Reply<'_>, numbers: &[u32], relevancy: &[u8]) {
        let returns = reply.returns;
        let set: NumberSet = match returns.all && !reply.sorted {
            true => numbers.iter().copied().collect(),
            false => NumberSet::new(),
        };
        let piece = returns.partial.map(|range| (range, range.of(numbers.len())));
        let scores = match &piece {
            _ if !returns.relevancy => None,
            Some((_, piece)) => relevancy.get(piece.clone()),
            None => Some(relevancy),
        };
        let response = Esearch {
            tag: reply.tag,
            uid: reply.uid,
            mailbox: reply.correlator,
            // RFC 5267 §3: of a SORT, the first and the last in its order.
            min: numbers.first().copied().filter(|_| returns.min),
            max: numbers.last().copied().filter(|_| returns.max),
            all: (returns.all && !reply.sorted).then_some(&set),
            sorted: (returns.all && reply.sorted).then_some(numbers),
            partial: piece.map(|(range, piece)| Partials {
                range,
                numbers: numbers.get(piece).unwrap_or_default(),
            }),
            relevancy: scores,
            count: returns.count.then_some(numbers.len() as u64),
            modseq: reply.modseq,
        };
        // RFC 5182 §2.1: who only saves is not told.
        if returns.min || returns.max || returns.all || returns.count || returns.partial.is_some() || returns.relevancy
        {
            self.encoder().esearch(&response);
        }
    }

    pub(super) fn search_answer(&self, outcome: Outcome) -> Answer {
        match outcome.trouble {
            None => Answer::ok("that is all"),
            Some((uid, error)) => {
                let answer = self.trouble(&error);
                let text = format!("UID {uid} could not be looked into: {}", answer.text);
                Answer { text, ..answer }
            }
        }
    }
}

/// RFC 7162 §3.1.5: of those found, where the search spoke of mod-sequences.
pub(super) fn highest_modseq(found: &[Item], wanted: bool) -> Option<u64> {
    found
        .iter()
        .map(|(_, message)| message.modseq.0)
        .max()
        .filter(|_| wanted)
}

/// The number of a message in the answer.
pub(super) fn number((position, message): &Item, uid: bool) -> u32 {
    if uid {
        message.uid.0
    } else {
        sequence(*position as usize)
    }
}
