//! From acceptance to fate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::Blobs;
use db::{AccountId, Database};
use ledger::{
    Acceptance, AcceptanceId, Ask, Attempt, Conclusion, Deferral, Desk, Fate, Filter, Found, Lane, Ledger,
    NewRecipient, Offspring, Options, Order, RequireTls, SCHEMA, Selection, Settlement, State, Unreachable, Work,
};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct House {
    directory: tempfile::TempDir,
    blobs: Blobs,
    ledger: Ledger,
}

fn open(directory: &Path, blobs: &Blobs) -> Ledger {
    let database = Database::open(&directory.join("server.db"), &[SCHEMA], db::Options::default()).unwrap();
    Ledger::open(Arc::new(database), blobs.clone(), &Options::default()).unwrap()
}

fn house() -> House {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&directory.path().join("blobs"), blobs::Options::default()).unwrap();
    let ledger = open(directory.path(), &blobs);
    House {
        directory,
        blobs,
        ledger,
    }
}

fn recipient(address: &str) -> NewRecipient {
    NewRecipient {
        address: address.into(),
        original: None,
        notify: None,
        lane: if address.ends_with("our.test") {
            Lane::Local
        } else {
            Lane::Remote
        },
    }
}

impl House {
    async fn accept(&self, sender: &str, to: &[&str]) -> AcceptanceId {
        let id = self.ledger.next_id();
        let acceptance = Acceptance {
            id,
            received_at: id.seconds(),
            sender: sender.into(),
            protocol: "ESMTPS".into(),
            listener: "smtp".into(),
            client: "192.0.2.1:4711".into(),
            helo: "client.example".into(),
            tls: Some("TLSv1.3".into()),
            login: None,
            envid: Some("QQ314159".into()),
            ret: Some("HDRS".into()),
            body: "8BITMIME".into(),
            smtputf8: false,
            requiretls: RequireTls::Unsaid,
            bulk: false,
            release_at: None,
            held: None,
            session: "s1".into(),
            message_id: Some("<1@x>".into()),
            notes: None,
            quarantine: None,
            parent: None,
            recipients: to.iter().map(|a| recipient(a)).collect(),
        };
        let commit = self.blobs.put(format!("to {to:?}").as_bytes()).unwrap();
        self.ledger.accept(acceptance, commit, None).await.unwrap();
        id
    }

    async fn claim(&self) -> Vec<Work> {
        self.ledger.claim(100).await.unwrap()
    }

    /// Settling and deferring answer nobody; a claim for nothing goes through the same thread after them.
    async fn written(&self) {
        self.ledger.claim(0).await.unwrap();
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.ledger.audit(|f| faults.push(f.what), |_| {}).unwrap();
        faults
    }
}

fn settlement(work: &Work, fate: Fate) -> Settlement {
    Settlement {
        acceptance: work.acceptance.id,
        number: work.number,
        fate,
        at: work.acceptance.received_at + 1,
        detail: None,
        account: Some(AccountId(3)),
        place: Some((1, 42)),
        attempt: None,
    }
}

fn only(id: AcceptanceId, number: Option<u32>) -> Selection {
    Selection {
        id: Some(id),
        number,
        ..Selection::default()
    }
}

#[tokio::test]
async fn every_recipient_is_due_once_and_settled_once() {
    let house = house();
    let id = house
        .accept("a@b.test", &["ada@our.test", "bob@our.test", "x@far.test"])
        .await;
    let work = house.claim().await;
    assert_eq!(
        work.iter().map(|w| w.address.as_str()).collect::<Vec<_>>(),
        ["ada@our.test", "bob@our.test"]
    );
    assert!(house.claim().await.is_empty(), "leased");
    house.ledger.settle(vec![settlement(&work[0], Fate::Delivered)]);
    house.ledger.settle(vec![settlement(&work[0], Fate::Failed)]);
    house.written().await;
    let record = house.ledger.show(id).unwrap().unwrap();
    assert_eq!(record.acceptance.envid.as_deref(), Some("QQ314159"));
    assert_eq!(
        record.recipients[0].fate,
        Some(Fate::Delivered),
        "the first fate stands"
    );
    assert_eq!(
        (record.recipients[0].mailbox, record.recipients[0].uid),
        (Some(1), Some(42))
    );
    assert_eq!(record.recipients[1].state, State::Due);
    let totals = house.ledger.totals().unwrap();
    assert_eq!((totals.local, totals.remote, totals.held), (1, 1, 0));
    let mut told = Vec::new();
    house
        .ledger
        .audit(|f| panic!("{f:?}"), |d| told.push((d.number, d.account)))
        .unwrap();
    assert_eq!(told, [(0, AccountId(3))]);
    let mut needed = 0;
    house.ledger.blob_references(|_| needed += 1).unwrap();
    assert_eq!(needed, 1);
}

