//! Routes due recipients and runs the workers.
//!
//! Exposed to: nothing from outside; it reads what was accepted, which may be hostile. May touch: accounts, the ledger.
//! A worker that panics over a message is caught, the message is kept and named in the queue, and the worker goes on.

use crate::desk::{Task, Waiting};
use crate::forward::{Forwarding, StandsFor};
use crate::local::Local;
use crate::notifier::{News, Notifier};
use crate::patience;
use crate::retry::{Patience, Strategy};
use db::AccountId;
use directory::{Directory, Resolution};
use filter::Filter;
use ledger::{Child, Conclusion, Desk, Fate, Lane, Ledger, Settlement, Work};
use net::now;
use smtp::Status;
use smtp::dsn::Action;
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
    /// How mail is sent on, and what scripts write is signed; `None`: as it is.
    pub forwarding: Option<Arc<Forwarding>>,
    /// Tells senders what became of their mail.
    pub notifier: Option<Arc<Notifier>>,
    /// How what failed is tried again.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            workers: 6,
            subaddress_mailbox: true,
            forwarding: None,
            notifier: None,
            patience: Patience::default(),
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
    forwarding: Option<Arc<Forwarding>>,
    notifier: Option<Arc<Notifier>>,
    patience: Patience,
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
            local: Local::new(store, directory.clone(), ledger.clone(), filter, options),
            forwarding: options.forwarding.clone(),
            notifier: options.notifier.clone(),
            patience: options.patience.clone(),
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
        let return_path = self.forwarding.as_ref().and_then(|f| f.reverse(&work.address, now()));
        let stands_for = match return_path {
            None => None,
            Some(Ok(StandsFor::Sender(address))) => return self.waiting.expand(work, String::new(), vec![address]),
            Some(Ok(StandsFor::Owner(address))) => Some(address),
            Some(Err(refused)) => return self.keep(&work, Strategy::AddressGone, &refused.to_string()),
        };
        match self.directory.resolve(stands_for.as_deref().unwrap_or(&work.address)) {
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
        patience::put_off(
            &self.ledger,
            self.notifier.as_deref(),
            &self.patience,
            work,
            strategy,
            reason,
            now(),
        );
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

    /// Replaces a recipient by others. `name`: the alias; empty for a return path, whose mail goes on as it is.
    fn expand(&self, runtime: &Handle, work: Work, name: &str, targets: Vec<String>) {
        let is_away = |address: &String| matches!(self.directory.resolve(address), Resolution::Remote);
        let alone = targets.len() == 1;
        let asked = Work {
            notify: work.notify.as_deref().and_then(|notify| passed_on(notify, alone)),
            ..work.clone()
        };
        let (mut away, here): (Vec<String>, Vec<String>) = targets.into_iter().partition(is_away);
        let forwarding = self
            .forwarding
            .as_ref()
            .filter(|_| !name.is_empty() && !away.is_empty());
        let mut offspring = match forwarding.map(|f| f.forwarded(&self.ledger, &asked, name, &away, now())) {
            None => Vec::new(),
            Some(Ok(Some(message))) => {
                away.clear();
                vec![message]
            }
            Some(Ok(None)) => return self.went_round(&work, name),
            Some(Err(error)) => return self.keep_for(&work, &error),
        };
        if !alone {
            match self.told_of_expansion(&work, name) {
                Ok(notices) => offspring.extend(notices),
                Err(error) => return self.keep_for(&work, &error),
            }
        }
        let lanes = here.into_iter().map(|address| (address, Lane::Local));
        let lanes = lanes.chain(away.into_iter().map(|address| (address, Lane::Remote)));
        let children = lanes
            .map(|(address, lane)| Child {
                lane,
                address,
                original: work.original.clone(),
                notify: asked.notify.clone(),
            })
            .collect();
        let detail = match name {
            "" => "a return path of ours".to_owned(),
            name => format!("alias {name}"),
        };
        let kept = Work {
            bytes: None,
            ..work.clone()
        };
        match runtime.block_on(self.ledger.expand_with(work, children, offspring, Some(detail))) {
            Ok(()) => {
                self.expanded.fetch_add(1, Ordering::Relaxed);
            }
            Err(ledger::Error::Closing) => {}
            Err(e) => self.keep_for(&kept, &e),
        }
    }

    /// RFC 3461 §5.2.7.3 (c): who asked for news of success hears that an alias stands for several, and nothing more of each of these.
    fn told_of_expansion(&self, work: &Work, name: &str) -> ledger::Result<Vec<ledger::Offspring>> {
        let Some(notifier) = &self.notifier else {
            return Ok(Vec::new());
        };
        notifier.notices(&[News {
            work: work.clone(),
            action: Action::Expanded,
            status: Status(2, 0, 0),
            remote: None,
            diagnostic: format!("{name} stands for several addresses"),
            at: now(),
        }])
    }

    fn keep_for(&self, work: &Work, error: &ledger::Error) {
        let strategy = if error.is_no_space() {
            Strategy::ShortOfSpace
        } else {
            Strategy::Transient
        };
        self.keep(work, strategy, &error.to_string());
    }

    /// What an alias has sent on comes back to it: it goes no further, and its sender is told.
    fn went_round(&self, work: &Work, name: &str) {
        let why = format!("mail to {name} comes back to it (Delivered-To): it goes in a circle");
        let Some(notifier) = &self.notifier else {
            return self.keep(work, Strategy::AddressGone, &why);
        };
        let news = News {
            work: work.clone(),
            action: Action::Failed,
            status: Status(5, 4, 6),
            remote: None,
            diagnostic: why.clone(),
            at: now(),
        };
        match notifier.notices(&[news]) {
            Ok(offspring) => {
                tracing::warn!(acceptance = %work.acceptance.id, alias = name, "mail goes in a circle");
                let settlement = Settlement {
                    acceptance: work.acceptance.id,
                    number: work.number,
                    fate: Fate::Failed,
                    at: now(),
                    detail: Some(why),
                    account: None,
                    place: None,
                    attempt: None,
                };
                self.ledger.conclude(vec![Conclusion {
                    settlements: vec![settlement],
                    deferrals: Vec::new(),
                    offspring,
                }]);
            }
            Err(error) => self.keep_for(work, &error),
        }
    }
}

/// What a child of an alias's gets of its `NOTIFY`. RFC 3461 §5.2.7: where one address takes the place of one, all of it; several are not to
/// tell of their success one by one, and who wants to hear of nothing hears of nothing.
fn passed_on(notify: &str, alone: bool) -> Option<String> {
    if alone {
        return Some(notify.to_owned());
    }
    let rest: Vec<&str> = notify
        .split(',')
        .map(str::trim)
        .filter(|word| !word.eq_ignore_ascii_case("SUCCESS"))
        .collect();
    Some(if rest.is_empty() {
        "NEVER".to_owned()
    } else {
        rest.join(",")
    })
}

#[cfg(test)]
mod tests {
    use super::passed_on;

    #[test]
    fn notify_of_an_alias() {
        for (notify, alone, expected) in [
            ("SUCCESS,FAILURE", true, "SUCCESS,FAILURE"),
            ("SUCCESS,FAILURE", false, "FAILURE"),
            ("success", false, "NEVER"),
            ("NEVER", false, "NEVER"),
        ] {
            assert_eq!(passed_on(notify, alone).as_deref(), Some(expected), "{notify}");
        }
    }
}
