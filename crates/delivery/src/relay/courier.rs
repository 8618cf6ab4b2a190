//! One connection to another server: makes it, sends one message after the other over it, and has each outcome written before the next.

use super::runner::Shared;
use super::schedule::{self, Strategy};
use super::settler::Upshot;
use super::transport::{
    Answer, Connection as _, Destination, Message, Outcome, Peer, Scope, Sent, Terms, Transport, Trouble,
};
use super::window::{Bundle, leases};
use crate::notifier::News;
use crate::retry::seconds;
use ledger::{Attempt, Deferral, Fate, Settlement, Unreachable, Work};
use smtp::Status;
use smtp::dsn::Action;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Octets of a message up to which it is in memory while it is sent, and not read piece by piece, twice.
const SMALL: u64 = 256 << 10;
/// Rows that have waited too long, looked at together.
const AGED: u32 = 200;

/// Serves a destination, beginning with `first`, until there is nothing more for this connection.
pub(crate) async fn run<T: Transport>(shared: Arc<Shared<T>>, name: Arc<str>, first: Bundle) {
    let _seat = Seat {
        shared: Arc::clone(&shared),
        name: Arc::clone(&name),
    };
    let destination = Destination::new(Arc::clone(&name));
    let mut hand = Hand::of(&shared, first);
    let needs = hand.bundle.as_ref().map(Bundle::needs).unwrap_or_default();
    let connected = tokio::select! {
        connected = shared.transport.connect(&destination, needs) => connected,
        () = stopped(&shared) => return,
    };
    let mut connection = match connected {
        Ok(connection) => {
            shared.counters.connected.fetch_add(1, Ordering::Relaxed);
            connection
        }
        Err(trouble) => {
            shared.counters.not_connected.fetch_add(1, Ordering::Relaxed);
            if let Some(bundle) = hand.bundle.take() {
                not_connected(&shared, &name, bundle, trouble).await;
            }
            return;
        }
    };
    let terms = shared.terms(&name);
    let mut served = 0;
    loop {
        if hand.bundle.is_none() {
            hand.bundle = next(&shared, &name, &connection, served);
        }
        if hand.bundle.is_none() {
            if wait(&shared, &name, served).await {
                continue;
            }
            break;
        }
        let Some(bundle) = &hand.bundle else { break };
        let (Some(envelope), Some(message)) = (bundle.envelope(), message(&shared, bundle)) else {
            break;
        };
        let sent = connection.send(&envelope, &message).await;
        let Some(bundle) = hand.bundle.take() else { break };
        let reusable = sent.reusable;
        if !sent_off(&shared, &name, &terms, bundle, sent, connection.peer(), served > 0).await || !reusable {
            return;
        }
        served += 1;
        if shared.stopping.load(Ordering::Acquire) {
            break;
        }
    }
    connection.quit().await;
}

async fn stopped<T: Transport>(shared: &Shared<T>) {
    let stop = shared.stop.notified();
    if !shared.stopping.load(Ordering::Acquire) {
        stop.await;
    }
}

/// The next message for a connection.
fn next<T: Transport>(
    shared: &Arc<Shared<T>>,
    name: &Arc<str>,
    connection: &T::Connection,
    served: u32,
) -> Option<Bundle> {
    let quantum = shared.options.quantum;
    while !shared.stopping.load(Ordering::Acquire) {
        let suits = |needs| connection.suits(needs);
        let mut bundle = shared.with(|s, now, _| s.next(name, served, quantum, suits, now))?;
        // What waited too long may have been given to another by now.
        let now = shared.ledger.now();
        bundle.works.retain(|w| w.lease_until > now);
        if !bundle.works.is_empty() {
            return Some(bundle);
        }
    }
    None
}

/// Waits a while for something to do; whether there may be something.
async fn wait<T: Transport>(shared: &Arc<Shared<T>>, name: &Arc<str>, served: u32) -> bool {
    if shared.stopping.load(Ordering::Acquire) {
        return false;
    }
    let Some(bell) = shared.with(|s, _, _| s.idle(name, served)) else {
        return false;
    };
    let rung = tokio::select! {
        rung = tokio::time::timeout(shared.options.linger, bell.notified()) => rung.is_ok(),
        () = stopped(shared) => false,
    };
    shared.with(|s, _, _| s.busy(name));
    rung
}

