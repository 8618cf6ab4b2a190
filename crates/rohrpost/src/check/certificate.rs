//! The certificate: does it name this machine, how long is it good, does the key belong to it.

use super::Findings;
use crate::acme;
use crate::config::Config;
use crate::tls::{self, Tls, read_chain};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;

const DAY: i64 = 86_400;
/// Certificates are usually renewed a month before they end; less left than this means that renewal has failed.
const SOON: i64 = 14 * DAY;

pub(super) fn look(config: &Config, now: i64, findings: &mut Findings) {
    let Some(files) = &config.tls else {
        findings.warning(
            "certificate",
            "none: no listener offers TLS, so only loopback listeners let anybody log in",
        );
        return;
    };
    if config.acme.is_some() {
        orders(config, findings);
        if !files.certificate.exists() {
            findings.warning("certificate", "none yet: the server gets one when it runs");
            return;
        }
    }
    if let Err(e) = Tls::load(files, &Arc::default()) {
        findings.fault("certificate", e.to_string());
        return;
    }
    let Ok(chain) = read_chain(&files.certificate) else {
        return;
    };
    let Some(own) = chain.first() else { return };
    names(own, &config.hostname, findings);
    match tls::validity(own) {
        Some((from, until)) => {
            let date = |t| written(t, "%Y-%m-%d");
            // Some authorities sign for days only.
            let soon = SOON.min((until - from) / 4);
            if now < from {
                findings.fault("certificate", format!("not good before {}", date(from)));
            } else if now >= until {
                findings.fault(
                    "certificate",
                    format!("ended on {}; renew it: clients refuse it", date(until)),
                );
            } else if until - now < soon {
                findings.warning("certificate", format!("ends on {}; renew it", date(until)));
            } else {
                findings.ok("certificate", format!("good until {}", date(until)));
            }
        }
        None => findings.warning("certificate", "its dates cannot be read"),
    }
    if chain.len() == 1 && tls::is_self_signed(own) && config.acme.is_some() {
        findings.warning(
            "certificate",
            "self-signed, to begin with: the authority has not signed one yet",
        );
    } else if chain.len() == 1 && tls::is_self_signed(own) {
        findings.warning(
            "certificate",
            "self-signed: mail programs will ask people whether to trust it",
        );
    }
}

/// How the orders of certificates stand.
fn orders(config: &Config, findings: &mut Findings) {
    let state = acme::State::read(&acme::folder(&config.data));
    for (name, progress) in state.certificates {
        let time = |t| written(t, "%Y-%m-%d %H:%M UTC");
        match progress.error {
            Some(error) => findings.warning(
                "ACME",
                format!(
                    "{name}: failed {} times in a row, last on {}: {error}. Next try after {}",
                    progress.failures,
                    time(progress.tried_at),
                    time(progress.next_at)
                ),
            ),
            None => findings.ok(
                "ACME",
                format!("{name}: certificate received on {}", time(progress.tried_at)),
            ),
        }
    }
}

/// Seconds since 1970 for people.
fn written(time: i64, form: &str) -> String {
    jiff::Timestamp::from_second(time)
        .map(|time| time.strftime(form).to_string())
        .unwrap_or_default()
}

fn names(own: &CertificateDer<'_>, hostname: &str, findings: &mut Findings) {
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(own), ServerName::try_from(hostname)) else {
        findings.warning("certificate", "its names cannot be read");
        return;
    };
    match verify_server_name(&parsed, &name) {
        Ok(()) => findings.ok("certificate", format!("names {hostname}")),
        Err(_) => findings.fault(
            "certificate",
            format!("does not name {hostname}; clients will refuse it"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::config::TlsFiles;

    #[test]
    fn names_and_dates() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("c"),
            key: folder.path().join("k"),
            ..TlsFiles::default()
        };
        crate::tls::self_sign(&["mail.test"], 2026, &files).unwrap();
        let at = |date: &str| date.parse::<jiff::Timestamp>().unwrap().as_second();
        for (hostname, now, wanted) in [
            (
                "mail.test",
                "2026-06-01T00:00:00Z",
                [Verdict::Ok, Verdict::Ok, Verdict::Warning],
            ),
            (
                "other.test",
                "2026-06-01T00:00:00Z",
                [Verdict::Fault, Verdict::Ok, Verdict::Warning],
            ),
            (
                "mail.test",
                "2025-12-31T23:59:59Z",
                [Verdict::Ok, Verdict::Fault, Verdict::Warning],
            ),
            (
                "mail.test",
                "2035-12-25T00:00:00Z",
                [Verdict::Ok, Verdict::Warning, Verdict::Warning],
            ),
            (
                "mail.test",
                "2036-01-01T00:00:00Z",
                [Verdict::Ok, Verdict::Fault, Verdict::Warning],
            ),
        ] {
            let mut config = Config::defaults();
            config.hostname = hostname.to_owned();
            config.tls = Some(files.clone());
            let mut findings = Findings::default();
            look(&config, at(now), &mut findings);
            assert_eq!(
                findings.0.iter().map(|f| f.verdict).collect::<Vec<_>>(),
                wanted,
                "{hostname} {now}: {findings:?}"
            );
        }
    }
}
