//! Dovecot as a second opinion on SEARCH, SORT and THREAD: some hundred made-up queries over the same real mail find the same messages.
//!
//! Messages whose header the two understand differently (a year 0102, addresses that are none, a Content-Type that is none) are taken
//! out first: `dovecot.rs` compares those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::collections::BTreeSet;

use e2e::{ADA, Dovecot, Imap, Server, corpus, installed, is_root, skipped};
use std::fmt::Write as _;

/// A generator of numbers that gives the same ones each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.roll(from.len())]
    }
}

/// Whether both servers read the header in the same way.
fn is_plain(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    let (header, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let header = header.replace("\r\n\t", " ").replace("\r\n ", " ");
    let field = |name: &str| {
        header.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    // `Wed, 21 Aug 2002 10:36:36 +0200`
    let date = field("Date").is_some_and(|date| {
        let words: Vec<&str> = date.split_whitespace().collect();
        words.len() >= 6
            && words[3].starts_with("200")
            && words[4].len() == 8
            && words[5].len() == 5
            && words[5].starts_with(['+', '-'])
    });
    let addresses = ["From", "To", "Cc"].into_iter().all(|name| {
        field(name).is_none_or(|value| {
            value.split(',').all(|address| {
                let address = address.trim();
                let bare = address
                    .rsplit_once('<')
                    .map_or(address, |(_, rest)| rest.trim_end_matches('>'));
                let plain = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
                bare.matches('@').count() == 1
                    && bare.chars().all(plain)
                    && !bare.ends_with('.')
                    && !value.contains('(')
                    && !value.contains("\"\"")
            })
        })
    });
    let content = field("Content-Type").is_none_or(|value| value.contains(';') || !value.contains(' '));
    date && addresses && content && message.is_ascii() && !body.is_empty()
}

/// A query as SEARCH takes it.
fn key(dice: &mut Dice, words: &[String], depth: usize) -> String {
    let word = |dice: &mut Dice| {
        let word = dice.pick(words);
        let from = dice.roll(word.len().saturating_sub(2));
        let piece = &word[from..word.len().min(from + 3 + dice.roll(7))];
        if dice.roll(3) == 0 {
            piece.to_uppercase()
        } else {
            piece.to_owned()
        }
    };
    let sets = [
        "SEEN",
        "UNSEEN",
        "FLAGGED",
        "ANSWERED",
        "KEYWORD $A",
        "UNKEYWORD $A",
        "1:99",
        "UID 100:300",
        "*",
        "ALL",
    ];
    match dice.roll(20) {
        0 | 1 if depth < 3 => format!("OR {} {}", key(dice, words, depth + 1), key(dice, words, depth + 1)),
        2 if depth < 3 => format!("NOT {}", key(dice, words, depth + 1)),
        3 if depth < 3 => format!("({} {})", key(dice, words, depth + 1), key(dice, words, depth + 1)),
        4..=6 => format!("TEXT \"{}\"", word(dice)),
        7 | 8 => format!("BODY \"{}\"", word(dice)),
        9..=12 => {
            let field = dice.pick(&[
                "SUBJECT",
                "FROM",
                "TO",
                "CC",
                "HEADER Received",
                "HEADER X-Mailer",
                "HEADER List-Id",
            ]);
            format!("{field} \"{}\"", word(dice))
        }
        13 => format!("{} {}", dice.pick(&["LARGER", "SMALLER"]), 500 + dice.roll(20_000)),
        14 | 15 => {
            let (day, month) = (1 + dice.roll(28), *dice.pick(&["Jul", "Aug", "Sep", "Oct", "Dec"]));
            format!(
                "{} {day}-{month}-2002",
                dice.pick(&["SENTBEFORE", "SENTON", "SENTSINCE"])
            )
        }
        16 => format!(
            "{} {}-Nov-2025",
            dice.pick(&["BEFORE", "ON", "SINCE"]),
            1 + dice.roll(28)
        ),
        _ => (*dice.pick(&sets)).to_owned(),
    }
}

/// Whether a word that is looked for in the text stands in the source of a message and not in what is shown of it, or the other way round:
/// in a tag or a comment, cut in two by one or by the end of a line, written with entities. There the two servers may differ, as Dovecot searches
/// more of the source.
fn html_decides(query: &str, message: &str) -> bool {
    let source = quoted_printable(message);
    let mut shown = String::new();
    for (n, piece) in source.split('<').enumerate() {
        match piece.split_once('>') {
            Some((_, text)) if n > 0 => shown.push_str(text),
            _ => shown.push_str(piece),
        }
    }
    for (entity, character) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ] {
        shown = shown.replace(entity, character);
    }
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = ["TEXT \"", "BODY \""]
        .into_iter()
        .flat_map(|key| query.split(key).skip(1));
    words
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_ascii_lowercase)
        .any(|word| {
            source.contains(&word) != shown.contains(&word) || source.contains(&word) != message.contains(&word)
        })
}