/// The message of a bundle. A small one is read here, as a whole; where that fails, the transport finds out why.
fn message<T: Transport>(shared: &Shared<T>, bundle: &Bundle) -> Option<Message> {
    let work = bundle.works.first()?;
    let bytes = match &work.bytes {
        None if work.size <= SMALL => net::blocking(|| shared.blobs.read(work.blob)).ok().map(Into::into),
        bytes => bytes.clone(),
    };
    Some(Message::new(shared.blobs.clone(), work.blob, work.size, bytes))
}

/// No connection: for everybody, or only for what this message needs.
async fn not_connected<T: Transport>(shared: &Arc<Shared<T>>, name: &Arc<str>, bundle: Bundle, trouble: Trouble) {
    let Trouble { scope, answer, peer } = trouble;
    let terms = shared.terms(name);
    let now = shared.ledger.now();
    let mut report = Report::new(&terms, &peer, now);
    match scope {
        _ if answer.is_permanent() => {
            for work in bundle.works {
                report.failed(work, &answer, "refused");
            }
        }
        Scope::Needs => {
            for work in bundle.works {
                report.later(work, &answer, Strategy::Needs, "deferred", None);
            }
        }
        Scope::Destination => {
            if shared.with(|s, _, _| s.crowded(name)) {
                shared.put_first(name, bundle);
                return;
            }
            let retry_at = shared.shut(name, answer.to_string());
            for work in bundle.works {
                report.later(work, &answer, Strategy::Unreachable, "deferred", retry_at);
            }
        }
    }
    report.write(shared, name).await;
}

/// A transaction is over. `false`: the ledger is closing, or the destination is shut.
async fn sent_off<T: Transport>(
    shared: &Arc<Shared<T>>,
    name: &Arc<str>,
    terms: &Terms,
    bundle: Bundle,
    sent: Sent,
    peer: &Peer,
    used: bool,
) -> bool {
    let Bundle { works, again } = bundle;
    let mut outcomes = sent.outcomes.into_iter();
    let told: Vec<(Work, Outcome)> = works
        .into_iter()
        .map(|work| {
            let missing = || Outcome::Broken(Answer::own(Status(4, 4, 2), "the connection ended"));
            (work, outcomes.next().unwrap_or_else(missing))
        })
        .collect();
    let broken = told.iter().any(|(_, o)| matches!(o, Outcome::Broken(_)));
    let taken = told.iter().any(|(_, o)| matches!(o, Outcome::Taken(_)));
    let put_off = told.iter().all(|(_, o)| match o {
        Outcome::Broken(_) | Outcome::Doubtful(_) => true,
        Outcome::Refused(answer) => !answer.is_permanent(),
        Outcome::Taken(_) => false,
    });
    let mut shut = None;
    let excused = broken && used && !again;
    if !put_off {
        if shared.with(|s, now, _| s.worked(name, taken, now)) {
            tracing::info!(destination = %name, "destination is reached again");
            shared.ledger.reachable(Arc::clone(name));
        }
    } else if !excused && shared.with(|s, _, _| s.put_off(name, broken)) {
        let said = told.iter().find_map(|(_, o)| match o {
            Outcome::Broken(a) | Outcome::Doubtful(a) | Outcome::Refused(a) => Some(a.to_string()),
            Outcome::Taken(_) => None,
        });
        shut = shared.shut(name, said.unwrap_or_default());
    }
    let mut report = Report::new(terms, peer, shared.ledger.now());
    let mut once_more = Vec::new();
    for (work, outcome) in told {
        match outcome {
            Outcome::Taken(answer) => report.taken(work, &answer),
            Outcome::Refused(answer) if answer.is_permanent() => report.failed(work, &answer, "refused"),
            Outcome::Refused(answer) => report.later(work, &answer, Strategy::RefusedForNow, "deferred", shut),
            Outcome::Broken(_) if excused => once_more.push(work),
            Outcome::Broken(answer) => report.later(work, &answer, Strategy::Broken, "broken", shut),
            Outcome::Doubtful(answer) => report.later(work, &answer, Strategy::Doubtful, "doubtful", shut),
        }
    }
    if !once_more.is_empty() {
        let bundle = Bundle {
            works: once_more,
            again: true,
        };
        shared.put_first(name, bundle);
    }
    report.write(shared, name).await && shut.is_none()
}

