use std::time::Duration;

/// How ManageSieve listeners behave. What a script may be is in [`filter::Options`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name, in the greeting.
    pub hostname: String,
    /// Octets of a command line. Default 8,192.
    pub line: usize,
    /// Connections at once on one listener. Default 10,000.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64 network) on one listener. Default 200.
    pub connections_per_address: usize,
    /// Commands that are refused unread, after which a session is ended. Default 50.
    pub errors: u32,
    /// Failed logins, after which a session is ended. Default 5.
    pub login_failures: u32,
    /// Pause before a failed login is answered. Default 2 s.
    pub login_failure_delay: Duration,
    /// Silence after which a session that has not logged in is ended. Default 1 minute.
    pub login_idle: Duration,
    /// Time after which a session is ended that has still not logged in. Default 5 minutes.
    pub login_time: Duration,
    /// Silence after which any other session is ended. Default 30 minutes (RFC 5804 §1.2 asks for as much).
    pub idle: Duration,
    /// How long the client may take to read an answer. Default 5 minutes.
    pub stall: Duration,
    /// How long a TLS handshake or a PROXY header may take. Default 30 s.
    pub handshake: Duration,
    /// How long sessions may go on after the stop signal. Default 10 s.
    pub shutdown: Duration,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            line: 8 * 1024,
            connections: 10_000,
            connections_per_address: 200,
            errors: 50,
            login_failures: 5,
            login_failure_delay: Duration::from_secs(2),
            login_idle: Duration::from_secs(60),
            login_time: Duration::from_secs(5 * 60),
            idle: Duration::from_secs(30 * 60),
            stall: Duration::from_secs(5 * 60),
            handshake: Duration::from_secs(30),
            shutdown: Duration::from_secs(10),
        }
    }
}
