//! What comes of a question.

use std::time::Instant;

/// Whether DNSSEC vouches for an answer (RFC 4033 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Security {
    /// It is provably not signed (or validation is off): anybody on the way may have made it up.
    Insecure,
    /// There is a chain of signatures from a trust anchor to it.
    Secure,
}

impl Security {
    /// Whether it is [`Security::Secure`].
    pub fn is_secure(self) -> bool {
        self == Security::Secure
    }
}

/// Records that were found; never none.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// What was asked for. At most [`Limits`](crate::Limits) many; what is beyond that is dropped.
    pub records: Vec<T>,
    /// Whether the records are signed, and every alias on the way to them.
    pub security: Security,
    /// The name at which the records stand: the one asked for, or where its CNAME records lead. Lower case, no dot at the end.
    pub name: String,
    /// Until when the answer may be used.
    pub expires: Instant,
}

impl<T> Answer<T> {
    /// The same answer with other records.
    pub(crate) fn with<U>(&self, records: Vec<U>) -> Answer<U> {
        Answer {
            records,
            security: self.security,
            name: self.name.clone(),
            expires: self.expires,
        }
    }
}

/// Why there are no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name does not exist (NXDOMAIN), and whether that is proven.
    #[error("{name} does not exist")]
    NoName {
        /// The name, or what its CNAME records led to.
        name: String,
        /// Whether it is proven.
        security: Security,
    },
    /// The name exists, but has no such records; and whether that is proven.
    #[error("{name} has no {kind} record")]
    NoData {
        /// The name, or what its CNAME records led to.
        name: String,
        /// What was asked for.
        kind: &'static str,
        /// Whether it is proven.
        security: Security,
    },
    /// Nobody answered, or the answer was "ask later" (SERVFAIL, REFUSED). Not an answer.
    #[error("{name} {kind} cannot be looked up: {reason}")]
    Temporary {
        /// The name.
        name: String,
        /// What was asked for.
        kind: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// It should be signed and is not, or not rightly: forged, or broken by whoever runs the zone. Not an answer.
    #[error("the {kind} answer for {name} fails DNSSEC validation")]
    Bogus {
        /// The name.
        name: String,
        /// What was asked for.
        kind: &'static str,
    },
    /// Its CNAME records lead in circles, or too far.
    #[error("the CNAME records of {name} lead nowhere")]
    Loop {
        /// The name.
        name: String,
    },
    /// This cannot be a name in the DNS.
    #[error("\"{name}\" is no name in the DNS")]
    NotAName {
        /// What was asked for.
        name: String,
    },
}

impl Error {
    /// The answer is: there is nothing.
    pub fn is_absent(&self) -> bool {
        matches!(
            self,
            Error::NoName { .. } | Error::NoData { .. } | Error::NotAName { .. }
        )
    }

    /// There is no answer; one may come later.
    pub fn is_temporary(&self) -> bool {
        !self.is_absent()
    }
}
