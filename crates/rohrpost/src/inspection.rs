//! What inspection needs from time to time: the greylist is pruned, and domains that ask for it are told once a day what was seen of mail in
//! their name (RFC 7489 §7.2).

use crate::engine::Outward;
use authentication::report::Reporter;
use delivery::inspect::{Due, Inspector};
use delivery::own::Letter;
use smtp::Body;
use std::sync::Arc;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(60);
/// Every how many of these looks reports are made. What is due is due once a day; more often only after a failure.
const REPORT_EVERY: u64 = 60;

/// Tidies and reports until it is aborted.
pub async fn run(outward: Arc<Outward>, inspector: Arc<Inspector>) {
    let mut ticks = tokio::time::interval(EVERY);
    for round in 0u64.. {
        ticks.tick().await;
        let tidied = net::blocking(|| inspector.tidy(net::now()));
        if let Err(error) = tidied {
            tracing::warn!(%error, "what inspection remembers was not tidied; tried again in a minute");
        }
        if round % REPORT_EVERY == 0 {
            report(&outward, &inspector).await;
        }
    }
}

async fn report(outward: &Outward, inspector: &Inspector) {
    let due = match net::blocking(|| inspector.reports_due(net::now())) {
        Ok(due) => due,
        Err(error) => return tracing::warn!(%error, "DMARC reports were not made; tried again in an hour"),
    };
    for due in due {
        if let Err(error) = report_one(outward, inspector, &due).await {
            tracing::warn!(
                domain = due.domain,
                error,
                "a DMARC report was not sent; tried again in an hour"
            );
        }
    }
}

/// Makes and sends the report on one domain's day.
async fn report_one(outward: &Outward, inspector: &Inspector, due: &Due) -> Result<(), String> {
    let own = &outward.own;
    let contact = own.postmaster();
    let reporter = Reporter {
        organization: contact.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned(),
        contact,
        host: own.hostname().to_owned(),
    };
    let mut date = Vec::new();
    smtp::date(net::now(), &mut date);
    let unique = format!("dmarc.{}", own.unique());
    let sent = inspector
        .report(due, &reporter, &String::from_utf8_lossy(&date), &unique)
        .await?;
    for report in sent {
        // What comes back is for nobody: a report that cannot be delivered is not worth a second message.
        let letter = Letter {
            to: vec![report.to],
            message: report.message,
            body: Body::SevenBit,
            smtputf8: false,
            by: "dmarc",
            notes: format!("DMARC report on {}", due.domain),
        };
        own.send(letter).await.map_err(|e| e.to_string())?;
    }
    net::blocking(|| inspector.reported(due)).map_err(|e| e.to_string())
}
