use crate::ConnectionLimits;
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
    /// Commands that are refused with BAD, after which a session is ended. Default 50.
    pub errors: u32,
    /// Failed logins, after which a session is ended. Default 5.
    pub login_failures: u32,
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
    /// Connections and patience.
    pub connection: ConnectionLimits,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            sieve_url: None,
            protocol: imap::Limits::default(),
            message_size: 100 << 20,
            errors: 50,
            login_failures: 5,
            messages_per_command: None,
            contexts: 16,
            ageing: Duration::from_secs(60),
            progress: Duration::from_secs(10),
            header: 1 << 20,
            searches: 4 * std::thread::available_parallelism().map_or(2, usize::from),
            connection: ConnectionLimits::default(),
        }
    }
}
