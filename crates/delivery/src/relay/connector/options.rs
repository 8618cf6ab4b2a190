//! How the network is used: for everybody, and by routes for some domains.

use crate::relay::transport::{Destination, Terms};
use sasl::client::Identity;
use smtp::client::{Dialect, Timeouts};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Whether an address and port are ours: mail that would go there, comes back.
pub type Own = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// How the network is used.
#[derive(Clone)]
pub struct Options {
    /// What we call ourselves (RFC 5321 §4.1.1.1).
    pub hostname: String,
    /// The address connections come from, for each family; `None`: the system chooses.
    pub sources: Vec<IpAddr>,
    /// IPv6 is used.
    pub ipv6: bool,
    /// The port of other servers; 25 everywhere but in tests.
    pub port: u16,
    /// Hosts that the DNS names may have loopback addresses. Otherwise those are ours, and mail for them loops (RFC 5321 §5.1).
    pub loopback: bool,
    /// Our own addresses.
    pub own: Own,
    /// What is asked of TLS where neither a route nor the destination says more.
    pub tls: Requirement,
    /// DANE (RFC 7672) is used.
    pub dane: bool,
    /// MTA-STS (RFC 8461) is used.
    pub mta_sts: bool,
    /// What is seen of TLS is counted for reports (RFC 8460).
    pub tls_reports: bool,
    /// The port of HTTPS; 443 everywhere but in tests.
    pub https_port: u16,
    /// How the queue treats destinations without a route.
    pub terms: Terms,
    /// For domains with something of their own; the first that fits counts.
    pub routes: Vec<Route>,
    /// How much is too much.
    pub limits: Limits,
}

impl Options {
    /// Defaults.
    pub fn new(hostname: impl Into<String>) -> Options {
        Options {
            hostname: hostname.into(),
            sources: Vec::new(),
            ipv6: true,
            port: 25,
            loopback: false,
            own: Arc::new(|_| false),
            tls: Requirement::Opportunistic,
            dane: true,
            mta_sts: true,
            tls_reports: true,
            https_port: 443,
            terms: Terms::default(),
            routes: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("relay::Options")
            .field("hostname", &self.hostname)
            .finish_non_exhaustive()
    }
}

/// What is asked of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// There is none.
    Off,
    /// It is used where it is offered and works (RFC 7435); DANE and MTA-STS ask for more where a destination has them.
    #[default]
    Opportunistic,
    /// It must be; whose certificate that is does not matter.
    Encrypt,
    /// It must be, with a certificate of the host that an authority vouches for.
    Verify,
}

impl Requirement {
    /// How they are called in settings.
    pub const NAMES: [&'static str; 4] = ["off", "opportunistic", "encrypt", "verify"];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Requirement> {
        let all = [
            Requirement::Off,
            Requirement::Opportunistic,
            Requirement::Encrypt,
            Requirement::Verify,
        ];
        Requirement::NAMES
            .into_iter()
            .zip(all)
            .find_map(|(n, r)| (n == name).then_some(r))
    }
}

/// The way for some domains.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name; the destination of its mail is `:NAME` where it goes to a host of its own.
    pub name: String,
    /// Domains in lower case, as A-labels; `.phys.example`: all below it; `*`: all.
    pub domains: Vec<String>,
    /// Where to.
    pub target: Target,
    /// What is asked of TLS; `None`: as for everybody.
    pub tls: Option<Requirement>,
    /// Who we are there.
    pub identity: Option<Identity>,
    /// What we call ourselves there.
    pub hello: Option<String>,
    /// Where connections come from.
    pub sources: Vec<IpAddr>,
    /// How the queue treats it.
    pub terms: Terms,
}

impl Route {
    fn takes(&self, domain: &str) -> bool {
        takes(&self.domains, domain)
    }
}

