//! DNS: does the world find this server, and will it believe its mail. RFC 5321 §5 (MX), RFC 7208 (SPF), RFC 7489 (DMARC).

use super::Findings;
use dns::{Answer, Error, Limits, Options, Resolver, Validation};
use std::net::SocketAddr;
use std::time::Duration;

/// One question may take this long; there are few.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn look(servers: &[SocketAddr], hostname: &str, domains: &[String], findings: &mut Findings) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return findings.warning("DNS", format!("not asked: {e}")),
    };
    let options = Options {
        servers: servers.to_vec(),
        validation: Validation::Off,
        trust_anchor: None,
        limits: Limits {
            timeout: TIMEOUT,
            patience: TIMEOUT,
            retries: 0,
            ..Limits::default()
        },
    };
    runtime.block_on(async {
        match Resolver::new(&options) {
            Ok(resolver) => ask(&resolver, hostname, domains, findings).await,
            Err(e) => findings.warning("DNS", format!("not asked: {e}")),
        }
    });
}

async fn ask(resolver: &Resolver, hostname: &str, domains: &[String], findings: &mut Findings) {
    let addresses = match found(resolver.a(hostname).await) {
        Ok(mut v4) => {
            v4.extend(found(resolver.aaaa(hostname).await).unwrap_or_default());
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
    if addresses.is_empty() {
        findings.fault("DNS", format!("{hostname} has no address; add an A or AAAA record"));
    }
    for address in addresses {
        let names = found(resolver.ptr(address).await).unwrap_or_default();
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
            domain,
            "v=spf1",
            "SPF",
            &format!("{domain} TXT \"v=spf1 mx -all\""),
            findings,
        )
        .await;
        let (name, example) = (
            format!("_dmarc.{domain}"),
            format!("_dmarc.{domain} TXT \"v=DMARC1; p=quarantine\""),
        );
        policy(resolver, domain, &name, "v=DMARC1", "DMARC", &example, findings).await;
    }
}

async fn exchange(resolver: &Resolver, hostname: &str, domain: &str, findings: &mut Findings) {
    match found(resolver.mx(domain).await) {
        Ok(found) => {
            let hosts: Vec<String> = found.into_iter().map(|mx| mx.host).collect();
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
    resolver: &Resolver,
    domain: &str,
    name: &str,
    begins: &str,
    what: &str,
    example: &str,
    findings: &mut Findings,
) {
    match found(resolver.txt(name).await) {
        Ok(found) => match found.iter().filter(|text| text.starts_with(begins.as_bytes())).count() {
            1 => findings.ok("DNS", format!("{domain} has an {what} record")),
            0 => findings.warning("DNS", format!("{domain} has no {what} record; for instance: {example}")),
            n => findings.fault("DNS", format!("{domain} has {n} {what} records; only one may stand")),
        },
        Err(e) => findings.warning("DNS", format!("{domain} {what}: {e}")),
    }
}

/// The records of an answer; none when the name or the kind does not exist.
fn found<T>(answer: Result<Answer<T>, Error>) -> Result<Vec<T>, String> {
    match answer {
        Ok(answer) => Ok(answer.records),
        Err(error) if error.is_absent() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}
