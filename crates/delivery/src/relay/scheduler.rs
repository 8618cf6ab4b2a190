//! Who gets a connection, and when: the state of all destinations with mail, without sockets, clock or database.
//!
//! - **Slow start.** A destination begins with [`FIRST`] connections at once; each message taken adds one, up to its terms. Trouble on a
//!   connection halves the number, and from then on it grows by one only for as many messages as there are connections.
//! - **Circuit.** A destination that can't be reached is left alone until its next time; then one message is its probe. What waited for it
//!   in memory goes back to the ledger, and nothing of it is claimed meanwhile, however much there is.
//! - **Cohort.** A peer that answers and puts everything off counts as unreachable after [`COHORT`] messages in a row.
//! - **Turns.** Destinations with work wait in one line for connections, so that one with much mail does not keep the others from theirs.

use super::window::{Bundle, Window};
use crate::relay::transport::{Needs, Terms};
use ledger::{Ask, Found, Unreachable, Work};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::Notify;

/// Connections at once at the beginning.
const FIRST: f64 = 2.0;
/// Messages in a row that are put off as a whole before the destination counts as unreachable.
const COHORT: u32 = 20;
/// The same for one that could not be reached before.
const COHORT_AGAIN: u32 = 3;
/// Fresh recipients of a destination in memory at most: what goes past it has a way through the database before it.
const FRESH: usize = 4096;
/// Recipients of a destination in memory up to which more is claimed,
const HIGH: usize = 256;
/// with fewer than this.
const LOW: usize = 128;
/// All three, while half of the room for everybody is taken: so that some slow destinations do not take it from the others.
const TIGHT: usize = 16;
/// Recipients claimed for a probe.
const PROBE: u32 = 4;
/// Recipients in memory at most, of all destinations.
pub(crate) const ROOM: usize = 8_192;
/// Octets of fresh messages in memory at most; of more only the place is kept, and they are read when their turn comes.
const OCTETS: usize = 32 << 20;
/// Destinations in one claim at most: bounds how long the ledger is busy with it.
const CLAIM: usize = 32;

/// A destination with mail, or with connections, or that can't be reached.
struct Place {
    window: Window,
    terms: Terms,
    /// The ledger has something that is due then.
    next_due: Option<i64>,
    timer: Option<i64>,
    /// Whose turn it was in the last claim.
    turn: i64,
    hungry: bool,
    claiming: bool,
    ready: bool,
    connections: u32,
    /// Of these, the ones that have nothing to do.
    idle: u32,
    allowed: f64,
    slow_start: bool,
    cohort: u32,
    /// It has taken or refused something.
    proven: bool,
    trouble: Option<Unreachable>,
    /// Rings when there is work for an idle connection.
    bell: Arc<Notify>,
}

impl Place {
    fn new(terms: Terms) -> Place {
        Place {
            window: Window::default(),
            terms,
            next_due: None,
            timer: None,
            turn: -1,
            hungry: false,
            claiming: false,
            ready: false,
            connections: 0,
            idle: 0,
            allowed: FIRST,
            slow_start: true,
            cohort: 0,
            proven: false,
            trouble: None,
            bell: Arc::default(),
        }
    }

    fn is_shut(&self, now: i64) -> bool {
        self.trouble.as_ref().is_some_and(|t| t.retry_at > now)
    }

    /// How many connections it may have; `scarce`: half of all there are, are taken, and so one is enough for a beginning.
    fn may_have(&self, scarce: bool) -> u32 {
        if self.trouble.is_some() || (scarce && !self.proven) {
            return 1;
        }
        let most = self.terms.connections.max(1);
        // At least 1, at most what the terms say.
        (self.allowed.max(1.0).min(f64::from(most))) as u32
    }

    /// Whether nothing needs to be remembered of it.
    fn is_over(&self) -> bool {
        self.window.is_empty()
            && self.next_due.is_none()
            && self.connections == 0
            && self.trouble.is_none()
            && !self.claiming
            && !self.hungry
    }
}

