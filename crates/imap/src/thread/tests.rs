use super::*;
use crate::response::Encoder;
use proptest::prelude::*;

type Line<'t> = (u32, i64, &'t str, bool, Option<u64>, Vec<u64>);

/// `number date subject id <references`, a line a message; `Re:` in front of the subject makes it a reply.
fn threaded(algorithm: Algorithm, text: &str) -> String {
    let id = |word: &str| {
        word.bytes()
            .fold(7u64, |hash, byte| hash.wrapping_mul(1_000_003) ^ u64::from(byte))
    };
    let rows: Vec<Line<'_>> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (head, references) = line.split_once('<').unwrap_or((line, ""));
            let words: Vec<&str> = head.split_whitespace().collect();
            let subject = words[2].strip_prefix("Re:");
            (
                words[0].parse().unwrap(),
                words[1].parse().unwrap(),
                subject.unwrap_or(words[2]).trim_matches('-'),
                subject.is_some(),
                words.get(3).map(|word| id(word)),
                references.split_whitespace().map(id).collect(),
            )
        })
        .collect();
    let messages: Vec<Message<'_>> = rows
        .iter()
        .map(|(number, sent, subject, reply, id, references)| Message {
            number: *number,
            sent: *sent,
            subject,
            reply: *reply,
            id: *id,
            references,
        })
        .collect();
    printed(&thread(algorithm, &messages))
}

fn printed(threads: &Threads) -> String {
    let mut out = Vec::new();
    Encoder::new(&mut out, false).thread(threads);
    let text = String::from_utf8(out).unwrap();
    text.trim_end().trim_start_matches("* THREAD").trim_start().to_owned()
}

#[test]
fn by_references() {
    for (text, expected) in [
        ("", ""),
        ("1 10 a x", "(1)"),
        ("1 10 a x\n2 20 Re:a y <x\n3 30 Re:a z <x y", "(1 2 3)"),
        ("1 10 a x\n2 20 Re:a y <x\n3 30 Re:a z <x", "(1 (2)(3))"),
        // The parent is not there: a dummy holds its two children, one alone does without.
        ("1 10 Re:a y <x\n2 20 Re:a z <x", "((1)(2))"),
        ("1 10 Re:a y <x", "(1)"),
        // A dummy between two messages goes.
        ("1 10 a x\n2 20 Re:a z <x y", "(1 2)"),
        // The order of the mailbox is not that of the thread.
        ("1 30 Re:a z <x y\n2 20 Re:a y <x\n3 10 a x", "(3 2 1)"),
        // A loop is not closed.
        ("1 10 a x <y\n2 20 b y <x", "(2 1)"),
        ("1 10 a x <x", "(1)"),
        // The same id twice: the second has none.
        ("1 10 a x\n2 20 b x\n3 30 c y <x", "(1 3)(2)"),
        // Without references, joined by subject.
        ("1 10 a x\n2 20 Re:a y", "(1 2)"),
        ("1 10 a x\n2 20 a y\n3 30 Re:a z", "((1)(2)(3))"),
        ("1 10 Re:a x\n2 20 Re:a y", "((1)(2))"),
        ("1 10 - x\n2 20 - y", "(1)(2)"),
        ("1 10 Re:a x\n2 20 a y", "(2 1)"),
        // A dummy takes in who has its subject.
        ("1 10 Re:a y <x\n2 20 Re:a z <x\n3 30 a w", "((1)(2)(3))"),
        (
            "1 10 Re:a y <x\n2 20 Re:a z <x\n3 30 Re:a w <v\n4 40 Re:a u <v",
            "((1)(2)(3)(4))",
        ),
        // Sorted by date, then by place.
        ("1 30 a x\n2 10 b y\n3 20 c z\n4 20 d w", "(2)(3)(4)(1)"),
        // A truncated References header: the last one counts.
        (
            "1 10 a x\n2 20 Re:a y <x\n3 30 Re:a z <y\n4 40 Re:a w <x z",
            "(1 2 3 4)",
        ),
    ] {
        assert_eq!(threaded(Algorithm::References, text), expected, "{text}");
    }
}

#[test]
fn by_references_alone() {
    for (text, expected) in [
        ("1 10 a x\n2 20 Re:a y", "(1)(2)"),
        // The thread with the newest message comes last.
        ("1 10 a x\n2 20 b y\n3 30 Re:a z <x", "(2)(1 3)"),
    ] {
        assert_eq!(threaded(Algorithm::Refs, text), expected, "{text}");
    }
}

#[test]
fn by_subject() {
    for (text, expected) in [
        ("", ""),
        ("1 10 a x\n2 20 b y\n3 30 Re:a z", "(1 3)(2)"),
        ("1 30 a x\n2 20 b y\n3 10 Re:a z\n4 40 a w", "(3 (1)(4))(2)"),
        ("1 10 - x\n2 20 - y", "(1 2)"),
    ] {
        assert_eq!(threaded(Algorithm::OrderedSubject, text), expected, "{text}");
    }
}

fn many(count: u32, of: impl Fn(u32) -> (i64, bool, Vec<u64>)) -> String {
    let rows: Vec<_> = (1..=count).map(|n| (n, of(n))).collect();
    let messages: Vec<Message<'_>> = rows
        .iter()
        .map(|(n, (sent, reply, references))| Message {
            number: *n,
            sent: *sent,
            subject: "the same",
            reply: *reply,
            id: Some(u64::from(*n)),
            references,
        })
        .collect();
    printed(&thread(Algorithm::References, &messages))
}

/// What could take time squared, or a stack as deep as the mailbox, does not.
#[test]
fn hundred_thousand() {
    let count = 100_000;
    let flat = many(count, |n| (i64::from(n), false, vec![]));
    assert!(flat.starts_with("((1)(2)(3)") && flat.ends_with("(100000))"));
    let replies = many(count, |n| (i64::from(n), n > 1, vec![]));
    assert!(replies.starts_with("(1 (2)(3)"));
    let chain = many(count, |n| (i64::from(n), true, vec![u64::from(n) - 1]));
    assert!(chain.starts_with("(1 2 3 ") && chain.ends_with(" 100000)"));
    let backwards = many(count, |n| (-i64::from(n), true, vec![u64::from(n) + 1]));
    assert!(backwards.starts_with("(100000 99999 "));
    // Two long chains, and then message after message that hangs a family of its own below the end of one.
    let joined = many(count, |n| {
        let to = match n {
            1..=50_000 => vec![u64::from(n) + 1],
            _ if n % 2 == 0 => vec![1, u64::from(n) - 1],
            _ => vec![],
        };
        (0, true, to)
    });
    assert_eq!(joined.matches('(').count(), joined.matches(')').count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever messages claim: each is there once, and none is its own ancestor (or printing would not end).
    #[test]
    fn everybody_is_there_once(
        rows in prop::collection::vec((0i64..6, 0u64..12, prop::collection::vec(0u64..16, 0..4), 0usize..4, any::<bool>()), 0..25),
        algorithm in prop::sample::select(vec![Algorithm::OrderedSubject, Algorithm::References, Algorithm::Refs]),
    ) {
        let messages: Vec<Message<'_>> = rows.iter().enumerate().map(|(i, (sent, id, references, subject, reply))| Message {
            number: i as u32 + 1,
            sent: *sent,
            subject: ["", "a", "b", "c"][*subject],
            reply: *reply,
            id: (*id > 0).then_some(*id),
            references,
        }).collect();
        let text = printed(&thread(algorithm, &messages));
        let mut numbers: Vec<u32> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (1..=rows.len() as u32).collect::<Vec<_>>());
        prop_assert!(!text.contains("()"));
    }
}
