//! From custody into mailboxes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::Blobs;
use db::{AccountId, Database};
use delivery::{Dispatch, Options};
use directory::{Directory, NewAccount};
use ledger::{Acceptance, AcceptanceId, Fate, Filter, Lane, Ledger, NewRecipient, Order, Selection, State};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{ArrivalState, Store};

struct House {
    folder: tempfile::TempDir,
    blobs: Blobs,
    store: Arc<Store>,
    directory: Directory,
    ledger: Ledger,
    dispatch: Option<Dispatch>,
}

const PEOPLE: [&str; 4] = ["ada@our.test", "bob@our.test", "cem@our.test", "dora@our.test"];

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let house = open(folder);
    house.directory.domain_add("our.test").unwrap();
    for address in PEOPLE {
        house
            .directory
            .account_add(&NewAccount {
                address,
                ..NewAccount::default()
            })
            .unwrap();
    }
    house
}

fn open(folder: tempfile::TempDir) -> House {
    let path: &Path = folder.path();
    let schemas = [ledger::SCHEMA, directory::SCHEMA];
    let database = Arc::new(Database::open(&path.join("server.db"), &schemas, db::Options::default()).unwrap());
    let blobs = Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
    let store = Arc::new(Store::open(&path.join("accounts"), blobs.clone(), store::Options::default()).unwrap());
    let directory = Directory::open(Arc::clone(&database)).unwrap();
    let ledger = Ledger::open(database, blobs.clone(), &ledger::Options::default()).unwrap();
    House {
        folder,
        blobs,
        store,
        directory,
        ledger,
        dispatch: None,
    }
}

/// All recipients of a message.
fn all_of(id: AcceptanceId) -> Selection {
    Selection {
        id: Some(id),
        ..Selection::default()
    }
}

impl House {
    fn start(&mut self) {
        let dispatch = Dispatch::start(
            self.ledger.clone(),
            Arc::clone(&self.store),
            self.directory.clone(),
            Arc::new(filter::Filter::new(filter::Options::new("mail.our.test"))),
            &Options::default(),
        );
        self.dispatch = Some(dispatch.unwrap());
    }

    fn restart(mut self) -> House {
        if let Some(dispatch) = self.dispatch.take() {
            dispatch.stop();
        }
        self.ledger.close();
        self.blobs.close().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        drop(self);
        open(folder)
    }

    async fn accept(&self, to: &[&str], text: &str) -> AcceptanceId {
        let id = self.ledger.next_id();
        let acceptance = Acceptance {
            sender: "ann@far.test".into(),
            protocol: "ESMTP".into(),
            client: "192.0.2.1:4711".into(),
            helo: "client.example".into(),
            body: "7BIT".into(),
            session: "s1".into(),
            recipients: to
                .iter()
                .map(|address| NewRecipient {
                    address: (*address).to_owned(),
                    original: None,
                    notify: None,
                    lane: Lane::Local,
                })
                .collect(),
            ..Acceptance::ours(id, id.seconds(), "smtp")
        };
        let commit = self.blobs.put(text.as_bytes()).unwrap();
        self.ledger.accept(acceptance, commit, None).await.unwrap();
        id
    }

