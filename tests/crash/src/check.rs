//! What must be found when the power has come back and all work is done.

use crate::house::House;
use crate::world::{ACCOUNTS, Key, To, World};
use db::AccountId;
use std::collections::{BTreeMap, BTreeSet};
use store::ArrivalState;

impl World {
    /// Mailboxes, against what came in.
    pub(crate) fn check_mailboxes(&self, house: &House) {
        let at = self.at();
        let mut found: BTreeMap<Key, AccountId> = BTreeMap::new();
        let mut appended: BTreeSet<Vec<u8>> = BTreeSet::new();
        for id in (1..=ACCOUNTS).map(AccountId) {
            let account = house.account(id);
            let faults = account.faults().expect("faults");
            assert!(faults.is_empty(), "{at}: account {id:?}: {faults:?}");
            account
                .blob_references(|blob| assert!(house.blobs.len_of(blob).unwrap().is_some(), "{at}: {blob} is gone"))
                .expect("references");
            let inbox = account.mailbox_find("INBOX").expect("INBOX").id;
            for message in account.mailbox_open(inbox, false).expect("INBOX").snapshot().iter() {
                let content = account.content(message.content).expect("content");
                let bytes = account.content_range(&content, 0..content.len()).expect("bytes");
                let Some(rest) = bytes.strip_prefix(b"X-Delivery: ") else {
                    let (to, _) = self
                        .appended
                        .get(&bytes)
                        .unwrap_or_else(|| panic!("{at}: never appended"));
                    assert_eq!(*to, id, "{at}");
                    assert!(appended.insert(bytes), "{at}: appended twice");
                    continue;
                };
                let end = rest.iter().position(|b| *b == b'\r').expect("end of the line");
                let line = std::str::from_utf8(&rest[..end]).expect("line");
                let (acceptance, number) = line.split_once(' ').expect("two numbers");
                let key: Key = (acceptance.parse().unwrap(), number.parse().unwrap());
                let sent = self.tried.get(&key.0).unwrap_or_else(|| panic!("{at}: never accepted"));
                assert_eq!(
                    sent.to.get(key.1 as usize),
                    Some(&To::Account(id)),
                    "{at}: wrong account"
                );
                assert!(rest[end + 2..] == sent.bytes[..], "{at}: other bytes");
                assert!(found.insert(key, id).is_none(), "{at}: delivered twice");
            }
        }
        for id in &self.accepted {
            let message = &self.tried[id];
            for (number, to) in (0..).zip(&message.to) {
                // What went elsewhere is another's to look for.
                let To::Account(account) = to else { continue };
                let line = format!("X-Delivery: {id} {number}\r\n");
                let gone = self
                    .expunged
                    .contains(&(*account, [line.as_bytes(), &message.bytes].concat()));
                assert!(
                    gone || found.contains_key(&(*id, number)) || self.is_cancelled(house, (*id, number)),
                    "{at}: accepted and lost"
                );
            }
        }
        for (bytes, (account, confirmed)) in &self.appended {
            let gone = !confirmed || self.expunged.contains(&(*account, bytes.clone()));
            assert!(gone || appended.contains(bytes), "{at}: appended and lost");
        }
        let mut delivered = Vec::new();
        house
            .ledger
            .audit(|fault| panic!("{at}: {fault:?}"), |d| delivered.push(d))
            .expect("audit");
        for d in delivered {
            let state = house
                .account(d.account)
                .arrival_states(&[(d.acceptance.0, d.number)])
                .expect("state");
            assert!(
                matches!(state[..], [ArrivalState::Present | ArrivalState::Gone]),
                "{at}: {d:?} is {state:?}"
            );
        }
        let faults = house.database.check_integrity().expect("check");
        assert!(faults.is_empty(), "{at}: {faults:?}");
        house
            .blobs
            .verify(&mut |finding| panic!("{at}: {finding}"))
            .expect("verify");
    }
}
