//! Examples of the extensions' RFCs, one test a standard: commands as they are understood, responses as they are written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::command::FetchItem;
use imap::response::{Code, Encoder, FetchResponse, Status};
use imap::{Command, Limits, NumberSet, Request, uses_sequence_numbers};

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
