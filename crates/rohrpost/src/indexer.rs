//! Brings search indexes forward after mail has come in: in the background, account by account in turns, a piece at a time, so that
//! neither delivery nor one large mailbox is in the way of the others.

use crate::admin::Rows;
use crate::admin::request::Done;
use crate::engine::Engine;
use crate::failure::Failure;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{AccountId, IndexStep};

/// What arrives in this time is indexed together.
const GATHER: Duration = Duration::from_secs(2);
/// At most so often an account's index is looked through for what was expunged.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// Accounts whose last look is remembered.
const REMEMBERED: usize = 10_000;
/// Messages between two lines of progress.
const PROGRESS_EVERY: u64 = 1000;

/// Indexes what is due until it is aborted.
pub async fn run(engine: Arc<Engine>) {
    let mut looked: HashMap<AccountId, Instant> = HashMap::new();
    loop {
        let id = engine.store.index_due().next().await;
        tokio::time::sleep(GATHER).await;
        let forget = looked.get(&id).is_none_or(|at| at.elapsed() > FORGET_EVERY);
        let worker = Arc::clone(&engine);
        let step = tokio::task::spawn_blocking(move || step(&worker, id, forget)).await;
        match step {
            Ok(Ok(step)) if step.done => {
                if forget {
                    if looked.len() >= REMEMBERED {
                        looked.clear();
                    }
                    looked.insert(id, Instant::now());
                }
            }
            // The others have their turn first.
            Ok(Ok(_)) => engine.store.index_due().note(id),
            // The next message, or the next search, tries again.
            Ok(Err(error)) => tracing::warn!(account = id.0, %error, "the search index stays behind"),
            Err(error) => tracing::error!(account = id.0, %error, "the search index stays behind"),
        }
    }
}

/// A turn: as much as takes about a tenth of a second.
fn step(engine: &Engine, id: AccountId, forget: bool) -> store::Result<IndexStep> {
    if engine.directory.account(id).is_none() {
        return Ok(IndexStep { added: 0, done: true });
    }
    let account = engine.store.account(id)?;
    account.fresh_settle()?;
    let began = Instant::now();
    loop {
        let step = account.index_step()?;
        if step.done && forget {
            account.index_forget()?;
        }
        if step.done || began.elapsed() > Duration::from_millis(100) {
            return Ok(step);
        }
    }
}

/// `search rebuild`: throws indexes away and makes them anew; of one account, or of all.
pub fn rebuild(engine: &Engine, address: Option<&str>, rows: Rows<'_>) -> Result<Done, Failure> {
    each(engine, address, |name, account| {
        account.index_reset().map_err(Failure::new)?;
        let of = account.index_behind().map_err(Failure::new)?;
        let (mut indexed, mut told) = (0u64, 0u64);
        loop {
            let step = account.index_step().map_err(Failure::new)?;
            indexed += step.added as u64;
            if step.done {
                break;
            }
            if indexed - told >= PROGRESS_EVERY {
                told = indexed;
                rows(json!({ "account": name, "messages": indexed, "of": of, "progress": true }))?;
            }
        }
        let (messages, octets) = account.index_size().map_err(Failure::new)?;
        rows(json!({ "account": name, "messages": messages, "size": octets, "behind": 0 }))
    })?;
    Ok(Done::default())
}

/// `search list`: how large the indexes are, and how far behind.
pub fn list(engine: &Engine, rows: Rows<'_>) -> Result<Done, Failure> {
    each(engine, None, |name, account| {
        let (messages, octets) = account.index_size().map_err(Failure::new)?;
        let behind = account.index_behind().map_err(Failure::new)?;
        rows(json!({ "account": name, "messages": messages, "size": octets, "behind": behind }))
    })?;
    Ok(Done::default())
}

fn each(
    engine: &Engine,
    address: Option<&str>,
    mut work: impl FnMut(&str, &store::Account) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let accounts = match address {
        Some(address) => vec![crate::admin::find(engine, address)?],
        None => engine.directory.account_list(),
    };
    for account in accounts {
        if engine.store.account_exists(account.id) {
            let opened = engine.store.account(account.id).map_err(Failure::new)?;
            work(account.address(), &opened)?;
        }
    }
    Ok(())
}
