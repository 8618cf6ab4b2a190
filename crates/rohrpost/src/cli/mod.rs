//! The command line: what can be said. What is done about it stands in the modules that [`crate::run`] hands over to.

pub mod manual;
pub mod output;
pub mod password;
pub mod settings;
pub mod sharing;

pub use sharing::{AclCommand, GroupCommand};

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The whole mail service of an organisation in one program.
///
/// Mail comes in by SMTP and LMTP, is on disk before it is acknowledged, is delivered into mailboxes, and is read by IMAP. Try it with
/// `rohrpost demo`; set up a real server with `rohrpost init` and `rohrpost serve`.
///
/// The commands that look at or change a server talk to it through a socket in its data directory while it runs, and open the data
/// directory themselves while it does not. Exit codes: 0 done, 1 failed or faults found, 2 wrong arguments or settings.
#[derive(Debug, Parser)]
#[command(name = "rohrpost", version, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes, before or after the verb.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// The settings [default: rohrpost.toml here, else /etc/rohrpost/rohrpost.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of tables: an array of objects where things are listed
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a throwaway server with sample accounts and mail, on loopback ports
    ///
    /// SMTP 2525, submission 2587, LMTP 2424, IMAP 2143, POP3 2110, ManageSieve 4191, HTTP 2080. Prints the passwords and commands to try. Starting it
    /// again keeps the data.
    Demo(DemoArgs),
    /// Set up a server: settings, certificate, first domain and first account
    ///
    /// Writes rohrpost.toml with every key in it, makes the data directory with a self-signed certificate to begin with, adds the
    /// domain and an account postmaster@DOMAIN, prints its password and the DNS records to set.
    Init(InitArgs),
    /// Run the server
    ///
    /// SIGTERM ends it within `limits.shutdown`; SIGHUP reads the certificate again.
    Serve,
    /// Check settings, machine, DNS and certificate
    ///
    /// Faults make the exit code 1, warnings do not. Without a reachable DNS server the DNS part is one warning.
    Check(CheckArgs),
    /// Compare what the DNS holds with what it must hold
    ///
    /// Record by record, for the host and for one domain or all: what is missing or different, why it matters, and what to write. Exit code 1
    /// when a record is wrong, or missing and not merely optional.
    Dns(DnsArgs),
    /// Keys that sign what people send (DKIM)
    ///
    /// They lie in the data directory. A running server sees a change within a minute.
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Accounts: people and what else has mailboxes
    #[command(subcommand)]
    Account(AccountCommand),
    /// Domains this server is responsible for
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Addresses that stand for other addresses
    #[command(subcommand)]
    Alias(AliasCommand),
    /// What people set: forwarding, vacation, rules, spam lists
    ///
    /// It stands in the person's Sieve script, which mail programs can edit as well.
    #[command(subcommand)]
    Settings(settings::SettingsCommand),
    /// Group mailboxes: addresses whose mail several people share
    #[command(subcommand)]
    Group(GroupCommand),
    /// Who may do what with whose mailboxes
    #[command(subcommand)]
    Acl(AclCommand),
    /// Mail that is accepted and not yet settled
    #[command(subcommand)]
    Queue(QueueCommand),
    /// What became of messages: one row for each recipient, oldest first
    Trace(TraceArgs),
    /// Filters: check and try scripts, and put them into accounts
    #[command(subcommand)]
    Sieve(SieveCommand),
    /// Prove that every accepted message is where it should be
    ///
    /// Every acceptance has each recipient settled or still open, every delivered row has its message in the mailbox or a later deletion by
    /// the user, every message's bytes exist. Names every exception; any makes the exit code 1.
    Audit,
    /// Read back every stored message and compare it with its hash
    ///
    /// Also lets the database engine check its files. Names every damaged record; any makes the exit code 1.
    Verify,
    /// Search indexes: what SEARCH and SORT look into
    #[command(subcommand)]
    Search(SearchCommand),
    /// Give the room of deleted mail back now
    ///
    /// A running server does so once a day by itself. Segments of which more than half is dead are emptied and removed.
    Reclaim,
    /// Print the text of a document that comes on standard input
    #[command(hide = true)]
    Extract {
        /// docx, xlsx, pptx, odt or pdf
        format: String,
    },
    /// Write the generated pages of docs/
    #[command(hide = true)]
    Docs {
        /// The folder to write to
        #[arg(default_value = "docs")]
        folder: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where to keep the data
    #[arg(long, value_name = "FOLDER", default_value = "demo-data")]
    pub data: PathBuf,
    /// Throw the data of an earlier demo away first
    #[arg(long)]
    pub fresh: bool,
    /// Added to every port number, to run beside another demo
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..60000))]
    pub port_offset: u16,
}

