//! What inspection needs from time to time: the greylist is pruned, and domains that ask for it are told once a day what was seen of mail in
//! their name (RFC 7489 §7.2).

use crate::engine::Engine;
use authentication::report::Reporter;
use delivery::inspect::{Due, Inspector};
use ledger::{Acceptance, Lane, NewRecipient};
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(60);
/// Every how many of these looks reports are made. What is due is due once a day; more often only after a failure.
const REPORT_EVERY: u64 = 60;

/// Tidies and reports until it is aborted.
pub async fn run(engine: Arc<Engine>, inspector: Arc<Inspector>) {
    let mut ticks = tokio::time::interval(EVERY);
    for round in 0u64.. {
        ticks.tick().await;
        let tidied = net::blocking(|| inspector.tidy(net::now()));
        if let Err(error) = tidied {
            tracing::warn!(%error, "what inspection remembers was not tidied; tried again in a minute");
        }
        if round % REPORT_EVERY == 1 {
            report(&engine, &inspector).await;
        }
    }
}

async fn report(engine: &Engine, inspector: &Inspector) {
    let due = match net::blocking(|| inspector.reports_due(net::now())) {
        Ok(due) => due,
        Err(error) => return tracing::warn!(%error, "DMARC reports were not made; tried again in an hour"),
    };
    for due in due {
        if let Err(error) = report_one(engine, inspector, &due).await {
            tracing::warn!(
                domain = due.domain,
                error,
                "a DMARC report was not sent; tried again in an hour"
            );
        }
    }
}

/// Makes and sends the report on one domain's day.
async fn report_one(engine: &Engine, inspector: &Inspector, due: &Due) -> Result<(), String> {
    let host = inspector.options().hostname.clone();
    let domain = engine
        .directory
        .domain_list()
        .first()
        .map_or_else(|| host.clone(), |domain| domain.name.clone());
    let reporter = Reporter {
        organization: domain.clone(),
        contact: format!("postmaster@{domain}"),
        host: host.clone(),
    };
    let mut date = Vec::new();
    smtp::date(net::now(), &mut date);
    let unique = format!("dmarc.{}", engine.ledger.next_id());
    let sent = inspector
        .report(due, &reporter, &String::from_utf8_lossy(&date), &unique)
        .await?;
    for report in sent {
        let commit = net::blocking(|| engine.blobs.put(&report.message)).map_err(|e| e.to_string())?;
        // What comes back is for nobody: a report that cannot be delivered is not worth a second message, so it has no sender.
        let acceptance = Acceptance {
            helo: host.clone(),
            bulk: true,
            notes: Some(format!("DMARC report on {}", due.domain)),
            recipients: vec![NewRecipient {
                lane: match engine.directory.resolve(&report.to) {
                    directory::Resolution::Remote => Lane::Remote,
                    _ => Lane::Local,
                },
                address: report.to,
                original: None,
                notify: Some("NEVER".to_owned()),
            }],
            ..Acceptance::ours(engine.ledger.next_id(), net::now(), "dmarc")
        };
        let bytes = report.message.into();
        let taken = engine.ledger.accept(acceptance, commit, Some(bytes)).await;
        taken.map_err(|e| e.to_string())?;
    }
    net::blocking(|| inspector.reported(due)).map_err(|e| e.to_string())
}
