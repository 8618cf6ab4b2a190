//! TLS by rustls with aws-lc-rs: the certificate from PEM files, read again when they change, or made on the spot for a demo.
//!
//! Exposed to: every client, before it has logged in. Touches: the two files of `[tls]`, nothing else.

use crate::config::TlsFiles;
use crate::failure::{At as _, Failure};
use parking_lot::RwLock;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The server's side of TLS, with a certificate that can be exchanged while it runs.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    server: Arc<ServerConfig>,
    people: Arc<ServerConfig>,
    web: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl Tls {
    /// Reads certificate and key and proves that they belong together.
    pub fn load(files: &TlsFiles) -> Result<Tls, Failure> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let current = Arc::new(Current(RwLock::new(Arc::new(read_pair(files, &provider)?))));
        let builder = || {
            ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|e| Failure::new(format!("TLS: {e}")))
        };
        let resolver = || Arc::clone(&current) as Arc<dyn ResolvesServerCert>;
        let server = Arc::new(builder()?.with_no_client_auth().with_cert_resolver(resolver()));
        let people = match &files.client_ca {
            None => Arc::clone(&server),
            Some(file) => {
                let verifier = client_verifier(file, &provider)?;
                Arc::new(
                    builder()?
                        .with_client_cert_verifier(verifier)
                        .with_cert_resolver(resolver()),
                )
            }
        };
        let mut web = builder()?.with_no_client_auth().with_cert_resolver(resolver());
        web.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls {
            files: files.clone(),
            current,
            server,
            people,
            web: Arc::new(web),
        })
    }

    /// What the listeners for other servers use.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// What the listeners use on which people log in: it asks for a certificate, where there is somebody to vouch for one. Other servers
    /// are not asked: many have a certificate to show that says nothing to us, and would be turned away for it.
    pub fn people_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.people)
    }

    /// What the listeners use on which HTTP is spoken.
    pub fn web_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.web)
    }

    /// Reads the files again; on a fault the old certificate stays.
    pub fn reload(&self) -> Result<(), Failure> {
        let pair = read_pair(&self.files, self.server.crypto_provider())?;
        *self.current.0.write() = Arc::new(pair);
        Ok(())
    }

    /// Looks at the files for ever, and reloads when either changed.
    pub async fn watch(self: Arc<Self>) {
        let mut seen = stamp(&self.files);
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let now = stamp(&self.files);
            if now == seen {
                continue;
            }
            seen = now;
            match self.reload() {
                Ok(()) => tracing::info!(certificate = %self.files.certificate.display(), "certificate reloaded"),
                // Often only half of the pair has been replaced yet; the next look will see the other half.
                Err(e) => tracing::warn!(error = %e.message, "changed certificate not taken; the old one stays"),
            }
        }
    }
}

type Stamp = [Option<(SystemTime, u64)>; 2];

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

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

/// The SHA-256 of the public key of the certificate in a file, in hex, as a TLSA record has it (RFC 6698 §2.1.2, selector 1). `None`: the file
/// cannot be read.
pub fn key_hash(certificate: &Path) -> Option<String> {
    let chain = read_chain(certificate).ok()?;
    let parsed = ParsedCertificate::try_from(chain.first()?).ok()?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &parsed.subject_public_key_info());
    Some(hash.as_ref().iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    }))
}

/// Asks for a certificate, is content without one, and takes only those that somebody in `file` vouches for.
fn client_verifier(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(file)? {
        roots
            .add(certificate)
            .map_err(|e| Failure::usage(format!("a certificate in {} cannot be used: {e}", file.display())))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map_err(|e| Failure::usage(format!("{}: {e}", file.display())))
}

fn read_pair(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, Failure> {
    let chain = read_chain(&files.certificate)?;
    let text = std::fs::read(&files.key).at("read the key", &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|e| Failure::usage(format!("{} is not a PEM private key: {e}", files.key.display())))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|e| {
        Failure::usage(format!(
            "{} and {} do not go together: {e}",
            files.certificate.display(),
            files.key.display()
        ))
        .advise("`certificate` must hold the server's own certificate first, `key` the key it was made for")
    })
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
    let key = rcgen::KeyPair::generate().map_err(fault)?;
    let certificate = parameters.self_signed(&key).map_err(fault)?;
    crate::files::write_new(&files.certificate, certificate.pem().as_bytes(), 0o644)?;
    crate::files::write_new(&files.key, key.serialize_pem().as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(folder: &Path, name: &str) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
            client_ca: None,
        };
        self_sign(&["mail.test"], 2026, &files).unwrap();
        files
    }

    #[test]
    fn a_pair_that_does_not_match_is_refused_and_a_reload_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (pair(folder.path(), "a"), pair(folder.path(), "b"));
        let mixed = TlsFiles {
            certificate: a.certificate.clone(),
            key: b.key.clone(),
            client_ca: None,
        };
        assert!(Tls::load(&mixed).unwrap_err().message.contains("do not go together"));

        let tls = Tls::load(&a).unwrap();
        let before = Arc::clone(&tls.current.0.read());
        std::fs::copy(&b.certificate, &a.certificate).unwrap();
        assert!(tls.reload().is_err());
        assert!(Arc::ptr_eq(&before, &tls.current.0.read()));
        std::fs::copy(&b.key, &a.key).unwrap();
        tls.reload().unwrap();
        assert_ne!(before.cert, tls.current.0.read().cert);
    }
}