/// All destinations.
pub(crate) struct Scheduler {
    places: HashMap<Arc<str>, Place>,
    timers: BTreeSet<(i64, Arc<str>)>,
    hungry: VecDeque<Arc<str>>,
    ready: VecDeque<Arc<str>>,
    most: usize,
    connections: usize,
    rows: usize,
    octets: usize,
    /// Destinations that need not be remembered as unreachable any more: there is no mail for them.
    forgotten: Vec<Arc<str>>,
}

/// How much there is in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) waiting: usize,
    pub(crate) destinations: usize,
    pub(crate) unreachable: usize,
}

impl Scheduler {
    /// With so many connections in all at most.
    pub(crate) fn new(connections: usize) -> Scheduler {
        Scheduler {
            places: HashMap::new(),
            timers: BTreeSet::new(),
            hungry: VecDeque::new(),
            ready: VecDeque::new(),
            most: connections.max(1),
            connections: 0,
            rows: 0,
            octets: 0,
            forgotten: Vec::new(),
        }
    }

    /// Destinations that were unreachable once, and for which there is no mail any more.
    pub(crate) fn forgotten(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.forgotten)
    }

    pub(crate) fn load(&self) -> Load {
        Load {
            connections: self.connections,
            waiting: self.rows,
            destinations: self.places.len(),
            unreachable: self.places.values().filter(|p| p.trouble.is_some()).count(),
        }
    }

    /// How many recipients there is room for.
    pub(crate) fn room(&self) -> usize {
        ROOM.saturating_sub(self.rows)
    }

    /// Few connections are left.
    fn is_scarce(&self) -> bool {
        self.connections > self.most / 2
    }

    /// A bound of a destination's recipients in memory, as much room as there is.
    fn bound(&self, plenty: usize) -> usize {
        if self.rows > ROOM / 2 {
            TIGHT.min(plenty)
        } else {
            plenty
        }
    }

    fn place(&mut self, name: &Arc<str>, terms: &dyn Fn(&Arc<str>) -> Terms) -> &mut Place {
        self.places
            .entry(Arc::clone(name))
            .or_insert_with(|| Place::new(terms(name)))
    }

    /// Whether fresh mail for a destination is to be handed over: not where it can't be reached, nor past what waits longer.
    pub(crate) fn wants(&self, name: &str, bulk: bool, now: i64) -> bool {
        self.places.get(name).is_none_or(|place| {
            let behind = place.next_due.is_some_and(|due| due <= now) || place.claiming;
            let rows = place.window.rows();
            !place.is_shut(now) && rows < self.bound(FRESH) && !(behind && (bulk || rows >= self.bound(LOW)))
        })
    }

    /// Takes work into memory; what can't be tried now is returned.
    pub(crate) fn put(&mut self, works: Vec<Work>, now: i64, terms: &dyn Fn(&Arc<str>) -> Terms) -> Vec<Work> {
        let mut by_name: HashMap<Arc<str>, Vec<Work>> = HashMap::new();
        for work in works {
            by_name.entry(Arc::clone(&work.destination)).or_default().push(work);
        }
        let mut refused = Vec::new();
        for (name, works) in by_name {
            let octets = self.octets;
            let place = self.place(&name, terms);
            if place.is_shut(now) {
                place.next_due = earliest(place.next_due, Some(now));
                refused.extend(works);
            } else {
                let before = (place.window.rows(), place.window.octets());
                for mut bundle in Bundle::of(works, place.terms.recipients) {
                    if octets + place.window.octets() - before.1 + bundle.octets() > OCTETS {
                        bundle.works.iter_mut().for_each(|w| w.bytes = None);
                    }
                    place.window.push(bundle);
                }
                let after = (place.window.rows(), place.window.octets());
                self.rows += after.0 - before.0;
                self.octets += after.1 - before.1;
            }
            self.arrange(&name, now);
        }
        refused
    }

    /// The ledger has something for a destination.
    pub(crate) fn note(&mut self, name: &Arc<str>, due_at: i64, now: i64, terms: &dyn Fn(&Arc<str>) -> Terms) {
        let place = self.place(name, terms);
        place.next_due = earliest(place.next_due, Some(due_at));
        self.arrange(name, now);
    }

    /// An administrator wants a destination tried now.
    pub(crate) fn retry(&mut self, name: &Arc<str>, now: i64, terms: &dyn Fn(&Arc<str>) -> Terms) {
        let place = self.place(name, terms);
        if let Some(trouble) = &mut place.trouble {
            trouble.retry_at = trouble.retry_at.min(now);
        }
        self.note(name, now, now, terms);
    }

    /// A destination that could not be reached, from an earlier run.
    pub(crate) fn remember(&mut self, trouble: Unreachable, now: i64, terms: &dyn Fn(&Arc<str>) -> Terms) {
        let name = Arc::clone(&trouble.destination);
        self.place(&name, terms).trouble = Some(trouble);
        self.arrange(&name, now);
    }

    /// Decides what a destination waits for: a time, a claim, a connection; or that it is over.
    fn arrange(&mut self, name: &Arc<str>, now: i64) {
        let (low, scarce) = (self.bound(LOW), self.is_scarce());
        let Some(place) = self.places.get_mut(name) else { return };
        let shut = place.is_shut(now);
        let due = place.next_due.is_some_and(|due| due <= now);
        let mut timer = None;
        if shut {
            timer = place.trouble.as_ref().map(|t| t.retry_at);
        } else {
            if due && !place.claiming && !place.hungry && place.window.rows() < low {
                place.hungry = true;
                self.hungry.push_back(Arc::clone(name));
            } else if !due {
                timer = place.next_due;
            }
            if place.idle > 0 && !place.window.is_empty() {
                place.bell.notify_one();
            } else if !place.ready && !place.window.is_empty() && place.connections < place.may_have(scarce) {
                place.ready = true;
                self.ready.push_back(Arc::clone(name));
            }
            if place.trouble.is_some()
                && !due
                && place.next_due.is_none()
                && place.window.is_empty()
                && place.connections == 0
                && !place.claiming
            {
                // Its time has come, and there is no mail for it any more.
                place.trouble = None;
                self.forgotten.push(Arc::clone(name));
            }
        }
        if place.timer != timer {
            if let Some(old) = place.timer.take() {
                self.timers.remove(&(old, Arc::clone(name)));
            }
            if let Some(at) = timer {
                self.timers.insert((at, Arc::clone(name)));
            }
            place.timer = timer;
        }
        if place.is_over() && !place.ready {
            if let Some(at) = place.timer {
                self.timers.remove(&(at, Arc::clone(name)));
            }
            self.places.remove(name);
        }
    }

    /// Whether there is something to be claimed, and room for it.
    pub(crate) fn is_hungry(&self) -> bool {
        !self.hungry.is_empty() && self.room() > 0
    }

    /// When something is due next.
    pub(crate) fn next_timer(&self) -> Option<i64> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What to ask the ledger for now.
    pub(crate) fn asks(&mut self, now: i64) -> Vec<Ask> {
        while let Some((at, name)) = self.timers.first().cloned()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(place) = self.places.get_mut(&name) {
                place.timer = None;
            }
            self.arrange(&name, now);
        }
        let mut room = self.room();
        let mut asks = Vec::new();
        while asks.len() < CLAIM && room > 0 {
            let high = self.bound(HIGH);
            let Some(name) = self.hungry.pop_front() else { break };
            let Some(place) = self.places.get_mut(&name) else {
                continue;
            };
            place.hungry = false;
            if place.is_shut(now) || place.claiming {
                continue;
            }
            let wanted = high.saturating_sub(place.window.rows()).min(room);
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            let limit = if place.trouble.is_some() {
                wanted.min(PROBE)
            } else {
                wanted
            };
            if limit == 0 {
                continue;
            }
            room -= limit as usize;
            place.claiming = true;
            place.next_due = None;
            asks.push(Ask {
                destination: name,
                limit,
                turn: place.turn,
            });
        }
        asks
    }

    /// Takes what a claim found; what can't be tried now is returned.
    pub(crate) fn found(&mut self, found: Vec<Found>, now: i64, terms: &dyn Fn(&Arc<str>) -> Terms) -> Vec<Work> {
        let mut refused = Vec::new();
        for found in found {
            let place = self.place(&found.destination, terms);
            place.claiming = false;
            place.turn = found.turn;
            place.next_due = earliest(place.next_due, found.next_due);
            if found.work.is_empty() {
                self.arrange(&found.destination, now);
            } else {
                refused.extend(self.put(found.work, now, terms));
            }
        }
        refused
    }

    /// A claim failed: it is asked for again at that time.
    pub(crate) fn not_found(&mut self, asks: &[Ask], again_at: i64, now: i64) {
        for ask in asks {
            if let Some(place) = self.places.get_mut(&ask.destination) {
                place.claiming = false;
                place.next_due = earliest(place.next_due, Some(again_at));
                self.arrange(&ask.destination, now);
            }
        }
    }

    /// The next connection to be made, with the message it is made for.
    pub(crate) fn open(&mut self, now: i64) -> Option<(Arc<str>, Bundle)> {
        while self.connections < self.most {
            let name = self.ready.pop_front()?;
            let scarce = self.is_scarce();
            let Some(place) = self.places.get_mut(&name) else {
                continue;
            };
            place.ready = false;
            if place.is_shut(now) || place.connections >= place.may_have(scarce) {
                continue;
            }
            let Some(bundle) = place.window.pop(|_| true) else {
                self.arrange(&name, now);
                continue;
            };
            self.taken(&bundle);
            if let Some(place) = self.places.get_mut(&name) {
                place.connections += 1;
            }
            self.connections += 1;
            self.arrange(&name, now);
            return Some((name, bundle));
        }
        None
    }

    fn taken(&mut self, bundle: &Bundle) {
        self.rows -= bundle.works.len();
        self.octets -= bundle.octets();
    }

    /// The next message for a connection that is there; `served`: messages that went over it. Where others wait for a connection and there
    /// are no more, it makes room after `quantum`.
    pub(crate) fn next(
        &mut self,
        name: &Arc<str>,
        served: u32,
        quantum: u32,
        suits: impl Fn(Needs) -> bool,
        now: i64,
    ) -> Option<Bundle> {
        let scarce = self.is_scarce();
        let starved = self.connections >= self.most && !self.ready.is_empty();
        let place = self.places.get_mut(name)?;
        if place.is_shut(now)
            || served >= place.terms.transactions.max(1)
            || (starved && served >= quantum)
            || place.connections > place.may_have(scarce)
        {
            return None;
        }
        let bundle = place.window.pop(|bundle| suits(bundle.needs()));
        if let Some(bundle) = &bundle {
            self.taken(bundle);
        }
        self.arrange(name, now);
        bundle
    }

    /// A connection has nothing to do: the bell that rings when there is something; `None` where it had better end.
    pub(crate) fn idle(&mut self, name: &Arc<str>, served: u32) -> Option<Arc<Notify>> {
        let starved = self.connections >= self.most && !self.ready.is_empty();
        let place = self.places.get_mut(name)?;
        if starved || place.trouble.is_some() || served >= place.terms.transactions || !place.window.is_empty() {
            return None;
        }
        place.idle += 1;
        Some(Arc::clone(&place.bell))
    }

    /// It does not wait any more.
    pub(crate) fn busy(&mut self, name: &Arc<str>) {
        if let Some(place) = self.places.get_mut(name) {
            place.idle = place.idle.saturating_sub(1);
        }
    }

    /// A connection has ended.
    pub(crate) fn closed(&mut self, name: &Arc<str>, now: i64) {
        self.connections = self.connections.saturating_sub(1);
        if let Some(place) = self.places.get_mut(name) {
            place.connections = place.connections.saturating_sub(1);
        }
        self.arrange(name, now);
    }

    /// A message was not put off as a whole: the destination works. Whether it could not be reached before.
    pub(crate) fn worked(&mut self, name: &Arc<str>, taken: bool, now: i64) -> bool {
        let Some(place) = self.places.get_mut(name) else {
            return false;
        };
        place.cohort = 0;
        place.proven = true;
        let back = place.trouble.take().is_some();
        if back {
            place.allowed = FIRST;
            place.slow_start = true;
        }
        if taken {
            place.allowed += if place.slow_start {
                1.0
            } else {
                1.0 / place.allowed.max(1.0)
            };
            place.allowed = place.allowed.min(f64::from(place.terms.connections.max(1)));
        }
        self.arrange(name, now);
        back
    }

    /// A message was put off as a whole, or its connection broke: the connections become fewer. Whether the destination counts as
    /// unreachable by now.
    pub(crate) fn put_off(&mut self, name: &Arc<str>, broken: bool) -> bool {
        let Some(place) = self.places.get_mut(name) else {
            return false;
        };
        if broken {
            place.allowed = (place.allowed / 2.0).max(1.0);
            place.slow_start = false;
        }
        place.cohort += 1;
        place.cohort >= if place.trouble.is_some() { COHORT_AGAIN } else { COHORT }
    }

    /// No connection could be made. Whether that is only for now too many: others are there, and it is tried again when they have done more.
    pub(crate) fn crowded(&mut self, name: &Arc<str>) -> bool {
        let Some(place) = self.places.get_mut(name) else {
            return false;
        };
        let others = place.connections.saturating_sub(1);
        if others == 0 || place.trouble.is_some() {
            return false;
        }
        place.allowed = f64::from(others);
        place.slow_start = false;
        true
    }

    /// Puts a message back that was in hand: it is next. Where the destination can't be reached by now, it is returned.
    pub(crate) fn put_first(&mut self, name: &Arc<str>, bundle: Bundle, now: i64) -> Vec<Work> {
        let Some(place) = self.places.get_mut(name).filter(|place| !place.is_shut(now)) else {
            return bundle.works;
        };
        self.rows += bundle.works.len();
        self.octets += bundle.octets();
        place.window.push_front(bundle);
        self.arrange(name, now);
        Vec::new()
    }

    /// What is known of a destination that can't be reached.
    pub(crate) fn trouble(&self, name: &str, now: i64) -> Option<Unreachable> {
        let place = self.places.get(name).filter(|place| place.is_shut(now))?;
        place.trouble.clone()
    }

    /// A destination can't be reached until `wait` from now (which gets the number of failures before). What waited in memory, to be given
    /// back to the ledger, and what to remember.
    pub(crate) fn shut(
        &mut self,
        name: &Arc<str>,
        reason: String,
        now: i64,
        wait: impl Fn(&Terms, u32) -> i64,
    ) -> Option<(Vec<Work>, Unreachable)> {
        let place = self.places.get_mut(name)?;
        let before = place.trouble.take();
        // Several connections may find out at the same time: that is one failure.
        let trouble = match before {
            Some(known) if known.retry_at > now => Unreachable { reason, ..known },
            before => {
                let failures = before.as_ref().map_or(0, |b| b.failures);
                Unreachable {
                    destination: Arc::clone(name),
                    failures: failures + 1,
                    since: before.map_or(now, |b| b.since),
                    failed_at: now,
                    retry_at: now + wait(&place.terms, failures).max(1),
                    reason,
                }
            }
        };
        place.trouble = Some(trouble.clone());
        place.cohort = 0;
        place.allowed = FIRST;
        let (rows, octets) = (place.window.rows(), place.window.octets());
        let waiting = place.window.drain();
        // The ledger has it, and at least the message that found out.
        place.next_due = Some(now);
        self.rows -= rows;
        self.octets -= octets;
        self.arrange(name, now);
        Some((waiting, trouble))
    }

    /// Takes recipients out of memory.
    pub(crate) fn recall(&mut self, recipients: &HashSet<(ledger::AcceptanceId, u32)>, now: i64) -> Vec<Work> {
        let mut recalled = Vec::new();
        let names: Vec<Arc<str>> = self
            .places
            .iter()
            .filter(|(_, place)| !place.window.is_empty())
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in names {
            let Some(place) = self.places.get_mut(&name) else {
                continue;
            };
            let before = (place.window.rows(), place.window.octets());
            let out = place.window.recall(recipients);
            let after = (place.window.rows(), place.window.octets());
            self.rows -= before.0 - after.0;
            self.octets -= before.1 - after.1;
            if !out.is_empty() {
                recalled.extend(out);
                self.arrange(&name, now);
            }
        }
        recalled
    }
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}
