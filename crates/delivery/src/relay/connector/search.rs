//! Trying one host after the other.

use super::Inner;
use super::connection::{Connection, answer};
use super::dane::Dane;
use super::hosts::{self, Addresses, Host, Hosts};
use super::memory::Trait;
use super::options::{Requirement, Route, Target, route_to};
use super::report;
use super::sts;
use super::tls::{Demand, Fault, FaultKind};
use super::wire::Wire;
use crate::relay::transport::{Answer, Destination, Needs, Peer, Scope, Trouble};
use dns::Error as DnsError;
use rustls::pki_types::{ServerName, UnixTime};
use smtp::Status;
use smtp::client::{Config, Dialect, Event};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};

/// The search for a host that will do.
pub(super) struct Search<'a> {
    with: &'a Inner,
    destination: &'a Destination,
    route: Option<&'a Route>,
    needs: Needs,
    /// What was said by whom.
    notes: Vec<String>,
    /// The last thing that was said.
    last: Option<Answer>,
    peer: Peer,
    /// Hosts that would do but for what the message needs.
    lacking: usize,
    /// Hosts that were not reached, or said "later".
    failing: usize,
    /// Hosts that said that they take no mail at all (RFC 7504).
    closed: usize,
    /// Addresses that are nobody's, or ours.
    unusable: usize,
    /// The destination's MTA-STS policy.
    sts: Option<Arc<sts::Policy>>,
}

/// What is asked of TLS with a host, and by whom.
struct Asked {
    demand: Demand,
    /// What would be asked if a policy were in force that is only tried out.
    testing: Option<Demand>,
    /// For reports.
    policy: report::Policy,
}

/// Why an attempt at an address came to nothing.
enum Missed {
    /// The address does not answer.
    Dead(String),
    /// It answers, and says no or makes no sense.
    Refused(Answer),
    /// TLS is not what it should be.
    Tls(Fault),
    /// TLS does not work at all, and need not.
    Handshake(String),
    /// It cannot do what the message needs.
    Lacks(Answer),
}

