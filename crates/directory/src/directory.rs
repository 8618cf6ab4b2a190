use crate::passwords::Passwords;
use crate::tables::{self, Tables};
use crate::{Error, Options, Result};
use db::{Database, Durability, Migration, Schema, Transaction};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// The tables of this crate.
pub const SCHEMA: Schema = Schema {
    component: "directory",
    steps: &[
        Migration {
            name: "domains, accounts, addresses, aliases, credentials",
            sql: include_str!("../migrations/0001_directory.sql"),
        },
        Migration {
            name: "SCRAM-SHA-1 beside SCRAM-SHA-256",
            sql: include_str!("../migrations/0002_scram_sha1.sql"),
        },
        Migration {
            name: "group mailboxes, who shares with whom",
            sql: include_str!("../migrations/0003_groups.sql"),
        },
        Migration {
            name: "how many messages an account may hold",
            sql: include_str!("../migrations/0004_quota_messages.sql"),
        },
        Migration {
            name: "under whose names accounts send, and whose mail is held back",
            sql: include_str!("../migrations/0005_sending.sql"),
        },
        Migration {
            name: "who is told of forwarding that fails",
            sql: include_str!("../migrations/0006_forwarding.sql"),
        },
    ],
};

/// Who exists here. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Arc<Database>,
    pub(crate) options: Options,
    pub(crate) passwords: Passwords,
    tables: RwLock<Arc<Tables>>,
    /// Held while an access control list and the index of them change.
    sharing: Mutex<()>,
    /// Held while tables are built and put in place, so that older ones never replace newer ones.
    building: Mutex<()>,
}

impl Directory {
    /// Opens the directory in a database that was opened with [`SCHEMA`] among its schemas.
    pub fn open(database: Arc<Database>) -> Result<Directory> {
        Directory::open_with(database, Options::default())
    }

    /// The same with options of one's own.
    pub fn open_with(database: Arc<Database>, options: Options) -> Result<Directory> {
        let secret = secret(&database)?;
        let tables = load(&database)?;
        let inner = Inner {
            passwords: Passwords::new(&options, secret),
            database,
            options,
            tables: RwLock::new(Arc::new(tables)),
            building: Mutex::new(()),
            sharing: Mutex::new(()),
        };
        Ok(Directory { inner: Arc::new(inner) })
    }

    /// Looks whether another process changed something, and takes it over; says whether it did. Blocking, cheap when nothing
    /// changed.
    pub fn reload(&self) -> Result<bool> {
        let _building = self.inner.building.lock();
        let known = self.tables().generation;
        let inside = in_transaction(&self.inner.database, tables::generation_in)?;
        if inside == known {
            return Ok(false);
        }
        let new = Arc::new(load(&self.inner.database)?);
        *self.inner.tables.write() = new;
        Ok(true)
    }

    /// To be held by whoever changes an access control list and then the index: [`Directory::shares_set`] must not lose what another notes
    /// meanwhile.
    pub fn sharing_alone(&self) -> impl Drop + '_ {
        self.inner.sharing.lock()
    }

    /// A secret of this server for one purpose, always the same. `purpose` is a constant of the program.
    pub fn secret_for(&self, purpose: &'static str) -> [u8; 32] {
        blake3::derive_key(purpose, self.inner.passwords.secret())
    }

    /// The tables as they are now.
    pub(crate) fn tables(&self) -> Arc<Tables> {
        self.inner.tables.read().clone()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Runs a change in one transaction on stable storage and takes it over into memory. A refusal rolls back.
    pub(crate) fn change<T>(&self, mut work: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let value = write(&self.inner.database, |tx| {
            let value = work(tx)?;
            tx.execute(
                "UPDATE directory_state SET generation = generation + 1 WHERE id = 1",
                &[],
            )?;
            Ok(value)
        })?;
        self.reload()?;
        Ok(value)
    }
}

fn load(database: &Database) -> Result<Tables> {
    in_transaction(database, Tables::load)
}

/// Carries an error of ours through `db`, whose closures speak its own.
fn carried<T>(refusal: Option<Error>, result: db::Result<T>) -> Result<T> {
    match (refusal, result) {
        (_, Ok(value)) => Ok(value),
        (Some(refusal), Err(_)) => Err(refusal),
        (None, Err(e)) => Err(e.into()),
    }
}

fn hand_over<T>(refusal: &mut Option<Error>, result: Result<T>) -> db::Result<T> {
    *refusal = None;
    result.map_err(|e| match e {
        Error::Database(e) => e,
        other => {
            *refusal = Some(other);
            db::Error::Constraint("refused".into())
        }
    })
}

fn in_transaction<T>(database: &Database, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
    let mut refusal = None;
    let result = database.read(|tx| hand_over(&mut refusal, work(tx)));
    carried(refusal, result)
}

fn write<T>(database: &Database, mut work: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
    let mut refusal = None;
    let result = database.write(Durability::Synced, |tx| hand_over(&mut refusal, work(tx)));
    carried(refusal, result)
}

/// The directory's secret; made when it is opened for the first time.
fn secret(database: &Database) -> Result<[u8; 32]> {
    let stored = |tx: &Transaction<'_>| -> Result<Option<[u8; 32]>> {
        let secret = tx.query_row("SELECT secret FROM directory_state WHERE id = 1", &[], |row| {
            Ok(row.opt_blob(0)?.and_then(|b| <[u8; 32]>::try_from(b).ok()))
        })?;
        Ok(secret.flatten())
    };
    if let Some(secret) = in_transaction(database, stored)? {
        return Ok(secret);
    }
    let fresh: [u8; 32] = rand::random();
    write(database, |tx| match stored(tx)? {
        Some(secret) => Ok(secret),
        None => {
            tx.execute(
                "UPDATE directory_state SET secret = ?1 WHERE id = 1",
                &[(&fresh).into()],
            )?;
            Ok(fresh)
        }
    })
}
