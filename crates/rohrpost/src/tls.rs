//! TLS by rustls with aws-lc-rs: the certificate from PEM files, read again when they change, or made on the spot for a demo.
//!
//! Beside the one certificate that everybody sees there may be others for certain names (SNI, RFC 6066 §3): those that [`crate::acme`] gets for
//! `mta-sts.DOMAIN` and the like. All have the same key.
//!
//! Exposed to: every client, before it has logged in. Touches: the two files of `[tls]`, or those below `acme/` in the data directory.

mod certificate;

pub use certificate::{is_self_signed, key_hash, names, read_chain, self_sign, validity};

use crate::acme::Proofs;
use crate::config::TlsFiles;
use crate::failure::{At as _, Failure};
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The protocol by which a certificate authority sees whether a name leads to us (RFC 8737 §3).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// The server's side of TLS, with certificates that can be exchanged while it runs.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    server: Arc<ServerConfig>,
    people: Arc<ServerConfig>,
    web: Arc<ServerConfig>,
}

/// The certificates that are shown now.
#[derive(Debug)]
struct Current {
    main: RwLock<Arc<CertifiedKey>>,
    /// By name, lower case.
    others: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            let others = self.others.read();
            if let Some(other) = others.get(name).or_else(|| others.get(&name.to_ascii_lowercase())) {
                return Some(Arc::clone(other));
            }
        }
        Some(Arc::clone(&self.main.read()))
    }
}

/// The same where HTTP is spoken, and certificate authorities look.
#[derive(Debug)]
struct Web {
    current: Arc<Current>,
    proofs: Arc<Proofs>,
}

impl ResolvesServerCert for Web {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks = |wanted| {
            hello
                .alpn()
                .is_some_and(|mut offered| offered.any(|name| name == wanted))
        };
        if asks(ACME_TLS) {
            // Such a certificate is for nobody else, and nobody who asks for it gets another (RFC 8737 §3).
            return self.proofs.certificate(&hello.server_name()?.to_ascii_lowercase());
        }
        self.current.resolve(hello)
    }
}

impl Tls {
    /// Reads certificate and key and proves that they belong together. `proofs` are what is shown to certificate authorities.
    pub fn load(files: &TlsFiles, proofs: &Arc<Proofs>) -> Result<Tls, Failure> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let current = Arc::new(Current {
            main: RwLock::new(Arc::new(read_pair(&files.certificate, &files.key, &provider)?)),
            others: RwLock::default(),
        });
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
        let mut web = builder()?.with_no_client_auth().with_cert_resolver(Arc::new(Web {
            current: Arc::clone(&current),
            proofs: Arc::clone(proofs),
        }));
        web.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_TLS.to_vec()];
        let tls = Tls {
            files: files.clone(),
            current,
            server,
            people,
            web: Arc::new(web),
        };
        tls.load_others();
        Ok(tls)
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

    /// Whether a certificate is for the key that is in use.
    pub fn is_of_our_key(&self, chain: &[CertificateDer<'static>]) -> bool {
        let current = Arc::clone(&self.current.main.read());
        CertifiedKey::new(chain.to_vec(), Arc::clone(&current.key))
            .keys_match()
            .is_ok()
    }

    /// Reads the files again; on a fault the old certificate stays.
    pub fn reload(&self) -> Result<(), Failure> {
        let pair = read_pair(&self.files.certificate, &self.files.key, self.server.crypto_provider())?;
        *self.current.main.write() = Arc::new(pair);
        self.load_others();
        Ok(())
    }

    /// The certificates for certain names. One that cannot be used is left out, and its names see the main one.
    fn load_others(&self) {
        let mut all = HashMap::new();
        for file in self.files.others.as_deref().map(other_files).unwrap_or_default() {
            match read_pair(&file, &self.files.key, self.server.crypto_provider()) {
                Ok(pair) => {
                    let pair = Arc::new(pair);
                    let own = pair.cert.first().map(names).unwrap_or_default();
                    all.extend(own.into_iter().map(|name| (name, Arc::clone(&pair))));
                }
                Err(e) => tracing::warn!(error = %e.message, "a certificate is not used"),
            }
        }
        *self.current.others.write() = all;
    }

    /// Looks at the files for ever, and reloads when one changed.
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

/// How long the certificates are good, for those who watch.
#[derive(Debug)]
pub struct Lifetimes(pub Arc<Tls>);

impl Collector for Lifetimes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let current = &self.0.current;
        let mut all = vec![Arc::clone(&current.main.read())];
        for other in current.others.read().values() {
            if !all.iter().any(|known| Arc::ptr_eq(known, other)) {
                all.push(Arc::clone(other));
            }
        }
        let help = "Days until a certificate ends, by its first name";
        let mut metric = encoder.encode_descriptor("certificate_days_left", help, None, MetricType::Gauge)?;
        for pair in all {
            let Some(own) = pair.cert.first() else { continue };
            let Some((_, until)) = validity(own) else { continue };
            let name = names(own).into_iter().next().unwrap_or_default();
            let days = (until - net::now()).div_euclid(86_400);
            let label = [("certificate", name)];
            ConstGauge::new(days).encode(metric.encode_family(&label)?)?;
        }
        Ok(())
    }
}

