//! Messages that the blob store does not have on disk yet when their rows are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::{BlobId, Blobs};
use db::{AccountId, Database};
use std::path::Path;
use std::sync::Arc;
use store::{Account, Digest, Flags, Fresh, MailboxId, NewMessage, Options, Quota, SCHEMA, Store};

const DIGEST: &Digest = &Digest {
    envelope: Vec::new(),
    structure: Vec::new(),
    preview: None,
    fields: Vec::new(),
};

fn blobs_in(folder: &Path) -> Blobs {
    Blobs::open(folder, blobs::Options::default()).unwrap()
}

fn store_in(folder: &Path, blobs: &Blobs) -> Store {
    Store::open(&folder.join("accounts"), blobs.clone(), Options::default()).unwrap()
}

fn inbox(account: &Account) -> MailboxId {
    account.mailbox_find("INBOX").unwrap().id
}

/// Appends messages whose bytes go to `on_their_way`.
fn append(account: &Account, on_their_way: &Blobs, texts: &[&str]) {
    let fresh: Vec<Fresh> = texts
        .iter()
        .map(|text| Fresh {
            commit: on_their_way.put(text.as_bytes()).unwrap(),
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    let messages: Vec<NewMessage<'_>> = fresh
        .iter()
        .map(|fresh| NewMessage {
            blob: fresh.commit.id(),
            blob_len: fresh.commit.len(),
            prefix: &[],
            digest: DIGEST,
            flags: Flags::NONE,
            received: 1_700_000_000,
        })
        .collect();
    account
        .messages_append(inbox(account), &messages, fresh, None, Quota::NONE)
        .unwrap();
}

fn texts(account: &Account) -> Vec<String> {
    let open = account.mailbox_open(inbox(account), false).unwrap();
    let snapshot = open.snapshot();
    let text = |content| {
        let content = account.content(content).unwrap();
        let bytes = account.content_range(&content, 0..content.len()).unwrap();
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut account.content_reader(&content).unwrap(), &mut read).unwrap();
        assert_eq!(bytes, read);
        let middle = account.content_range(&content, 1..2).unwrap();
        assert_eq!(middle, &bytes[1..2]);
        String::from_utf8(bytes).unwrap()
    };
    snapshot.iter().map(|message| text(message.content)).collect()
}

fn kept(path: &Path) -> u64 {
    let database = Database::open(path, &[SCHEMA], db::Options::default()).unwrap();
    let count = database.read(|tx| tx.query_row("SELECT count(*) FROM content_fresh", &[], |row| row.u64(0)));
    count.unwrap().unwrap()
}

#[test]
fn bytes_are_beside_the_rows_until_the_blob_store_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = blobs_in(&folder.path().join("blobs"));
    let store = store_in(folder.path(), &blobs);
    let account = store.account(AccountId(7)).unwrap();
    append(&account, &blobs, &["first", "second"]);
    append(&account, &blobs, &["third"]);
    assert_eq!(texts(&account), ["first", "second", "third"]);
    account.fresh_settle().unwrap();
    account.fresh_settle().unwrap();
    let path = store.path_of(AccountId(7));
    drop(account);
    store.close();
    assert_eq!(kept(&path), 0);
    let store = store_in(folder.path(), &blobs);
    assert_eq!(
        texts(&store.account(AccountId(7)).unwrap()),
        ["first", "second", "third"]
    );
}

/// As after a crash: the rows are on the disk, and what was put into the blob store was lost with the machine's memory.
#[test]
fn what_the_blob_store_lost_it_gets_again() {
    let folder = tempfile::tempdir().unwrap();
    let (blobs, lost) = (
        blobs_in(&folder.path().join("blobs")),
        blobs_in(&folder.path().join("lost")),
    );
    let store = store_in(folder.path(), &blobs);
    let account = store.account(AccountId(7)).unwrap();
    append(&account, &lost, &["first", "second"]);
    // Readable already, although the blob store knows nothing of them.
    assert!(blobs.read(BlobId::of(b"first")).is_err());
    assert_eq!(texts(&account), ["first", "second"]);
    let path = store.path_of(AccountId(7));
    drop(account);
    store.close();
    assert_eq!(kept(&path), 2);
    let store = store_in(folder.path(), &blobs);
    let account: Arc<Account> = store.account(AccountId(7)).unwrap();
    assert_eq!(blobs.read(BlobId::of(b"first")).unwrap(), b"first");
    assert_eq!(texts(&account), ["first", "second"]);
    account.fresh_settle().unwrap();
    drop(account);
    store.close();
    assert_eq!(kept(&path), 0);
    // They are on the disk there.
    drop((blobs, store));
    let blobs = blobs_in(&folder.path().join("blobs"));
    assert_eq!(blobs.read(BlobId::of(b"second")).unwrap(), b"second");
}

#[test]
fn places_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = blobs_in(&folder.path().join("blobs"));
    let store = store_in(folder.path(), &blobs);
    let account = store.account(AccountId(7)).unwrap();
    let (small, large) = ("x".repeat(1000), "y".repeat(Fresh::LONGEST));
    let all: Vec<String> = (0..20).map(|n| format!("{n} {}", [&small, &large][n / 10])).collect();
    for text in &all {
        append(&account, &blobs, &[text]);
        blobs.wait(BlobId::of(text.as_bytes())).unwrap();
    }
    // As long as the blob store does not have them, they need places of their own.
    let (blocked, several) = (blobs_in(&folder.path().join("blocked")), ["one", "two", "three"]);
    append(&account, &blocked, &several);
    for text in several {
        blobs.put(text.as_bytes()).unwrap().wait().unwrap();
    }
    let path = store.path_of(AccountId(7));
    drop(account);
    store.close();
    assert_eq!(kept(&path), 2 + 3);
    let store = store_in(folder.path(), &blobs);
    let account = store.account(AccountId(7)).unwrap();
    let found = texts(&account);
    assert_eq!(found[..20], all);
    assert_eq!(found[20..], several);
    account.fresh_settle().unwrap();
    drop(account);
    store.close();
    assert_eq!(kept(&path), 0);
}
