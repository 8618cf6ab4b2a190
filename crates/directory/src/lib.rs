//! Domains, accounts, addresses, aliases and credentials: who exists here, and who may come in.
//!
//! A [`Directory`] keeps its rows in the server's database (component `directory`) and a copy of all of them in memory, from which
//! every question is answered: [`Directory::resolve`] for each recipient, [`Directory::password_cached`] for each login. A change is
//! one transaction on stable storage, after which the copy is built anew; what another process changed is seen after
//! [`Directory::reload`].
//!
//! # Addresses
//!
//! An address is `local@domain` (RFC 5321 §4.1.2, with UTF-8 as RFC 6531 has it). Domains are the same in upper and lower case, as
//! A-labels and as U-labels (RFC 5890). Of local parts only the domain's owner may say when two are equal (RFC 5321 §2.4); here, case and
//! Unicode normal form don't matter, and `"ada"@` is `ada@`. See [`Address`].
//!
//! An address of ours leads to, in this order: the account or alias that has it; the account or alias that has it without its
//! subaddress (`ada+list@` is `ada@`, RFC 5233); for `postmaster@` and `abuse@` (RFC 2142, RFC 5321 §4.5.1) the postmaster; the domain's
//! catch-all; nobody.
//!
//! # Passwords
//!
//! argon2id, parameters in [`HashParameters`]; SCRAM credentials beside it. A login that was verified is remembered for a few minutes under
//! a keyed hash that only this process can make, so that clients which log in every minute cost microseconds. Few hashes are
//! computed at once ([`Limits::hashes_at_once`]), since each takes 19 MiB. An unknown user costs as long as a known one.
//!
//! This crate is exposed to names, passwords and tokens from the network, and touches nothing but its tables and a file of keys.

mod accounts;
mod address;
mod aliases;
mod directory;
mod domains;
mod error;
mod groups;
mod options;
mod passwords;
mod resolve;
mod sending;
mod tables;
mod tokens;

pub use accounts::{Account, NewAccount};
pub use address::{Address, AddressFault};
pub use aliases::Alias;
pub use db::AccountId;
pub use directory::{Directory, SCHEMA};
pub use domains::Domain;
pub use error::{Error, Result};
pub use options::{HashParameters, Limits, Options};
pub use resolve::{Expansion, Final, Resolution};
pub use sending::SendingHold;
pub use tokens::{JwtCheck, JwtOptions, TokenCheck};
