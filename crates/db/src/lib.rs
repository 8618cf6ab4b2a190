//! One SQL subset in front of the engines that keep Rohrpost's rows. Today the engine is SQLite, one file per [`Database`];
//! PostgreSQL is to stand behind the same types, so nothing here names a SQLite type in public.
//!
//! A [`Database`] has one writer and several parallel readers. [`Database::write`] runs a closure in a transaction and commits it;
//! the closure may run again when the engine asks for a retry, so it must not have effects besides its statements.
//! Whether the commit waits for the disk is the caller's choice: see [`Durability`].
//!
//! Schemas grow by numbered [`Migration`]s; a file written by a newer program is refused, never guessed at.
//! [`OpenFiles`] keeps a bounded number of databases open and makes sure that one file is never opened twice.

mod account_id;
mod checkpoint;
mod database;
mod error;
mod migrate;
mod open_files;
mod sqlite;
mod value;

pub use account_id::AccountId;
pub use checkpoint::Checkpointer;
pub use database::{Database, Durability, Options, Transaction};
pub use error::{Error, Result};
pub use migrate::{Migration, Schema};
pub use open_files::OpenFiles;
pub use value::{Row, Value};

/// The version of the embedded engine, for `rohrpost check` and the logs.
pub fn engine_version() -> &'static str {
    sqlite::version()
}
