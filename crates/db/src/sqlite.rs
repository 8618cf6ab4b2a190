//! The only module that speaks to rusqlite's connection: opening, pragmas, error classes.

use crate::{Error, Options};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::path::Path;
use std::time::Duration;

pub(crate) fn version() -> &'static str {
    rusqlite::version()
}

pub(crate) fn open(path: &Path, options: &Options, writer: bool) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | if writer {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        };
    let c = Connection::open_with_flags(path, flags).map_err(|e| classify(path, e))?;
    let set = || -> rusqlite::Result<()> {
        c.busy_timeout(Duration::from_millis(options.busy_ms))?;
        c.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        if writer {
            // Page size can be chosen only before the first page is written; afterwards this is a no-op.
            c.pragma_update(None, "page_size", 4096)?;
            c.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
            c.pragma_update(None, "synchronous", "NORMAL")?;
            c.query_row(
                &format!(
                    "PRAGMA wal_autocheckpoint={}",
                    if options.checkpointer.is_some() {
                        0
                    } else {
                        options.checkpoint_pages
                    }
                ),
                [],
                |_| Ok(()),
            )?;
            // Keeps the log file from staying large after a burst.
            c.query_row("PRAGMA journal_size_limit=16777216", [], |_| Ok(()))?;
        } else {
            c.pragma_update(None, "query_only", true)?;
        }
        c.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
        c.pragma_update(None, "foreign_keys", true)?;
        // A plan does not depend on what is bound: else a range with other bounds has its statement compiled anew each time.
        c.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        c.pragma_update(None, "trusted_schema", false)?;
        Ok(())
    };
    set().map_err(|e| classify(path, e))?;
    Ok(c)
}

/// Statements a connection keeps prepared: more than any one file's callers use.
const STATEMENTS_KEPT: usize = 96;

pub(crate) fn is_retry(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

// By value, so that it stands in `map_err` as it is.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn classify(path: &Path, e: rusqlite::Error) -> Error {
    let file = path.to_path_buf();
    let reason = e.to_string();
    match &e {
        rusqlite::Error::SqliteFailure(f, _) => match f.code {
            ErrorCode::DiskFull => Error::NoSpace { file },
            ErrorCode::ReadOnly => Error::ReadOnly { file, reason },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt { file, reason },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Busy { file },
            ErrorCode::ConstraintViolation => Error::Constraint(reason),
            ErrorCode::SystemIoFailure => match f.extended_code {
                // The shared-memory file and the log are grown by other calls than write(2); a full disk shows here.
                ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => {
                    if writable_error_is_space(path) {
                        Error::NoSpace { file }
                    } else {
                        Error::ReadOnly { file, reason }
                    }
                }
                _ => Error::Engine { file, reason },
            },
            ErrorCode::CannotOpen if path.exists() && is_read_only(path) => Error::ReadOnly { file, reason },
            _ => Error::Engine { file, reason },
        },
        _ => Error::Engine { file, reason },
    }
}

fn writable_error_is_space(path: &Path) -> bool {
    !is_read_only(path)
}

/// Whether the file system of `path` refuses writes: asks by opening the file for writing, which changes nothing.
fn is_read_only(path: &Path) -> bool {
    match std::fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => false,
        Err(e) => matches!(
            e.kind(),
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied
        ),
    }
}
