/// Why a command is refused unread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such command.
    #[error("there is no command {0}")]
    Unknown(String),
    /// The arguments don't have the form they should.
    #[error("{command}: {what}")]
    Arguments {
        /// Which command.
        command: &'static str,
        /// What is wrong, or what was expected.
        what: &'static str,
    },
    /// The line as a whole is malformed.
    #[error("{0}")]
    Malformed(&'static str),
    /// A line without end.
    #[error("a line has more than {0} octets")]
    LineTooLong(usize),
    /// A literal above the limit; its octets were thrown away.
    #[error("{size} octets are more than the {limit} that a script may have")]
    LiteralTooLong {
        /// What the client announced.
        size: u64,
        /// What is allowed.
        limit: usize,
    },
    /// A name that no script can have (RFC 5804 §1.6).
    #[error("script name refused: {0}")]
    Name(&'static str),
}
