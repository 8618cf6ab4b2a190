//! The queue runner: takes what is due for other servers out of the ledger and hands it to the [`Transport`].
//!
//! Exposed to: nothing by itself; what other servers say comes in by the transport, bounded there. May touch: the ledger, message bytes.
//!
//! Fresh mail comes by the [`Desk`], with its bytes, as soon as it is durable; everything else is claimed in batches by destination when its
//! time comes. The [`Scheduler`] decides who gets a connection; each connection is a task of its own ([`courier`](super::courier)). What comes
//! of a transaction is written by the [`Settler`] for all connections that finished meanwhile, and is on disk before the connection takes
//! its next message: so a crash leaves at most one message on each connection of which we don't know that it was taken.

use super::courier;
use super::schedule::{self, Strategy};
use super::scheduler::{Load, Scheduler};
use super::settler::Settler;
use super::transport::{Destination, Terms, Transport};
use super::window::{Bundle, leases};
use crate::notifier::Notifier;
use blobs::Blobs;
use ledger::{AcceptanceId, Desk, Lane, Ledger, Unreachable, Work};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// How often it is looked for mail that no timer knows of. Nothing should be found; it is there so that a fault of ours costs minutes.
const SWEEP: Duration = Duration::from_secs(300);
/// How long to wait after the ledger could not be read.
const AGAIN: i64 = 5;

/// How relaying behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections to all other servers at once.
    pub connections: usize,
    /// How long a connection without work is kept for the next message.
    pub linger: Duration,
    /// Messages after which a connection makes room, where other destinations wait and there are no more.
    pub quantum: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connections: 200,
            linger: Duration::from_secs(2),
            quantum: 10,
        }
    }
}

/// Counts since the start, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Recipients taken by other servers.
    pub relayed: u64,
    /// Recipients given up.
    pub failed: u64,
    /// Recipients put off after an attempt.
    pub deferred: u64,
    /// Recipients that may have been taken: the connection ended after the data and before the answer.
    pub doubtful: u64,
    /// Connections made.
    pub connected: u64,
    /// Connections that could not be made.
    pub not_connected: u64,
    /// Connections there are.
    pub connections: u64,
    /// Recipients waiting in memory.
    pub waiting: u64,
    /// Destinations with mail.
    pub destinations: u64,
    /// Of these, such as can't be reached.
    pub unreachable: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) relayed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) deferred: AtomicU64,
    pub(crate) doubtful: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) not_connected: AtomicU64,
}

/// Relaying, running.
pub struct Relay<T: Transport> {
    shared: Arc<Shared<T>>,
    running: JoinHandle<()>,
}

pub(crate) struct Shared<T: Transport> {
    pub(crate) ledger: Ledger,
    pub(crate) blobs: Blobs,
    pub(crate) transport: Arc<T>,
    pub(crate) options: Options,
    pub(crate) settler: Settler,
    pub(crate) counters: Counters,
    pub(crate) stopping: AtomicBool,
    pub(crate) stop: Notify,
    pub(crate) scheduler: Mutex<Scheduler>,
    wake: Notify,
    couriers: Mutex<JoinSet<()>>,
    runtime: Handle,
}

impl<T: Transport> Relay<T> {
    /// Starts relaying whatever is or becomes due. Called once, within a tokio runtime.
    pub fn start(
        ledger: Ledger,
        blobs: Blobs,
        transport: Arc<T>,
        notifier: Arc<Notifier>,
        options: Options,
    ) -> Relay<T> {
        let shared = Arc::new(Shared {
            settler: Settler::start(ledger.clone(), notifier),
            scheduler: Mutex::new(Scheduler::new(options.connections)),
            ledger,
            blobs,
            transport,
            options,
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            wake: Notify::new(),
            couriers: Mutex::new(JoinSet::new()),
            runtime: Handle::current(),
        });
        shared
            .ledger
            .desk_set(Lane::Remote, Arc::new(Front(Arc::downgrade(&shared))));
        let runner = Arc::clone(&shared);
        let running = tokio::spawn(async move { runner.run().await });
        Relay { shared, running }
    }

    /// Counts since the start, and what is there now.
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }

    /// Where [`statistics`](Relay::statistics) can be asked for, also when it has stopped.
    pub fn gauge(&self) -> impl Fn() -> Statistics + Send + Sync + 'static + use<T> {
        let shared = Arc::downgrade(&self.shared);
        move || shared.upgrade().map(|s| s.statistics()).unwrap_or_default()
    }

    /// Lets the connections finish the message they are at, for at most `patience`, and ends them. What is not settled then stays due.
    pub async fn stop(self, patience: Duration) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.stop.notify_waiters();
        self.running.abort();
        let mut couriers = std::mem::take(&mut *self.shared.couriers.lock());
        let ended = async { while couriers.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("some connections to other servers did not end in time; their mail stays due");
        }
        couriers.shutdown().await;
        self.shared.settler.stop().await;
    }
}

