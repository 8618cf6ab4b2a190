//! The examples of the RFCs: commands as they are understood, responses as they are written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::command::{Fetch, FetchItem, Partial, Search, SearchKey, Section, SectionText, StatusItem, StoreAction};
use imap::response::{Attribute, Code, Encoder, Esearch, FetchResponse, ListResponse, Status};
use imap::{Command, DateTime, Error, Flag, Limits, MailboxName, NumberSet, Request, SpecialUse};

fn parse(line: &str) -> Command {
    match Request::parse(line.as_bytes(), false, &Limits::default()) {
        Ok(request) => request.command,
        Err(refused) => panic!("{line}: {refused:?}"),
    }
}

fn error(line: &str) -> Error {
    match Request::parse(line.as_bytes(), false, &Limits::default()) {
        Ok(request) => panic!("{line}: {request:?}"),
        Err(refused) => refused.error,
    }
}

/// The command as Rust prints it, which is all of it.
fn check(line: &str, expected: &str) {
    assert_eq!(format!("{:?}", parse(line)), expected, "{line}");
}

/// JavaMail writes Latin-1 into a SEARCH without CHARSET once it has enabled UTF8=ACCEPT.
#[test]
fn texts_that_are_not_utf8() {
    let read = |line: &[u8]| Request::parse(line, true, &Limits::default());
    let request = read(b"a SEARCH SUBJECT \"f\xfcr\" TO f\xc3\xbcr").map(|request| request.command);
    assert!(request.is_err(), "an atom has no 8-bit octets");
    match read(b"a SEARCH SUBJECT \"f\xfcr\" TO \"f\xc3\xbcr\"").unwrap().command {
        Command::Search(search) => assert_eq!(
            search.keys,
            [SearchKey::Subject("für".to_owned()), SearchKey::To("für".to_owned())]
        ),
        other => panic!("{other:?}"),
    }
    let refused = read(b"a SEARCH CHARSET UTF-8 SUBJECT \"f\xfcr\"").unwrap_err();
    assert_eq!(refused.error, Error::Utf8);
}

/// `OR a OR b OR c …` is how programs ask for any of many.
#[test]
fn many_alternatives() {
    let any_of = |count: usize| format!("a SEARCH {}ALL", "OR FROM x@example.com ".repeat(count));
    parse(&any_of(128));
    assert!(matches!(error(&any_of(129)), Error::Nesting));
}

#[test]
fn any_state() {
    for (line, expected) in [
        ("abcd CAPABILITY", "Capability"),
        ("a002 noop", "Noop"),
        ("A023 LOGOUT", "Logout"),
        ("a002 STARTTLS", "StartTls"),
        ("FXXZ CHECK", "Check"),
        ("A341 CLOSE", "Close"),
        ("A342 UNSELECT", "Unselect"),
        ("A202 EXPUNGE", "Expunge(None)"),
        ("A001 NAMESPACE", "Namespace"),
        ("A002 IDLE", "Idle"),
        ("a023 ID NIL", "Id([])"),
        ("a023 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" NIL)", ""),
        ("a001 LOGIN SMITH SESAME", "Login(Login { user: \"SMITH\", .. })"),
        (
            "t1 ENABLE CONDSTORE imap4rev2",
            "Enable([\"CONDSTORE\", \"IMAP4REV2\"])",
        ),
        (
            "A003 AUTHENTICATE GSSAPI",
            "Authenticate(Authenticate { mechanism: \"GSSAPI\", .. })",
        ),
    ] {
        if expected.is_empty() {
            parse(line);
        } else {
            check(line, expected);
        }
    }
    let Command::Authenticate(plain) = parse("A01 AUTHENTICATE plain AHRlc3QAdGVzdA==") else {
        panic!()
    };
    assert_eq!(plain.initial.as_deref(), Some(&b"\0test\0test"[..]));
    let Command::Authenticate(external) = parse("A01 AUTHENTICATE EXTERNAL =") else {
        panic!()
    };
    assert_eq!(external.initial.as_deref(), Some(&b""[..]));
    assert_eq!(imap::sasl_response(b"*"), Ok(None));
    assert_eq!(imap::sasl_response(b""), Ok(Some(Vec::new())));
    assert_eq!(imap::sasl_response(b"AGE=x"), Err(Error::Base64));
}

