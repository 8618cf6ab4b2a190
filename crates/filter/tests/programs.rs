//! `pipe`, `filter` and `execute` of vnd.dovecot, and lists kept elsewhere (RFC 6134), as scripts meet them.
#![allow(clippy::unwrap_used, clippy::panic)]

use filter::{Delivery, Filter, Options, Person, Place, Verdict};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use store::{Account, AccountId, Store, Unless};

const MESSAGE: &[u8] = b"From: boss@x.example\r\nSubject: hello\r\n\r\nHello\r\n";

struct House {
    filter: Filter,
    account: Arc<Account>,
    folder: tempfile::TempDir,
}

fn program(folder: &Path, kind: &str, name: &str, text: &str) {
    let file = folder.join("programs").join(kind).join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for kind in ["pipe", "filter", "execute"] {
        std::fs::create_dir_all(path.join("programs").join(kind)).unwrap();
    }
    std::fs::create_dir(path.join("lists")).unwrap();
    std::fs::write(path.join("lists/vip"), "boss@x.example\nfriend@y.example\n").unwrap();
    let got = path.join("got");
    let got = got.display();
    program(path, "pipe", "take", &format!("cat >> {got}; echo \"$1\" >> {got}"));
    program(path, "pipe", "no", "exit 75");
    program(path, "filter", "stamp", "echo 'X-Stamp: yes'; cat");
    program(path, "filter", "empty", "exit 0");
    program(path, "filter", "no", "cat; exit 1");
    program(
        path,
        "execute",
        "say",
        "cat > /dev/null; printf '%s and %s' \"$1\" \"$USER\"",
    );
    program(path, "execute", "upper", "tr a-z A-Z");
    program(path, "execute", "no", "echo never; exit 1");
    let blobs = blobs::Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
    let store = Store::open(&path.join("accounts"), blobs, store::Options::default()).unwrap();
    let database = db::Database::open(&path.join("server.db"), &[directory::SCHEMA], db::Options::default()).unwrap();
    let directory = directory::Directory::open(Arc::new(database)).unwrap();
    directory.domain_add("phys.example").unwrap();
    let new = directory::NewAccount {
        address: "bob@phys.example",
        ..directory::NewAccount::default()
    };
    directory.account_add(&new).unwrap();
    let targets = ["bob@phys.example", "ada@phys.example", "far@z.example"];
    directory.alias_add("staff@phys.example", &targets).unwrap();
    let mut options = Options::new("mail.phys.example");
    options.extensions = sieve::Extensions::all();
    options.programs.folder = Some(path.join("programs"));
    options.lists = Some(path.join("lists"));
    House {
        filter: Filter::new(options).with_directory(directory),
        account: store.account(AccountId(3)).unwrap(),
        folder,
    }
}

impl House {
    fn run(&self, body: &str, rehearsal: bool) -> Verdict {
        let script = format!(
            "require [\"vnd.dovecot.pipe\", \"vnd.dovecot.filter\", \"vnd.dovecot.execute\", \"copy\", \"fileinto\", \"variables\", \
             \"extlists\", \"imap4flags\"];\n{body}"
        );
        let limits = self.filter.options().scripts;
        self.account
            .script_put("main", &script, Unless::Never, &limits)
            .unwrap();
        let script = Arc::new(self.account.script_read("main").unwrap().unwrap());
        let delivery = Delivery {
            message: MESSAGE,
            envelope: sieve::Envelope {
                from: Some("boss@x.example".to_owned()),
                to: Some("ada@phys.example".to_owned()),
                ..sieve::Envelope::default()
            },
            rehearsal,
            ..Delivery::default()
        };
        let person = Person {
            address: "ada@phys.example".to_owned(),
            addresses: vec!["ada@phys.example".to_owned()],
            ..Person::default()
        };
        self.filter.decide_by(script, &self.account, &person, &delivery)
    }

    fn got(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("got")).unwrap_or_default()
    }
}

/// Where a message goes: `keep`, names of mailboxes, `program NAME`.
fn goes(verdict: &Verdict) -> Vec<String> {
    let filed = verdict.filed.iter().map(|filed| match &filed.place {
        Place::Kept => "keep".to_owned(),
        Place::Mailbox(target) => target.mailbox.clone(),
    });
    filed
        .chain(verdict.piped.iter().map(|p| format!("program {p}")))
        .collect()
}

#[test]
fn pipe_takes_the_message_and_failing_keeps_it() {
    for (script, expected, fault) in [
        ("pipe \"take\" \"one\";", vec!["program take"], false),
        (
            "pipe :copy \"take\" [\"one\", \"two\"];",
            vec!["keep", "program take"],
            false,
        ),
        // Without :try a failure is the script's: it keeps the message and does nothing else.
        ("fileinto \"A\"; pipe \"no\";", vec!["keep"], true),
        ("redirect :copy \"x@y.example\"; pipe :copy \"no\";", vec!["keep"], true),
        // With it, it is as if it did not stand there.
        ("pipe :try \"no\";", vec!["keep"], false),
        ("fileinto \"A\"; pipe :try \"no\";", vec!["A"], false),
        ("discard; pipe :try \"no\";", vec!["keep"], false),
        // What is not listed, for pipe.
        ("pipe \"stamp\";", vec!["keep"], true),
        ("pipe :try \"none\";", vec!["keep"], true),
        // Once for each program, and not with reject.
        ("pipe \"take\"; pipe :copy \"take\";", vec!["keep"], true),
    ] {
        let house = house();
        let verdict = house.run(script, false);
        assert_eq!(goes(&verdict), expected, "{script}");
        assert_eq!(verdict.fault.is_some(), fault, "{script}: {:?}", verdict.fault);
        let took = expected.contains(&"program take");
        assert_eq!(house.got().starts_with("From: boss"), took, "{script}");
        assert!(!fault || verdict.sending.is_empty(), "{script}");
    }
}

