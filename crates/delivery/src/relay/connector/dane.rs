//! Certificates by the DNS: DANE for SMTP (RFC 7672, on RFC 6698 and 7671).
//!
//! A destination that publishes signed TLSA records for its mail hosts says two things: TLS is to be had here, and this is the certificate.
//! Who finds such records must not send without TLS, nor to a server with another certificate, so that nobody in the middle can take
//! either away. Records are only believed when DNSSEC vouches for them and for everything on the way to them: the MX records, and the addresses
//! and aliases of the host.
//!
//! Of the four usages two are for SMTP: DANE-EE (3) names the server's own certificate or key, and nothing else about the certificate
//! matters, neither names nor dates (§3.1.1). DANE-TA (2) names an authority, and then the certificate must be for this host (§3.1.2). The other
//! two lean on public authorities, which nobody in the middle of SMTP could agree on; they count as unusable (§3.1.3).

use super::tls::{Fault, FaultKind};
use aws_lc_rs::digest;
use dns::Tlsa;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a host's certificate must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Dane {
    /// Records that can be used; never none.
    records: Vec<Tlsa>,
    /// What the certificate may be for, where that matters.
    names: Vec<String>,
}

impl Dane {
    /// `None` where no record is usable: then there must be TLS, and nothing is asked of the certificate (RFC 7672 §2.2).
    pub(super) fn new(records: Vec<Tlsa>, names: Vec<String>) -> Option<Dane> {
        let records: Vec<Tlsa> = records.into_iter().filter(is_usable).collect();
        (!records.is_empty()).then_some(Dane { records, names })
    }

    /// The records as a report has them (RFC 8460 §4.4).
    pub(super) fn strings(&self) -> Vec<String> {
        let hex = |data: &[u8]| data.iter().map(|b| format!("{b:02x}")).collect::<String>();
        self.records
            .iter()
            .map(|r| format!("{} {} {} {}", r.usage, r.selector, r.matching, hex(&r.data)))
            .collect()
    }

    /// Whether the certificates a server has shown, its own first, are what the records say.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Fault> {
        let Some((own, rest)) = chain.split_first() else {
            return Err(Fault::new(FaultKind::Validation, "the server shows no certificate"));
        };
        if self
            .records
            .iter()
            .any(|record| record.usage == 3 && matches(record, own))
        {
            return Ok(());
        }
        let mut fault = Fault::new(
            FaultKind::Tlsa,
            "the certificate is not the one that the TLSA records name",
        );
        for record in self.records.iter().filter(|record| record.usage == 2) {
            // The authority may stand in the record itself instead of the chain.
            let spelt =
                (record.selector == 0 && record.matching == 0).then(|| CertificateDer::from(record.data.clone()));
            let shown = rest.iter().filter(|certificate| matches(record, certificate));
            for authority in spelt.iter().chain(shown) {
                let verdict = webpki::anchor_from_trusted_cert(authority)
                    .map_err(|e| Fault::new(FaultKind::Tlsa, format!("the certificate of the authority: {e}")))
                    .and_then(|anchor| vouched(own, rest, &[anchor], now))
                    .and_then(|()| named(own, self.names.iter().map(String::as_str)));
                match verdict {
                    Ok(()) => return Ok(()),
                    Err(why) => fault = why,
                }
            }
        }
        Err(fault)
    }
}

/// RFC 7672 §3.1, RFC 6698 §2.1: the usages for SMTP, with values that can match something.
fn is_usable(record: &Tlsa) -> bool {
    let length = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, 2 | 3) && record.selector <= 1 && length
}

/// RFC 6698 §2.1.2 to §2.1.4.
fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let parsed;
    let selected = match record.selector {
        0 => certificate.as_ref(),
        _ => match X509Certificate::from_der(certificate) {
            Ok((_, certificate)) => {
                parsed = certificate;
                parsed.tbs_certificate.subject_pki.raw
            }
            Err(_) => return false,
        },
    };
    match record.matching {
        0 => record.data == selected,
        1 => record.data == digest::digest(&digest::SHA256, selected).as_ref(),
        _ => record.data == digest::digest(&digest::SHA512, selected).as_ref(),
    }
}

/// Whether one of the authorities vouches for a certificate now, by whatever stands between them.
pub(super) fn vouched(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    authorities: &[TrustAnchor<'_>],
    now: UnixTime,
) -> Result<(), Fault> {
    let certificate = webpki::EndEntityCert::try_from(own).map_err(|e| Fault::of(&e))?;
    let usage = webpki::KeyUsage::server_auth();
    certificate
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            authorities,
            between,
            now,
            usage,
            None,
            None,
        )
        .map(drop)
        .map_err(|e| Fault::of(&e))
}

/// Whether the certificate is for one of the names.
pub(super) fn named<'n>(own: &CertificateDer<'_>, names: impl Iterator<Item = &'n str>) -> Result<(), Fault> {
    let certificate = webpki::EndEntityCert::try_from(own).map_err(|e| Fault::of(&e))?;
    let mut all = Vec::new();
    for name in names {
        let fits =
            ServerName::try_from(name).is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok());
        if fits {
            return Ok(());
        }
        all.push(name);
    }
    Err(Fault::new(
        FaultKind::Name,
        format!("the certificate is not for {}", all.join(" or ")),
    ))
}
