//! Every operation of IMAP, one after the other, in a mailbox of so many messages.
//!
//! A stage of messages that are all different is filled by APPEND and copied into the mailbox until that holds enough. Then each
//! operation is timed over the socket. What is repeated is given as the mean of one.

use super::raw::{Heard, Raw};
use super::{Letters, Login, fresh};
use crate::record::Record;
use anyhow::{Result, ensure};
use std::time::Instant;

/// Messages that are appended; more are copies of these.
const STAGE: usize = 10_000;
/// Octets of a message.
const SIZE: usize = 4096;

/// How many times faster than Dovecot we mean to be. An operation that is not here has no bar.
pub const GOALS: &[(&str, f64)] = &[
    ("APPEND 4 KB", 3.0),
    ("COPY 1,000", 1.0),
    ("SELECT, cold", 1.0),
    ("SELECT, warm", 1.0),
    ("FETCH flags", 1.5),
    ("FETCH envelope", 8.0),
    ("FETCH structure", 3.0),
    ("FETCH 6 header fields", 8.0),
    ("FETCH bodies", 1.5),
    ("SEARCH flags", 10.0),
    ("SEARCH SUBJECT", 10.0),
    ("SEARCH TEXT", 50.0),
    ("STORE all", 1.5),
    ("STORE one", 1.2),
    ("EXPUNGE half", 1.0),
    ("DELETE a mailbox of half", 20.0),
];

/// The clock and what it has read.
struct Times<'n> {
    server: &'n str,
    setting: String,
    records: Vec<Record>,
}

impl Times<'_> {
    /// Times `work`, which does something `times` times.
    fn time(&mut self, name: &str, times: usize, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        work()?;
        self.note(name, begun.elapsed().as_secs_f64() * 1000.0 / times as f64);
        Ok(())
    }

    fn note(&mut self, name: &str, ms: f64) {
        self.records
            .push(Record::new(self.server, format!("IMAP, {}: {name}", self.setting)).with("ms", ms));
    }
}