impl<'a> Search<'a> {
    pub(super) fn new(with: &'a Inner, destination: &'a Destination, needs: Needs) -> Search<'a> {
        Search {
            with,
            destination,
            route: route_to(&with.options, destination),
            needs,
            notes: Vec::new(),
            last: None,
            peer: Peer::default(),
            lacking: 0,
            failing: 0,
            closed: 0,
            unusable: 0,
            sts: None,
        }
    }

    pub(super) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    pub(super) async fn run(&mut self) -> Result<Connection, Trouble> {
        let options = &self.with.options;
        let fixed = match self.route.map(|route| &route.target) {
            Some(Target::Host { name, .. }) => Some(name),
            _ => None,
        };
        let hosts = match fixed {
            Some(name) => Hosts {
                list: vec![Host {
                    name: name.clone(),
                    preference: 0,
                }],
                security: dns::Security::Insecure,
                by_mx: false,
            },
            None => match hosts::hosts(&self.with.resolver, self.destination.as_str(), &options.hostname).await {
                Ok(hosts) => hosts,
                Err(answer) => return Err(self.trouble_with(answer)),
            },
        };
        if fixed.is_none() && options.mta_sts && self.requirement() != Requirement::Off && hosts.by_mx {
            let domain = self.destination.as_str();
            let (policy, fault) = self.with.sts.policy(domain).await;
            if let Some(fault) = fault {
                self.failed(&sts_policy(policy.as_deref()), fault.kind, domain, None, &fault.text);
            }
            self.sts = policy.filter(|policy| policy.mode != sts::Mode::None);
        }
        let mut worst = u16::MAX;
        for (number, host) in hosts.list.iter().enumerate() {
            if number >= options.limits.hosts || host.preference > worst {
                break;
            }
            match self.host(&hosts, host, fixed.is_some()).await {
                Ok(Some(connection)) => return Ok(connection),
                Ok(None) => {}
                // One of its addresses is ours: only better hosts are of use.
                Err(Ours) => {
                    self.note(format!("{} is this server", host.name));
                    match host.preference.checked_sub(1) {
                        Some(better) => worst = better,
                        None => break,
                    }
                }
            }
        }
        Err(self.trouble())
    }

    /// Tries the addresses of a host. `None`: the next host.
    async fn host(&mut self, hosts: &Hosts, host: &Host, fixed: bool) -> Result<Option<Connection>, Ours> {
        let options = &self.with.options;
        let addresses = match hosts::addresses(&self.with.resolver, &host.name, options.ipv6).await {
            Ok(addresses) => addresses,
            Err(error) => {
                if error.is_temporary() {
                    self.failing += 1;
                }
                self.note(error.to_string());
                return Ok(None);
            }
        };
        let port = self.port();
        let asked = match self.asked(hosts, host, &addresses, fixed).await {
            Ok(asked) => asked,
            Err(why) => {
                self.failing += 1;
                self.note(format!("{}: {why}", host.name));
                return Ok(None);
            }
        };
        for address in addresses.list.iter().take(options.limits.addresses) {
            let address = SocketAddr::new(address.to_canonical(), port);
            if !fixed && !self.may_connect(address) {
                self.unusable += 1;
                if address.ip().is_loopback() || (options.own)(address) {
                    return Err(Ours);
                }
                self.note(format!("{} [{}] is no address of a host", host.name, address.ip()));
                continue;
            }
            self.peer = Peer {
                host: host.name.clone(),
                address: Some(address.ip()),
                ..Peer::default()
            };
            if let Some(connection) = self.address(host, address, &asked, fixed).await {
                return Ok(Some(connection));
            }
        }
        Ok(None)
    }

    fn may_connect(&self, address: SocketAddr) -> bool {
        let options = &self.with.options;
        !hosts::is_nobodys(address.ip()) && (options.loopback || !address.ip().is_loopback()) && !(options.own)(address)
    }

    /// Tries one address, a second time in clear text where TLS fails and that is allowed.
    async fn address(&mut self, host: &Host, address: SocketAddr, asked: &Asked, fixed: bool) -> Option<Connection> {
        let demand = &asked.demand;
        let label = format!("{} [{}]", host.name, address.ip());
        let limits = &self.with.options.limits;
        let memory = &self.with.memory;
        if let Some(reason) = memory.find(address, Trait::Dead) {
            self.failing += 1;
            self.note(format!("{label} did not answer a moment ago: {reason}"));
            return None;
        }
        let mut clear = demand.allows_clear() && memory.find(address, Trait::WithoutTls).is_some();
        loop {
            let missed = match self.attempt(host, address, demand, clear).await {
                Ok(connection) => {
                    memory.forget(address, Trait::Dead);
                    if !fixed {
                        self.observe(&connection, asked, host, address, clear);
                    }
                    return Some(connection);
                }
                Err(missed) => missed,
            };
            if !fixed {
                let ip = Some(address.ip());
                match &missed {
                    Missed::Tls(fault) => self.failed(&asked.policy, fault.kind, &host.name, ip, &fault.text),
                    Missed::Handshake(why) => self.failed(&asked.policy, FaultKind::Validation, &host.name, ip, why),
                    Missed::Dead(_) | Missed::Refused(_) | Missed::Lacks(_) => {}
                }
            }
            match missed {
                Missed::Handshake(reason) if !clear && demand.allows_clear() => {
                    // RFC 7435 §3: better than nothing is what we have, so nothing it is.
                    memory.note(address, Trait::WithoutTls, limits.without_tls, &reason);
                    self.note(format!("{label}: {reason}; in clear text"));
                    clear = true;
                    continue;
                }
                Missed::Dead(reason) => {
                    memory.note(address, Trait::Dead, limits.dead, &reason);
                    self.failing += 1;
                    self.note(format!("{label}: {reason}"));
                }
                Missed::Handshake(reason) => {
                    self.failing += 1;
                    self.last = Some(Answer::own(Status(4, 7, 5), format!("{label}: {reason}")));
                    self.note(format!("{label}: {reason}"));
                }
                Missed::Tls(fault) => {
                    self.failing += 1;
                    self.last = Some(Answer::own(Status(4, 7, 5), format!("{label}: {}", fault.text)));
                    self.note(format!("{label}: {}", fault.text));
                }
                Missed::Refused(answer) => {
                    // RFC 7504 §3: this host, and there may be others.
                    if answer.code == Some(521) || answer.code == Some(556) {
                        self.closed += 1;
                    } else {
                        self.failing += 1;
                    }
                    self.note(format!("{label} said: {answer}"));
                    self.last = Some(answer);
                }
                Missed::Lacks(answer) => {
                    self.lacking += 1;
                    self.note(format!("{label}: {}", answer.text));
                    self.last = Some(answer);
                }
            }
            return None;
        }
    }

    async fn attempt(
        &mut self,
        host: &Host,
        address: SocketAddr,
        demand: &Demand,
        clear: bool,
    ) -> Result<Connection, Missed> {
        let options = &self.with.options;
        let limits = &options.limits;
        let socket = match tokio::time::timeout(limits.connect, self.dial(address)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(Missed::Dead(format!("no connection: {error}"))),
            Err(_) => return Err(Missed::Dead(format!("no connection in {} s", limits.connect.as_secs()))),
        };
        let (dialect, implicit) = match self.route.map(|route| &route.target) {
            Some(Target::Host { dialect, implicit, .. }) => (*dialect, *implicit),
            _ => (Dialect::Smtp, false),
        };
        let hello = self
            .route
            .and_then(|route| route.hello.as_deref())
            .unwrap_or(&options.hostname);
        let config = Config::new(dialect, hello);
        let name = match host.name.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => match ServerName::try_from(host.name.clone()) {
                Ok(name) => name,
                Err(_) => return Err(Missed::Dead(format!("{} is no host name", host.name))),
            },
        };
        let mut wire = if implicit {
            let tls = self.with.tls.accepting();
            Wire::implicit(socket, config, limits.timeouts, tls, name.clone())
                .await
                .map_err(Missed::Handshake)?
        } else {
            Wire::new(socket, config, limits.timeouts)
        };
        ready(&mut wire).await?;
        if !implicit && !clear && *demand != Demand::Off && self.start_tls(&mut wire, name, demand).await? {
            ready(&mut wire).await?;
        }
        let verified = if wire.tls().is_some() {
            let now = UnixTime::now();
            let verdict = self.with.tls.judge(demand, &host.name, wire.certificates(), now);
            verdict.map_err(Missed::Tls)?
        } else {
            false
        };
        let encrypted = wire.tls().is_some();
        if let Some(identity) = self.route.and_then(|route| route.identity.as_ref()) {
            let plain = encrypted || address.ip().is_loopback();
            login(&mut wire, identity.clone(), plain).await?;
        }
        if self.needs.requiretls && !(verified && wire.capabilities().requiretls) {
            let text = if verified {
                "the server does not offer REQUIRETLS"
            } else {
                "REQUIRETLS needs TLS with a verified certificate"
            };
            wire.session().quit();
            return Err(Missed::Lacks(Answer::own(Status(5, 7, 30), text)));
        }
        let peer = Peer {
            host: host.name.clone(),
            address: Some(address.ip()),
            tls: wire.tls(),
            policy: if encrypted {
                demand.describe(verified)
            } else {
                match demand {
                    Demand::Off => demand.describe(false),
                    _ if clear => "opportunistic, TLS failed".to_owned(),
                    _ => "opportunistic, TLS not offered".to_owned(),
                }
            },
            dsn: wire.capabilities().dsn,
        };
        Ok(Connection { wire, peer, verified })
    }

    /// STARTTLS and the handshake; false: there is no TLS, and there need not be.
    async fn start_tls(&self, wire: &mut Wire, name: ServerName<'static>, demand: &Demand) -> Result<bool, Missed> {
        let absent = |text: &str| {
            if demand.allows_clear() {
                Ok(false)
            } else {
                Err(Missed::Tls(Fault::new(FaultKind::NotOffered, text)))
            }
        };
        if !wire.capabilities().starttls {
            return absent("the server does not offer STARTTLS, and mail may not go without");
        }
        wire.session().start_tls();
        loop {
            match wire.event().await.map_err(Missed::Handshake)? {
                Event::StartTls => break,
                Event::TlsRefused(reply) => return absent(&format!("STARTTLS was refused: {reply}")),
                Event::Closed(reply) => return Err(Missed::Refused(answer(&reply))),
                Event::Broken(violation) => return Err(Missed::Handshake(violation.to_string())),
                _ => {}
            }
        }
        wire.start_handshake(self.with.tls.accepting(), name)
            .await
            .map_err(Missed::Handshake)?;
        Ok(true)
    }

    async fn dial(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        let set = self
            .route
            .map(|route| &route.sources)
            .filter(|sources| !sources.is_empty());
        let sources = set.unwrap_or(&self.with.options.sources);
        if let Some(source) = sources.iter().find(|source| source.is_ipv4() == address.is_ipv4()) {
            socket.bind(SocketAddr::new(*source, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn port(&self) -> u16 {
        match self.route.map(|route| &route.target) {
            Some(Target::Host { port, .. } | Target::Mx(port)) => *port,
            None => self.with.options.port,
        }
    }

    fn requirement(&self) -> Requirement {
        self.route.and_then(|route| route.tls).unwrap_or(self.with.options.tls)
    }

    /// What is asked of TLS with a host. An error: it cannot be found out, or it cannot be kept, and so the host cannot be used now.
    async fn asked(&self, hosts: &Hosts, host: &Host, addresses: &Addresses, fixed: bool) -> Result<Asked, String> {
        let requirement = self.requirement();
        let authority = |why| Demand::Authority(vec![host.name.clone()], why);
        let plainly = |demand| Asked {
            demand,
            testing: None,
            policy: report::Policy::none(),
        };
        if fixed {
            // The administrator has named the host; there is nothing to be found out about it.
            return Ok(plainly(match requirement {
                _ if self.needs.requiretls => authority("requiretls"),
                Requirement::Off => Demand::Off,
                Requirement::Opportunistic => Demand::Opportunistic,
                Requirement::Encrypt => Demand::Encrypt("route"),
                Requirement::Verify => authority("route"),
            }));
        }
        if requirement == Requirement::Off && !self.needs.requiretls {
            return Ok(plainly(Demand::Off));
        }
        // RFC 8461 §2: where there is DANE, that is what counts.
        if let Some(demand) = self.dane(hosts, host, addresses).await? {
            let strings = if let Demand::Dane(dane) = &demand {
                dane.strings()
            } else {
                Vec::new()
            };
            let policy = report::Policy {
                kind: "tlsa".to_owned(),
                strings,
                hosts: Vec::new(),
            };
            return Ok(Asked {
                policy,
                ..plainly(demand)
            });
        }
        let (mut testing, mut policy) = (None, report::Policy::none());
        let mut named = hosts.security.is_secure();
        if let Some(sts) = self.sts.as_deref() {
            policy = sts_policy(Some(sts));
            let allowed = sts.allows(&host.name);
            if !allowed {
                let why = format!("the MTA-STS policy of {} does not name it", self.destination);
                self.failed(&policy, FaultKind::Validation, &host.name, None, &why);
                if sts.mode == sts::Mode::Enforce {
                    return Err(why);
                }
            }
            named |= allowed;
            match sts.mode {
                sts::Mode::Enforce => {
                    return Ok(Asked {
                        policy,
                        ..plainly(authority("mta-sts enforce"))
                    });
                }
                sts::Mode::Testing if allowed => testing = Some(authority("mta-sts testing")),
                sts::Mode::Testing | sts::Mode::None => {}
            }
        }
        let demand = match requirement {
            // RFC 8689 §4.2.1: the host's name must not have been made up.
            _ if self.needs.requiretls && !named => {
                return Err("REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the MX records".to_owned());
            }
            _ if self.needs.requiretls => authority("requiretls"),
            Requirement::Encrypt => Demand::Encrypt("set"),
            Requirement::Verify => authority("set"),
            Requirement::Off | Requirement::Opportunistic => Demand::Opportunistic,
        };
        Ok(Asked {
            demand,
            testing,
            policy,
        })
    }

    /// Counts a session for reports.
    fn observe(&self, connection: &Connection, asked: &Asked, host: &Host, address: SocketAddr, clear: bool) {
        let ip = Some(address.ip());
        if connection.peer.tls.is_none() {
            // In clear text: a failed handshake has been counted already.
            if !clear && asked.demand != Demand::Off {
                let why = "the server does not offer STARTTLS";
                self.failed(&asked.policy, FaultKind::NotOffered, &host.name, ip, why);
            }
            return;
        }
        if let Some(testing) = &asked.testing {
            let certificates = connection.wire.certificates();
            if let Err(fault) = self.with.tls.judge(testing, &host.name, certificates, UnixTime::now()) {
                return self.failed(&asked.policy, fault.kind, &host.name, ip, &fault.text);
            }
        }
        if let Some(reports) = &self.with.reports {
            reports.success(self.destination.as_str(), asked.policy.clone());
        }
    }

    fn failed(&self, policy: &report::Policy, kind: FaultKind, host: &str, address: Option<IpAddr>, why: &str) {
        if let Some(reports) = &self.with.reports {
            reports.failure(self.destination.as_str(), policy.clone(), kind, host, address, why);
        }
    }

    /// RFC 7672 §2.2: what the TLSA records of a host ask for, if it has any that can be believed.
    async fn dane(&self, hosts: &Hosts, host: &Host, addresses: &Addresses) -> Result<Option<Demand>, String> {
        if !self.with.options.dane || !hosts.security.is_secure() || !addresses.security.is_secure() {
            return Ok(None);
        }
        let port = self.port();
        // §2.2.3: first where the aliases of the host lead, then its own name.
        let mut bases = vec![addresses.name.as_str()];
        if addresses.name != host.name {
            bases.push(&host.name);
        }
        for base in &bases {
            match self.with.resolver.tlsa(base, port).await {
                Ok(found) if found.security.is_secure() => {
                    let mut names: Vec<String> = bases.iter().map(|name| (*name).to_owned()).collect();
                    if hosts.by_mx {
                        // §3.2.2: the MX records are signed, so a certificate for the domain is as good.
                        names.push(self.destination.as_str().to_owned());
                    }
                    return Ok(Some(match Dane::new(found.records, names) {
                        Some(dane) => Demand::Dane(dane),
                        None => Demand::Encrypt("dane without usable records"),
                    }));
                }
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                // §2.1.2: who cannot tell whether there are records must not send without them.
                Err(error) => {
                    let why = format!("{error}, and so its certificate cannot be known");
                    if matches!(error, DnsError::Bogus { .. }) {
                        self.failed(&report::Policy::none(), FaultKind::Dnssec, &host.name, None, &why);
                    }
                    return Err(why);
                }
            }
        }
        Ok(None)
    }

    /// What came of it all.
    pub(super) fn trouble(&mut self) -> Trouble {
        let tried = self.lacking + self.failing + self.closed;
        let text = self.notes.join("; ");
        if tried == 0 && self.unusable > 0 {
            let mut loops = hosts::loops(self.destination.as_str());
            loops.text = format!("{} ({text})", loops.text);
            return self.trouble_with(loops);
        }
        if tried == 0 {
            // Not one of the hosts that its records name has an address.
            let text = format!("no host of {} exists: {text}", self.destination);
            return self.trouble_with(Answer::own(Status(5, 4, 4), text));
        }
        if self.lacking > 0 && self.failing == 0 && self.closed == 0 {
            let mut answer = Answer::own(Status(5, 7, 30), text);
            if let Some(last) = &self.last {
                answer.status = last.status;
            }
            return Trouble {
                scope: Scope::Needs,
                answer,
                peer: self.peer.clone(),
            };
        }
        if self.closed == tried {
            let code = self.last.as_ref().and_then(|answer| answer.code);
            return self.trouble_with(Answer {
                code,
                status: Status(5, 3, 2),
                text,
            });
        }
        // What a host refuses at its door is refused to us today, not to the message for ever.
        let status = match &self.last {
            Some(Answer {
                status: Status(_, subject, detail),
                ..
            }) => Status(4, *subject, *detail),
            None => Status(4, 4, 1),
        };
        let code = self
            .last
            .as_ref()
            .and_then(|answer| answer.code)
            .filter(|code| *code < 500);
        let mut trouble = self.trouble_with(Answer { code, status, text });
        if self.lacking > 0 || self.needs.requiretls {
            trouble.scope = Scope::Needs;
        }
        trouble
    }

    fn trouble_with(&self, answer: Answer) -> Trouble {
        Trouble {
            scope: Scope::Destination,
            answer,
            peer: self.peer.clone(),
        }
    }
}

/// An address turned out to be our own.
struct Ours;

/// An MTA-STS policy as reports have it.
fn sts_policy(policy: Option<&sts::Policy>) -> report::Policy {
    report::Policy {
        kind: "sts".to_owned(),
        strings: policy.map_or_else(Vec::new, |policy| policy.lines.clone()),
        hosts: policy.map_or_else(Vec::new, |policy| policy.hosts.clone()),
    }
}

/// Waits until the server has greeted us and said what it can do.
async fn ready(wire: &mut Wire) -> Result<(), Missed> {
    loop {
        match wire.event().await.map_err(Missed::Dead)? {
            Event::Ready => return Ok(()),
            Event::Rejected(reply) | Event::Closed(reply) => {
                wire.goodbye().await;
                return Err(Missed::Refused(answer(&reply)));
            }
            Event::Broken(violation) => {
                return Err(Missed::Refused(Answer::own(Status(4, 5, 0), violation.to_string())));
            }
            _ => {}
        }
    }
}

async fn login(wire: &mut Wire, identity: sasl::client::Identity, plain: bool) -> Result<(), Missed> {
    let refused = |text: String| Missed::Refused(Answer::own(Status(4, 7, 8), text));
    let nonce: String = (0..4).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
    let binding = wire.channel_binding();
    let offered = &wire.capabilities().mechanisms;
    let login = sasl::client::Login::choose(offered, identity, nonce, binding, plain)
        .ok_or_else(|| refused("the server offers no way to log in that can be used here".to_owned()))?;
    wire.session().login(login);
    loop {
        match wire
            .event()
            .await
            .map_err(|reason| refused(format!("login: {reason}")))?
        {
            Event::LoggedIn => return Ok(()),
            Event::LoginFailed(why) => {
                wire.goodbye().await;
                return Err(refused(format!("login: {why}")));
            }
            Event::Closed(reply) => return Err(Missed::Refused(answer(&reply))),
            Event::Broken(violation) => return Err(refused(violation.to_string())),
            _ => {}
        }
    }
}
