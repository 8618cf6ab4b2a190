//! Password hashes, and how few of them are computed.

use crate::tables::{Credentials, Tables};
use crate::{Address, Directory, Error, HashParameters, Limits, Options, Result};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use db::AccountId;
use parking_lot::{Condvar, Mutex};
use sasl::{ScramCredentials, ScramHash};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

impl Directory {
    /// Whether `password` is that of `user` (any address of the account); gives the account. `None`: wrong, unknown or disabled,
    /// which take the same time. Blocking: some 20 ms unless the login is remembered.
    ///
    /// [`Error::TooManyLogins`] is a temporary failure, not a wrong password.
    pub fn password_verify(&self, user: &str, password: &[u8]) -> Result<Option<AccountId>> {
        let passwords = &self.inner().passwords;
        if password.len() > passwords.limits.password {
            return Ok(None);
        }
        let Ok(password) = sasl::prepare(password) else {
            return Ok(None);
        };
        let tables = self.tables();
        let known = login_in(&tables, user);
        if let Some((account, credentials)) = &known
            && passwords.is_cached(*account, credentials, &password)
        {
            return Ok(Some(*account));
        }
        let phc = known
            .as_ref()
            .map_or(passwords.dummy.as_str(), |(_, credentials)| &credentials.argon2);
        let hash = Phc::parse(phc).filter(|h| h.memory_kib <= passwords.limits.hash_memory_kib);
        let Some(hash) = hash else {
            return match known {
                Some((account, _)) => Err(Error::CredentialDamaged { account }),
                None => Ok(None),
            };
        };
        let right = passwords.is_right(known.as_ref(), &hash, &password)?;
        let Some((account, credentials)) = known.filter(|_| right) else {
            return Ok(None);
        };
        passwords.remember(account, &credentials, &password);
        // What was changed while the hash was computed counts.
        Ok(self.is_current(account, &credentials).then_some(account))
    }

    /// The same without computing a hash: the account if this login was verified a short while ago. Microseconds.
    pub fn password_cached(&self, user: &str, password: &[u8]) -> Option<AccountId> {
        let passwords = &self.inner().passwords;
        if password.len() > passwords.limits.password {
            return None;
        }
        let password = sasl::prepare(password).ok()?;
        let (account, credentials) = login_in(&self.tables(), user)?;
        passwords.is_cached(account, &credentials, &password).then_some(account)
    }

    /// The SCRAM credentials of `user` (any address of the account) and the account that they let in. For an unknown
    /// or disabled user, or one without password or without keys for this hash: made-up ones, the same every time, and `None`.
    pub fn scram(&self, user: &str, hash: ScramHash) -> (ScramCredentials, Option<AccountId>) {
        let known = login_in(&self.tables(), user).and_then(|(account, credentials)| {
            let credentials = match hash {
                ScramHash::Sha1 => credentials.scram_sha1.clone()?,
                ScramHash::Sha256 => credentials.scram.clone(),
            };
            Some((credentials, account))
        });
        match known {
            Some((credentials, account)) => (credentials, Some(account)),
            None => (self.inner().passwords.made_up(user, hash), None),
        }
    }

    fn is_current(&self, account: AccountId, credentials: &Credentials) -> bool {
        let tables = self.tables();
        let enabled = tables.accounts.get(&account).is_some_and(|a| !a.disabled && !a.group);
        enabled
            && tables
                .credentials
                .get(&account)
                .is_some_and(|now| now.argon2 == credentials.argon2)
    }
}

/// The account that `user` names, if it may log in.
fn login_in(tables: &Tables, user: &str) -> Option<(AccountId, Arc<Credentials>)> {
    let canonical = Address::parse(user).ok()?.canonical();
    let account = tables.account_with(&canonical).filter(|a| !a.disabled && !a.group)?;
    Some((account.id, tables.credentials.get(&account.id)?.clone()))
}