#[test]
fn refused() {
    for (line, expected) in [
        ("", Error::Tag),
        ("a", Error::Tag),
        ("+ NOOP", Error::Tag),
        ("a+ NOOP", Error::Tag),
        ("a FOO", Error::UnknownCommand),
        ("a UID NOOP x", Error::UnknownCommand),
        ("a NOOP x", Error::Trailing),
        ("a SEARCH CHARSET KOI8-R TEXT x", Error::Charset),
        ("a SELECT INBOX (WHAT)", Error::Unknown("SELECT parameter")),
        ("a SELECT INBOX (QRESYNC (0 2))", Error::Number),
        ("a SELECT INBOX (QRESYNC (1 0))", Error::Number),
        (
            "a SELECT INBOX (QRESYNC (1 2 1:*))",
            Error::Expected("a sequence set without * and $"),
        ),
        (
            "a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
            Error::Expected("UID FETCH with CHANGEDSINCE beside VANISHED"),
        ),
        (
            "a UID FETCH 1 FLAGS (VANISHED)",
            Error::Expected("UID FETCH with CHANGEDSINCE beside VANISHED"),
        ),
        (
            "a LIST (RECURSIVEMATCH) \"\" *",
            Error::Expected("another selection option beside RECURSIVEMATCH"),
        ),
        ("a FETCH 1 BODY[1MIME]", Error::Expected("the end of the section")),
        ("a FETCH 1 BODY[MIME]", Error::Unknown("section")),
        ("a FETCH 1 BODY[]<0.0>", Error::Number),
        ("a FETCH 0 FLAGS", Error::Number),
        ("a FETCH 1 (FLAGS", Error::Expected("a space")),
        ("a FETCH 1 ()", Error::Expected("a FETCH item")),
        ("a FETCH 1 (ALL)", Error::Unknown("FETCH item")),
        ("a STORE 1 FLAGS (\\Recent)", Error::Unknown("flag")),
        ("a STATUS x ()", Error::Expected("a STATUS item")),
        ("a SELECT R&D", Error::MailboxName),
        ("a APPEND x", Error::Expected("a message as literal")),
        ("a CREATE x (USE (\\What))", Error::Unknown("special use")),
        ("a LOGIN", Error::Expected("a space")),
    ] {
        assert_eq!(error(line), expected, "{line}");
    }
    let deep = format!("a SEARCH {}ALL", "NOT ".repeat(1000));
    assert_eq!(error(&deep), Error::Nesting);
    let deep = format!("a SEARCH {}ALL{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(error(&deep), Error::Nesting);
    parse(&format!("a SEARCH {}ALL", "NOT ".repeat(32)));
    let pairs = "\"a\" NIL ".repeat(31);
    assert_eq!(
        error(&format!("a ID ({})", pairs.trim_end())),
        Error::TooMany("ID fields")
    );
}

#[test]
fn mailboxes() {
    check(
        "A932 EXAMINE blurdybloop",
        "Select(Select { mailbox: MailboxName(\"blurdybloop\"), read_only: true, condstore: false, qresync: None })",
    );
    check(
        "A1 SELECT inbox (CONDSTORE)",
        "Select(Select { mailbox: MailboxName(\"INBOX\"), read_only: false, condstore: true, qresync: None })",
    );
    check(
        "t2 CREATE MySpecial (USE (\\Drafts \\Sent))",
        "Create(Create { mailbox: MailboxName(\"MySpecial\"), special_use: [Drafts, Sent] })",
    );
    check("A683 DELETE \"foo/bar\"", "Delete(MailboxName(\"foo/bar\"))");
    check(
        "Z433 RENAME INBOX old-mail",
        "Rename { from: MailboxName(\"INBOX\"), to: MailboxName(\"old-mail\") }",
    );
    check(
        "A42 STATUS blurdybloop (UIDNEXT MESSAGES)",
        "Status { mailbox: MailboxName(\"blurdybloop\"), items: [UidNext, Messages] }",
    );
    check("a SUBSCRIBE Entw&APw-rfe", "Subscribe(MailboxName(\"Entwürfe\"))");
    check(
        "a LSUB \"#news.\" \"comp.mail.*\"",
        "Lsub(Lsub { reference: \"#news.\", pattern: \"comp.mail.*\" })",
    );
    check(
        "A1 LIST \"\" \"*\"",
        "List(List { select: ListSelect { subscribed: false, remote: false, recursive_match: false, special_use: false }, reference: \"\", patterns: [\"*\"], returns: None, extended: false })",
    );
    let Command::List(list) = parse(
        "A04 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" Drafts Sent/%) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))",
    ) else {
        panic!()
    };
    assert!(list.extended && list.select.subscribed && list.select.recursive_match);
    assert_eq!(list.patterns, ["INBOX", "Drafts", "Sent/%"]);
    let returns = list.returns.unwrap();
    assert!(returns.children && !returns.subscribed);
    assert_eq!(returns.status, [StatusItem::Messages, StatusItem::Unseen]);
}

