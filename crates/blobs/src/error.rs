use crate::BlobId;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong between a message's bytes and the disk. Cheap to clone, because one failed write may have many waiters.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such blob.
    #[error("no blob {0}")]
    NotFound(BlobId),
    /// The blob is there but its bytes are damaged. Other blobs are not concerned.
    #[error("blob {id} in segment {segment:06} at byte {offset} is damaged: {reason}")]
    Corrupt {
        /// The blob.
        id: BlobId,
        /// Number of the segment file.
        segment: u32,
        /// Where its record begins.
        offset: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A file of the index is damaged. The index can be rebuilt from the segments.
    #[error("the blob index {path} is damaged: {reason}")]
    IndexDamaged {
        /// The index file.
        path: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
    /// The disk (or its quota) is full. Nothing was kept; put the blob again when there is space.
    #[error("no space left for {path}")]
    NoSpace {
        /// The file that did not fit.
        path: PathBuf,
    },
    /// The file system can't be written.
    #[error("{path} can't be written: read-only")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The blob is larger than this store takes.
    #[error("a blob may have at most {limit} bytes")]
    TooLarge {
        /// [`crate::BLOB_BYTES_MAX`].
        limit: u64,
    },
    /// A range reaches behind the end of the blob.
    #[error("bytes {start}..{end} of a blob of {len}")]
    Range {
        /// First byte asked for.
        start: u64,
        /// First byte not asked for.
        end: u64,
        /// Length of the blob.
        len: u64,
    },
    /// The store was closed.
    #[error("the blob store is closed")]
    Closed,
    /// Any other failure of the system.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What went wrong with a file beside the store's own, such as one where a message waits to be put in.
    pub fn beside(path: &Path, source: io::Error) -> Error {
        Error::io("use", path, source)
    }

    /// Sorts a system error into the classes callers tell apart.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace { path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Error::ReadOnly { path },
            _ => Error::Io {
                action,
                path,
                source: Arc::new(source),
            },
        }
    }

    /// Whether the cause is a file that is not there (any more).
    pub(crate) fn is_missing_file(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> io::Error {
        let kind = match &e {
            Error::NotFound(_) => io::ErrorKind::NotFound,
            Error::Corrupt { .. } | Error::IndexDamaged { .. } => io::ErrorKind::InvalidData,
            Error::NoSpace { .. } => io::ErrorKind::StorageFull,
            Error::ReadOnly { .. } => io::ErrorKind::ReadOnlyFilesystem,
            Error::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, e)
    }
}
