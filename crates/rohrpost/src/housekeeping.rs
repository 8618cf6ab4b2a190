//! What has to be done from time to time: history is forgotten when its time is over.

use crate::engine::Engine;
use ledger::{AcceptanceId, Filter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Not in the first moments, which belong to the mail that waits.
const FIRST: Duration = Duration::from_secs(300);
/// How often.
const EVERY: Duration = Duration::from_secs(3600);
/// Messages forgotten in one transaction, so that nobody waits long behind it.
const BATCH: u32 = 500;

/// Keeps house until it is aborted.
pub async fn run(engine: Arc<Engine>, history: Duration) {
    tokio::time::sleep(FIRST).await;
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(now.saturating_sub(history).as_secs()).unwrap_or(0);
        if let Err(e) = forget(&engine, before).await {
            tracing::warn!(error = %e, "history was not forgotten; tried again in an hour");
        }
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