    async fn until(&self, what: &str, mut condition: impl FnMut(&House) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition(self) {
            assert!(Instant::now() < end, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn settled(&self, id: AcceptanceId) {
        self.until("settled", |h| {
            let record = h.ledger.show(id).unwrap().unwrap();
            record.recipients.iter().all(|r| r.state == State::Settled)
        })
        .await;
    }

    fn id(&self, address: &str) -> AccountId {
        self.directory.account_show(address).unwrap().id
    }

    /// What is in a mailbox, as it is served.
    fn read(&self, address: &str, mailbox: &str) -> Vec<String> {
        let account = self.store.account(self.id(address)).unwrap();
        let mailbox = account.mailbox_find(mailbox).unwrap().id;
        let open = account.mailbox_open(mailbox, false).unwrap();
        let snapshot = open.snapshot();
        snapshot
            .iter()
            .map(|m| {
                let content = account.content(m.content).unwrap();
                String::from_utf8(account.content_range(&content, 0..u64::MAX).unwrap()).unwrap()
            })
            .collect()
    }

    /// The custody invariant, as `rohrpost audit` checks it.
    fn audit(&self) {
        let mut delivered = Vec::new();
        self.ledger.audit(|f| panic!("{f:?}"), |d| delivered.push(d)).unwrap();
        for d in delivered {
            let account = self.store.account(d.account).unwrap();
            let state = account.arrival_states(&[(d.acceptance.0, d.number)]).unwrap()[0];
            assert!(
                matches!(state, ArrivalState::Present | ArrivalState::Gone),
                "{d:?}: {state:?}"
            );
        }
    }
}

const TEXT: &str = "Subject: hello\r\n\r\nworld\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_each_recipient_with_lines_of_its_own() {
    let mut house = house();
    house.start();
    let id = house.accept(&["ada@our.test", "bob@our.test"], TEXT).await;
    house.settled(id).await;
    for name in ["ada@our.test", "bob@our.test"] {
        assert_eq!(
            house.read(name, "INBOX"),
            [format!("Return-Path: <ann@far.test>\r\nDelivered-To: {name}\r\n{TEXT}")]
        );
    }
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_expand_within_custody_and_loops_end() {
    let mut house = house();
    house
        .directory
        .alias_add("team@our.test", &["ada@our.test", "more@our.test", "x@far.test"])
        .unwrap();
    house
        .directory
        .alias_add("more@our.test", &["bob@our.test", "team@our.test"])
        .unwrap();
    house.start();
    let id = house.accept(&["team@our.test", "ada@our.test"], TEXT).await;
    house
        .until("expanded", |h| {
            let r = h.ledger.show(id).unwrap().unwrap().recipients;
            r.iter()
                .filter(|r| r.state != State::Settled)
                .all(|r| r.lane == Lane::Remote)
                && r.len() > 4
        })
        .await;
    let record = house.ledger.show(id).unwrap().unwrap();
    let mut fates: Vec<_> = record
        .recipients
        .iter()
        .map(|r| (r.address.as_str(), r.parent.is_some(), r.fate))
        .collect();
    fates.sort_by_key(|(a, child, f)| (*a, *child, f.map(Fate::name)));
    assert_eq!(
        fates,
        [
            ("ada@our.test", false, Some(Fate::Delivered)),
            ("ada@our.test", true, Some(Fate::Duplicate)),
            ("bob@our.test", true, Some(Fate::Delivered)),
            ("more@our.test", true, Some(Fate::Expanded)),
            ("team@our.test", false, Some(Fate::Expanded)),
            ("team@our.test", true, Some(Fate::Duplicate)),
            ("x@far.test", true, None),
        ]
    );
    assert_eq!(house.read("ada@our.test", "INBOX").len(), 1);
    assert_eq!(house.read("bob@our.test", "INBOX").len(), 1);
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subaddress_names_a_mailbox_that_exists() {
    let mut house = house();
    house.start();
    let ada = house.store.account(house.id("ada@our.test")).unwrap();
    ada.mailbox_create("Lists", None).unwrap();
    for to in ["ada+lists@our.test", "ada+nothing@our.test"] {
        let id = house.accept(&[to], TEXT).await;
        house.settled(id).await;
    }
    assert_eq!(house.read("ada@our.test", "Lists").len(), 1);
    assert_eq!(house.read("ada@our.test", "INBOX").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_when_the_server_stopped_is_delivered_after_it_starts() {
    let house = house();
    for n in 0..40 {
        house.accept(&[PEOPLE[n % 4]], &format!("Subject: {n}\r\n\r\n")).await;
    }
    // Leased by a worker of a run that ended.
    house.ledger.claim(20).await.unwrap();
    let mut house = house.restart();
    house.start();
    house
        .until("all delivered", |h| h.ledger.totals().unwrap().local == 0)
        .await;
    for name in PEOPLE {
        assert_eq!(house.read(name, "INBOX").len(), 10);
    }
    house.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_account_holds_up_nobody_else() {
    let mut house = house();
    let broken = house.store.path_of(house.id("bob@our.test"));
    std::fs::create_dir_all(broken.parent().unwrap()).unwrap();
    std::fs::write(
        &broken,
        b"this is not a database, and it is long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    house.start();
    let bad = house.accept(&["bob@our.test"], TEXT).await;
    let good = house.accept(&["ada@our.test", "cem@our.test"], TEXT).await;
    house.settled(good).await;
    house
        .until("deferred", |h| {
            h.ledger.show(bad).unwrap().unwrap().recipients[0].attempts == 1
        })
        .await;
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
    assert_eq!(r.strategy.as_deref(), Some("damaged"));
    assert!(r.reason.as_deref().unwrap().contains("damaged"), "{:?}", r.reason);
    // Somebody restores the file, and does not want to wait.
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(house.ledger.order(Order::Retry, &all_of(bad)).await.unwrap(), 1);
    house.settled(bad).await;
    assert_eq!(house.read("bob@our.test", "INBOX").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_gone_or_full_keeps_the_mail_in_the_queue() {
    let mut house = house();
    let gone = house.accept(&["nobody@our.test"], TEXT).await;
    house.directory.account_disable(house.id("bob@our.test")).unwrap();
    let disabled = house.accept(&["bob@our.test"], TEXT).await;
    house
        .directory
        .quota_set(house.id("cem@our.test"), Some(0), None)
        .unwrap();
    let full = house.accept(&["cem@our.test"], TEXT).await;
    let dora = house.id("dora@our.test");
    house.directory.quota_set(dora, None, Some(0)).unwrap();
    let counted = house.accept(&["dora@our.test"], TEXT).await;
    house.start();
    for (id, strategy, words) in [
        (gone, "address gone", "not known any more"),
        (disabled, "address gone", "disabled"),
        (full, "over quota", "full"),
        (counted, "over quota", "0 of 0 messages"),
    ] {
        house
            .until(words, |h| {
                h.ledger.show(id).unwrap().unwrap().recipients[0].attempts == 1
            })
            .await;
        let r = house.ledger.show(id).unwrap().unwrap().recipients.remove(0);
        assert_eq!(r.state, State::Due);
        assert_eq!(r.strategy.as_deref(), Some(strategy));
        assert!(r.reason.as_deref().unwrap().contains(words), "{:?}", r.reason);
    }
    house.directory.account_enable(house.id("bob@our.test")).unwrap();
    house.ledger.order(Order::Retry, &all_of(disabled)).await.unwrap();
    house.settled(disabled).await;
    house.directory.quota_set(dora, None, Some(1)).unwrap();
    house.ledger.order(Order::Retry, &all_of(counted)).await.unwrap();
    house.settled(counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_with_much_mail_does_not_keep_another_waiting() {
    let mut house = house();
    for n in 0..600 {
        house.accept(&["ada@our.test"], &format!("Subject: {n}\r\n\r\n")).await;
    }
    let last = house.accept(&["bob@our.test"], TEXT).await;
    house.start();
    house.settled(last).await;
    house
        .until("all of it", |h| h.ledger.totals().unwrap().local == 0)
        .await;
    assert_eq!(house.read("ada@our.test", "INBOX").len(), 600);
    let first = house.ledger.trace(&Filter::default(), 601).unwrap();
    let place: Vec<u32> = first.iter().filter_map(|r| r.recipients[0].uid).take(600).collect();
    assert!(place.is_sorted(), "an account's mail keeps its order");
    house.audit();
}