/// `imap`
pub fn run(server: &str, login: &Login, messages: usize) -> Result<Vec<Record>> {
    let mut times = Times {
        server,
        setting: format!("{} messages", thousands(messages)),
        records: Vec::new(),
    };
    let t = &mut times;
    let mut c = login.open()?;
    let (stage, full, other) = (fresh("stage"), fresh("box"), fresh("other"));
    let mut letters = Letters::new(&stage);
    for name in [&stage, &full, &other] {
        c.command(&format!("CREATE {name}"))?;
    }
    // --- New messages
    let staged = STAGE.min(messages);
    let serial = 1000.min(staged);
    let made: Vec<Vec<u8>> = (0..serial).map(|n| letters.write(n, SIZE).to_vec()).collect();
    t.time("APPEND 4 KB", serial, || {
        made.iter().try_for_each(|m| c.append(&stage, m).map(drop))
    })?;
    fill(&mut c, &stage, &mut letters, serial..staged)?;
    let large: Vec<Vec<u8>> = (0..200).map(|n| letters.write(1 << 20 | n, 40_960).to_vec()).collect();
    t.time("APPEND 40 KB", large.len(), || {
        large.iter().try_for_each(|m| c.append(&other, m).map(drop))
    })?;
    // --- Copies
    c.command(&format!("SELECT {stage}"))?;
    let rounds = messages / staged;
    let thousands_in = staged.div_ceil(1000);
    t.time("COPY 1,000", rounds * thousands_in, || {
        for _ in 0..rounds {
            for k in 0..thousands_in {
                let (from, upto) = (k * 1000 + 1, ((k + 1) * 1000).min(staged));
                c.command(&format!("COPY {from}:{upto} {full}"))?;
            }
        }
        Ok(())
    })?;
    c.command("UNSELECT")?;
    // --- Opening
    let select = format!("SELECT {full}");
    t.time("SELECT, cold", 1, || {
        exists(&c.command(&select)?, rounds * staged, "EXISTS")
    })?;
    t.time("SELECT, warm", 50, || repeat(&mut c, 50, |_| select.clone()))?;
    c.command(&select)?;
    t.time("NOOP", 200, || repeat(&mut c, 200, |_| "NOOP".into()))?;
    t.time("STATUS of another mailbox", 100, || {
        repeat(&mut c, 100, |_| {
            format!("STATUS {stage} (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")
        })
    })?;
    // --- Reading
    let count = rounds * staged;
    let scan = |c: &mut Raw, what: &str, least: usize| -> Result<()> {
        let heard = c.command(what)?;
        ensure!(
            heard.octets >= least as u64,
            "{what}: {} octets are too few",
            heard.octets
        );
        Ok(())
    };
    t.time("FETCH flags", 1, || scan(&mut c, "FETCH 1:* (UID FLAGS)", count * 20))?;
    let since = c.command(&format!("STATUS {stage} (HIGHESTMODSEQ)"))?;
    ensure!(since.tail.contains("HIGHESTMODSEQ"), "no HIGHESTMODSEQ: {}", since.tail);
    // The first time CONDSTORE is asked for is not like the others.
    c.command("UID FETCH 1 (FLAGS) (CHANGEDSINCE 1)")?;
    c.command("STORE 1:10 +FLAGS.SILENT (\\Answered)")?;
    let highest = number_after(
        &c.command(&format!("STATUS {full} (HIGHESTMODSEQ)"))?.tail,
        "HIGHESTMODSEQ ",
    )?;
    t.time("UID FETCH flags CHANGEDSINCE, 10 changed", 20, || {
        repeat(&mut c, 20, |_| {
            format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {})", highest - 1)
        })
    })?;
    t.time("FETCH envelope", 1, || {
        scan(
            &mut c,
            "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
            count * 200,
        )
    })?;
    t.time("FETCH structure", 1, || {
        scan(&mut c, "FETCH 1:* (BODYSTRUCTURE)", count * 50)
    })?;
    t.time("FETCH 6 header fields", 1, || {
        let fields = "FROM TO SUBJECT DATE MESSAGE-ID REFERENCES";
        scan(
            &mut c,
            &format!("FETCH 1:* (BODY.PEEK[HEADER.FIELDS ({fields})])"),
            count * 150,
        )
    })?;
    t.time("FETCH bodies", 1, || {
        scan(&mut c, "FETCH 1:* (BODY.PEEK[])", count * (SIZE - 200))
    })?;
    t.time("FETCH one body", 500, || {
        repeat(&mut c, 500, |n| format!("FETCH {} (BODY.PEEK[])", 1 + n * 37 % count))
    })?;
    t.time("FETCH 50 envelopes and sizes", 100, || {
        repeat(&mut c, 100, |n| {
            let from = 1 + n * 91 % (count - 50);
            format!("FETCH {from}:{} (UID FLAGS RFC822.SIZE ENVELOPE)", from + 49)
        })
    })?;
    // --- Searching
    t.time("SEARCH flags", 20, || {
        repeat(&mut c, 20, |_| "UID SEARCH UNSEEN".into())
    })?;
    t.time("SEARCH one keyword of few", 20, || {
        repeat(&mut c, 20, |_| "UID SEARCH ANSWERED".into())
    })?;
    // A server that indexes text may have to catch up first; that is not what a search costs.
    t.time("the first SEARCH of text", 1, || {
        c.command("UID SEARCH TEXT \"nothing of the kind\"").map(drop)
    })?;
    t.time("the first SEARCH SUBJECT", 1, || {
        c.command("UID SEARCH SUBJECT \"measurement\"").map(drop)
    })?;
    t.time("SEARCH SUBJECT", 5, || {
        repeat(&mut c, 5, |_| "UID SEARCH SUBJECT \"measurement\"".into())
    })?;
    t.time("SEARCH TEXT", 1, || {
        c.command("UID SEARCH TEXT \"needle777\"").map(drop)
    })?;
    // --- Changing
    t.time("STORE all", 1, || {
        c.command("STORE 1:* +FLAGS.SILENT (\\Seen)").map(drop)
    })?;
    t.time("STORE one", 500, || {
        repeat(&mut c, 500, |n| format!("STORE {} +FLAGS (\\Flagged)", n + 1))
    })?;
    c.command("CREATE move-target").ok();
    t.time("MOVE 1,000", 1, || c.command("MOVE 1:1000 move-target").map(drop))?;
    c.command("DELETE move-target")?;
    let half = (count - 1000) / 2;
    c.command(&format!("STORE 1:{half} +FLAGS.SILENT (\\Deleted)"))?;
    t.time("EXPUNGE half", 1, || c.command("EXPUNGE").map(drop))?;
    c.command("STORE 1:200 +FLAGS.SILENT (\\Deleted)")?;
    let uids = c.command("UID SEARCH 1:200")?.tail;
    let list = uids
        .lines()
        .find_map(|l| l.strip_prefix("* SEARCH "))
        .unwrap_or_default();
    let uids: Vec<String> = list.split_whitespace().map(str::to_owned).collect();
    ensure!(uids.len() == 200, "SEARCH found {}", uids.len());
    t.time("EXPUNGE one", 200, || {
        uids.iter()
            .try_for_each(|uid| c.command(&format!("UID EXPUNGE {uid}")).map(drop))
    })?;
    c.command("UNSELECT")?;
    t.time("DELETE a mailbox of half", 1, || {
        c.command(&format!("DELETE {full}")).map(drop)
    })?;
    // --- Mailboxes
    for n in 0..200 {
        c.command(&format!("CREATE {other}/{n}"))?;
    }
    t.time("LIST of 200", 50, || {
        repeat(&mut c, 50, |_| format!("LIST \"\" \"{other}/*\""))
    })?;
    t.time("LIST of 200 with STATUS", 20, || {
        repeat(&mut c, 20, |_| {
            format!("LIST \"\" \"{other}/*\" RETURN (STATUS (MESSAGES UNSEEN))")
        })
    })
    .or_else(|e| {
        eprintln!("{server}: LIST with STATUS: {e}");
        Ok::<(), anyhow::Error>(())
    })?;
    for n in 0..200 {
        c.command(&format!("DELETE {other}/{n}"))?;
    }
    c.command(&format!("DELETE {other}"))?;
    c.command(&format!("DELETE {stage}"))?;
    t.time("connection and LOGIN", 100, || {
        for _ in 0..100 {
            login.open()?;
        }
        Ok(())
    })?;
    Ok(times.records)
}

