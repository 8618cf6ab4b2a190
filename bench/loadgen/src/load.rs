//! Many sessions at once, and what came of them.

use crate::Load;
use crate::imap::Mailbox;
use crate::message::Stock;
use crate::record::Record;
use crate::smtp::Connection;
use anyhow::{Context, Result, ensure};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Tries for one message before it counts as failed.
const TRIES: usize = 3;

/// What the sessions share; all run in one thread.
struct Shared {
    load: Load,
    stock: Stock,
    next: Cell<usize>,
    latencies: RefCell<Vec<u32>>,
    failed: Cell<usize>,
    complaint: RefCell<Option<String>>,
}

/// How it went.
struct Outcome {
    seconds: f64,
    record: Record,
    run: String,
}

/// `accept`
pub async fn accept(name: &str, load: &Load) -> Result<Record> {
    Ok(send(name, "accept", load).await?.record)
}

/// `deliver`
pub fn deliver(name: &str, load: &Load, imap: &str, password: &str, patience: u64) -> Result<Record> {
    let mut boxes = Vec::new();
    for user in &load.to {
        let mut mailbox = Mailbox::open(imap, user, password).with_context(|| format!("{user} at {imap}"))?;
        let before = mailbox.messages()?;
        boxes.push((mailbox, before));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let outcome = runtime.block_on(send(name, "deliver", load))?;
    let wanted = load.count.saturating_sub(outcome.record.failed() as usize);
    let until = Instant::now() + Duration::from_secs(patience);
    let mut seen;
    loop {
        seen = 0;
        for (mailbox, before) in &mut boxes {
            seen += mailbox.messages()?.saturating_sub(*before);
        }
        if seen >= wanted || Instant::now() > until {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let seconds = begun.elapsed().as_secs_f64();
    for (mailbox, before) in &mut boxes {
        let count = mailbox.messages()?;
        if count > *before {
            let text = mailbox.fetch_last(count)?;
            ensure!(
                text.contains(&outcome.run),
                "the last message of a mailbox is not one of this run"
            );
        }
    }
    let record = outcome.record;
    let failed = record.failed() + wanted.saturating_sub(seen) as f64;
    Ok(record
        .with("delivered per second", seen as f64 / seconds)
        .with("visible after the last 250, s", seconds - outcome.seconds)
        .with("failed", failed))
}

async fn send(name: &str, work: &str, load: &Load) -> Result<Outcome> {
    let run = format!(
        "{:x}.{}",
        std::time::UNIX_EPOCH.elapsed()?.as_millis(),
        std::process::id()
    );
    let shared = Rc::new(Shared {
        load: load.clone(),
        stock: Stock::new(1, run.clone()),
        next: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(load.count)),
        failed: Cell::new(0),
        complaint: RefCell::new(None),
    });
    let cpu = crate::process::own_cpu_seconds();
    let begun = Instant::now();
    let sessions = LocalSet::new();
    for _ in 0..load.sessions.max(1) {
        sessions.spawn_local(session(shared.clone()));
    }
    sessions.await;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = crate::process::own_cpu_seconds() - cpu;

    if let Some(complaint) = shared.complaint.borrow().as_deref() {
        eprintln!("{name}: first complaint: {complaint}");
    }
    let mut latencies = shared.latencies.take();
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((latencies.len() as f64 - 1.0).max(0.0) * part).round() as usize;
        latencies.get(index).map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    let connection = if load.kept {
        "connections kept"
    } else {
        "a connection each"
    };
    let steps = if load.stepwise { ", stepwise" } else { "" };
    let work = if load.login.is_some() { "submit" } else { work };
    let sessions = if load.sessions == 1 {
        "1 session".to_owned()
    } else {
        format!("{} sessions", load.sessions)
    };
    let words = format!("{work}, {} KB, {sessions}, {connection}{steps}", load.size / 1000);
    let record = Record::new(name, words)
        .with("accepted per second", latencies.len() as f64 / seconds)
        .with("final 250, ms, p50", at(0.5))
        .with("final 250, ms, p99", at(0.99))
        .with("generator's own CPU, s", cpu)
        .with("failed", shared.failed.get() as f64);
    Ok(Outcome { seconds, record, run })
}

/// One session's share of the messages.
async fn session(shared: Rc<Shared>) {
    let load = &shared.load;
    let mut kept: Option<Connection> = None;
    let mut message = Vec::with_capacity(load.size + 1024);
    loop {
        let n = shared.next.get();
        if n >= load.count {
            break;
        }
        shared.next.set(n + 1);
        let to = load.to.get(n % load.to.len().max(1)).map_or("", String::as_str);
        shared
            .stock
            .write(n, load.login().map(|(user, _)| user), to, load.size, &mut message);
        let mut tries = 0;
        loop {
            tries += 1;
            match one(&shared, &mut kept, to, &message).await {
                Ok(()) => break,
                Err(e) => {
                    kept = None;
                    shared.complaint.borrow_mut().get_or_insert_with(|| format!("{e:#}"));
                    if tries == TRIES {
                        shared.failed.set(shared.failed.get() + 1);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    if let Some(connection) = kept {
        let _ = connection.quit().await;
    }
}

async fn one(shared: &Shared, kept: &mut Option<Connection>, to: &str, message: &[u8]) -> Result<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let mut connection = Connection::open(&shared.load.smtp, shared.load.stepwise).await?;
            if let Some((user, password)) = shared.load.login() {
                connection.login(user, password).await?;
            }
            connection
        }
    };
    let from = shared.load.login().map_or("load@sender.test", |(user, _)| user);
    connection.envelope(from, to).await?;
    let sent = Instant::now();
    connection.message(message).await?;
    let taken = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
    shared.latencies.borrow_mut().push(taken);
    if shared.load.kept {
        *kept = Some(connection);
    } else {
        // The message is accepted: a clumsy goodbye does not make it fail.
        let _ = connection.quit().await;
    }
    Ok(())
}