#[tokio::test]
async fn a_lease_ends_with_the_run_that_took_it() {
    let house = house();
    house.accept("", &["ada@our.test"]).await;
    assert_eq!(house.claim().await.len(), 1);
    house.ledger.close();
    assert!(matches!(house.ledger.claim(1).await, Err(ledger::Error::Closing)));
    let again = open(house.directory.path(), &house.blobs);
    let work = again.claim(10).await.unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].acceptance.sender, "");
    assert!(again.next_id() > work[0].acceptance.id);
}

#[tokio::test]
async fn expanding_is_one_step_and_keeps_one_copy_a_person() {
    let house = house();
    let id = house.accept("a@b.test", &["team@our.test", "ada@our.test"]).await;
    let work = house.claim().await;
    let children = ["ada@our.test", "bob@our.test", "far@away.test", "bob@our.test"]
        .map(recipient)
        .to_vec();
    let again = work[0].clone();
    house
        .ledger
        .expand(work[0].clone(), children, Some("alias team@our.test".into()))
        .await
        .unwrap();
    let record = house.ledger.show(id).unwrap().unwrap();
    let rows: Vec<_> = record
        .recipients
        .iter()
        .map(|r| (r.number, r.parent, r.address.as_str(), r.state, r.fate))
        .collect();
    assert_eq!(
        rows,
        [
            (0, None, "team@our.test", State::Settled, Some(Fate::Expanded)),
            (1, None, "ada@our.test", State::Due, None),
            (2, Some(0), "ada@our.test", State::Settled, Some(Fate::Duplicate)),
            (3, Some(0), "bob@our.test", State::Due, None),
            (4, Some(0), "far@away.test", State::Due, None),
            (5, Some(0), "bob@our.test", State::Settled, Some(Fate::Duplicate)),
        ]
    );
    assert_eq!(house.faults(), Vec::<String>::new());
    // Ordered twice (the lease ran out under a slow worker): the second order finds it expanded and adds nothing that is open.
    house
        .ledger
        .expand(again, vec![recipient("eve@our.test")], None)
        .await
        .unwrap();
    let record = house.ledger.show(id).unwrap().unwrap();
    assert_eq!(record.recipients.len(), 6);
}

#[tokio::test]
async fn a_failed_attempt_stays_open_with_its_reason() {
    let house = house();
    let id = house.accept("a@b.test", &["ada@our.test"]).await;
    let work = house.claim().await;
    let later = work[0].acceptance.received_at + 3600;
    house.ledger.defer(vec![Deferral {
        acceptance: id,
        number: 0,
        lease: work[0].lease,
        due_at: later,
        reason: "disk full".into(),
        strategy: "slow start",
        delay_told: false,
        failed: true,
        attempt: None,
    }]);
    assert!(house.claim().await.is_empty());
    let open = house
        .ledger
        .trace(
            &Filter {
                open: true,
                ..Filter::default()
            },
            10,
        )
        .unwrap();
    let r = &open[0].recipients[0];
    assert_eq!(
        (r.due_at, r.attempts, r.reason.as_deref()),
        (later, 1, Some("disk full"))
    );
    assert_eq!(r.strategy.as_deref(), Some("slow start"));
    assert_eq!(house.ledger.order(Order::Hold, &only(id, None)).await.unwrap(), 1);
    assert_eq!(house.ledger.order(Order::Retry, &only(id, None)).await.unwrap(), 0);
    assert_eq!(house.ledger.totals().unwrap().held, 1);
    assert_eq!(house.ledger.order(Order::Release, &only(id, Some(0))).await.unwrap(), 1);
    let work = house.claim().await;
    assert_eq!(work[0].attempts, 1);
}

