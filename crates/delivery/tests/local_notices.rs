//! What senders hear of mail for mailboxes of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod base;

use base::Base;
use delivery::{Dispatch, NoticeOptions, Notifier, Options};
use ledger::{AcceptanceId, Fate, Lane, Order, Selection, State};
use std::ops::Deref;
use std::sync::Arc;

struct House {
    base: Base,
    _dispatch: Dispatch,
}

impl Deref for House {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

/// Bob's account is disabled: what is for him waits.
fn house() -> House {
    let base = Base::new();
    base.directory.account_disable(base.id("bob@our.test")).unwrap();
    let (ledger, directory) = (base.ledger.clone(), base.directory.clone());
    let notices = NoticeOptions {
        hostname: "mail.our.test".to_owned(),
        languages: Vec::new(),
        postmaster: "postmaster@our.test".to_owned(),
    };
    let notifier = Notifier::new(ledger.clone(), Arc::new(|_: &str| Lane::Remote), notices);
    let options = Options {
        notifier: Some(Arc::new(notifier)),
        ..Options::default()
    };
    let filter = Arc::new(filter::Filter::new(filter::Options::new("mail.our.test")));
    let dispatch = Dispatch::start(ledger, Arc::clone(&base.store), directory, filter, &options).unwrap();
    House {
        base,
        _dispatch: dispatch,
    }
}

impl House {
    async fn accept(&self, to: &str, notify: Option<&str>) -> AcceptanceId {
        self.take("ann@far.test", to, notify, "Subject: hello\r\n\r\nHello\r\n")
            .await
    }

    /// As though it had waited for so long; and it is tried again.
    async fn aged(&self, id: AcceptanceId, seconds: i64) {
        let attempts = self.show(id).recipients[0].attempts;
        self.database
            .write(db::Durability::Deferred, |tx| {
                tx.execute(
                    "UPDATE recipient SET queued_at = queued_at - ?2 WHERE acceptance = ?1",
                    &[id.0.into(), seconds.into()],
                )
            })
            .unwrap();
        let all = Selection {
            id: Some(id),
            ..Selection::default()
        };
        assert_eq!(self.ledger.order(Order::Retry, &all).await.unwrap(), 1);
        self.until("another attempt", || {
            let r = &self.show(id).recipients[0];
            r.attempts > attempts || r.state == State::Settled
        })
        .await;
    }

    fn notice(&self, id: AcceptanceId, nth: usize) -> String {
        let child = self.show(self.show(id).offspring[nth].0);
        assert_eq!(child.acceptance.sender, "");
        assert_eq!(child.recipients[0].address, "ann@far.test");
        let bytes = self.blobs.read_range(child.blob, 0..child.size).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_told_of_success() {
    let house = house();
    for (notify, told) in [
        (None, 0),
        (Some("SUCCESS"), 1),
        (Some("FAILURE,DELAY"), 0),
        (Some("NEVER"), 0),
    ] {
        let id = house.accept("ada@our.test", notify).await;
        house
            .until("delivery", || {
                house.show(id).recipients[0].fate == Some(Fate::Delivered)
            })
            .await;
        assert_eq!(house.show(id).offspring.len(), told, "{notify:?}");
        if told == 1 {
            let text = house.notice(id, 0);
            assert!(
                text.contains("Action: delivered") && text.contains("ada@our.test"),
                "{text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_delivered_is_told_of_once_and_given_up_after_five_days() {
    let house = house();
    let id = house.accept("bob@our.test", None).await;
    house
        .until("the first attempt", || house.show(id).recipients[0].attempts == 1)
        .await;
    assert_eq!(house.show(id).offspring.len(), 0);
    house.aged(id, 5 * 3600).await;
    assert!(house.notice(id, 0).contains("Action: delayed"));
    house.aged(id, 3600).await;
    assert_eq!(house.show(id).offspring.len(), 1, "once");
    house.aged(id, 5 * 86_400).await;
    let record = house.show(id);
    assert_eq!(record.recipients[0].fate, Some(Fate::Failed));
    assert_eq!(record.offspring.len(), 2);
    let text = house.notice(id, 1);
    assert!(
        text.contains("Action: failed") && text.contains("Status: 4.4.7"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_hear_nothing_hears_nothing() {
    let house = house();
    let id = house.accept("bob@our.test", Some("NEVER")).await;
    house
        .until("the first attempt", || house.show(id).recipients[0].attempts == 1)
        .await;
    house.aged(id, 5 * 86_400).await;
    let record = house.show(id);
    assert_eq!(
        (record.recipients[0].fate, record.offspring.len()),
        (Some(Fate::Failed), 0)
    );
}
