//! TLS to other servers: who has to prove what.
//!
//! Between mail servers most certificates prove nothing: the name of the host came out of the DNS, and whoever can forge that needs no
//! forged certificate. So by default TLS is opportunistic (RFC 7435): it keeps out who only listens, any certificate will do, and mail goes in
//! clear text where there is no TLS. More is asked where a destination says how it can be known: by DANE (RFC 7672) or MTA-STS (RFC 8461);
//! where a message asks for it (REQUIRETLS, RFC 8689); or where a route does.
//!
//! The handshake itself accepts every certificate whose key the server holds. What the certificate proves is judged behind it, before an octet
//! is sent over the connection.

use super::dane::{Dane, named, vouched};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

/// What is asked of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Demand {
    /// No TLS.
    Off,
    /// TLS if it works.
    Opportunistic,
    /// TLS; why.
    Encrypt(&'static str),
    /// TLS with a certificate for one of the names, from an authority that everybody trusts; who asks for it.
    Authority(Vec<String>, &'static str),
    /// TLS with the certificate that DANE names.
    Dane(Dane),
}

impl Demand {
    /// Whether mail may go in clear text.
    pub(super) fn allows_clear(&self) -> bool {
        matches!(self, Demand::Off | Demand::Opportunistic)
    }

    /// A number that stands for it.
    pub(super) fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// In few words, for the record.
    pub(super) fn describe(&self, verified: bool) -> String {
        let judged = if verified { "verified" } else { "unverified" };
        match self {
            Demand::Off => "TLS is off".to_owned(),
            Demand::Opportunistic => format!("opportunistic, {judged}"),
            Demand::Encrypt(why) => format!("{why}, {judged}"),
            Demand::Authority(_, why) => format!("{why}, {judged}"),
            Demand::Dane(_) => format!("dane, {judged}"),
        }
    }
}

/// Why TLS did not come up to what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) text: String,
}

/// The kinds of failure that RFC 8460 §4.3 tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FaultKind {
    NotOffered,
    Name,
    Expired,
    NotTrusted,
    Validation,
    Tlsa,
    Dnssec,
    StsFetch,
    StsInvalid,
}

impl FaultKind {
    /// Its `result-type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            FaultKind::NotOffered => "starttls-not-supported",
            FaultKind::Name => "certificate-host-mismatch",
            FaultKind::Expired => "certificate-expired",
            FaultKind::NotTrusted => "certificate-not-trusted",
            FaultKind::Validation => "validation-failure",
            FaultKind::Tlsa => "tlsa-invalid",
            FaultKind::Dnssec => "dnssec-invalid",
            FaultKind::StsFetch => "sts-policy-fetch-error",
            FaultKind::StsInvalid => "sts-policy-invalid",
        }
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, text: impl Into<String>) -> Fault {
        Fault {
            kind,
            text: text.into(),
        }
    }

    pub(super) fn of(error: &webpki::Error) -> Fault {
        match error {
            webpki::Error::CertExpired { .. } => Fault::new(FaultKind::Expired, "the certificate has expired"),
            webpki::Error::CertNotValidYet { .. } => Fault::new(FaultKind::Expired, "the certificate is not valid yet"),
            webpki::Error::UnknownIssuer
            | webpki::Error::CaUsedAsEndEntity
            | webpki::Error::InvalidSignatureForPublicKey => {
                Fault::new(FaultKind::NotTrusted, "nobody we trust vouches for the certificate")
            }
            other => Fault::new(
                FaultKind::Validation,
                format!("the certificate cannot be verified: {other}"),
            ),
        }
    }
}

/// Settings and authorities, for all connections.
#[derive(Clone)]
pub struct ClientTls {
    accepting: Arc<ClientConfig>,
    strict: Arc<ClientConfig>,
    authorities: Arc<Vec<TrustAnchor<'static>>>,
}

