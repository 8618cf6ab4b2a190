//! The doors: SMTP for other servers, submission for people's programs, LMTP for a server of the house in front of us.
//!
//! Exposed to: anybody who can connect, before they have proven anything. May touch: the directory (reading), blobs and ledger (adding a
//! message), an account's file (reading how full it is).
//!
//! [`serve`] takes connections off one listener until it is told to stop; each is a task of its own, which drives an
//! [`smtp::Session`]. A message goes into the blob store while it arrives, and its final `250` is written when [`ledger::Ledger::accept`]
//! says that bytes and rows are on the disk. What decides over recipients and logins is in memory. Who comes from outside is looked at by
//! [`inspect`](crate::inspect), which asks the DNS.

mod buffers;
mod connection;
mod login;
mod message;
mod metrics;
mod recipient;
mod refusal;
mod submission;
mod throttle;

pub use metrics::Metrics;
pub use net::{Proxies, Tls, TlsProvider};
pub use throttle::SendingLimits;

use crate::inspect::Inspector;
use crate::own::OwnMail;
use crate::{Forwarding, Signer};
use buffers::Buffers;
use connection::Connection;
use directory::Directory;
use filter::Filter;
use ledger::Ledger;
use metrics::DoorMetrics;
use net::{Bounds, Entrance, blocking, now, stopped};
use smtp::dsn::Language;
use smtp::{Authentication, Config, Role};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use throttle::Throttle;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What all doors share.
pub struct Context {
    directory: Directory,
    store: Arc<Store>,
    ledger: Ledger,
    filter: Option<Arc<Filter>>,
    inspector: Option<Arc<Inspector>>,
    signer: Option<Arc<Signer>>,
    forwarding: Option<Arc<Forwarding>>,
    throttle: Throttle,
    own: OwnMail,
    options: Options,
    metrics: Metrics,
}

impl Context {
    /// Puts together what the doors need.
    pub fn new(directory: Directory, store: Arc<Store>, ledger: Ledger, options: Options) -> Context {
        let own = OwnMail::new(
            ledger.clone(),
            directory.clone(),
            None,
            &options.hostname,
            &options.languages,
        );
        Context {
            forwarding: None,
            throttle: Throttle::default(),
            own,
            directory,
            store,
            ledger,
            filter: None,
            inspector: None,
            signer: None,
            options,
            metrics: Metrics::default(),
        }
    }

    /// The same with scripts that may refuse mail at the door.
    #[must_use]
    pub fn filtered(self, filter: Arc<Filter>) -> Context {
        Context {
            filter: Some(filter),
            ..self
        }
    }

    /// The same with signatures on what people send.
    #[must_use]
    pub fn signed(self, signer: Arc<Signer>) -> Context {
        Context {
            own: self.own.signed(Arc::clone(&signer)),
            signer: Some(signer),
            ..self
        }
    }

    /// The same with return paths of ours, to which bounces of forwarded mail come.
    #[must_use]
    pub fn forwarding(self, forwarding: Arc<Forwarding>) -> Context {
        Context {
            forwarding: Some(forwarding),
            ..self
        }
    }

    /// The same with a look at who comes in and what they bring.
    #[must_use]
    pub fn inspected(self, inspector: Arc<Inspector>) -> Context {
        Context {
            inspector: Some(inspector),
            ..self
        }
    }

