//! What comes of each outcome, and who is told.

use crate::world::{House, Network, Site, Weather};
use delivery::relay::Options;
use ledger::{AcceptanceId, Fate, Filter, Order, RecipientRecord, Record, RequireTls, Selection};
use std::time::Duration;

fn house(weather: Vec<(i64, Weather)>, unknown: Option<&'static str>) -> House {
    let site = Site {
        weather,
        unknown,
        ..Site::default()
    };
    House::open(Network::new([("far.test".to_owned(), site)].into()), Options::default())
}

impl House {
    fn row(&self, id: AcceptanceId, number: usize) -> RecipientRecord {
        self.ledger.show(id).unwrap().unwrap().recipients.remove(number)
    }

    fn notices(&self, id: AcceptanceId) -> Vec<Record> {
        let record = self.ledger.show(id).unwrap().unwrap();
        let children = record.offspring.iter();
        children
            .map(|(child, _)| self.ledger.show(*child).unwrap().unwrap())
            .collect()
    }

    fn text(&self, record: &Record) -> String {
        let bytes = self.blobs.read_range(record.blob, 0..record.size).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn mixed_answers_go_to_each_his_own() {
    let house = house(Vec::new(), Some("gone"));
    let id = house
        .accept("ada@our.test", &["ok@far.test", "gone1@far.test", "gone2@far.test"])
        .await;
    house.drained(Duration::from_secs(60)).await;
    assert_eq!(house.network.log.lock().transactions, [3]);
    let fates: Vec<_> = (0..3).map(|n| house.row(id, n).fate.unwrap()).collect();
    assert_eq!(fates, [Fate::Relayed, Fate::Failed, Fate::Failed]);
    let tries = house.row(id, 1).tries;
    assert_eq!(
        (tries[0].host.as_str(), tries[0].outcome.as_str()),
        ("mx.far.test", "refused")
    );
    assert_eq!(tries[0].reply, "550 5.1.1 no such user");
    let notices = house.notices(id);
    assert_eq!(notices.len(), 1, "one notice for both");
    let a = &notices[0].acceptance;
    assert_eq!(
        (a.sender.as_str(), notices[0].recipients[0].address.as_str()),
        ("", "ada@our.test")
    );
    let text = house.text(&notices[0]);
    for word in [
        "gone1@far.test",
        "gone2@far.test",
        "Action: failed",
        "Status: 5.1.1",
        "550 5.1.1 no such user",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("ok@far.test"));
    assert_eq!(house.faults(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn notices_are_given_as_notify_asks() {
    let cases: [(&str, Option<&str>, Weather, usize); 8] = [
        ("ada@our.test", None, Weather::Fine, 0),
        ("ada@our.test", Some("SUCCESS,FAILURE"), Weather::Fine, 1),
        ("ada@our.test", Some("NEVER"), Weather::Refuses, 0),
        ("ada@our.test", Some("SUCCESS"), Weather::Refuses, 0),
        ("ada@our.test", Some("failure"), Weather::Refuses, 1),
        ("ada@our.test", None, Weather::NullMx, 1),
        ("", None, Weather::Refuses, 1),
        ("", Some("NEVER"), Weather::Refuses, 0),
    ];
    for (sender, notify, weather, expected) in cases {
        let house = house(vec![(i64::MAX, weather)], None);
        let id = house
            .accept_as(sender, &["x@far.test"], |a| {
                a.recipients[0].notify = notify.map(str::to_owned);
            })
            .await;
        house.drained(Duration::from_secs(60)).await;
        let notices = house.notices(id);
        assert_eq!(notices.len(), expected, "{sender:?} {notify:?} {weather:?}");
        for notice in notices {
            let to = if sender.is_empty() {
                "postmaster@our.test"
            } else {
                sender
            };
            assert_eq!(notice.recipients[0].address, to);
            assert_eq!(notice.acceptance.sender, "");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_about_a_double_bounce_makes_no_further_one() {
    let house = house(vec![(i64::MAX, Weather::Refuses)], None);
    // The sender is elsewhere, and his server refuses the notice: the postmaster hears of it.
    let id = house.accept("eve@far.test", &["x@far.test"]).await;
    house.drained(Duration::from_secs(60)).await;
    let notice = house.notices(id).remove(0);
    assert_eq!(notice.recipients[0].address, "eve@far.test");
    assert_eq!(notice.recipients[0].fate, Some(Fate::Failed));
    let double = house.notices(notice.acceptance.id).remove(0);
    assert_eq!(double.recipients[0].address, "postmaster@our.test");
    assert!(house.notices(double.acceptance.id).is_empty());
    assert_eq!(house.ledger.trace(&Filter::default(), 100).unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn late_mail_is_told_of_once_and_given_up_after_five_days() {
    for weather in [Weather::Dead, Weather::Later] {
        let house = house(vec![(i64::MAX, weather)], None);
        let id = house.accept("ada@our.test", &["x@far.test"]).await;
        tokio::time::sleep(Duration::from_secs(4 * 3600 - 100)).await;
        assert_eq!(house.notices(id).len(), 0, "{weather:?}");
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        let delayed = house.notices(id);
        assert_eq!(delayed.len(), 1, "{weather:?}");
        let text = house.text(&delayed[0]);
        assert!(
            text.contains("Action: delayed") && text.contains("Will-Retry-Until: "),
            "{text}"
        );
        tokio::time::sleep(Duration::from_secs(4 * DAY)).await;
        assert_eq!(house.notices(id).len(), 1, "{weather:?}");
        house.drained(Duration::from_secs(2 * DAY)).await;
        let notices = house.notices(id);
        assert_eq!(notices.len(), 2, "{weather:?}");
        let text = house.text(&notices[1]);
        assert!(
            text.contains("Action: failed") && text.contains("Status: 4.4.7"),
            "{text}"
        );
        assert_eq!(house.row(id, 0).fate, Some(Fate::Failed));
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_taken_is_sent_again_and_the_doubt_is_on_record() {
    let house = house(vec![(10, Weather::Doubtful)], None);
    let id = house.accept("ada@our.test", &["x@far.test"]).await;
    house.drained(Duration::from_secs(3600)).await;
    assert_eq!(house.network.log.lock().taken.len(), 2);
    let tries: Vec<_> = house.row(id, 0).tries.into_iter().map(|t| t.outcome).collect();
    assert_eq!(tries, ["doubtful", "taken"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_waits_and_what_is_cancelled_is_not_sent() {
    let house = house(Vec::new(), None);
    let id = house
        .accept_as("ada@our.test", &["x@far.test"], |a| {
            a.held = Some("too much mail at once".to_owned());
        })
        .await;
    let later = house
        .accept_as("ada@our.test", &["y@far.test"], |a| {
            a.release_at = Some(a.received_at + 3600);
        })
        .await;
    let never = house
        .accept_as("ada@our.test", &["z@far.test"], |a| {
            a.release_at = Some(a.received_at + 7200);
        })
        .await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(house.network.log.lock().taken.len(), 0);
    assert_eq!(house.row(id, 0).reason.as_deref(), Some("too much mail at once"));
    let one = |id| Selection {
        id: Some(id),
        ..Selection::default()
    };
    assert_eq!(house.order(Order::Release, one(id)).await, 1);
    assert_eq!(house.order(Order::Cancel, one(never)).await, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(house.row(id, 0).fate, Some(Fate::Relayed));
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(house.row(later, 0).fate, Some(Fate::Relayed));
    assert_eq!(house.row(never, 0).fate, Some(Fate::Cancelled));
    let taken = house.network.log.lock().taken.clone();
    assert!((3600..3700).contains(&taken[1].2), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_to_go_later_goes_no_sooner_whatever_is_ordered() {
    let house = house(Vec::new(), None);
    let mut ids = Vec::new();
    for held in [false, true] {
        let id = house
            .accept_as("ada@our.test", &["x@far.test"], |a| {
                a.release_at = Some(a.received_at + 7200);
                a.held = held.then(|| "as if stolen".to_owned());
            })
            .await;
        ids.push(id);
    }
    let plain = house
        .accept_as("ada@our.test", &["y@far.test"], |a| {
            a.held = Some("as if stolen".to_owned())
        })
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(house.order(Order::Release, Selection::default()).await, 2);
    house.order(Order::Retry, Selection::default()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(
        house.row(plain, 0).fate,
        Some(Fate::Relayed),
        "what was only held goes at once"
    );
    for id in &ids {
        assert_eq!((house.row(*id, 0).fate, house.row(*id, 0).attempts), (None, 0));
    }
    tokio::time::sleep(Duration::from_secs(3700)).await;
    let taken = house.network.log.lock().taken.clone();
    assert_eq!(taken.len(), 3, "{taken:?}");
    assert!(
        taken[1..].iter().all(|(_, _, at)| (7200..7300).contains(at)),
        "{taken:?}"
    );
}

/// RFC 8689 §5: the same care, and no more than the header.
#[tokio::test(start_paused = true)]
async fn notices_about_mail_that_requires_tls_ask_for_it_too() {
    let house = house(vec![(i64::MAX, Weather::Refuses)], None);
    for (requiretls, whole) in [
        (RequireTls::Unsaid, true),
        (RequireTls::Yes, false),
        (RequireTls::No, true),
    ] {
        let id = house
            .accept_as("ada@our.test", &["x@far.test"], |a| {
                a.requiretls = requiretls;
                a.ret = Some("FULL".to_owned());
            })
            .await;
        house.drained(Duration::from_secs(60)).await;
        let notices = house.notices(id);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].acceptance.requiretls, requiretls);
        assert_eq!(house.text(&notices[0]).contains("Hello"), whole, "{requiretls:?}");
    }
}
