//! What aliases and scripts send on to other servers, and what comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

#[path = "../../authentication/tests/common/mod.rs"]
mod common;

use authentication::results::Verdict;
use authentication::{Heard, Limits, SigningKey, arc, dkim};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use blobs::Blobs;
use common::Zone;
use db::{AccountId, Database};
use delivery::{Dispatch, ForwardOptions, Forwarding, NoticeOptions, Notifier, Options, Owner, Signer, StandsFor};
use directory::{Directory, NewAccount, Resolution};
use ledger::{Acceptance, AcceptanceId, Fate, Lane, Ledger, NewRecipient, Record, State};
use smtp::dsn::Language;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{ScriptLimits, Store, Unless};

struct House {
    blobs: Blobs,
    store: Arc<Store>,
    directory: Directory,
    ledger: Ledger,
    forwarding: Arc<Forwarding>,
    zone: Zone,
    dispatch: Option<Dispatch>,
    _folder: tempfile::TempDir,
}

/// Ada, Bob and the alias staff@ of Ada and somebody elsewhere; keys that sign for our.test.
fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let schemas = [ledger::SCHEMA, directory::SCHEMA];
    let database = Arc::new(Database::open(&path.join("server.db"), &schemas, db::Options::default()).unwrap());
    let blobs = Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
    let store = Arc::new(Store::open(&path.join("accounts"), blobs.clone(), store::Options::default()).unwrap());
    let directory = Directory::open(Arc::clone(&database)).unwrap();
    directory.domain_add("our.test").unwrap();
    for address in ["ada@our.test", "bob@our.test"] {
        let new = NewAccount {
            address,
            ..NewAccount::default()
        };
        directory.account_add(&new).unwrap();
    }
    directory
        .alias_add("staff@our.test", &["ada@our.test", "ann@away.test", "ben@away.test"])
        .unwrap();
    let ledger = Ledger::open(database, blobs.clone(), &ledger::Options::default()).unwrap();

    let keys = path.join("dkim/our.test");
    std::fs::create_dir_all(&keys).unwrap();
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    std::fs::write(keys.join("one.pem"), SigningKey::pem(der.as_ref()).as_bytes()).unwrap();
    let record = SigningKey::from_pkcs8(der.as_ref()).unwrap().record().unwrap();
    let zone = Zone::default().with("one._domainkey.our.test", "TXT", &record);

    let signer = Arc::new(Signer::new(path.join("dkim")));
    let options = ForwardOptions::new("mail.our.test");
    let forwarding = Arc::new(Forwarding::new(directory.clone(), Some(signer), options));
    let lanes = {
        let directory = directory.clone();
        move |address: &str| match directory.resolve(address) {
            Resolution::Remote => Lane::Remote,
            _ => Lane::Local,
        }
    };
    let notices = NoticeOptions {
        hostname: "mail.our.test".into(),
        languages: vec![Language::English],
        postmaster: "postmaster@our.test".into(),
    };
    let notifier = Notifier::new(ledger.clone(), Arc::new(lanes), notices).forwarding(Arc::clone(&forwarding));
    let dispatch = Dispatch::start(
        ledger.clone(),
        Arc::clone(&store),
        directory.clone(),
        Arc::new(filter::Filter::new(filter::Options::new("mail.our.test"))),
        &Options {
            forwarding: Some(Arc::clone(&forwarding)),
            notifier: Some(Arc::new(notifier)),
            ..Options::default()
        },
    );
    House {
        blobs,
        store,
        directory,
        ledger,
        forwarding,
        zone,
        dispatch: Some(dispatch.unwrap()),
        _folder: folder,
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(dispatch) = self.dispatch.take() {
            dispatch.stop();
        }
    }
}

/// What the door puts on top, and a message.
fn message(header: &str, body: &str) -> String {
    format!(
        "Authentication-Results: mail.our.test;\r\n\tspf=pass smtp.mailfrom=fay@far.test; arc=none\r\n\
         Received: from far.test by mail.our.test; Wed, 25 Nov 2026 09:30:00 +0000\r\n{header}From: Fay <fay@far.test>\r\n\
         Subject: x\r\nMessage-ID: <1@far.test>\r\nDate: Wed, 25 Nov 2026 09:30:00 +0000\r\n\r\n{body}\r\n"
    )
}

