//! Access tokens: who says that somebody is who they say, when it is not a password of ours.
//!
//! A [`TokenCheck`] stands for the service that gave the token out. [`JwtCheck`] is the one we have: signed tokens (JWT, RFC 7519, in the profile
//! of RFC 9068) that are verified here, against the public keys of the issuer (a JSON Web Key Set, RFC 7517), without asking anybody. The
//! keys are a file, which is read again when it changes: whoever renews it (a timer with `curl`) decides whom to ask and by which way.
//!
//! Exposed to: whatever a client sends as a token. Touches: the key file.

use crate::{Directory, Error, Resolution, Result};
use db::AccountId;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the key file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Octets of a key file; a set of a hundred RSA keys takes 60 KB.
const KEYS_BYTES: u64 = 1 << 20;
/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;
/// What may sign. No `HS…`: a key that everybody may read must never count as a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Whoever can tell whose an access token is.
pub trait TokenCheck: Send + Sync + std::fmt::Debug {
    /// The address that the token speaks for; `None`: it is no good, for whatever reason. `now` is in seconds since 1970. May block.
    ///
    /// An error means that it could not be found out: the client is told to come again.
    fn address(&self, token: &str, now: i64) -> Result<Option<String>>;
}

/// What signed tokens must say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct JwtOptions {
    /// `iss`: who gives them out.
    pub issuer: String,
    /// `aud`: that they were given out for us.
    pub audience: String,
    /// The issuer's public keys, a JSON Web Key Set.
    pub keys: PathBuf,
    /// The claim that holds the address.
    pub claim: String,
}

/// Signed tokens, verified against a file of keys.
#[derive(Debug)]
pub struct JwtCheck {
    options: JwtOptions,
    keys: Mutex<Keys>,
}

#[derive(Debug)]
struct Keys {
    set: JwkSet,
    stamp: Option<(SystemTime, u64)>,
    looked: Instant,
}

impl JwtCheck {
    /// Reads the keys.
    pub fn open(options: JwtOptions) -> Result<JwtCheck> {
        let stamp = stamp(&options);
        let set = read(&options)?;
        Ok(JwtCheck {
            keys: Mutex::new(Keys {
                set,
                stamp,
                looked: Instant::now(),
            }),
            options,
        })
    }

    /// The keys that may have made this signature, with what they may be used for.
    fn candidates(&self, kid: Option<&str>) -> Vec<Jwk> {
        let mut keys = self.keys.lock();
        if keys.looked.elapsed() >= LOOK_EVERY {
            keys.looked = Instant::now();
            let now = stamp(&self.options);
            if now != keys.stamp {
                match read(&self.options) {
                    Ok(set) => {
                        keys.set = set;
                        keys.stamp = now;
                        tracing::info!(file = %self.options.keys.display(), "keys for access tokens read again");
                    }
                    Err(error) => tracing::warn!(%error, "changed keys for access tokens not taken; the old ones stay"),
                }
            }
        }
        let signs = |key: &&Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
        let named = |key: &&Jwk| kid.is_none_or(|kid| key.common.key_id.as_deref() == Some(kid));
        keys.set.keys.iter().filter(signs).filter(named).cloned().collect()
    }
}

impl TokenCheck for JwtCheck {
    fn address(&self, token: &str, now: i64) -> Result<Option<String>> {
        let Ok(header) = decode_header(token) else {
            return Ok(None);
        };
        if !ALGORITHMS.contains(&header.alg) {
            return Ok(None);
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.options.issuer]);
        validation.set_audience(&[&self.options.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The time is compared below, with the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        for key in self.candidates(header.kid.as_deref()) {
            let same = key
                .common
                .key_algorithm
                .is_none_or(|algorithm| algorithm.to_string() == format!("{:?}", header.alg));
            let Ok(key) = DecodingKey::from_jwk(&key) else { continue };
            if !same {
                continue;
            }
            let Ok(decoded) = decode::<serde_json::Value>(token, &key, &validation) else {
                continue;
            };
            let claims = decoded.claims;
            let seconds = |name: &str| claims.get(name).and_then(serde_json::Value::as_f64);
            let in_time = seconds("exp").is_some_and(|end| (now - LEEWAY) as f64 <= end)
                && seconds("nbf").is_none_or(|begin| begin <= (now + LEEWAY) as f64);
            let address = claims.get(&self.options.claim).and_then(serde_json::Value::as_str);
            // An address that its owner has not proven to have is no name to log in with (OpenID Connect Core §5.1).
            let unproven = self.options.claim == "email" && claims.get("email_verified") == Some(&false.into());
            return Ok(address.filter(|_| in_time && !unproven).map(str::to_owned));
        }
        Ok(None)
    }
}

impl Directory {
    /// Whether access tokens can be verified here.
    pub fn takes_tokens(&self) -> bool {
        self.inner().options.tokens.is_some()
    }

    /// The account that an access token lets in; `None`: nobody. May block.
    pub fn token_verify(&self, token: &[u8]) -> Result<Option<AccountId>> {
        let (Some(check), Ok(token)) = (&self.inner().options.tokens, std::str::from_utf8(token)) else {
            return Ok(None);
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let address = check.address(token, i64::try_from(now).unwrap_or(i64::MAX))?;
        Ok(address.and_then(|address| self.account_of(&address)))
    }

    /// The account that has one of the addresses of a verified certificate, if that is clear and it may log in.
    pub fn certificate_account(&self, addresses: &[String]) -> Option<AccountId> {
        let mut accounts = addresses.iter().filter_map(|address| self.account_of(address));
        let account = accounts.next()?;
        accounts.all(|other| other == account).then_some(account)
    }

    /// Whether whoever has logged in to `account` may act as `authzid`. Nobody acts as somebody else here; an authorization identity may
    /// only name the account itself (RFC 4616 §2).
    pub fn acts_as(&self, account: AccountId, authzid: Option<&str>) -> bool {
        match authzid {
            None | Some("") => true,
            Some(name) => matches!(
                self.resolve(name),
                Resolution::Account { account: named, subaddress: None, .. } if named == account
            ),
        }
    }

    fn account_of(&self, address: &str) -> Option<AccountId> {
        let canonical = crate::Address::parse(address).ok()?.canonical();
        let tables = self.tables();
        let account = tables.account_with(&canonical).filter(|a| !a.disabled && !a.group)?;
        Some(account.id)
    }
}

fn stamp(options: &JwtOptions) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(&options.keys).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(options: &JwtOptions) -> Result<JwkSet> {
    let fault = |reason: String| Error::TokenKeys {
        file: options.keys.clone(),
        reason,
    };
    let size = std::fs::metadata(&options.keys)
        .map_err(|e| fault(e.to_string()))?
        .len();
    if size > KEYS_BYTES {
        return Err(fault(format!("is larger than {KEYS_BYTES} octets")));
    }
    let text = std::fs::read(&options.keys).map_err(|e| fault(e.to_string()))?;
    let set: JwkSet =
        serde_json::from_slice(&text).map_err(|e| fault(format!("is no JSON Web Key Set (RFC 7517): {e}")))?;
    if set.keys.is_empty() {
        return Err(fault("holds no key".to_owned()));
    }
    Ok(set)
}
