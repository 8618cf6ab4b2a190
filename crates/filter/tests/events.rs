//! What a script may do on an IMAP event (RFC 6785 §3.11, §4), and what it may ask about mailboxes and the server (RFC 5490, RFC 9042).
#![allow(clippy::unwrap_used, clippy::panic)]

use filter::{Delivery, Filter, Options, Person, Place, Verdict};
use std::sync::Arc;
use store::{Account, AccountId, Audience, Store, Unless};

const MESSAGE: &[u8] = b"From: bob@x.example\r\nSubject: hello\r\n\r\nHello\r\n";

struct House {
    filter: Filter,
    account: Arc<Account>,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let blobs = blobs::Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
    let store = Store::open(&path.join("accounts"), blobs, store::Options::default()).unwrap();
    let database = db::Database::open(&path.join("server.db"), &[directory::SCHEMA], db::Options::default()).unwrap();
    let directory = directory::Directory::open(Arc::new(database)).unwrap();
    directory
        .server_metadata_set(&[("/shared/comment", Some(b"the house".as_slice()))])
        .unwrap();
    House {
        filter: Filter::new(Options::new("mail.phys.example")).with_directory(directory),
        account: store.account(AccountId(3)).unwrap(),
        _folder: folder,
    }
}

impl House {
    fn run(&self, script: &str, event: bool) -> Verdict {
        let limits = self.filter.options().scripts;
        self.account.script_put("main", script, Unless::Never, &limits).unwrap();
        let script = Arc::new(self.account.script_read("main").unwrap().unwrap());
        let mut delivery = Delivery {
            message: MESSAGE,
            envelope: sieve::Envelope {
                from: Some("bob@x.example".to_owned()),
                ..sieve::Envelope::default()
            },
            ..Delivery::default()
        };
        if event {
            let items = [("location", "MS"), ("phase", "post"), ("imap.cause", "FLAG")];
            delivery.environment = items.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            delivery.flags = vec!["\\Seen".to_owned(), "work".to_owned()];
        }
        let person = Person {
            address: "ada@phys.example".to_owned(),
            ..Person::default()
        };
        self.filter.decide_by(script, &self.account, &person, &delivery)
    }

    /// Whether a test is true at delivery.
    fn is_true(&self, extension: &str, test: &str) -> bool {
        let script = format!("require [\"{extension}\"]; if {test} {{ discard; }}");
        let verdict = self.run(&script, false);
        assert_eq!(verdict.fault, None, "{test}");
        verdict.filed.is_empty()
    }
}

