//! An account as sessions and deliveries see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::Blobs;
use std::sync::Arc;
use store::{
    Account, AccountId, Arrival, ArrivalState, Digest, Error, FlagChange, Flags, MailboxId, NewMessage, Options, Quota,
    Store, Uid,
};

struct House {
    directory: tempfile::TempDir,
    blobs: Blobs,
    store: Store,
}

fn house() -> House {
    let directory = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&directory.path().join("blobs"), blobs::Options::default()).unwrap();
    let store = Store::open(&directory.path().join("accounts"), blobs.clone(), Options::default()).unwrap();
    House {
        directory,
        blobs,
        store,
    }
}

const DIGEST: &Digest = &Digest {
    envelope: Vec::new(),
    structure: Vec::new(),
    preview: None,
    fields: Vec::new(),
};
const PREFIX: &[u8] = b"Return-Path: <a@b>\r\n";

impl House {
    fn account(&self) -> Arc<Account> {
        self.store.account(AccountId(7)).unwrap()
    }

    fn reopened(&self) -> Arc<Account> {
        let accounts = self.directory.path().join("accounts");
        let store = Store::open(&accounts, self.blobs.clone(), Options::default()).unwrap();
        store.account(AccountId(7)).unwrap()
    }

    fn message(&self, text: &str, prefix: &'static [u8]) -> NewMessage<'static> {
        let commit = self.blobs.put(text.as_bytes()).unwrap();
        commit.wait().unwrap();
        NewMessage {
            blob: commit.id(),
            blob_len: commit.len(),
            prefix,
            digest: DIGEST,
            flags: Flags::NONE,
            received: 1_700_000_000,
        }
    }

    fn append(&self, mailbox: &str, text: &str) -> Uid {
        let account = self.account();
        let mailbox = account.mailbox_find(mailbox).unwrap().id;
        account
            .message_append(mailbox, &self.message(text, b""), Quota::NONE)
            .unwrap()
            .uid
    }

    fn deliver(&self, keys: &[(i64, u32)]) -> Vec<store::Delivered> {
        let account = self.account();
        let mailbox = account.mailbox_find("INBOX").unwrap().id;
        let message = self.message("delivered", PREFIX);
        let arrivals: Vec<_> = keys
            .iter()
            .map(|(acceptance, recipient)| Arrival {
                acceptance: *acceptance,
                recipient: *recipient,
                mailbox,
                message: message.clone(),
            })
            .collect();
        account.deliver(&arrivals).unwrap()
    }
}

fn id(account: &Account, name: &str) -> MailboxId {
    account.mailbox_find(name).unwrap().id
}

fn uids(account: &Account, mailbox: MailboxId) -> Vec<u32> {
    account
        .mailbox_open(mailbox, false)
        .unwrap()
        .snapshot()
        .iter()
        .map(|m| m.uid.0)
        .collect()
}

fn references(account: &Account) -> usize {
    let mut count = 0;
    account.blob_references(|_| count += 1).unwrap();
    count
}

#[test]
fn a_new_account_has_the_mailboxes_everybody_has() {
    let account = house().account();
    let names: Vec<String> = account.mailbox_list().into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
    assert_eq!(account.subscriptions().unwrap(), names);
    assert!(account.mailbox_find("inbox").is_some());
    assert!(account.mailbox_find("sent").is_none());
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let house = house();
    assert_eq!(house.append("INBOX", "one"), Uid(1));
    assert_eq!(house.append("INBOX", "two"), Uid(2));
    let inbox = house.account().mailbox_find("INBOX").unwrap();
    assert_eq!(
        (inbox.messages, inbox.unseen, inbox.size, inbox.uid_next),
        (2, 2, 6, Uid(3))
    );
    let account = house.reopened();
    assert_eq!(account.mailbox_find("INBOX").unwrap(), inbox);
    let open = account.mailbox_open(inbox.id, true).unwrap();
    assert_eq!(open.recent_from, Uid(1));
    assert_eq!(account.mailbox_open(inbox.id, true).unwrap().recent_from, Uid(3));
    let content = account.content(open.snapshot().at(1).unwrap().content).unwrap();
    assert_eq!(account.content_range(&content, 0..99).unwrap(), b"two");
    assert!(account.mailbox_counts_check(inbox.id).unwrap());
    assert_eq!(account.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn the_prefix_is_served_before_the_bytes() {
    let house = house();
    house.deliver(&[(1, 0)]);
    let account = house.account();
    let open = account.mailbox_open(id(&account, "INBOX"), false).unwrap();
    let message = *open.snapshot().at(0).unwrap();
    let content = account.content(message.content).unwrap();
    let whole = [PREFIX, b"delivered"].concat();
    assert_eq!(message.size as usize, whole.len());
    for start in 0..whole.len() {
        for end in start..whole.len() + 2 {
            let part = account.content_range(&content, start as u64..end as u64).unwrap();
            assert_eq!(part, &whole[start..end.min(whole.len())], "{start}..{end}");
        }
    }
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut account.content_reader(&content).unwrap(), &mut read).unwrap();
    assert_eq!(read, whole);
}

#[test]
fn a_delivery_is_shown_when_it_is_safe_and_never_twice() {
    let house = house();
    let account = house.account();
    let inbox = id(&account, "INBOX");
    let open = account.mailbox_open(inbox, false).unwrap();
    let first = house.deliver(&[(1, 0), (1, 1)]);
    assert!(!first[0].before);
    assert_eq!(open.snapshot().len(), 0, "committed, but not safe yet");
    assert!(!open.has_changed());
    account.sync().unwrap();
    assert!(open.has_changed());
    assert_eq!(open.snapshot().len(), 2);
    let again = house.deliver(&[(1, 1), (2, 0)]);
    assert!(again[0].before && !again[1].before);
    assert_eq!(again[0].uid, first[1].uid);
    // An append waits for the disk, and what was committed before it is shown before it.
    assert_eq!(house.append("INBOX", "x"), Uid(4));
    assert_eq!(uids(&account, inbox), [1, 2, 3, 4]);
    account.sync().unwrap();
    assert_eq!(open.snapshot().len(), 4);
    drop(open);
    // A view opened between commit and sync shows only what is safe: it syncs first.
    house.deliver(&[(3, 0)]);
    assert_eq!(uids(&account, inbox), [1, 2, 3, 4, 5]);
    account.sync().unwrap();
    assert_eq!(uids(&account, inbox), [1, 2, 3, 4, 5]);
}

#[test]
fn flags_change_and_tell_everybody() {
    let house = house();
    for n in 0..5 {
        house.append("INBOX", &format!("m{n}"));
    }
    let account = house.account();
    let inbox = id(&account, "INBOX");
    let open = account.mailbox_open(inbox, false).unwrap();
    let before = open.snapshot();
    let flags = account.flags_resolve(["\\seen", "$Label1"], true).unwrap();
    let list = [Uid(1), Uid(2), Uid(4), Uid(99)];
    let done = account
        .message_flag(inbox, &list, FlagChange::Add(flags), None)
        .unwrap();
    assert_eq!(done.changed, [Uid(1), Uid(2), Uid(4)]);
    let after = open.snapshot();
    assert_eq!(before.diff(&after).changed, [0, 1, 3]);
    assert_eq!(after.highest_modseq, done.modseq);
    let keywords: Vec<&str> = after.at(3).unwrap().flags.keywords(&after.keywords).collect();
    assert_eq!(keywords, ["$Label1"]);
    let row = account.mailbox(inbox).unwrap();
    assert_eq!((row.unseen, row.deleted), (2, 0));
    // Nothing to change: no new number.
    let same = account
        .message_flag(inbox, &list, FlagChange::Add(flags), None)
        .unwrap();
    assert!(same.changed.is_empty());
    // Conditional: those changed since are named and left.
    let conditional = account
        .message_flag(
            inbox,
            &[Uid(2), Uid(3)],
            FlagChange::Replace(Flags::FLAGGED),
            Some(before.highest_modseq),
        )
        .unwrap();
    assert_eq!(
        (conditional.modified, conditional.changed),
        (vec![Uid(2)], vec![Uid(3)])
    );
    assert!(account.mailbox_counts_check(inbox).unwrap());
    let account = house.reopened();
    let open = account.mailbox_open(inbox, false).unwrap();
    assert_eq!(open.snapshot().at(3).unwrap().flags, flags);
}

#[test]
fn keywords_run_out_politely() {
    let house = house();
    let account = house.account();
    for n in 0..store::MAX_KEYWORDS {
        account.flags_resolve([format!("k{n}").as_str()], true).unwrap();
    }
    assert!(matches!(
        account.flags_resolve(["one-more"], true),
        Err(Error::Limit(_))
    ));
    let known = account.flags_resolve(["K3"], true).unwrap();
    assert_eq!(known, account.flags_resolve(["k3"], false).unwrap());
    assert_eq!(account.flags_resolve(["unknown"], false).unwrap(), Flags::NONE);
}

#[test]
fn keywords_that_no_message_has_make_room() {
    let house = house();
    let names: Vec<String> = (0..56).map(|n| format!("k{n}")).collect();
    let account = house.account();
    let inbox = id(&account, "INBOX");
    let uid = house.append("INBOX", "Subject: x\r\n\r\n");
    let all = account.flags_resolve(names.iter().map(String::as_str), true).unwrap();
    account.message_flag(inbox, &[uid], FlagChange::Add(all), None).unwrap();
    let rest = account.flags_resolve(["k1", "k55"], false).unwrap();
    account
        .message_flag(inbox, &[uid], FlagChange::Replace(rest), None)
        .unwrap();
    // As long as it is open somebody may know them.
    assert!(matches!(account.flags_resolve(["new"], true), Err(Error::Limit(_))));
    account.sync().unwrap();
    drop(account);
    let account = house.reopened();
    let kept: Vec<String> = account.keywords().iter().map(|(_, name)| name.to_owned()).collect();
    assert_eq!(kept, ["k1", "k55"]);
    let new = account.flags_resolve(["new"], true).unwrap();
    account.message_flag(inbox, &[uid], FlagChange::Add(new), None).unwrap();
    let again = house.reopened();
    let snapshot = again.mailbox_open(inbox, false).unwrap().snapshot();
    let mut names: Vec<&str> = snapshot.at(0).unwrap().flags.keywords(&snapshot.keywords).collect();
    names.sort_unstable();
    assert_eq!(names, ["k1", "k55", "new"]);
}

#[test]
fn expunge_takes_what_is_deleted_and_its_content() {
    let house = house();
    for n in 0..6 {
        house.append("INBOX", &format!("m{n}"));
    }
    let account = house.account();
    let (inbox, trash) = (id(&account, "INBOX"), id(&account, "Trash"));
    let open = account.mailbox_open(inbox, false).unwrap();
    let copied = account
        .message_copy(inbox, &[Uid(2), Uid(3)], trash, Quota::NONE)
        .unwrap();
    assert_eq!(copied.to, [Uid(1), Uid(2)]);
    let doomed = [Uid(2), Uid(3), Uid(5)];
    account
        .message_flag(inbox, &doomed, FlagChange::Add(Flags::DELETED), None)
        .unwrap();
    let some = account.message_expunge(inbox, Some(&[Uid(1), Uid(5)])).unwrap();
    assert_eq!(some.uids, [Uid(5)]);
    let rest = account.message_expunge(inbox, None).unwrap();
    assert_eq!(rest.uids, [Uid(2), Uid(3)]);
    assert!(rest.modseq > some.modseq);
    assert_eq!(uids(&account, inbox), [1, 4, 6]);
    assert_eq!(references(&account), 5, "the copies in Trash keep their content");
    assert!(account.mailbox_counts_check(inbox).unwrap());
    assert_eq!(open.snapshot().len(), 3);
    assert_eq!(account.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn move_is_one_step_and_leaves_a_trace() {
    let house = house();
    house.deliver(&[(5, 0), (5, 1), (5, 2)]);
    let account = house.account();
    let (inbox, archive) = (id(&account, "INBOX"), id(&account, "Archive"));
    let there = account.mailbox_open(archive, false).unwrap();
    let (moved, result) = account.message_move(inbox, &[Uid(1), Uid(3)], archive);
    result.unwrap();
    assert_eq!(moved.from, [Uid(1), Uid(3)]);
    assert_eq!(there.snapshot().len(), 2);
    assert_eq!(uids(&account, inbox), [2]);
    assert_eq!(
        account.arrival_states(&[(5, 0), (5, 1), (6, 0)]).unwrap(),
        [ArrivalState::Gone, ArrivalState::Present, ArrivalState::Unknown]
    );
    // Into the mailbox itself: new UIDs, nothing lost.
    account.message_move(archive, &[Uid(1)], archive).1.unwrap();
    assert_eq!(uids(&account, archive), [2, 3]);
    assert!(account.mailbox_counts_check(archive).unwrap());
}

#[test]
fn mailbox_names() {
    let (deep, long) = ("d/".repeat(26), "n".repeat(1001));
    let table: &[(&str, &str)] = &[
        ("a", "ok"),
        ("a", "exists"),
        ("INBOX", "exists"),
        ("inbox/Child", "ok"),
        ("x/y/z", "ok"),
        ("x/y", "exists"),
        ("slash/", "ok"),
        ("Grüße/日本語", "ok"),
        ("", "name"),
        ("a//b", "name"),
        ("/a", "name"),
        ("a*", "name"),
        ("bell\u{7}", "name"),
        (&deep, "limit"),
        (&long, "limit"),
    ];
    let house = house();
    let account = house.account();
    for (name, wanted) in table {
        let got = match account.mailbox_create(name, None) {
            Ok(_) => "ok",
            Err(Error::MailboxExists) => "exists",
            Err(Error::MailboxName(_)) => "name",
            Err(Error::Limit(_)) => "limit",
            Err(e) => panic!("{name}: {e}"),
        };
        assert_eq!(&got, wanted, "{name}");
    }
    assert!(account.mailbox_find("x").is_some());
    assert!(account.mailbox_find("INBOX/Child").is_some());
}

#[test]
fn rename_takes_the_children_and_delete_does_not() {
    let house = house();
    let account = house.account();
    account.mailbox_create("a/b/c", None).unwrap();
    house.append("a/b", "kept");
    account.mailbox_rename("a", "new/place").unwrap();
    assert_eq!(account.mailbox_find("new/place/b").unwrap().messages, 1);
    assert!(account.mailbox_find("new").is_some() && account.mailbox_find("a/b/c").is_none());
    assert!(matches!(
        account.mailbox_rename("new", "new/under"),
        Err(Error::MailboxName(_))
    ));
    assert!(matches!(account.mailbox_rename("nothing", "x"), Err(Error::NoMailbox)));
    assert!(matches!(
        account.mailbox_rename("new/place", "Sent"),
        Err(Error::MailboxExists)
    ));

    let b = id(&account, "new/place/b");
    let open = account.mailbox_open(b, false).unwrap();
    account.mailbox_delete(b).unwrap();
    assert!(open.snapshot().deleted);
    assert!(account.mailbox_find("new/place/b/c").is_some());
    assert!(matches!(account.mailbox_delete(b), Err(Error::NoMailbox)));
    assert!(matches!(
        account.mailbox_delete(id(&account, "INBOX")),
        Err(Error::Inbox)
    ));
    account.sweep().unwrap();
    assert_eq!(references(&account), 0);

    house.append("INBOX", "moves");
    account.mailbox_rename("inbox", "Old").unwrap();
    assert_eq!(account.mailbox_find("Old").unwrap().messages, 1);
    assert_eq!(account.mailbox_find("INBOX").unwrap().messages, 0);
}

#[test]
fn a_name_that_comes_back_has_another_uidvalidity() {
    let house = house();
    let account = house.account();
    let first = account.mailbox_create("x", None).unwrap();
    let old = account.mailbox(first).unwrap().uid_validity;
    account.mailbox_delete(first).unwrap();
    let second = account.mailbox_create("x", None).unwrap();
    assert_ne!(first, second);
    assert!(account.mailbox(second).unwrap().uid_validity > old);
}

fn octets(most: u64) -> Quota {
    Quota {
        bytes: Some(most),
        ..Quota::NONE
    }
}

#[test]
fn quota_is_kept_and_numbers_grow_over_openings() {
    let house = house();
    house.append("INBOX", "0123456789");
    let account = house.account();
    let inbox = id(&account, "INBOX");
    let message = house.message("abc", b"");
    assert!(matches!(
        account.message_append(inbox, &message, octets(12)),
        Err(Error::OverQuota { used: 10, limit: 12 })
    ));
    assert!(account.message_append(inbox, &message, octets(13)).is_ok());
    assert!(matches!(
        account.message_copy(inbox, &[Uid(1)], inbox, octets(14)),
        Err(Error::OverQuota { .. })
    ));
    let before = account.mailbox(inbox).unwrap().highest_modseq;
    let flagged = house
        .reopened()
        .message_flag(inbox, &[Uid(1)], FlagChange::Add(Flags::SEEN), None)
        .unwrap();
    assert!(
        flagged.modseq.0 > before.0 + 1000,
        "above all that a crash could have lost"
    );
}

#[test]
fn sessions_and_deliveries_at_once_lose_nothing() {
    let house = house();
    let account = house.account();
    let inbox = id(&account, "INBOX");
    std::thread::scope(|s| {
        for t in 0..4i64 {
            let house = &house;
            s.spawn(move || {
                for n in 0..50i64 {
                    house.deliver(&[(t * 1000 + n, 0)]);
                    if n % 7 == 0 {
                        house.account().sync().unwrap();
                    }
                    if n % 10 == 0 {
                        house.append("INBOX", "appended");
                    }
                }
            });
        }
        let account = &account;
        s.spawn(move || {
            let open = account.mailbox_open(inbox, false).unwrap();
            let mut told = open.snapshot();
            for _ in 0..200 {
                let now = open.snapshot();
                let diff = told.diff(&now);
                assert!(diff.expunged.is_empty());
                assert_eq!(now.len(), told.len() + diff.appended);
                told = now;
                let all: Vec<Uid> = told.iter().map(|m| m.uid).collect();
                account
                    .message_flag(inbox, &all, FlagChange::Add(Flags::SEEN), None)
                    .unwrap();
            }
        });
    });
    account.sync().unwrap();
    assert_eq!(uids(&account, inbox), (1..=220).collect::<Vec<u32>>());
    assert!(account.mailbox_counts_check(inbox).unwrap());
}

#[test]
fn what_is_left_of_a_deleted_mailbox_is_swept_and_what_others_need_stays() {
    let house = house();
    let account = house.account();
    account.mailbox_create("big", None).unwrap();
    let big = id(&account, "big");
    for n in 0..600 {
        house.append("big", &format!("message {n}"));
    }
    let some: Vec<Uid> = (1..=10).map(Uid).collect();
    let inbox = id(&account, "INBOX");
    account.message_copy(big, &some, inbox, Quota::NONE).unwrap();
    account.mailbox_delete(big).unwrap();
    account.sweep().unwrap();
    assert_eq!(references(&account), 10);
    assert_eq!(account.faults().unwrap(), Vec::<String>::new());
    // Nothing is left to do for whoever opens the account next.
    drop(account);
    let again = house.reopened();
    assert_eq!(references(&again), 10);
    assert_eq!(uids(&again, inbox), (1..=10).collect::<Vec<u32>>());
}

#[test]
fn a_delivery_into_a_mailbox_that_is_deleted_counts_as_gone_before_it_is_swept() {
    let house = house();
    let account = house.account();
    let target = account.mailbox_create("target", None).unwrap();
    let message = house.message("delivered", PREFIX);
    let arrival = Arrival {
        acceptance: 5,
        recipient: 0,
        mailbox: target,
        message,
    };
    account.deliver(&[arrival]).unwrap();
    assert_eq!(
        account.arrival_states(&[(5, 0)]).unwrap(),
        [store::ArrivalState::Present]
    );
    account.mailbox_delete(target).unwrap();
    assert_eq!(account.arrival_states(&[(5, 0)]).unwrap(), [store::ArrivalState::Gone]);
}

#[test]
fn rows_are_walked_in_the_order_asked_for() {
    let house = house();
    let account = house.account();
    let digest = Digest::of(b"From: a@b\r\nX-Other: no\r\nSubject: s\r\n\r\nbody\r\n");
    assert_eq!(digest.fields, b"From: a@b\r\nSubject: s\r\n\r\n");
    let inbox = id(&account, "INBOX");
    for n in 0..20 {
        let mut message = house.message(&format!("message {n}"), b"");
        if n % 2 == 0 {
            message.digest = &digest;
        }
        account.message_append(inbox, &message, Quota::NONE).unwrap();
    }
    let open = account.mailbox_open(inbox, false).unwrap();
    let mut ids: Vec<_> = open.snapshot().iter().map(|m| m.content).collect();
    // Backwards, doubled, far apart, not there.
    ids.extend([ids[19], ids[3], ids[3], ids[4], ids[18], store::ContentId(9_999)]);
    for wanted in [store::Wanted::Digest, store::Wanted::Fields, store::Wanted::Both] {
        let mut seen = Vec::new();
        let walk = account.content_rows(&ids, wanted, |index, row| {
            seen.push((index, row.map(|row| (row.blob.is_some(), row.fields.len()))));
            std::ops::ControlFlow::Continue(())
        });
        walk.unwrap();
        assert_eq!(
            seen.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
            (0..ids.len()).collect::<Vec<_>>()
        );
        for (index, row) in seen {
            let even = ids[index].0 % 2 == ids[0].0 % 2;
            let expected = match wanted {
                _ if ids[index].0 == 9_999 => None,
                store::Wanted::Digest => Some((true, 0)),
                store::Wanted::Both => Some((true, if even { digest.fields.len() } else { 0 })),
                store::Wanted::Fields => even.then_some((false, digest.fields.len())),
            };
            assert_eq!(row, expected, "{wanted:?} {index}");
        }
    }
    // An end that is asked for.
    let mut count = 0;
    let walk = account.content_rows(&ids, store::Wanted::Digest, |_, _| {
        count += 1;
        std::ops::ControlFlow::Break(())
    });
    walk.unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_mailbox_closed_by_everybody_is_still_up_to_date_when_opened_again() {
    let house = house();
    let account = house.account();
    let inbox = id(&account, "INBOX");
    let seen = |account: &Account| uids(account, inbox);
    house.append("INBOX", "one");
    assert_eq!(seen(&account), [1]);
    house.append("INBOX", "two");
    house.deliver(&[(1, 0)]);
    account.sync().unwrap();
    account
        .message_flag(inbox, &[Uid(1)], FlagChange::Add(Flags::DELETED), None)
        .unwrap();
    account.message_expunge(inbox, None).unwrap();
    assert_eq!(seen(&account), [2, 3]);
    // An account that was closed and opened shows the same out of its file.
    drop(account);
    assert_eq!(seen(&house.reopened()), [2, 3]);
}

#[test]
fn modification_sequences_are_not_given_out_twice_after_opening_again() {
    let house = house();
    let inbox = id(&house.account(), "INBOX");
    house.append("INBOX", "one");
    let before = house
        .account()
        .message_flag(inbox, &[Uid(1)], FlagChange::Add(Flags::SEEN), None)
        .unwrap()
        .modseq;
    let after = house
        .reopened()
        .message_flag(inbox, &[Uid(1)], FlagChange::Add(Flags::FLAGGED), None)
        .unwrap()
        .modseq;
    assert!(after > before, "{after} after {before}");
}
