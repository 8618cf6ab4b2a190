//! The one thread that writes. It takes all requests that have gathered, writes them in one transaction and answers them when it is
//! committed. Rows are written while the messages' bytes are still on their way to the disk; the commit waits for them.

use crate::work::{Child, Conclusion, Deferral, Desk, Fate, Settlement};
use crate::{Acceptance, Error, Lane, NewRecipient, Result, Work, record};
use blobs::{BlobId, Commit};
use bytes::Bytes;
use db::{Database, Durability, Transaction};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
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
    Conclude(Vec<Conclusion>),
    Defer(Vec<Deferral>),
    Expand(Box<Expand>),
    Claim {
        lane: Lane,
        limit: u32,
        reply: Reply<Vec<Work>>,
    },
    Change(Change, Reply<u64>),
    Close,
}

pub(crate) struct Accept {
    pub(crate) acceptance: Acceptance,
    pub(crate) commit: Commit,
    pub(crate) bytes: Option<Bytes>,
    pub(crate) reply: Option<Reply<()>>,
}

pub(crate) struct Expand {
    pub(crate) work: Work,
    pub(crate) children: Vec<Child>,
    pub(crate) detail: Option<String>,
    pub(crate) at: i64,
    pub(crate) reply: Option<Reply<()>>,
}

pub(crate) struct Writer {
    pub(crate) database: Arc<Database>,
    pub(crate) desk: Arc<OnceLock<Arc<dyn Desk>>>,
    /// This run of the program: what another run leased is free.
    pub(crate) holder: i64,
    pub(crate) lease_seconds: i64,
}

/// What a batch makes due, by lane.
#[derive(Default)]
struct Due {
    leased: BTreeMap<Lane, Vec<Work>>,
    left: BTreeMap<Lane, usize>,
}

impl Writer {
    pub(crate) fn run(self, requests: &Receiver<Request>) {
        // Settlements and deferrals of a batch that failed: they must be written some time.
        let mut owed: Vec<Request> = Vec::new();
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
            self.write(batch, &mut owed);
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
        let durability = if batch
            .iter()
            .all(|r| matches!(r, Request::Settle(_) | Request::Defer(_) | Request::Claim { .. }))
        {
            Durability::Deferred
        } else {
            Durability::Synced
        };
        let mut failed: Vec<Option<Error>> = Vec::new();
        let mut claimed: Vec<Vec<Work>> = Vec::new();
        let mut counts: Vec<u64> = Vec::new();
        let mut due = Due::default();
        self.database
            .write(durability, |tx| {
                failed.clear();
                claimed.clear();
                counts.clear();
                due = Due::default();
                let now = crate::ledger::now();
                let mut room: BTreeMap<Lane, usize> = BTreeMap::new();
                for request in batch.iter_mut() {
                    match request {
                        Request::Accept(accept) => {
                            let arrived = Arrived {
                                acceptance: &accept.acceptance,
                                blob: accept.commit.id(),
                                size: accept.commit.len(),
                                bytes: accept.bytes.as_ref(),
                            };
                            self.accept_in(tx, &arrived, now, &mut room, &mut due)?;
                        }
                        Request::Conclude(conclusions) => {
                            for c in conclusions.iter() {
                                // The first fate stands, and with it what came of it.
                                if !settle_in(tx, &c.settlement)? {
                                    continue;
                                }
                                for child in &c.offspring {
                                    let arrived = Arrived {
                                        acceptance: &child.acceptance,
                                        blob: child.blob,
                                        size: child.size,
                                        bytes: child.bytes.as_ref(),
                                    };
                                    self.accept_in(tx, &arrived, now, &mut room, &mut due)?;
                                }
                            }
                        }
                        Request::Settle(settlements) => {
                            settlements.iter().try_for_each(|s| settle_in(tx, s).map(drop))?;
                        }
                        Request::Defer(deferrals) => deferrals.iter().try_for_each(|d| defer_in(tx, d))?,
                        Request::Expand(expand) => self.expand_in(tx, expand, now, &mut room, &mut due)?,
                        Request::Claim { lane, limit, .. } => {
                            let until = now + self.lease_seconds;
                            claimed.push(record::claim_in(tx, self.holder, *lane, now, until, *limit)?);
                        }
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
                Request::Claim { reply, .. } => {
                    let _ = reply.send(Ok(claimed.next().unwrap_or_default()));
                }
                Request::Change(_, reply) => {
                    let _ = reply.send(Ok(counts.next().unwrap_or_default()));
                }
                Request::Settle(_) | Request::Conclude(_) | Request::Defer(_) | Request::Close => {}
            }
        }
        Ok(())
    }

    fn hand_over(&self, due: Due) {
        let Some(desk) = self.desk.get() else { return };
        for (lane, work) in due.leased {
            if !work.is_empty() {
                desk.put(lane, work);
            }
        }
        for (lane, _) in due.left.into_iter().filter(|(_, n)| *n > 0) {
            desk.more(lane);
        }
    }

    fn room<'r>(&self, room: &'r mut BTreeMap<Lane, usize>, lane: Lane) -> &'r mut usize {
        room.entry(lane)
            .or_insert_with(|| self.desk.get().map_or(0, |desk| desk.room(lane)))
    }

