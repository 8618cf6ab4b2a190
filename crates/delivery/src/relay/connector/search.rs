//! Trying one host after the other.

use super::Inner;
use super::connection::{Connection, answer};
use super::dane::Dane;
use super::hosts::{self, Addresses, Host, Hosts};
use super::memory::Trait;
use super::options::{Requirement, Route, Target, route_to};
use super::tls::{Demand, Fault, FaultKind};
use super::wire::Wire;
use crate::relay::transport::{Answer, Destination, Needs, Peer, Scope, Trouble};
use dns::Error as DnsError;
use rustls::pki_types::{ServerName, UnixTime};
use smtp::Status;
use smtp::client::{Config, Dialect, Event};
use std::net::{IpAddr, SocketAddr};
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
        let demand = match self.demand(hosts, host, &addresses, fixed).await {
            Ok(demand) => demand,
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
            if let Some(connection) = self.address(host, address, &demand).await {
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
    async fn address(&mut self, host: &Host, address: SocketAddr, demand: &Demand) -> Option<Connection> {
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
                    return Some(connection);
                }
                Err(missed) => missed,
            };
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

    /// What is asked of TLS with a host. An error: it cannot be found out, and so the host cannot be used now.
    async fn demand(&self, hosts: &Hosts, host: &Host, addresses: &Addresses, fixed: bool) -> Result<Demand, String> {
        let options = &self.with.options;
        let set = self.route.and_then(|route| route.tls);
        let requirement = set.unwrap_or(options.tls);
        let authority = |why| Demand::Authority(vec![host.name.clone()], why);
        if fixed {
            // The administrator has named the host; there is nothing to be found out about it.
            return Ok(match requirement {
                _ if self.needs.requiretls => authority("requiretls"),
                Requirement::Off => Demand::Off,
                Requirement::Opportunistic => Demand::Opportunistic,
                Requirement::Encrypt => Demand::Encrypt("route"),
                Requirement::Verify => authority("route"),
            });
        }
        if requirement == Requirement::Off && !self.needs.requiretls {
            return Ok(Demand::Off);
        }
        if let Some(demand) = self.dane(hosts, host, addresses).await? {
            return Ok(demand);
        }
        Ok(match requirement {
            _ if self.needs.requiretls => {
                if !hosts.security.is_secure() {
                    // RFC 8689 §4.2.1: the host's name must not have been made up.
                    return Err("REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the MX records".to_owned());
                }
                authority("requiretls")
            }
            Requirement::Encrypt => Demand::Encrypt("set"),
            Requirement::Verify => authority("set"),
            Requirement::Off | Requirement::Opportunistic => Demand::Opportunistic,
        })
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
                Err(error @ DnsError::Bogus { .. }) => {
                    return Err(format!("{error}, and so its certificate cannot be known"));
                }
                Err(error) => return Err(format!("{error}, and so its certificate cannot be known")),
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