#[derive(Args, Debug)]
pub struct InitArgs {
    /// The mail domain: the part after the @
    #[arg(long, value_name = "DOMAIN")]
    pub domain: String,
    /// The name of this machine [default: mail.DOMAIN]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// The data directory
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/rohrpost")]
    pub data: PathBuf,
    /// The first account [default: postmaster@DOMAIN]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Whom the server becomes when started as root [default: rohrpost, where there is such a user]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Get certificates from Let's Encrypt, to whose terms you agree by this
    #[arg(long)]
    pub acme: bool,
}

/// `rohrpost dkim …`
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// List the keys of all domains
    List,
    /// Show a domain's keys with the DNS records that belong to them
    Show {
        /// The domain
        domain: String,
    },
    /// Make new keys for a domain, RSA and Ed25519; they sign when `activate` says so
    Rotate {
        /// The domain
        domain: String,
    },
    /// Let the new keys sign, once their records stand in the zone
    ///
    /// Those before them sign no more. Leave their records in the zone for a week: mail that they have signed is still on its way.
    Activate {
        /// The domain
        domain: String,
    },
}

#[derive(Args, Debug)]
pub struct DnsArgs {
    /// A domain of this server [default: all]
    pub domain: Option<String>,
    /// Print what the zones must hold as lines of a zone file; nothing is asked
    #[arg(long, conflicts_with = "json")]
    pub zone: bool,
    /// Show also what need not be there
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Leave out what asks the network
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account; prints a generated password unless one is given
    Add {
        /// The address people log in with
        address: String,
        /// The person's name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
        /// The most the account may hold, such as 5GiB [default: no bound]
        #[arg(long, value_name = "SIZE")]
        quota: Option<String>,
    },
    /// List all accounts
    List,
    /// Show one account
    Show {
        /// Any address of it
        address: String,
    },
    /// Set a new password; prints a generated one unless one is given
    Passwd {
        /// Any address of the account
        address: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Refuse logins and new mail; what is stored stays
    Disable {
        /// Any address of the account
        address: String,
    },
    /// Undo `disable`
    Enable {
        /// Any address of the account
        address: String,
    },
    /// Delete an account with its addresses and all its mail
    Delete {
        /// Any address of the account
        address: String,
        /// Say that it is meant
        #[arg(long)]
        yes: bool,
    },
    /// Set how much an account may hold
    Quota {
        /// Any address of the account
        address: String,
        /// Such as 5GiB, or "none"
        size: String,
        /// The most messages it may hold, or "none" [default: as it is]
        #[arg(long, value_name = "NUMBER")]
        messages: Option<String>,
    },
    /// The addresses an account receives mail for and may send from
    #[command(subcommand)]
    Address(AddressCommand),
    /// Addresses that an account may send from beside its own
    #[command(subcommand)]
    Sender(SenderCommand),
    /// Say who is told when what an account sends on cannot be delivered
    Forwarding {
        /// Any address of the account
        address: String,
        /// The sender of the message, the owner of the account, or as the settings say
        #[arg(value_parser = ["sender", "owner", "default"])]
        tells: String,
    },
    /// Hold back what an account sends, until `release`
    ///
    /// The server does so by itself with an account that sends as if its password were stolen (`[submission]`).
    Hold {
        /// Any address of the account
        address: String,
    },
    /// Let an account send again, and send what waited
    Release {
        /// Any address of the account
        address: String,
        /// Throw away what waited
        #[arg(long)]
        cancel: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum SenderCommand {
    /// Let an account send from an address that is not its own
    Add {
        /// Any address of the account
        account: String,
        /// The address, here or elsewhere, or @DOMAIN for all of a domain
        address: String,
    },
    /// Undo `add`
    Remove {
        /// Any address of the account
        account: String,
        /// The address or @DOMAIN
        address: String,
    },
}

#[derive(Args, Debug)]
pub struct PasswordArgs {
    /// Read the password from standard input, one line
    #[arg(long)]
    pub password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub enum AddressCommand {
    /// Give an account one more address
    Add {
        /// Any address of the account
        account: String,
        /// The new address
        address: String,
    },
    /// Take an address away
    Remove {
        /// The address
        address: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Take responsibility for a domain
    Add {
        /// Its name
        domain: String,
    },
    /// List all domains
    List,
    /// Give a domain up; no account or alias may use it any more
    Remove {
        /// Its name
        domain: String,
    },
    /// Say who gets mail to addresses of the domain that do not exist
    CatchAll {
        /// The domain
        domain: String,
        /// An address, or "none": such mail is refused
        address: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Make an address stand for others
    Add {
        /// The address
        address: String,
        /// What it stands for: accounts, other aliases, addresses elsewhere
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// List all aliases
    List,
    /// Remove an alias
    Remove {
        /// The address
        address: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List what is not settled, oldest first
    List {
        #[command(flatten)]
        filters: QueueFilters,
        /// Go on after this row of an earlier list: ID/NUMBER
        #[arg(long, value_name = "ID/N")]
        after: Option<String>,
        /// At most so many recipients
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: u32,
    },
    /// Count what waits for each other server, the most first
    Destinations {
        /// At most so many destinations
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Show one message: its envelope and what became of every recipient
    Show {
        /// The id that `queue list` and `trace` show
        id: String,
    },
    /// Try again now, without waiting until it is due
    Retry {
        #[command(flatten)]
        which: Which,
    },
    /// Hold back until released
    Hold {
        #[command(flatten)]
        which: Which,
    },
    /// Undo `hold`
    Release {
        #[command(flatten)]
        which: Which,
    },
    /// Take out without a word to the sender
    Cancel {
        #[command(flatten)]
        which: Which,
    },
    /// Give up now, and tell the senders
    Bounce {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Subcommand)]
pub enum SearchCommand {
    /// List the indexes: messages, size, and how many messages are waiting to be added
    List,
    /// Throw indexes away and make them anew
    ///
    /// Never needed for a right answer: a damaged or missing index is made again by itself, and a search waits for what is not indexed
    /// yet. Tells how far it is; people can search meanwhile.
    Rebuild {
        /// Any address of the account [default: all accounts]
        account: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub enum SieveCommand {
    /// Check a script: every fault with its line and column
    Check {
        /// The script, or - for standard input
        file: PathBuf,
    },
    /// Show what a script would do with mail that has arrived, and why; nothing is changed
    ///
    /// Nothing is sent either. With --apply messages are filed and flagged as the script says, after that was shown; what it would send or
    /// throw away stays as it is.
    Run(SieveRunArgs),
    /// Show what scripts of an account did lately, and why: at delivery, and when messages were filed or flagged over IMAP
    Log {
        #[command(flatten)]
        of: Of,
        /// At most so many of the newest decisions
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: u32,
    },
    /// List the scripts of an account
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Print a script
    Get {
        #[command(flatten)]
        of: Of,
        /// Its name [default: the active one]
        name: Option<String>,
    },
    /// Put a script into an account, new or over an old one
    Put {
        #[command(flatten)]
        of: Of,
        /// Its name
        name: String,
        /// The script, or - for standard input
        file: PathBuf,
        /// Filter mail by it from now on
        #[arg(long)]
        activate: bool,
    },
    /// Filter an account's mail by a script
    Activate {
        #[command(flatten)]
        of: Of,
        /// Its name
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// By none
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// Delete a script that is not active
    Delete {
        #[command(flatten)]
        of: Of,
        /// Its name
        name: String,
    },
}

#[derive(Args, Debug)]
pub struct Of {
    /// Any address of the account
    #[arg(long, value_name = "ADDRESS")]
    pub account: String,
}

#[derive(Args, Debug)]
pub struct SieveRunArgs {
    /// The script, or - for standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub of: Of,
    /// The mailbox whose messages it is tried on
    #[arg(long, value_name = "NAME", default_value = "INBOX")]
    pub mailbox: String,
    /// At most so many of the newest messages
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub last: u32,
    /// A message in a file in place of those of a mailbox
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mailbox", "last", "apply"])]
    pub message: Option<PathBuf>,
    /// Only messages that this other script treats differently
    #[arg(long, value_name = "FILE")]
    pub diff: Option<PathBuf>,
    /// File the messages
    #[arg(long)]
    pub apply: bool,
    /// Do not ask before
    #[arg(long, requires = "apply")]
    pub yes: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct QueueFilters {
    /// Only for this address; `*` stands for anything, as in *@phys.example
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    /// Only from this address, likewise; <> for the empty sender of bounces
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// Only for this destination: a domain, or the name of a route as `queue destinations` shows it
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Only what was accepted longer ago, such as 3h or "2 days", or before a time
    #[arg(long, value_name = "TIME")]
    pub older_than: Option<String>,
    /// Only what is in this state: due or held
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only what is for our mailboxes (local) or other servers (remote)
    #[arg(long, value_name = "LANE")]
    pub lane: Option<String>,
    /// Only this recipient, by the number that `queue show` gives it
    #[arg(long, value_name = "N")]
    pub recipient: Option<u32>,
}

#[derive(Args, Clone, Debug)]
pub struct Which {
    /// The message's id; without it, everything that the filters leave
    #[arg(required_unless_present_any = ["to", "from", "domain", "older_than", "state", "lane", "all"])]
    pub id: Option<String>,
    #[command(flatten)]
    pub filters: QueueFilters,
    /// Everything in the queue
    #[arg(long, conflicts_with_all = ["id", "to", "from", "domain", "older_than", "state", "lane", "recipient"])]
    pub all: bool,
}

#[derive(Args, Debug, Default)]
pub struct TraceArgs {
    /// Only mail to this address; `*` stands for anything, as in *@phys.example
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    /// Only mail from this address, likewise; <> for the empty sender of bounces
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// Accepted since: 2026-11-24, 2026-11-24T08:30, or how long ago, such as 3h or "2 days"
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Accepted before
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only messages of at least this size
    #[arg(long, value_name = "SIZE")]
    pub min_size: Option<String>,
    /// Only with a recipient of this fate: delivered, relayed, expanded, duplicate, discarded, redirected, rejected, failed, cancelled
    #[arg(long, value_name = "FATE")]
    pub fate: Option<String>,
    /// At most so many messages
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn config_and_json_stand_anywhere() {
        for words in [
            "rohrpost -c a.toml --json account list",
            "rohrpost account -c a.toml list --json",
            "rohrpost account list --config a.toml --json",
        ] {
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            assert_eq!(
                cli.global.config.as_deref(),
                Some(std::path::Path::new("a.toml")),
                "{words}"
            );
            assert!(cli.global.json, "{words}");
        }
    }
}