impl<T: Transport> Shared<T> {
    fn statistics(&self) -> Statistics {
        let c = &self.counters;
        let Load {
            connections,
            waiting,
            destinations,
            unreachable,
        } = self.scheduler.lock().load();
        Statistics {
            relayed: c.relayed.load(Ordering::Relaxed),
            failed: c.failed.load(Ordering::Relaxed),
            deferred: c.deferred.load(Ordering::Relaxed),
            doubtful: c.doubtful.load(Ordering::Relaxed),
            connected: c.connected.load(Ordering::Relaxed),
            not_connected: c.not_connected.load(Ordering::Relaxed),
            connections: connections as u64,
            waiting: waiting as u64,
            destinations: destinations as u64,
            unreachable: unreachable as u64,
        }
    }

    /// The terms of a destination.
    pub(crate) fn terms(&self, name: &Arc<str>) -> Terms {
        self.transport.terms(&Destination::new(Arc::clone(name)))
    }

    /// Does something with the scheduler, and then what it wants done.
    pub(crate) fn with<R>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Scheduler, i64, &dyn Fn(&Arc<str>) -> Terms) -> R,
    ) -> R {
        let now = self.ledger.now();
        let mut scheduler = self.scheduler.lock();
        let before = scheduler.next_timer();
        let result = work(&mut scheduler, now, &|name| self.terms(name));
        let mut opened = Vec::new();
        if !self.stopping.load(Ordering::Acquire) {
            while let Some(next) = scheduler.open(now) {
                opened.push(next);
            }
        }
        let forgotten = scheduler.forgotten();
        let changed = scheduler.is_hungry() || scheduler.next_timer() != before;
        drop(scheduler);
        if changed {
            self.wake.notify_one();
        }
        for name in forgotten {
            self.ledger.reachable(name);
        }
        if !opened.is_empty() {
            let mut couriers = self.couriers.lock();
            while couriers.try_join_next().is_some() {}
            for (name, bundle) in opened {
                couriers.spawn_on(courier::run(Arc::clone(self), name, bundle), &self.runtime);
            }
        }
        result
    }

    /// Gives work back to the ledger, untried.
    pub(crate) fn put_back(&self, works: &[Work]) {
        if !works.is_empty() {
            self.ledger.put_back(leases(works));
        }
    }

    async fn run(self: Arc<Self>) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut first = true;
        loop {
            let asks = self.with(|s, now, _| s.asks(now));
            if !asks.is_empty() {
                let (ledger, asked) = (self.ledger.clone(), asks.clone());
                match tokio::task::spawn_blocking(move || ledger.claim_destinations(asked)).await {
                    Ok(Ok(found)) => {
                        let refused = self.with(|s, now, terms| s.found(found, now, terms));
                        self.give_up_on(&refused);
                    }
                    Ok(Err(ledger::Error::Closing)) => return,
                    failed => {
                        let error = match failed {
                            Ok(Err(e)) => e.to_string(),
                            Err(e) => e.to_string(),
                            Ok(Ok(_)) => continue,
                        };
                        tracing::warn!(error, "the ledger can't be read for mail to other servers");
                        self.with(|s, now, _| s.not_found(&asks, now + AGAIN, now));
                    }
                }
                continue;
            }
            let timer = self.scheduler.lock().next_timer();
            let wait = timer.map_or(SWEEP, |at| {
                Duration::from_secs(u64::try_from(at - self.ledger.now()).unwrap_or(0))
            });
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait.max(Duration::from_millis(5))) => {}
                _ = sweep.tick() => {
                    self.sweep(first).await;
                    first = false;
                }
            }
        }
    }

    /// Looks through the ledger for destinations with mail. `first`: at the start, when rows may be grouped otherwise than the routes are now.
    async fn sweep(self: &Arc<Self>, first: bool) {
        if first {
            let transport = Arc::clone(&self.transport);
            let group = move |address: &str| -> Arc<str> { transport.destination(address).as_str().into() };
            match self.ledger.regroup(&group).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "waiting mail was grouped by the routes there are now"),
                Err(ledger::Error::Closing) => return,
                Err(error) => tracing::warn!(%error, "waiting mail can't be grouped"),
            }
        }
        let ledger = self.ledger.clone();
        match tokio::task::spawn_blocking(move || ledger.depths()).await {
            Ok(Ok(depths)) => self.with(|s, now, terms| {
                for depth in depths {
                    if first && let Some(trouble) = depth.unreachable {
                        s.remember(trouble, now, terms);
                    }
                    s.note(&depth.destination, depth.first_due, now, terms);
                }
            }),
            Ok(Err(error)) => tracing::warn!(%error, "the ledger can't be looked through"),
            Err(_) => {}
        }
    }

    /// A destination can't be reached: what waits for it goes back, nothing of it is tried before its time, and who waits too long already is
    /// told.
    pub(crate) fn shut(self: &Arc<Self>, name: &Arc<str>, reason: String) -> Option<i64> {
        let wait = |terms: &Terms, failures| {
            let schedule = Strategy::Unreachable.of(terms);
            schedule::wait(&schedule, failures, dice(name))
        };
        let (waiting, trouble) = self.with(|s, now, _| s.shut(name, reason, now, wait))?;
        self.put_back(&waiting);
        let retry_at = trouble.retry_at;
        tracing::info!(
            destination = %name, failures = trouble.failures, retry_at, reason = trouble.reason, "destination can't be reached"
        );
        self.ledger.unreachable(trouble.clone());
        self.look_for_aged(name, trouble);
        Some(retry_at)
    }

    fn look_for_aged(self: &Arc<Self>, name: &Arc<str>, trouble: Unreachable) {
        let (shared, name) = (Arc::clone(self), Arc::clone(name));
        self.couriers.lock().spawn_on(
            async move { courier::aged(&shared, &name, &trouble).await },
            &self.runtime,
        );
    }

    /// Work on its way to a destination that was found meanwhile to be out of reach goes back. It was leased when those were told who wait
    /// too long; so it is looked for them once more.
    fn give_up_on(self: &Arc<Self>, works: &[Work]) {
        self.put_back(works);
        let names: HashSet<&Arc<str>> = works.iter().map(|work| &work.destination).collect();
        for name in names {
            let trouble = self.with(|s, now, _| s.trouble(name, now));
            if let Some(trouble) = trouble {
                self.look_for_aged(name, trouble);
            }
        }
    }

    /// Puts a message back that was in hand.
    pub(crate) fn put_first(self: &Arc<Self>, name: &Arc<str>, bundle: Bundle) {
        let refused = self.with(|s, now, _| s.put_first(name, bundle, now));
        self.give_up_on(&refused);
    }
}