#[test]
fn fetch() {
    let items = |line: &str| match parse(line) {
        Command::Fetch(Fetch { items, .. }) => items,
        other => panic!("{other:?}"),
    };
    use FetchItem as F;
    let section = |peek, part: &[u32], text, partial| F::Section {
        peek,
        section: Section {
            part: part.to_vec(),
            text,
        },
        partial,
    };
    for (line, expected) in [
        ("a FETCH 1 FAST", vec![F::Flags, F::InternalDate, F::Size]),
        ("a FETCH 1:* ALL", vec![F::Flags, F::InternalDate, F::Size, F::Envelope]),
        (
            "a FETCH 1 full",
            vec![F::Flags, F::InternalDate, F::Size, F::Envelope, F::Body],
        ),
        ("a UID FETCH 1 FLAGS", vec![F::Uid, F::Flags]),
        ("a UID FETCH 1 (FLAGS UID)", vec![F::Flags, F::Uid]),
        ("a FETCH 1 (FLAGS) (CHANGEDSINCE 12345)", vec![F::Flags, F::ModSeq]),
        ("a FETCH 1 BODY[]", vec![section(false, &[], SectionText::All, None)]),
        (
            "a FETCH 1 BODY.PEEK[]<0.2048>",
            vec![section(
                true,
                &[],
                SectionText::All,
                Some(Partial { from: 0, count: 2048 }),
            )],
        ),
        (
            "a FETCH 1 BODY[4.2.1]",
            vec![section(false, &[4, 2, 1], SectionText::All, None)],
        ),
        (
            "a FETCH 1 BODY[4.2.2.MIME]",
            vec![section(false, &[4, 2, 2], SectionText::Mime, None)],
        ),
        (
            "a FETCH 1 BODY[3.HEADER]",
            vec![section(false, &[3], SectionText::Header, None)],
        ),
        (
            "a FETCH 1 (BODY[TEXT] RFC822.SIZE)",
            vec![section(false, &[], SectionText::Text, None), F::Size],
        ),
        (
            "a FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
            vec![
                F::Flags,
                section(
                    false,
                    &[],
                    SectionText::HeaderFields {
                        not: false,
                        names: vec!["DATE".to_owned(), "FROM".to_owned()],
                    },
                    None,
                ),
            ],
        ),
        (
            "a FETCH 1 BODY.PEEK[2.header.fields.not (\"to\")]",
            vec![section(
                true,
                &[2],
                SectionText::HeaderFields {
                    not: true,
                    names: vec!["to".to_owned()],
                },
                None,
            )],
        ),
        (
            "a FETCH 1 BINARY[1.2]<5.6>",
            vec![F::Binary {
                peek: false,
                part: vec![1, 2],
                partial: Some(Partial { from: 5, count: 6 }),
            }],
        ),
        (
            "a FETCH 1 (BINARY.PEEK[] BINARY.SIZE[3])",
            vec![
                F::Binary {
                    peek: true,
                    part: vec![],
                    partial: None,
                },
                F::BinarySize(vec![3]),
            ],
        ),
        (
            "a FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT)",
            vec![F::Rfc822, F::Rfc822Header, F::Rfc822Text],
        ),
    ] {
        assert_eq!(items(line), expected, "{line}");
    }
    for bad in [
        "a FETCH 1 BODY.PEEK",
        "a FETCH 1 BODY[HEADER.FIELDS ()]",
        "a FETCH 1 BODY[1.]",
        "a FETCH 1 BINARY[1.MIME]",
        "a FETCH 1 BODY[HEADER.FIELDS (\"a\tb\")]",
    ] {
        error(bad);
    }
}