/// What came of recipients of one message, in the ledger's words.
struct Report<'r> {
    terms: &'r Terms,
    peer: &'r Peer,
    now: i64,
    upshot: Upshot,
    relayed: u64,
    failed: u64,
    deferred: u64,
    doubtful: u64,
    next_due: Option<i64>,
}

impl<'r> Report<'r> {
    fn new(terms: &'r Terms, peer: &'r Peer, now: i64) -> Report<'r> {
        Report {
            terms,
            peer,
            now,
            upshot: Upshot::default(),
            relayed: 0,
            failed: 0,
            deferred: 0,
            doubtful: 0,
            next_due: None,
        }
    }

    fn attempt(&self, outcome: &'static str, answer: &Answer) -> Attempt {
        Attempt {
            at: self.now,
            host: self.peer.host.clone(),
            address: self.peer.address.map(|a| a.to_string()),
            tls: self.peer.tls.clone(),
            policy: self.peer.policy.clone(),
            outcome,
            reply: answer.to_string(),
        }
    }

    fn tell(&mut self, work: Work, action: Action, answer: &Answer) {
        if News::is_wanted(&work, action) {
            self.upshot.news.push(News {
                work,
                action,
                status: answer.status,
                remote: Some(self.peer.host.clone()),
                diagnostic: answer.to_string(),
                at: self.now,
            });
        }
    }

    fn settle(&mut self, work: &Work, fate: Fate, detail: String, attempt: Option<Attempt>) {
        self.upshot.settlements.push(Settlement {
            acceptance: work.acceptance.id,
            number: work.number,
            fate,
            at: self.now,
            detail: Some(detail),
            account: None,
            place: None,
            attempt,
        });
    }

    fn taken(&mut self, work: Work, answer: &Answer) {
        self.relayed += 1;
        let host = &self.peer.host;
        let attempt = self.attempt("taken", answer);
        self.settle(&work, Fate::Relayed, format!("{host}: {answer}"), Some(attempt));
        // A server that knows of notices tells by itself what becomes of it.
        if !self.peer.dsn {
            self.tell(work, Action::Relayed, answer);
        }
    }

    fn failed(&mut self, work: Work, answer: &Answer, outcome: &'static str) {
        self.failed += 1;
        let attempt = self.attempt(outcome, answer);
        self.settle(&work, Fate::Failed, answer.to_string(), Some(attempt));
        self.tell(work, Action::Failed, answer);
    }

    /// It is tried again; or given up, where that was its last time. `at`: when, where its destination says so.
    fn later(&mut self, work: Work, answer: &Answer, strategy: Strategy, outcome: &'static str, at: Option<i64>) {
        let attempt = Some(self.attempt(outcome, answer));
        if strategy == Strategy::Doubtful {
            self.doubtful += 1;
        }
        self.again(work, answer, strategy, attempt, at);
    }

    fn again(&mut self, work: Work, answer: &Answer, strategy: Strategy, attempt: Option<Attempt>, at: Option<i64>) {
        let schedule = strategy.of(self.terms);
        let until = work.queued_at.saturating_add(seconds(schedule.lifetime));
        if self.now >= until {
            self.failed += 1;
            self.settle(&work, Fate::Failed, format!("given up; at last: {answer}"), attempt);
            // RFC 3463 §3.5: delivery time expired.
            let expired = Answer {
                status: Status(if answer.is_permanent() { 5 } else { 4 }, 4, 7),
                ..answer.clone()
            };
            self.tell(work, Action::Failed, &expired);
            return;
        }
        self.deferred += 1;
        let late = schedule
            .delay_notice
            .is_some_and(|after| self.now >= work.queued_at.saturating_add(seconds(after)));
        let tell = late && !work.delay_told;
        let dice = work.acceptance.id.0 ^ i64::from(work.number);
        let due_at = at.unwrap_or_else(|| (self.now + schedule::wait(&schedule, work.attempts, dice)).min(until));
        self.next_due = self.next_due.into_iter().chain([due_at]).min();
        self.upshot.deferrals.push(Deferral {
            acceptance: work.acceptance.id,
            number: work.number,
            lease: work.lease,
            due_at,
            reason: match self.peer.host.as_str() {
                "" => answer.to_string(),
                host => format!("{host}: {answer}"),
            },
            strategy: strategy.name(),
            delay_told: tell,
            failed: attempt.is_some(),
            attempt,
        });
        if tell {
            self.tell(work, Action::Delayed { until }, answer);
        }
    }

    /// Has it written. `false`: the ledger is closing.
    async fn write<T: Transport>(self, shared: &Arc<Shared<T>>, name: &Arc<str>) -> bool {
        let c = &shared.counters;
        for (counter, count) in [
            (&c.relayed, self.relayed),
            (&c.failed, self.failed),
            (&c.deferred, self.deferred),
            (&c.doubtful, self.doubtful),
        ] {
            counter.fetch_add(count, Ordering::Relaxed);
        }
        let written = shared.settler.settle(self.upshot).await;
        if let Some(due_at) = self.next_due {
            shared.with(|s, now, terms| s.note(name, due_at, now, terms));
        }
        written
    }
}

