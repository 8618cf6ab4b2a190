use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;

/// The hash that a SCRAM mechanism is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// RFC 5802. Broken for signatures; what SCRAM asks of it still holds.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl ScramHash {
    /// Octets of a key.
    pub fn octets(self) -> usize {
        match self {
            ScramHash::Sha1 => 20,
            ScramHash::Sha256 => 32,
        }
    }

    pub(crate) fn mac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            ScramHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            ScramHash::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec()
    }

    pub(crate) fn digest(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            ScramHash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ScramHash::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }
}

/// What a server keeps of a password for SCRAM (RFC 5802 §3): enough to check a proof, not enough to log in elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredentials {
    /// For which mechanisms.
    pub hash: ScramHash,
    /// Random, one per password and hash; 16 octets or more.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds; RFC 7677 §4 wants at least 4,096.
    pub iterations: u32,
    /// The hash of the client's key.
    pub stored_key: Vec<u8>,
    /// The server's key.
    pub server_key: Vec<u8>,
}

impl ScramCredentials {
    /// Computes them from a password, which the caller has put through [`crate::prepare`]. Costs `iterations` HMACs.
    pub fn derive(hash: ScramHash, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> ScramCredentials {
        let algorithm = match hash {
            ScramHash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            ScramHash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut salted = zeroize::Zeroizing::new(vec![0u8; hash.octets()]);
        pbkdf2::derive(algorithm, iterations, salt, password, salted.as_mut());
        let client_key = zeroize::Zeroizing::new(hash.mac(&salted, b"Client Key"));
        ScramCredentials {
            hash,
            salt: salt.to_vec(),
            iterations: iterations.get(),
            stored_key: hash.digest(&client_key),
            server_key: hash.mac(&salted, b"Server Key"),
        }
    }

    /// Whether `proof` was made by somebody who knows the password, for this `auth_message`.
    pub(crate) fn proof_is_right(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.mac(&self.stored_key, auth_message);
        if proof.len() != signature.len() {
            return false;
        }
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        let client_key = zeroize::Zeroizing::new(client_key);
        constant_time::verify_slices_are_equal(&self.hash.digest(&client_key), &self.stored_key).is_ok()
    }

    /// The server's own proof for this `auth_message`.
    pub(crate) fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.mac(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ScramCredentials({:?}, {} iterations, …)",
            self.hash, self.iterations
        )
    }
}
