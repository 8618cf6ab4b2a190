//! The index beside what it stands for: a look through every message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use db::AccountId;
use mime::Needle;
use proptest::prelude::*;
use search::{Attachments, Doc, Entry, FuzzyWords, Group, Hit, Index, Leaf, Limits, NoAttachments, Scope};

fn doc(message: &[u8], limits: &Limits, attachments: &dyn Attachments) -> Doc {
    let mut scanner = mime::Scanner::new(mime::Limits::default());
    scanner.push(message);
    let structure = scanner.finish();
    let octets = |range: std::ops::Range<u64>| {
        let end = (range.end as usize).min(message.len());
        Ok::<_, ()>(message[(range.start as usize).min(end)..end].to_vec())
    };
    Doc::read(&structure, limits, attachments, octets).unwrap()
}

fn plain(message: &str) -> Doc {
    doc(
        message.replace('\n', "\r\n").as_bytes(),
        &Limits::default(),
        &NoAttachments,
    )
}

fn open(folder: &tempfile::TempDir, limits: Limits) -> Index {
    Index::open(&folder.path().join("1.search"), AccountId(1), limits).unwrap()
}

fn entries(docs: &[Doc], first: u32) -> Vec<Entry> {
    let numbered = docs.iter().zip(first..);
    numbered
        .map(|(doc, content)| Entry {
            content,
            mark: i64::from(content) * 7,
            doc: doc.clone(),
        })
        .collect()
}

fn never() -> bool {
    false
}

fn check(index: &Index, docs: &[(u32, Doc)], leaf: &Leaf) {
    let ids: Vec<u32> = docs.iter().map(|(id, _)| *id).collect();
    let found = index.find(&ids, leaf, &never).unwrap();
    for ((id, doc), hit) in docs.iter().zip(found.hits) {
        let expected = if doc.matches(leaf) { Hit::Yes } else { Hit::No };
        assert_eq!(hit, expected, "{id}: {leaf:?} in {doc:?}");
    }
}