#[tokio::test]
async fn trace_finds_by_what_was_asked() {
    let house = house();
    let one = house.accept("ann@x.test", &["ada@our.test"]).await;
    let two = house.accept("", &["bob@our.test", "ada@our.test"]).await;
    let work = house.claim().await;
    house.ledger.settle(vec![settlement(&work[0], Fate::Delivered)]);
    house.written().await;
    let now = one.seconds();
    let table: Vec<(Filter, Vec<AcceptanceId>)> = vec![
        (Filter::default(), vec![one, two]),
        (
            Filter {
                to: Some("bob@our.test".into()),
                ..Filter::default()
            },
            vec![two],
        ),
        (
            Filter {
                to: Some("*@our.test".into()),
                ..Filter::default()
            },
            vec![one, two],
        ),
        (
            Filter {
                to: Some("%@our.test*".into()),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                from: Some("<>".into()),
                ..Filter::default()
            },
            vec![two],
        ),
        (
            Filter {
                from: Some("ANN@x*".into()),
                ..Filter::default()
            },
            vec![one],
        ),
        (
            Filter {
                since: Some(now + 100),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                until: Some(now + 100),
                ..Filter::default()
            },
            vec![one, two],
        ),
        (
            Filter {
                min_size: Some(1_000),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                fate: Some(Fate::Delivered),
                ..Filter::default()
            },
            vec![one],
        ),
        (
            Filter {
                open: true,
                ..Filter::default()
            },
            vec![two],
        ),
        (
            Filter {
                after: Some(one),
                ..Filter::default()
            },
            vec![two],
        ),
    ];
    for (filter, wanted) in table {
        let found: Vec<_> = house
            .ledger
            .trace(&filter, 10)
            .unwrap()
            .iter()
            .map(|r| r.acceptance.id)
            .collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
    assert_eq!(house.ledger.trace(&Filter::default(), 1).unwrap().len(), 1);
}

#[tokio::test]
async fn history_goes_when_all_is_settled() {
    let house = house();
    house.accept("a@b.test", &["ada@our.test"]).await;
    house.accept("a@b.test", &["bob@our.test"]).await;
    let work = house.claim().await;
    house.ledger.settle(vec![settlement(&work[0], Fate::Delivered)]);
    let far = work[0].acceptance.received_at + 10_000;
    assert_eq!(house.ledger.history_forget(0, 100).await.unwrap(), 0);
    assert_eq!(house.ledger.history_forget(far, 100).await.unwrap(), 1);
    assert_eq!(house.ledger.trace(&Filter::default(), 10).unwrap().len(), 1);
    assert_eq!(house.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn the_audit_names_what_is_wrong() {
    let table = [
        (
            "DELETE FROM recipient WHERE number = 1",
            "was accepted for 2 recipients, has 1",
        ),
        (
            "UPDATE recipient SET state = 1 WHERE number = 0",
            "is settled without a fate",
        ),
        (
            "UPDATE recipient SET fate = 'failed' WHERE number = 0",
            "has a fate and is open",
        ),
        (
            "UPDATE recipient SET state = 1, fate = 'delivered' WHERE number = 0",
            "is delivered to no account",
        ),
        ("UPDATE acceptance SET blob = zeroblob(32)", "are missing"),
        ("DELETE FROM acceptance", "has recipients and no message"),
        (
            "UPDATE recipient SET parent = 0 WHERE number = 1",
            "which was not expanded",
        ),
    ];
    for (damage, wanted) in table {
        let house = house();
        house.accept("a@b.test", &["ada@our.test", "bob@our.test"]).await;
        assert_eq!(house.faults(), Vec::<String>::new());
        let other = Database::open(
            &house.directory.path().join("server.db"),
            &[SCHEMA],
            db::Options::default(),
        )
        .unwrap();
        other.write(db::Durability::Synced, |tx| tx.batch(damage)).unwrap();
        let faults = house.faults();
        assert!(faults.iter().any(|f| f.contains(wanted)), "{damage}: {faults:?}");
    }
}

struct Table {
    work: Mutex<Vec<Work>>,
    more: Mutex<usize>,
    room: usize,
}

impl Desk for Table {
    fn room(&self) -> usize {
        self.room.saturating_sub(self.work.lock().len())
    }

    fn put(&self, work: Vec<Work>) {
        self.work.lock().extend(work);
    }

    fn more(&self, _: &Arc<str>, _: i64) {
        *self.more.lock() += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_shares_commits_and_what_finds_no_room_waits() {
    let house = Arc::new(house());
    let desk = Arc::new(Table {
        work: Mutex::default(),
        more: Mutex::default(),
        room: 150,
    });
    house.ledger.desk_set(Lane::Local, Arc::clone(&desk) as Arc<dyn Desk>);
    let tasks: Vec<_> = (0..20)
        .map(|t| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for n in 0..10 {
                    house.accept(&format!("s{t}-{n}@x.test"), &["ada@our.test"]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(desk.work.lock().len(), 150);
    assert!(*desk.more.lock() > 0);
    let rest = house.claim().await;
    assert_eq!(rest.len(), 50);
    let mut all: Vec<_> = desk.work.lock().iter().chain(&rest).map(|w| w.acceptance.id).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200, "each is with exactly one");
}

#[tokio::test]
async fn a_thousand_open_rows_are_claimed_in_order_and_fast_enough_to_page() {
    let house = house();
    for n in 0..300 {
        house.accept("a@b.test", &[&format!("u{n}@our.test")]).await;
    }
    let begun = Instant::now();
    let mut seen = 0;
    loop {
        let page = house.ledger.claim(64).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen += page.len();
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(seen, 300);
}

#[tokio::test]
async fn what_comes_of_a_delivery_comes_once() {
    let house = house();
    let id = house.accept("a@b.test", &["ada@our.test"]).await;
    let work = house.claim().await.remove(0);
    let conclude = |fate| {
        let commit = house.blobs.put(b"an answer").unwrap();
        commit.wait().unwrap();
        let child = house.ledger.next_id();
        let acceptance = Acceptance {
            id: child,
            received_at: 7,
            sender: String::new(),
            parent: Some((id, 0)),
            recipients: vec![recipient("bob@our.test"), recipient("x@far.test")],
            ..Acceptance::clone(&work.acceptance)
        };
        house.ledger.conclude(vec![Conclusion {
            settlements: vec![settlement(&work, fate)],
            deferrals: Vec::new(),
            offspring: vec![Offspring {
                acceptance,
                blob: commit.id(),
                size: commit.len(),
                bytes: None,
            }],
        }]);
        child
    };
    let first = conclude(Fate::Redirected);
    let second = conclude(Fate::Delivered);
    house.written().await;
    let record = house.ledger.show(id).unwrap().unwrap();
    assert_eq!(record.recipients[0].fate, Some(Fate::Redirected));
    assert_eq!(record.offspring, [(first, 0)]);
    assert!(house.ledger.show(second).unwrap().is_none());
    let child = house.ledger.show(first).unwrap().unwrap();
    assert_eq!(child.acceptance.parent, Some((id, 0)));
    assert_eq!((child.size, child.recipients.len()), (9, 2));
    let due = house.claim().await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].address.as_str(), due[0].acceptance.id), ("bob@our.test", first));
    assert_eq!(house.faults(), Vec::<String>::new());
}

fn attempt(at: i64, outcome: &'static str) -> Attempt {
    Attempt {
        at,
        host: "mx.far.test".into(),
        address: Some("192.0.2.9".into()),
        tls: None,
        policy: "opportunistic".into(),
        outcome,
        reply: format!("451 4.3.0 number {at}"),
    }
}

impl House {
    async fn claim_for(&self, destination: &str, limit: u32) -> (Vec<Work>, Option<i64>) {
        let found = self.ask(destination, limit, 0).await;
        (found.work, found.next_due)
    }

    async fn ask(&self, destination: &str, limit: u32, turn: i64) -> Found {
        let ask = Ask {
            destination: destination.into(),
            limit,
            turn,
        };
        let ledger = self.ledger.clone();
        let claimed = tokio::task::spawn_blocking(move || ledger.claim_destinations(vec![ask]));
        claimed.await.unwrap().unwrap().remove(0)
    }

    async fn these(&self, keys: Vec<(AcceptanceId, u32)>) -> Vec<Work> {
        let ledger = self.ledger.clone();
        let claimed = tokio::task::spawn_blocking(move || ledger.claim_these(keys));
        claimed.await.unwrap().unwrap()
    }

    async fn concluded(&self, conclusion: Conclusion) -> Vec<(AcceptanceId, u32)> {
        let ledger = self.ledger.clone();
        let concluded = tokio::task::spawn_blocking(move || ledger.conclude_all(vec![conclusion]));
        concluded.await.unwrap().unwrap().remove(0)
    }

    fn deferral(work: &Work, due_at: i64, attempt: Option<Attempt>) -> Deferral {
        Deferral {
            acceptance: work.acceptance.id,
            number: work.number,
            lease: work.lease,
            due_at,
            reason: "busy".into(),
            strategy: "refused for now",
            delay_told: false,
            failed: true,
            attempt,
        }
    }
}

#[tokio::test]
async fn a_destination_is_claimed_alone_and_says_when_it_is_due_next() {
    let house = house();
    for to in ["a@far.test", "b@FAR.test", "c@other.test", "d@our.test"] {
        house.accept("a@b.test", &[to]).await;
    }
    let (work, next) = house.claim_for("far.test", 1).await;
    assert_eq!(
        (work.len(), work[0].address.as_str(), &*work[0].destination),
        (1, "a@far.test", "far.test")
    );
    assert!(next.is_some(), "there may be more");
    let (more, next) = house.claim_for("far.test", 10).await;
    assert_eq!((more.len(), next), (1, None), "what is leased is not given twice");
    let later = house.ledger.now() + 1000;
    house.ledger.defer(vec![House::deferral(&more[0], later, None)]);
    assert_eq!(house.claim_for("far.test", 10).await.1, Some(later));
    house
        .ledger
        .put_back(vec![(work[0].acceptance.id, work[0].number, work[0].lease)]);
    let (again, _) = house.claim_for("far.test", 10).await;
    assert_eq!((again.len(), again[0].attempts), (1, 0), "put back untried");
}

#[tokio::test]
async fn the_first_and_the_last_attempts_are_kept() {
    let house = house();
    let id = house.accept("a@b.test", &["x@far.test"]).await;
    let mut work = house.claim_for("far.test", 1).await.0.remove(0);
    for at in 0..100 {
        house
            .ledger
            .defer(vec![House::deferral(&work, 0, Some(attempt(at, "deferred")))]);
        work = house.claim_for("far.test", 1).await.0.remove(0);
    }
    house.ledger.settle(vec![Settlement {
        attempt: Some(attempt(100, "taken")),
        account: None,
        place: None,
        ..settlement(&work, Fate::Relayed)
    }]);
    house.written().await;
    let record = house.ledger.show(id).unwrap().unwrap();
    let recipient = &record.recipients[0];
    assert_eq!((recipient.attempts, recipient.fate), (101, Some(Fate::Relayed)));
    let at: Vec<i64> = recipient.tries.iter().map(|t| t.at).collect();
    assert_eq!(at, (0..4).chain(85..=100).collect::<Vec<_>>());
    assert_eq!(recipient.tries.last().unwrap().outcome, "taken");
    assert_eq!(house.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn what_waits_is_counted_by_destination_and_dead_ones_are_remembered() {
    let house = house();
    for n in 0..3 {
        house
            .accept("a@b.test", &[&format!("u{n}@far.test"), "x@other.test"])
            .await;
    }
    let dead = Unreachable {
        destination: "far.test".into(),
        failures: 2,
        since: 10,
        failed_at: 20,
        retry_at: i64::MAX / 2,
        reason: "connection refused".into(),
    };
    house.ledger.unreachable(dead.clone());
    house.written().await;
    let again = {
        house.ledger.close();
        open(house.directory.path(), &house.blobs)
    };
    let depths = again.depths().unwrap();
    let found: Vec<_> = depths
        .iter()
        .map(|d| (&*d.destination, d.rows, d.unreachable.as_ref()))
        .collect();
    assert_eq!(found, [("far.test", 3, Some(&dead)), ("other.test", 3, None)]);
    let far = Selection {
        destination: Some("far.test".into()),
        ..Selection::default()
    };
    let rows = again.open_rows(&far, None, 2).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|r| r.due_at == dead.retry_at && r.reason.as_deref() == Some("connection refused"))
    );
    let rest = again
        .open_rows(&far, rows.last().map(|r| (r.id, r.number)), 10)
        .unwrap();
    assert_eq!(rest.len(), 1);
    // An order to try again reaches the destination too.
    assert_eq!(again.order(Order::Retry, &far).await.unwrap(), 3);
    assert!(again.depths().unwrap()[0].unreachable.as_ref().unwrap().retry_at <= again.now());
    again.reachable("far.test".into());
    assert_eq!(again.order(Order::Cancel, &far).await.unwrap(), 3);
    let left: Vec<_> = again
        .depths()
        .unwrap()
        .into_iter()
        .map(|d| d.destination.to_string())
        .collect();
    assert_eq!(left, ["other.test"]);
}

#[tokio::test]
async fn orders_reach_what_they_name() {
    let house = house();
    let first = house.accept("ada@our.test", &["x@far.test", "y@far.test"]).await;
    house.accept("", &["x@far.test"]).await;
    let select = |to: Option<&str>, from: Option<&str>| Selection {
        to: to.map(str::to_owned),
        from: from.map(str::to_owned),
        ..Selection::default()
    };
    let cases = [
        (select(None, None), 3),
        (select(Some("x@far.test"), None), 2),
        (select(Some("*@far.test"), Some("ada@*")), 2),
        (select(None, Some("<>")), 1),
        (select(Some("x_far.test"), None), 0),
        (only(first, Some(1)), 1),
        (
            Selection {
                state: Some(State::Held),
                ..Selection::default()
            },
            0,
        ),
        (
            Selection {
                before: Some(0),
                ..Selection::default()
            },
            0,
        ),
        (
            Selection {
                lane: Some(Lane::Local),
                ..Selection::default()
            },
            0,
        ),
    ];
    for (selection, expected) in cases {
        let found = house.ledger.open_rows(&selection, None, 100).unwrap().len();
        assert_eq!(found, expected, "{selection:?}");
    }
    assert_eq!(
        house
            .ledger
            .order(Order::Hold, &select(None, Some("<>")))
            .await
            .unwrap(),
        1
    );
    assert_eq!(house.claim_for("far.test", 10).await.0.len(), 2);
    assert_eq!(
        house.ledger.order(Order::Release, &Selection::default()).await.unwrap(),
        1
    );
    assert_eq!(house.claim_for("far.test", 10).await.0.len(), 1);
}

#[tokio::test]
async fn whoever_lost_the_lease_has_no_say_about_the_time() {
    let house = house();
    let id = house.accept("a@b.test", &["x@far.test"]).await;
    let first = house.claim_for("far.test", 1).await.0.remove(0);
    assert!(house.these(vec![(id, 0)]).await.is_empty(), "it is in somebody's hands");
    house.ledger.put_back(vec![(id, 0, first.lease)]);
    let second = house.these(vec![(id, 0)]).await.remove(0);
    assert_ne!(first.lease, second.lease);
    // The first comes back late: its attempt is on record, and the row is the second's.
    let late = house.ledger.now() + 5000;
    house
        .ledger
        .defer(vec![House::deferral(&first, late, Some(attempt(1, "deferred")))]);
    house.ledger.put_back(vec![(id, 0, first.lease)]);
    let (nothing, next) = house.claim_for("far.test", 1).await;
    assert!(nothing.is_empty() && next.is_none());
    let row = &house.ledger.show(id).unwrap().unwrap().recipients[0];
    assert_eq!((row.attempts, row.tries.len(), row.due_at < late), (1, 1, true));
    // Held meanwhile: why stays what the administrator's order says.
    assert_eq!(house.ledger.order(Order::Hold, &only(id, None)).await.unwrap(), 1);
    house
        .ledger
        .defer(vec![House::deferral(&second, late, Some(attempt(2, "deferred")))]);
    house.written().await;
    let row = &house.ledger.show(id).unwrap().unwrap().recipients[0];
    assert_eq!(row.state, State::Held);
    assert_eq!(row.reason.as_deref(), Some("held by an administrator"));
    assert_eq!((row.attempts, row.tries.len()), (2, 2));
}

#[tokio::test]
async fn nobody_is_told_of_what_has_changed_meanwhile() {
    let house = house();
    let id = house.accept("ada@our.test", &["x@far.test", "y@far.test"]).await;
    let work = house.claim_for("far.test", 10).await.0;
    assert_eq!(house.ledger.order(Order::Cancel, &only(id, Some(1))).await.unwrap(), 1);
    let commit = house.blobs.put(b"it failed").unwrap();
    commit.wait().unwrap();
    let failed = |of: &[&Work]| {
        let child = house.ledger.next_id();
        Conclusion {
            settlements: of.iter().map(|w| settlement(w, Fate::Failed)).collect(),
            deferrals: Vec::new(),
            offspring: vec![Offspring {
                acceptance: Acceptance {
                    id: child,
                    sender: String::new(),
                    parent: Some((id, 0)),
                    recipients: vec![recipient("ada@our.test")],
                    ..Acceptance::clone(&work[0].acceptance)
                },
                blob: commit.id(),
                size: commit.len(),
                bytes: None,
            }],
        }
    };
    assert_eq!(house.concluded(failed(&[&work[0], &work[1]])).await, [(id, 1)]);
    let record = house.ledger.show(id).unwrap().unwrap();
    assert_eq!((record.recipients[0].fate, record.offspring.len()), (None, 0));
    assert!(house.concluded(failed(&[&work[0]])).await.is_empty());
    let record = house.ledger.show(id).unwrap().unwrap();
    assert_eq!(
        (record.recipients[0].fate, record.offspring.len()),
        (Some(Fate::Failed), 1)
    );
    assert_eq!(house.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn every_sender_gets_his_turn() {
    let house = house();
    for n in 0..60 {
        house.accept("newsletter@our.test", &[&format!("u{n}@far.test")]).await;
    }
    for n in 0..5 {
        house.accept(&format!("person{n}@our.test"), &["x@far.test"]).await;
    }
    let nothing = house.ask("far.test", 0, 0).await;
    assert!(nothing.work.is_empty() && nothing.next_due.is_some());
    let (mut turn, mut seen) = (0, Vec::new());
    for _ in 0..3 {
        let found = house.ask("far.test", 4, turn).await;
        assert_eq!(found.work.len(), 4);
        turn = found.turn;
        seen.extend(found.work.into_iter().map(|w| w.acceptance.sender.clone()));
    }
    let people: std::collections::BTreeSet<_> = seen.iter().filter(|s| s.starts_with("person")).collect();
    assert_eq!(people.len(), 5, "{seen:?}");
    // Then all that is left comes, and nothing twice.
    let mut left = 0;
    loop {
        let found = house.ask("far.test", 7, turn).await;
        if found.work.is_empty() {
            assert_eq!(found.next_due, None);
            break;
        }
        left += found.work.len();
        turn = found.turn;
    }
    assert_eq!(seen.len() + left, 65);
}

#[tokio::test]
async fn what_waited_before_the_upgrade_begins_its_lifetime_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.db");
    let blobs = Blobs::open(&directory.path().join("blobs"), blobs::Options::default()).unwrap();
    let old = db::Schema {
        steps: &SCHEMA.steps[..2],
        ..SCHEMA
    };
    let database = Database::open(&path, &[old], db::Options::default()).unwrap();
    let blob = vec![7u8; 32];
    let id = AcceptanceId::at(1_000_000_000);
    database
        .write(db::Durability::Synced, |tx| {
            tx.execute(
                "INSERT INTO acceptance (id, received_at, sender, blob, size, recipients, protocol, listener, client, helo, body, smtputf8,
                    session, notes)
                 VALUES (?1, 1000000000, 'a@b.test', ?2, 1, 2, 'ESMTP', 'smtp', '', '', '8BITMIME', 0, 's', 'quarantined: looks odd; ')",
                &[id.0.into(), blob.as_slice().into()],
            )?;
            for (number, address, lane) in [(0i64, "x@Far.test", 1i64), (1, "ada@our.test", 0)] {
                tx.execute(
                    "INSERT INTO recipient (acceptance, number, address, lane, state, due_at, lease_holder, lease_until, attempts)
                     VALUES (?1, ?2, ?3, ?4, 0, 1000000000, 5, 9000000000, 0)",
                    &[id.0.into(), number.into(), address.into(), lane.into()],
                )?;
            }
            Ok(())
        })
        .unwrap();
    drop(database);
    let ledger = open(directory.path(), &blobs);
    let group = |address: &str| -> Arc<str> { ledger::domain_of(address).into() };
    assert_eq!(ledger.regroup(&group).await.unwrap(), 1);
    assert_eq!(ledger.regroup(&group).await.unwrap(), 0);
    let depths = ledger.depths().unwrap();
    assert_eq!((&*depths[0].destination, depths[0].rows), ("far.test", 1));
    assert!(depths[0].oldest >= ledger.now() - 60);
    let local = ledger.claim(10).await.unwrap().remove(0);
    assert!(local.queued_at >= ledger.now() - 60);
    assert_eq!(local.acceptance.quarantine.as_deref(), Some("quarantined: looks odd; "));
}