/// A destination can't be reached: who of its mail has waited too long is given up, and who waits for longer than senders expect is told.
pub(crate) async fn aged<T: Transport>(shared: &Arc<Shared<T>>, name: &Arc<str>, trouble: &Unreachable) {
    let terms = shared.terms(name);
    let schedule = Strategy::Unreachable.of(&terms);
    loop {
        let now = shared.ledger.now();
        let expired = now - seconds(schedule.lifetime);
        let late = schedule.delay_notice.map(|after| now - seconds(after));
        let (ledger, destination) = (shared.ledger.clone(), Arc::clone(name));
        let claimed = tokio::task::spawn_blocking(move || ledger.claim_aged(destination, expired, late, AGED)).await;
        let works = match claimed {
            Ok(Ok(works)) => works,
            Ok(Err(ledger::Error::Closing)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(destination = %name, %error, "the ledger can't be read for mail that waits too long");
                return;
            }
        };
        let all = works.len() < AGED as usize;
        let answer = Answer::own(Status(4, 4, 1), trouble.reason.clone());
        let peer = Peer::default();
        for bundle in Bundle::of(works, u32::MAX) {
            let mut report = Report::new(&terms, &peer, now);
            for work in bundle.works {
                report.again(work, &answer, Strategy::Unreachable, None, Some(trouble.retry_at));
            }
            if !report.write(shared, name).await {
                return;
            }
        }
        if all || shared.stopping.load(Ordering::Acquire) {
            return;
        }
    }
}

/// What a connection has in hand: given back where its task ends without an outcome.
struct Hand<'s, T: Transport> {
    shared: &'s Arc<Shared<T>>,
    bundle: Option<Bundle>,
}

impl<'s, T: Transport> Hand<'s, T> {
    fn of(shared: &'s Arc<Shared<T>>, bundle: Bundle) -> Hand<'s, T> {
        Hand {
            shared,
            bundle: Some(bundle),
        }
    }
}

impl<T: Transport> Drop for Hand<'_, T> {
    fn drop(&mut self) {
        let Some(bundle) = self.bundle.take() else { return };
        if !std::thread::panicking() {
            self.shared.ledger.put_back(leases(&bundle.works));
            return;
        }
        let now = self.shared.ledger.now();
        let schedule = |work: &Work| Strategy::Damaged.of(&self.shared.terms(&work.destination));
        let deferrals = bundle.works.iter().map(|work| Deferral {
            acceptance: work.acceptance.id,
            number: work.number,
            lease: work.lease,
            due_at: now + schedule(work).wait(work.attempts),
            reason: "sending it failed in our own code; please report this".to_owned(),
            strategy: Strategy::Damaged.name(),
            delay_told: false,
            failed: true,
            attempt: None,
        });
        self.shared.ledger.defer(deferrals.collect());
    }
}

/// The place of a connection in the count of them.
struct Seat<T: Transport> {
    shared: Arc<Shared<T>>,
    name: Arc<str>,
}

impl<T: Transport> Drop for Seat<T> {
    fn drop(&mut self) {
        self.shared.with(|s, now, _| s.closed(&self.name, now));
    }
}