/// Letters that meet often, with accents, other scripts and ligatures among them.
fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec![
            "a", "b", "ab", "B", "É", "e\u{301}", "ü", "ß", "ﬁ", "会", "議", " ", "σ", "ς", "\n", "x-y", "0",
        ]),
        0..14,
    )
    .prop_map(|pieces| pieces.concat())
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let text = || words().prop_map(|text| text.trim_end_matches('\n').to_owned());
    prop_oneof![
        text().prop_map(|t| Leaf::Text(Needle::new(&t))),
        text().prop_map(|t| Leaf::Body(Needle::new(&t))),
        text().prop_map(|t| Leaf::Subject(Needle::new(&t))),
        (0usize..4, text()).prop_map(|(which, t)| Leaf::People(which, Needle::new(&t))),
        (prop::sample::select(vec!["X-A", "subject", "x-none"]), text()).prop_map(|(name, t)| Leaf::header(name, &t)),
        (0i64..40, 0i64..40).prop_map(|(a, b)| Leaf::Sent(20_000 + a..20_000 + b)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    /// Whatever messages say and whatever is looked for: the index finds what a look through all of them finds, before and after
    /// segments are made, after messages went, and after it was opened again.
    #[test]
    fn finds_what_is_there(
        messages in prop::collection::vec((words(), words(), words(), 1u32..28), 1..40),
        leaves in prop::collection::vec(leaf(), 1..12),
        copies in 1usize..40,
        batch in 1usize..700,
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let one: Vec<Doc> = messages.iter().map(|(subject, other, body, day)| {
            let (subject, other) = (subject.replace('\n', ""), other.replace('\n', ""));
            plain(&format!(
                "From: {other} <a{day}@b>\nSubject: {subject}\nX-A: {other}\nDate: {day} Oct 2024 10:00:00 +0000\n\n{body}\n"
            ))
        }).collect();
        let docs: Vec<Doc> = one.iter().cycle().take(one.len() * copies).cloned().collect();
        let mut known: Vec<(u32, Doc)> = docs.iter().cloned().zip(1..).map(|(doc, id)| (id, doc)).collect();
        {
            let index = open(&folder, Limits::default());
            let mut next = 1;
            for batch in entries(&docs, 1).chunks(batch) {
                next += batch.len() as u32;
                index.add(batch.to_vec(), next).unwrap();
                prop_assert_eq!(index.next(), next);
            }
            leaves.iter().for_each(|leaf| check(&index, &known, leaf));
            let gone: Vec<u32> = gone.iter().map(|i| i.index(docs.len()) as u32 + 1).collect();
            known.retain(|(id, _)| !gone.contains(id));
            index.forget(|id| !gone.contains(&id)).unwrap();
            leaves.iter().for_each(|leaf| check(&index, &known, leaf));
        }
        let index = open(&folder, Limits { memory: 1000, ..Limits::default() });
        leaves.iter().for_each(|leaf| check(&index, &known, leaf));
        let columns = index.columns(Group::Subject).unwrap();
        for (id, doc) in &known {
            let row = columns.row(*id).unwrap();
            prop_assert_eq!(row.base(), doc.keys.base.as_str());
            prop_assert_eq!((row.sent(), row.is_reply()), (doc.keys.sent, doc.keys.reply));
        }
    }
}

#[test]
fn reads_what_messages_say() {
    let message = "From: =?utf-8?q?J=C3=B6rg?= <j@x.example>\nTo: Group: a@b, C <c@d>;\nSubject: Re: [list] =?iso-8859-1?q?Gr=FC=DFe?=\n\
        Message-ID: <1@x>\nReferences: <0@x>\n\t<00@x>\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\
        Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n\nR2VoZWltZXIgVGV4dA==\n--q\n\
        Content-Type: text/html\n\n<p>Bold<b>er</b> &amp; brave</p>\n--q\n\
        Content-Type: application/x-unknown\nContent-Disposition: attachment; filename*=utf-8''B%C3%BCcher.dat\n\nxyzzy\n--q--\n";
    let doc = plain(message);
    assert_eq!(doc.keys.subject, mime::fold("Re: [list] Grüße"));
    assert_eq!(
        (doc.keys.base.as_str(), doc.keys.reply),
        (mime::fold("Grüße").as_str(), true)
    );
    assert_eq!(doc.keys.people[0], mime::fold("Jörg <j@x.example>\n"));
    assert_eq!(doc.keys.people[1], "group\n<a@b>\nc <c@d>\n");
    assert_eq!(doc.keys.shown[0], mime::fold("Jörg"));
    assert_eq!(doc.keys.mailbox, ["j", "group", ""]);
    assert_eq!(doc.keys.references.len(), 2);
    for (leaf, expected) in [
        (Leaf::Body(Needle::new("geheimer TEXT")), true),
        (Leaf::Body(Needle::new("bolder & brave")), true),
        (Leaf::Body(Needle::new("BÜCHER.dat")), true),
        (Leaf::Body(Needle::new("xyzzy")), false),
        (Leaf::Body(Needle::new("grüße")), false),
        (Leaf::Text(Needle::new("grüße")), true),
        (Leaf::header("SUBJECT", "grüße"), true),
        (Leaf::header("Message-Id", "1@X"), true),
        (Leaf::header("Bcc", ""), false),
        (Leaf::header("To", ""), true),
    ] {
        assert_eq!(doc.matches(&leaf), expected, "{leaf:?}");
    }
}

#[test]
fn what_is_too_long_is_said_to_be_unsure() {
    let limits = Limits {
        text: 1000,
        ..Limits::default()
    };
    let long = format!(
        "Subject: {}\r\n\r\nearly {} late\r\n",
        "s".repeat(3000),
        "x".repeat(5000)
    );
    let long = doc(long.as_bytes(), &limits, &NoAttachments);
    assert!(long.cut && long.body.len() <= 1001);
    let short = doc(b"Subject: x\r\n\r\nshort\r\n", &limits, &NoAttachments);
    let folder = tempfile::tempdir().unwrap();
    let index = open(&folder, limits);
    for sealed in [false, true] {
        index.clear().unwrap();
        let mut docs = vec![long.clone(), short.clone()];
        if sealed {
            docs.resize(512, short.clone());
        }
        index.add(entries(&docs, 1), 600).unwrap();
        assert_eq!(index.statistics().segments, u64::from(sealed));
        let ask = |leaf: Leaf| index.find(&[1, 2, 599], &leaf, &never).unwrap().hits;
        use Hit::{No, Unsure, Yes};
        assert_eq!(ask(Leaf::Body(Needle::new("early"))), [Yes, No, Unsure]);
        assert_eq!(ask(Leaf::Body(Needle::new("late"))), [Unsure, No, Unsure]);
        assert_eq!(ask(Leaf::Body(Needle::new("short"))), [Unsure, Yes, Unsure]);
        assert_eq!(ask(Leaf::Subject(Needle::new("zz"))), [Unsure, No, Unsure]);
    }
}

#[test]
fn words_are_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(&folder, Limits::default());
    let mut docs = vec![
        plain("Subject: lunch\n\nThe seminars are over.\n"),
        plain("Subject: Seminar\n\nThe seminar is in room 3.\n"),
        plain("Subject: nothing\n\nat all\n"),
    ];
    for sealed in [false, true] {
        index.clear().unwrap();
        if sealed {
            docs.resize(700, plain("Subject: other\n\nother\n"));
        }
        index.add(entries(&docs, 1), 1000).unwrap();
        let fuzzy = |words: &str| {
            let found = index
                .find(&[1, 2, 3], &Leaf::Fuzzy(Scope::Text, FuzzyWords::new(words)), &never)
                .unwrap();
            (found.hits, found.scores)
        };
        let (hits, scores) = fuzzy("seminar");
        assert_eq!(hits, [Hit::Yes, Hit::Yes, Hit::No]);
        assert!(scores[1] > scores[0] && scores[0] > 0.0, "{scores:?}");
        // Nobody has this word: one letter may be wrong.
        assert_eq!(fuzzy("seninar").0, [Hit::Yes, Hit::Yes, Hit::No]);
    }
}

