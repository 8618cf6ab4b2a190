//! Where due recipients wait for a worker: a queue for each account, served in turn, so that one with much mail or a slow file
//! holds up nobody else.

use db::AccountId;
use ledger::Work;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Recipients waiting in memory at most; more stay in the ledger until there is room.
const WAITING: usize = 8_192;
/// Octets of messages waiting in memory at most; of more only the place is kept, and they are read when their turn comes.
const WAITING_BYTES: usize = 64 << 20;
/// Recipients of one account that a worker takes at a time: one transaction, one wait for the disk.
const TURN: usize = 128;
/// Octets of messages taken at a time.
const TURN_BYTES: u64 = 16 << 20;

/// With fewer than this, a turn waits a moment for more: under load a handful of messages then share a transaction and a wait for the
/// disk, and without load nobody notices. The sender has its 250 already.
const GATHER: usize = 32;
/// How long.
const LINGER: Duration = Duration::from_millis(4);

/// What a worker is given.
pub(crate) enum Task {
    /// Deliveries for an account, oldest first. It is the only worker that has any of this account until it calls `done`.
    Deliver(AccountId, Vec<(Work, Option<String>)>),
    /// A recipient that is replaced by others.
    Expand(Box<Work>, String, Vec<String>),
}

#[derive(Default)]
struct Queues {
    accounts: HashMap<AccountId, VecDeque<(Work, Option<String>)>>,
    /// Accounts with work that no worker is at, in the order of their turn.
    ready: VecDeque<AccountId>,
    busy: Vec<AccountId>,
    expand: VecDeque<(Work, String, Vec<String>)>,
    waiting: usize,
    waiting_bytes: usize,
    closed: bool,
}

/// The queues.
#[derive(Default)]
pub(crate) struct Waiting {
    queues: Mutex<Queues>,
    arrived: Condvar,
}

fn held(work: &Work) -> usize {
    work.bytes.as_ref().map_or(0, bytes::Bytes::len)
}

impl Waiting {
    /// How many recipients there is room for.
    pub(crate) fn room(&self) -> usize {
        WAITING.saturating_sub(self.queues.lock().waiting)
    }

    pub(crate) fn len(&self) -> usize {
        self.queues.lock().waiting
    }

    pub(crate) fn deliver(&self, account: AccountId, subaddress: Option<String>, mut work: Work) {
        let mut q = self.queues.lock();
        if q.waiting_bytes + held(&work) > WAITING_BYTES {
            work.bytes = None;
        }
        q.waiting += 1;
        q.waiting_bytes += held(&work);
        let queue = q.accounts.entry(account).or_default();
        queue.push_back((work, subaddress));
        if queue.len() == 1 && !q.busy.contains(&account) {
            q.ready.push_back(account);
            drop(q);
            self.arrived.notify_one();
        }
    }

    pub(crate) fn expand(&self, work: Work, name: String, targets: Vec<String>) {
        let mut q = self.queues.lock();
        q.waiting += 1;
        q.waiting_bytes += held(&work);
        q.expand.push_back((work, name, targets));
        drop(q);
        self.arrived.notify_one();
    }

    /// The next task; nothing when closed. Expanding comes first: it is quick and makes others due.
    pub(crate) fn next(&self) -> Option<Task> {
        let mut q = self.queues.lock();
        loop {
            if q.closed {
                return None;
            }
            if let Some((work, name, targets)) = q.expand.pop_front() {
                q.waiting -= 1;
                q.waiting_bytes -= held(&work);
                return Some(Task::Expand(Box::new(work), name, targets));
            }
            if let Some(account) = q.ready.pop_front() {
                q.busy.push(account);
                if q.accounts.get(&account).is_some_and(|queue| queue.len() < GATHER) {
                    MutexGuard::unlocked(&mut q, || std::thread::sleep(LINGER));
                }
                return Some(Task::Deliver(account, q.turn(account)));
            }
            // The bound only guards against a lost wake-up.
            self.arrived.wait_for(&mut q, Duration::from_secs(5));
        }
    }

    /// The worker has finished its turn with this account.
    pub(crate) fn done(&self, account: AccountId) {
        let mut q = self.queues.lock();
        q.busy.retain(|a| *a != account);
        if q.accounts.contains_key(&account) {
            q.ready.push_back(account);
            drop(q);
            self.arrived.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        self.queues.lock().closed = true;
        self.arrived.notify_all();
    }
}

impl Queues {
    fn turn(&mut self, account: AccountId) -> Vec<(Work, Option<String>)> {
        let Some(queue) = self.accounts.get_mut(&account) else {
            return Vec::new();
        };
        let mut turn = Vec::new();
        let mut octets = 0;
        while let Some((work, _)) = queue.front() {
            // What failed before goes alone, so that it can't take its neighbours with it.
            let alone = work.attempts > 0;
            if !turn.is_empty() && (alone || turn.len() == TURN || octets + work.size > TURN_BYTES) {
                break;
            }
            octets += work.size;
            turn.extend(queue.pop_front());
            if alone {
                break;
            }
        }
        if queue.is_empty() {
            self.accounts.remove(&account);
        }
        self.waiting -= turn.len();
        self.waiting_bytes -= turn.iter().map(|(w, _)| held(w)).sum::<usize>();
        turn
    }
}
