//! Trying one host after the other. What is asked of TLS with each is in [`asked`].

mod asked;

use super::Inner;
use super::connection::{Connection, answer};
use super::hosts::{self, Host, Hosts};
use super::memory::Trait;
use super::options::{Requirement, Route, Target, route_to};
use super::sts;
use super::tls::{Demand, Fault, FaultKind};
use super::wire::Wire;
use crate::relay::transport::{Answer, Destination, Needs, Peer, Scope, Trouble};
use asked::{Asked, Barred, sts_policy};
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
    /// Those of them whose TLS is not what policies ask: mail with `TLS-Required: No` could go there.
    barred: usize,
    /// Hosts that said that they take no mail at all (RFC 7504).
    closed: usize,
    /// Addresses that are nobody's, or ours.
    unusable: usize,
    /// The destination's MTA-STS policy.
    sts: Option<Arc<sts::Policy>>,
    /// Why it could not be had.
    sts_fault: Option<String>,
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
            barred: 0,
            closed: 0,
            unusable: 0,
            sts: None,
            sts_fault: None,
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
        // Also without MX records: somebody may have taken them away.
        let literal = hosts::literal(self.destination.as_str()).is_some();
        if fixed.is_none() && options.mta_sts && self.requirement() != Requirement::Off && !literal {
            let domain = self.destination.as_str();
            let (policy, fault) = self.with.sts.policy(domain).await;
            if let Some(fault) = fault {
                self.failed(&sts_policy(policy.as_deref()), fault.kind, domain, None, &fault.text);
                self.sts_fault = Some(fault.text);
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
            Err(Barred::Now(why)) => {
                self.failing += 1;
                self.barred += 1;
                let text = format!("{}: {why}", host.name);
                self.last = Some(Answer::own(Status(4, 7, 5), text.clone()));
                self.note(text);
                return Ok(None);
            }
            Err(Barred::RequireTls(why)) => {
                self.lacking += 1;
                let text = format!("{}: {why}", host.name);
                self.last = Some(Answer::own(Status(5, 7, 30), text.clone()));
                self.note(text);
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
        let barred = Trait::Barred(demand.number());
        if let Some(reason) = memory.find(address, barred) {
            self.failing += 1;
            self.barred += 1;
            self.last = Some(Answer::own(Status(4, 7, 5), format!("{label}: {reason}")));
            self.note(format!("{label}: {reason} (a moment ago)"));
            return None;
        }
        let mut clear = demand.allows_clear() && memory.find(address, Trait::WithoutTls).is_some();
        loop {
            let missed = match self.attempt(host, address, asked, clear).await {
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
                // RFC 8689 §4.2.1: there is no waiting for a better host.
                Missed::Tls(fault) if self.requires_tls() => {
                    self.lacking += 1;
                    let text = format!("{label}: {}", fault.text);
                    self.last = Some(Answer::own(Status(5, 7, 10), text.clone()));
                    self.note(text);
                }
                Missed::Tls(Fault { text: reason, .. }) | Missed::Handshake(reason) => {
                    if asked.is_policy() {
                        memory.note(address, barred, limits.dead, &reason);
                        self.barred += 1;
                    }
                    self.failing += 1;
                    self.last = Some(Answer::own(Status(4, 7, 5), format!("{label}: {reason}")));
                    self.note(format!("{label}: {reason}"));
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
        asked: &Asked,
        clear: bool,
    ) -> Result<Connection, Missed> {
        let demand = &asked.demand;
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
        if self.requires_tls() && !(verified && wire.capabilities().requiretls) {
            wire.goodbye().await;
            return Err(Missed::Lacks(if verified {
                Answer::own(Status(5, 7, 30), "the server does not offer REQUIRETLS")
            } else {
                let text = "REQUIRETLS needs TLS with a verified certificate";
                Answer::own(Status(5, 7, 10), text)
            }));
        }
        let judged = if encrypted {
            demand.describe(verified)
        } else {
            match demand {
                Demand::Off => demand.describe(false),
                _ if clear => "opportunistic, TLS failed".to_owned(),
                _ => "opportunistic, TLS not offered".to_owned(),
            }
        };
        let peer = Peer {
            host: host.name.clone(),
            address: Some(address.ip()),
            tls: wire.tls(),
            policy: if asked.loose {
                format!("TLS-Required: No, {judged}")
            } else {
                judged
            },
            dsn: wire.capabilities().dsn,
        };
        Ok(Connection {
            wire,
            peer,
            verified: verified && asked.named,
            loose: asked.loose,
        })
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
        if self.lacking > 0 || self.barred > 0 || self.requires_tls() {
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