/// Dice for a destination.
fn dice(name: &str) -> i64 {
    name.bytes()
        .fold(17, |n: i64, octet| n.wrapping_mul(31).wrapping_add(i64::from(octet)))
}

/// The ledger's way in. Weak, because the ledger outlives relaying.
struct Front<T: Transport>(Weak<Shared<T>>);

impl<T: Transport> Desk for Front<T> {
    fn room(&self) -> usize {
        let running = self.0.upgrade().filter(|s| !s.stopping.load(Ordering::Acquire));
        running.map_or(0, |s| s.scheduler.lock().room())
    }

    fn put(&self, work: Vec<Work>) {
        if let Some(shared) = self.0.upgrade() {
            let refused = shared.with(|s, now, terms| s.put(work, now, terms));
            shared.put_back(&refused);
        }
    }

    fn more(&self, destination: &Arc<str>, due_at: i64) {
        if let Some(shared) = self.0.upgrade() {
            shared.with(|s, now, terms| s.note(destination, due_at, now, terms));
        }
    }

    fn destination(&self, address: &str) -> Arc<str> {
        match self.0.upgrade() {
            Some(shared) => shared.transport.destination(address).as_str().into(),
            None => ledger::domain_of(address).into(),
        }
    }

    fn wants(&self, destination: &str, bulk: bool) -> bool {
        self.0.upgrade().is_some_and(|shared| {
            let now = shared.ledger.now();
            shared.scheduler.lock().wants(destination, bulk, now)
        })
    }

    fn retry(&self, destination: &Arc<str>, _: i64) {
        if let Some(shared) = self.0.upgrade() {
            shared.transport.retry(&Destination::new(Arc::clone(destination)));
            shared.with(|s, now, terms| s.retry(destination, now, terms));
        }
    }

    fn recall(&self, recipients: &[(AcceptanceId, u32)]) {
        if let Some(shared) = self.0.upgrade() {
            let recipients: HashSet<(AcceptanceId, u32)> = recipients.iter().copied().collect();
            let recalled = shared.with(|s, now, _| s.recall(&recipients, now));
            shared.put_back(&recalled);
        }
    }
}
