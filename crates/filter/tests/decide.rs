//! Scripts over real accounts, with a clock that is set by hand.
#![allow(clippy::unwrap_used, clippy::panic)]

use filter::{Delivery, Filter, Memory, Options, Person, Place, Plan, Verdict};
use std::sync::Arc;
use store::{Account, AccountId, Decided, Store, Unless};

const DAY: i64 = 86_400;
/// 2026-11-25 08:00 UTC.
const NOW: i64 = 1_795_593_600;

struct House {
    filter: Filter,
    account: Arc<Account>,
    person: Person,
    number: std::cell::Cell<i64>,
    folder: tempfile::TempDir,
}

fn house(change: impl FnOnce(&mut Options, &std::path::Path)) -> House {
    let folder = tempfile::tempdir().unwrap();
    let blobs = blobs::Blobs::open(&folder.path().join("blobs"), blobs::Options::default()).unwrap();
    let store = Store::open(&folder.path().join("accounts"), blobs, store::Options::default()).unwrap();
    let mut options = Options::new("mail.phys.example");
    change(&mut options, folder.path());
    House {
        filter: Filter::new(options),
        account: store.account(AccountId(1)).unwrap(),
        person: Person {
            address: "ada@phys.example".into(),
            addresses: vec!["ada@phys.example".into(), "a.ackermann@phys.example".into()],
            name: "Ada Ackermann".into(),
        },
        number: std::cell::Cell::new(0),
        folder,
    }
}

impl House {
    fn script(&self, text: &str) {
        self.filter.check(text.as_bytes()).unwrap_or_else(|e| panic!("{e:?}"));
        let limits = self.filter.options().scripts;
        self.account.script_put("main", text, Unless::Never, &limits).unwrap();
        self.account.script_activate(Some("main")).unwrap();
    }

    /// Decides, and remembers what delivery would.
    fn arrives(&self, from: &str, message: &str, now: i64) -> Verdict {
        let message = message.replace('\n', "\r\n");
        let delivery = Delivery {
            message: message.as_bytes(),
            envelope: sieve::Envelope {
                from: Some(from.to_owned()),
                to: Some("ada@phys.example".to_owned()),
                ..sieve::Envelope::default()
            },
            now,
            unique: format!("T{}", self.number.get()),
            ..Delivery::default()
        };
        let verdict = self
            .filter
            .decide(&self.account, &self.person, &delivery, &Memory::default())
            .unwrap();
        self.number.set(self.number.get() + 1);
        let decided = Decided {
            acceptance: self.number.get(),
            recipient: 0,
            at: now,
            copies: Vec::new(),
            plan: "x",
            blobs: Vec::new(),
            sent: verdict.sent(),
            answered: verdict.answered.clone(),
            seen: verdict.seen.clone(),
        };
        self.account.deliver_decided(&[decided]).unwrap();
        verdict
    }

    fn kinds(&self, from: &str, message: &str, now: i64) -> Vec<&'static str> {
        self.arrives(from, message, now)
            .sending
            .iter()
            .map(|s| s.kind)
            .collect()
    }
}

fn explained(verdict: &Verdict) -> String {
    Plan {
        reasons: verdict.why.clone(),
        ..Plan::default()
    }
    .explain()
    .join("\n")
}

const TO_ADA: &str = "From: Bob <bob@x.example>\nTo: ada@phys.example\nMessage-ID: <1@x>\nSubject: hi\n\nHi.\n";

#[test]
fn vacation_answers_each_sender_once_in_its_period() {
    let house = house(|_, _| {});
    house.script("require \"vacation\";\nvacation :days 3 \"Away.\";\n");
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW), ["vacation"]);
    assert_eq!(house.kinds("BOB@x.example", TO_ADA, NOW + 60).len(), 0);
    assert_eq!(house.kinds("cem@x.example", TO_ADA, NOW + 60), ["vacation"]);
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW + 3 * DAY - 1).len(), 0);
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW + 3 * DAY), ["vacation"]);
    // Not addressed to her, and not by a person.
    assert_eq!(
        house
            .kinds("dan@x.example", &TO_ADA.replace("To: ada", "To: team"), NOW)
            .len(),
        0
    );
    assert_eq!(
        house
            .kinds("eve@x.example", &format!("List-Id: <l>\n{TO_ADA}"), NOW)
            .len(),
        0
    );
    assert_eq!(house.kinds("", TO_ADA, NOW).len(), 0);
    assert_eq!(house.kinds("list-request@x.example", TO_ADA, NOW).len(), 0);
    // The message stays in any case.
    let verdict = house.arrives("fay@x.example", TO_ADA, NOW);
    assert_eq!(verdict.filed.len(), 1);
    assert_eq!(verdict.filed[0].place, Place::Kept);
    assert_eq!(verdict.sending[0].recipients, ["fay@x.example"]);
    assert_eq!(verdict.sending[0].sender, "");
}