#[test]
fn metadata_of_mailboxes_and_of_the_server() {
    let house = house();
    let inbox = house.account.mailbox_find("INBOX").unwrap().id;
    let own = Audience::Private(house.account.id());
    let entries: [(Audience, &str, Option<&[u8]>); 2] = [
        (Audience::Shared, "/shared/comment", Some(b"letters")),
        (own, "/private/vendor/x", Some(b"mine")),
    ];
    house.account.metadata_set(Some(inbox), &entries).unwrap();
    house
        .account
        .metadata_set(None, &[(own, "/private/comment", Some(b"of ada's".as_slice()))])
        .unwrap();
    for (extension, test, expected) in [
        ("mboxmetadata", r#"metadata "INBOX" "/shared/comment" "letters""#, true),
        ("mboxmetadata", r#"metadata "INBOX" "/SHARED/Comment" "letters""#, true),
        ("mboxmetadata", r#"metadata "INBOX" "/shared/comment" "parcels""#, false),
        (
            "mboxmetadata",
            r#"metadata "Nowhere" "/shared/comment" "letters""#,
            false,
        ),
        ("mboxmetadata", r#"metadata "INBOX" "/private/vendor/x" "mine""#, true),
        (
            "mboxmetadata",
            r#"metadataexists "INBOX" ["/shared/comment", "/private/vendor/x"]"#,
            true,
        ),
        (
            "mboxmetadata",
            r#"metadataexists "INBOX" ["/shared/comment", "/private/comment"]"#,
            false,
        ),
        // What IMAP shows without its being kept: what a mailbox is for, and whose \Seen it has.
        (
            "mboxmetadata",
            r#"metadata "Junk" "/private/specialuse" "\\Junk""#,
            true,
        ),
        ("mboxmetadata", r#"metadata "INBOX" "/private/specialuse" """#, false),
        (
            "mboxmetadata",
            r#"metadata "INBOX" "/shared/vendor/rohrpost/seen" "shared""#,
            true,
        ),
        (
            "servermetadata",
            r#"servermetadata "/shared/comment" "the house""#,
            true,
        ),
        (
            "servermetadata",
            r#"servermetadata "/private/comment" "of ada's""#,
            true,
        ),
        ("servermetadata", r#"servermetadataexists "/shared/admin""#, false),
    ] {
        assert_eq!(house.is_true(extension, test), expected, "{test}");
    }
}

#[test]
fn mailboxes_by_the_id_that_imap_shows() {
    let house = house();
    let inbox = house.account.mailbox_find("INBOX").unwrap().id;
    let id = |account: u64| imap::ObjectKind::Mailbox.write(account << 32 | u64::from(inbox.0));
    for (id, expected) in [
        (id(3), true),
        // The same number in another account, and a number alone.
        (id(4), false),
        (inbox.0.to_string(), false),
        (id(3).to_lowercase(), false),
    ] {
        assert_eq!(
            house.is_true("mailboxid", &format!("mailboxidexists \"{id}\"")),
            expected,
            "{id}"
        );
    }
}

#[test]
fn files_by_the_id_before_the_name() {
    let house = house();
    let archive = house.account.mailbox_find("Archive").unwrap().id;
    let id = |account: u64| imap::ObjectKind::Mailbox.write(account << 32 | u64::from(archive.0));
    let limits = Options::new("mail.phys.example");
    for (id, name, expected) in [
        (id(3), "Junk", "Archive"),
        // Gone, or another account's: the name counts (RFC 9042 §3).
        (id(4), "Junk", "Junk"),
        ("Fnone".to_owned(), "Junk", "Junk"),
        // RFC 9042 §3: an id that is there needs no name that is.
        (id(3), "Nowhere", "Archive"),
    ] {
        let script = format!("require [\"fileinto\", \"mailboxid\"]; fileinto :mailboxid \"{id}\" \"{name}\";");
        let verdict = house.run(&script, false);
        assert_eq!(verdict.fault, None, "{script}");
        let Place::Mailbox(target) = &verdict.filed[0].place else {
            panic!("{script}: {:?}", verdict.filed);
        };
        let placed = filter::place(&house.account, target, &limits);
        assert!(
            matches!(&placed, filter::Placed::In(_, name) if name == expected),
            "{script}: {placed:?}"
        );
    }
}

#[test]
fn what_is_for_delivery_only_ends_the_script_on_an_event() {
    let house = house();
    for (script, faulty) in [
        (r#"require "reject"; discard;"#, true),
        (r#"require ["vacation", "imapsieve"]; discard;"#, true),
        (
            r#"require "envelope"; if envelope "from" "bob@x.example" { discard; }"#,
            true,
        ),
        (r#"require "envelope"; if header "subject" "hello" { discard; }"#, false),
        (
            r#"require ["environment", "imapsieve"];
               if allof (environment "location" "MS", environment "phase" "post", environment "imap.cause" "FLAG") { discard; }"#,
            false,
        ),
    ] {
        let verdict = house.run(script, true);
        assert_eq!(verdict.fault.is_some(), faulty, "{script}");
        let kept = verdict.filed.iter().any(|f| f.place == Place::Kept);
        assert_eq!(kept, faulty, "{script}: a script with a fault keeps the message");
    }
    // At delivery the same items are there and empty (RFC 6785 §4.2, §4.5).
    for item in ["imap.user", "imap.email", "imap.changedflags"] {
        assert!(
            house.is_true("environment", &format!("environment \"{item}\" \"\"")),
            "{item}"
        );
    }
}

#[test]
fn flags_begin_as_the_message_has_them() {
    let house = house();
    let script = r#"require "imap4flags"; if hasflag "work" { addflag "done"; removeflag "\\Seen"; }"#;
    let verdict = house.run(script, true);
    assert_eq!(verdict.fault, None);
    assert_eq!(
        verdict.filed.first().map(|f| f.flags.clone()),
        Some(vec!["work".to_owned(), "done".to_owned()])
    );
}