/// All that has to do with passwords and is not in the tables.
pub(crate) struct Passwords {
    parameters: HashParameters,
    limits: Limits,
    gate: Gate,
    /// Of this process alone: what is cached is worth nothing to anybody else.
    cache_key: [u8; 32],
    cache: Mutex<HashMap<AccountId, Verified>>,
    /// Of this directory, for ever: see [`Passwords::made_up`].
    secret: [u8; 32],
    /// A hash that nothing matches, as costly as a real one.
    dummy: String,
}

/// A login that was verified.
struct Verified {
    digest: blake3::Hash,
    until: Instant,
}

impl Passwords {
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    pub(crate) fn new(options: &Options, secret: [u8; 32]) -> Passwords {
        let dummy = Phc {
            memory_kib: options.hash.memory_kib,
            passes: options.hash.passes,
            lanes: options.hash.lanes,
            salt: vec![0; SALT_OCTETS],
            hash: vec![0; HASH_OCTETS],
        };
        Passwords {
            parameters: options.hash,
            limits: options.limits,
            gate: Gate::new(options.limits.hashes_at_once, options.limits.hashes_waiting),
            cache_key: rand::random(),
            cache: Mutex::new(HashMap::new()),
            secret,
            dummy: dummy.to_string(),
        }
    }

    /// Computes what is kept of a new password.
    pub(crate) fn make(&self, password: &[u8]) -> Result<Credentials> {
        if password.len() > self.limits.password {
            return Err(Error::Password("it is too long"));
        }
        let password = sasl::prepare(password)
            .map_err(|_| Error::Password("it must be UTF-8, not empty, without control characters"))?;
        let mut phc = Phc {
            memory_kib: self.parameters.memory_kib,
            passes: self.parameters.passes,
            lanes: self.parameters.lanes,
            salt: rand::random::<[u8; SALT_OCTETS]>().to_vec(),
            hash: vec![0; HASH_OCTETS],
        };
        let _turn = self.gate.enter()?;
        phc.hash = phc.compute(&password)?;
        let scram = |hash| {
            let salt: [u8; SALT_OCTETS] = rand::random();
            ScramCredentials::derive(hash, &password, &salt, self.parameters.scram_iterations)
        };
        Ok(Credentials {
            argon2: phc.to_string(),
            scram: scram(ScramHash::Sha256),
            scram_sha1: Some(scram(ScramHash::Sha1)),
        })
    }

    /// Drops what is remembered of an account. Not needed to be safe, since a new password makes another digest.
    pub(crate) fn forget(&self, account: AccountId) {
        self.cache.lock().remove(&account);
    }

    fn is_cached(&self, account: AccountId, credentials: &Credentials, password: &[u8]) -> bool {
        let digest = self.digest(account, credentials, password);
        let cache = self.cache.lock();
        // Comparing two blake3::Hash takes constant time.
        cache
            .get(&account)
            .is_some_and(|v| v.digest == digest && v.until > Instant::now())
    }

    /// Computes the hash, when it is this login's turn. A program that opens several connections logs in on all of them at once: what came of the
    /// first is good for those that have waited meanwhile.
    fn is_right(&self, known: Option<&(AccountId, Arc<Credentials>)>, hash: &Phc, password: &[u8]) -> Result<bool> {
        let _turn = self.gate.enter()?;
        let cached = known.is_some_and(|(account, credentials)| self.is_cached(*account, credentials, password));
        Ok(cached || hash.matches(password)?)
    }

    fn remember(&self, account: AccountId, credentials: &Credentials, password: &[u8]) {
        let now = Instant::now();
        let verified = Verified {
            digest: self.digest(account, credentials, password),
            until: now + self.limits.login_cached_for,
        };
        let mut cache = self.cache.lock();
        if cache.len() >= self.limits.logins_cached && !cache.contains_key(&account) {
            cache.retain(|_, v| v.until > now);
            if cache.len() >= self.limits.logins_cached {
                // Any will do: it costs its owner one hash.
                let one = cache.keys().next().copied();
                one.map(|id| cache.remove(&id));
            }
        }
        if self.limits.logins_cached > 0 {
            cache.insert(account, verified);
        }
    }

