/// What a client may make the codec hold or walk. Every field is a bound on hostile input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one line without its literals. 64 KiB: room for the long UID sets that synchronising clients send.
    pub line: usize,
    /// Octets of one literal inside a command (a mailbox name, a password, a search string). 64 KiB. The literal of APPEND is not
    /// held and not counted here.
    pub literal: u64,
    /// Octets of a whole command, literals included. 256 KiB.
    pub command: usize,
    /// Octets of one non-synchronizing literal (RFC 7888): 4,096 is LITERAL-, [`u64::MAX`] is LITERAL+. Holds for APPEND too.
    pub nonsync_literal: u64,
    /// Octets that are read and thrown away to find the end of a command that was refused. Beyond it the connection closes. 1 MiB.
    pub discard: u64,
    /// Depth of search keys in each other (`NOT`, `OR`, brackets). 128: programs that look for any of some dozens of addresses write
    /// `OR a OR b OR c …`, each in the one before.
    pub nesting: usize,
    /// Messages and parts of messages in one APPEND (RFC 3502, RFC 4469): each is held until all are there. 1,000.
    pub append_parts: usize,
    /// Search keys in one command, those in others counted. 1,000: programs that look up a thread name some dozens of Message-IDs.
    pub search_keys: usize,
    /// URLs in one GENURLAUTH or URLFETCH. 100.
    pub urls: usize,
    /// Groups of mailboxes in one NOTIFY, and mailboxes named in one group. 64 and 1,000.
    pub notify_groups: usize,
    /// See [`notify_groups`](Self::notify_groups).
    pub notify_mailboxes: usize,
    /// Pairs in an ID command. RFC 2971 §3.3 allows 30.
    pub id_pairs: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line: 64 * 1024,
            literal: 64 * 1024,
            command: 256 * 1024,
            nonsync_literal: u64::MAX,
            discard: 1024 * 1024,
            nesting: 128,
            append_parts: 1000,
            search_keys: 1000,
            urls: 100,
            notify_groups: 64,
            notify_mailboxes: 1000,
            id_pairs: 30,
        }
    }
}

impl Limits {
    /// The same for a client that has not logged in: nothing that it may ask for is long.
    #[must_use]
    pub fn before_login(&self) -> Limits {
        Limits {
            line: self.line.min(8 * 1024),
            literal: self.literal.min(4 * 1024),
            command: self.command.min(16 * 1024),
            nonsync_literal: self.nonsync_literal.min(4 * 1024),
            ..self.clone()
        }
    }
}