/// Whether a domain (lower case, A-labels) is one of these, as [`Route::domains`] are written.
pub fn takes(domains: &[String], domain: &str) -> bool {
    domains.iter().any(|pattern| match pattern.strip_prefix('.') {
        Some(parent) => domain
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern == "*" || pattern == domain,
    })
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Where the DNS says, on this port.
    Mx(u16),
    /// To a host.
    Host {
        /// Its name, whose addresses are asked for (not its MX), or an address.
        name: String,
        /// Its port.
        port: u16,
        /// What is spoken.
        dialect: Dialect,
        /// TLS begins with the first octet (RFC 8314 §3.3).
        implicit: bool,
    },
}

/// How much is too much.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a TCP connection may take to come about.
    pub connect: Duration,
    /// How long finding a host that will do may take in all.
    pub patience: Duration,
    /// Hosts of a destination that are tried, the best first (RFC 5321 §5.1 asks for two at least).
    pub hosts: usize,
    /// Addresses of a host that are tried.
    pub addresses: usize,
    /// For how long an address that did not answer is left alone.
    pub dead: Duration,
    /// For how long it is remembered that TLS failed with an address, so that mail goes there in clear text at once.
    pub without_tls: Duration,
    /// Addresses that are remembered for one or the other.
    pub remembered: usize,
    /// How long the other side may take for each step.
    pub timeouts: Timeouts,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(30),
            patience: Duration::from_secs(600),
            hosts: 5,
            addresses: 4,
            dead: Duration::from_secs(60),
            without_tls: Duration::from_secs(600),
            remembered: 50_000,
            timeouts: Timeouts::default(),
        }
    }
}

/// The destination of an address and, where there is one, its route.
pub(super) fn route_of<'o>(options: &'o Options, address: &str) -> (Destination, Option<&'o Route>) {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let domain = authentication::normal(domain).unwrap_or_else(|| domain.to_lowercase());
    let route = options.routes.iter().find(|route| route.takes(&domain));
    let destination = match route {
        Some(route) if matches!(route.target, Target::Host { .. }) => Destination::new(format!(":{}", route.name)),
        _ => Destination::new(domain),
    };
    (destination, route)
}

/// The route of a destination.
pub(super) fn route_to<'o>(options: &'o Options, destination: &Destination) -> Option<&'o Route> {
    match destination.as_str().strip_prefix(':') {
        Some(name) => options.routes.iter().find(|route| route.name == name),
        None => options.routes.iter().find(|route| route.takes(destination.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_find_their_route() {
        let route = |name: &str, domains: &[&str], target| Route {
            name: name.to_owned(),
            domains: domains.iter().map(|d| (*d).to_owned()).collect(),
            target,
            tls: None,
            identity: None,
            hello: None,
            sources: Vec::new(),
            terms: Terms::default(),
        };
        let host = Target::Host {
            name: "lists.example".to_owned(),
            port: 24,
            dialect: Dialect::Lmtp,
            implicit: false,
        };
        let mut options = Options::new("mail.example");
        options.routes = vec![
            route("lists", &["lists.example", ".lists.example"], host.clone()),
            route("slow", &["xn--mnchen-3ya.example"], Target::Mx(25)),
        ];
        for (address, destination, name) in [
            ("a@lists.example", ":lists", Some("lists")),
            ("a@x.y.LISTS.example", ":lists", Some("lists")),
            ("a@xlists.example", "xlists.example", None),
            ("a@münchen.example", "xn--mnchen-3ya.example", Some("slow")),
            ("\"x@y\"@phys.example", "phys.example", None),
            ("a@[192.0.2.1]", "[192.0.2.1]", None),
            ("a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]", None),
        ] {
            let (found, route) = route_of(&options, address);
            assert_eq!(
                (found.as_str(), route.map(|r| r.name.as_str())),
                (destination, name),
                "{address}"
            );
            assert_eq!(route_to(&options, &found).map(|r| r.name.as_str()), name, "{address}");
        }
        options.routes.push(route("rest", &["*"], host));
        assert_eq!(route_of(&options, "a@other.example").0.as_str(), ":rest");
    }
}
