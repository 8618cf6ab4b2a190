//! What the administrator sets: one TOML file, read once at start.
//!
//! Every key is a row of one table (`keys`), which holds its name, its kind, its default, what it means and how it is put into the
//! [`Config`]. From that table come the reader, the commented file that `rohrpost init` writes, and `docs/configuration.md`.
//! A key that is not in it is refused, with the line it stands on and the nearest key there is.

mod acme_keys;
mod dns_keys;
mod forwarding_keys;
mod inspect_keys;
mod keys;
mod limit_keys;
mod network;
pub mod outgoing;
mod outgoing_keys;
mod read;
mod reference;
mod retry_keys;
mod route_keys;
mod sieve_keys;
mod submission_keys;
pub mod units;
mod web_keys;

pub use network::Network;
pub use read::Faults;
pub use reference::{Template, reference, template};

use smtp::dsn::Language;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where `rohrpost` looks for its file when `-c` does not say.
pub const DEFAULT_FILES: [&str; 2] = ["rohrpost.toml", "/etc/rohrpost/rohrpost.toml"];

/// All settings, defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Our name in greetings, `Received` lines and certificates.
    pub hostname: String,
    /// The data directory.
    pub data: PathBuf,
    /// Whom to become after binding, when started as root.
    pub user: Option<String>,
    /// The group to become; left out, the user's own.
    pub group: Option<String>,
    /// Where to listen, for what.
    pub listeners: Vec<Listener>,
    /// Certificate and key; without them no listener offers TLS.
    pub tls: Option<TlsFiles>,
    /// Who signs our certificate, where nobody else gets it for us; `tls` then says where it lies.
    pub acme: Option<Acme>,
    /// Whose access tokens let people in.
    pub oauth: Option<directory::JwtOptions>,
    /// How much is too much.
    pub limits: Limits,
    /// In which languages people are told of what has happened, the first first.
    pub languages: Vec<Language>,
    /// How the DNS is asked.
    pub dns: Dns,
    /// What people send.
    pub submission: Submission,
    /// What is sent on.
    pub forwarding: Forwarding,
    /// Into mailboxes.
    pub delivery: Delivery,
    /// People's filters.
    pub sieve: Sieve,
    /// What mail from outside is looked at for.
    pub inspect: Inspect,
    /// Other servers.
    pub outgoing: outgoing::Outgoing,
    /// The way for some domains.
    pub routes: Vec<outgoing::RouteSettings>,
    /// When what failed is tried again.
    pub retries: Vec<outgoing::RetrySettings>,
    /// What is answered by HTTP.
    pub web: Web,
    /// What is logged, and how.
    pub log: Log,
}

/// A port and what is spoken on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// What is spoken.
    pub protocol: Protocol,
    /// Address and port.
    pub bind: SocketAddr,
    /// Passwords may cross it without TLS; loopback addresses only.
    pub plaintext: bool,
    /// How TLS comes about.
    pub tls: Option<TlsMode>,
    /// From these networks every connection begins with a PROXY protocol header, which is believed.
    pub proxy_protocol: Vec<Network>,
}

impl Listener {
    /// How TLS comes about here: as set, else as the protocol has it.
    pub fn tls_mode(&self, certificate: bool) -> TlsMode {
        self.tls.unwrap_or(match self.protocol {
            Protocol::Submissions | Protocol::Imaps | Protocol::Pop3s | Protocol::Https => TlsMode::Immediate,
            Protocol::Http => TlsMode::Off,
            _ if certificate => TlsMode::Offer,
            _ => TlsMode::Off,
        })
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Mail from other servers (RFC 5321), port 25.
    Smtp,
    /// Mail from our own users (RFC 6409), port 587.
    Submission,
    /// The same with TLS from the first octet (RFC 8314), port 465.
    Submissions,
    /// Mail from a server of ours that stands in front (RFC 2033).
    Lmtp,
    /// Mailboxes (RFC 9051), port 143.
    Imap,
    /// The same with TLS from the first octet, port 993.
    Imaps,
    /// INBOX for collectors (RFC 1939), port 110.
    Pop3,
    /// The same with TLS from the first octet, port 995.
    Pop3s,
    /// Filters (RFC 5804), port 4190.
    ManageSieve,
    /// Health and metrics, and what the world asks without TLS.
    Http,
    /// What the world asks (RFC 9110), port 443.
    Https,
}

impl Protocol {
    /// All of them with the name the file uses.
    pub const ALL: [(&'static str, Protocol); 11] = [
        ("smtp", Protocol::Smtp),
        ("submission", Protocol::Submission),
        ("submissions", Protocol::Submissions),
        ("lmtp", Protocol::Lmtp),
        ("imap", Protocol::Imap),
        ("imaps", Protocol::Imaps),
        ("pop3", Protocol::Pop3),
        ("pop3s", Protocol::Pop3s),
        ("managesieve", Protocol::ManageSieve),
        ("http", Protocol::Http),
        ("https", Protocol::Https),
    ];

    /// The name the file uses.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, p)| *p == self).map_or("", |(name, _)| name)
    }
}

/// How TLS comes about on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS.
    Off,
    /// STARTTLS is offered.
    Offer,
    /// TLS from the first octet.
    Immediate,
}

