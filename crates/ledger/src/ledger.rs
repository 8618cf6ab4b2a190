use crate::id::Ids;
use crate::outcome::forget_in;
use crate::work::{Child, Conclusion, Deferral, Desk, Lease, Offspring, Settlement};
use crate::writer::{Accept, Ask, Change, Claimed, Expand, Found, Note, Request, Wanted, Writer};
use crate::{Acceptance, AcceptanceId, Error, Lane, Result, Unreachable, Work};
use blobs::{Blobs, Commit};
use bytes::Bytes;
use db::{Database, Durability, Migration, Schema, Transaction};
use parking_lot::Mutex;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// The tables of the ledger, in `server.db`.
pub const SCHEMA: Schema = Schema {
    component: "ledger",
    steps: &[
        Migration {
            name: "acceptances and recipients",
            sql: include_str!("../migrations/0001_custody.sql"),
        },
        Migration {
            name: "messages that come from messages",
            sql: include_str!("../migrations/0002_parent.sql"),
        },
        Migration {
            name: "the way to other servers",
            sql: include_str!("../migrations/0003_relay.sql"),
        },
    ],
};

/// Octets of a message above which its bytes are waited for before its rows are written, so that small mail is not held up by them.
const LARGE: u64 = 256 << 10;

/// How the ledger behaves.
#[derive(Clone)]
pub struct Options {
    /// How long a worker may keep a recipient before it is given to another, in seconds. Longer than any single delivery takes.
    pub lease_seconds: i64,
    /// The same for recipients elsewhere: longer than a transaction takes with a server that is slow at every step (RFC 5321 §4.5.3.2), after
    /// waiting in memory for its turn.
    pub relay_lease_seconds: i64,
    /// What time it is. The system's clock, but for simulations.
    pub clock: Clock,
}

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Options {
            lease_seconds: 900,
            relay_lease_seconds: 4 * 3600,
            clock: Arc::new(now),
        }
    }
}

/// The ledger. Cheap to clone; the last clone that goes ends the writing thread after it has written what it was given.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    database: Arc<Database>,
    blobs: Blobs,
    ids: Ids,
    desks: Arc<Desks>,
    clock: Clock,
    requests: Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where due work goes, by lane.
#[derive(Default)]
pub(crate) struct Desks {
    local: OnceLock<Arc<dyn Desk>>,
    remote: OnceLock<Arc<dyn Desk>>,
}

impl Desks {
    fn place(&self, lane: Lane) -> &OnceLock<Arc<dyn Desk>> {
        match lane {
            Lane::Local => &self.local,
            Lane::Remote => &self.remote,
        }
    }

    pub(crate) fn of(&self, lane: Lane) -> Option<&Arc<dyn Desk>> {
        self.place(lane).get()
    }
}

impl Ledger {
    /// Opens the ledger in `database`, whose schemas must include [`SCHEMA`]. Whoever opens it is alone: leases of other runs are void.
    /// Rows that waited before lifetimes were kept begin theirs now.
    pub fn open(database: Arc<Database>, blobs: Blobs, options: &Options) -> Result<Ledger> {
        let last = database
            .read(|tx| tx.query_row("SELECT max(id) FROM acceptance", &[], |row| row.opt_i64(0)))?
            .flatten()
            .unwrap_or(0);
        let ids = Ids::above(last);
        let begun = (options.clock)();
        database.write(Durability::Deferred, |tx| {
            tx.execute(
                "UPDATE recipient SET lease_holder = 0, lease_until = 0, queued_at = CASE queued_at WHEN 0 THEN ?1 ELSE queued_at END
                 WHERE state <> 1 AND (lease_until <> 0 OR queued_at = 0)",
                &[begun.into()],
            )
        })?;
        let desks = Arc::new(Desks::default());
        let (sender, requests) = channel();
        let writer = Writer {
            database: Arc::clone(&database),
            desks: Arc::clone(&desks),
            leases: AtomicI64::new(0),
            lease_seconds: options.lease_seconds,
            relay_lease_seconds: options.relay_lease_seconds,
            clock: Arc::clone(&options.clock),
        };
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.run(&requests))
            .map_err(Error::Thread)?;
        Ok(Ledger {
            inner: Arc::new(Inner {
                database,
                blobs,
                ids,
                desks,
                clock: Arc::clone(&options.clock),
                requests: sender,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Where work of a lane goes as soon as it is durable. Once; before it is called, what is accepted just stays due.
    pub fn desk_set(&self, lane: Lane, desk: Arc<dyn Desk>) {
        if self.inner.desks.place(lane).set(desk).is_err() {
            tracing::error!(lane = lane.name(), "the ledger has a desk for it already");
        }
    }

    /// The message bytes that the ledger refers to.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// An id for the message that is about to come in.
    pub fn next_id(&self) -> AcceptanceId {
        self.inner.ids.next()
    }

    /// Takes a message into custody for all its recipients or none. When it returns `Ok`, bytes and rows are durable and `250`
    /// may be answered. `bytes` saves local delivery the reading.
    pub async fn accept(&self, acceptance: Acceptance, commit: Commit, bytes: Option<Bytes>) -> Result<()> {
        if commit.len() > LARGE {
            // A batch waits for the slowest of its blobs: large ones reach the disk before they join one.
            commit.durable().await?;
        }
        let (reply, answer) = oneshot::channel();
        self.send(Request::Accept(Box::new(Accept {
            acceptance,
            commit,
            bytes,
            reply: Some(reply),
        })))?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Replaces a recipient by others, in one transaction. A child whose address is a recipient of the message already becomes a row with
    /// the fate `duplicate`.
    pub async fn expand(&self, work: Work, children: Vec<Child>, detail: Option<String>) -> Result<()> {
        self.expand_with(work, children, Vec::new(), detail).await
    }

    /// The same, with messages that come of it: what is sent on, whose bytes must be durable already.
    pub async fn expand_with(
        &self,
        work: Work,
        children: Vec<Child>,
        offspring: Vec<Offspring>,
        detail: Option<String>,
    ) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Expand(Box::new(Expand {
            work,
            children,
            offspring,
            detail,
            at: self.now(),
            reply: Some(reply),
        })))?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Writes fates, soon. What they speak of must be durable already. The first fate of a recipient stands.
    pub fn settle(&self, settlements: Vec<Settlement>) {
        // Closing: the rows stay open and the work will be done again, which is harmless.
        let _ = self.send(Request::Settle(settlements));
    }

    /// Writes fates together with the messages that come of them: both or neither, and once, since the first fate of a recipient stands. The
    /// messages' bytes must be durable already; they are due as soon as their rows are.
    pub fn conclude(&self, conclusions: Vec<Conclusion>) {
        let _ = self.send(Request::Conclude(conclusions, None));
    }

    /// Likewise, and waits until it is durable; for each conclusion, which of its recipients were settled or another's by then. While it can't
    /// be written (the disk is full), it is tried again. Blocks.
    pub fn conclude_all(&self, conclusions: Vec<Conclusion>) -> Result<Vec<Vec<(AcceptanceId, u32)>>> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Conclude(conclusions, Some(reply)))?;
        answer.blocking_recv().map_err(|_| Error::Closing)?
    }

    /// Keeps recipients open after a failed attempt.
    pub fn defer(&self, deferrals: Vec<Deferral>) {
        let _ = self.send(Request::Defer(deferrals));
    }

    /// Leases up to `limit` due recipients of ours.
    pub async fn claim(&self, limit: u32) -> Result<Vec<Work>> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Claim(Wanted::Local(limit), reply))?;
        Ok(answer.await.map_err(|_| Error::Closing)??.0)
    }

