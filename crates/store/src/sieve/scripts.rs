//! Scripts: RFC 5804 says what can be done with them. One of an account's scripts is active, or none.
//!
//! Every change of a script gets a new version, above all earlier ones of the account. A writer that read a version before it changed
//! anything gives it back ([`Unless`]), and is refused when somebody else was quicker: no change is lost unseen. ManageSieve has no word for
//! that; its server remembers what each session has read.

use crate::account::Account;
use crate::mailbox::now;
use crate::{Error, ModSeq, Result};
use db::{Durability, Row, Transaction, Value};
use std::sync::Arc;

/// Longest name of a script, in octets of UTF-8 (RFC 5804 §1.6: 128 characters must be possible).
pub const MAX_SCRIPT_NAME_BYTES: usize = 512;

/// How many scripts an account may have, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Scripts of an account. Default 50: people have one, programs keep a few more.
    pub scripts: u32,
    /// Octets of one script. Default 1 MiB.
    pub bytes: u64,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        ScriptLimits {
            scripts: 50,
            bytes: 1 << 20,
        }
    }
}

/// A script as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptInfo {
    /// Its name.
    pub name: String,
    /// Octets of its text.
    pub bytes: u64,
    /// Whether mail is filtered by it.
    pub active: bool,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When its text was last written.
    pub changed: i64,
    /// Its version.
    pub version: ModSeq,
    /// What went wrong when it last ran, until it is written again.
    pub fault: Option<ScriptFault>,
}

/// What went wrong when a script ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFault {
    /// What, with the line.
    pub text: String,
    /// When, in seconds since 1970.
    pub at: i64,
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What is listed of it.
    pub info: ScriptInfo,
    /// Its text.
    pub text: String,
}

/// When a script is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unless {
    /// It is always written.
    Never,
    /// There is a script of that name.
    Exists,
    /// It is of another version, or not there any more.
    OtherThan(ModSeq),
}

const COLUMNS: &str = "SELECT name, length(CAST(text AS BLOB)), active, created, changed, version, error, error_at";

fn info(row: &Row<'_>) -> db::Result<ScriptInfo> {
    let error = row.opt_text(6)?.map(str::to_owned);
    let at = row.opt_i64(7)?.unwrap_or(0);
    Ok(ScriptInfo {
        name: row.text(0)?.to_owned(),
        bytes: row.u64(1)?,
        active: row.bool(2)?,
        created: row.i64(3)?,
        changed: row.i64(4)?,
        version: ModSeq(row.u64(5)?),
        fault: error.map(|text| ScriptFault { text, at }),
    })
}

fn script(row: &Row<'_>) -> db::Result<Script> {
    Ok(Script {
        info: info(row)?,
        text: row.text(8)?.to_owned(),
    })
}

/// What a change came to inside its transaction: refusals must not look like faults of the database.
type Checked<T> = std::result::Result<T, Error>;

impl Account {
    /// All scripts, by name.
    pub fn script_list(&self) -> Result<Vec<ScriptInfo>> {
        Ok(self.database().read(|tx| {
            tx.query_all(
                &format!("{COLUMNS} FROM script WHERE account = ?1 ORDER BY name"),
                &[self.id().0.into()],
                info,
            )
        })?)
    }

    /// The script of that name.
    pub fn script_read(&self, name: &str) -> Result<Option<Script>> {
        Ok(self.database().read(|tx| {
            tx.query_row(
                &format!("{COLUMNS}, text FROM script WHERE account = ?1 AND name = ?2"),
                &[self.id().0.into(), name.into()],
                script,
            )
        })?)
    }

    /// The active script. Costs nothing while none is written.
    pub fn script_active(&self) -> Result<Option<Arc<Script>>> {
        let mut active = self.active_script().0.lock();
        if let Some(known) = &*active {
            return Ok(known.clone());
        }
        let found = self.database().read(|tx| {
            tx.query_row(
                &format!("{COLUMNS}, text FROM script WHERE account = ?1 AND active = 1"),
                &[self.id().0.into()],
                script,
            )
        })?;
        let found = found.map(Arc::new);
        *active = Some(found.clone());
        Ok(found)
    }

    /// Whether a script of that name and size may be written; why not.
    pub fn script_room(&self, name: &str, bytes: u64, limits: &ScriptLimits) -> Result<()> {
        let list = self.script_list()?;
        check_size(bytes, limits)?;
        check_number(list.len() as u64, list.iter().any(|s| s.name == name), limits)
    }

    /// Writes a script, new or over an old one. Whether its text is right, the caller has found out. Durable when it returns; its version.
    pub fn script_put(&self, name: &str, text: &str, unless: Unless, limits: &ScriptLimits) -> Result<ModSeq> {
        check_script_name(name)?;
        check_size(text.len() as u64, limits)?;
        let account = self.id().0;
        self.script_change(|tx, version| {
            let found = version_in(tx, account, name)?;
            match (unless, found) {
                (Unless::Exists, Some(_)) => return Ok(Err(Error::ScriptExists)),
                (Unless::OtherThan(read), found) if found != Some(read) => return Ok(Err(Error::ScriptChanged)),
                _ => {}
            }
            let number = tx
                .query_row("SELECT count(*) FROM script WHERE account = ?1", &[account.into()], |row| row.u64(0))?
                .unwrap_or(0);
            if let Err(e) = check_number(number, found.is_some(), limits) {
                return Ok(Err(e));
            }
            tx.execute(
                "INSERT INTO script (account, name, text, active, created, changed, version) VALUES (?1, ?2, ?3, 0, ?4, ?4, ?5)
                 ON CONFLICT (account, name) DO UPDATE SET text = excluded.text, changed = excluded.changed, version = excluded.version,
                    error = NULL, error_at = NULL, told_at = NULL",
                &[account.into(), name.into(), text.into(), now().into(), version.into()],
            )?;
            Ok(Ok(version))
        })
    }