/// Puts messages into a mailbox as fast as the server takes them, which is not measured.
pub(super) fn fill(c: &mut Raw, mailbox: &str, letters: &mut Letters, which: std::ops::Range<usize>) -> Result<()> {
    const AHEAD: usize = 8;
    let mut waiting = std::collections::VecDeque::new();
    for n in which {
        if waiting.len() == AHEAD {
            waiting.clear();
        }
        let tag = c.append_ahead(mailbox, letters.write(n, SIZE))?;
        waiting.push_back(tag);
        if waiting.len() == AHEAD
            && let Some(last) = waiting.back()
        {
            // The server answers in order: the last answer is behind all others.
            c.finish(last, "APPEND")?;
        }
    }
    if waiting.len() < AHEAD
        && let Some(last) = waiting.back()
    {
        c.finish(last, "APPEND")?;
    }
    Ok(())
}

fn repeat(c: &mut Raw, times: usize, command: impl Fn(usize) -> String) -> Result<()> {
    (0..times).try_for_each(|n| c.command(&command(n)).map(drop))
}

fn exists(heard: &Heard, count: usize, word: &str) -> Result<()> {
    let line = format!("* {count} {word}");
    ensure!(heard.tail.contains(&line), "expected {line}, got {}", heard.tail);
    Ok(())
}

/// The number behind a word.
pub(super) fn number_after(text: &str, word: &str) -> Result<u64> {
    let rest = text.split(word).nth(1).unwrap_or_default();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .map_err(|_| anyhow::anyhow!("no number behind {word}in {text}"))
}

/// `100,000`
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
