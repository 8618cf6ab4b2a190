/// Why the ledger can't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From the rows.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// From the message bytes.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// The ledger is closing; nothing more is taken into custody.
    #[error("the ledger is closing")]
    Closing,
    /// Not the form of an acceptance id.
    #[error("{0:?} is not an acceptance id: those have up to 13 letters and digits")]
    NoSuchId(String),
    /// The writing thread could not be started.
    #[error("starting the ledger's thread: {0}")]
    Thread(std::io::Error),
}

impl Error {
    /// Whether the disk is full: the same request can succeed later.
    pub fn is_no_space(&self) -> bool {
        matches!(
            self,
            Error::Db(db::Error::NoSpace { .. }) | Error::Blobs(blobs::Error::NoSpace { .. })
        )
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
