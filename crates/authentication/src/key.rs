//! Private keys that sign, and what the zone says about them (RFC 6376 §3.6.1, RFC 8463).
//!
//! A key is kept as PKCS #8 (RFC 5958) in PEM. It never appears in what is printed for debugging.

use aws_lc_rs::rand as randomness;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// The fewest bits of an RSA key that signs (RFC 8301 §3.2 says SHOULD; for receivers of today it is a must).
const RSA_BITS: usize = 2048;

/// Random octets, which are passed in.
pub trait Random: randomness::SecureRandom {}

impl<T: randomness::SecureRandom> Random for T {}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `rsa-sha256`
    RsaSha256,
    /// `ed25519-sha256` (RFC 8463)
    Ed25519Sha256,
}

impl Algorithm {
    /// As `a=` has it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
        }
    }
}

/// A private key.
pub struct SigningKey {
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm().name())
    }
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM with a private key in PKCS #8.
    #[error(
        "this is no private key in PEM (BEGIN PRIVATE KEY); `openssl pkcs8 -topk8 -nocrypt` makes one of an older form"
    )]
    Form,
    /// It is neither RSA nor Ed25519.
    #[error("the key is neither RSA nor Ed25519")]
    Kind,
    /// An RSA key that is too short.
    #[error("an RSA key of {0} bits is too short: it takes 2048")]
    Short(usize),
    /// The signature failed.
    #[error("signing failed")]
    Signing,
}

impl SigningKey {
    /// Reads a key.
    pub fn from_pem(pem: &str) -> Result<SigningKey, KeyError> {
        let body = pem.split_once(BEGIN).ok_or(KeyError::Form)?.1;
        let body = body.split_once(END).ok_or(KeyError::Form)?.0;
        let packed: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let der = Zeroizing::new(STANDARD.decode(packed.as_bytes()).map_err(|_| KeyError::Form)?);
        SigningKey::from_pkcs8(&der)
    }

    /// Reads PKCS #8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<SigningKey, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(SigningKey {
                pair: Pair::Ed25519(pair),
            });
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Kind)?;
        let bits = pair.public_modulus_len() * 8;
        if bits < RSA_BITS {
            return Err(KeyError::Short(bits));
        }
        Ok(SigningKey {
            pair: Pair::Rsa(Box::new(pair)),
        })
    }

    /// PKCS #8 in DER as the PEM that [`from_pem`](SigningKey::from_pem) reads.
    pub fn pem(der: &[u8]) -> Zeroizing<String> {
        let packed = Zeroizing::new(STANDARD.encode(der));
        let mut pem = Zeroizing::new(String::with_capacity(packed.len() + packed.len() / 64 + 64));
        pem.push_str(BEGIN);
        pem.push('\n');
        for line in packed.as_bytes().chunks(64) {
            // Base64 is ASCII.
            pem.push_str(std::str::from_utf8(line).unwrap_or_default());
            pem.push('\n');
        }
        pem.push_str(END);
        pem.push('\n');
        pem
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match &self.pair {
            Pair::Rsa(_) => Algorithm::RsaSha256,
            Pair::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The text of the record that a zone must have at `SELECTOR._domainkey.DOMAIN`.
    pub fn record(&self) -> Result<String, KeyError> {
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                use aws_lc_rs::encoding::AsDer;
                let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> =
                    pair.public_key().as_der().map_err(|_| KeyError::Kind)?;
                format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(der.as_ref()))
            }
            Pair::Ed25519(pair) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key().as_ref())),
        })
    }

    /// Signs. RSA takes the data, Ed25519 their SHA-256 (RFC 8463 §3). `random` blinds the RSA operation; the signature does not depend on it.
    pub(crate) fn sign(&self, data: &[u8], random: &dyn Random) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, data, &mut signature)
                    .map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data);
                Ok(pair.sign(digest.as_ref()).as_ref().to_vec())
            }
        }
    }
}
