use crate::TokenCheck;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// How a directory behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What separates the subaddress from the user in a local part (RFC 5233 leaves it to us). Default `+`; `None`: no subaddresses.
    pub subaddress_separator: Option<char>,
    /// The address of the account that gets mail to `postmaster@` and `abuse@` where nobody else does. Default `None`: the admin with
    /// the lowest id that is not disabled.
    pub postmaster: Option<String>,
    /// What a new password's hash costs.
    pub hash: HashParameters,
    /// Who tells whose an access token is. Default `None`: tokens are not taken.
    pub tokens: Option<Arc<dyn TokenCheck>>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            subaddress_separator: Some('+'),
            postmaster: None,
            hash: HashParameters::default(),
            tokens: None,
            limits: Limits::default(),
        }
    }
}

/// The cost of a password hash. Kept with each hash, so that a change here touches new passwords only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParameters {
    /// argon2id memory, KiB. Default 19 MiB, as OWASP's Password Storage Cheat Sheet has it (m=19456, t=2, p=1).
    pub memory_kib: u32,
    /// argon2id passes. Default 2.
    pub passes: u32,
    /// argon2id lanes. Default 1.
    pub lanes: u32,
    /// PBKDF2 rounds of the SCRAM credentials. Default 10,000; RFC 7677 §4 wants at least 4,096.
    pub scram_iterations: NonZeroU32,
}

impl Default for HashParameters {
    fn default() -> Self {
        HashParameters {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
            scram_iterations: NonZeroU32::MIN.saturating_add(9_999),
        }
    }
}

/// Bounds of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// argon2 computations at once. Default 2: 38 MiB.
    pub hashes_at_once: usize,
    /// Logins that wait for one of these; more are turned away with [`crate::Error::TooManyLogins`]. Default 256.
    pub hashes_waiting: usize,
    /// Memory that a stored hash may ask for, KiB. Default 256 MiB: a hash brought from elsewhere can't take the machine down.
    pub hash_memory_kib: u32,
    /// Logins remembered. Default 10,000.
    pub logins_cached: usize,
    /// How long a verified login is remembered. Default 10 minutes.
    pub login_cached_for: Duration,
    /// Octets of a password. Default 1,024.
    pub password: usize,
    /// Octets of a person's name. Default 255.
    pub name: usize,
    /// Addresses of one account. Default 100.
    pub addresses: usize,
    /// Targets of one alias. Default 10,000.
    pub targets: usize,
    /// Aliases one within the other. Default 16.
    pub alias_depth: usize,
    /// Final addresses of one expansion. Default 50,000.
    pub expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            hashes_at_once: 2,
            hashes_waiting: 256,
            hash_memory_kib: 256 * 1024,
            logins_cached: 10_000,
            login_cached_for: Duration::from_secs(600),
            password: 1024,
            name: 255,
            addresses: 100,
            targets: 10_000,
            alias_depth: 16,
            expansion: 50_000,
        }
    }
}