impl ClientTls {
    /// With the authorities in this file (PEM); without one, those of the system. What cannot be used of the system's is passed over; a
    /// file that was named must be whole.
    pub fn new(authorities: Option<&Path>) -> Result<ClientTls, String> {
        use rustls::pki_types::pem::PemObject as _;
        let certificates: Vec<CertificateDer<'static>> = match authorities {
            Some(file) => CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect)
                .map_err(|e| format!("the authorities in {} cannot be read: {e}", file.display()))?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        if certificates.is_empty() {
            tracing::warn!("no authorities for certificates are known (Debian: ca-certificates): MTA-STS cannot work");
        }
        let mut store = rustls::RootCertStore::empty();
        let (_, bad) = store.add_parsable_certificates(certificates);
        if let (Some(file), true) = (authorities, bad > 0) {
            return Err(format!(
                "{bad} of the certificates in {} cannot be used",
                file.display()
            ));
        }
        let anchors = store.roots.clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            || ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let mut strict = builder()
            .map_err(|e| e.to_string())?
            .with_root_certificates(store)
            .with_no_client_auth();
        strict.alpn_protocols = vec![b"http/1.1".to_vec()];
        let accepting = builder()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Accepting(Arc::clone(&provider))))
            .with_no_client_auth();
        Ok(ClientTls {
            accepting: Arc::new(accepting),
            strict: Arc::new(strict),
            authorities: Arc::new(anchors),
        })
    }

    /// For SMTP: accepts what is judged later.
    pub(super) fn accepting(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.accepting)
    }

    /// For HTTPS: accepts what an authority vouches for.
    pub fn strict(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.strict)
    }

    /// Whether a certificate is what is asked for. `host`: who we think it is. Gives whether anybody vouches for it.
    pub(super) fn judge(
        &self,
        demand: &Demand,
        host: &str,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<bool, Fault> {
        let by_authority = |names: &mut dyn Iterator<Item = &str>| {
            let (own, between) = chain
                .split_first()
                .ok_or_else(|| Fault::new(FaultKind::Validation, "the server shows no certificate"))?;
            vouched(own, between, &self.authorities, now)?;
            named(own, names)
        };
        match demand {
            Demand::Off => Ok(false),
            Demand::Opportunistic | Demand::Encrypt(_) => Ok(by_authority(&mut std::iter::once(host)).is_ok()),
            Demand::Authority(names, _) => by_authority(&mut names.iter().map(String::as_str)).map(|()| true),
            Demand::Dane(dane) => dane.verify(chain, now).map(|()| true),
        }
    }
}

/// Accepts every certificate whose key the server holds; see the head of this file.
#[derive(Debug)]
struct Accepting(Arc<CryptoProvider>);

