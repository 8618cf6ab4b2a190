use crate::ConnectionLimits;

/// How ManageSieve listeners behave. What a script may be is in [`filter::Options`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name, in the greeting.
    pub hostname: String,
    /// Octets of a command line. Default 8,192.
    pub line: usize,
    /// Commands that are refused unread, after which a session is ended. Default 50.
    pub errors: u32,
    /// Failed logins, after which a session is ended. Default 5.
    pub login_failures: u32,
    /// Connections and patience.
    pub connection: ConnectionLimits,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            line: 8 * 1024,
            errors: 50,
            login_failures: 5,
            connection: ConnectionLimits::default(),
        }
    }
}
