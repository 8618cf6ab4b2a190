//! Dovecot as a second opinion: the same real mail in both servers, the same questions, the same answers.
//!
//! Dovecot's `imap` runs as a child that speaks over its standard streams. Where the two differ on purpose, [`expected`] says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};

use e2e::{ADA, Dovecot, Imap, Line, Server, corpus, installed, is_root, skipped};

/// What stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Atom(String),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    fn shown(&self) -> String {
        match self {
            Value::Atom(atom) => atom.clone(),
            Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
            Value::List(list) => format!("({})", list.iter().map(Value::shown).collect::<Vec<_>>().join(" ")),
        }
    }
}

struct Reader<'a> {
    text: std::iter::Peekable<std::str::Chars<'a>>,
    literals: std::slice::Iter<'a, Vec<u8>>,
}

impl Reader<'_> {
    fn list(&mut self) -> Vec<Value> {
        let mut list = Vec::new();
        loop {
            match self.text.next() {
                None | Some(')') => return list,
                Some(' ') => {}
                Some('(') => list.push(Value::List(self.list())),
                Some('"') => list.push(Value::Text(self.quoted())),
                Some('{') => {
                    assert_eq!(self.text.next(), Some('}'));
                    list.push(Value::Text(self.literals.next().unwrap().clone()));
                }
                Some(first) => {
                    let mut atom = String::from(first);
                    let mut depth = 0;
                    while let Some(&next) = self.text.peek() {
                        match next {
                            '[' => depth += 1,
                            ']' => depth -= 1,
                            ' ' | '(' | ')' if depth == 0 => break,
                            _ => {}
                        }
                        atom.push(next);
                        self.text.next();
                    }
                    list.push(Value::Atom(atom));
                }
            }
        }
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut out = String::new();
        while let Some(next) = self.text.next() {
            match next {
                '"' => break,
                '\\' => out.extend(self.text.next()),
                next => out.push(next),
            }
        }
        out.into_bytes()
    }
}

/// Number of the message, and its items by name.
fn fetched(line: &Line) -> Option<(u32, BTreeMap<String, Value>)> {
    let (number, rest) = line.text.strip_prefix("* ")?.split_once(" FETCH (")?;
    let mut reader = Reader {
        text: rest.chars().peekable(),
        literals: line.literals.iter(),
    };
    let list = reader.list();
    let items = list.chunks_exact(2).map(|pair| match pair {
        [Value::Atom(name), value] => (name.to_uppercase().replace('"', ""), value.clone()),
        other => panic!("{other:?}"),
    });
    Some((number.parse().ok()?, items.collect()))
}

/// Where Dovecot does something else on purpose, both answers are made one.
fn expected(name: &str, value: Value) -> Value {
    match value {
        // A section that is not there: NIL or nothing.
        Value::Atom(atom) if name.starts_with("BODY[") && atom == "NIL" => Value::Text(Vec::new()),
        // Dovecot does not keep the case of the commonest type.
        Value::Text(text) if name.starts_with("BODY") && !name.contains('[') => Value::Text(text.to_ascii_lowercase()),
        // An address without a domain or without anything gets a name that says so; ours is empty.
        Value::Text(text) if text == b"MISSING_DOMAIN" || text == b"MISSING_MAILBOX" => Value::Text(Vec::new()),
        // White space around folds: one blank here, one blank for some fields there and all of it for others.
        Value::Text(text) if name == "ENVELOPE" => {
            let words: Vec<_> = text
                .split(|byte| b" \t".contains(byte))
                .filter(|word| !word.is_empty())
                .collect();
            Value::Text(words.join(&b' '))
        }
        Value::List(list) => Value::List(list.into_iter().map(|value| expected(name, value)).collect()),
        other => other,
    }
}

/// What differs, in how many of these messages, and why ours is meant so.
const KNOWN: [(&str, usize, &str); 7] = [
    (
        "BODY",
        1,
        "a Content-Type that is none is text/plain (RFC 2045 §5.2); Dovecot shows an empty type",
    ),
    ("BODYSTRUCTURE", 1, "the same"),
    ("ENVELOPE", 8, "addresses that are none"),
    (
        "SEARCH BODY \"click here\"",
        3,
        "HTML is searched as it is seen, too: tags may stand between the words",
    ),
    (
        "SEARCH NOT BODY the",
        1,
        "the part of empty type is not searched by Dovecot",
    ),
    (
        "SEARCH SENTBEFORE 1-Sep-2002",
        4,
        "a message without a readable date was not sent before any day; year 0102 is 2002",
    ),
    ("SEARCH SENTSINCE 1-Oct-2002", 1, "year 0102 is 2002"),
];

