//! What aliases and scripts send on to other servers, and what comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod base;
#[path = "../../authentication/tests/common/mod.rs"]
mod common;

use authentication::results::Verdict;
use authentication::{Heard, Limits, SigningKey, arc, dkim};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base::Base;
use common::Zone;
use delivery::{Dispatch, ForwardOptions, Forwarding, NoticeOptions, Notifier, Options, Owner, Signer, StandsFor};
use directory::Resolution;
use ledger::{AcceptanceId, Fate, Lane, Record, State};
use smtp::dsn::Language;
use std::ops::Deref;
use std::sync::Arc;
use store::{Account, Appended, Audience, Digest, Flags, MailboxId, NewMessage, Quota, ScriptLimits, Unless};

struct House {
    base: Base,
    forwarding: Arc<Forwarding>,
    zone: Zone,
    dispatch: Option<Dispatch>,
}

impl Deref for House {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

/// Ada, Bob and the alias staff@ of Ada and somebody elsewhere; keys that sign for our.test.
fn house() -> House {
    let base = Base::new();
    let (path, directory, ledger) = (base.path(), &base.directory, &base.ledger);
    directory
        .alias_add("staff@our.test", &["ada@our.test", "ann@away.test", "ben@away.test"])
        .unwrap();
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
        Arc::clone(&base.store),
        directory.clone(),
        Arc::new(filter::Filter::new(filter::Options::new("mail.our.test"))),
        &Options {
            forwarding: Some(Arc::clone(&forwarding)),
            notifier: Some(Arc::new(notifier)),
            ..Options::default()
        },
    );
    House {
        forwarding,
        zone,
        dispatch: Some(dispatch.unwrap()),
        base,
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
        let id = self.take(from, to, None, text).await;
        // Nobody takes what is for others here: it stays.
        let done = |record: Record| {
            let mut all = record.recipients.iter();
            all.all(|r| r.state == State::Settled || r.lane == Lane::Remote)
        };
        self.until("its recipients to be settled", || done(self.show(id))).await;
        self.show(id)
    }

    /// The messages that came of one.
    fn offspring(&self, of: &Record) -> Vec<Record> {
        let ids: Vec<AcceptanceId> = of.offspring.iter().map(|(id, _)| *id).collect();
        ids.into_iter().map(|id| self.show(id)).collect()
    }

