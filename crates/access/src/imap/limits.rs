use std::time::Duration;

/// How IMAP listeners behave. Every bound on what a client may cost is here, or in [`imap::Limits`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name, in the greeting.
    pub hostname: String,
    /// The server where people keep the scripts that run on events (RFC 6785 §2.1), as `sieve://HOST`; announced where there is one.
    pub sieve_url: Option<String>,
    /// The limits of the protocol: lines, literals, nesting.
    pub protocol: imap::Limits,
    /// Octets of one message in APPEND. Default 104,857,600.
    pub message_size: u64,
    /// Connections at once on one listener. Default 10,000.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64 network) on one listener. Default 200.
    pub connections_per_address: usize,
    /// Commands that are refused with BAD, after which a session is ended. Default 50.
    pub errors: u32,
    /// Failed logins, after which a session is ended. Default 5.
    pub login_failures: u32,
    /// Pause before a failed login is answered. Default 2 s.
    pub login_failure_delay: Duration,
    /// Silence after which a session that has not logged in is ended. Default 1 minute.
    pub login_idle: Duration,
    /// Time after which a session is ended that has still not logged in. Default 5 minutes.
    pub login_time: Duration,
    /// Silence after which any other session is ended. Default 30 minutes (RFC 9051 §5.4).
    pub idle: Duration,
    /// How long the client may take to read a piece of an answer, or to send a piece of a message. Default 5 minutes.
    pub stall: Duration,
    /// How long a TLS handshake or a PROXY header may take. Default 30 s.
    pub handshake: Duration,
    /// How long sessions may go on after the stop signal. Default 10 s.
    pub shutdown: Duration,
    /// Messages that one command works on (RFC 9738); `None`: as many as there are. Default none.
    pub messages_per_command: Option<u32>,
    /// Searches of one session that are kept up to date (RFC 5267 §4.3.1): each change is put to each of them. Default 16.
    pub contexts: usize,
    /// How often the results among them are looked at that change with time alone (`OLDER`, `YOUNGER`). Default 1 minute.
    pub ageing: Duration,
    /// How often a long command says how far it has come (RFC 9585). Default 10 s.
    pub progress: Duration,
    /// Octets of a header that are looked at for `HEADER.FIELDS` and SEARCH. Default 1,048,576.
    pub header: u64,
    /// SEARCH, SORT and THREAD that look into texts at once; two of one account. Default: four for each processor.
    pub searches: usize,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            sieve_url: None,
            protocol: imap::Limits::default(),
            message_size: 100 << 20,
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
            messages_per_command: None,
            contexts: 16,
            ageing: Duration::from_secs(60),
            progress: Duration::from_secs(10),
            header: 1 << 20,
            searches: 4 * std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}
