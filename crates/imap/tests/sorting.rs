//! SORT, THREAD, ESEARCH and what RETURN can ask for: the examples of RFC 5256, 5267, 5957, 6203, 7377 and 9394.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::command::{PartialRange, SearchKey, SortKey, Source};
use imap::response::{Correlator, Encoder, Esearch, Partials};
use imap::thread::Algorithm;
use imap::{Command, Error, Limits, MailboxName, NumberSet, Request};

fn parse(line: &str) -> Result<Command, Error> {
    let request = Request::parse(line.as_bytes(), false, &Limits::default());
    request.map(|r| r.command).map_err(|refused| refused.error)
}

#[test]
fn sort() {
    for (line, uid, criteria, keys) in [
        (
            "A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994",
            false,
            vec![(false, SortKey::Subject)],
            1,
        ),
        (
            "A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
            false,
            vec![(false, SortKey::Subject), (true, SortKey::Date)],
            1,
        ),
        (
            "A284 sort (subject) us-ascii TEXT \"not in mailbox\"",
            false,
            vec![(false, SortKey::Subject)],
            1,
        ),
        (
            "a UID SORT (ARRIVAL CC FROM SIZE TO) UTF-8 1:* UNSEEN",
            true,
            vec![
                (false, SortKey::Arrival),
                (false, SortKey::Cc),
                (false, SortKey::From),
                (false, SortKey::Size),
                (false, SortKey::To),
            ],
            2,
        ),
        (
            "a SORT (REVERSE DISPLAYFROM DISPLAYTO) \"UTF-8\" ALL",
            false,
            vec![(true, SortKey::DisplayFrom), (false, SortKey::DisplayTo)],
            1,
        ),
        (
            "C1 SORT (RELEVANCY) UTF-8 FUZZY SUBJECT \"Helo\"",
            false,
            vec![(false, SortKey::Relevancy)],
            1,
        ),
    ] {
        let Ok(Command::Sort(sort)) = parse(line) else {
            panic!("{line}")
        };
        let found: Vec<_> = sort.criteria.iter().map(|c| (c.reverse, c.key)).collect();
        assert_eq!((sort.uid, found, sort.keys.len()), (uid, criteria, keys), "{line}");
        assert!(sort.returns.is_none());
    }
    let Ok(Command::Sort(sort)) = parse("E01 UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk") else {
        panic!()
    };
    assert!(sort.returns.unwrap().all && sort.keys.len() == 2);
    let Ok(Command::Sort(sort)) = parse("C3 SORT RETURN (PARTIAL 1:10) (RELEVANCY) UTF-8 FUZZY TEXT \"Helo\"") else {
        panic!()
    };
    assert_eq!(sort.returns.unwrap().partial.unwrap().to_string(), "1:10");
    for (line, expected) in [
        ("a SORT (SUBJECT) KOI8-R ALL", Error::Charset),
        ("a SORT (SUBJECT) ALL", Error::Charset),
        ("a SORT () UTF-8 ALL", Error::Expected("a sort key")),
        ("a SORT (COLOUR) UTF-8 ALL", Error::Unknown("sort key")),
        ("a SORT (SUBJECT) UTF-8", Error::Expected("a space")),
        ("a THREAD JWZ UTF-8 ALL", Error::Unknown("threading algorithm")),
        (
            "a SEARCH RETURN (PARTIAL 1:10 ALL) ALL",
            Error::Expected("ALL or PARTIAL, not both"),
        ),
        (
            "a SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL",
            Error::Expected("PARTIAL only once"),
        ),
        (
            "a SEARCH RETURN (PARTIAL 1:-3) ALL",
            Error::Expected("both ends of the range counted from the same side"),
        ),
        ("a SEARCH RETURN (PARTIAL 0:3) ALL", Error::Number),
    ] {
        assert_eq!(parse(line), Err(expected), "{line}");
    }
    let many = format!("a SORT ({}) UTF-8 ALL", ["DATE"; 33].join(" "));
    assert_eq!(parse(&many), Err(Error::TooMany("sort criteria")));
    let many = format!("a SEARCH{}", " SEEN".repeat(1001));
    assert_eq!(parse(&many), Err(Error::TooMany("search keys")));
    let many = format!(
        "a SEARCH ({}SEEN)",
        "OR SEEN (UNSEEN ".repeat(12) + &"DRAFT ".repeat(2000)
    );
    assert_eq!(parse(&many), Err(Error::TooMany("search keys")));
}

#[test]
fn thread() {
    for (line, uid, algorithm) in [
        (
            "A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000",
            false,
            Algorithm::OrderedSubject,
        ),
        (
            "A284 THREAD ORDEREDSUBJECT US-ASCII TEXT \"gewp\"",
            false,
            Algorithm::OrderedSubject,
        ),
        (
            "A285 UID THREAD REFERENCES UTF-8 SINCE 5-MAR-2000",
            true,
            Algorithm::References,
        ),
        ("a THREAD refs UTF-8 ALL", false, Algorithm::Refs),
    ] {
        let Ok(Command::Thread(thread)) = parse(line) else {
            panic!("{line}")
        };
        assert_eq!((thread.uid, thread.algorithm), (uid, algorithm), "{line}");
    }
}