    fn accept_in(
        &self,
        tx: &Transaction<'_>,
        arrived: &Arrived<'_>,
        now: i64,
        room: &mut BTreeMap<Lane, usize>,
        due: &mut Due,
    ) -> db::Result<()> {
        let a = arrived.acceptance;
        tx.execute(
            "INSERT INTO acceptance (id, received_at, sender, blob, size, recipients, protocol, listener, client, helo, tls, login, envid,
                ret, body, smtputf8, session, message_id, notes, parent, parent_number)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
            &[
                a.id.0.into(),
                a.received_at.into(),
                (&a.sender).into(),
                arrived.blob.as_bytes().into(),
                arrived.size.cast_signed().into(),
                i64::try_from(a.recipients.len()).unwrap_or(i64::MAX).into(),
                (&a.protocol).into(),
                (&a.listener).into(),
                (&a.client).into(),
                (&a.helo).into(),
                a.tls.as_ref().into(),
                a.login.map(|l| l.0).into(),
                a.envid.as_ref().into(),
                a.ret.as_ref().into(),
                (&a.body).into(),
                a.smtputf8.into(),
                (&a.session).into(),
                a.message_id.as_ref().into(),
                a.notes.as_ref().into(),
                a.parent.map(|(id, _)| id.0).into(),
                a.parent.map(|(_, number)| number).into(),
            ],
        )?;
        let shared = Arc::new(Acceptance {
            recipients: Vec::new(),
            ..a.clone()
        });
        for (number, recipient) in (0u32..).zip(&a.recipients) {
            let template = Template {
                acceptance: &shared,
                blob: arrived.blob,
                size: arrived.size,
                bytes: arrived.bytes,
                parent: None,
            };
            self.recipient_in(tx, &template, number, recipient, now, room, due)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn recipient_in(
        &self,
        tx: &Transaction<'_>,
        template: &Template<'_>,
        number: u32,
        recipient: &NewRecipient,
        now: i64,
        room: &mut BTreeMap<Lane, usize>,
        due: &mut Due,
    ) -> db::Result<()> {
        let lane = recipient.lane;
        let room = self.room(room, lane);
        let leased = *room > 0;
        let lease_until = if leased { now + self.lease_seconds } else { 0 };
        tx.execute(
            "INSERT INTO recipient (acceptance, number, parent, address, original, notify, lane, state, due_at, lease_holder, lease_until,
                attempts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, 0)",
            &[
                template.acceptance.id.0.into(),
                number.into(),
                template.parent.into(),
                (&recipient.address).into(),
                recipient.original.as_ref().into(),
                recipient.notify.as_ref().into(),
                lane.number().into(),
                now.into(),
                if leased { self.holder } else { 0 }.into(),
                lease_until.into(),
            ],
        )?;
        if !leased {
            *due.left.entry(lane).or_default() += 1;
            return Ok(());
        }
        *room -= 1;
        due.leased.entry(lane).or_default().push(Work {
            acceptance: Arc::clone(template.acceptance),
            blob: template.blob,
            size: template.size,
            bytes: template.bytes.cloned(),
            number,
            parent: template.parent,
            address: recipient.address.clone(),
            original: recipient.original.clone(),
            attempts: 0,
            lease_until,
        });
        Ok(())
    }

