//! Results that are kept up to date: the examples of RFC 5267 §4 and RFC 5465 §7.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::command::{FetchItem, SearchReturn};
use imap::response::{Code, Encoder, EsearchUpdate, Status};
use imap::{Command, Error, Limits, Request, State};

fn parse(line: &str) -> Result<Command, Error> {
    let request = Request::parse(line.as_bytes(), false, &Limits::default());
    request.map(|r| r.command).map_err(|refused| refused.error)
}

fn returns(line: &str) -> SearchReturn {
    match parse(line) {
        Ok(Command::Search(search)) => search.returns.unwrap(),
        Ok(Command::Sort(sort)) => sort.returns.unwrap(),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn asked_for() {
    let nothing = SearchReturn::default();
    let update = Some(Vec::new());
    for (line, expected) in [
        (
            "A01 SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk",
            SearchReturn {
                context: true,
                count: true,
                ..nothing.clone()
            },
        ),
        (
            "B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk",
            SearchReturn {
                update: update.clone(),
                count: true,
                ..nothing.clone()
            },
        ),
        (
            "B02 UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 KEYWORD $Junk",
            SearchReturn {
                update: update.clone(),
                count: true,
                ..nothing.clone()
            },
        ),
        // Who only asks for updates needs to know what they are updates of.
        (
            "B01 SEARCH RETURN (UPDATE) FLAGGED",
            SearchReturn {
                update,
                all: true,
                ..nothing.clone()
            },
        ),
    ] {
        assert_eq!(returns(line), expected, "{line}");
    }
    for line in [
        "a00 SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO FROM SUBJECT)])) FROM \"boss\"",
        "a00 SEARCH RETURN (UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO FROM SUBJECT)]) COUNT) FROM \"boss\"",
    ] {
        let items = returns(line).update.unwrap();
        assert!(
            matches!(&items[..], [FetchItem::Uid, FetchItem::Section { peek: true, .. }]),
            "{items:?}"
        );
    }
}

#[test]
fn cancelled() {
    for (line, tags) in [
        ("B04 CANCELUPDATE \"B01\"", &["B01"][..]),
        ("B04 cancelupdate \"B01\" \"a \\\"b\"", &["B01", "a \"b"]),
    ] {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        assert_eq!(parse(line), Ok(Command::CancelUpdate(tags)), "{line}");
    }
    for (line, expected) in [
        ("a CANCELUPDATE", Error::Expected("a space")),
        ("a CANCELUPDATE B01", Error::Expected("a string")),
        ("a CANCELUPDATE \"B01\" B02", Error::Expected("a string")),
    ] {
        assert_eq!(parse(line), Err(expected), "{line}");
    }
    let many = format!("a CANCELUPDATE{}", " \"x\"".repeat(1001));
    assert_eq!(parse(&many), Err(Error::TooMany("tags")));
    let cancel = parse("B04 CANCELUPDATE \"B01\"").unwrap();
    assert!(State::Authenticated.check(&cancel).is_err());
    assert!(State::Selected { read_only: true }.check(&cancel).is_ok());
}

#[test]
fn told() {
    let check = |expected: &str, write: &dyn Fn(&mut Encoder<'_>)| {
        let mut out = Vec::new();
        write(&mut Encoder::new(&mut out, false));
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\r\n"));
    };
    let update = |tag: &'static str| EsearchUpdate {
        tag,
        uid: true,
        ..EsearchUpdate::default()
    };
    check("* NO [NOUPDATE \"B02\"] Too many contexts", &|e| {
        e.untagged(Status::No, Some(&Code::NoUpdate("B02")), "Too many contexts");
    });
    check("* ESEARCH (TAG \"B01\") UID ADDTO (0 32768:32769)", &|e| {
        e.esearch_update(&EsearchUpdate {
            added: &[(0, vec![32_768, 32_769])],
            ..update("B01")
        });
    });
    check("* ESEARCH (TAG \"C01\") UID ADDTO (1 2733 1 2732 1 2731)", &|e| {
        e.esearch_update(&EsearchUpdate {
            added: &[(1, vec![2733]), (1, vec![2732]), (1, vec![2731])],
            ..update("C01")
        });
    });
    check("* ESEARCH (TAG \"C01\") UID ADDTO (1 2731:2733)", &|e| {
        e.esearch_update(&EsearchUpdate {
            added: &[(1, vec![2731, 2732, 2733])],
            ..update("C01")
        });
    });
    check("* ESEARCH (TAG \"B01\") UID REMOVEFROM (0 32768)", &|e| {
        e.esearch_update(&EsearchUpdate {
            removed: &[(0, vec![32_768])],
            ..update("B01")
        });
    });
    check("* ESEARCH (TAG \"a00\") ADDTO (0 93)", &|e| {
        e.esearch_update(&EsearchUpdate {
            uid: false,
            added: &[(0, vec![93])],
            ..update("a00")
        });
    });
    // In the order of a SORT: only what ascends is a range.
    check(
        "* ESEARCH (TAG \"D01\") UID REMOVEFROM (3 9,8) ADDTO (1 5:7,2 6 1)",
        &|e| {
            e.esearch_update(&EsearchUpdate {
                removed: &[(3, vec![9, 8])],
                added: &[(1, vec![5, 6, 7, 2]), (6, vec![1])],
                ..update("D01")
            });
        },
    );
}

/// With UIDONLY (RFC 9586 §3), no command that looks for messages may count them.
#[test]
fn without_numbers() {
    for (line, counts) in [
        ("a UID SORT (DATE) UTF-8 ALL", false),
        ("a SORT (DATE) UTF-8 ALL", true),
        ("a UID SORT (DATE) UTF-8 1:5", true),
        ("a UID THREAD REFERENCES UTF-8 NOT 3", true),
        ("a THREAD REFERENCES UTF-8 ALL", true),
        ("a UID THREAD REFERENCES UTF-8 ALL", false),
        ("a UID SEARCH OR 1 SEEN", true),
        ("a ESEARCH 1:5", true),
        ("a ESEARCH UID 1:5", false),
    ] {
        assert_eq!(imap::uses_sequence_numbers(&parse(line).unwrap()), counts, "{line}");
    }
}

/// RFC 5182 §2.1: it must be known of a search that fails whether its result was to be kept.
#[test]
fn kept() {
    for (line, saves) in [
        ("a SEARCH RETURN (SAVE COUNT) ALL", true),
        ("a UID SORT RETURN (SAVE) (DATE) UTF-8 ALL", true),
        ("a ESEARCH RETURN (SAVE) ALL", true),
        ("a SEARCH RETURN (COUNT) ALL", false),
        ("a SEARCH ALL", false),
        ("a NOOP", false),
    ] {
        assert_eq!(imap::saves_result(&parse(line).unwrap()), saves, "{line}");
    }
    for (line, saves) in [
        ("a SEARCH RETURN (SAVE) CHARSET KOI8-R ALL", true),
        ("a SORT RETURN (COUNT) (DATE) KOI8-R ALL", false),
    ] {
        let refused = Request::parse(line.as_bytes(), false, &Limits::default()).unwrap_err();
        assert_eq!((refused.error, refused.saves), (Error::Charset, saves), "{line}");
    }
}
