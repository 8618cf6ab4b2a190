//! The one thread that writes. It takes all requests that have gathered, writes them in one transaction and answers them when it is
//! committed. Rows are written while the messages' bytes are still on their way to the disk; the commit waits for them.

use crate::entry::{Arrived, Due};
use crate::ledger::Desks;
use crate::outcome::{defer_in, forget_in, is_open_in, put_back_in, reachable_in, settle_in, unreachable_in};
use crate::record::Claim;
use crate::work::{Child, Conclusion, Deferral, Offspring, Settlement};
use crate::{Acceptance, AcceptanceId, Error, Lease, Result, Unreachable, Work, record};
use blobs::Commit;
use bytes::Bytes;
use db::{Database, Durability, Transaction};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Requests written in one transaction at most: bounds how long the first of them waits.
const BATCH: usize = 512;
/// How long settlements that could not be written wait before they are tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;
pub(crate) type Change = Box<dyn FnMut(&Transaction<'_>) -> db::Result<u64> + Send>;

pub(crate) enum Request {
    Accept(Box<Accept>),
    Settle(Vec<Settlement>),
    Conclude(Vec<Conclusion>, Option<Reply<Stale>>),
    Defer(Vec<Deferral>),
    Expand(Box<Expand>),
    Note(Note),
    Claim(Wanted, Reply<Claimed>),
    Change(Change, Reply<u64>),
    Close,
}

/// What may be lost, and is then found out again.
pub(crate) enum Note {
    PutBack(Vec<(AcceptanceId, u32, Lease)>),
    Unreachable(Unreachable),
    Reachable(Arc<str>),
}

/// What a claim wants.
pub(crate) enum Wanted {
    /// Recipients of ours, so many.
    Local(u32),
    /// Recipients of these destinations.
    Destinations(Vec<Ask>),
    /// Recipients of a destination that wait too long.
    Aged {
        destination: Arc<str>,
        expired: i64,
        late: Option<i64>,
        limit: u32,
    },
    /// These.
    These(Vec<(AcceptanceId, u32)>),
}

/// Work of a destination that is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The destination.
    pub destination: Arc<str>,
    /// Recipients at most. With 0, it is only said when the next is due.
    pub limit: u32,
    /// After whose turn: what was [found](Found::turn) last time.
    pub turn: i64,
}

/// What an [`Ask`] found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The destination.
    pub destination: Arc<str>,
    /// Its work, people's mail first.
    pub work: Vec<Work>,
    /// When the next of the rest is due, as far as nobody has it; `None`: there is no more.
    pub next_due: Option<i64>,
    /// Whose turn it was last.
    pub turn: i64,
}

/// What a claim gets: work, or by destination.
pub(crate) type Claimed = (Vec<Work>, Vec<Found>);
/// For each conclusion, what in it was settled or another's by then.
pub(crate) type Stale = Vec<Vec<(AcceptanceId, u32)>>;

pub(crate) struct Accept {
    pub(crate) acceptance: Acceptance,
    pub(crate) commit: Commit,
    pub(crate) bytes: Option<Bytes>,
    pub(crate) reply: Option<Reply<()>>,
}

pub(crate) struct Expand {
    pub(crate) work: Work,
    pub(crate) children: Vec<Child>,
    pub(crate) offspring: Vec<Offspring>,
    pub(crate) detail: Option<String>,
    pub(crate) at: i64,
    pub(crate) reply: Option<Reply<()>>,
}

pub(crate) struct Writer {
    pub(crate) database: Arc<Database>,
    pub(crate) desks: Arc<Desks>,
    pub(crate) leases: AtomicI64,
    pub(crate) lease_seconds: i64,
    pub(crate) relay_lease_seconds: i64,
    pub(crate) clock: crate::Clock,
}

