use std::fmt;

/// Where something stands in a script. Both count from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The script is no UTF-8, or its form is not Sieve's.
    Syntax,
    /// A command, test, tag or extension that is not known.
    Unknown,
    /// An extension is used and not required, or switched off.
    Extension,
    /// Arguments that do not fit the command.
    Argument,
    /// More than [`Limits`](crate::Limits) allow.
    Limit,
    /// It happened while the script ran.
    Run,
}

/// A fault in a script: where, what, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// Where.
    pub position: Position,
    /// What kind.
    pub kind: ErrorKind,
    /// What is wrong: one sentence without its full stop.
    pub message: String,
    /// What to write or do instead, if that is known.
    pub hint: Option<String>,
    /// The included script that it is in; none for the script itself.
    pub script: Option<String>,
}

/// What this crate's functions give.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, position: Position, message: impl Into<String>) -> Error {
        Error {
            position,
            kind,
            message: message.into(),
            hint: None,
            script: None,
        }
    }

    /// What went wrong when an action of a script was done.
    pub fn run(position: Position, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Run, position, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(script) = &self.script {
            write!(f, "script \"{script}\", ")?;
        }
        write!(f, "{}: {}", self.position, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