/// Certificate chain and key, PEM.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsFiles {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who vouches for people's certificates.
    pub client_ca: Option<PathBuf>,
    /// A folder with certificates of the same key for certain names.
    pub others: Option<PathBuf>,
}

/// How certificates are ordered. `docs/configuration.md` says what each one does.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Acme {
    pub directory: String,
    pub agree: bool,
    pub contact: Vec<String>,
    pub challenge: Challenge,
    pub hook: Option<PathBuf>,
    pub names: Vec<String>,
    pub domains: bool,
    pub eab_id: Option<String>,
    pub eab_key: Option<PathBuf>,
    pub ca: Option<PathBuf>,
}

/// How is proven that a name leads to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// By an answer over HTTP (RFC 8555 §8.3).
    #[default]
    Http,
    /// In a TLS handshake (RFC 8737).
    TlsAlpn,
    /// By a record in the DNS (RFC 8555 §8.4).
    Dns,
}

impl Challenge {
    /// Their names, in the order of the enum.
    pub const NAMES: [&'static str; 3] = ["http-01", "tls-alpn-01", "dns-01"];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Challenge::Http => "http-01",
            Challenge::TlsAlpn => "tls-alpn-01",
            Challenge::Dns => "dns-01",
        }
    }

    /// The challenge of a name.
    pub fn named(name: &str) -> Option<Challenge> {
        [Challenge::Http, Challenge::TlsAlpn, Challenge::Dns]
            .into_iter()
            .find(|challenge| challenge.name() == name)
    }
}

/// How much is too much. `docs/configuration.md` says what each one bounds.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Limits {
    pub message_size: u64,
    pub recipients: u64,
    pub header_size: u64,
    pub hops: u64,
    pub smtp_command_line: u64,
    pub smtp_errors: u64,
    pub smtp_refused_recipients: u64,
    pub smtp_idle: Duration,
    pub smtp_session: Duration,
    pub bad_recipient_delay: Duration,
    pub login_failure_delay: Duration,
    pub login_failures: u64,
    pub connections: u64,
    pub connections_per_address: u64,
    pub handshake: Duration,
    pub imap_line: u64,
    pub imap_messages: u64,
    pub imap_contexts: u64,
    pub imap_errors: u64,
    pub imap_login_idle: Duration,
    pub imap_idle: Duration,
    pub imap_stall: Duration,
    pub pop3_idle: Duration,
    pub shutdown: Duration,
}

/// How the DNS is asked.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    /// Whom; empty: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Whether answers are validated.
    pub dnssec: dns::Validation,
    /// Keys that are trusted instead of those of the root zone.
    pub trust_anchor: Option<PathBuf>,
}

impl Dns {
    /// What the process's resolver is made of.
    pub fn options(&self) -> dns::Options {
        dns::Options {
            servers: self.name_servers.clone(),
            validation: self.dnssec,
            trust_anchor: self.trust_anchor.clone(),
            ..dns::Options::default()
        }
    }
}

/// What people send. `docs/configuration.md` says what each one does.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Submission {
    pub own_senders_only: bool,
    /// In seconds.
    pub future_release: Option<u32>,
    pub account_messages: u64,
    pub account_recipients: u64,
    pub account_networks: u64,
    pub unlimited_accounts: Vec<String>,
}

/// What is sent on. `docs/configuration.md` says what each one does.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Forwarding {
    pub rewrite: bool,
    pub seal: bool,
    pub tells_owner: bool,
}

/// Into mailboxes.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Deliveries that run at once.
    pub workers: u64,
    /// `ada+list@` goes into the mailbox `list` where there is one.
    pub subaddress_mailbox: bool,
    /// What a full mailbox answers.
    pub over_quota: OverQuota,
    /// How long a recipient is tried.
    pub lifetime: Duration,
    /// After what time its sender is told that it is late; zero: never.
    pub delay_notice: Duration,
    /// How long settled rows are kept.
    pub history: Duration,
}

