use thiserror::Error;

/// Why a command was not understood. The text is what the client gets to read after `BAD`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The line has no tag.
    #[error("the command has no valid tag")]
    Tag,
    /// No command of this name.
    #[error("unknown command")]
    UnknownCommand,
    /// Something else was to stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Text after the end of the command.
    #[error("text after the end of the command")]
    Trailing,
    /// An argument that this server doesn't know.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// A number out of its range.
    #[error("number out of range")]
    Number,
    /// [`Limits::nesting`](crate::Limits::nesting) is exceeded.
    #[error("search keys are nested too deeply")]
    Nesting,
    /// A limit on counts is exceeded.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// SEARCH in a charset that is neither UTF-8 nor US-ASCII: to be answered with `NO [BADCHARSET (…)]`.
    #[error("the charset is not supported, use UTF-8")]
    Charset,
    /// A mailbox name that is neither modified UTF-7 nor UTF-8.
    #[error("the mailbox name is not valid modified UTF-7")]
    MailboxName,
    /// A string that was to be UTF-8.
    #[error("the text is not valid UTF-8")]
    Utf8,
    /// A response that was to be base64.
    #[error("invalid base64")]
    Base64,
    /// A line longer than [`Limits::line`](crate::Limits::line).
    #[error("the line is too long")]
    LineTooLong,
    /// A literal or command longer than the limits.
    #[error("the literal is too big")]
    LiteralTooBig,
    /// A command that ran on past everything that the server is willing to throw away.
    #[error("the command is too long")]
    CommandTooLong,
    /// A second message in one REPLACE.
    #[error("REPLACE takes one message")]
    OneMessage,
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