#[test]
fn returns_and_fuzzy() {
    for (line, from, to, backwards) in [
        ("A01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED", 1, 100, true),
        (
            "A02 UID SEARCH RETURN (PARTIAL 23500:24000) UNDELETED",
            23_500,
            24_000,
            false,
        ),
        ("A02 UID SEARCH RETURN (PARTIAL 5:2) UNDELETED", 2, 5, false),
    ] {
        let Ok(Command::Search(search)) = parse(line) else {
            panic!("{line}")
        };
        let range = search.returns.unwrap().partial.unwrap();
        assert_eq!((range.from, range.to, range.backwards), (from, to, backwards));
    }
    for (from, to, backwards, len, expected) in [
        (1, 3, false, 10, 0..3),
        (9, 20, false, 10, 8..10),
        (11, 20, false, 10, 10..10),
        (1, 3, true, 10, 7..10),
        (9, 20, true, 10, 0..2),
        (11, 20, true, 10, 0..0),
        (1, 1, true, 0, 0..0),
        (u32::MAX, u32::MAX, false, 3, 3..3),
    ] {
        let range = PartialRange { from, to, backwards };
        assert_eq!(range.of(len), expected, "{range} of {len}");
    }
    let Ok(Command::Search(search)) = parse("A01 SEARCH RETURN (CONTEXT COUNT) UNDELETED") else {
        panic!()
    };
    let returns = search.returns.unwrap();
    assert!(returns.context && returns.count && !returns.all);
    let Ok(Command::Search(search)) = parse("A2 SEARCH FUZZY SUBJECT work FROM user@example.com") else {
        panic!()
    };
    assert!(
        matches!(&search.keys[0], SearchKey::Fuzzy(key) if matches!(&**key, SearchKey::Subject(text) if text == "work"))
    );
    assert!(search.keys[0].has_fuzzy() && !search.keys[1].has_fuzzy());
    let Ok(Command::Search(search)) = parse("A1 SEARCH FUZZY (SUBJECT \"IMAP break\")") else {
        panic!()
    };
    assert!(search.keys[0].has_fuzzy());
}

#[test]
fn several_mailboxes() {
    let name = |text: &str| MailboxName::new(text);
    for (line, sources) in [
        (
            "tag1 ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") unseen",
            vec![
                Source::Mailboxes(vec![name("folder1")]),
                Source::Subtree(vec![name("folder2")]),
            ],
        ),
        (
            "tag2 ESEARCH IN (mailboxes \"folder1\" subtree-one \"folder2\") subject \"chad\"",
            vec![
                Source::Mailboxes(vec![name("folder1")]),
                Source::SubtreeOne(vec![name("folder2")]),
            ],
        ),
        (
            "t ESEARCH IN (selected personal subscribed inboxes MAILBOXES (a b)) RETURN (COUNT) ALL",
            vec![
                Source::Selected,
                Source::Personal,
                Source::Subscribed,
                Source::Inboxes,
                Source::Mailboxes(vec![name("a"), name("b")]),
            ],
        ),
        ("t ESEARCH ALL", vec![]),
    ] {
        let Ok(Command::MultiSearch(search)) = parse(line) else {
            panic!("{line}")
        };
        assert_eq!(search.sources, sources, "{line}");
        assert!(search.search.uid);
    }
    for (line, expected) in [
        ("t ESEARCH IN () ALL", Error::Expected("which mailboxes")),
        ("t ESEARCH IN (nowhere) ALL", Error::Unknown("kind of mailboxes")),
        ("t ESEARCH IN (personal (deep)) ALL", Error::Unknown("scope option")),
    ] {
        assert_eq!(parse(line), Err(expected), "{line}");
    }
}

#[test]
fn responses() {
    let check = |expected: &str, write: &dyn Fn(&mut Encoder<'_>)| {
        let mut out = Vec::new();
        write(&mut Encoder::new(&mut out, false));
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\r\n"));
    };
    check("* SORT 5 3 4 1 2", &|e| e.sort([5, 3, 4, 1, 2]));
    check("* SORT", &|e| e.sort([]));
    let esearch = |tag: &'static str| Esearch {
        tag,
        ..Esearch::default()
    };
    let sorted = [5, 10, 1, 2, 3, 9, 8];
    check(
        "* ESEARCH (TAG \"C2\") ALL 5,10,1:3,9,8 RELEVANCY (99 42 4 3 2 1 1)",
        &|e| {
            e.esearch(&Esearch {
                sorted: Some(&sorted),
                relevancy: Some(&[99, 42, 4, 3, 2, 1, 1]),
                ..esearch("C2")
            });
        },
    );
    let range = |from, to, backwards| PartialRange { from, to, backwards };
    check("* ESEARCH (TAG \"A04\") UID PARTIAL (24000:24500 NIL)", &|e| {
        e.esearch(&Esearch {
            uid: true,
            partial: Some(Partials {
                range: range(24_000, 24_500, false),
                numbers: &[],
            }),
            ..esearch("A04")
        });
    });
    check("* ESEARCH (TAG \"A01\") UID PARTIAL (-1:-100 4:6,8)", &|e| {
        e.esearch(&Esearch {
            uid: true,
            partial: Some(Partials {
                range: range(1, 100, true),
                numbers: &[4, 5, 6, 8],
            }),
            ..esearch("A01")
        });
    });
    let folder = MailboxName::new("folder1");
    let all: NumberSet = [4001, 4003, 4005, 4007, 4009].into_iter().collect();
    check(
        "* ESEARCH (TAG \"tag1\" MAILBOX folder1 UIDVALIDITY 1) UID ALL 4001,4003,4005,4007,4009",
        &|e| {
            e.esearch(&Esearch {
                uid: true,
                mailbox: Some(Correlator {
                    mailbox: &folder,
                    uid_validity: 1,
                }),
                all: Some(&all),
                ..esearch("tag1")
            });
        },
    );
}
