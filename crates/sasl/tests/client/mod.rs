//! A SCRAM client, written from RFC 5802 apart from the server, for tests.
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::ScramHash;
use std::num::NonZeroU32;

pub struct Client {
    pub gs2: String,
    pub user: String,
    pub password: String,
    pub nonce: String,
    /// The client's idea of the channel.
    pub channel: Vec<u8>,
    pub hash: ScramHash,
}

impl Client {
    pub fn new(gs2: &str, user: &str, password: &str, channel: &[u8]) -> Client {
        Client {
            gs2: gs2.into(),
            user: user.into(),
            password: password.into(),
            nonce: "rOprNGfwEbeRWgbNEkqO".into(),
            channel: channel.to_vec(),
            hash: ScramHash::Sha256,
        }
    }

    pub fn with(self, hash: ScramHash) -> Client {
        Client { hash, ..self }
    }

    fn bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    pub fn first(&self) -> String {
        format!("{}{}", self.gs2, self.bare())
    }

    /// The final message, and the server's answer that the client will accept.
    pub fn last(&self, server_first: &str) -> (String, String) {
        let mut parts = server_first.split(',');
        let nonce = parts.next().unwrap().strip_prefix("r=").unwrap();
        let salt = BASE64
            .decode(parts.next().unwrap().strip_prefix("s=").unwrap())
            .unwrap();
        let iterations: u32 = parts.next().unwrap().strip_prefix("i=").unwrap().parse().unwrap();
        let (rounds_of, mac_of, digest_of) = match self.hash {
            ScramHash::Sha1 => (
                pbkdf2::PBKDF2_HMAC_SHA1,
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ),
            ScramHash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256, &digest::SHA256),
        };
        let mut salted = vec![0u8; digest_of.output_len()];
        let rounds = NonZeroU32::new(iterations).unwrap();
        pbkdf2::derive(rounds_of, rounds, &salt, self.password.as_bytes(), &mut salted);
        let mac = |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(mac_of, key), data).as_ref().to_vec();
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(digest_of, &client_key);
        let c = BASE64.encode([self.gs2.as_bytes(), &self.channel].concat());
        let without_proof = format!("c={c},r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.bare());
        let signature = mac(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let server_key = mac(&salted, b"Server Key");
        let expected = format!("v={}", BASE64.encode(mac(&server_key, signed.as_bytes())));
        (format!("{without_proof},p={}", BASE64.encode(proof)), expected)
    }
}
