//! What was seen of mail in the names of domains that want to be told (RFC 7489 §7.2), gathered in memory and written down every minute:
//! a report that misses a minute after a crash is good enough, and a write for each message would not be.

use authentication::dmarc::Policy;
use authentication::results::Verdict;
use authentication::{dkim, dmarc, spf};
use net::now;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sightings::{Sighting, Tally};
use std::collections::HashMap;
use std::net::IpAddr;

/// Lines in memory; beyond that they are not counted before the next minute begins.
const LINES: usize = 20_000;
/// Signatures that a line tells of.
const SIGNATURES: usize = 4;

/// What messages of one line have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) source: String,
    pub(crate) disposition: String,
    pub(crate) reason: Option<String>,
    pub(crate) dkim_aligned: bool,
    pub(crate) spf_aligned: bool,
    pub(crate) header_from: String,
    pub(crate) envelope_from: String,
    pub(crate) dkim: Vec<(String, String, String)>,
    pub(crate) spf: (String, bool, String),
}

/// Day, domain and line.
type Key = (i64, String, Line);

pub(crate) struct Observed {
    pub(crate) tally: Tally,
    /// With the record as it was seen.
    lines: Mutex<HashMap<Key, (String, u64)>>,
}

impl Observed {
    pub(crate) fn new(tally: Tally) -> Observed {
        Observed {
            tally,
            lines: Mutex::new(HashMap::new()),
        }
    }

    /// Notes a message, if the domain wants to be told.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn note(
        &self,
        source: IpAddr,
        sender: &str,
        spf: &spf::Outcome,
        dkim: &[dkim::Verification],
        dmarc: &dmarc::Verification,
        done: Policy,
        reason: Option<String>,
    ) {
        let Some((at, record)) = dmarc.record.as_ref().filter(|(_, record)| !record.reports.is_empty()) else {
            return;
        };
        let line = Line {
            source: source.to_canonical().to_string(),
            disposition: done.name().to_owned(),
            reason,
            dkim_aligned: dmarc.dkim_aligned,
            spf_aligned: dmarc.spf_aligned,
            header_from: dmarc.domain.clone(),
            envelope_from: sender.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase(),
            dkim: dkim
                .iter()
                .filter(|found| !found.domain.is_empty())
                .take(SIGNATURES)
                .map(|found| {
                    (
                        found.domain.clone(),
                        found.selector.clone(),
                        found.verdict.name().to_owned(),
                    )
                })
                .collect(),
            spf: (
                spf.domain.clone(),
                spf.identity == spf::Identity::Helo,
                spf.verdict.name().to_owned(),
            ),
        };
        let mut lines = self.lines.lock();
        let key = (now() / 86_400, at.clone(), line);
        if let Some((_, count)) = lines.get_mut(&key) {
            *count += 1;
        } else if lines.len() < LINES {
            lines.insert(key, (record.text.clone(), 1));
        }
    }

    /// Writes down what has gathered; what could not be written is kept for the next time. Blocks.
    pub(crate) fn flush(&self) -> db::Result<()> {
        let lines: Vec<(Key, (String, u64))> = std::mem::take(&mut *self.lines.lock()).into_iter().collect();
        let sighting = |((day, domain, line), (record, count)): &(Key, (String, u64))| Sighting {
            day: *day,
            domain: domain.clone(),
            line: serde_json::to_string(line).unwrap_or_default(),
            record: record.clone(),
            count: *count,
        };
        let seen: Vec<Sighting> = lines.iter().map(sighting).collect();
        self.tally.add(&seen).map_err(|(written, error)| {
            let mut gathering = self.lines.lock();
            for (key, (record, count)) in lines.into_iter().skip(written) {
                gathering.entry(key).or_insert((record, 0)).1 += count;
            }
            error
        })
    }
}

/// A verdict by its name.
pub(crate) fn verdict(name: &str) -> Verdict {
    [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::SoftFail,
        Verdict::Neutral,
        Verdict::Policy,
        Verdict::TempError,
        Verdict::PermError,
    ]
    .into_iter()
    .find(|verdict| verdict.name() == name)
    .unwrap_or(Verdict::None)
}