/// With soft line ends and encoded characters taken back, wherever they stand.
fn quoted_printable(text: &str) -> String {
    let mut pieces = text.split('=');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (piece.strip_prefix("\r\n"), code) {
            (Some(rest), _) => out.push_str(rest),
            (None, Some(code)) => {
                out.push(char::from(code).to_ascii_lowercase());
                out.push_str(piece.get(2..).unwrap_or_default());
            }
            (None, None) => {
                out.push('=');
                out.push_str(piece);
            }
        }
    }
    out
}

fn numbers(imap: &mut Imap, command: &str, answer: &str) -> Vec<u32> {
    let lines = imap.ok(command);
    let found = lines.iter().filter_map(|line| line.text.strip_prefix(answer));
    found
        .flat_map(str::split_whitespace)
        .map(|number| number.parse().unwrap())
        .collect()
}

/// The threads of a THREAD response, one a string.
fn threads(line: &str) -> Vec<String> {
    let (mut depth, mut threads) = (0, Vec::new());
    for c in line.trim().chars() {
        if c == '(' && depth == 0 {
            threads.push(String::new());
        }
        depth += i32::from(c == '(') - i32::from(c == ')');
        if let Some(open) = threads.last_mut() {
            open.push(c);
        }
    }
    threads
}

#[test]
fn the_same_messages() {
    if !installed(&["dovecot"]) {
        return;
    }
    if !is_root() {
        return skipped("Dovecot with its own settings needs root");
    }
    let Some(mut mail) = corpus(450) else { return };
    mail.retain(|message| is_plain(message));
    assert!(mail.len() > 100, "{} plain messages", mail.len());
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut dovecot = Dovecot::start(folder.path());
    let theirs = &mut dovecot.imap;
    let ours = &mut server.imap(ADA);
    let flags = ["", "\\Seen", "\\Flagged $A", "\\Answered \\Seen"];
    for (number, message) in mail.iter().enumerate() {
        for imap in [&mut *ours, &mut *theirs] {
            let (flags, day, minute) = (flags[number % 4], 1 + number % 28, number / 28 % 60);
            let how = format!("({flags}) \"{day:2}-Nov-2025 12:{minute:02}:00 +0000\"");
            let reply = imap.append_as("INBOX", &how, message);
            assert!(reply.ok(), "{}", reply.status);
        }
    }
    for imap in [&mut *ours, &mut *theirs] {
        imap.ok("SELECT INBOX");
    }
    let words: Vec<String> = mail
        .iter()
        .flat_map(|message| {
            let text = String::from_utf8_lossy(message).into_owned();
            text.split(|c: char| !c.is_ascii_alphanumeric() && !"@.-_".contains(c))
                .filter(|word| word.len() > 3)
                .step_by(17)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();

    let mut dice = Dice(2002);
    let mut differences = Vec::new();
    for _ in 0..300 {
        let mut query = key(&mut dice, &words, 0);
        if dice.roll(3) == 0 {
            query = format!("{query} {}", key(&mut dice, &words, 0));
        }
        let command = format!("SEARCH {query}");
        let found: BTreeSet<u32> = numbers(ours, &command, "* SEARCH").into_iter().collect();
        let wanted: BTreeSet<u32> = numbers(theirs, &command, "* SEARCH").into_iter().collect();
        // RFC 9051 §6.4.4: to us the headers of parts belong to the body, to Dovecot they do not. And HTML is searched as it is read.
        let parts = |number: &u32| {
            let message = String::from_utf8_lossy(&mail[*number as usize - 1]).to_ascii_lowercase();
            let has = |kind: &str| message.contains(kind);
            let body = query.contains("BODY") && (has("multipart/") || has("message/"));
            body || (has("text/html") && html_decides(&query, &message))
        };
        let alike = |a: &BTreeSet<u32>, b: &BTreeSet<u32>| a.difference(b).all(parts);
        if !alike(&found, &wanted) || !alike(&wanted, &found) {
            let ours: Vec<_> = found.difference(&wanted).take(5).collect();
            let theirs: Vec<_> = wanted.difference(&found).take(5).collect();
            differences.push(format!("{command}: only ours {ours:?}, only theirs {theirs:?}"));
        }
    }
    let keys = [
        "ARRIVAL",
        "CC",
        "DATE",
        "FROM",
        "SIZE",
        "SUBJECT",
        "TO",
        "DISPLAYFROM",
        "DISPLAYTO",
    ];
    for _ in 0..60 {
        let mut criteria = String::new();
        // Dovecot forgets what comes after a key that is named twice.
        let mut left = keys.to_vec();
        for _ in 0..=dice.roll(3) {
            let reverse = if dice.roll(3) == 0 { "REVERSE " } else { "" };
            let key = left.swap_remove(dice.roll(left.len()));
            let _ = write!(criteria, "{reverse}{key} ");
        }
        let command = format!(
            "SORT ({}) UTF-8 {}",
            criteria.trim_end(),
            dice.pick(&["ALL", "UNSEEN", "1:99"])
        );
        // Of messages without Cc, Dovecot 2.3 has put one out of the order that the second key gives (RFC 5256 §3: ours).
        if criteria.contains("CC") && criteria.split_whitespace().filter(|word| *word != "REVERSE").count() > 1 {
            continue;
        }
        let (found, wanted) = (numbers(ours, &command, "* SORT"), numbers(theirs, &command, "* SORT"));
        if found != wanted {
            let at = found.iter().zip(&wanted).position(|(a, b)| a != b);
            let around = at.map(|at| {
                (
                    &found[at..found.len().min(at + 4)],
                    &wanted[at..wanted.len().min(at + 4)],
                )
            });
            let from = |list: &[u32]| {
                let number = at.and_then(|at| list.get(at)).copied().unwrap_or(1);
                let text = String::from_utf8_lossy(&mail[number as usize - 1]).into_owned();
                let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with("from:"));
                line.unwrap_or_default().to_owned()
            };
            let (a, b) = (from(&found), from(&wanted));
            differences.push(format!("{command}: from {at:?} {around:?} ({a}) ({b})"));
        }
    }
    for algorithm in ["REFERENCES", "REFS", "ORDEREDSUBJECT"] {
        for query in ["ALL", "SEEN", "50:*", "FLAGGED"] {
            let command = format!("THREAD {algorithm} UTF-8 {query}");
            let tree = |imap: &mut Imap| {
                let lines = imap.ok(&command);
                let line = lines.iter().find_map(|line| line.text.strip_prefix("* THREAD"));
                threads(line.unwrap_or_default())
            };
            let (found, wanted) = (tree(ours), tree(theirs));
            let differs = found.iter().zip(&wanted).find(|(a, b)| a != b);
            if differs.is_some() || found.len() != wanted.len() {
                differences.push(format!(
                    "{command}: {} and {} threads, {differs:?}",
                    found.len(),
                    wanted.len()
                ));
            }
        }
    }
    for difference in &differences {
        eprintln!("{difference}");
    }
    assert!(
        differences.is_empty(),
        "{} differences over {} messages",
        differences.len(),
        mail.len()
    );
}
