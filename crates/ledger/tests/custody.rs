//! From acceptance to fate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::Blobs;
use db::{AccountId, Database};
use ledger::{
    Acceptance, AcceptanceId, Conclusion, Deferral, Desk, Fate, Filter, Lane, Ledger, NewRecipient, Offspring, Options,
    SCHEMA, Settlement, State, Work,
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
            session: "s1".into(),
            message_id: Some("<1@x>".into()),
            notes: None,
            parent: None,
            recipients: to.iter().map(|a| recipient(a)).collect(),
        };
        let commit = self.blobs.put(format!("to {to:?}").as_bytes()).unwrap();
        self.ledger.accept(acceptance, commit, None).await.unwrap();
        id
    }

    async fn claim(&self, lane: Lane) -> Vec<Work> {
        self.ledger.claim(lane, 100).await.unwrap()
    }

    /// Settling and deferring answer nobody; a claim that finds no lane goes through the same thread after them.
    async fn written(&self) {
        self.ledger.claim(Lane::Remote, 0).await.unwrap();
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
    }
}

#[tokio::test]
async fn every_recipient_is_due_once_and_settled_once() {
    let house = house();
    let id = house
        .accept("a@b.test", &["ada@our.test", "bob@our.test", "x@far.test"])
        .await;
    let work = house.claim(Lane::Local).await;
    assert_eq!(
        work.iter().map(|w| w.address.as_str()).collect::<Vec<_>>(),
        ["ada@our.test", "bob@our.test"]
    );
    assert!(house.claim(Lane::Local).await.is_empty(), "leased");
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
    assert_eq!(house.claim(Lane::Local).await.len(), 1);
    house.ledger.close();
    assert!(matches!(
        house.ledger.claim(Lane::Local, 1).await,
        Err(ledger::Error::Closing)
    ));
    let again = open(house.directory.path(), &house.blobs);
    let work = again.claim(Lane::Local, 10).await.unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].acceptance.sender, "");
    assert!(again.next_id() > work[0].acceptance.id);
}

#[tokio::test]
async fn expanding_is_one_step_and_keeps_one_copy_a_person() {
    let house = house();
    let id = house.accept("a@b.test", &["team@our.test", "ada@our.test"]).await;
    let work = house.claim(Lane::Local).await;
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
    let work = house.claim(Lane::Local).await;
    let later = work[0].acceptance.received_at + 3600;
    house.ledger.defer(vec![Deferral {
        acceptance: id,
        number: 0,
        due_at: later,
        reason: "disk full".into(),
        strategy: "slow start",
    }]);
    assert!(house.claim(Lane::Local).await.is_empty());
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
    assert_eq!(house.ledger.hold(id, None).await.unwrap(), 1);
    assert_eq!(house.ledger.retry(id, None).await.unwrap(), 0);
    assert_eq!(house.ledger.totals().unwrap().held, 1);
    assert_eq!(house.ledger.release(id, Some(0)).await.unwrap(), 1);
    let work = house.claim(Lane::Local).await;
    assert_eq!(work[0].attempts, 1);
}

#[tokio::test]
async fn trace_finds_by_what_was_asked() {
    let house = house();
    let one = house.accept("ann@x.test", &["ada@our.test"]).await;
    let two = house.accept("", &["bob@our.test", "ada@our.test"]).await;
    let work = house.claim(Lane::Local).await;
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
    let work = house.claim(Lane::Local).await;
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
    fn room(&self, _: Lane) -> usize {
        self.room.saturating_sub(self.work.lock().len())
    }

    fn put(&self, _: Lane, work: Vec<Work>) {
        self.work.lock().extend(work);
    }

    fn more(&self, _: Lane) {
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
    house.ledger.desk_set(Arc::clone(&desk) as Arc<dyn Desk>);
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
    let rest = house.claim(Lane::Local).await;
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
        let page = house.ledger.claim(Lane::Local, 64).await.unwrap();
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
    let work = house.claim(Lane::Local).await.remove(0);
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
            settlement: settlement(&work, fate),
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
    let due = house.claim(Lane::Local).await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].address.as_str(), due[0].acceptance.id), ("bob@our.test", first));
    assert_eq!(house.faults(), Vec::<String>::new());
}
