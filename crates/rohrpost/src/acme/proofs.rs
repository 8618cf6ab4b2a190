//! What a certificate authority finds when it looks whether a name leads to us.

use parking_lot::Mutex;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::sync::Arc;

/// Proofs for the challenges that are open just now.
#[derive(Debug, Default)]
pub struct Proofs {
    answers: Mutex<HashMap<String, String>>,
    certificates: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// A proof that is there until this is dropped.
pub struct Placed {
    proofs: Arc<Proofs>,
    /// Token, or name.
    key: String,
    is_answer: bool,
}

impl Proofs {
    /// What is answered at `/.well-known/acme-challenge/TOKEN` (RFC 8555 §8.3).
    pub fn answer(&self, token: &str) -> Option<String> {
        self.answers.lock().get(token).cloned()
    }

    /// The certificate that a name shows to who speaks `acme-tls/1` (RFC 8737 §3).
    pub fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.certificates.lock().get(name).cloned()
    }

    /// Puts an answer there.
    pub(super) fn place_answer(self: &Arc<Self>, token: &str, answer: String) -> Placed {
        self.answers.lock().insert(token.to_owned(), answer);
        Placed {
            proofs: Arc::clone(self),
            key: token.to_owned(),
            is_answer: true,
        }
    }

    /// Puts a certificate there that holds the hash of what proves it.
    pub(super) fn place_certificate(self: &Arc<Self>, name: &str, hash: &[u8]) -> Result<Placed, String> {
        if hash.len() != 32 {
            return Err("a hash of the wrong length".to_owned());
        }
        let fault = |e: rcgen::Error| e.to_string();
        let mut parameters = rcgen::CertificateParams::new([name.to_owned()]).map_err(fault)?;
        parameters.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(hash)];
        let key = rcgen::KeyPair::generate().map_err(fault)?;
        let certificate = parameters.self_signed(&key).map_err(fault)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        // Not compared with the certificate: that holds an extension that only certificate authorities know.
        let signer = provider
            .key_provider
            .load_private_key(private)
            .map_err(|e| e.to_string())?;
        let pair = CertifiedKey::new(vec![certificate.der().clone()], signer);
        self.certificates
            .lock()
            .insert(name.to_ascii_lowercase(), Arc::new(pair));
        Ok(Placed {
            proofs: Arc::clone(self),
            key: name.to_ascii_lowercase(),
            is_answer: false,
        })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if self.is_answer {
            self.proofs.answers.lock().remove(&self.key);
        } else {
            self.proofs.certificates.lock().remove(&self.key);
        }
    }
}
