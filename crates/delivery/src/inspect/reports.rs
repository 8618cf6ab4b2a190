//! Aggregate reports, sent once a day for the day before (RFC 7489 §7.2).
//!
//! A report is a message like any other: it enters custody, and the queue carries it. Its rows are forgotten in the same moment: a crash
//! between the two sends it twice, never not at all.

use super::Inspector;
use super::observed::{Line, verdict};
use authentication::dmarc::{self, Policy, Record};
use authentication::report::{Report, Reporter, Row};
use db::Durability;

/// Days after which rows are forgotten that could not be reported.
const KEPT_DAYS: i64 = 7;

/// A domain's day that is to be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The day, counted from 1970.
    pub day: i64,
    /// The domain whose record asked for it.
    pub domain: String,
}

/// A report that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whom to.
    pub to: String,
    /// The whole message, without what signing adds.
    pub message: Vec<u8>,
}

impl Inspector {
    /// What is to be reported: whole days only. Blocks.
    pub fn reports_due(&self, now: i64) -> db::Result<Vec<Due>> {
        let today = now / 86_400;
        self.observed.database().write(Durability::Deferred, |tx| {
            tx.execute("DELETE FROM dmarc_seen WHERE day < ?1", &[(today - KEPT_DAYS).into()])?;
            tx.query_all(
                "SELECT DISTINCT day, domain FROM dmarc_seen WHERE day < ?1 ORDER BY day, domain LIMIT 10000",
                &[today.into()],
                |row| {
                    Ok(Due {
                        day: row.i64(0)?,
                        domain: row.text(1)?.to_owned(),
                    })
                },
            )
        })
    }

    /// Makes the messages of one report, for those destinations that want it. The error says why that cannot be told now.
    pub async fn report(&self, due: &Due, reporter: &Reporter, date: &str, unique: &str) -> Result<Vec<Sent>, String> {
        let (record, rows) = net::blocking(|| self.rows(due)).map_err(|error| error.to_string())?;
        let Some(record) = record.filter(|_| !rows.is_empty()) else {
            return Ok(Vec::new());
        };
        let begin = u64::try_from(due.day * 86_400).unwrap_or(0);
        let report = Report {
            reporter,
            domain: &due.domain,
            record: &record,
            begin,
            end: begin + 86_399,
            rows: &rows,
        };
        let mut sent = Vec::new();
        for (number, destination) in record.reports.iter().enumerate() {
            let wanted = dmarc::wants_reports(&self.names, &due.domain, destination, &self.options.limits);
            if !wanted.await? {
                tracing::info!(
                    domain = due.domain,
                    to = destination.address,
                    "does not want DMARC reports for that domain"
                );
                continue;
            }
            let Some(message) =
                net::blocking(|| report.message(&destination.address, date, &format!("{unique}.{number}")))
            else {
                continue;
            };
            if destination.limit.is_some_and(|limit| message.len() as u64 > limit) {
                tracing::info!(
                    domain = due.domain,
                    to = destination.address,
                    size = message.len(),
                    "wants smaller DMARC reports"
                );
                continue;
            }
            sent.push(Sent {
                to: destination.address.clone(),
                message,
            });
        }
        Ok(sent)
    }

    /// Forgets what has been reported. Blocks.
    pub fn reported(&self, due: &Due) -> db::Result<()> {
        self.observed.database().write(Durability::Synced, |tx| {
            tx.execute(
                "DELETE FROM dmarc_seen WHERE day = ?1 AND domain = ?2",
                &[due.day.into(), (&due.domain).into()],
            )?;
            Ok(())
        })
    }

    fn rows(&self, due: &Due) -> db::Result<(Option<Record>, Vec<Row>)> {
        let found = self.observed.database().read(|tx| {
            tx.query_all(
                "SELECT line, count, record FROM dmarc_seen WHERE day = ?1 AND domain = ?2",
                &[due.day.into(), (&due.domain).into()],
                |row| Ok((row.text(0)?.to_owned(), row.u64(1)?, row.text(2)?.to_owned())),
            )
        })?;
        let record = found.last().and_then(|(_, _, text)| Record::parse(text.as_bytes()));
        let rows = found.iter().filter_map(|(line, count, _)| {
            let line: Line = serde_json::from_str(line).ok()?;
            Some(Row {
                source: line.source,
                count: *count,
                disposition: match line.disposition.as_str() {
                    "reject" => Policy::Reject,
                    "quarantine" => Policy::Quarantine,
                    _ => Policy::None,
                },
                reason: line.reason,
                dkim_aligned: line.dkim_aligned,
                spf_aligned: line.spf_aligned,
                header_from: line.header_from,
                envelope_from: line.envelope_from,
                dkim: line.dkim.into_iter().map(|(d, s, v)| (d, s, verdict(&v))).collect(),
                spf: Some((line.spf.0, line.spf.1, verdict(&line.spf.2))),
            })
        });
        Ok((record, rows.collect()))
    }
}