/// Differences between sections that are Dovecot's own reading.
fn explained(name: &str, ours: &Value, theirs: &Value) -> bool {
    let (Value::Text(ours), Value::Text(theirs)) = (ours, theirs) else {
        return false;
    };
    // Below a part that is neither multipart nor message Dovecot goes on counting 1s; RFC 9051 §6.4.5.1 has no such part.
    let deep = name.starts_with("BODY[1.1") || name.starts_with("BODY[2.1") || name.starts_with("BODY[1.2");
    // The line end after an inner closing boundary is the beginning of the outer boundary (RFC 2046 §5.1.1), not epilogue.
    let outer = ours.ends_with(b"--") && theirs.strip_suffix(b"\r\n") == Some(ours);
    (deep && ours.is_empty()) || outer
}

#[test]
fn the_same_answers() {
    if !installed(&["dovecot"]) {
        return;
    }
    if !is_root() {
        return skipped("Dovecot with its own settings needs root");
    }
    let Some(mail) = corpus(1000) else { return };
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut dovecot = Dovecot::start(folder.path());
    let theirs = &mut dovecot.imap;
    let ours = &mut server.imap(ADA);
    for message in &mail {
        for imap in [&mut *ours, &mut *theirs] {
            let reply = imap.append("INBOX", "", message);
            assert!(reply.ok(), "{}", reply.status);
        }
    }
    for imap in [&mut *ours, &mut *theirs] {
        imap.ok("SELECT INBOX");
    }
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for items in [
        "RFC822.SIZE ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] BODY.PEEK[2.MIME] BODY.PEEK[3]",
        "BODY.PEEK[1.1] BODY.PEEK[1.2] BODY.PEEK[1.1.MIME] BODY.PEEK[2.1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[1.1.1]",
        "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT X-MAILER)] BODY.PEEK[HEADER.FIELDS.NOT (RECEIVED)] BODY.PEEK[TEXT]<5.100>",
    ] {
        let command = format!("FETCH 1:* ({items})");
        let mut wanted: BTreeMap<u32, BTreeMap<String, Value>> =
            theirs.ok(&command).iter().filter_map(fetched).collect();
        let found: BTreeMap<u32, BTreeMap<String, Value>> = ours.ok(&command).iter().filter_map(fetched).collect();
        assert_eq!(found.len(), mail.len());
        for (number, found) in found {
            let wanted = wanted.remove(&number).unwrap();
            assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
            for ((name, found), wanted) in found.into_iter().zip(wanted.into_values()) {
                let (found, wanted) = (expected(&name, found), expected(&name, wanted));
                if found != wanted && !explained(&name, &found, &wanted) {
                    let (found, wanted) = (found.shown(), wanted.shown());
                    let same = found
                        .bytes()
                        .zip(wanted.bytes())
                        .take_while(|(left, right)| left == right)
                        .count();
                    let piece = |text: &str| {
                        let text = text.as_bytes();
                        String::from_utf8_lossy(&text[same.saturating_sub(60)..(same + 200).min(text.len())])
                            .into_owned()
                    };
                    let text = format!(
                        "{number} at {same}\n  ours   {}\n  theirs {}",
                        piece(&found),
                        piece(&wanted)
                    );
                    differences.entry(name).or_default().push(text);
                }
            }
        }
    }
    for query in [
        "SUBJECT free",
        "FROM \"@yahoo\"",
        "TO linux",
        "CC list",
        "BODY \"click here\"",
        "TEXT spamassassin",
        "SENTBEFORE 1-Sep-2002",
        "SENTON 22-Aug-2002",
        "SENTSINCE 1-Oct-2002",
        "LARGER 5000",
        "SMALLER 2000",
        "HEADER X-Mailer \"\"",
        "HEADER Message-Id yahoo",
        "OR SUBJECT re FROM jm",
        "NOT BODY the",
        "BODY \"</a>\"",
        "UNSEEN NOT DELETED 1:100",
        "HEADER Content-Type multipart",
    ] {
        let answer = |imap: &mut Imap| imap.ok(&format!("SEARCH {query}"))[0].text.clone();
        let (found, wanted) = (answer(ours), answer(theirs));
        if found != wanted {
            let numbers = |text: &str| text.split(' ').skip(2).map(str::to_owned).collect::<BTreeSet<_>>();
            let (found, wanted) = (numbers(&found), numbers(&wanted));
            let list = differences.entry(format!("SEARCH {query}")).or_default();
            list.extend(found.difference(&wanted).map(|number| format!("{number} only ours")));
            list.extend(wanted.difference(&found).map(|number| format!("{number} only theirs")));
        }
    }
    for (name, list) in &differences {
        eprintln!("{name}: {} of {} differ", list.len(), mail.len());
        for text in list.iter().take(8) {
            eprintln!("{text}");
        }
    }
    differences.retain(|name, list| {
        KNOWN
            .iter()
            .find(|(known, ..)| known == name)
            .is_none_or(|(_, most, _)| list.len() > *most)
    });
    assert!(
        differences.is_empty(),
        "the servers differ in {:?}, see above",
        differences.keys().collect::<Vec<_>>()
    );
}