#[test]
fn search() {
    let search = |line: &str| match parse(line) {
        Command::Search(search) => search,
        other => panic!("{other:?}"),
    };
    use SearchKey as K;
    let Search { keys, returns, uid } =
        search("A282 UID SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"");
    assert!(uid);
    let returns = returns.unwrap();
    assert!(returns.min && returns.count && !returns.max && !returns.all && !returns.save);
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], K::Flag(Flag::Flagged));
    assert!(matches!(keys[1], K::Since(date) if date.to_string() == "1-Feb-1994"));
    assert_eq!(keys[2], K::Not(Box::new(K::From("Smith".to_owned()))));
    assert!(search("A SEARCH RETURN () ALL").returns.unwrap().all);
    assert_eq!(
        search(
            "A284 SEARCH CHARSET UTF-8 TEXT {12}\r\nмать вашу\r\n"
                .trim_end()
                .replace("{12}", "{17}")
                .as_str()
        )
        .keys,
        [K::Text("мать вашу".to_owned())]
    );
    assert_eq!(
        search("a SEARCH OR (UNSEEN 1:2) HEADER X-Y \"\"").keys,
        [K::Or(
            Box::new(K::And(vec![
                K::NotFlag(Flag::Seen),
                K::Sequence(imap::SequenceSet::Ranges(vec![(
                    imap::Bound::Number(1),
                    imap::Bound::Number(2)
                )]))
            ])),
            Box::new(K::Header("X-Y".to_owned(), String::new()))
        )]
    );
    assert_eq!(
        search("a SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338").keys,
        [K::ModSeq(620_162_338)]
    );
    assert_eq!(
        search("a SEARCH $ SMALLER 4096").keys,
        [K::Sequence(imap::SequenceSet::Saved), K::Smaller(4096)]
    );
    assert_eq!(search("a SEARCH KEYWORD $Junk UID 1").keys.len(), 2);
    assert!(search("a SEARCH NOT (OR ALL (SEEN MODSEQ 5))").keys[0].has_modseq());
    for bad in [
        "a SEARCH",
        "a SEARCH ",
        "a SEARCH FROM",
        "a SEARCH ()",
        "a SEARCH SINCE 31-Feb-2000",
        "a SEARCH RETURN (PARTIAL) ALL",
        "a SEARCH \"ALL\"",
    ] {
        error(bad);
    }
}

#[test]
fn store_and_copy() {
    let Command::Store(store) = parse("A003 STORE 2:4 +FLAGS (\\Deleted $Junk)") else {
        panic!()
    };
    assert_eq!(
        (store.action, store.silent, store.uid),
        (StoreAction::Add, false, false)
    );
    assert_eq!(store.flags, [Flag::Deleted, Flag::Keyword("$Junk".to_owned())]);
    let Command::Store(store) = parse("d105 UID STORE 7,5,9 (UNCHANGEDSINCE 320162338) FLAGS.SILENT \\Seen \\Draft")
    else {
        panic!()
    };
    assert_eq!(
        (store.action, store.silent, store.uid, store.unchanged_since),
        (StoreAction::Replace, true, true, Some(320_162_338))
    );
    assert_eq!(store.flags, [Flag::Seen, Flag::Draft]);
    let Command::Store(store) = parse("a STORE 1 -flags ()") else {
        panic!()
    };
    assert!(store.flags.is_empty() && store.action == StoreAction::Remove);
    let Command::Copy(copy) = parse("A003 COPY 2:4 MEETING") else {
        panic!()
    };
    assert_eq!(copy.mailbox.as_str(), "MEETING");
    assert!(matches!(parse("a UID MOVE 42:69 foo"), Command::Move(copy) if copy.uid));
    assert!(matches!(parse("a UID EXPUNGE 3000:3002"), Command::Expunge(Some(_))));
}