#[test]
fn a_damaged_file_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.search");
    let docs: Vec<Doc> = (0..600)
        .map(|n| plain(&format!("Subject: s{n}\n\nbody {n}\n")))
        .collect();
    {
        let index = open(&folder, Limits::default());
        index.add(entries(&docs, 1), 601).unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    // At the start, where opening sees it; anywhere, where reading has to.
    for (from, octets) in [
        (0usize, 64usize),
        (100, 4000),
        (20_000, 40_000),
        (whole.len() / 2, 8192),
    ] {
        let mut broken = whole.clone();
        let end = (from + octets).min(broken.len());
        broken[from..end].fill(0xa5);
        std::fs::write(&path, &broken).unwrap();
        let index = open(&folder, Limits::default());
        if index.next() == 601 {
            for n in [0, 300, 599] {
                let leaf = Leaf::Body(Needle::new(&format!("body {n}\r")));
                match index.find(&[n + 1], &leaf, &never) {
                    Ok(found) => assert_eq!(found.hits, [Hit::Yes]),
                    Err(error) => assert!(error.is_damage(), "{error}"),
                }
            }
        } else {
            assert_eq!((index.next(), index.statistics().messages), (1, 0));
            index.add(entries(&docs, 1), 601).unwrap();
            assert_eq!(
                index.find(&[5], &Leaf::Text(Needle::new("s4")), &never).unwrap().hits,
                [Hit::Yes]
            );
        }
    }
}

#[test]
fn a_search_can_be_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(&folder, Limits::default());
    index.add(entries(&[plain("Subject: x\n\ny\n")], 1), 2).unwrap();
    let given_up = index.find(&[1], &Leaf::Text(Needle::new("x")), &|| true);
    assert!(matches!(given_up, Err(search::Error::Stopped)));
}
