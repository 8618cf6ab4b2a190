use std::path::PathBuf;

/// What scripts may do here.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name, in what scripts send.
    pub hostname: String,
    /// How many scripts an account may have, and how large.
    pub scripts: store::ScriptLimits,
    /// What one run may cost.
    pub limits: sieve::Limits,
    /// What scripts may require.
    pub extensions: sieve::Extensions,
    /// The administrator's script that runs before everybody's own.
    pub before: Option<PathBuf>,
    /// The one that runs after it.
    pub after: Option<PathBuf>,
    /// Folder of scripts that `include :global` finds, as NAME.sieve.
    pub global: Option<PathBuf>,
    /// Messages that the scripts of one account may send in 24 hours: answers, notices and what is sent on. Default 2,000: a script must
    /// not make a stranger's flood into ours.
    pub sent_per_day: u64,
    /// Whether `fileinto` makes a mailbox that is missing, also without `:create`. Default false.
    pub create_mailboxes: bool,
    /// `Received` lines above which a message is not sent on. Default 50, below what the door refuses.
    pub hops: usize,
    /// Octets of the largest message that scripts see: it is held in memory while they run. A larger one is kept, and says why. Default 64 MiB.
    pub message_bytes: u64,
    /// How often a user is told that the script fails, in seconds. Default one day.
    pub fault_every: i64,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            scripts: store::ScriptLimits::default(),
            limits: sieve::Limits::default(),
            extensions: sieve::Extensions::default(),
            before: None,
            after: None,
            global: None,
            sent_per_day: 2_000,
            create_mailboxes: false,
            hops: 50,
            message_bytes: 64 << 20,
            fault_every: 86_400,
        }
    }
}
