//! What has to be done from time to time: history is forgotten when its time is over, the room of deleted mail is given back.

use crate::engine::Engine;
use crate::failure::Failure;
use blobs::{BlobId, Policy, Reclaimed};
use ledger::{AcceptanceId, Filter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Not in the first moments, which belong to the mail that waits.
const FIRST: Duration = Duration::from_secs(300);
/// How often history is looked at.
const EVERY: Duration = Duration::from_secs(3600);
/// Every how many of these looks room is given back: once a day.
const RECLAIM_EVERY: u64 = 24;
/// Messages forgotten in one transaction, so that nobody waits long behind it.
const BATCH: u32 = 500;

/// Keeps house until it is aborted.
pub async fn run(engine: Arc<Engine>, history: Duration) {
    tokio::time::sleep(FIRST).await;
    let mut ticks = tokio::time::interval(EVERY);
    for round in 1u64.. {
        ticks.tick().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(now.saturating_sub(history).as_secs()).unwrap_or(0);
        if let Err(e) = forget(&engine, before).await {
            tracing::warn!(error = %e, "history was not forgotten; tried again in an hour");
        }
        if round % RECLAIM_EVERY == 0 {
            forget_memory(&engine).await;
            let engine = Arc::clone(&engine);
            match tokio::task::spawn_blocking(move || reclaim(&engine)).await {
                Ok(Ok(done)) if done.removed > 0 => {
                    tracing::info!(
                        segments = done.removed,
                        octets = done.removed_bytes,
                        "room of deleted mail given back"
                    );
                }
                Ok(Ok(_)) => {}
                Ok(Err(e)) => {
                    tracing::warn!(error = %e, "room of deleted mail was not given back; tried again tomorrow");
                }
                Err(e) => tracing::error!(error = %e, "room of deleted mail was not given back"),
            }
        }
    }
}

/// Lets the scripts of all accounts forget what they need no longer remember.
async fn forget_memory(engine: &Arc<Engine>) {
    let engine = Arc::clone(engine);
    let done = tokio::task::spawn_blocking(move || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(0);
        for account in engine.directory.account_list() {
            if engine.store.account_exists(account.id)
                && let Err(e) = engine
                    .store
                    .account(account.id)
                    .and_then(|a| a.script_memory_forget(now))
            {
                tracing::warn!(account = account.address(), error = %e, "what its scripts remember was not tidied");
            }
        }
    });
    if let Err(e) = done.await {
        tracing::error!(error = %e, "what scripts remember was not tidied");
    }
}

/// Forgets settled messages accepted before that second, and then what the accounts know of their arrival.
async fn forget(engine: &Arc<Engine>, before: i64) -> Result<(), String> {
    let mut forgotten = 0;
    loop {
        let batch = engine
            .ledger
            .history_forget(before, BATCH)
            .await
            .map_err(|e| e.to_string())?;
        forgotten += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    if forgotten == 0 {
        return Ok(());
    }
    tracing::info!(messages = forgotten, "history forgotten");
    let engine = Arc::clone(engine);
    tokio::task::spawn_blocking(move || {
        // A message with open recipients may be older than the history: what it has delivered must stay known.
        let oldest = engine.ledger.trace(&Filter::default(), 1).map_err(|e| e.to_string())?;
        let least = oldest.first().map_or(AcceptanceId::at(before), |r| {
            r.acceptance.id.min(AcceptanceId::at(before))
        });
        for account in engine.directory.account_list() {
            if engine.store.account_exists(account.id) {
                let forgotten = engine
                    .store
                    .account(account.id)
                    .and_then(|a| a.arrivals_forget(least.0));
                if let Err(e) = forgotten {
                    tracing::warn!(account = account.address(), error = %e, "old arrivals were not forgotten");
                }
            }
        }
        Ok(())
    })
    .await
    .map_err(|e| e.to_string())?
}

/// Gives back the room of message bytes that nothing refers to any more. Blocks, for as long as reading all references takes.
///
/// An account that cannot be read ends it: what cannot be seen to be dead stays.
pub fn reclaim(engine: &Engine) -> Result<Reclaimed, Failure> {
    // The order matters: a reference moves from the ledger to an account, never back.
    let mark = engine.blobs.mark();
    let mut live: Vec<u64> = Vec::new();
    engine
        .ledger
        .blob_references(|id| live.push(start(&id)))
        .map_err(Failure::new)?;
    // A reference is gone only when its removal is durable: a power cut would bring the message back, and its bytes must be there.
    engine.database.sync().map_err(Failure::new)?;
    for account in engine.directory.account_list() {
        if engine.store.account_exists(account.id) {
            let read = engine.store.account(account.id).and_then(|a| {
                a.blob_references(|id| live.push(start(&id)))?;
                a.sync()
            });
            read.map_err(|e| Failure::new(format!("account {}: {e}", account.address())))?;
        }
    }
    live.sort_unstable();
    live.dedup();
    let is_live = |id: &BlobId| live.binary_search(&start(id)).is_ok();
    engine
        .blobs
        .reclaim(mark, &is_live, &Policy::default())
        .map_err(Failure::new)
}

/// The first octets of a hash: enough to tell blobs apart, and where they do not, the dead one stays.
fn start(id: &BlobId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
