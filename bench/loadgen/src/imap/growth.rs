//! What a mailbox's size costs: the same operations in a small one and in a large one, a round of each in turn, so that what else the
//! machine does falls on both.

use super::operations::{fill, thousands};
use super::raw::Raw;
use super::{Letters, Login, fresh};
use crate::record::Record;
use anyhow::Result;
use std::time::Instant;

/// Messages that are appended; more are copies of these.
const STAGE: usize = 5_000;
/// Rounds, and operations of one kind in a round.
const ROUNDS: usize = 5;
const OPERATIONS: usize = 40;

/// `growth`
pub fn run(server: &str, login: &Login, small: usize, large: usize) -> Result<Vec<Record>> {
    let mut c = login.open()?;
    let stage = fresh("stage");
    c.command(&format!("CREATE {stage}"))?;
    let mut letters = Letters::new(&stage);
    fill(&mut c, &stage, &mut letters, 0..STAGE)?;
    let mut mailboxes = Vec::new();
    for count in [small, large] {
        let name = fresh("box");
        c.command(&format!("CREATE {name}"))?;
        c.command(&format!("SELECT {stage}"))?;
        for _ in 0..count / STAGE {
            c.command(&format!("COPY 1:* {name}"))?;
        }
        c.command("UNSELECT")?;
        mailboxes.push((name, count, Times::default()));
    }
    for round in 0..ROUNDS {
        for (name, count, times) in &mut mailboxes {
            times.round(&mut c, &mut letters, name, *count, round)?;
        }
    }
    let mut records = Vec::new();
    for (name, count, times) in mailboxes {
        c.command(&format!("DELETE {name}"))?;
        for (operation, ms) in [
            ("SELECT", times.select),
            ("STORE one", times.store),
            ("APPEND 4 KB", times.append),
            ("EXPUNGE one", times.expunge),
            ("FETCH flags of the last 50", times.fetch),
        ] {
            let words = format!("IMAP, {} messages, growth: {operation}", thousands(count));
            records.push(Record::new(server, words).with("ms", median(ms)));
        }
    }
    c.command(&format!("DELETE {stage}"))?;
    Ok(records)
}

/// Milliseconds of each operation.
#[derive(Default)]
struct Times {
    select: Vec<f64>,
    store: Vec<f64>,
    append: Vec<f64>,
    expunge: Vec<f64>,
    fetch: Vec<f64>,
}

impl Times {
    fn round(&mut self, c: &mut Raw, letters: &mut Letters, name: &str, count: usize, round: usize) -> Result<()> {
        // The first SELECT of a round reads what the rounds before have pushed out of caches; it is not counted.
        c.command(&format!("SELECT {name}"))?;
        for n in 0..OPERATIONS {
            let at = 1 + (n * 7919 + round * 104_729) % (count / 2);
            time(&mut self.select, || c.command(&format!("SELECT {name}")).map(drop))?;
            time(&mut self.store, || {
                let sign = if round.is_multiple_of(2) { '+' } else { '-' };
                c.command(&format!("STORE {at} {sign}FLAGS (\\Flagged)")).map(drop)
            })?;
            let letter = letters.write((round * OPERATIONS + n) | 1 << 24, 4096).to_vec();
            time(&mut self.append, || c.append(name, &letter).map(drop))?;
            c.command(&format!("STORE {at} +FLAGS.SILENT (\\Deleted)"))?;
            time(&mut self.expunge, || c.command("EXPUNGE").map(drop))?;
            time(&mut self.fetch, || {
                c.command(&format!("FETCH {}:{} (UID FLAGS)", count - 50, count - 1))
                    .map(drop)
            })?;
        }
        c.command("UNSELECT").map(drop)
    }
}

fn time(into: &mut Vec<f64>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    work()?;
    into.push(begun.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
