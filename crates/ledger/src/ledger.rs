use crate::id::Ids;
use crate::work::{Child, Conclusion, Deferral, Desk, Settlement};
use crate::writer::{Accept, Change, Expand, Request, Writer, forget_in};
use crate::{Acceptance, AcceptanceId, Error, Lane, Result, Work};
use blobs::{Blobs, Commit};
use bytes::Bytes;
use db::{Database, Migration, Schema, Transaction};
use parking_lot::Mutex;
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
    ],
};

/// Octets of a message above which its bytes are waited for before its rows are written, so that small mail is not held up by them.
const LARGE: u64 = 256 << 10;

/// How the ledger behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a worker may keep a recipient before it is given to another, in seconds. Longer than any single delivery takes.
    pub lease_seconds: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options { lease_seconds: 900 }
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
    desk: Arc<OnceLock<Arc<dyn Desk>>>,
    requests: Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Opens the ledger in `database`, whose schemas must include [`SCHEMA`]. Whoever opens it is alone: leases of other runs are void.
    pub fn open(database: Arc<Database>, blobs: Blobs, options: &Options) -> Result<Ledger> {
        let last = database
            .read(|tx| tx.query_row("SELECT max(id) FROM acceptance", &[], |row| row.opt_i64(0)))?
            .flatten()
            .unwrap_or(0);
        let ids = Ids::above(last);
        let desk = Arc::new(OnceLock::new());
        let (sender, requests) = channel();
        let writer = Writer {
            database: Arc::clone(&database),
            desk: Arc::clone(&desk),
            holder: ids.next().0,
            lease_seconds: options.lease_seconds,
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
                desk,
                requests: sender,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Where work goes as soon as it is durable. Once; before it is called, what is accepted just stays due.
    pub fn desk_set(&self, desk: Arc<dyn Desk>) {
        if self.inner.desk.set(desk).is_err() {
            tracing::error!("the ledger has a desk already");
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
        let (reply, answer) = oneshot::channel();
        self.send(Request::Expand(Box::new(Expand {
            work,
            children,
            detail,
            at: now(),
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
        let _ = self.send(Request::Conclude(conclusions));
    }

    /// Keeps recipients open after a failed attempt.
    pub fn defer(&self, deferrals: Vec<Deferral>) {
        let _ = self.send(Request::Defer(deferrals));
    }

    /// Leases up to `limit` due recipients.
    pub async fn claim(&self, lane: Lane, limit: u32) -> Result<Vec<Work>> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Claim { lane, limit, reply })?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Makes an open recipient (or all of a message) due now; how many.
    pub async fn retry(&self, acceptance: AcceptanceId, number: Option<u32>) -> Result<u64> {
        self.each_open(
            "UPDATE recipient SET due_at = ?3 WHERE acceptance = ?1 AND (number = ?2 OR ?2 < 0) AND state = 0",
            acceptance,
            number,
        )
        .await
    }

    /// Holds open recipients back until they are released; how many.
    pub async fn hold(&self, acceptance: AcceptanceId, number: Option<u32>) -> Result<u64> {
        self.each_open(
            "UPDATE recipient SET state = 2, reason = 'held by an administrator', due_at = ?3, lease_holder = 0, lease_until = 0
             WHERE acceptance = ?1 AND (number = ?2 OR ?2 < 0) AND state = 0",
            acceptance,
            number,
        )
        .await
    }

    /// Makes held recipients due again; how many.
    pub async fn release(&self, acceptance: AcceptanceId, number: Option<u32>) -> Result<u64> {
        self.each_open(
            "UPDATE recipient SET state = 0, reason = NULL, due_at = ?3 WHERE acceptance = ?1 AND (number = ?2 OR ?2 < 0) AND state = 2",
            acceptance,
            number,
        )
        .await
    }

    async fn each_open(&self, sql: &'static str, acceptance: AcceptanceId, number: Option<u32>) -> Result<u64> {
        let number = number.map_or(-1, i64::from);
        let changed = self
            .change(Box::new(move |tx: &Transaction<'_>| {
                let rows = tx.execute(sql, &[acceptance.0.into(), number.into(), now().into()])?;
                Ok(rows as u64)
            }))
            .await?;
        if let Some(desk) = self.inner.desk.get() {
            desk.more(Lane::Local);
            desk.more(Lane::Remote);
        }
        Ok(changed)
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

    async fn change(&self, change: Change) -> Result<u64> {
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
