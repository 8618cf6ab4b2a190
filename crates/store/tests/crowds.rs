//! Commands on more messages than one transaction takes.
#![allow(clippy::unwrap_used, clippy::panic)]

use blobs::Blobs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Account, AccountId, Digest, FlagChange, Flags, MailboxId, ModSeq, NewMessage, Options, Store, Uid};

/// More than two chunks.
const MANY: u32 = 20_000;

struct House {
    _directory: tempfile::TempDir,
    _store: Store,
    account: Arc<Account>,
    inbox: MailboxId,
}

/// An INBOX with many messages; each third has UIDs on both sides that are gone, so that runs of neighbours are short.
fn house() -> House {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&directory.path().join("blobs"), blobs::Options::default()).unwrap();
    let store = Store::open(&directory.path().join("accounts"), blobs.clone(), Options::default()).unwrap();
    let account = store.account(AccountId(7)).unwrap();
    let inbox = account.mailbox_find("INBOX").unwrap().id;
    let commit = blobs.put(b"one").unwrap();
    commit.wait().unwrap();
    let digest = Digest::default();
    let message = NewMessage {
        blob: commit.id(),
        blob_len: commit.len(),
        prefix: b"",
        digest: &digest,
        flags: Flags::FLAGGED,
        received: 1_700_000_000,
    };
    for _ in 0..10 {
        account.message_append(inbox, &message, store::Quota::NONE).unwrap();
    }
    let mut there = 10;
    while there < MANY {
        let some: Vec<Uid> = (1..=there.min(MANY - there)).map(Uid).collect();
        let copied = account.message_copy(inbox, &some, inbox, store::Quota::NONE).unwrap();
        assert_eq!(copied.from, some);
        there += some.len() as u32;
    }
    House {
        _directory: directory,
        _store: store,
        account,
        inbox,
    }
}

fn uids(account: &Account, mailbox: MailboxId) -> Vec<u32> {
    let open = account.mailbox_open(mailbox, false).unwrap();
    open.snapshot().iter().map(|message| message.uid.0).collect()
}

#[test]
fn all_of_a_large_set_is_changed_and_the_counts_stay_right() {
    let house = house();
    let account = &house.account;
    let all: Vec<Uid> = (1..=MANY).map(Uid).collect();
    assert_eq!(uids(account, house.inbox).len(), all.len());
    assert!(account.mailbox_counts_check(house.inbox).unwrap());

    let flagged = account
        .message_flag(house.inbox, &all, FlagChange::Add(Flags::SEEN), None)
        .unwrap();
    assert_eq!(flagged.changed, all);
    assert!(flagged.modseqs.len() > 1, "it was done in chunks");
    assert!(flagged.modseqs.is_sorted());
    assert_eq!(flagged.modseqs.last(), Some(&flagged.modseq));
    assert_eq!(account.mailbox_find("INBOX").unwrap().unseen, 0);

    // Every third goes: no two neighbours.
    let third: Vec<Uid> = all.iter().copied().filter(|uid| uid.0.is_multiple_of(3)).collect();
    account
        .message_flag(house.inbox, &third, FlagChange::Add(Flags::DELETED), None)
        .unwrap();
    assert_eq!(account.message_expunge(house.inbox, None).unwrap().uids, third);
    assert!(account.mailbox_counts_check(house.inbox).unwrap());

    let target = account.mailbox_create("target", None).unwrap();
    let rest: Vec<Uid> = all.iter().copied().filter(|uid| !uid.0.is_multiple_of(3)).collect();
    let (moved, result) = account.message_move(house.inbox, &all, target);
    result.unwrap();
    assert_eq!(moved.from, rest);
    assert_eq!(moved.to, (1..=rest.len() as u32).map(Uid).collect::<Vec<Uid>>());
    assert!(uids(account, house.inbox).is_empty());
    assert_eq!(uids(account, target).len(), rest.len());
    for mailbox in [house.inbox, target] {
        assert!(account.mailbox_counts_check(mailbox).unwrap());
    }
    assert_eq!(account.faults().unwrap(), Vec::<String>::new());
    let found = account.mailbox_open(target, false).unwrap();
    let flags = Flags::FLAGGED | Flags::SEEN;
    assert!(found.snapshot().iter().all(|message| message.flags == flags));
    drop(found);

    // Nothing of what was said is left when the last message is gone.
    let all: Vec<Uid> = uids(account, target).into_iter().map(Uid).collect();
    account
        .message_flag(target, &all, FlagChange::Add(Flags::DELETED), None)
        .unwrap();
    account.message_expunge(target, None).unwrap();
    account
        .blob_references(|blob| panic!("{blob} is still needed"))
        .unwrap();
}

/// Somebody who waits for the account while a large set is changed gets it before the end.
#[test]
fn others_come_in_between() {
    let house = house();
    let all: Vec<Uid> = (1..=MANY).map(Uid).collect();
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let between = std::thread::scope(|scope| {
        scope.spawn(|| {
            begun.store(true, Ordering::Release);
            // Long enough for the other thread to wait, however the two are scheduled.
            for round in 0..20 {
                let change = if round % 2 == 0 {
                    FlagChange::Add
                } else {
                    FlagChange::Remove
                };
                house
                    .account
                    .message_flag(house.inbox, &all, change(Flags::SEEN), None)
                    .unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !begun.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let mut torn = false;
        while !done.load(Ordering::Acquire) && !torn {
            let open = house.account.mailbox_open(house.inbox, false).unwrap();
            let seen = open.snapshot().iter().filter(|m| m.flags.contains(Flags::SEEN)).count();
            torn = seen != 0 && seen != all.len();
        }
        torn
    });
    assert!(between, "a set was never seen half changed");
}

/// RFC 7162 §3.2.5: what is remembered of expunged messages does not grow for ever, and stays true.
#[test]
fn expunged_runs_are_joined() {
    let house = house();
    let (account, inbox) = (&house.account, house.inbox);
    let all: Vec<Uid> = uids(account, inbox).into_iter().map(Uid).collect();
    let deleted = FlagChange::Add(Flags::DELETED);
    account.message_flag(inbox, &all, deleted, None).unwrap();
    // One at a time, front to back, but for each hundredth, which stays.
    let mut gone: Vec<Uid> = all.into_iter().filter(|uid| uid.0 % 100 != 0).collect();
    gone.truncate(17_500);
    for uid in &gone {
        account.message_expunge(inbox, Some(&[*uid])).unwrap();
    }
    let runs = account.message_expunged(inbox, ModSeq(0), usize::MAX).unwrap().unwrap();
    assert!(runs.len() < 5_000, "{} runs", runs.len());
    let mut told: Vec<u32> = runs.iter().flat_map(|(first, last)| first.0..=last.0).collect();
    told.sort_unstable();
    let gone: Vec<u32> = gone.iter().map(|uid| uid.0).collect();
    assert_eq!(told, gone);
}