#[test]
fn a_vacation_ends_by_itself() {
    let house = house(|_, _| {});
    house.script(
        "require [\"vacation\", \"date\", \"relational\"];\n\
         if allof(currentdate :value \"ge\" \"date\" \"2026-11-26\", currentdate :value \"le\" \"date\" \"2026-11-28\") {\n\
           vacation :days 1 \"Away.\";\n}\n",
    );
    for (day, answers) in [(0, 0), (1, 1), (3, 1), (4, 0), (40, 0)] {
        let sender = format!("s{day}@x.example");
        assert_eq!(
            house.kinds(&sender, TO_ADA, NOW + day * DAY).len(),
            answers,
            "day {day}"
        );
    }
}

#[test]
fn what_goes_in_circles_or_floods_is_kept() {
    let house = house(|options, _| {
        options.sent_per_day = 3;
        options.hops = 4;
    });
    house.script("redirect \"else@y.example\";\n");
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW), ["redirect"]);
    for again in [
        format!("Delivered-To: A.Ackermann@phys.example\n{TO_ADA}"),
        format!("{}{TO_ADA}", "Received: by x; now\n".repeat(5)),
    ] {
        let verdict = house.arrives("bob@x.example", &again, NOW);
        assert_eq!((verdict.sending.len(), verdict.filed.len()), (0, 1));
        assert!(explained(&verdict).contains("circle"), "{}", explained(&verdict));
    }
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW), ["redirect"]);
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW), ["redirect"]);
    let verdict = house.arrives("bob@x.example", TO_ADA, NOW + 3600);
    assert_eq!((verdict.sending.len(), verdict.fate()), (0, "delivered"));
    assert!(explained(&verdict).contains("sent_per_day"), "{}", explained(&verdict));
    assert_eq!(house.kinds("bob@x.example", TO_ADA, NOW + 2 * DAY), ["redirect"]);
}

#[test]
fn a_script_that_fails_keeps_the_message() {
    let house = house(|options, _| options.limits.redirects = 1);
    house.script("redirect \"a@y.example\"; redirect \"b@y.example\";\n");
    let verdict = house.arrives("bob@x.example", TO_ADA, NOW);
    assert_eq!((verdict.filed.len(), verdict.sending.len()), (1, 0));
    assert!(verdict.fault.unwrap().contains("line 1"));
}

#[test]
fn duplicates_are_known_until_they_are_forgotten() {
    let house = house(|_, _| {});
    house.script("require [\"duplicate\", \"fileinto\"];\nif duplicate :seconds 3600 { discard; }\n");
    assert_eq!(house.arrives("bob@x.example", TO_ADA, NOW).fate(), "delivered");
    assert_eq!(house.arrives("bob@x.example", TO_ADA, NOW + 3599).fate(), "discarded");
    assert_eq!(house.arrives("bob@x.example", TO_ADA, NOW + 8000).fate(), "delivered");
}

#[test]
fn the_chain_goes_on_while_the_message_is_kept() {
    let house = house(|options, folder| {
        std::fs::write(
            folder.join("b"),
            "require [\"fileinto\", \"copy\"]; fileinto :copy \"Archive\";",
        )
        .unwrap();
        std::fs::write(folder.join("a"), "require \"imap4flags\"; setflag \"seen-by-after\";").unwrap();
        options.before = Some(folder.join("b"));
        options.after = Some(folder.join("a"));
    });
    house.filter.administrators().unwrap();
    let verdict = house.arrives("bob@x.example", TO_ADA, NOW);
    assert_eq!(verdict.filed.len(), 2, "{verdict:?}");
    assert_eq!(verdict.filed[1].flags, ["seen-by-after"]);
    house.script("discard;");
    let verdict = house.arrives("bob@x.example", TO_ADA, NOW);
    assert_eq!(verdict.filed.len(), 1, "{verdict:?}");
    // A file that was changed is read again; one with faults is passed over, the mail stays.
    std::fs::write(house.folder.path().join("b"), "nonsense").unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let file = std::fs::File::options()
        .append(true)
        .open(house.folder.path().join("b"))
        .unwrap();
    file.set_modified(later).unwrap();
    let verdict = house.arrives("bob@x.example", TO_ADA, NOW);
    assert_eq!(verdict.fate(), "discarded");
    assert!(
        explained(&verdict).contains("before: the script cannot be used"),
        "{}",
        explained(&verdict)
    );
    assert!(house.filter.administrators().is_err());
}

#[test]
fn plans_are_read_as_they_were_written() {
    let plan = Plan {
        fate: "redirected".into(),
        detail: "Sieve: redirect to x".into(),
        outgoing: vec![filter::Outgoing {
            kind: "redirect".into(),
            sender: "a@b".into(),
            recipients: vec!["c@d".into()],
            blob: "00".into(),
            size: 5,
            ..filter::Outgoing::default()
        }],
        reasons: Vec::new(),
    };
    assert_eq!(Plan::decode(&plan.encode()), Some(plan));
    assert_eq!(Plan::decode("no"), None);
}
