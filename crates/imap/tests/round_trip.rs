//! parse(print(x)) = x, and no octets make the parser panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

use imap::command::{Search, SearchKey, Store, StoreAction};
use imap::{Bound, Command, Date, Flag, Limits, Request, SequenceSet};
use proptest::prelude::*;

fn string(text: &str) -> String {
    if text.contains(['\r', '\n', '\0', '"', '\\']) || !text.is_ascii() {
        format!("{{{}+}}\r\n{text}", text.len())
    } else {
        format!("\"{text}\"")
    }
}

fn print(key: &SearchKey) -> String {
    use SearchKey as K;
    match key {
        K::All => "ALL".to_owned(),
        K::Flag(Flag::Keyword(k)) => format!("KEYWORD {k}"),
        K::NotFlag(Flag::Keyword(k)) => format!("UNKEYWORD {k}"),
        K::Flag(flag) => flag.name()[1..].to_owned(),
        K::NotFlag(flag) => format!("UN{}", &flag.name()[1..]),
        K::Sequence(set) => set.to_string(),
        K::Uid(set) => format!("UID {set}"),
        K::Subject(text) => format!("subject {}", string(text)),
        K::Text(text) => format!("TEXT {}", string(text)),
        K::Header(name, text) => format!("HEADER {} {}", string(name), string(text)),
        K::Since(date) => format!("SINCE {date}"),
        K::SentOn(date) => format!("SENTON \"{date}\""),
        K::Larger(n) => format!("LARGER {n}"),
        K::ModSeq(n) => format!("MODSEQ {n}"),
        K::Not(key) => format!("NOT {}", print(key)),
        K::Or(a, b) => format!("OR {} {}", print(a), print(b)),
        K::And(keys) => format!("({})", keys.iter().map(print).collect::<Vec<_>>().join(" ")),
        K::Fuzzy(key) => format!("FUZZY {}", print(key)),
        other => panic!("{other:?}"),
    }
}

fn set() -> impl Strategy<Value = SequenceSet> {
    let bound = || prop_oneof![5 => (1..=u32::MAX).prop_map(Bound::Number), 1 => Just(Bound::Largest)];
    prop_oneof![
        9 => prop::collection::vec((bound(), bound()), 1..6).prop_map(SequenceSet::Ranges),
        1 => Just(SequenceSet::Saved),
    ]
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![
        prop::sample::select(Flag::SYSTEM.to_vec()),
        "[$a-zA-Z0-9_]{1,12}".prop_map(Flag::Keyword)
    ]
}

fn key() -> impl Strategy<Value = SearchKey> {
    use SearchKey as K;
    let text = || "[^\0]{0,20}";
    let date = || (0i64..40_000).prop_map(Date);
    let leaf = prop_oneof![
        Just(K::All),
        flag().prop_map(K::Flag),
        flag().prop_map(K::NotFlag),
        set().prop_map(K::Sequence),
        set().prop_map(K::Uid),
        text().prop_map(K::Subject),
        text().prop_map(K::Text),
        ("[A-Za-z-]{1,9}", text()).prop_map(|(name, text)| K::Header(name, text)),
        date().prop_map(K::Since),
        date().prop_map(K::SentOn),
        (0..=i64::MAX as u64).prop_map(K::Larger),
        (0..=i64::MAX as u64).prop_map(K::ModSeq),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|k| K::Not(Box::new(k))),
            inner.clone().prop_map(|k| K::Fuzzy(Box::new(k))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| K::Or(Box::new(a), Box::new(b))),
            prop::collection::vec(inner, 2..4).prop_map(K::And),
        ]
    })
}

fn parse(line: &str) -> Result<Command, TestCaseError> {
    match Request::parse(line.as_bytes(), false, &Limits::default()) {
        Ok(request) => Ok(request.command),
        Err(refused) => Err(TestCaseError::fail(format!("{line}: {refused:?}"))),
    }
}

proptest! {
    #[test]
    fn searches(keys in prop::collection::vec(key(), 1..4), uid: bool) {
        let line = format!("a {}SEARCH {}", if uid { "UID " } else { "" }, keys.iter().map(print).collect::<Vec<_>>().join(" "));
        prop_assert_eq!(parse(&line)?, Command::Search(Search { uid, returns: None, keys }));
    }

    #[test]
    fn stores(set in set(), flags in prop::collection::vec(flag(), 0..5), silent: bool, uid: bool, unchanged_since in prop::option::of(0..=i64::MAX as u64)) {
        let names: Vec<&str> = flags.iter().map(Flag::name).collect();
        let line = format!(
            "a {}STORE {set}{} +FLAGS{} ({})",
            if uid { "UID " } else { "" },
            unchanged_since.map(|n| format!(" (UNCHANGEDSINCE {n})")).unwrap_or_default(),
            if silent { ".SILENT" } else { "" },
            names.join(" "),
        );
        prop_assert_eq!(parse(&line)?, Command::Store(Store { uid, set, action: StoreAction::Add, silent, flags, unchanged_since }));
    }

    /// What the encoder writes as an astring, the parser reads back.
    #[test]
    fn astrings(octets in prop::collection::vec(1..=255u8, 0..60), utf8: bool) {
        let mut line = b"a LOGIN x ".to_vec();
        imap::response::astring(&mut line, &octets, utf8);
        let request = Request::parse(&line, utf8, &Limits::default());
        prop_assert!(matches!(&request, Ok(Request { command: Command::Login(login), .. }) if login.password == octets), "{:?}", request);
    }

    #[test]
    fn any_octets(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(&line, false, &Limits::default());
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(vec![
        "a", " ", " ", " ", "UID", "FETCH", "SEARCH", "STORE", "LIST", "APPEND", "1:*", "$", "(", ")", "[", "]", "<", ">", "BODY", "BODY[",
        "HEADER.FIELDS", "1.2", ".", "\"", "\\", "{2+}\r\n", "{9}\r\n", "{18446744073709551615}\r\n", "\0", "NOT", "OR", "RETURN", "CHARSET",
        "\"1-Jan-2000", "-0700\"", "&", "&AGE-", "ID", "NIL", "~", "MODSEQ", "\u{fc}",
        "SORT", "THREAD", "REFS", "UTF-8", "(REVERSE DATE)", "ESEARCH", "IN", "(", "SUBTREE", "PARTIAL", "-1:-3", "FUZZY",
    ]), 0..30)) {
        let _ = Request::parse(words.concat().as_bytes(), false, &Limits::default());
    }
}
