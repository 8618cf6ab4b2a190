//! Aggregate reports, sent once a day for the day before (RFC 7489 §7.2).
//!
//! A report is a message like any other: it enters custody, and the queue carries it. Its rows are forgotten in the same moment: a crash
//! between the two sends it twice, never not at all.

use super::Inspector;
use super::observed::{Line, verdict};
use authentication::dmarc::{self, Policy, Record};
use authentication::report::{Report, Reporter, Row};

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
        let days = self.observed.tally.days_before(now / 86_400)?;
        Ok(days.into_iter().map(|(day, domain)| Due { day, domain }).collect())
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
        self.observed.tally.forget(due.day, &due.domain)
    }

    fn rows(&self, due: &Due) -> db::Result<(Option<Record>, Vec<Row>)> {
        let found = self.observed.tally.of(due.day, &due.domain)?;
        let record = found.last().and_then(|last| Record::parse(last.record.as_bytes()));
        let rows = found.iter().filter_map(|seen| {
            let line: Line = serde_json::from_str(&seen.line).ok()?;
            Some(Row {
                source: line.source,
                count: seen.count,
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
