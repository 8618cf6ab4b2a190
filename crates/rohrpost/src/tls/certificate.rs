//! What stands in a certificate (RFC 5280 §4.1), and making one that nobody vouches for.

use crate::config::TlsFiles;
use crate::failure::{At as _, Failure};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::fmt::Write as _;
use std::path::Path;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The chain of a PEM file.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = std::fs::read(path).at("read the certificate", path)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Failure::usage(format!("{} is not a PEM certificate chain: {e}", path.display())))?;
    if chain.is_empty() {
        return Err(Failure::usage(format!("there is no certificate in {}", path.display())));
    }
    Ok(chain)
}

/// notBefore and notAfter, seconds since 1970.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// The DNS names that it is for, in lower case.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}

/// Whether nobody else vouches for it.
pub fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.issuer() == parsed.subject())
}

/// The SHA-256 of the public key of the certificate in a file, in hex, as a TLSA record has it (RFC 6698 §2.1.2, selector 1). `None`: the file
/// cannot be read.
pub fn key_hash(certificate: &Path) -> Option<String> {
    let chain = read_chain(certificate).ok()?;
    let (_, parsed) = X509Certificate::from_der(chain.first()?).ok()?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parsed.public_key().raw);
    Some(hash.as_ref().iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    }))
}

/// Makes a key and a certificate for `names` that nobody vouches for, good for ten years from `year`.
pub fn self_sign(names: &[&str], year: i32, files: &TlsFiles) -> Result<(), Failure> {
    let fault = |e: rcgen::Error| Failure::new(format!("cannot make a certificate: {e}"));
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut parameters = rcgen::CertificateParams::new(names.clone()).map_err(fault)?;
    parameters.not_before = rcgen::date_time_ymd(year, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(year + 10, 1, 1);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = names.first() {
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, name.as_str());
    }
    // A key that is there already is kept: what a TLSA record says about it stays true.
    let key = if files.key.exists() {
        let pem = std::fs::read_to_string(&files.key).at("read the key", &files.key)?;
        rcgen::KeyPair::from_pem(&pem).map_err(fault)?
    } else {
        let key = rcgen::KeyPair::generate().map_err(fault)?;
        crate::files::write_new(&files.key, key.serialize_pem().as_bytes(), 0o600)?;
        key
    };
    let certificate = parameters.self_signed(&key).map_err(fault)?;
    crate::files::write_new(&files.certificate, certificate.pem().as_bytes(), 0o644)
}