impl ServerCertVerifier for Accepting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest;
    use dns::Tlsa;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _};

    struct Made {
        authority: CertificateDer<'static>,
        key: Vec<u8>,
        own: CertificateDer<'static>,
    }

    fn make(names: &[&str], expired: bool) -> Made {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.clone().self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let own = params.signed_by(&key, &issuer).unwrap();
        Made {
            authority: authority.der().clone(),
            key: key.subject_public_key_info(),
            own: own.der().clone(),
        }
    }

    fn tlsa(usage: u8, selector: u8, matching: u8, of: &[u8]) -> Tlsa {
        let data = match matching {
            1 => digest::digest(&digest::SHA256, of).as_ref().to_vec(),
            2 => digest::digest(&digest::SHA512, of).as_ref().to_vec(),
            _ => of.to_vec(),
        };
        Tlsa {
            usage,
            selector,
            matching,
            data,
        }
    }

    #[test]
    fn what_dane_accepts() {
        let made = make(&["mx.example"], false);
        let old = make(&["other.example"], true);
        let names = || vec!["mx.example".to_owned()];
        let now = UnixTime::now();
        let verdict = |record: &Tlsa, chain: &[CertificateDer<'static>]| {
            Dane::new(vec![record.clone()], names()).map(|dane| dane.verify(chain, now).map_err(|fault| fault.kind))
        };
        let chain = [made.own.clone(), made.authority.clone()];
        let alone = [made.own.clone()];
        let aged = [old.own.clone(), old.authority.clone()];
        for (record, chain, expected) in [
            (tlsa(3, 1, 1, &made.key), &chain[..], Some(Ok(()))),
            (tlsa(3, 1, 0, &made.key), &chain, Some(Ok(()))),
            (tlsa(3, 0, 1, &made.own), &chain, Some(Ok(()))),
            (tlsa(3, 0, 2, &made.own), &chain, Some(Ok(()))),
            (tlsa(3, 0, 0, &made.own), &alone, Some(Ok(()))),
            // Neither names nor dates matter.
            (tlsa(3, 1, 1, &old.key), &aged, Some(Ok(()))),
            (tlsa(3, 1, 1, &old.key), &chain, Some(Err(FaultKind::Tlsa))),
            // The authority's certificate is not the server's own.
            (tlsa(3, 0, 1, &made.authority), &chain, Some(Err(FaultKind::Tlsa))),
            (tlsa(2, 0, 1, &made.authority), &chain, Some(Ok(()))),
            (tlsa(2, 0, 2, &made.authority), &chain, Some(Ok(()))),
            (tlsa(2, 0, 1, &made.authority), &alone, Some(Err(FaultKind::Tlsa))),
            // The whole authority stands in the DNS, and need not be shown.
            (tlsa(2, 0, 0, &made.authority), &alone, Some(Ok(()))),
            (tlsa(2, 0, 1, &old.authority), &aged, Some(Err(FaultKind::Expired))),
            (tlsa(2, 0, 0, &old.authority), &chain, Some(Err(FaultKind::NotTrusted))),
            (tlsa(2, 0, 0, b"no certificate"), &chain, Some(Err(FaultKind::Tlsa))),
            // Not usable at all.
            (tlsa(0, 0, 1, &made.authority), &chain, None),
            (tlsa(1, 1, 1, &made.key), &chain, None),
            (tlsa(3, 2, 1, &made.key), &chain, None),
            (tlsa(3, 1, 3, &made.key), &chain, None),
            (
                Tlsa {
                    usage: 3,
                    selector: 1,
                    matching: 1,
                    data: vec![0; 31],
                },
                &chain,
                None,
            ),
        ] {
            let what = format!("{} {} {}", record.usage, record.selector, record.matching);
            assert_eq!(verdict(&record, chain), expected, "{what}");
        }
        // Names matter with an authority.
        let elsewhere = make(&["other.example"], false);
        let chain = [elsewhere.own, elsewhere.authority.clone()];
        assert_eq!(
            verdict(&tlsa(2, 0, 1, &elsewhere.authority), &chain),
            Some(Err(FaultKind::Name))
        );
    }

    #[test]
    fn what_authorities_vouch_for() {
        let made = make(&["mx.example"], false);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&made.authority);
        std::fs::write(
            &file,
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"),
        )
        .unwrap();
        let tls = ClientTls::new(Some(&file)).unwrap();
        let now = UnixTime::now();
        let chain = [made.own.clone()];
        let wanted = |name: &str| Demand::Authority(vec![name.to_owned()], "route");
        for (demand, host, expected) in [
            (wanted("mx.example"), "mx.example", Ok(true)),
            (wanted("other.example"), "mx.example", Err(FaultKind::Name)),
            (Demand::Opportunistic, "mx.example", Ok(true)),
            (Demand::Opportunistic, "other.example", Ok(false)),
            (Demand::Encrypt("route"), "192.0.2.1", Ok(false)),
        ] {
            let verdict = tls.judge(&demand, host, &chain, now).map_err(|fault| fault.kind);
            assert_eq!(verdict, expected, "{demand:?} {host}");
        }
        let stranger = make(&["mx.example"], false);
        let verdict = tls.judge(&wanted("mx.example"), "mx.example", &[stranger.own], now);
        assert_eq!(verdict.map_err(|fault| fault.kind), Err(FaultKind::NotTrusted));
        assert!(ClientTls::new(Some(&folder.path().join("none.pem"))).is_err());
    }
}