    /// Ties a login to the account, to the very hash that it was verified against, and to the password. A changed password has
    /// another hash (its salt is new), so an old digest can't be found again, whoever stores it when.
    fn digest(&self, account: AccountId, credentials: &Credentials, password: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.cache_key);
        hasher.update(&account.0.to_le_bytes());
        hasher.update(&(credentials.argon2.len() as u64).to_le_bytes());
        hasher.update(credentials.argon2.as_bytes());
        hasher.update(password);
        hasher.finalize()
    }

    /// SCRAM credentials for a user that does not exist: they look like others, and like themselves the next time.
    fn made_up(&self, user: &str, hash: ScramHash) -> ScramCredentials {
        let name = Address::parse(user).map_or_else(|_| user.to_lowercase(), |a| a.canonical());
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(match hash {
            ScramHash::Sha1 => b"scram-sha-1",
            ScramHash::Sha256 => &b"scram"[..],
        });
        hasher.update(name.as_bytes());
        let mut bytes = vec![0u8; SALT_OCTETS + 2 * hash.octets()];
        hasher.finalize_xof().fill(&mut bytes);
        let (salt, keys) = bytes.split_at(SALT_OCTETS);
        let (stored, server) = keys.split_at(hash.octets());
        ScramCredentials {
            hash,
            salt: salt.to_vec(),
            iterations: NonZeroU32::get(self.parameters.scram_iterations),
            stored_key: stored.to_vec(),
            server_key: server.to_vec(),
        }
    }
}

/// Lets few in at once, has some wait, turns the rest away.
struct Gate {
    state: Mutex<Turns>,
    freed: Condvar,
    at_once: usize,
    waiting: usize,
}

#[derive(Default)]
struct Turns {
    inside: usize,
    waiting: usize,
}

struct Turn<'g>(&'g Gate);

impl Gate {
    fn new(at_once: usize, waiting: usize) -> Gate {
        Gate {
            state: Mutex::default(),
            freed: Condvar::new(),
            at_once: at_once.max(1),
            waiting,
        }
    }

    fn enter(&self) -> Result<Turn<'_>> {
        let mut turns = self.state.lock();
        if turns.inside >= self.at_once {
            if turns.waiting >= self.waiting {
                return Err(Error::TooManyLogins);
            }
            turns.waiting += 1;
            while turns.inside >= self.at_once {
                self.freed.wait(&mut turns);
            }
            turns.waiting -= 1;
        }
        turns.inside += 1;
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().inside -= 1;
        self.0.freed.notify_one();
    }
}

/// Random octets of a salt.
const SALT_OCTETS: usize = 16;
/// Octets of a hash.
const HASH_OCTETS: usize = 32;
/// Blocks (KiB) that are asked of the allocator, however few are used: from 32 MiB on glibc always maps memory afresh and gives it
/// back at once, below it would keep up to two hashes' worth for ever. Only what is touched is taken.
const MAPPED_BLOCKS: usize = 33 * 1024;

/// An argon2id hash in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`, as other programs write and read it.
struct Phc {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    fn parse(text: &str) -> Option<Phc> {
        let mut fields = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (parameters, salt, hash, None) = (fields.next()?, fields.next()?, fields.next()?, fields.next()) else {
            return None;
        };
        let mut parameters = parameters.split(',');
        let mut number = |name: &str| parameters.next()?.strip_prefix(name)?.parse().ok();
        Some(Phc {
            memory_kib: number("m=")?,
            passes: number("t=")?,
            lanes: number("p=")?,
            salt: BASE64.decode(salt).ok()?,
            hash: BASE64.decode(hash).ok().filter(|h| !h.is_empty())?,
        })
    }

    fn matches(&self, password: &[u8]) -> Result<bool> {
        Ok(verify_slices_are_equal(&self.compute(password)?, &self.hash).is_ok())
    }

    fn compute(&self, password: &[u8]) -> Result<Vec<u8>> {
        let failed = |e: argon2::Error| Error::Hash(e.to_string());
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(self.hash.len())).map_err(failed)?;
        let mut blocks = Vec::with_capacity(params.block_count().max(MAPPED_BLOCKS));
        blocks.resize(params.block_count(), Block::default());
        let mut hash = vec![0; self.hash.len()];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(password, &self.salt, &mut hash, &mut blocks)
            .map_err(failed)?;
        Ok(hash)
    }
}