    /// Leases due recipients of destinations: people's mail first, and where more is due than asked for, something of every sender in turn.
    /// Blocks.
    pub fn claim_destinations(&self, destinations: Vec<Ask>) -> Result<Vec<Found>> {
        Ok(self.claim_blocking(Wanted::Destinations(destinations))?.1)
    }

    /// Leases recipients of a destination whose lifetime began at or before `expired`, and such as are to be told that they are late because
    /// it began at or before `late`. Blocks.
    pub fn claim_aged(&self, destination: Arc<str>, expired: i64, late: Option<i64>, limit: u32) -> Result<Vec<Work>> {
        let wanted = Wanted::Aged {
            destination,
            expired,
            late,
            limit,
        };
        Ok(self.claim_blocking(wanted)?.0)
    }

    /// Leases these recipients as far as they are open, held ones too, and nobody has them. Blocks.
    pub fn claim_these(&self, recipients: Vec<(AcceptanceId, u32)>) -> Result<Vec<Work>> {
        Ok(self.claim_blocking(Wanted::These(recipients))?.0)
    }

    fn claim_blocking(&self, wanted: Wanted) -> Result<Claimed> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Claim(wanted, reply))?;
        answer.blocking_recv().map_err(|_| Error::Closing)?
    }

    /// Gives leased recipients back, untried: they are due as before.
    pub fn put_back(&self, recipients: Vec<(AcceptanceId, u32, Lease)>) {
        let _ = self.send(Request::Note(Note::PutBack(recipients)));
    }

    /// Remembers, across restarts, that a destination can't be reached.
    pub fn unreachable(&self, destination: Unreachable) {
        let _ = self.send(Request::Note(Note::Unreachable(destination)));
    }

    /// Forgets that a destination could not be reached.
    pub fn reachable(&self, destination: Arc<str>) {
        let _ = self.send(Request::Note(Note::Reachable(destination)));
    }

    /// What time it is for the ledger.
    pub fn now(&self) -> i64 {
        (self.inner.clock)()
    }

    pub(crate) fn desk(&self, lane: Lane) -> Option<&Arc<dyn Desk>> {
        self.inner.desks.of(lane)
    }

    /// Deletes history: messages accepted before that time all of whose recipients are settled. At most `limit`; how many.
    pub async fn history_forget(&self, before: i64, limit: u32) -> Result<u64> {
        let before = AcceptanceId::at(before);
        self.change(Box::new(move |tx: &Transaction<'_>| {
            let old = tx.query_all(
                "SELECT id FROM acceptance WHERE id < ?1
                    AND NOT EXISTS (SELECT 1 FROM recipient WHERE recipient.acceptance = acceptance.id AND state <> 1)
                 ORDER BY id LIMIT ?2",
                &[before.0.into(), limit.into()],
                |row| row.i64(0),
            )?;
            for id in &old {
                forget_in(tx, *id)?;
            }
            Ok(old.len() as u64)
        }))
        .await
    }

    pub(crate) async fn change(&self, change: Change) -> Result<u64> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Change(change, reply))?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Writes everything handed in so far, then stops: later requests are refused.
    pub fn close(&self) {
        let _ = self.inner.requests.send(Request::Close);
        if let Some(thread) = self.inner.thread.lock().take() {
            let _ = thread.join();
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    fn send(&self, request: Request) -> Result<()> {
        self.inner.requests.send(request).map_err(|_| Error::Closing)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Close);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
