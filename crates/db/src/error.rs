use std::path::PathBuf;

/// What can go wrong between a statement and the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk (or its quota) is full. Nothing of the transaction was kept; try again when there is space.
    #[error("no space left for {file}")]
    NoSpace {
        /// The database file.
        file: PathBuf,
    },
    /// The file or its file system can't be written.
    #[error("{file} can't be written: {reason}")]
    ReadOnly {
        /// The database file.
        file: PathBuf,
        /// The engine's words.
        reason: String,
    },
    /// The file is damaged.
    #[error("{file} is damaged: {reason}")]
    Corrupt {
        /// The database file.
        file: PathBuf,
        /// The engine's words.
        reason: String,
    },
    /// Another writer held the file longer than the busy time allows, also after retries.
    #[error("{file} stayed locked by another program")]
    Busy {
        /// The database file.
        file: PathBuf,
    },
    /// The file was written by a newer program.
    #[error(
        "{file} has schema version {found}, this program knows versions up to {known}: use the newer program, or restore a backup"
    )]
    FromTheFuture {
        /// The database file.
        file: PathBuf,
        /// The version the file says.
        found: i64,
        /// The newest version this program can read.
        known: i64,
    },
    /// A uniqueness or foreign-key rule of the schema was broken.
    #[error("constraint: {0}")]
    Constraint(String),
    /// A column held another type than asked for.
    #[error("column {column}: {reason}")]
    Column {
        /// Position in the row, from 0.
        column: usize,
        /// What was found.
        reason: String,
    },
    /// The file could not be opened or synced.
    #[error("{file}: {source}")]
    Io {
        /// The database file.
        file: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Anything else the engine reports.
    #[error("{file}: {reason}")]
    Engine {
        /// The database file.
        file: PathBuf,
        /// The engine's words.
        reason: String,
    },
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
