/// Why the index cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From the database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// What is stored makes no sense: the index must be made anew.
    #[error("the search index is damaged: {0}")]
    Damaged(&'static str),
    /// Whoever asked does not want to know any more.
    #[error("the search was given up")]
    Stopped,
}

impl Error {
    /// Whether the file is to be thrown away and made anew.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Error::Damaged(_)
                | Error::Db(
                    db::Error::Corrupt { .. }
                        | db::Error::Column { .. }
                        | db::Error::FromTheFuture { .. }
                        | db::Error::Constraint(_)
                        | db::Error::Engine { .. }
                )
        )
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
