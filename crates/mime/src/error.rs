/// What can go wrong: only reading back a stored structure that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stored bytes are of a version this program does not know.
    #[error("stored message structure has version {0}, which this program does not know")]
    Version(u8),
    /// The stored bytes end early or contradict themselves.
    #[error("stored message structure is damaged at byte {0}")]
    Damaged(usize),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