/// What people's filters may do. `docs/configuration.md` says what each one bounds.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Sieve {
    pub before: Option<PathBuf>,
    pub after: Option<PathBuf>,
    pub global: Option<PathBuf>,
    pub without: Vec<String>,
    pub scripts: u64,
    pub script_size: u64,
    pub steps: u64,
    pub regex_input: u64,
    pub redirects: u64,
    pub sent_per_day: u64,
    pub create_mailboxes: bool,
    pub lists: Option<PathBuf>,
    pub programs: Option<PathBuf>,
    pub program_time: Duration,
    pub program_memory: u64,
    pub programs_at_once: u64,
    pub events: bool,
    pub events_script: Option<PathBuf>,
    pub events_expunge: bool,
    pub events_messages: u64,
    pub events_time: Duration,
}

/// What mail from outside is looked at for. `docs/configuration.md` says what each one does.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Inspect {
    pub enabled: bool,
    pub trusted: Vec<Network>,
    pub greeting_delay: Duration,
    pub early_talker: delivery::inspect::Action,
    pub helo: delivery::inspect::Action,
    pub reverse: delivery::inspect::Action,
    pub spf_fail: delivery::inspect::Action,
    pub dmarc: bool,
    pub dmarc_reports: bool,
    pub sealers: Vec<String>,
    pub block_lists: Vec<String>,
    pub block_list: delivery::inspect::Action,
    pub allow_lists: Vec<String>,
    pub greylist: bool,
    pub greylist_wait: Duration,
    pub network_rate: u64,
    pub sender_rate: u64,
    pub patience: Duration,
}

/// What is answered by HTTP. `docs/configuration.md` says what each one does.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Web {
    pub figures: Vec<Network>,
    pub autoconfig: bool,
    pub mta_sts: web::StsMode,
    pub mta_sts_max_age: Duration,
    pub mta_sts_hosts: Vec<String>,
}

/// What a full mailbox answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverQuota {
    /// `452 4.2.2`: the sender tries again later.
    #[default]
    Defer,
    /// `552 5.2.2`: the sender is told at once.
    Refuse,
}

/// What is logged, and how.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// For eyes or for programs.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,smtp=debug`.
    pub level: String,
}

/// For eyes or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file at `path`. Relative paths in it start from the folder it lies in.
    pub fn load(path: &Path) -> Result<Config, Faults> {
        let text = std::fs::read_to_string(path).map_err(|e| Faults::unreadable(path, &e))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&text, path, folder)
    }

    /// Reads settings from `text`; `file` is what faults name.
    pub fn parse(text: &str, file: &Path, folder: &Path) -> Result<Config, Faults> {
        read::read(text, file, folder)
    }

    /// Every key at its default; those without one are empty.
    pub fn defaults() -> Config {
        let mut config = Config {
            file: PathBuf::new(),
            hostname: String::new(),
            data: PathBuf::new(),
            user: None,
            group: None,
            listeners: Vec::new(),
            tls: None,
            acme: None,
            oauth: None,
            limits: Limits::default(),
            languages: Vec::new(),
            dns: Dns::default(),
            submission: Submission::default(),
            forwarding: Forwarding::default(),
            delivery: Delivery::default(),
            sieve: Sieve::default(),
            inspect: Inspect::default(),
            outgoing: outgoing::Outgoing::default(),
            routes: Vec::new(),
            retries: Vec::new(),
            web: Web::default(),
            log: Log::default(),
        };
        let single = |k: &&keys::Key| !k.section.is_many();
        for key in keys::KEYS.iter().filter(single) {
            if let Some(default) = key.default {
                // A test proves that every default is accepted.
                let _ = keys::apply_default(key, &mut config, default);
            }
        }
        config
    }

    /// The MTA-STS policy as set; `None`: there is to be none.
    pub fn sts_policy(&self) -> Option<web::StsPolicy> {
        let mut hosts = vec![self.hostname.clone()];
        hosts.extend(self.web.mta_sts_hosts.iter().cloned());
        (self.web.mta_sts != web::StsMode::None).then_some(web::StsPolicy {
            mode: self.web.mta_sts,
            max_age: self.web.mta_sts_max_age,
            hosts,
        })
    }

    /// The socket that administration commands talk to.
    pub fn admin_socket(&self) -> PathBuf {
        self.data.join("admin.sock")
    }
}
