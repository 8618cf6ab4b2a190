//! Mailboxes that several people use, and what is said about mailboxes: the examples of RFC 4314 (ACL), 8440 (LIST-MYRIGHTS), 2342
//! (NAMESPACE), 9208 (QUOTA), 5464 (METADATA), 9590 (LIST-METADATA).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use imap::command::{Depth, RightsChange};
use imap::response::{Code, Encoder, Namespaces, Status};
use imap::{Command, Error, Limits, MailboxName, Request};

fn parse(line: &str) -> Result<Command, Error> {
    Request::parse(line.as_bytes(), false, &Limits::default())
        .map(|request| request.command)
        .map_err(|refused| refused.error)
}

fn written(write: impl FnOnce(&mut Encoder<'_>)) -> String {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out, false));
    String::from_utf8(out).unwrap()
}

#[test]
fn acl_commands() {
    for (line, who, change, rights) in [
        (
            "A001 SETACL INBOX/Drafts Byron lrswikda",
            "Byron",
            RightsChange::Replace,
            "lrswikda",
        ),
        ("A035 SETACL INBOX/Drafts John lrQswicda", "", RightsChange::Replace, ""),
        (
            "A036 SETACL INBOX/Drafts John lrqswicda",
            "John",
            RightsChange::Replace,
            "lrqswicda",
        ),
        (
            "A001 setacl INBOX/Drafts \"Chris\" +cda",
            "Chris",
            RightsChange::Add,
            "cda",
        ),
        ("A001 SETACL x -anyone -lr", "-anyone", RightsChange::Remove, "lr"),
        ("A001 SETACL x \"\" \"\"", "", RightsChange::Replace, ""),
    ] {
        match parse(line) {
            Ok(Command::SetAcl(set)) => assert_eq!(
                (set.identifier.as_str(), set.change, set.rights.as_str()),
                (who, change, rights),
                "{line}"
            ),
            other => assert!(line.contains('Q') && other.is_err(), "{line}: {other:?}"),
        }
    }
    for (line, shown) in [
        (
            "B001 DELETEACL INBOX Fred",
            r#"DeleteAcl(AclEntry { mailbox: MailboxName("INBOX"), identifier: "Fred" })"#,
        ),
        ("A002 GETACL INBOX", r#"GetAcl(MailboxName("INBOX"))"#),
        (
            "a001 LISTRIGHTS ~/Mail/saved smith",
            r#"ListRights(AclEntry { mailbox: MailboxName("~/Mail/saved"), identifier: "smith" })"#,
        ),
        ("A003 MYRIGHTS inbox", r#"MyRights(MailboxName("INBOX"))"#),
        ("G1 GETQUOTA \"!partition/sda4\"", r#"GetQuota("!partition/sda4")"#),
        ("G2 GETQUOTAROOT INBOX", r#"GetQuotaRoot(MailboxName("INBOX"))"#),
        (
            "S1 SETQUOTA \"#user/alice\" (STORAGE 510)",
            r##"SetQuota(SetQuota { root: "#user/alice", limits: [("STORAGE", 510)] })"##,
        ),
        ("S1 SETQUOTA \"\" ()", r#"SetQuota(SetQuota { root: "", limits: [] })"#),
    ] {
        assert_eq!(format!("{:?}", parse(line).unwrap()), shown, "{line}");
    }
    for bad in [
        "a GETACL",
        "a SETACL x y",
        "a LISTRIGHTS x",
        "a SETQUOTA x",
        "a SETQUOTA x (STORAGE)",
        "a GETQUOTA x y",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn acl_responses() {
    let entries = [("Fred", "rwipslda"), ("-bob b", "w")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    for (line, expected) in [
        (
            written(|e| e.acl(&MailboxName::new("INBOX"), &entries)),
            "* ACL INBOX Fred rwipslda \"-bob b\" w\r\n",
        ),
        (
            written(|e| e.list_rights(&MailboxName::new("archive/imap"), "anyone", "", &["l", "r", "swi"])),
            "* LISTRIGHTS archive/imap anyone \"\" l r swi\r\n",
        ),
        (
            written(|e| e.my_rights(&MailboxName::new("INBOX"), "rwipsldexta")),
            "* MYRIGHTS INBOX rwipsldexta\r\n",
        ),
        (
            written(|e| e.quota("#user/alice", &[("STORAGE", 54, 111), ("MESSAGE", 42, 1000)])),
            "* QUOTA #user/alice (STORAGE 54 111 MESSAGE 42 1000)\r\n",
        ),
        (written(|e| e.quota("", &[])), "* QUOTA \"\" ()\r\n"),
        (
            written(|e| e.quota_root(&MailboxName::new("INBOX"), &["#user/alice", "!partition/sda4"])),
            "* QUOTAROOT INBOX #user/alice !partition/sda4\r\n",
        ),
        (
            written(|e| {
                e.namespace(
                    '/',
                    &Namespaces {
                        others: Some("Andere Nützer/"),
                        shared: None,
                    },
                );
            }),
            "* NAMESPACE ((\"\" \"/\")) ((\"Andere N&APw-tzer/\" \"/\")) NIL\r\n",
        ),
    ] {
        assert_eq!(line, expected);
    }
}

#[test]
fn metadata() {
    let Command::GetMetadata(get) =
        parse("a GETMETADATA \"INBOX\" (MAXSIZE 1024) (/shared/comment /private/Comment)").unwrap()
    else {
        panic!()
    };
    assert_eq!((get.query.max_size, get.query.depth), (Some(1024), Depth::Zero));
    assert_eq!(get.query.entries, ["/shared/comment", "/private/comment"]);
    let before = parse("a GETMETADATA (MAXSIZE 1024) \"INBOX\" (/shared/comment /private/comment)").unwrap();
    assert_eq!(before, Command::GetMetadata(get));
    let Command::GetMetadata(get) = parse("a GETMETADATA \"\" (DEPTH infinity) /shared").unwrap() else {
        panic!()
    };
    assert!(get.mailbox.as_str().is_empty());
    let matches = |depth, entry: &str| {
        let query = imap::command::MetadataQuery {
            depth,
            ..get.query.clone()
        };
        query.matches(entry)
    };
    for (entry, zero, one, infinity) in [
        ("/shared", true, true, true),
        ("/shared/a", false, true, true),
        ("/shared/a/b", false, false, true),
        ("/sharedness", false, false, false),
        ("/private", false, false, false),
    ] {
        let found = [Depth::Zero, Depth::One, Depth::Infinity].map(|depth| matches(depth, entry));
        assert_eq!(found, [zero, one, infinity], "{entry}");
    }
    let Command::SetMetadata(set) =
        parse("a SETMETADATA INBOX (/private/comment {5}\r\na\r\nbc /shared/x NIL /shared/y ~{2}\r\n\0\n)").unwrap()
    else {
        panic!()
    };
    let entries = [
        ("/private/comment".to_owned(), Some(b"a\r\nbc".to_vec())),
        ("/shared/x".to_owned(), None),
        ("/shared/y".to_owned(), Some(b"\0\n".to_vec())),
    ];
    assert_eq!(set.entries, entries);
    assert_eq!(
        written(|e| e.metadata(&set.mailbox, &entries)),
        "* METADATA INBOX (/private/comment {5}\r\na\r\nbc /shared/x NIL /shared/y ~{2}\r\n\0\n)\r\n"
    );
    assert_eq!(
        written(|e| e.metadata_changed(&MailboxName::new(""), &["/shared/comment".to_owned()])),
        "* METADATA \"\" /shared/comment\r\n"
    );
    for (code, expected) in [
        (Code::MetadataLongEntries(2199), "[METADATA LONGENTRIES 2199]"),
        (Code::MetadataMaxSize(1024), "[METADATA MAXSIZE 1024]"),
        (Code::MetadataTooMany, "[METADATA TOOMANY]"),
        (Code::MetadataNoPrivate, "[METADATA NOPRIVATE]"),
    ] {
        assert_eq!(
            written(|e| e.untagged(Status::Ok, Some(&code), "x")),
            format!("* OK {expected} x\r\n")
        );
    }
    for bad in [
        "a GETMETADATA INBOX",
        "a GETMETADATA INBOX comment",
        "a GETMETADATA INBOX /a*",
        "a GETMETADATA INBOX /a//b",
        "a GETMETADATA INBOX /a/",
        "a GETMETADATA (DEPTH 2) INBOX /a",
        "a GETMETADATA (SIZE 2) INBOX /a",
        "a SETMETADATA INBOX ()",
        "a SETMETADATA INBOX (/a)",
        "a SETMETADATA INBOX /a \"x\"",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn list_options() {
    let Command::List(list) =
        parse("A01 LIST \"\" % RETURN (MYRIGHTS METADATA (/shared/vendor/x/color /shared/comment))").unwrap()
    else {
        panic!()
    };
    let returns = list.returns.unwrap();
    assert!(returns.my_rights);
    assert_eq!(
        returns.metadata.unwrap().entries,
        ["/shared/vendor/x/color", "/shared/comment"]
    );
    for bad in [
        "a LIST \"\" % RETURN (METADATA)",
        "a LIST \"\" % RETURN (METADATA ())",
        "a LIST \"\" % RETURN (RIGHTS)",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
