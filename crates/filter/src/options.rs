use crate::ProgramOptions;
use std::path::PathBuf;
use std::time::Duration;

/// Scripts that run on IMAP events (RFC 6785).
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// Whether they do. Default true.
    pub enabled: bool,
    /// The administrator's script, which runs on every event in every mailbox before the one that the mailbox names.
    pub script: Option<PathBuf>,
    /// Whether a message that a script does not keep is taken away at once. Default false: it is marked as deleted, and its owner's program
    /// shows what became of it (RFC 6785 §2.2.4 leaves the choice).
    pub expunge: bool,
    /// Messages of one command for which scripts run. Default 1,000: a command is answered after that, and somebody who drags a whole
    /// mailbox into another has not asked for ten thousand mails to go out.
    pub messages: usize,
    /// How long the scripts of one command may take, all together. Default 30 s, less than clients wait for an answer.
    pub time: Duration,
}

impl Default for EventOptions {
    fn default() -> Self {
        EventOptions {
            enabled: true,
            script: None,
            expunge: false,
            messages: 1_000,
            time: Duration::from_secs(30),
        }
    }
}

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
    /// Folder of files with lists that scripts may ask (`extlists`), an entry a line.
    pub lists: Option<PathBuf>,
    /// Members of a list that one `redirect :list` may send to. Default 100: a script must not become a list server.
    pub list_recipients: usize,
    /// Programs that scripts may use.
    pub programs: ProgramOptions,
    /// Scripts that run on IMAP events.
    pub events: EventOptions,
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
            lists: None,
            list_recipients: 100,
            programs: ProgramOptions::default(),
            events: EventOptions::default(),
            sent_per_day: 2_000,
            create_mailboxes: false,
            hops: 50,
            message_bytes: 64 << 20,
            fault_every: 86_400,
        }
    }
}