    /// Makes a script the active one, or none.
    pub fn script_activate(&self, name: Option<&str>) -> Result<()> {
        let account = self.id().0;
        self.script_change(|tx, _| {
            if let Some(name) = name
                && version_in(tx, account, name)?.is_none()
            {
                return Ok(Err(Error::NoScript));
            }
            tx.execute(
                "UPDATE script SET active = CASE WHEN name = ?2 THEN 1 ELSE 0 END WHERE account = ?1",
                &[account.into(), name.unwrap_or_default().into()],
            )?;
            Ok(Ok(()))
        })
    }

    /// Deletes a script. The active one is refused (RFC 5804 §2.10).
    pub fn script_delete(&self, name: &str) -> Result<()> {
        let account = self.id().0;
        self.script_change(|tx, _| {
            let active = tx.query_row(
                "SELECT active FROM script WHERE account = ?1 AND name = ?2",
                &[account.into(), name.into()],
                |row| row.bool(0),
            )?;
            match active {
                None => return Ok(Err(Error::NoScript)),
                Some(true) => return Ok(Err(Error::ScriptActive)),
                Some(false) => {}
            }
            tx.execute(
                "DELETE FROM script WHERE account = ?1 AND name = ?2",
                &[account.into(), name.into()],
            )?;
            Ok(Ok(()))
        })
    }

    /// Gives a script another name; if it is active it stays so (RFC 5804 §2.11).
    pub fn script_rename(&self, from: &str, to: &str) -> Result<()> {
        check_script_name(to)?;
        let account = self.id().0;
        self.script_change(|tx, _| {
            if version_in(tx, account, from)?.is_none() {
                return Ok(Err(Error::NoScript));
            }
            if version_in(tx, account, to)?.is_some() {
                return Ok(Err(Error::ScriptExists));
            }
            tx.execute(
                "UPDATE script SET name = ?3 WHERE account = ?1 AND name = ?2",
                &[account.into(), from.into(), to.into()],
            )?;
            Ok(Ok(()))
        })
    }

    /// Notes what went wrong when a script of that version ran. Whether the user is to be told: true once in `every` seconds.
    pub fn script_failed(&self, name: &str, version: ModSeq, text: &str, at: i64, every: i64) -> Result<bool> {
        let account = self.id().0;
        self.script_change(|tx, _| {
            let told = tx.query_row(
                "SELECT told_at FROM script WHERE account = ?1 AND name = ?2 AND version = ?3",
                &[account.into(), name.into(), version.into()],
                |row| row.opt_i64(0),
            )?;
            let Some(told) = told else { return Ok(Ok(false)) };
            let tell = told.is_none_or(|told| at - told >= every);
            tx.execute(
                "UPDATE script SET error = ?3, error_at = ?4, told_at = ?5 WHERE account = ?1 AND name = ?2",
                &[
                    account.into(),
                    name.into(),
                    text.into(),
                    at.into(),
                    if tell { Some(at) } else { told }.into(),
                ],
            )?;
            Ok(Ok(tell))
        })
    }

    /// Changes scripts in a transaction of their own; what was known of the active one is forgotten.
    fn script_change<T>(&self, mut work: impl FnMut(&Transaction<'_>, ModSeq) -> db::Result<Checked<T>>) -> Result<T> {
        let mut state = self.lock();
        let mut active = self.active_script().0.lock();
        let done = self.change(&mut state, Durability::Synced, |tx, draft| {
            let version = draft.next_modseq();
            work(tx, version)
        });
        *active = None;
        done?
    }
}

fn version_in(tx: &Transaction<'_>, account: i64, name: &str) -> db::Result<Option<ModSeq>> {
    tx.query_row(
        "SELECT version FROM script WHERE account = ?1 AND name = ?2",
        &[Value::from(account), name.into()],
        |row| Ok(ModSeq(row.u64(0)?)),
    )
}

fn check_size(bytes: u64, limits: &ScriptLimits) -> Result<()> {
    if bytes > limits.bytes {
        return Err(Error::ScriptSize {
            bytes,
            limit: limits.bytes,
        });
    }
    Ok(())
}

fn check_number(number: u64, exists: bool, limits: &ScriptLimits) -> Result<()> {
    if !exists && number >= u64::from(limits.scripts) {
        return Err(Error::ScriptNumber(limits.scripts));
    }
    Ok(())
}

fn check_script_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::ScriptName("it is empty"));
    }
    if name.len() > MAX_SCRIPT_NAME_BYTES {
        return Err(Error::ScriptName("it has more than 512 octets"));
    }
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err(Error::ScriptName("control characters are not allowed"));
    }
    Ok(())
}
