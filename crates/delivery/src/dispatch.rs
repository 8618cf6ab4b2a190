//! Routes due recipients and runs the workers.
//!
//! Exposed to: nothing from outside; it reads what was accepted, which may be hostile. May touch: accounts, the ledger.
//! A worker that panics over a message is caught, the message is kept and named in the queue, and the worker goes on.

use crate::desk::{Task, Waiting};
use crate::local::Local;
use crate::retry::Strategy;
use db::AccountId;
use directory::{Directory, Resolution};
use filter::Filter;
use ledger::{Child, Deferral, Desk, Lane, Ledger, Work};
use net::now;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::Store;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How often rows whose time has come are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Recipients taken from the ledger at a time.
const CLAIM: u32 = 512;
/// Addresses that one alias may stand for; a larger one is for a mailing list.
const MAX_TARGETS: usize = 10_000;

/// How delivery behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that deliver. Each waits for the disk most of the time; one slow account occupies one of them.
    pub workers: usize,
    /// Whether `ada+list@` goes into a mailbox named `list`, where there is one.
    pub subaddress_mailbox: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            workers: 6,
            subaddress_mailbox: true,
        }
    }
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Recipients delivered.
    pub delivered: u64,
    /// Attempts that failed.
    pub deferred: u64,
    /// Recipients expanded.
    pub expanded: u64,
    /// Recipients waiting in memory for a worker.
    pub waiting: u64,
}

/// Local delivery, running.
pub struct Dispatch {
    shared: Arc<Shared>,
    threads: Vec<std::thread::JoinHandle<()>>,
    looking: tokio::task::JoinHandle<()>,
}

struct Shared {
    waiting: Waiting,
    directory: Directory,
    ledger: Ledger,
    local: Local,
    look: Notify,
    delivered: AtomicU64,
    deferred: AtomicU64,
    expanded: AtomicU64,
}

impl Dispatch {
    /// Starts delivering whatever is or becomes due. Called once, within a tokio runtime.
    pub fn start(
        ledger: Ledger,
        store: Arc<Store>,
        directory: Directory,
        filter: Arc<Filter>,
        options: &Options,
    ) -> std::io::Result<Dispatch> {
        let shared = Arc::new(Shared {
            waiting: Waiting::default(),
            local: Local::new(
                store,
                directory.clone(),
                ledger.clone(),
                filter,
                options.subaddress_mailbox,
            ),
            directory,
            ledger,
            look: Notify::new(),
            delivered: AtomicU64::new(0),
            deferred: AtomicU64::new(0),
            expanded: AtomicU64::new(0),
        });
        shared
            .ledger
            .desk_set(Lane::Local, Arc::new(Front(Arc::downgrade(&shared))));
        let runtime = Handle::current();
        let mut threads = Vec::new();
        for n in 0..options.workers.max(1) {
            let (shared, runtime) = (Arc::clone(&shared), runtime.clone());
            let worker = std::thread::Builder::new().name(format!("deliver-{n}"));
            threads.push(worker.spawn(move || shared.work(&runtime))?);
        }
        let looker = Arc::clone(&shared);
        let looking = runtime.spawn(async move { looker.look_for_due().await });
        Ok(Dispatch {
            shared,
            threads,
            looking,
        })
    }

    /// Counts since the start.
    pub fn statistics(&self) -> Statistics {
        let s = &self.shared;
        Statistics {
            delivered: s.delivered.load(Ordering::Relaxed),
            deferred: s.deferred.load(Ordering::Relaxed),
            expanded: s.expanded.load(Ordering::Relaxed),
            waiting: s.waiting.len() as u64,
        }
    }

    /// Lets the workers finish what they have in hand and stops them. What waits stays due in the ledger. Blocks.
    pub fn stop(self) {
        self.looking.abort();
        self.shared.waiting.close();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a delivery worker had died");
            }
        }
    }
}

/// The ledger's way in. Weak, because the ledger outlives delivery.
struct Front(std::sync::Weak<Shared>);

impl Desk for Front {
    fn room(&self) -> usize {
        self.0.upgrade().map_or(0, |s| s.waiting.room())
    }

    fn put(&self, work: Vec<Work>) {
        if let Some(shared) = self.0.upgrade() {
            work.into_iter().for_each(|w| shared.route(w));
        }
    }

    fn more(&self, _: &Arc<str>, due_at: i64) {
        if due_at <= now()
            && let Some(shared) = self.0.upgrade()
        {
            shared.look.notify_one();
        }
    }
}

