use std::fmt;

/// Why a command did not do what it was asked: said in a sentence, with what to do about it, and the code the process ends with.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What to do; empty when nothing useful can be said.
    pub advice: String,
    /// The exit code: 1 when the thing asked for failed, 2 when the question was wrong.
    pub exit: u8,
}

impl Failure {
    /// Exit code 1.
    pub fn new(message: impl fmt::Display) -> Failure {
        Failure {
            message: message.to_string(),
            advice: String::new(),
            exit: 1,
        }
    }

    /// Exit code 2: wrong arguments or settings.
    pub fn usage(message: impl fmt::Display) -> Failure {
        Failure {
            exit: 2,
            ..Failure::new(message)
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn advise(self, advice: impl fmt::Display) -> Failure {
        Failure {
            advice: advice.to_string(),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.advice.is_empty() {
            write!(f, "\n  → {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::Faults> for Failure {
    fn from(faults: crate::config::Faults) -> Self {
        Failure::usage(faults)
    }
}

/// Puts the name of a file in front of an error of the system.
pub trait At<T> {
    /// `doing`: what was tried, as in "cannot write".
    fn at(self, doing: &str, path: &std::path::Path) -> Result<T, Failure>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, doing: &str, path: &std::path::Path) -> Result<T, Failure> {
        self.map_err(|e| {
            let failure = Failure::new(format!("cannot {doing} {}: {e}", path.display()));
            match e.kind() {
                std::io::ErrorKind::PermissionDenied => failure.advise("run this as root or as the user that owns it"),
                std::io::ErrorKind::StorageFull => failure.advise("the disk is full; make room and try again"),
                _ => failure,
            }
        })
    }
}
