//! The certificate: does it name this machine, how long is it good, does the key belong to it.

use super::Findings;
use crate::config::Config;
use crate::tls::{Tls, read_chain};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName};

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
    if let Err(e) = Tls::load(files) {
        findings.fault("certificate", e.to_string());
        return;
    }
    let Ok(chain) = read_chain(&files.certificate) else {
        return;
    };
    let Some(own) = chain.first() else { return };
    names(own, &config.hostname, findings);
    match validity(own) {
        Some((from, until)) => {
            let date = |t| {
                jiff::Timestamp::from_second(t)
                    .map(|t| t.strftime("%Y-%m-%d").to_string())
                    .unwrap_or_default()
            };
            if now < from {
                findings.fault("certificate", format!("not good before {}", date(from)));
            } else if now >= until {
                findings.fault(
                    "certificate",
                    format!("ended on {}; renew it: clients refuse it", date(until)),
                );
            } else if until - now < SOON {
                findings.warning("certificate", format!("ends on {}; renew it", date(until)));
            } else {
                findings.ok("certificate", format!("good until {}", date(until)));
            }
        }
        None => findings.warning("certificate", "its dates cannot be read"),
    }
    if chain.len() == 1 && issuer_is_subject(own) {
        findings.warning(
            "certificate",
            "self-signed: mail programs will ask people whether to trust it",
        );
    }
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

/// A DER element: tag, content, what follows it. X.690 §8.1
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        (bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)), rest)
    };
    let (content, after) = rest.split_at_checked(len)?;
    Some((tag, content, after))
}

/// issuer, validity and subject of a certificate. RFC 5280 §4.1
fn fields<'c>(certificate: &'c CertificateDer<'_>) -> Option<[&'c [u8]; 3]> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    // version (optional, [0]), serial number, signature algorithm
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    rest = element(rest)?.2;
    rest = element(rest)?.2;
    let (_, issuer, rest) = element(rest)?;
    let (_, validity, rest) = element(rest)?;
    let (_, subject, _) = element(rest)?;
    Some([issuer, validity, subject])
}

fn issuer_is_subject(certificate: &CertificateDer<'_>) -> bool {
    fields(certificate).is_some_and(|[issuer, _, subject]| issuer == subject)
}

/// notBefore and notAfter, seconds since 1970.
fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let [_, validity, _] = fields(certificate)?;
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((time(from_tag, from)?, time(until_tag, until)?))
}

/// UTCTime (two-digit year, RFC 5280 §4.1.2.5.1) or GeneralizedTime, both in UTC.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = match tag {
        0x17 if text.get(..2)? < "50" => format!("20{text}"),
        0x17 => format!("19{text}"),
        _ => text.to_owned(),
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", full).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
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
            client_ca: None,
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
