//! What can be wrong with bytes that were handed to the parsers.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mail address that RFC 5321 §4.1.2 does not allow.
    #[error("not a mail address: {0}")]
    Address(&'static str),
    /// A connection that should begin with a PROXY header and does not.
    #[error("not a PROXY header: {0}")]
    Proxy(&'static str),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