    /// The counters, to be registered.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// How doors behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name.
    pub hostname: String,
    /// The limits of a session.
    pub session: smtp::Limits,
    /// Connections at once on one listener; further ones are answered `421 4.7.0`. Default 10,000.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64 network) on one listener. Default 200.
    pub connections_per_address: usize,
    /// Pause before a recipient that does not exist is refused. Default 500 ms.
    pub bad_recipient_delay: Duration,
    /// Pause before a failed login is answered. Default 2 s.
    pub login_failure_delay: Duration,
    /// How long a TLS handshake or a PROXY header may take. Default 30 s.
    pub handshake: Duration,
    /// How long sessions may go on after the stop signal. Default 10 s.
    pub shutdown: Duration,
    /// Messages up to this size are kept in memory until they are delivered; larger ones stream to the disk. Default 262,144 octets.
    pub inline_bytes: usize,
    /// What a full mailbox answers.
    pub over_quota: OverQuota,
    /// Who has logged in may send as an address of his own only: in the envelope, in From and in Sender. Default true.
    pub own_senders_only: bool,
    /// Domains of others whose mail we take from outside and send on, as [`Route::domains`](crate::relay::connector::Route) has them. Default:
    /// none.
    pub relay_domains: Vec<String>,
    /// How much an account may send in an hour.
    pub sending: SendingLimits,
    /// The longest that a message may wait with us until it is sent (RFC 4865), in seconds; `None`: messages are sent at once. Default 30 days.
    pub future_release: Option<u32>,
    /// In which languages people are told of what has happened. Default: English.
    pub languages: Vec<Language>,
    /// Where messages from outside that are too large for the memory lie until they have been looked at. Default: the system's folder for
    /// such things; the data directory is better.
    pub spool: std::path::PathBuf,
    /// Take a CR or LF that stands alone. Default false: see [`smtp::Config::bare_newlines`].
    pub bare_newlines: bool,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            session: smtp::Limits::default(),
            connections: 10_000,
            connections_per_address: 200,
            bad_recipient_delay: Duration::from_millis(500),
            login_failure_delay: Duration::from_secs(2),
            handshake: Duration::from_secs(30),
            shutdown: Duration::from_secs(10),
            inline_bytes: 256 * 1024,
            over_quota: OverQuota::Defer,
            own_senders_only: true,
            relay_domains: Vec::new(),
            sending: SendingLimits::default(),
            future_release: Some(30 * 86_400),
            languages: vec![Language::English],
            spool: std::env::temp_dir(),
            bare_newlines: false,
        }
    }
}

/// What a full mailbox answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// `452 4.2.2`: the sender tries again later.
    Defer,
    /// `552 5.2.2`: the sender is told at once.
    Refuse,
}

/// One door.
#[derive(Clone)]
pub struct ListenerConfig {
    /// Its name in the log, the counters and the ledger.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// How TLS comes about.
    pub tls: Tls,
    /// Logins without TLS. For loopback addresses.
    pub plaintext: bool,
    /// Whose connections begin with a PROXY header; `None`: nobody's.
    pub proxies: Option<Proxies>,
}

/// Serves a listener until `shutdown` becomes true; returns when its sessions have ended, or were cut after [`Options::shutdown`].
pub async fn serve(
    listener: TcpListener,
    context: Arc<Context>,
    config: ListenerConfig,
    shutdown: watch::Receiver<bool>,
) {
    let door = Arc::new(Door::new(context, config));
    let entrance = Arc::clone(&door.entrance);
    let session = move |guest| Connection::new(Arc::clone(&door), guest).run();
    entrance.serve(listener, shutdown, session).await;
}

/// A listener at work.
struct Door {
    context: Arc<Context>,
    entrance: Arc<Entrance>,
    session: Arc<Config>,
    buffers: Buffers,
    metrics: DoorMetrics,
}

impl Door {
    fn new(context: Arc<Context>, config: ListenerConfig) -> Door {
        let submission = config.role == Role::Submission;
        let options = &context.options;
        let session = Config {
            hostname: options.hostname.clone(),
            role: config.role,
            starttls: matches!(config.tls, Tls::Offer(_)),
            authentication: Authentication {
                offered: submission,
                required: submission,
                plaintext: config.plaintext,
                tokens: context.directory.takes_tokens(),
            },
            bare_newlines: options.bare_newlines,
            future_release: options.future_release.filter(|_| submission),
            limits: options.session.clone(),
        };
        let metrics = context.metrics.of(&config.name);
        let bounds = Bounds {
            connections: options.connections,
            connections_per_address: options.connections_per_address,
            handshake: options.handshake,
            shutdown: options.shutdown,
        };
        let listener = net::ListenerConfig {
            name: config.name,
            tls: config.tls,
            plaintext: config.plaintext,
            proxies: config.proxies,
        };
        let counters = metrics.entrance.clone();
        Door {
            session: Arc::new(session),
            entrance: Arc::new(Entrance::new(listener, bounds, connection::TOO_MANY, counters)),
            buffers: Buffers::default(),
            metrics,
            context,
        }
    }
}