#[test]
fn a_rehearsal_runs_no_program() {
    let house = house();
    let verdict = house.run("pipe \"take\";", true);
    assert_eq!(goes(&verdict), ["program take"]);
    assert_eq!(house.got(), "");
    // What one would have said is not known: the message stays as it is, the test is false, and both are told.
    let verdict = house.run("filter \"stamp\"; if execute \"say\" { fileinto \"A\"; }", true);
    assert_eq!(goes(&verdict), ["keep"]);
    assert!(verdict.messages.is_empty());
    // Nobody may be refused for what a program was not asked.
    assert!(verdict.guessed);
    assert!(!house.run("fileinto \"A\";", true).guessed);
    assert!(
        verdict.why[0].notes.iter().any(|note| note.contains("only tried")),
        "{:?}",
        verdict.why
    );
}

#[test]
fn filter_changes_the_message_or_leaves_it() {
    let house = house();
    for (script, stamped) in [
        ("filter \"stamp\"; fileinto \"A\";", true),
        ("filter \"no\"; fileinto \"A\";", false),
        ("filter \"empty\"; fileinto \"A\";", false),
        ("if filter \"stamp\" { fileinto \"A\"; }", true),
        ("if filter \"no\" { discard; } else { fileinto \"A\"; }", false),
    ] {
        let verdict = house.run(script, false);
        assert_eq!(verdict.fault, None, "{script}");
        assert_eq!(goes(&verdict), ["A"], "{script}");
        let message = verdict
            .messages
            .last()
            .map(|m| m.starts_with(b"X-Stamp: yes\nFrom: boss"));
        assert_eq!(message, stamped.then_some(true), "{script}");
    }
}

#[test]
fn execute_gives_its_output_and_its_end() {
    let house = house();
    for (script, expected) in [
        (
            "execute :output \"x\" \"say\" \"A\"; fileinto \"${x}\";",
            "A and ada@phys.example",
        ),
        (
            "execute :input \"word\" :output \"x\" \"upper\"; fileinto \"${x}\";",
            "WORD",
        ),
        ("if execute :pipe \"say\" { fileinto \"yes\"; }", "yes"),
        // A failure leaves the variable as it was.
        (
            "set \"x\" \"before\"; if not execute :output \"x\" \"no\" { fileinto \"${x}\"; }",
            "before",
        ),
    ] {
        let verdict = house.run(script, false);
        assert_eq!(verdict.fault, None, "{script}");
        assert_eq!(goes(&verdict), [expected], "{script}");
    }
}

#[test]
fn lists_are_asked_and_sent_to() {
    let house = house();
    let vip = "tag:mail.phys.example,2026:vip";
    let staff = "tag:phys.example,2026:staff";
    for (script, expected) in [
        (
            format!("if address :list \"from\" \"{vip}\" {{ fileinto \"A\"; }}"),
            "A",
        ),
        (
            format!("if header :list \"subject\" \"{vip}\" {{ fileinto \"A\"; }}"),
            "keep",
        ),
        (
            format!("if address :list \"from\" \"{staff}\" {{ fileinto \"A\"; }}"),
            "keep",
        ),
        (
            "if address :list \"from\" \":addrbook:default\" { fileinto \"A\"; }".to_owned(),
            "keep",
        ),
        (
            format!("if valid_ext_list [\"{vip}\", \"{staff}\", \":addrbook:default\"] {{ fileinto \"A\"; }}"),
            "A",
        ),
        (
            format!("if valid_ext_list [\"{vip}\", \"tag:x,2026:y\"] {{ fileinto \"A\"; }}"),
            "keep",
        ),
    ] {
        let verdict = house.run(&script, false);
        assert_eq!(verdict.fault, None, "{script}");
        assert_eq!(goes(&verdict), [expected], "{script}");
    }
    // A list that is not there ends the script.
    let verdict = house.run("if address :list \"from\" \"tag:x,2026:y\" { discard; }", false);
    assert!(verdict.fault.is_some() && goes(&verdict) == ["keep"]);
    // To the members, but for the user himself.
    let verdict = house.run(&format!("redirect :list \"{staff}\";"), false);
    assert_eq!(goes(&verdict), Vec::<String>::new());
    assert_eq!(verdict.sending[0].recipients, ["bob@phys.example", "far@z.example"]);
    // Nobody to send it to: it is kept.
    let verdict = house.run("redirect :list \":addrbook:default\";", false);
    assert_eq!(goes(&verdict), ["keep"]);
    assert!(verdict.sending.is_empty());
}

#[test]
fn a_list_of_more_than_the_limit_is_not_sent_to() {
    let mut house = house();
    let many: String = (0..101).map(|n| format!("n{n}@y.example\n")).collect();
    std::fs::write(house.folder.path().join("lists/many"), many).unwrap();
    let script = "redirect :list \"tag:mail.phys.example,2026:many\";";
    let verdict = house.run(script, false);
    assert_eq!(goes(&verdict), ["keep"]);
    assert!(
        verdict.why[0].notes[0].contains("list_recipients"),
        "{:?}",
        verdict.why[0].notes
    );
    let mut options = house.filter.options().clone();
    options.list_recipients = 101;
    house.filter = Filter::new(options);
    assert_eq!(house.run(script, false).sending[0].recipients.len(), 101);
}
