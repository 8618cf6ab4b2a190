//! Scripts and what they decided.
#![allow(clippy::unwrap_used)]

use blobs::Blobs;
use std::sync::Arc;
use store::{
    Account, AccountId, Answered, Decided, Digest, Error, Flags, NewCopy, NewMessage, Options, ScriptLimits, Seen,
    Store, Unless,
};

struct House {
    blobs: Blobs,
    store: Store,
    folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&folder.path().join("blobs"), blobs::Options::default()).unwrap();
    let store = Store::open(&folder.path().join("accounts"), blobs.clone(), Options::default()).unwrap();
    House { blobs, store, folder }
}

impl House {
    fn account(&self) -> Arc<Account> {
        self.store.account(AccountId(7)).unwrap()
    }

    /// As a new run of the program finds it.
    fn again(mut self) -> House {
        self.store = Store::open(
            &self.folder.path().join("accounts"),
            self.blobs.clone(),
            Options::default(),
        )
        .unwrap();
        self
    }
}

const LIMITS: ScriptLimits = ScriptLimits { scripts: 3, bytes: 20 };

#[test]
fn scripts_are_kept_and_one_is_active() {
    let house = house();
    let account = house.account();
    assert!(account.script_active().unwrap().is_none());
    let first = account.script_put("a", "keep;", Unless::Never, &LIMITS).unwrap();
    account.script_put("b", "discard;", Unless::Never, &LIMITS).unwrap();
    account.script_activate(Some("a")).unwrap();
    assert_eq!(account.script_active().unwrap().unwrap().text, "keep;");
    let second = account.script_put("a", "stop;", Unless::Never, &LIMITS).unwrap();
    assert!(second > first);
    assert_eq!(
        account.script_active().unwrap().unwrap().text,
        "stop;",
        "writing keeps it active"
    );
    assert!(matches!(account.script_delete("a"), Err(Error::ScriptActive)));
    account.script_rename("a", "c").unwrap();
    assert_eq!(account.script_active().unwrap().unwrap().info.name, "c");
    let house = house.again();
    let account = house.account();
    assert_eq!(account.script_active().unwrap().unwrap().info.name, "c");
    let list: Vec<_> = account
        .script_list()
        .unwrap()
        .into_iter()
        .map(|s| (s.name, s.active, s.bytes))
        .collect();
    assert_eq!(list, [("b".to_owned(), false, 8), ("c".to_owned(), true, 5)]);
    account.script_activate(None).unwrap();
    assert!(account.script_active().unwrap().is_none());
    account.script_delete("c").unwrap();
    assert!(account.script_read("c").unwrap().is_none());
}

#[test]
fn what_is_not_done_says_why() {
    let house = house();
    let account = house.account();
    let say = |e: store::Result<()>| e.unwrap_err().to_string();
    let put = |name: &str, text: &str, unless| account.script_put(name, text, unless, &LIMITS).map(|_| ());
    assert_eq!(
        say(put("a", &"x".repeat(21), Unless::Never)),
        "the script has 21 octets; 20 are allowed"
    );
    assert_eq!(say(put("", "", Unless::Never)), "script name refused: it is empty");
    for name in ["a", "b", "c"] {
        put(name, "keep;", Unless::Never).unwrap();
    }
    assert_eq!(say(put("d", "", Unless::Never)), "an account may have 3 scripts");
    put("c", "stop;", Unless::Never).unwrap();
    assert_eq!(say(put("c", "", Unless::Exists)), "a script of that name exists");
    assert_eq!(
        say(account.script_room("d", 1, &LIMITS)),
        "an account may have 3 scripts"
    );
    account.script_room("a", 20, &LIMITS).unwrap();
    assert!(matches!(
        account.script_room("a", 21, &LIMITS),
        Err(Error::ScriptSize { .. })
    ));
    assert!(matches!(account.script_activate(Some("x")), Err(Error::NoScript)));
    assert!(matches!(account.script_delete("x"), Err(Error::NoScript)));
    assert!(matches!(account.script_rename("x", "y"), Err(Error::NoScript)));
    assert!(matches!(account.script_rename("a", "b"), Err(Error::ScriptExists)));
}

#[test]
fn of_two_who_change_what_they_read_the_second_is_told() {
    let house = house();
    let account = house.account();
    let read = account.script_put("a", "keep;", Unless::Exists, &LIMITS).unwrap();
    let one = account
        .script_put("a", "# one", Unless::OtherThan(read), &LIMITS)
        .unwrap();
    let two = account.script_put("a", "# two", Unless::OtherThan(read), &LIMITS);
    assert!(matches!(two, Err(Error::ScriptChanged)));
    assert_eq!(account.script_read("a").unwrap().unwrap().text, "# one");
    account
        .script_put("a", "# two", Unless::OtherThan(one), &LIMITS)
        .unwrap();
    account.script_delete("a").unwrap();
    assert!(matches!(
        account.script_put("a", "", Unless::OtherThan(one), &LIMITS),
        Err(Error::ScriptChanged)
    ));
}

#[test]
fn a_fault_is_told_once_a_day_and_forgotten_when_the_script_is_written() {
    let house = house();
    let account = house.account();
    let version = account.script_put("a", "keep;", Unless::Never, &LIMITS).unwrap();
    let failed = |at| account.script_failed("a", version, "line 1: x", at, 86_400).unwrap();
    assert_eq!(
        [
            failed(1000),
            failed(2000),
            failed(87_399),
            failed(87_400),
            failed(87_401)
        ],
        [true, false, false, true, false]
    );
    let fault = account.script_read("a").unwrap().unwrap().info.fault.unwrap();
    assert_eq!((fault.text.as_str(), fault.at), ("line 1: x", 87_401));
    account.script_put("a", "stop;", Unless::Never, &LIMITS).unwrap();
    assert!(account.script_read("a").unwrap().unwrap().info.fault.is_none());
    assert!(!failed(200_000), "it was the old text that failed");
}

