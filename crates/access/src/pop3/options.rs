use crate::ConnectionLimits;
use std::time::Duration;

/// How POP3 listeners behave. Every bound on what a client may cost is here, or in [`pop3::Limits`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name, in the greeting.
    pub hostname: String,
    /// The limits of the protocol: lines, errors, failed logins.
    pub protocol: pop3::Limits,
    /// Connections and patience.
    pub connection: ConnectionLimits,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            protocol: pop3::Limits::default(),
            connection: ConnectionLimits {
                idle: Duration::from_secs(10 * 60),
                ..ConnectionLimits::default()
            },
        }
    }
}