impl std::fmt::Display for Phc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (salt, hash) = (BASE64.encode(&self.salt), BASE64.encode(&self.hash));
        write!(
            f,
            "$argon2id$v=19$m={},t={},p={}${salt}${hash}",
            self.memory_kib, self.passes, self.lanes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_another_program_is_verified() {
        // echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1, as in the reference implementation's test.c.
        let known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let phc = Phc::parse(known).unwrap();
        assert!(phc.matches(b"password").unwrap());
        assert!(!phc.matches(b"Password").unwrap());
        assert_eq!(phc.to_string(), known);
    }

    #[test]
    fn damaged_hashes_are_not_read() {
        let table = [
            "",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh",
            "$argon2id$v=19$m=65536,t=2$c29tZXNhbHQ$CTFh",
            "$argon2id$v=19$t=2,m=65536,p=1$c29tZXNhbHQ$CTFh",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh$",
            "$argon2id$v=19$m=65536,t=2,p=1$!$CTFh",
        ];
        for text in table {
            assert!(Phc::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_gate_bounds_and_turns_away() {
        let gate = Gate::new(1, 0);
        let turn = gate.enter().unwrap();
        assert!(matches!(gate.enter().err(), Some(Error::TooManyLogins)));
        drop(turn);
        drop(gate.enter().unwrap());

        let gate = Gate::new(2, 100);
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _turn = gate.enter().unwrap();
                        let now = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert!(now < 2);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }

    fn some_credentials() -> Credentials {
        Credentials {
            argon2: "x".into(),
            scram: ScramCredentials {
                hash: ScramHash::Sha256,
                salt: vec![],
                iterations: 1,
                stored_key: vec![0; 32],
                server_key: vec![0; 32],
            },
            scram_sha1: None,
        }
    }

    #[test]
    fn who_waits_for_the_same_login_need_not_compute_it() {
        let passwords = Passwords::new(&Options::default(), [0; 32]);
        let known = (AccountId(1), Arc::new(some_credentials()));
        // One that this password does not match: the answer can only be the first one's.
        let hash = Phc::parse(&passwords.dummy).unwrap();
        let turns: Vec<_> = (0..passwords.gate.at_once)
            .map(|_| passwords.gate.enter().unwrap())
            .collect();
        std::thread::scope(|scope| {
            let (passwords, known, hash) = (&passwords, &known, &hash);
            let waits = |password: &'static [u8]| scope.spawn(move || passwords.is_right(Some(known), hash, password));
            let (same, other) = (waits(b"pw"), waits(b"pw2"));
            while passwords.gate.state.lock().waiting < 2 {
                std::thread::yield_now();
            }
            passwords.remember(known.0, &known.1, b"pw");
            drop(turns);
            assert!(same.join().unwrap().unwrap());
            assert!(!other.join().unwrap().unwrap());
        });
    }

    #[test]
    fn the_cache_is_bounded_and_ends() {
        let options = |logins_cached, seconds| Options {
            limits: Limits {
                logins_cached,
                login_cached_for: std::time::Duration::from_secs(seconds),
                ..Limits::default()
            },
            ..Options::default()
        };
        let credentials = some_credentials();
        let passwords = Passwords::new(&options(3, 600), [0; 32]);
        for id in 1..=100 {
            passwords.remember(AccountId(id), &credentials, b"pw");
            assert!(passwords.is_cached(AccountId(id), &credentials, b"pw"));
            assert!(!passwords.is_cached(AccountId(id), &credentials, b"pw2"));
            assert!(passwords.cache.lock().len() <= 3);
        }
        let ended = Passwords::new(&options(3, 0), [0; 32]);
        ended.remember(AccountId(1), &credentials, b"pw");
        assert!(!ended.is_cached(AccountId(1), &credentials, b"pw"));
        let none = Passwords::new(&options(0, 600), [0; 32]);
        none.remember(AccountId(1), &credentials, b"pw");
        assert!(!none.is_cached(AccountId(1), &credentials, b"pw"));
    }
}
