//! Looking at who comes in and what they bring, before the `250`.
//!
//! What is wrong with a message is best said while its sender's own server still waits: then that server tells its user, and no bounce of
//! ours hits somebody whose name was forged. So everything that takes the DNS is asked here, while the client talks:
//!
//! - at the connection: the address's name (RFC 8601 §3), block and allow lists (RFC 5782), who speaks before being greeted;
//! - at the first recipient: HELO, SPF (RFC 7208), how much the network and the sender have sent, and, of the doubtful only, whether they
//!   come back (greylisting, RFC 6647);
//! - after the message: DKIM, DMARC and ARC.
//!
//! Each finding has an [`Action`] by the settings. Whatever is found stands in the message's Authentication-Results and in the ledger.
//! A name server that does not answer makes mail wait (`451`); it never waves anything through.
//!
//! **Exposed to:** everybody who connects, and every name server that they make us ask. **Touches:** the DNS; what [`sightings`] remembers.
//! **Bounds:** [`Options`], and those of [`authentication::Limits`].

mod message;
mod names;
mod observed;
mod rates;
mod reports;
mod visitor;

pub use names::Names;
pub use reports::{Due, Sent};
pub(crate) use visitor::{Admission, Visitor};

use authentication::{Limits, Listener};
use db::Database;
use observed::Observed;
use rates::Rates;
use sightings::{Greylist, Tally};
use smtp::Reply;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is done about a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing; it is not even looked for where that costs something.
    Off,
    /// It is written down.
    #[default]
    Mark,
    /// The message goes to Junk, unless its recipient's own rules say otherwise.
    Quarantine,
    /// `451`: come back later.
    Defer,
    /// `550`.
    Refuse,
}

impl Action {
    /// Their names in the settings, from the mildest on.
    pub const NAMES: [&'static str; 5] = ["off", "mark", "quarantine", "defer", "refuse"];

    /// The action of a name.
    pub fn named(name: &str) -> Option<Action> {
        use Action::{Defer, Mark, Off, Quarantine, Refuse};
        let at = Action::NAMES.iter().position(|known| *known == name)?;
        [Off, Mark, Quarantine, Defer, Refuse].get(at).copied()
    }
}

/// Whether an address is one of those that are trusted.
pub type Trusted = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What is looked at, and what is done about it.
#[derive(Clone)]
pub struct Options {
    /// Our name: in Authentication-Results, and what no stranger may call itself.
    pub hostname: String,
    /// Whose mail is taken as it comes. Default: nobody's.
    pub trusted: Trusted,
    /// How long a client is listened to before it is greeted; zero: not at all.
    pub greeting_delay: Duration,
    /// Who speaks before being greeted (RFC 5321 §4.3.1).
    pub early_talker: Action,
    /// Who calls itself by our name or address, or by what cannot be a name.
    pub helo: Action,
    /// Whose address has no name that leads back to it.
    pub reverse: Action,
    /// SPF `fail`. Where the author's domain has a DMARC policy, that decides as well.
    pub spf_fail: Action,
    /// The policies of authors' domains are followed: `reject` is refused, `quarantine` goes to Junk.
    pub dmarc: bool,
    /// Who may vouch for mail that fails DMARC because they changed it: domains whose ARC seals are believed.
    pub sealers: Vec<String>,
    /// DNS lists of addresses that send what nobody wants.
    pub block_lists: Vec<String>,
    /// What to do about those.
    pub block_list: Action,
    /// DNS lists of addresses that are known to be good: no greylisting, no block lists.
    pub allow_lists: Vec<String>,
    /// The doubtful are asked to come back.
    pub greylist: bool,
    /// How soon at the earliest.
    pub greylist_wait: Duration,
    /// Messages of a network (IPv4: /24, IPv6: /64) an hour; further ones are `451`. 0: any number.
    pub network_rate: u32,
    /// Messages of one sender an hour.
    pub sender_rate: u32,
    /// How long the DNS may take for one connection or message, with everything that entails.
    pub patience: Duration,
    /// What strangers' records may cost.
    pub limits: Limits,
    /// What is seen of mail in the names of domains that ask for reports is gathered for these.
    pub reports: bool,
}

impl Options {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            trusted: Arc::new(|_| false),
            greeting_delay: Duration::from_secs(1),
            early_talker: Action::Refuse,
            helo: Action::Refuse,
            reverse: Action::Mark,
            spf_fail: Action::Mark,
            dmarc: true,
            sealers: Vec::new(),
            block_lists: Vec::new(),
            block_list: Action::Refuse,
            allow_lists: Vec::new(),
            greylist: true,
            greylist_wait: Duration::from_secs(300),
            network_rate: 3_000,
            sender_rate: 1_000,
            patience: Duration::from_secs(20),
            limits: Limits::default(),
            reports: false,
        }
    }
}

/// Looks at what comes in. One for all doors.
pub struct Inspector {
    options: Options,
    names: Names,
    greylist: Greylist,
    rates: Rates,
    observed: Observed,
}

impl Inspector {
    /// With a resolver to ask, and a database with the tables of [`sightings::SCHEMA`].
    pub fn new(resolver: dns::Resolver, database: Arc<Database>, options: Options) -> Inspector {
        Inspector {
            names: Names::new(resolver),
            greylist: Greylist::new(Arc::clone(&database), options.greylist_wait),
            rates: Rates::default(),
            observed: Observed::new(Tally::new(database)),
            options,
        }
    }

    /// How it is set.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether this address is looked at at all.
    pub(crate) fn minds(&self, address: IpAddr) -> bool {
        !(self.options.trusted)(address.to_canonical())
    }

    /// Looks at a message that is at hand, for one recipient, as the door does while a client brings it. Gives Authentication-Results, or the
    /// answer that keeps it out.
    pub async fn inspect(
        self: &Arc<Inspector>,
        client: IpAddr,
        helo: &str,
        sender: &str,
        recipient: &str,
        message: &[u8],
    ) -> Result<String, Reply> {
        let mut visitor = Visitor::new(self, client);
        let admission = visitor.admit(helo, sender).await?;
        visitor.greylist(&admission, sender, recipient)?;
        let mut listener = Listener::new(self.options.limits.clone());
        listener.push(message);
        let examined = self.examine(&admission, client, helo, sender, &listener.finish()).await;
        examined.refusal.map_or(Ok(examined.verdict.field), Err)
    }

    /// Throws away what is too old to matter, and writes down what is kept in memory. To be called every minute or so; blocks.
    pub fn tidy(&self, now: i64) -> db::Result<()> {
        self.greylist.prune(now)?;
        self.observed.flush()
    }
}

/// An address's network: what a sender can move about in freely. IPv4: /24; IPv6: /64.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}
