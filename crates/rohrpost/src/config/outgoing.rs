//! Settings of relaying, and what the connector makes of them.

use delivery::relay::connector::{Limits, Options, Own, Requirement, Route, Target};
use delivery::relay::transport::Terms;
use delivery::{Changes, Patience, Strategies};
use sasl::Password;
use sasl::client::Identity;
use smtp::client::{Dialect, Timeouts};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Other servers. `docs/configuration.md` says what each one does.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Outgoing {
    pub hello: Option<String>,
    pub sources: Vec<IpAddr>,
    pub ipv6: bool,
    pub tls: Requirement,
    pub dane: bool,
    pub mta_sts: bool,
    pub tls_reports: bool,
    pub authorities: Option<PathBuf>,
    pub terms: TermSettings,
    pub connections: u64,
    pub connect: Duration,
    pub patience: Duration,
    pub dead_host: Duration,
    pub port: u16,
    pub https_port: u16,
    pub loopback: bool,
}

/// How the queue treats a destination, as far as it is set.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct TermSettings {
    pub retry_first: Option<Duration>,
    pub retry_longest: Option<Duration>,
    pub lifetime: Option<Duration>,
    pub delay_notice: Option<Duration>,
    pub connections: Option<u64>,
    pub messages: Option<u64>,
    pub recipients: Option<u64>,
}

impl TermSettings {
    /// What is not set here is as it is there.
    fn over(&self, base: &Terms) -> Terms {
        let short = |set: Option<u64>, base: u32| set.map_or(base, |n| u32::try_from(n).unwrap_or(u32::MAX));
        Terms {
            retry_first: self.retry_first.unwrap_or(base.retry_first),
            retry_longest: self.retry_longest.unwrap_or(base.retry_longest),
            lifetime: self.lifetime.unwrap_or(base.lifetime),
            delay_notice: match self.delay_notice {
                Some(Duration::ZERO) => None,
                Some(span) => Some(span),
                None => base.delay_notice,
            },
            connections: short(self.connections, base.connections),
            transactions: short(self.messages, base.transactions),
            recipients: short(self.recipients, base.recipients),
            // What a route says for itself counts more than what a strategy says for all.
            strategies: base.strategies.without(|changes| {
                for (here, there) in [
                    (self.retry_first, &mut changes.first),
                    (self.retry_longest, &mut changes.longest),
                    (self.lifetime, &mut changes.lifetime),
                    (self.delay_notice, &mut changes.delay_notice),
                ] {
                    if here.is_some() {
                        *there = None;
                    }
                }
            }),
        }
    }
}

/// The way for some domains.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RouteSettings {
    pub name: String,
    pub domains: Vec<String>,
    /// `None`: where the DNS says.
    pub target: Option<Target>,
    pub tls: Option<Requirement>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub hello: Option<String>,
    pub sources: Vec<IpAddr>,
    pub accept: bool,
    pub terms: TermSettings,
}

/// A route before its keys are read.
pub fn blank_route() -> RouteSettings {
    RouteSettings {
        name: String::new(),
        domains: Vec::new(),
        target: None,
        tls: None,
        user: None,
        password_file: None,
        hello: None,
        sources: Vec::new(),
        accept: false,
        terms: TermSettings::default(),
    }
}

impl RouteSettings {
    fn route(&self, folder: &Path, outgoing: &Outgoing, base: &Terms) -> Result<Route, String> {
        let identity = match (&self.user, &self.password_file) {
            (Some(user), Some(file)) => {
                let file = folder.join(file);
                let mut bytes = std::fs::read(&file).map_err(|e| {
                    format!(
                        "route {}: the password in {} cannot be read: {e}",
                        self.name,
                        file.display()
                    )
                })?;
                while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                    bytes.pop();
                }
                Some(Identity {
                    name: user.clone(),
                    password: Password::new(bytes),
                })
            }
            _ => None,
        };
        // A password is not shown to whoever happens to answer.
        let tls = self.tls.or(identity.as_ref().map(|_| Requirement::Verify));
        Ok(Route {
            name: self.name.clone(),
            domains: self.domains.clone(),
            target: self.target.clone().unwrap_or(Target::Mx(outgoing.port)),
            tls,
            identity,
            hello: self.hello.clone(),
            sources: self.sources.clone(),
            terms: self.terms.over(base),
        })
    }
}

/// What is different for a strategy.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct RetrySettings {
    pub strategy: String,
    pub changes: Changes,
}

impl super::Config {
    fn strategies(&self) -> Strategies {
        let set = self.retries.iter();
        Strategies::new(set.map(|r| (r.strategy.clone(), r.changes)).collect())
    }

    /// How mail for mailboxes here is tried again.
    pub fn patience(&self) -> Patience {
        Patience {
            lifetime: self.delivery.lifetime,
            delay_notice: Some(self.delivery.delay_notice).filter(|span| !span.is_zero()),
            strategies: self.strategies(),
        }
    }

