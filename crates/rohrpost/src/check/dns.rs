//! DNS: does the world find this server, and will it believe its mail. RFC 5321 §5 (MX), RFC 7208 (SPF), RFC 7489 (DMARC).

use super::Findings;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::IpAddr;
use std::time::Duration;

/// One question may take this long; there are few.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn look(hostname: &str, domains: &[String], findings: &mut Findings) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return findings.warning("DNS", format!("not asked: {e}")),
    };
    runtime.block_on(async {
        let resolver = TokioResolver::builder_tokio().and_then(|mut b| {
            b.options_mut().timeout = TIMEOUT;
            b.options_mut().attempts = 1;
            b.build()
        });
        match resolver {
            Ok(resolver) => ask(&resolver, hostname, domains, findings).await,
            Err(e) => findings.warning("DNS", format!("not asked: {e}")),
        }
    });
}

async fn ask(resolver: &TokioResolver, hostname: &str, domains: &[String], findings: &mut Findings) {
    let dot = format!("{hostname}.");
    let addresses = match records(resolver, &dot, RecordType::A).await {
        Ok(mut v4) => {
            v4.extend(records(resolver, &dot, RecordType::AAAA).await.unwrap_or_default());
            v4
        }
        Err(e) => {
            findings.warning(
                "DNS",
                format!("cannot be asked from here ({e}); nothing about it was checked"),
            );
            return;
        }
    };
    let addresses: Vec<IpAddr> = addresses
        .iter()
        .filter_map(|r| match r {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        })
        .collect();
    if addresses.is_empty() {
        findings.fault("DNS", format!("{hostname} has no address; add an A or AAAA record"));
    }
    for address in addresses {
        let back = resolver.reverse_lookup(address).await;
        let names: Vec<String> = back
            .iter()
            .flat_map(|l| l.answers())
            .filter_map(|r| {
                if let RData::PTR(name) = &r.data {
                    Some(plain(&name.0.to_string()))
                } else {
                    None
                }
            })
            .collect();
        if names.iter().any(|n| n == hostname) {
            findings.ok("DNS", format!("{address} ↔ {hostname}"));
        } else {
            let found = if names.is_empty() {
                "nothing".to_owned()
            } else {
                names.join(", ")
            };
            findings.warning(
                "DNS",
                format!("{address} points back to {found}, not {hostname}; ask who runs the network: many servers refuse such mail"),
            );
        }
    }
    for domain in domains {
        exchange(resolver, hostname, domain, findings).await;
        policy(
            resolver,
            domain,
            &format!("{domain}."),
            "v=spf1",
            "SPF",
            &format!("{domain} TXT \"v=spf1 mx -all\""),
            findings,
        )
        .await;
        let (name, example) = (
            format!("_dmarc.{domain}."),
            format!("_dmarc.{domain} TXT \"v=DMARC1; p=quarantine\""),
        );
        policy(resolver, domain, &name, "v=DMARC1", "DMARC", &example, findings).await;
    }
}

async fn exchange(resolver: &TokioResolver, hostname: &str, domain: &str, findings: &mut Findings) {
    match records(resolver, &format!("{domain}."), RecordType::MX).await {
        Ok(found) => {
            let hosts: Vec<String> = found
                .iter()
                .filter_map(|r| {
                    if let RData::MX(mx) = r {
                        Some(plain(&mx.exchange.to_string()))
                    } else {
                        None
                    }
                })
                .collect();
            if hosts.iter().any(|h| h == hostname) {
                findings.ok("DNS", format!("{domain} MX {hostname}"));
            } else if hosts.is_empty() {
                findings.fault(
                    "DNS",
                    format!("{domain} has no MX record; add {domain} MX 10 {hostname}."),
                );
            } else {
                findings.warning(
                    "DNS",
                    format!("mail for {domain} goes to {}, not to {hostname}", hosts.join(", ")),
                );
            }
        }
        Err(e) => findings.warning("DNS", format!("{domain} MX: {e}")),
    }
}

async fn policy(
    resolver: &TokioResolver,
    domain: &str,
    name: &str,
    begins: &str,
    what: &str,
    example: &str,
    findings: &mut Findings,
) {
    match records(resolver, name, RecordType::TXT).await {
        Ok(found) => {
            let count = found
                .iter()
                .filter(|r| {
                    if let RData::TXT(txt) = r {
                        txt.to_string().starts_with(begins)
                    } else {
                        false
                    }
                })
                .count();
            match count {
                1 => findings.ok("DNS", format!("{domain} has an {what} record")),
                0 => findings.warning("DNS", format!("{domain} has no {what} record; for instance: {example}")),
                n => findings.fault("DNS", format!("{domain} has {n} {what} records; only one may stand")),
            }
        }
        Err(e) => findings.warning("DNS", format!("{domain} {what}: {e}")),
    }
}

/// The records of one kind; none when the name or the kind does not exist.
async fn records(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<Vec<RData>, String> {
    match resolver.lookup(name, kind).await {
        Ok(lookup) => Ok(lookup
            .answers()
            .iter()
            .filter(|r| r.record_type() == kind)
            .map(|r| r.data.clone())
            .collect()),
        Err(e) if e.is_nx_domain() || e.is_no_records_found() => Ok(Vec::new()),
        Err(e) => Err(e.to_string()),
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