impl House {
    async fn accept(&self, from: &str, to: &str, text: &str) -> Record {
        let id = self.ledger.next_id();
        let acceptance = Acceptance {
            sender: from.into(),
            recipients: vec![NewRecipient {
                address: to.to_owned(),
                original: None,
                notify: None,
                lane: Lane::Local,
            }],
            ..Acceptance::ours(id, id.seconds(), "smtp")
        };
        let commit = self.blobs.put(text.as_bytes()).unwrap();
        self.ledger.accept(acceptance, commit, None).await.unwrap();
        // Nobody takes what is for others here: it stays.
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let record = self.ledger.show(id).unwrap().unwrap();
            if record
                .recipients
                .iter()
                .all(|r| r.state == State::Settled || r.lane == Lane::Remote)
            {
                return record;
            }
            assert!(Instant::now() < end, "not settled: {record:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The messages that came of one.
    fn offspring(&self, of: &Record) -> Vec<Record> {
        let ids: Vec<AcceptanceId> = of.offspring.iter().map(|(id, _)| *id).collect();
        ids.into_iter()
            .map(|id| self.ledger.show(id).unwrap().unwrap())
            .collect()
    }

    fn text(&self, record: &Record) -> String {
        String::from_utf8(self.blobs.read(record.blob).unwrap()).unwrap()
    }

    fn id(&self, address: &str) -> AccountId {
        self.directory.account_show(address).unwrap().id
    }

    fn script(&self, address: &str, text: &str) {
        let account = self.store.account(self.id(address)).unwrap();
        account
            .script_put("main", text, Unless::Never, &ScriptLimits::default())
            .unwrap();
        account.script_activate(Some("main")).unwrap();
    }

    fn inbox(&self, address: &str) -> usize {
        let account = self.store.account(self.id(address)).unwrap();
        let inbox = account.mailbox_find("INBOX").unwrap().id;
        account.mailbox_open(inbox, false).unwrap().snapshot().len()
    }

    /// For whom a return path stands.
    fn stands_for(&self, path: &str) -> StandsFor {
        self.forwarding.reverse(path, net::now()).unwrap().unwrap()
    }

    fn chain(&self, text: &str) -> arc::Chain {
        let limits = Limits::default();
        common::now(arc::verify(
            &self.zone,
            &Heard::whole(text.as_bytes(), &limits),
            &limits,
            4_000_000_000,
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_sends_on_with_a_return_path_and_a_seal() {
    let house = house();
    for body in ["small".to_owned(), "0123456789abcdef\r\n".repeat(200_000)] {
        let record = house
            .accept("fay@far.test", "staff@our.test", &message("", &body))
            .await;
        let fates: Vec<_> = record.recipients.iter().map(|r| (r.address.as_str(), r.fate)).collect();
        assert_eq!(
            fates,
            [
                ("staff@our.test", Some(Fate::Expanded)),
                ("ada@our.test", Some(Fate::Delivered))
            ]
        );
        let [sent] = &house.offspring(&record)[..] else {
            panic!("one message is sent on: {record:?}")
        };
        let path = &sent.acceptance.sender;
        assert!(
            path.starts_with("SRS0=") && path.ends_with("=far.test=fay@our.test"),
            "{path}"
        );
        assert_eq!(house.stands_for(path), StandsFor::Sender("fay@far.test".into()));
        let to: Vec<_> = sent.recipients.iter().map(|r| (r.address.as_str(), r.lane)).collect();
        assert_eq!(to, [("ann@away.test", Lane::Remote), ("ben@away.test", Lane::Remote)]);
        assert_eq!(sent.recipients[0].original.as_deref(), Some("rfc822;staff@our.test"));
        let text = house.text(sent);
        assert!(text.starts_with("ARC-Seal: i=1;"), "{}", &text[..500]);
        assert!(
            text.contains("ARC-Authentication-Results: i=1; mail.our.test;\r\n\tspf=pass"),
            "{}",
            &text[..1500]
        );
        assert!(
            text.contains("\r\nDelivered-To: staff@our.test\r\nAuthentication-Results:"),
            "{}",
            &text[..2000]
        );
        assert!(text.ends_with(&format!("{body}\r\n")));
        let chain = house.chain(&text);
        assert_eq!((chain.verdict, chain.sets), (Verdict::Pass, 1), "{:?}", chain.reason);
        assert_eq!(chain.sealer.as_deref(), Some("our.test"));
        // What was changed on the way after that shows.
        let chain = house.chain(&text.replace("Subject: x", "Subject: y"));
        assert_eq!(chain.verdict, Verdict::Fail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bounce_is_about_goes_back_to_its_sender() {
    let house = house();
    let record = house.accept("fay@far.test", "staff@our.test", &message("", "x")).await;
    let path = house.offspring(&record)[0].acceptance.sender.clone();
    let bounce = house.accept("", &path, &message("", "bounce")).await;
    let rows: Vec<_> = bounce
        .recipients
        .iter()
        .map(|r| (r.address.as_str(), r.fate, r.lane))
        .collect();
    assert_eq!(
        rows,
        [
            (path.as_str(), Some(Fate::Expanded), Lane::Local),
            ("fay@far.test", None, Lane::Remote)
        ]
    );
    assert!(bounce.offspring.is_empty());
    // A bounce that is sent on itself stays one; so does mail of our own people.
    let owner = Owner::Alias("staff@our.test");
    assert_eq!(house.forwarding.return_path("", owner, 0), "");
    assert_eq!(house.forwarding.return_path("bob@our.test", owner, 0), "bob@our.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sends_on_and_its_answers_are_signed() {
    let house = house();
    house.script(
        "ada@our.test",
        "require [\"vacation\", \"copy\"]; redirect :copy \"ann@away.test\"; vacation :addresses \"ada@our.test\" \"away\";",
    );
    let text = message("To: ada@our.test\r\n", "x");
    let record = house.accept("fay@far.test", "ada@our.test", &text).await;
    let sent = house.offspring(&record);
    let redirected = sent
        .iter()
        .find(|r| r.recipients[0].address == "ann@away.test")
        .unwrap();
    assert_eq!(
        house.stands_for(&redirected.acceptance.sender),
        StandsFor::Sender("fay@far.test".into())
    );
    let on = house.text(redirected);
    let chain = house.chain(&on);
    assert_eq!(
        (chain.verdict, chain.sets),
        (Verdict::Pass, 1),
        "{:?}: {on}",
        chain.reason
    );
    // Where it comes by again, the chain goes on; unless nobody has looked at it.
    for (found, sets) in [("arc=pass (i=1)", 2), ("arc=fail", 1), ("spf=none", 1)] {
        let again = format!("Authentication-Results: mail.our.test; {found}\r\n{on}");
        let record = house.accept("fay@far.test", "staff@our.test", &again).await;
        let second = house.text(&house.offspring(&record)[0]);
        let chain = house.chain(&second);
        assert_eq!((chain.verdict, chain.sets), (Verdict::Pass, sets), "{found}: {second}");
    }

    let answer = sent.iter().find(|r| r.recipients[0].address == "fay@far.test").unwrap();
    assert_eq!(answer.acceptance.sender, "");
    let answer = house.text(answer);
    let limits = Limits::default();
    let heard = Heard::whole(answer.as_bytes(), &limits);
    let verdicts = common::now(dkim::verify(&house.zone, &heard, &limits, 4_000_000_000));
    assert_eq!(verdicts.len(), 1, "{answer}");
    assert_eq!(
        (verdicts[0].verdict, verdicts[0].domain.as_str()),
        (Verdict::Pass, "our.test")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_hears_of_what_he_sends_on_and_it_stays_with_him() {
    let house = house();
    house.script("ada@our.test", "redirect \"ann@away.test\";");
    house
        .directory
        .forwarding_tells_owner_set(house.id("ada@our.test"), Some(true))
        .unwrap();
    let record = house.accept("fay@far.test", "ada@our.test", &message("", "x")).await;
    assert_eq!(record.recipients[0].fate, Some(Fate::Redirected));
    let path = house.offspring(&record)[0].acceptance.sender.clone();
    assert_eq!(house.stands_for(&path), StandsFor::Owner("ada@our.test".into()));
    let bounce = house.accept("", &path, &message("", "bounce")).await;
    assert_eq!(bounce.recipients[0].fate, Some(Fate::Delivered));
    assert!(bounce.offspring.is_empty());
    assert_eq!(house.inbox("ada@our.test"), 1);
    // Of an alias it is owner-, where that is somebody.
    house
        .directory
        .alias_add("owner-staff@our.test", &["bob@our.test"])
        .unwrap();
    let record = house.accept("fay@far.test", "staff@our.test", &message("", "x")).await;
    let path = house.offspring(&record)[0].acceptance.sender.clone();
    assert_eq!(house.stands_for(&path), StandsFor::Owner("owner-staff@our.test".into()));
    house.accept("", &path, &message("", "bounce")).await;
    assert_eq!(house.inbox("bob@our.test"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_ends_and_its_sender_is_told() {
    let house = house();
    let round = message("Delivered-To: staff@our.test\r\n", "x");
    let record = house.accept("fay@far.test", "staff@our.test", &round).await;
    assert_eq!(record.recipients.len(), 1);
    assert_eq!(record.recipients[0].fate, Some(Fate::Failed));
    let [notice] = &house.offspring(&record)[..] else {
        panic!("one notice: {record:?}")
    };
    assert_eq!(
        (notice.acceptance.sender.as_str(), notice.recipients[0].address.as_str()),
        ("", "fay@far.test")
    );
    let text = house.text(notice);
    assert!(
        text.contains("Status: 5.4.6\r\n") && text.contains("Action: failed\r\n"),
        "{text}"
    );
    // Where it came back under a return path of ours, who had sent it is told, or the owner past his scripts.
    let owner = Owner::Account(house.id("ada@our.test"), "ada@our.test");
    let path = house.forwarding.return_path("fay@far.test", owner, net::now());
    let record = house.accept(&path, "staff@our.test", &round).await;
    assert_eq!(house.offspring(&record)[0].recipients[0].address, "fay@far.test");
    house
        .directory
        .forwarding_tells_owner_set(house.id("ada@our.test"), Some(true))
        .unwrap();
    let path = house.forwarding.return_path("fay@far.test", owner, net::now());
    let record = house.accept(&path, "staff@our.test", &round).await;
    let notice = &house.offspring(&record)[0];
    assert_eq!(notice.recipients[0].address, path);
    let text = house.text(notice);
    assert!(
        text.contains("To: <ada@our.test>\r\n") && text.contains("Your forwarding has failed"),
        "{text}"
    );
}