#[test]
fn decisions_are_found_however_many_lie_between() {
    let house = house();
    let account = house.account();
    let decided = |acceptance, plan| Decided {
        acceptance,
        recipient: 1,
        at: 0,
        copies: Vec::new(),
        plan,
        blobs: Vec::new(),
        sent: 0,
        answered: Vec::new(),
        seen: Vec::new(),
    };
    let odd: Vec<Decided<'_>> = (0..700).map(|n| decided(2 * n + 1, "odd")).collect();
    account.deliver_decided(&odd).unwrap();
    let plan = |found: &Option<store::DecidedDelivery>| found.as_ref().and_then(|f| f.before.clone());
    for (asked, expected) in [
        (vec![(1, 1), (2, 1), (3, 1)], vec![true, false, true]),
        (
            vec![(1, 1), (1_399, 1), (1_000, 1), (777, 1), (777, 2)],
            vec![true, true, false, true, false],
        ),
        (vec![(1_401, 1), (9_000_000, 1)], vec![false, false]),
        (vec![], vec![]),
    ] {
        let found = account.decisions(&asked).unwrap();
        let found: Vec<bool> = found.iter().map(|f| plan(f).as_deref() == Some("odd")).collect();
        assert_eq!(found, expected, "{asked:?}");
    }
    // Both in one transaction, one of them twice, one decided before.
    let done = account
        .deliver_decided(&[
            decided(4, "new"),
            decided(4, "again"),
            decided(5, "other"),
            decided(1_398, "far"),
        ])
        .unwrap();
    let before: Vec<Option<&str>> = done.iter().map(|d| d.before.as_deref()).collect();
    assert_eq!(before, [None, Some("new"), Some("odd"), None]);
    assert_eq!(account.decision_list(1).unwrap()[0].plan, "odd");
}

#[test]
fn a_decision_stands() {
    let house = house();
    let account = house.account();
    let text = b"Subject: x\r\n\r\nhello\r\n";
    let commit = house.blobs.put(text).unwrap();
    commit.wait().unwrap();
    let blob = commit.id();
    let digest = Digest::of(text);
    let id = |name| account.mailbox_find(name).unwrap().id;
    let copy = |mailbox, flags| NewCopy {
        mailbox,
        message: NewMessage {
            blob,
            blob_len: text.len() as u64,
            prefix: b"",
            digest: &digest,
            flags,
            received: 5,
        },
    };
    let out = blobs::BlobId::of(b"an answer");
    let filed = Decided {
        acceptance: 9,
        recipient: 0,
        at: 7200,
        copies: vec![copy(id("Archive"), Flags::SEEN), copy(id("INBOX"), Flags::NONE)],
        plan: "first",
        blobs: vec![out],
        sent: 2,
        answered: vec![Answered {
            handle: "h".into(),
            sender: "s@x".into(),
            until: 100,
        }],
        seen: vec![Seen {
            handle: String::new(),
            id: "i".into(),
            until: 200,
        }],
    };
    let nowhere = Decided {
        recipient: 1,
        copies: Vec::new(),
        plan: "discarded",
        blobs: Vec::new(),
        answered: Vec::new(),
        seen: Vec::new(),
        ..filed.clone()
    };
    assert_eq!(account.decisions(&[(9, 0), (9, 1)]).unwrap(), [None, None]);
    let done = account.deliver_decided(&[filed.clone(), nowhere.clone()]).unwrap();
    account.sync().unwrap();
    assert_eq!(done[0].place.unwrap().mailbox, id("Archive"));
    assert_eq!((done[1].place, &done[1].before), (None, &None));
    let count = |name: &str| account.mailbox_find(name).unwrap().messages;
    assert_eq!((count("Archive"), count("INBOX")), (1, 1));
    // Ordered again, with another plan: nothing is done and the first plan is told.
    let again = account
        .deliver_decided(&[
            Decided {
                plan: "second",
                ..filed.clone()
            },
            Decided {
                plan: "second",
                ..nowhere
            },
        ])
        .unwrap();
    assert_eq!(again[0].before.as_deref(), Some("first"));
    assert_eq!(again[1].before.as_deref(), Some("discarded"));
    assert_eq!((count("Archive"), count("INBOX")), (1, 1));
    let known = account.decisions(&[(9, 0), (9, 1), (9, 2)]).unwrap();
    assert_eq!(known[0].as_ref().unwrap().before.as_deref(), Some("first"));
    assert!(known[0].as_ref().unwrap().place.unwrap().before && known[2].is_none());
    // What is remembered.
    assert_eq!(account.answered_until("h", "s@x").unwrap(), Some(100));
    assert_eq!(account.answered_until("h", "t@x").unwrap(), None);
    assert_eq!(account.seen_until("", "i").unwrap(), Some(200));
    assert_eq!((account.sent_since(2).unwrap(), account.sent_since(3).unwrap()), (4, 0));
    let mut references = Vec::new();
    account.blob_references(|b| references.push(b)).unwrap();
    assert!(references.contains(&out) && references.contains(&blob));
    account.script_memory_forget(150).unwrap();
    assert_eq!(
        (
            account.answered_until("h", "s@x").unwrap(),
            account.seen_until("", "i").unwrap()
        ),
        (None, Some(200))
    );
    account.arrivals_forget(10).unwrap();
    assert!(account.decisions(&[(9, 0)]).unwrap()[0].is_none());
}