impl Shared {
    /// Finds out what becomes of a recipient and puts it where that is done.
    fn route(&self, work: Work) {
        match self.directory.resolve(&work.address) {
            Resolution::Account {
                account, subaddress, ..
            } => self.waiting.deliver(account, subaddress, work),
            Resolution::Alias { name, targets } if targets.len() <= MAX_TARGETS => {
                self.waiting.expand(work, name, targets);
            }
            Resolution::Alias { .. } => {
                self.keep(&work, Strategy::AddressGone, "the alias stands for too many addresses");
            }
            Resolution::Disabled { .. } => self.keep(&work, Strategy::AddressGone, "the account is disabled"),
            // The domain was ours when it was accepted.
            _ => self.keep(&work, Strategy::AddressGone, "the address is not known any more"),
        }
    }

    fn keep(&self, work: &Work, strategy: Strategy, reason: &str) {
        self.deferred.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(acceptance = %work.acceptance.id, recipient = %work.address, strategy = strategy.name(), reason, "delivery deferred");
        self.ledger.defer(vec![Deferral {
            acceptance: work.acceptance.id,
            number: work.number,
            lease: work.lease,
            due_at: now() + strategy.wait(work.attempts),
            reason: reason.to_owned(),
            strategy: strategy.name(),
            delay_told: false,
            failed: true,
            attempt: None,
        }]);
    }

    async fn look_for_due(&self) {
        loop {
            let room = u32::try_from(self.waiting.room()).unwrap_or(CLAIM).min(CLAIM);
            let found = if room == 0 {
                0
            } else {
                match self.ledger.claim(room).await {
                    Ok(work) => {
                        let found = work.len();
                        work.into_iter().for_each(|w| self.route(w));
                        found
                    }
                    Err(ledger::Error::Closing) => return,
                    Err(e) => {
                        tracing::warn!(error = %e, "the ledger can't be read for due mail");
                        0
                    }
                }
            };
            if found == 0 || room < CLAIM {
                // A wake-up while there was no room must not spin: the wait is always at least a moment.
                let _ = tokio::time::timeout(LOOK_EVERY, self.look.notified()).await;
                if room == 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn work(&self, runtime: &Handle) {
        while let Some(task) = self.waiting.next() {
            match task {
                Task::Expand(work, name, targets) => self.expand(runtime, *work, &name, targets),
                Task::Deliver(account, turn) => {
                    self.deliver(account, turn);
                    self.waiting.done(account);
                }
            }
        }
    }

    fn deliver(&self, account: AccountId, turn: Vec<(Work, Option<String>)>) {
        let now = now();
        // What waited too long may have been given to another by now.
        let turn: Vec<_> = turn.into_iter().filter(|(w, _)| w.lease_until > now).collect();
        if turn.is_empty() {
            return;
        }
        let kept: Vec<Work> = turn
            .iter()
            .map(|(w, _)| Work {
                bytes: None,
                ..w.clone()
            })
            .collect();
        match catch_unwind(AssertUnwindSafe(|| self.local.deliver(account, turn, now))) {
            Ok(outcome) => {
                self.delivered.fetch_add(outcome.delivered, Ordering::Relaxed);
                self.deferred.fetch_add(outcome.deferred, Ordering::Relaxed);
            }
            Err(_) => {
                for work in &kept {
                    self.keep(
                        work,
                        Strategy::Damaged,
                        "delivering it failed in our own code; please report this",
                    );
                }
            }
        }
    }

    fn expand(&self, runtime: &Handle, work: Work, name: &str, targets: Vec<String>) {
        let children = targets
            .into_iter()
            .map(|address| Child {
                lane: match self.directory.resolve(&address) {
                    Resolution::Remote => Lane::Remote,
                    _ => Lane::Local,
                },
                address,
                original: work.original.clone(),
                notify: None,
            })
            .collect();
        let detail = format!("alias {name}");
        let kept = Work {
            bytes: None,
            ..work.clone()
        };
        match runtime.block_on(self.ledger.expand(work, children, Some(detail))) {
            Ok(()) => {
                self.expanded.fetch_add(1, Ordering::Relaxed);
            }
            Err(ledger::Error::Closing) => {}
            Err(e) => {
                let strategy = if e.is_no_space() {
                    Strategy::ShortOfSpace
                } else {
                    Strategy::Transient
                };
                self.keep(&kept, strategy, &e.to_string());
            }
        }
    }
}