fn wire(utf8: bool, write: impl FnOnce(&mut Encoder<'_>)) -> String {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out, utf8));
    String::from_utf8(out).unwrap()
}

#[test]
fn responses() {
    let name = |name: &str| MailboxName::new(name);
    let set: NumberSet = [304, 319, 320].into_iter().collect();
    let to: NumberSet = (3956..=3958).collect();
    for (written, expected) in [
        (
            wire(false, |e| {
                e.tagged("A1", Status::Ok, Some(&Code::ReadWrite), "SELECT completed")
            }),
            "A1 OK [READ-WRITE] SELECT completed\r\n",
        ),
        (
            wire(false, |e| e.tagged("A1", Status::No, None, "evil\r\n* ü")),
            "A1 NO evil  *  \r\n",
        ),
        (wire(true, |e| e.untagged(Status::Bye, None, "grüß")), "* BYE grüß\r\n"),
        (wire(false, |e| e.bad(None, "what?")), "* BAD what?\r\n"),
        (
            wire(false, |e| {
                e.untagged(Status::Ok, Some(&Code::UidValidity(3_857_529_045)), "UIDs valid")
            }),
            "* OK [UIDVALIDITY 3857529045] UIDs valid\r\n",
        ),
        (
            wire(false, |e| {
                e.tagged(
                    "A003",
                    Status::Ok,
                    Some(&Code::CopyUid {
                        validity: 38505,
                        from: &set,
                        to: &to,
                    }),
                    "Done",
                )
            }),
            "A003 OK [COPYUID 38505 304,319:320 3956:3958] Done\r\n",
        ),
        (
            wire(false, |e| {
                e.tagged(
                    "A",
                    Status::Ok,
                    Some(&Code::AppendUid {
                        validity: 38505,
                        uids: &[3955].into_iter().collect(),
                    }),
                    "",
                )
            }),
            "A OK [APPENDUID 38505 3955] OK\r\n",
        ),
        (
            wire(false, |e| {
                e.untagged(
                    Status::Ok,
                    Some(&Code::PermanentFlags {
                        flags: &[Flag::Deleted, Flag::Seen],
                        any: true,
                    }),
                    "Limited",
                )
            }),
            "* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited\r\n",
        ),
        (wire(false, |e| e.exists(172)), "* 172 EXISTS\r\n"),
        (wire(false, |e| e.expunge(4_294_967_295)), "* 4294967295 EXPUNGE\r\n"),
        (wire(false, |e| e.recent(0)), "* 0 RECENT\r\n"),
        (
            wire(false, |e| e.flags(&Flag::SYSTEM)),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n",
        ),
        (
            wire(false, |e| e.capability(&["IMAP4rev1", "IDLE"])),
            "* CAPABILITY IMAP4rev1 IDLE\r\n",
        ),
        (
            wire(false, |e| e.namespace('/', &imap::response::Namespaces::default())),
            "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n",
        ),
        (
            wire(false, |e| e.id(&[("name", Some("Rohrpost")), ("os", None)])),
            "* ID (\"name\" \"Rohrpost\" \"os\" NIL)\r\n",
        ),
        (
            wire(false, |e| {
                e.status(
                    &name("blurdybloop"),
                    &[(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)],
                )
            }),
            "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n",
        ),
        (wire(false, |e| e.search([2, 3, 6], None)), "* SEARCH 2 3 6\r\n"),
        (wire(false, |e| e.search([], None)), "* SEARCH\r\n"),
        (
            wire(false, |e| e.search([2], Some(917_162_500))),
            "* SEARCH 2 (MODSEQ 917162500)\r\n",
        ),
        (
            wire(false, |e| {
                e.esearch(&Esearch {
                    tag: "A283",
                    uid: true,
                    min: Some(2),
                    max: Some(9),
                    all: Some(&set),
                    count: Some(3),
                    modseq: Some(7),
                    ..Esearch::default()
                })
            }),
            "* ESEARCH (TAG \"A283\") UID MIN 2 MAX 9 ALL 304,319:320 COUNT 3 MODSEQ 7\r\n",
        ),
        (
            wire(false, |e| {
                e.esearch(&Esearch {
                    tag: "A",
                    ..Esearch::default()
                })
            }),
            "* ESEARCH (TAG \"A\")\r\n",
        ),
        (wire(false, |e| e.challenge(b"\0a")), "+ AGE=\r\n"),
        (wire(false, |e| e.continuation("idling")), "+ idling\r\n"),
    ] {
        assert_eq!(written, expected);
    }
    let entwuerfe = name("Entwürfe");
    let (quoted, foo, nil) = (name("a b\""), name("Foo"), name("NIL"));
    let response = |mailbox| ListResponse {
        attributes: &[Attribute::HasNoChildren, Attribute::Use(SpecialUse::Drafts)],
        separator: Some('/'),
        mailbox,
        child_subscribed: false,
        old_name: None,
    };
    assert_eq!(
        wire(false, |e| e.list(&response(&entwuerfe))),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" Entw&APw-rfe\r\n"
    );
    assert_eq!(
        wire(true, |e| e.list(&response(&entwuerfe))),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entwürfe\"\r\n"
    );
    assert_eq!(
        wire(false, |e| e.lsub(&response(&quoted))),
        "* LSUB (\\HasNoChildren \\Drafts) \"/\" \"a b\\\"\"\r\n"
    );
    assert_eq!(
        wire(false, |e| e.list(&ListResponse {
            child_subscribed: true,
            ..response(&foo)
        })),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
    );
    assert_eq!(
        wire(false, |e| e.list(&response(&nil))),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" \"NIL\"\r\n"
    );
}

#[test]
fn fetch_response() {
    let mut out = Vec::new();
    let mut fetch = FetchResponse::begin(&mut out, 23);
    assert!(fetch.is_empty());
    fetch.uid(&mut out, 4827);
    fetch.flags(&mut out, ["\\Seen", "$Junk"]);
    fetch.modseq(&mut out, 65402);
    fetch.size(&mut out, 44827);
    fetch.internal_date(
        &mut out,
        DateTime {
            seconds: 837_596_665,
            offset: -420,
        },
    );
    fetch.item(&mut out, "ENVELOPE");
    out.extend_from_slice(b"NIL");
    let section = Section {
        part: vec![1],
        text: SectionText::HeaderFields {
            not: false,
            names: vec!["DATE".to_owned(), "(".to_owned()],
        },
    };
    fetch.section(&mut out, &section, Some(Partial { from: 0, count: 9 }), Some(2));
    out.extend_from_slice(b"ab");
    fetch.section(
        &mut out,
        &Section {
            part: vec![],
            text: SectionText::All,
        },
        None,
        None,
    );
    fetch.binary(&mut out, &vec![2, 1], None, Some(1), true);
    out.push(0);
    fetch.binary_size(&mut out, &vec![2], 5);
    fetch.rfc822(&mut out, "RFC822.TEXT", 0);
    fetch.end(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "* 23 FETCH (UID 4827 FLAGS (\\Seen $Junk) MODSEQ (65402) RFC822.SIZE 44827 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" \
         ENVELOPE NIL BODY[1.HEADER.FIELDS (DATE \"(\")]<0> {2}\r\nab BODY[] NIL BINARY[2.1] ~{1}\r\n\0 BINARY.SIZE[2] 5 RFC822.TEXT {0}\r\n)\r\n"
    );
}