    /// What the connector is made of. `own`: our own addresses. Fails where a password cannot be read.
    pub fn connector(&self, own: Own) -> Result<Options, String> {
        let set = &self.outgoing;
        let mut options = Options::new(set.hello.clone().unwrap_or_else(|| self.hostname.clone()));
        options.sources.clone_from(&set.sources);
        options.ipv6 = set.ipv6;
        options.port = set.port;
        options.loopback = set.loopback;
        options.own = own;
        options.tls = set.tls;
        options.dane = set.dane;
        options.mta_sts = set.mta_sts;
        options.tls_reports = set.tls_reports;
        options.https_port = set.https_port;
        options.terms = Terms {
            strategies: self.strategies(),
            ..set.terms.over(&Terms::default())
        };
        let folder = self.file.parent().unwrap_or_else(|| Path::new(""));
        options.routes = self
            .routes
            .iter()
            .map(|route| route.route(folder, set, &options.terms))
            .collect::<Result<_, _>>()?;
        options.limits = Limits {
            connect: set.connect,
            patience: set.patience,
            dead: set.dead_host,
            timeouts: Timeouts::default().at_most(set.patience),
            ..Limits::default()
        };
        Ok(options)
    }
}

/// `mx`, or `SCHEME://HOST[:PORT]`.
pub(super) fn target(text: &str) -> Result<Option<Target>, String> {
    if text == "mx" {
        return Ok(None);
    }
    let wrong = || format!("\"{text}\" is neither mx nor smtp://HOST:PORT, smtps://HOST or lmtp://HOST:PORT");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (dialect, implicit, usual) = match scheme {
        "smtp" => (Dialect::Smtp, false, 25),
        "smtps" => (Dialect::Smtp, true, 465),
        "lmtp" => (Dialect::Lmtp, false, 24),
        _ => return Err(wrong()),
    };
    // An IPv6 address stands in brackets, as in every URL.
    let (name, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => rest
            .split_once(':')
            .map_or((rest, None), |(name, port)| (name, Some(port))),
    };
    let port = match port {
        None => usual,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
    };
    let name = match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => authentication::normal(name).ok_or_else(wrong)?,
    };
    Ok(Some(Target::Host {
        name,
        port,
        dialect,
        implicit,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_says_more_than_a_strategy_and_a_strategy_more_than_all() {
        let text = "hostname = \"mail.test\"\ndata = \"d\"\n[outgoing]\nlifetime = \"3 days\"\n[delivery]\nlifetime = \"2 days\"\n\
                    [[retry]]\nstrategy = \"doubtful\"\nfirst = \"2 h\"\nlifetime = \"1 day\"\n\
                    [[retry]]\nstrategy = \"over quota\"\ndelay_notice = \"0 s\"\n\
                    [[route]]\nname = \"backup\"\ndomains = \"far.test\"\nlifetime = \"30 days\"\n";
        let config = super::super::Config::parse(text, Path::new("r.toml"), Path::new("/")).unwrap();
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let options = config.connector(std::sync::Arc::new(|_| false)).unwrap();
        let base = delivery::Schedule {
            first: options.terms.retry_first,
            longest: options.terms.retry_longest,
            lifetime: options.terms.lifetime,
            delay_notice: options.terms.delay_notice,
        };
        assert_eq!(base.lifetime, days(3));
        let doubtful = options.terms.strategies.of("doubtful", base);
        assert_eq!(
            (doubtful.first, doubtful.lifetime),
            (Duration::from_secs(7200), days(1))
        );
        let of_route = &options.routes[0].terms;
        let base = delivery::Schedule {
            lifetime: of_route.lifetime,
            ..base
        };
        let doubtful = of_route.strategies.of("doubtful", base);
        assert_eq!(
            (doubtful.first, doubtful.lifetime),
            (Duration::from_secs(7200), days(30))
        );
        let full = config.patience().of(delivery::Strategy::OverQuota);
        assert_eq!((full.lifetime, full.delay_notice), (days(2), None));
    }

    #[test]
    fn targets() {
        let host = |name: &str, port, dialect, implicit| {
            Some(Target::Host {
                name: name.to_owned(),
                port,
                dialect,
                implicit,
            })
        };
        for (text, expected) in [
            ("mx", Some(None)),
            (
                "smtp://relay.example",
                Some(host("relay.example", 25, Dialect::Smtp, false)),
            ),
            (
                "smtp://Relay.example:587",
                Some(host("relay.example", 587, Dialect::Smtp, false)),
            ),
            (
                "smtps://relay.example",
                Some(host("relay.example", 465, Dialect::Smtp, true)),
            ),
            ("lmtp://127.0.0.1:24", Some(host("127.0.0.1", 24, Dialect::Lmtp, false))),
            (
                "lmtp://[2001:DB8::1]:2424",
                Some(host("2001:db8::1", 2424, Dialect::Lmtp, false)),
            ),
            (
                "smtp://[2001:db8::1]",
                Some(host("2001:db8::1", 25, Dialect::Smtp, false)),
            ),
            ("relay.example", None),
            ("http://relay.example", None),
            ("smtp://relay.example:0", None),
            ("smtp://relay.example:x", None),
            ("smtp://", None),
        ] {
            assert_eq!(target(text).ok(), expected, "{text}");
        }
    }
}
