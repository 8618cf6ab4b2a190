use crate::{Error, Result, Transaction};
use std::path::Path;

/// One numbered step of a schema. Steps are never changed once released; a new one is added.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// What the step does, for the log.
    pub name: &'static str,
    /// Its statements, in the SQL subset.
    pub sql: &'static str,
}

/// The tables of one component. Several components share a file; each has versions of its own.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The component's name, as the table `schema_version` keeps it.
    pub component: &'static str,
    /// All steps in order; step *n* (from 1) leads to version *n*.
    pub steps: &'static [Migration],
}

impl Schema {
    fn newest(&self) -> i64 {
        i64::try_from(self.steps.len()).unwrap_or(i64::MAX)
    }

    /// The version found in the file, 0 when the component has no tables there; an error when it is from the future.
    fn found_in(&self, tx: &Transaction<'_>, file: &Path) -> Result<i64> {
        let found = tx
            .query_row(
                "SELECT max(version) FROM schema_version WHERE component = ?1",
                &[self.component.into()],
                |row| row.opt_i64(0),
            )?
            .flatten()
            .unwrap_or(0);
        if found > self.newest() {
            return Err(Error::FromTheFuture {
                file: file.to_path_buf(),
                found,
                known: self.newest(),
            });
        }
        Ok(found)
    }
}

/// Whether any of `schemas` has steps that the file has not taken.
pub(crate) fn is_behind(tx: &Transaction<'_>, schemas: &[Schema], file: &Path) -> Result<bool> {
    let known = tx.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'",
        &[],
        |row| row.i64(0),
    )?;
    if known != Some(1) {
        return Ok(true);
    }
    let mut behind = false;
    for schema in schemas {
        behind |= schema.found_in(tx, file)? < schema.newest();
    }
    Ok(behind)
}

/// Brings all `schemas` forward inside the caller's transaction.
pub(crate) fn apply_in(tx: &Transaction<'_>, schemas: &[Schema], file: &Path) -> Result<()> {
    tx.batch(
        "CREATE TABLE IF NOT EXISTS schema_version (component TEXT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (component, version))",
    )?;
    for schema in schemas {
        let found = schema.found_in(tx, file)?;
        for (step, version) in schema.steps.iter().zip(1i64..) {
            if version > found {
                if found > 0 {
                    tracing::info!(file = %file.display(), schema.component, version, step = step.name, "migrating");
                }
                tx.batch(step.sql)?;
                tx.execute(
                    "INSERT INTO schema_version (component, version) VALUES (?1, ?2)",
                    &[schema.component.into(), version.into()],
                )?;
            }
        }
    }
    Ok(())
}