impl Writer {
    pub(crate) fn next_lease(&self) -> Lease {
        Lease(self.leases.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn run(self, requests: &Receiver<Request>) {
        // Settlements and deferrals of a batch that failed: they must be written some time.
        let mut owed: Vec<Request> = Vec::new();
        let mut in_debt = false;
        let mut closing = false;
        while !closing {
            let first = if owed.is_empty() {
                match requests.recv() {
                    Ok(first) => Some(first),
                    Err(_) => return,
                }
            } else {
                match requests.recv_timeout(RETRY) {
                    Ok(first) => Some(first),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            };
            let mut batch = std::mem::take(&mut owed);
            for request in first.into_iter().chain(requests.try_iter().take(BATCH)) {
                match request {
                    Request::Close => closing = true,
                    other => batch.push(other),
                }
            }
            let before = in_debt;
            self.write(batch, &mut owed);
            in_debt = !owed.is_empty();
            // Once, and not for each: while the disk is full they are tried with all that comes.
            match (before, in_debt) {
                (false, true) => {
                    tracing::warn!("results of deliveries can't be written now; they are tried again until they can");
                }
                (true, false) => tracing::info!("results of deliveries are written again"),
                _ => {}
            }
        }
        if !owed.is_empty() {
            tracing::warn!(
                requests = owed.len(),
                "closing with results that could not be written; the work will be done again"
            );
        }
    }

    fn write(&self, mut batch: Vec<Request>, owed: &mut Vec<Request>) {
        if batch.is_empty() {
            return;
        }
        match self.attempt(&mut batch) {
            Ok(()) => {}
            // One of them may be at fault: alone, each gets its own answer.
            Err(_) if batch.len() > 1 => {
                for request in batch {
                    let mut alone = vec![request];
                    if let Err(e) = self.attempt(&mut alone) {
                        alone.into_iter().for_each(|r| refuse(r, e.copy(), owed));
                    }
                }
            }
            Err(e) => batch.into_iter().for_each(|r| refuse(r, e.copy(), owed)),
        }
    }

    fn attempt(&self, batch: &mut Vec<Request>) -> std::result::Result<(), Failure> {
        // Answers go out of the process, so they need the disk, and so do messages that somebody works on next; settling alone does not.
        let durability = if batch.iter().all(|r| {
            matches!(
                r,
                Request::Settle(_) | Request::Defer(_) | Request::Note(_) | Request::Claim(..)
            )
        }) {
            Durability::Deferred
        } else {
            Durability::Synced
        };
        let mut failed: Vec<Option<Error>> = Vec::new();
        let mut claimed: Vec<Claimed> = Vec::new();
        let mut counts: Vec<u64> = Vec::new();
        let mut stale: Vec<Stale> = Vec::new();
        let mut due = Due::default();
        self.database
            .write(durability, |tx| {
                failed.clear();
                claimed.clear();
                counts.clear();
                stale.clear();
                due = Due::at((self.clock)());
                for request in batch.iter_mut() {
                    match request {
                        Request::Accept(accept) => {
                            let arrived = Arrived {
                                acceptance: &accept.acceptance,
                                blob: accept.commit.id(),
                                size: accept.commit.len(),
                                bytes: accept.bytes.as_ref(),
                            };
                            self.accept_in(tx, &arrived, &mut due)?;
                        }
                        Request::Conclude(conclusions, _) => {
                            let each = conclusions.iter().map(|c| self.conclude_in(tx, c, &mut due));
                            stale.push(each.collect::<db::Result<_>>()?);
                        }
                        Request::Settle(settlements) => {
                            settlements.iter().try_for_each(|s| settle_in(tx, s).map(drop))?;
                        }
                        Request::Defer(deferrals) => deferrals.iter().try_for_each(|d| defer_in(tx, d).map(drop))?,
                        Request::Note(note) => self.note_in(tx, note)?,
                        Request::Expand(expand) => self.expand_in(tx, expand, &mut due)?,
                        Request::Claim(wanted, _) => claimed.push(self.claim_in(tx, wanted, due.now)?),
                        Request::Change(change, _) => counts.push(change(tx)?),
                        Request::Close => {}
                    }
                }
                // The rows are written; now the bytes they speak of must be on disk before the commit.
                for request in batch.iter() {
                    if let Request::Accept(accept) = request {
                        let waited = accept.commit.wait();
                        if waited.is_err() {
                            forget_in(tx, accept.acceptance.id.0)?;
                            let id = accept.acceptance.id;
                            due.leased
                                .values_mut()
                                .for_each(|w| w.retain(|w| w.acceptance.id != id));
                        }
                        failed.push(waited.err().map(Error::Blobs));
                    }
                }
                Ok(())
            })
            .map_err(Failure)?;
        // Committed: the work goes to the desk first, so that it is under way when the client reads its 250.
        self.hand_over(due);
        let (mut failed, mut claimed, mut counts) = (failed.into_iter(), claimed.into_iter(), counts.into_iter());
        let mut stale = stale.into_iter();
        for request in batch.drain(..) {
            // A receiver that is gone has been disconnected; its message is in custody all the same.
            match request {
                Request::Accept(accept) => {
                    let outcome = failed.next().flatten().map_or(Ok(()), Err);
                    let _ = accept.reply.map(|r| r.send(outcome));
                }
                Request::Expand(expand) => {
                    let _ = expand.reply.map(|r| r.send(Ok(())));
                }
                Request::Claim(_, reply) => {
                    let _ = reply.send(Ok(claimed.next().unwrap_or_default()));
                }
                Request::Change(_, reply) => {
                    let _ = reply.send(Ok(counts.next().unwrap_or_default()));
                }
                Request::Conclude(_, reply) => {
                    let found = stale.next().unwrap_or_default();
                    let _ = reply.map(|r| r.send(Ok(found)));
                }
                Request::Settle(_) | Request::Defer(_) | Request::Note(_) | Request::Close => {}
            }
        }
        Ok(())
    }

    fn hand_over(&self, due: Due) {
        for (lane, work) in due.leased {
            if let Some(desk) = self.desks.of(lane)
                && !work.is_empty()
            {
                desk.put(work);
            }
        }
        for ((lane, destination), due_at) in due.left {
            if let Some(desk) = self.desks.of(lane) {
                desk.more(&destination, due_at);
            }
        }
    }

    /// Fates, later times, and what comes of them; what of it was settled or another's by now. The first fate stands. What comes of them
    /// speaks of all of them: where one has changed, nothing is written, so that nobody is told what is not so.
    fn conclude_in(&self, tx: &Transaction<'_>, c: &Conclusion, due: &mut Due) -> db::Result<Vec<(AcceptanceId, u32)>> {
        let mut stale = Vec::new();
        if !c.offspring.is_empty() {
            let settled = c.settlements.iter().map(|s| (s.acceptance, s.number, None));
            let deferred = c.deferrals.iter().map(|d| (d.acceptance, d.number, Some(d.lease)));
            for (id, number, lease) in settled.chain(deferred) {
                if !is_open_in(tx, id, number, lease)? {
                    stale.push((id, number));
                }
            }
            if !stale.is_empty() {
                return Ok(stale);
            }
        }
        for s in &c.settlements {
            if !settle_in(tx, s)? {
                stale.push((s.acceptance, s.number));
            }
        }
        for d in &c.deferrals {
            if !defer_in(tx, d)? {
                stale.push((d.acceptance, d.number));
            }
        }
        self.offspring_in(tx, &c.offspring, due)?;
        Ok(stale)
    }

    pub(crate) fn offspring_in(&self, tx: &Transaction<'_>, offspring: &[Offspring], due: &mut Due) -> db::Result<()> {
        for child in offspring {
            let arrived = Arrived {
                acceptance: &child.acceptance,
                blob: child.blob,
                size: child.size,
                bytes: child.bytes.as_ref(),
            };
            self.accept_in(tx, &arrived, due)?;
        }
        Ok(())
    }

    fn note_in(&self, tx: &Transaction<'_>, note: &Note) -> db::Result<()> {
        match note {
            Note::PutBack(keys) => put_back_in(tx, keys),
            Note::Unreachable(destination) => unreachable_in(tx, destination),
            Note::Reachable(destination) => reachable_in(tx, destination),
        }
    }

    fn claim_in(&self, tx: &Transaction<'_>, wanted: &Wanted, now: i64) -> db::Result<Claimed> {
        let claim = Claim {
            lease: self.next_lease(),
            now,
            lease_until: now
                + match wanted {
                    Wanted::Local(_) => self.lease_seconds,
                    _ => self.relay_lease_seconds,
                },
        };
        let mut work = Vec::new();
        let mut found = Vec::new();
        match wanted {
            Wanted::Local(limit) => work = record::claim_local_in(tx, &claim, *limit)?,
            Wanted::Destinations(destinations) => {
                for ask in destinations {
                    found.push(record::claim_destination_in(tx, &claim, ask)?);
                }
            }
            Wanted::Aged {
                destination,
                expired,
                late,
                limit,
            } => work = record::claim_aged_in(tx, &claim, destination, *expired, *late, *limit)?,
            Wanted::These(keys) => work = record::claim_these_in(tx, &claim, keys)?,
        }
        Ok((work, found))
    }
}

struct Failure(db::Error);

impl Failure {
    /// The same failure for each request of a batch; what can be acted on keeps its class.
    fn copy(&self) -> Error {
        Error::Db(match &self.0 {
            db::Error::NoSpace { file } => db::Error::NoSpace { file: file.clone() },
            db::Error::Busy { file } => db::Error::Busy { file: file.clone() },
            db::Error::ReadOnly { file, reason } => db::Error::ReadOnly {
                file: file.clone(),
                reason: reason.clone(),
            },
            other => db::Error::Engine {
                file: std::path::PathBuf::from("server.db"),
                reason: other.to_string(),
            },
        })
    }
}

fn refuse(request: Request, error: Error, owed: &mut Vec<Request>) {
    match request {
        Request::Accept(accept) => {
            let _ = accept.reply.map(|r| r.send(Err(error)));
        }
        Request::Expand(expand) => {
            let _ = expand.reply.map(|r| r.send(Err(error)));
        }
        Request::Claim(_, reply) => {
            let _ = reply.send(Err(error));
        }
        Request::Change(_, reply) => {
            let _ = reply.send(Err(error));
        }
        Request::Settle(_) | Request::Conclude(..) | Request::Defer(_) => {
            tracing::debug!(%error, "results can't be written now");
            owed.push(request);
        }
        // Found out again.
        Request::Note(_) | Request::Close => {}
    }
}
