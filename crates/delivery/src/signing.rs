//! The keys that sign what our people send (RFC 6376 §5).
//!
//! A key is a file, `DOMAIN/SELECTOR.pem` in the folder of keys: PKCS #8, readable by us alone. `rohrpost dkim` makes and changes them; they
//! are read again when a minute has passed, so that a rotation needs no restart.

use authentication::SigningKey;
use authentication::dkim::{BodyDigest, Request, sign};
use aws_lc_rs::rand::SystemRandom;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long keys are believed to be those on disk.
const AGAIN: Duration = Duration::from_secs(60);
/// How the files of keys that sign end.
const SUFFIX: &str = ".pem";

/// A key and the name of its record.
struct Key {
    selector: String,
    key: SigningKey,
}

/// By domain.
type Keys = HashMap<String, Vec<Key>>;

/// All keys.
pub struct Signer {
    folder: PathBuf,
    random: SystemRandom,
    keys: Mutex<Option<(Arc<Keys>, Instant)>>,
}

impl Signer {
    /// With the keys of a folder, which need not be there.
    pub fn new(folder: PathBuf) -> Signer {
        Signer {
            folder,
            random: SystemRandom::new(),
            keys: Mutex::new(None),
        }
    }

    /// Signs for a domain with each of its keys, or with those of the nearest domain above it that has any. Gives fields for the top of
    /// the message; none where there are no keys.
    pub fn sign(&self, domain: &str, header: &[u8], body: &BodyDigest, now: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let keys = self.keys();
        let mut name = Some(domain);
        let found = std::iter::from_fn(|| {
            let this = name?;
            name = this.split_once('.').map(|(_, above)| above);
            Some(this)
        })
        .find_map(|name| keys.get_key_value(name));
        let Some((domain, keys)) = found else {
            return out;
        };
        for Key { selector, key } in keys {
            let request = Request {
                domain,
                selector,
                key,
                time: now,
                expires: None,
            };
            match sign(header, body, &request, &self.random) {
                Ok(field) => out.extend(field),
                Err(error) => tracing::error!(domain, selector, %error, "a message was not signed"),
            }
        }
        out
    }

    fn keys(&self) -> Arc<Keys> {
        let mut known = self.keys.lock();
        match &*known {
            Some((keys, at)) if at.elapsed() < AGAIN => Arc::clone(keys),
            _ => {
                let keys = Arc::new(read(&self.folder).unwrap_or_else(|error| {
                    tracing::error!(folder = %self.folder.display(), %error, "the keys that sign mail cannot be read; it goes unsigned");
                    Keys::new()
                }));
                *known = Some((Arc::clone(&keys), Instant::now()));
                keys
            }
        }
    }
}

fn read(folder: &Path) -> io::Result<Keys> {
    let mut keys = Keys::new();
    for domain in listed(folder)? {
        for file in listed(&domain)? {
            let (Some(domain), Some(name)) = (domain.file_name(), file.file_name()) else {
                continue;
            };
            let Some(selector) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else {
                continue;
            };
            let pem = std::fs::read_to_string(&file)?;
            match SigningKey::from_pem(&pem) {
                Ok(key) => keys
                    .entry(domain.to_string_lossy().into_owned())
                    .or_default()
                    .push(Key {
                        selector: selector.to_owned(),
                        key,
                    }),
                Err(error) => tracing::error!(file = %file.display(), %error, "a key that signs mail cannot be used"),
            }
        }
    }
    Ok(keys)
}

/// What lies in a folder, by name; nothing if it is not there.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}
