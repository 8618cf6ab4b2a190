use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;

/// What a server keeps of a password for SCRAM (RFC 5802 §3): enough to check a proof, not enough to log in elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredentials {
    /// Random, one per password; 16 octets or more.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds; RFC 7677 §4 wants at least 4,096.
    pub iterations: u32,
    /// SHA-256 of the client's key.
    pub stored_key: [u8; 32],
    /// The server's key.
    pub server_key: [u8; 32],
}

impl ScramCredentials {
    /// Computes them from a password, which the caller has put through [`crate::prepare`]. Costs `iterations` HMACs.
    pub fn derive(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> ScramCredentials {
        let mut salted = zeroize::Zeroizing::new([0u8; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, salted.as_mut());
        let client_key = zeroize::Zeroizing::new(hmac_sha256(salted.as_ref(), b"Client Key"));
        ScramCredentials {
            salt: salt.to_vec(),
            iterations: iterations.get(),
            stored_key: sha256(client_key.as_ref()),
            server_key: hmac_sha256(salted.as_ref(), b"Server Key"),
        }
    }

    /// Whether `proof` was made by somebody who knows the password, for this `auth_message`.
    pub(crate) fn proof_is_right(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = hmac_sha256(&self.stored_key, auth_message);
        if proof.len() != signature.len() {
            return false;
        }
        let mut client_key = zeroize::Zeroizing::new([0u8; 32]);
        for ((key, p), s) in client_key.iter_mut().zip(proof).zip(signature) {
            *key = p ^ s;
        }
        constant_time::verify_slices_are_equal(&sha256(client_key.as_ref()), &self.stored_key).is_ok()
    }

    /// The server's own proof for this `auth_message`.
    pub(crate) fn server_signature(&self, auth_message: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramCredentials({} iterations, …)", self.iterations)
    }
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, data);
    let mut out = [0; 32];
    out.copy_from_slice(hash.as_ref());
    out
}
