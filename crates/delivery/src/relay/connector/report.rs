//! TLS reports (RFC 8460): domains that ask for it are told once a day how TLS with their hosts went.
//!
//! What happened is counted in memory, then by day and domain in `server.db`; when a day is over, a domain whose record at
//! `_smtp._tls.DOMAIN` says where to gets a JSON document by mail or HTTPS. Nobody is told twice; a report that cannot be given away on its day
//! is tried until it is a week old.

use super::https::Https;
use super::tls::FaultKind;
use crate::own::{Letter, OwnMail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use db::Database;
use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sightings::{Sighting, Tally};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 86_400;
/// How often counts go to the disk.
const FLUSH: Duration = Duration::from_secs(60);
/// Every how many of these reports that are due are sent.
const REPORT_EVERY: u64 = 60;
/// Different things that are counted in memory between two flushes; further ones are left out.
const MOST: usize = 20_000;
/// Places that a record may have reports sent to.
const PLACES: usize = 5;

/// Which policy was in force (§4.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Policy {
    /// `tlsa`, `sts` or `no-policy-found`.
    pub(super) kind: String,
    pub(super) strings: Vec<String>,
    /// Hosts that the policy names (MTA-STS).
    pub(super) hosts: Vec<String>,
}

impl Policy {
    pub(super) fn none() -> Policy {
        Policy {
            kind: "no-policy-found".to_owned(),
            strings: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// A failure, as far as sessions have it in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Failure {
    kind: String,
    host: String,
    address: Option<String>,
    reason: String,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Line {
    policy: Policy,
    failure: Option<Failure>,
}

/// What was seen, and who is told.
pub(super) struct Reports {
    tally: Tally,
    seen: Mutex<HashMap<(i64, String, Line), u64>>,
}

impl Reports {
    pub(super) fn new(database: Arc<Database>) -> Reports {
        Reports {
            tally: Tally::of_tls(database),
            seen: Mutex::default(),
        }
    }

    /// A session with a host of a domain came about as the policy asks.
    pub(super) fn success(&self, domain: &str, policy: Policy) {
        self.count(domain, Line { policy, failure: None });
    }

    /// It did not.
    pub(super) fn failure(
        &self,
        domain: &str,
        policy: Policy,
        kind: FaultKind,
        host: &str,
        address: Option<std::net::IpAddr>,
        reason: &str,
    ) {
        let failure = Failure {
            kind: kind.name().to_owned(),
            host: host.to_owned(),
            address: address.map(|address| address.to_string()),
            reason: reason.chars().take(200).collect(),
        };
        let failure = Some(failure);
        self.count(domain, Line { policy, failure });
    }

    fn count(&self, domain: &str, line: Line) {
        let mut seen = self.seen.lock();
        let key = (net::now() / DAY, domain.to_owned(), line);
        if seen.len() < MOST || seen.contains_key(&key) {
            *seen.entry(key).or_insert(0) += 1;
        }
    }

    /// What was counted goes to the disk.
    pub(super) fn flush(&self) {
        let seen = std::mem::take(&mut *self.seen.lock());
        let sightings: Vec<Sighting> = seen
            .into_iter()
            .filter_map(|((day, domain, line), count)| {
                let line = serde_json::to_string(&line).ok()?;
                let record = String::new();
                Some(Sighting {
                    day,
                    domain,
                    line,
                    record,
                    count,
                })
            })
            .collect();
        if let Err((_, error)) = self.tally.add(&sightings) {
            tracing::warn!(%error, "what was seen of TLS with other servers was not written, and will be missing in reports");
        }
    }

    /// Counts and reports until it is aborted.
    pub(super) async fn run(&self, https: &Https, own: &OwnMail) {
        let mut ticks = tokio::time::interval(FLUSH);
        for round in 0u64.. {
            ticks.tick().await;
            net::blocking(|| self.flush());
            if round % REPORT_EVERY == 0 {
                self.report(https, own).await;
            }
        }
    }

    async fn report(&self, https: &Https, own: &OwnMail) {
        let due = match net::blocking(|| self.tally.days_before(net::now() / DAY)) {
            Ok(due) => due,
            Err(error) => return tracing::warn!(%error, "TLS reports were not made; tried again in an hour"),
        };
        for (day, domain) in due {
            if let Err(why) = self.report_one(https, own, day, &domain).await {
                tracing::warn!(domain, why, "a TLS report was not sent; tried again in an hour");
            }
        }
    }

    async fn report_one(&self, https: &Https, own: &OwnMail, day: i64, domain: &str) -> Result<(), String> {
        let places = match https.resolver.txt(&format!("_smtp._tls.{domain}")).await {
            Ok(found) => places(&found.records),
            Err(error) if error.is_absent() => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        if !places.is_empty() {
            let seen = net::blocking(|| self.tally.of(day, domain)).map_err(|e| e.to_string())?;
            let id = format!("{}.{day}.{domain}", own.unique());
            let document = document(&seen, day, domain, &own.postmaster(), own.hostname(), &id);
            let packed = pack(&document).map_err(|e| e.to_string())?;
            let mut told = Err("it has no place to be sent to".to_owned());
            for place in places {
                let sent = match &place {
                    Place::Mail(address) => {
                        let letter = letter(own, address, domain, day, &id, &packed);
                        own.send(letter).await.map(drop).map_err(|e| e.to_string())
                    }
                    Place::Https { host, port, path } => {
                        let kind = "application/tlsrpt+gzip";
                        https.post(host, *port, path, kind, Bytes::from(packed.clone())).await
                    }
                };
                // One place that has it is enough (§3): the others are told if they can be.
                if told.is_err() {
                    told = sent;
                }
            }
            told?;
        }
        net::blocking(|| self.tally.forget(day, domain)).map_err(|e| e.to_string())
    }
}

/// Where a report is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Mail(String),
    Https {
        host: String,
        port: Option<u16>,
        path: String,
    },
}

/// `tlsrpt-record`, §3: what follows `rua=`. Several records are none.
fn places(records: &[Vec<u8>]) -> Vec<Place> {
    let mut found = records.iter().filter_map(|record| {
        let text = std::str::from_utf8(record).ok()?;
        text.strip_prefix("v=TLSRPTv1")
            .filter(|rest| rest.trim_start().starts_with(';'))
    });
    let (Some(record), None) = (found.next(), found.next()) else {
        return Vec::new();
    };
    let Some(list) = record.split(';').find_map(|field| field.trim().strip_prefix("rua=")) else {
        return Vec::new();
    };
    list.split(',').map(str::trim).filter_map(place).take(PLACES).collect()
}

fn place(text: &str) -> Option<Place> {
    if let Some(address) = text.strip_prefix("mailto:") {
        // What could be escaped in an address, nobody escapes here; `?subject=` and the like are passed over.
        let address = address.split('?').next()?;
        return smtp::Address::parse(address)
            .ok()
            .map(|address| Place::Mail(address.as_str().to_owned()));
    }
    let uri: hyper::Uri = text.parse().ok()?;
    if uri.scheme_str() != Some("https") {
        return None;
    }
    Some(Place::Https {
        host: authentication::normal(uri.host()?)?,
        port: uri.port_u16(),
        path: uri.path_and_query()?.as_str().to_owned(),
    })
}

/// A policy, how many sessions came about as it asks, and those that did not.
type Summary = (Policy, u64, Vec<(Failure, u64)>);

/// The report (§4.4).
fn document(seen: &[Sighting], day: i64, domain: &str, contact: &str, hostname: &str, id: &str) -> serde_json::Value {
    let mut policies: Vec<Summary> = Vec::new();
    for sighting in seen {
        let Ok(line) = serde_json::from_str::<Line>(&sighting.line) else {
            continue;
        };
        let at = match policies.iter().position(|(policy, ..)| *policy == line.policy) {
            Some(at) => at,
            None => {
                policies.push((line.policy, 0, Vec::new()));
                policies.len() - 1
            }
        };
        let Some((_, good, bad)) = policies.get_mut(at) else {
            continue;
        };
        match line.failure {
            None => *good += sighting.count,
            Some(failure) => bad.push((failure, sighting.count)),
        }
    }
    let policies: Vec<serde_json::Value> = policies
        .into_iter()
        .map(|(policy, good, bad)| {
            let mut about = serde_json::json!({ "policy-type": policy.kind, "policy-domain": domain });
            if !policy.strings.is_empty() {
                about["policy-string"] = policy.strings.into();
            }
            if !policy.hosts.is_empty() {
                about["mx-host"] = policy.hosts.into();
            }
            let failed: u64 = bad.iter().map(|(_, count)| count).sum();
            let mut entry = serde_json::json!({
                "policy": about,
                "summary": { "total-successful-session-count": good, "total-failure-session-count": failed },
            });
            let details: Vec<serde_json::Value> = bad
                .into_iter()
                .map(|(failure, count)| {
                    let mut detail = serde_json::json!({
                        "result-type": failure.kind,
                        "receiving-mx-hostname": failure.host,
                        "failed-session-count": count,
                        "failure-reason-code": failure.reason,
                    });
                    if let Some(address) = failure.address {
                        detail["receiving-ip"] = address.into();
                    }
                    detail
                })
                .collect();
            if !details.is_empty() {
                entry["failure-details"] = details.into();
            }
            entry
        })
        .collect();
    serde_json::json!({
        "organization-name": hostname,
        "date-range": { "start-datetime": smtp::timestamp(day * DAY), "end-datetime": smtp::timestamp((day + 1) * DAY - 1) },
        "contact-info": contact,
        "report-id": id,
        "policies": policies,
    })
}

fn pack(document: &serde_json::Value) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(document.to_string().as_bytes())?;
    encoder.finish()
}

/// The report as a message (§5.3).
fn letter(own: &OwnMail, to: &str, domain: &str, day: i64, id: &str, packed: &[u8]) -> Letter {
    let (hostname, from) = (own.hostname(), own.postmaster());
    let mut date = Vec::new();
    smtp::date(net::now(), &mut date);
    let date = String::from_utf8_lossy(&date);
    let boundary = format!("=_tlsrpt_{day}");
    let file = format!("{hostname}!{domain}!{}!{}.json.gz", day * DAY, (day + 1) * DAY - 1);
    let mut text = format!(
        "From: {from}\r\nTo: {to}\r\nSubject: Report Domain: {domain}\r\n Submitter: {hostname}\r\n Report-ID: <{id}@{hostname}>\r\nDate: {}\r\n\
         Message-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-generated\r\nTLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {hostname}\r\n\
         TLS-Required: No\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This is a report on TLS between {hostname} and the mail servers of\r\n{domain} (RFC 8460).\r\n\r\n\
         --{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n",
        date.trim()
    );
    for line in BASE64.encode(packed).as_bytes().chunks(76) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push_str("\r\n");
    }
    text.push_str(&format!("\r\n--{boundary}--\r\n"));
    Letter {
        to: vec![to.to_owned()],
        message: text.into_bytes(),
        body: smtp::Body::SevenBit,
        smtputf8: false,
        by: "tls-report",
        notes: format!("report on TLS with {domain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_reports_go() {
        let mail = |address: &str| Place::Mail(address.to_owned());
        for (record, expected) in [
            (
                "v=TLSRPTv1; rua=mailto:reports@example.com",
                vec![mail("reports@example.com")],
            ),
            (
                "v=TLSRPTv1;rua=mailto:a@b.example,https://r.example:8443/v1/tlsrpt?x=1",
                vec![
                    mail("a@b.example"),
                    Place::Https {
                        host: "r.example".to_owned(),
                        port: Some(8443),
                        path: "/v1/tlsrpt?x=1".to_owned(),
                    },
                ],
            ),
            ("v=TLSRPTv1; rua=http://r.example/, ftp:x, mailto:nobody", vec![]),
            ("v=TLSRPTv10; rua=mailto:a@b.example", vec![]),
            ("v=TLSRPTv1", vec![]),
        ] {
            assert_eq!(places(&[record.as_bytes().to_vec()]), expected, "{record}");
        }
        let record = b"v=TLSRPTv1; rua=mailto:a@b.example".to_vec();
        assert_eq!(places(&[record.clone(), record]), []);
    }

    #[test]
    fn a_day_of_a_domain() {
        let policy = Policy {
            kind: "sts".to_owned(),
            strings: vec!["version: STSv1".to_owned()],
            hosts: vec!["mx.example".to_owned()],
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.db");
        let database = Database::open(&file, &[sightings::SCHEMA], db::Options::default()).unwrap();
        let reports = Reports::new(Arc::new(database));
        reports.success("example", policy.clone());
        reports.success("example", policy.clone());
        let address = Some("192.0.2.1".parse().unwrap());
        reports.failure("example", policy, FaultKind::Expired, "mx.example", address, "old");
        reports.success("example", Policy::none());
        reports.flush();
        let day = net::now() / DAY;
        let seen = reports.tally.of(day, "example").unwrap();
        let mut report = document(&seen, day, "example", "postmaster@us.example", "mail.us.example", "7");
        report["policies"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(|p| p["policy"]["policy-type"].to_string());
        assert_eq!(
            report["policies"],
            serde_json::json!([
                {
                    "policy": { "policy-type": "no-policy-found", "policy-domain": "example" },
                    "summary": { "total-successful-session-count": 1, "total-failure-session-count": 0 },
                },
                {
                    "policy": {
                        "policy-type": "sts", "policy-domain": "example",
                        "policy-string": ["version: STSv1"], "mx-host": ["mx.example"],
                    },
                    "summary": { "total-successful-session-count": 2, "total-failure-session-count": 1 },
                    "failure-details": [{
                        "result-type": "certificate-expired", "receiving-mx-hostname": "mx.example",
                        "receiving-ip": "192.0.2.1", "failed-session-count": 1, "failure-reason-code": "old",
                    }],
                },
            ])
        );
        let unpacked = {
            use std::io::Read as _;
            let packed = pack(&report).unwrap();
            let mut text = String::new();
            flate2::read::GzDecoder::new(packed.as_slice())
                .read_to_string(&mut text)
                .unwrap();
            text
        };
        assert_eq!(serde_json::from_str::<serde_json::Value>(&unpacked).unwrap(), report);
    }
}