type Stamp = Vec<Option<(SystemTime, u64)>>;

fn stamp(files: &TlsFiles) -> Stamp {
    let others = files.others.as_deref().map(other_files).unwrap_or_default();
    let all = [files.certificate.clone(), files.key.clone()].into_iter().chain(others);
    all.map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
    .collect()
}

/// The files of the certificates for certain names: `site-DOMAIN.pem`, in order.
fn other_files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("site-") && name.ends_with(".pem"))
        })
        .collect();
    all.sort();
    all
}

/// The names that the certificates of these files are for.
pub fn certified(files: &TlsFiles) -> Vec<String> {
    let others = files.others.as_deref().map(other_files).unwrap_or_default();
    let chains = others.iter().chain([&files.certificate]).map(|file| read_chain(file));
    chains
        .flatten()
        .filter_map(|chain| chain.first().map(names))
        .flatten()
        .collect()
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

fn read_pair(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Failure> {
    let chain = read_chain(certificate)?;
    let text = std::fs::read(key).at("read the key", key)?;
    let private = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|e| Failure::usage(format!("{} is not a PEM private key: {e}", key.display())))?;
    pair(chain, private, provider).map_err(|e| {
        Failure::usage(format!(
            "{} and {} do not go together: {e}",
            certificate.display(),
            key.display()
        ))
        .advise("`certificate` must hold the server's own certificate first, `key` the key it was made for")
    })
}

/// Chain and key, if they belong together.
pub fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path, name: &str) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
            ..TlsFiles::default()
        };
        self_sign(&["mail.test"], 2026, &files).unwrap();
        files
    }

    #[test]
    fn a_pair_that_does_not_match_is_refused_and_a_reload_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (made(folder.path(), "a"), made(folder.path(), "b"));
        let mixed = TlsFiles {
            certificate: a.certificate.clone(),
            key: b.key.clone(),
            ..TlsFiles::default()
        };
        let load = |files| Tls::load(files, &Arc::default());
        assert!(load(&mixed).unwrap_err().message.contains("do not go together"));

        let tls = load(&a).unwrap();
        let before = Arc::clone(&tls.current.main.read());
        std::fs::copy(&b.certificate, &a.certificate).unwrap();
        assert!(tls.reload().is_err());
        assert!(Arc::ptr_eq(&before, &tls.current.main.read()));
        std::fs::copy(&b.key, &a.key).unwrap();
        tls.reload().unwrap();
        assert_ne!(before.cert, tls.current.main.read().cert);
    }
}
