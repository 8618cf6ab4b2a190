//! Examples of the extensions' RFCs, one test a standard: commands as they are understood, responses as they are written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::command::FetchItem;
use imap::command::{Notify, NotifyMailboxes, SearchKey, StatusItem};
use imap::response::{Code, Encoder, FetchResponse, Status};
use imap::{Command, DateTime, Limits, MailboxName, NumberSet, ObjectKind, Request, uses_sequence_numbers};

fn parse(line: &str) -> Command {
    match Request::parse(line.as_bytes(), false, &Limits::default()) {
        Ok(request) => request.command,
        Err(refused) => panic!("{line}: {refused:?}"),
    }
}

fn fails(line: &str) {
    assert!(
        Request::parse(line.as_bytes(), false, &Limits::default()).is_err(),
        "{line}"
    );
}

/// What is written.
fn written(write: impl FnOnce(&mut Encoder<'_>)) -> String {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out, false));
    String::from_utf8(out).unwrap()
}

fn code(code: &Code<'_>) -> String {
    let line = written(|e| e.untagged(Status::Ok, Some(code), "x"));
    line.trim_start_matches("* OK [").trim_end_matches("] x\r\n").to_owned()
}

fn set(ranges: &[(u32, u32)]) -> NumberSet {
    NumberSet::from_ranges(ranges.iter().copied())
}

/// RFC 7162 §3.2.
#[test]
fn qresync() {
    let Command::Select(select) = parse("A03 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))")
    else {
        panic!()
    };
    let qresync = select.qresync.unwrap();
    assert_eq!(
        (qresync.uid_validity, qresync.modseq),
        (67_890_007, 90_060_115_194_045_000)
    );
    assert_eq!(qresync.known.unwrap().to_string(), "41:211,214:541");
    assert_eq!(qresync.matched, None);
    let line = "A04 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500,9000,9990:9999 15000,22500,27000,29970,29973,29976,29979,29982,29985,29988,29991,29994,29997)))";
    let Command::Select(select) = parse(line) else { panic!() };
    let (numbers, uids) = select.qresync.unwrap().matched.unwrap();
    assert_eq!(numbers.to_string(), "5000,7500,9000,9990:9999");
    assert!(uids.to_string().ends_with("29994,29997"));
    let Command::Select(select) = parse("B04 SELECT MyMailbox (QRESYNC (67890007 90060115194045000) CONDSTORE)") else {
        panic!()
    };
    assert!(select.condstore && select.qresync.unwrap().known.is_none());
    let Command::Select(select) = parse("B EXAMINE x (QRESYNC (1 2 (3 4)))") else {
        panic!()
    };
    assert!(select.read_only && select.qresync.unwrap().matched.is_some());
    for bad in [
        "a SELECT x (QRESYNC)",
        "a SELECT x (QRESYNC (1))",
        "a SELECT x (QRESYNC (1 2 ))",
        "a SELECT x (QRESYNC (1 2 3 4))",
        "a SELECT x (QRESYNC (1 2 (3)))",
        "a SELECT x (QRESYNC (1 2 (3 4)) ",
        "a SELECT x (QRESYNC (1 2 $))",
    ] {
        fails(bad);
    }
    let Command::Fetch(fetch) = parse("s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)") else {
        panic!()
    };
    assert!(fetch.vanished && fetch.changed_since == Some(12345) && fetch.items.contains(&FetchItem::ModSeq));
    assert_eq!(
        written(|e| e.vanished(false, &set(&[(405, 405), (407, 407), (410, 410), (425, 425)]))),
        "* VANISHED 405,407,410,425\r\n"
    );
    assert_eq!(
        written(|e| e.vanished(true, &set(&[(300, 310), (405, 405), (411, 411)]))),
        "* VANISHED (EARLIER) 300:310,405,411\r\n"
    );
    assert_eq!(written(|e| e.vanished(true, &set(&[]))), "");
}

/// RFC 9586.
#[test]
fn uidonly() {
    let mut out = Vec::new();
    let mut fetch = FetchResponse::begin_uid(&mut out, 25_997);
    fetch.flags(&mut out, ["\\Flagged", "\\Answered"]);
    fetch.end(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "* 25997 UIDFETCH (FLAGS (\\Flagged \\Answered))\r\n"
    );
    assert_eq!(code(&Code::UidRequired), "UIDREQUIRED");
    for line in [
        "a FETCH 1 FLAGS",
        "a STORE 1 FLAGS (x)",
        "a COPY 1 x",
        "a MOVE 1 x",
        "a SEARCH ALL",
        "a UID SEARCH NOT 1:*",
        "a UID SEARCH OR SEEN (ANSWERED 5)",
        "a SELECT x (QRESYNC (1 2 3 (4 5)))",
    ] {
        assert!(uses_sequence_numbers(&parse(line)), "{line}");
    }
    for line in [
        "a UID FETCH 1 FLAGS",
        "a UID STORE 1 FLAGS (x)",
        "a UID COPY 1 x",
        "a UID MOVE 1 x",
        "a UID SEARCH UID 1:*",
        "a UID SEARCH $",
        "a UID EXPUNGE 1",
        "a EXPUNGE",
        "a SELECT x (QRESYNC (1 2 3))",
    ] {
        assert!(!uses_sequence_numbers(&parse(line)), "{line}");
    }
}

/// RFC 4978.
#[test]
fn compress() {
    assert_eq!(parse("d COMPRESS deflate"), Command::Compress("DEFLATE".to_owned()));
    fails("d COMPRESS");
    fails("d COMPRESS DEFLATE x");
    assert_eq!(code(&Code::CompressionActive), "COMPRESSIONACTIVE");
}

/// RFC 8437.
#[test]
fn unauthenticate() {
    assert_eq!(parse("b UNAUTHENTICATE"), Command::Unauthenticate);
    fails("b UNAUTHENTICATE now");
}

/// The items of a FETCH.
fn items(line: &str) -> Vec<FetchItem> {
    let Command::Fetch(fetch) = parse(line) else {
        panic!("{line}")
    };
    fetch.items
}

fn keys(line: &str) -> Vec<SearchKey> {
    let Command::Search(search) = parse(line) else {
        panic!("{line}")
    };
    search.keys
}

/// What an item of FETCH looks like.
fn item(write: impl FnOnce(&mut FetchResponse, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    let mut fetch = FetchResponse::begin(&mut out, 1);
    write(&mut fetch, &mut out);
    fetch.end(&mut out);
    String::from_utf8(out).unwrap()
}

/// RFC 8474.
#[test]
fn objectid() {
    assert_eq!(
        items("22 fetch 1:* (emailid threadid)"),
        [FetchItem::EmailId, FetchItem::ThreadId]
    );
    assert_eq!(
        keys("27 search emailid M6d99ac3275bb4e"),
        [SearchKey::EmailId("M6d99ac3275bb4e".to_owned())]
    );
    assert_eq!(
        keys("28 search threadid T64b478a75b7ea9"),
        [SearchKey::ThreadId("T64b478a75b7ea9".to_owned())]
    );
    fails("28 search threadid \"T64b478a75b7ea9\"");
    let Command::Status { items, .. } = parse("6 status foo (mailboxid)") else {
        panic!()
    };
    assert_eq!(items, [StatusItem::MailboxId]);
    let line = written(|e| e.status(&MailboxName::new("foo"), &[(StatusItem::MailboxId, 0x1_0000_0007)]));
    assert_eq!(line, "* STATUS foo (MAILBOXID (F100000007))\r\n");
    assert_eq!(code(&Code::MailboxId(26)), "MAILBOXID (F1a)");
    assert_eq!(
        item(|f, out| f.object_id(out, "EMAILID", Some("M00000001"))),
        "* 1 FETCH (EMAILID (M00000001))\r\n"
    );
    assert_eq!(
        item(|f, out| f.object_id(out, "THREADID", None)),
        "* 1 FETCH (THREADID NIL)\r\n"
    );
    for kind in [ObjectKind::Mailbox, ObjectKind::Email, ObjectKind::Thread] {
        for number in [0, 1, 0x1_0000_0001, u64::MAX] {
            assert_eq!(kind.read(&kind.write(number)), Some(number));
        }
        assert_eq!(
            (kind.read("X1"), kind.read(""), kind.read("M+1"), kind.read("M01")),
            (None, None, None, None)
        );
    }
}

/// RFC 8514.
#[test]
fn savedate() {
    assert_eq!(items("A101 FETCH 998 (SAVEDATE)"), [FetchItem::SaveDate]);
    assert!(matches!(
        keys("A SEARCH SAVEDBEFORE 20-Nov-2017")[..],
        [SearchKey::SavedBefore(_)]
    ));
    assert!(matches!(
        keys("A SEARCH SAVEDON 20-Nov-2017")[..],
        [SearchKey::SavedOn(_)]
    ));
    assert!(matches!(
        keys("A SEARCH SAVEDSINCE 20-Nov-2017")[..],
        [SearchKey::SavedSince(_)]
    ));
    assert_eq!(keys("A102 SEARCH SAVEDATESUPPORTED"), [SearchKey::SaveDateSupported]);
    let date = DateTime::utc(1_420_134_653);
    assert_eq!(
        item(|f, out| f.save_date(out, Some(date))),
        "* 1 FETCH (SAVEDATE \" 1-Jan-2015 17:50:53 +0000\")\r\n"
    );
    assert_eq!(item(|f, out| f.save_date(out, None)), "* 1 FETCH (SAVEDATE NIL)\r\n");
}

/// RFC 8970.
#[test]
fn preview() {
    assert_eq!(
        items("A2 FETCH 1 (RFC822.SIZE PREVIEW)"),
        [FetchItem::Size, FetchItem::Preview { lazy: false }]
    );
    assert_eq!(
        items("B1 FETCH 1:4 (ENVELOPE PREVIEW (LAZY))"),
        [FetchItem::Envelope, FetchItem::Preview { lazy: true }]
    );
    let Command::Fetch(fetch) = parse("B1 FETCH 1:4 PREVIEW (LAZY) (CHANGEDSINCE 5)") else {
        panic!()
    };
    assert_eq!(
        (fetch.changed_since, fetch.items[0].clone()),
        (Some(5), FetchItem::Preview { lazy: true })
    );
    let Command::Fetch(fetch) = parse("B1 FETCH 1:4 PREVIEW (CHANGEDSINCE 5)") else {
        panic!()
    };
    assert_eq!(fetch.changed_since, Some(5));
    fails("B1 FETCH 1:4 (PREVIEW (HASTY))");
    assert_eq!(
        item(|f, out| f.preview(out, Some("Preview text for message 1."), false)),
        "* 1 FETCH (PREVIEW \"Preview text for message 1.\")\r\n"
    );
    assert_eq!(
        item(|f, out| f.preview(out, Some(""), false)),
        "* 1 FETCH (PREVIEW \"\")\r\n"
    );
    assert_eq!(
        item(|f, out| f.preview(out, None, false)),
        "* 1 FETCH (PREVIEW NIL)\r\n"
    );
}

#[test]
fn rfc4467_urlauth() {
    let url = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=anonymous";
    assert_eq!(
        parse(&format!("a777 GENURLAUTH \"{url}\" INTERNAL")),
        Command::GenUrlAuth(vec![(url.into(), "INTERNAL".into())])
    );
    assert_eq!(
        parse("a778 URLFETCH a \"b\""),
        Command::UrlFetch(vec!["a".into(), "b".into()])
    );
    assert!(matches!(parse("a775 RESETKEY"), Command::ResetKey(reset) if reset.mailbox.is_none()));
    assert!(
        matches!(parse("a776 RESETKEY INBOX INTERNAL xsample"), Command::ResetKey(reset)
            if reset.mailbox == Some(MailboxName::new("INBOX")) && reset.mechanisms == ["INTERNAL", "XSAMPLE"])
    );
    for line in [
        "a GENURLAUTH",
        "a GENURLAUTH x",
        "a URLFETCH",
        "a RESETKEY ",
        "a GENURLAUTH x INTERNAL y",
    ] {
        fails(line);
    }
    let signed = format!("{url}:internal:91354a473744909de610943775f92038");
    assert_eq!(
        written(|e| e.gen_url_auth(std::slice::from_ref(&signed))),
        format!("* GENURLAUTH \"{signed}\"\r\n")
    );
    assert_eq!(
        written(|e| e.url_fetch_nil(&signed)),
        format!("* URLFETCH {signed} NIL\r\n")
    );
    assert_eq!(
        written(|e| e.url_fetch(&signed, 28)),
        format!("* URLFETCH {signed} {{28}}\r\n")
    );
    assert_eq!(code(&Code::UrlMech("INTERNAL")), "URLMECH INTERNAL");
}

/// RFC 9585.
#[test]
fn inprogress() {
    for (progress, expected) in [
        (Some(("A001", Some(454), Some(1000))), "INPROGRESS (\"A001\" 454 1000)"),
        (Some(("A001", Some(999), None)), "INPROGRESS (\"A001\" 999 NIL)"),
        (None, "INPROGRESS"),
    ] {
        assert_eq!(code(&Code::InProgress(progress)), expected);
    }
}

/// RFC 9738.
#[test]
fn messagelimit() {
    assert_eq!(
        code(&Code::MessageLimit {
            most: 1000,
            lowest: Some(23_221)
        }),
        "MESSAGELIMIT 1000 23221"
    );
    assert_eq!(
        code(&Code::MessageLimit {
            most: 1000,
            lowest: None
        }),
        "MESSAGELIMIT 1000"
    );
}

/// RFC 5465.
#[test]
fn notify() {
    assert_eq!(parse("a NOTIFY NONE"), Command::Notify(Notify::None));
    let line = "b notify set status (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) (subtree Lists (MessageNew MessageExpunge))";
    let Command::Notify(Notify::Set { status, groups }) = parse(line) else {
        panic!()
    };
    assert!(status);
    assert_eq!(groups[0].mailboxes, NotifyMailboxes::Selected);
    assert_eq!(groups[0].events.fetch.len(), 2);
    assert_eq!(
        groups[1].mailboxes,
        NotifyMailboxes::Subtree(vec![MailboxName::new("Lists")])
    );
    let line = "a notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))";
    let Command::Notify(Notify::Set { groups, .. }) = parse(line) else {
        panic!()
    };
    assert!(groups[0].events.message_expunge && groups[1].events.subscription_change);
    let line =
        "a notify set (selected-delayed NONE) (subtree (a b) (MessageNew FlagChange MessageExpunge MailboxName))";
    let Command::Notify(Notify::Set { groups, .. }) = parse(line) else {
        panic!()
    };
    assert!(!groups[0].events.messages() && groups[1].events.flag_change);
    let Command::Notify(Notify::Set { groups, .. }) = parse("a notify set (inboxes (AnnotationChange))") else {
        panic!()
    };
    assert!(groups[0].events.unknown);
    for bad in [
        "a NOTIFY",
        "a NOTIFY SET",
        "a NOTIFY SET (selected (MessageNew))",
        "a NOTIFY SET (selected (FlagChange))",
        "a NOTIFY SET (selected (MailboxName))",
        "a NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "a NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "a NOTIFY SET (whatever NONE)",
        "a NOTIFY SET (subtree () NONE)",
    ] {
        fails(bad);
    }
    assert_eq!(
        code(&Code::BadEvent),
        "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)"
    );
}

#[test]
fn rfc9394_partial_fetch() {
    let Command::Fetch(fetch) = parse("10 UID FETCH 25900:26600 (FLAGS) (PARTIAL -1:-3)") else {
        panic!("no FETCH");
    };
    let partial = fetch.partial.unwrap();
    assert_eq!((partial.from, partial.to, partial.backwards), (1, 3, true));
    assert!(
        matches!(parse("10 UID FETCH 1:* FLAGS (CHANGEDSINCE 5 PARTIAL 1:10)"), Command::Fetch(f) if f.changed_since == Some(5))
    );
    fails("10 FETCH 1:* FLAGS (PARTIAL 1:10)");
    fails("10 UID FETCH 1:* FLAGS (PARTIAL 0:10)");
    fails("10 UID FETCH 1:* FLAGS (PARTIAL 1:-10)");
}