    fn expand_in(
        &self,
        tx: &Transaction<'_>,
        expand: &Expand,
        now: i64,
        room: &mut BTreeMap<Lane, usize>,
        due: &mut Due,
    ) -> db::Result<()> {
        let work = &expand.work;
        let id = work.acceptance.id;
        let first = settle_in(
            tx,
            &Settlement {
                acceptance: id,
                number: work.number,
                fate: Fate::Expanded,
                at: expand.at,
                detail: expand.detail.clone(),
                account: None,
                place: None,
            },
        )?;
        if !first {
            // Ordered again by a worker whose lease ran out: the children are there.
            return Ok(());
        }
        let known = tx.query_all(
            "SELECT number, address FROM recipient WHERE acceptance = ?1",
            &[id.0.into()],
            |row| Ok((row.u32(0)?, row.text(1)?.to_owned())),
        )?;
        let next = known.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
        let mut seen: std::collections::HashSet<String> = known.into_iter().map(|(_, address)| address).collect();
        let template = Template {
            acceptance: &work.acceptance,
            blob: work.blob,
            size: work.size,
            bytes: work.bytes.as_ref(),
            parent: Some(work.number),
        };
        for (number, child) in (next..).zip(&expand.children) {
            if seen.insert(child.address.clone()) {
                self.recipient_in(tx, &template, number, child, now, room, due)?;
            } else {
                // Recorded, so that the trace explains why there is one copy.
                tx.execute(
                    "INSERT INTO recipient (acceptance, number, parent, address, lane, state, due_at, lease_holder, lease_until, attempts,
                        fate, settled_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, 0, 0, 0, 'duplicate', ?6)",
                    &[
                        id.0.into(),
                        number.into(),
                        work.number.into(),
                        (&child.address).into(),
                        child.lane.number().into(),
                        now.into(),
                    ],
                )?;
            }
        }
        Ok(())
    }
}

/// A message as it comes into custody.
struct Arrived<'a> {
    acceptance: &'a Acceptance,
    blob: BlobId,
    size: u64,
    bytes: Option<&'a Bytes>,
}

struct Template<'t> {
    acceptance: &'t Arc<Acceptance>,
    blob: BlobId,
    size: u64,
    bytes: Option<&'t Bytes>,
    parent: Option<u32>,
}

/// Only an open row can be settled: the first fate stands. Whether this was it.
fn settle_in(tx: &Transaction<'_>, s: &Settlement) -> db::Result<bool> {
    let rows = tx.execute(
        "UPDATE recipient SET state = 1, fate = ?3, settled_at = ?4, detail = ?5, account = ?6, mailbox = ?7, uid = ?8, lease_holder = 0,
            lease_until = 0, reason = NULL
         WHERE acceptance = ?1 AND number = ?2 AND state <> 1",
        &[
            s.acceptance.0.into(),
            s.number.into(),
            s.fate.name().into(),
            s.at.into(),
            s.detail.as_ref().into(),
            s.account.map(|a| a.0).into(),
            s.place.map(|(mailbox, _)| mailbox).into(),
            s.place.map(|(_, uid)| uid).into(),
        ],
    )?;
    if rows == 0 {
        tracing::debug!(acceptance = %s.acceptance, number = s.number, fate = s.fate.name(), "settled before");
    }
    Ok(rows > 0)
}

fn defer_in(tx: &Transaction<'_>, d: &Deferral) -> db::Result<()> {
    tx.execute(
        "UPDATE recipient SET due_at = ?3, attempts = attempts + 1, reason = ?4, strategy = ?5, lease_holder = 0, lease_until = 0
         WHERE acceptance = ?1 AND number = ?2 AND state <> 1",
        &[
            d.acceptance.0.into(),
            d.number.into(),
            d.due_at.into(),
            (&d.reason).into(),
            d.strategy.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn forget_in(tx: &Transaction<'_>, acceptance: i64) -> db::Result<()> {
    tx.execute("DELETE FROM recipient WHERE acceptance = ?1", &[acceptance.into()])?;
    tx.execute("DELETE FROM acceptance WHERE id = ?1", &[acceptance.into()])?;
    Ok(())
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
        Request::Claim { reply, .. } => {
            let _ = reply.send(Err(error));
        }
        Request::Change(_, reply) => {
            let _ = reply.send(Err(error));
        }
        Request::Settle(_) | Request::Conclude(_) | Request::Defer(_) => {
            tracing::warn!(error = %error, "results can't be written now; they will be tried again");
            owed.push(request);
        }
        Request::Close => {}
    }
}