    fn text(&self, record: &Record) -> String {
        String::from_utf8(self.blobs.read(record.blob).unwrap()).unwrap()
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

/// Ada's script for what happens in a mailbox of hers.
fn on_events(house: &House, text: &str) -> (Arc<Account>, MailboxId, filter::Events) {
    let account = house.store.account(house.id("ada@our.test")).unwrap();
    let limits = ScriptLimits::default();
    account.script_put("events", text, Unless::Never, &limits).unwrap();
    let inbox = account.mailbox_find("INBOX").unwrap().id;
    let entry = [(Audience::Shared, store::EVENT_SCRIPT, Some(b"events".as_slice()))];
    account.metadata_set(Some(inbox), &entry).unwrap();
    let filter = Arc::new(filter::Filter::new(filter::Options::new("mail.our.test")));
    let (store, directory) = (Arc::clone(&house.store), house.directory.clone());
    let events = filter::Events::new(filter, store, directory, house.ledger.clone());
    (account, inbox, events.departing(Arc::clone(&house.forwarding) as _))
}

/// What the script sends when that message comes into the mailbox.
async fn sent_on_event(
    house: &House,
    events: &filter::Events,
    account: &Arc<Account>,
    mailbox: MailboxId,
    uid: store::Uid,
) -> Vec<Record> {
    let known = |house: &House| house.ledger.trace(&ledger::Filter::default(), 1000).unwrap();
    let before: Vec<AcceptanceId> = known(house).iter().map(|r| r.acceptance.id).collect();
    let touched = filter::Touched {
        uid,
        changed: Flags::NONE,
    };
    let event = filter::Event {
        account: Arc::clone(account),
        mailbox,
        cause: filter::Cause::Copy,
        messages: vec![touched],
    };
    events.run(account.id(), vec![event]).await;
    let mut new = known(house);
    new.retain(|record| !before.contains(&record.acceptance.id));
    new
}

fn append(house: &House, account: &Account, mailbox: MailboxId, text: &str) -> Appended {
    let commit = house.blobs.put(text.as_bytes()).unwrap();
    commit.wait().unwrap();
    let message = NewMessage {
        blob: commit.id(),
        blob_len: commit.len(),
        prefix: b"",
        digest: &Digest::of(text.as_bytes()),
        flags: Flags::NONE,
        received: net::now(),
    };
    account.message_append(mailbox, &message, Quota::NONE).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_on_an_event_sends_on_as_one_at_delivery_does() {
    let house = house();
    let text = "require [\"copy\", \"enotify\"]; redirect :copy \"ann@away.test\"; notify \"mailto:ben@away.test\";";
    let (account, inbox, events) = on_events(&house, text);
    house.accept("fay@far.test", "ada@our.test", &message("", "x")).await;
    let came = account
        .mailbox_open(inbox, false)
        .unwrap()
        .snapshot()
        .at(0)
        .unwrap()
        .uid;
    let sent = sent_on_event(&house, &events, &account, inbox, came).await;
    let to = |address: &str| {
        let mut found = sent.iter().filter(|r| r.recipients[0].address == address);
        found.next().unwrap_or_else(|| panic!("nothing for {address}"))
    };
    // It is Ada who sends it on (RFC 6785 §3.4): her own address, which needs no other return path.
    let (on, notice) = (to("ann@away.test"), to("ben@away.test"));
    assert_eq!(on.acceptance.sender, "ada@our.test");
    assert_eq!((on.acceptance.bulk, notice.acceptance.bulk), (false, true));
    assert_eq!(on.acceptance.message_id.as_deref(), Some("<1@far.test>"));
    let text = house.text(on);
    let chain = house.chain(&text);
    assert_eq!(
        (chain.verdict, chain.sets),
        (Verdict::Pass, 1),
        "{:?}: {text}",
        chain.reason
    );
    assert!(
        text.contains("ARC-Authentication-Results: i=1; mail.our.test;\r\n\tspf=pass"),
        "{text}"
    );
    let signed = house.text(notice);
    assert!(signed.starts_with("DKIM-Signature: "), "{signed}");
    // Who hears of failures is asked here as well.
    let ada = account.id();
    house.directory.forwarding_tells_owner_set(ada, Some(true)).unwrap();
    let sent = sent_on_event(&house, &events, &account, inbox, came).await;
    let on = sent
        .iter()
        .find(|r| r.recipients[0].address == "ann@away.test")
        .unwrap();
    assert_eq!(
        house.stands_for(&on.acceptance.sender),
        StandsFor::Owner("ada@our.test".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_appended_has_nothing_of_ours_on_top() {
    let house = house();
    let (account, inbox, events) = on_events(&house, "require \"copy\"; redirect :copy \"ann@away.test\";");
    // It looks like what we write, and anybody could have appended it.
    let forged = append(&house, &account, inbox, &message("", "x"));
    let sent = sent_on_event(&house, &events, &account, inbox, forged.uid).await;
    let text = house.text(&sent[0]);
    assert!(
        text.contains("ARC-Authentication-Results: i=1; mail.our.test; none\r\n"),
        "{text}"
    );
    // What went round ends here too, as does what was sent on before.
    for again in [
        "Delivered-To: Ada@our.test\r\n".to_owned(),
        "Received: by x\r\n".repeat(51),
    ] {
        let round = append(&house, &account, inbox, &message(&again, "x"));
        let sent = sent_on_event(&house, &events, &account, inbox, round.uid).await;
        assert!(sent.is_empty(), "{again}: {sent:?}");
    }
    // Mail with other letters, and lists.
    for (header, body, smtputf8, bulk, expected) in [
        ("", "gr\u{fc}n", false, false, "8BITMIME"),
        ("X-Colour: gr\u{fc}n\r\n", "x", true, false, "8BITMIME"),
        ("List-Id: <l.far.test>\r\n", "x", false, true, "7BIT"),
        ("", "x\0y", false, false, "BINARYMIME"),
    ] {
        let appended = append(&house, &account, inbox, &message(header, body));
        let sent = sent_on_event(&house, &events, &account, inbox, appended.uid).await;
        let a = &sent[0].acceptance;
        assert_eq!(
            (a.body.as_str(), a.smtputf8, a.bulk),
            (expected, smtputf8, bulk),
            "{header}{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_events_send_counts_as_what_deliveries_send_does() {
    let house = house();
    let text = "require \"copy\"; redirect :copy \"ann@away.test\";";
    let (account, inbox, _) = on_events(&house, text);
    let mut options = filter::Options::new("mail.our.test");
    options.sent_per_day = 2;
    let (store, directory) = (Arc::clone(&house.store), house.directory.clone());
    let events = filter::Events::new(
        Arc::new(filter::Filter::new(options)),
        store,
        directory,
        house.ledger.clone(),
    );
    let mut sent = Vec::new();
    for n in 0..3 {
        let appended = append(&house, &account, inbox, &message(&format!("X-Number: {n}\r\n"), "x"));
        sent.push(
            sent_on_event(&house, &events, &account, inbox, appended.uid)
                .await
                .len(),
        );
    }
    assert_eq!(sent, [1, 1, 0]);
}
