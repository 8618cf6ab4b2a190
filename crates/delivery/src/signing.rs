//! The keys that sign what our people send (RFC 6376 §5).
//!
//! A key is a file, `DOMAIN/SELECTOR.END` in the folder of keys: PKCS #8, readable by us alone; how it ends says what it is for ([`KeyState`]).
//! `rohrpost dkim` makes and changes them; they are read again when a minute has passed, so that a rotation needs no restart.

use authentication::arc::{self, Chain, Sealer};
use authentication::dkim::{BodyDigest, Request, sign};
use authentication::{Algorithm, Heard, Limits, SigningKey};
use aws_lc_rs::rand::SystemRandom;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long keys are believed to be those on disk.
const AGAIN: Duration = Duration::from_secs(60);

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It signs.
    Signs,
    /// It is to sign when its record stands in the zone.
    Waits,
    /// It signs no more; its record must stay for as long as mail is on its way that it has signed.
    Retired,
}

impl KeyState {
    const ALL: [KeyState; 3] = [KeyState::Signs, KeyState::Waits, KeyState::Retired];

    /// How the files of such keys end.
    pub fn extension(self) -> &'static str {
        match self {
            KeyState::Signs => "pem",
            KeyState::Waits => "next",
            KeyState::Retired => "old",
        }
    }
}

/// The file of a key.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// The domain that it signs for.
    pub domain: String,
    /// The name of its record.
    pub selector: String,
    /// What it is for.
    pub state: KeyState,
    /// Where it lies.
    pub path: PathBuf,
}

impl KeyFile {
    /// Reads the key.
    pub fn read(&self) -> Result<SigningKey, String> {
        let pem = std::fs::read_to_string(&self.path).map(Zeroizing::new);
        pem.map_err(|error| error.to_string())
            .and_then(|pem| SigningKey::from_pem(&pem).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// The files of all keys in a folder, by domain and selector; none if it is not there.
pub fn key_files(folder: &Path) -> io::Result<Vec<KeyFile>> {
    let mut files = Vec::new();
    for domain in listed(folder)? {
        for path in listed(&domain)? {
            let text = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
            let state = KeyState::ALL
                .into_iter()
                .find(|state| path.extension().is_some_and(|end| end == state.extension()));
            if let (Some(domain), Some(selector), Some(state)) =
                (text(domain.file_name()), text(path.file_stem()), state)
            {
                files.push(KeyFile {
                    domain,
                    selector,
                    state,
                    path,
                });
            }
        }
    }
    Ok(files)
}

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

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
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
        let Some((domain, keys)) = nearest(&keys, domain) else {
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

    /// Seals a message that is sent on (RFC 8617), with a key of the domain or of the nearest one above it that has any: with RSA where there
    /// is a choice, since §4.1.3 knows no other. Gives fields for the top; none where there is no key, or nothing may be added.
    pub fn seal(&self, domain: &str, heard: &Heard, results: &str, chain: &Chain, now: u64) -> Vec<u8> {
        let keys = self.keys();
        let Some((domain, keys)) = nearest(&keys, domain) else {
            return Vec::new();
        };
        let rsa = |key: &&Key| key.key.algorithm() == Algorithm::RsaSha256;
        let Some(Key { selector, key }) = keys.iter().find(rsa).or_else(|| keys.first()) else {
            return Vec::new();
        };
        let sealer = Sealer {
            domain,
            selector,
            key,
            time: now,
        };
        match arc::seal(heard, results, chain, &sealer, &Limits::default(), &self.random) {
            Ok(set) => set.unwrap_or_default(),
            Err(error) => {
                tracing::error!(domain, selector, %error, "a message that is sent on was not sealed");
                Vec::new()
            }
        }
    }

    fn keys(&self) -> Arc<Keys> {
        let mut known = self.keys.lock();
        if let Some((keys, at)) = &*known
            && at.elapsed() < AGAIN
        {
            return Arc::clone(keys);
        }
        let keys = match read(&self.folder) {
            Ok(keys) => Arc::new(keys),
            Err(error) => {
                tracing::error!(folder = %self.folder.display(), %error, "the keys that sign mail cannot be read; those known so far go on");
                known.take().map(|(keys, _)| keys).unwrap_or_default()
            }
        };
        *known = Some((Arc::clone(&keys), Instant::now()));
        keys
    }
}

/// The keys of a domain, or of the nearest domain above it that has any.
fn nearest<'k>(keys: &'k Keys, domain: &str) -> Option<(&'k String, &'k Vec<Key>)> {
    let mut name = Some(domain);
    std::iter::from_fn(|| {
        let this = name?;
        name = this.split_once('.').map(|(_, above)| above);
        Some(this)
    })
    .find_map(|name| keys.get_key_value(name))
}

/// The keys that sign. One that cannot be used is passed over.
fn read(folder: &Path) -> io::Result<Keys> {
    let mut keys = Keys::new();
    for file in key_files(folder)?
        .into_iter()
        .filter(|file| file.state == KeyState::Signs)
    {
        match file.read() {
            Ok(key) => keys.entry(file.domain).or_default().push(Key {
                selector: file.selector,
                key,
            }),
            Err(error) => tracing::error!(error, "a key that signs mail cannot be used"),
        }
    }
    Ok(keys)
}

/// What lies in a folder, by name; nothing if it is not there, or is none.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::Ed25519KeyPair;

    #[test]
    fn a_key_that_cannot_be_used_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let domain = folder.path().join("phys.example");
        std::fs::create_dir(&domain).unwrap();
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pem = SigningKey::pem(der.as_ref());
        std::fs::write(domain.join("good.pem"), pem.as_bytes()).unwrap();
        std::fs::write(domain.join("waits.next"), pem.as_bytes()).unwrap();
        std::fs::write(domain.join("broken.pem"), b"nonsense").unwrap();
        std::fs::write(domain.join("README"), b"").unwrap();
        std::fs::write(folder.path().join("stray"), b"").unwrap();
        let found: Vec<_> = key_files(folder.path())
            .unwrap()
            .into_iter()
            .map(|file| (file.selector, file.state))
            .collect();
        let expected = [
            ("broken", KeyState::Signs),
            ("good", KeyState::Signs),
            ("waits", KeyState::Waits),
        ];
        assert_eq!(found, expected.map(|(name, state)| (name.to_owned(), state)));
        let keys = read(folder.path()).unwrap();
        let selectors: Vec<_> = keys
            .get("phys.example")
            .unwrap()
            .iter()
            .map(|key| key.selector.as_str())
            .collect();
        assert_eq!(selectors, ["good"]);
    }
}
