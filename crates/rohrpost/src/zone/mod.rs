//! `rohrpost dns`, and what `rohrpost check` and `rohrpost init` say about the DNS: one truth about what a zone must hold ([`wanted`]), and one
//! way of comparing it with what it does hold ([`found`]).
//!
//! Touches: the settings, the keys below `dkim/`, the certificate, and for the comparison the name servers.

mod found;
mod judge;
mod print;
pub mod wanted;

pub use found::{Row, State};
pub use wanted::Level;

use crate::admin::{self, request::Request};
use crate::cli::DnsArgs;
use crate::config::{Config, Protocol};
use crate::failure::Failure;
use crate::tls;
use delivery::KeyState;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// What can be had from a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Service {
    Smtp,
    Submissions,
    Submission,
    Imaps,
    Imap,
    Pop3s,
    Pop3,
    ManageSieve,
    Https,
}

impl Service {
    /// Its label in an SRV record, the priority there, and what it is for. IMAP before POP3, encrypted from the first octet before STARTTLS.
    fn record(self) -> Option<(&'static str, u16, &'static str)> {
        const PROGRAMS: &str = "Mail programs find the server by it (RFC 6186, RFC 8314).";
        Some(match self {
            Service::Smtp => return None,
            Service::Submissions => ("submissions", 0, PROGRAMS),
            Service::Submission => ("submission", 5, PROGRAMS),
            Service::Imaps => ("imaps", 0, PROGRAMS),
            Service::Imap => ("imap", 5, PROGRAMS),
            Service::Pop3s => ("pop3s", 10, PROGRAMS),
            Service::Pop3 => ("pop3", 15, PROGRAMS),
            Service::ManageSieve => (
                "sieve",
                0,
                "Programs that edit filters find the server by it (RFC 5804).",
            ),
            Service::Https => ("autodiscover", 0, "Outlook finds the server by it."),
        })
    }

    fn of(protocol: Protocol) -> Option<Service> {
        Some(match protocol {
            Protocol::Smtp => Service::Smtp,
            Protocol::Submissions => Service::Submissions,
            Protocol::Submission => Service::Submission,
            Protocol::Imaps => Service::Imaps,
            Protocol::Imap => Service::Imap,
            Protocol::Pop3s => Service::Pop3s,
            Protocol::Pop3 => Service::Pop3,
            Protocol::ManageSieve => Service::ManageSieve,
            Protocol::Https => Service::Https,
            Protocol::Lmtp | Protocol::Http => return None,
        })
    }
}

/// A key that signs.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its selector.
    pub selector: String,
    /// The text of its record.
    pub record: String,
    /// Whether it signs yet.
    pub state: KeyState,
}

/// A mail domain.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name, A-labels.
    pub name: String,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// What is known of this server.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its name.
    pub hostname: String,
    /// The addresses by which the world reaches it, as far as the machine knows: behind a translating router it does not.
    pub addresses: Vec<IpAddr>,
    /// What can be had, and at which port.
    pub services: Vec<(Service, u16)>,
    /// The MTA-STS policy, where one is served.
    pub policy: Option<web::StsPolicy>,
    /// Mail programs are told how to set an account up.
    pub autoconfig: bool,
    /// The SHA-256 of the certificate's public key, in hex.
    pub key_hash: Option<String>,
    /// The names that its certificates are for.
    pub certified: Vec<String>,
    /// The domains it is responsible for.
    pub domains: Vec<Domain>,
}

impl Facts {
    /// Gathers what is known. A key that cannot be read is a failure: its record could not be told.
    pub fn gather(config: &Config, domains: &[String]) -> Result<Facts, Failure> {
        let mut facts = Facts::of_settings(config);
        let folder = config.data.join("dkim");
        let files = delivery::key_files(&folder).unwrap_or_default();
        for name in domains {
            let mut keys = Vec::new();
            for file in files.iter().filter(|file| file.domain == *name) {
                let key = file.read().map_err(Failure::new)?;
                keys.push(Key {
                    selector: file.selector.clone(),
                    record: key.record().map_err(Failure::new)?,
                    state: file.state,
                });
            }
            facts.domains.push(Domain {
                name: name.clone(),
                keys,
            });
        }
        Ok(facts)
    }

    /// What the settings say, without domains.
    pub fn of_settings(config: &Config) -> Facts {
        let mut services = Vec::new();
        for listener in &config.listeners {
            // What only this machine reaches is for nobody to find, with one exception: HTTPS often stands behind a proxy.
            let service = Service::of(listener.protocol).filter(|service| {
                *service == Service::Https || !(listener.bind.ip().is_loopback() || listener.bind.port() == 0)
            });
            if let Some(service) = service
                && !services.iter().any(|(known, _)| *known == service)
            {
                let port = if service == Service::Https {
                    443
                } else {
                    listener.bind.port()
                };
                services.push((service, port));
            }
        }
        let https = services.iter().any(|(service, _)| *service == Service::Https);
        Facts {
            hostname: config.hostname.clone(),
            addresses: addresses(config),
            policy: config.sts_policy().filter(|_| https),
            autoconfig: config.web.autoconfig && https,
            key_hash: config.tls.as_ref().and_then(|files| tls::key_hash(&files.certificate)),
            certified: config.tls.as_ref().map(tls::certified).unwrap_or_default(),
            services,
            domains: Vec::new(),
        }
    }

    /// Whether a certificate is for a name.
    fn certifies(&self, name: &str) -> bool {
        self.certified.iter().any(|known| match known.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => known == name,
        })
    }

    fn offers(&self, service: Service) -> bool {
        self.services.iter().any(|(known, _)| *known == service)
    }
}

/// Where listeners are bound to public addresses, those; else the addresses that the machine would send from.
fn addresses(config: &Config) -> Vec<IpAddr> {
    let mut bound: Vec<IpAddr> = config.listeners.iter().map(|listener| listener.bind.ip()).collect();
    bound.retain(|address| is_public(*address));
    bound.sort_unstable();
    bound.dedup();
    if !bound.is_empty() {
        return bound;
    }
    // A connected UDP socket has chosen its address; nothing is sent.
    let chosen = |from: SocketAddr, to: SocketAddr| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|address| is_public(*address))
    };
    let v4 = chosen(([0, 0, 0, 0], 0).into(), ([192, 0, 2, 1], 9).into());
    let v6 = chosen(([0u16; 8], 0).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into());
    v4.into_iter().chain(v6).collect()
}

/// Whether the rest of the world can reach this address.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            !(a.is_private()
                || a.is_loopback()
                || a.is_link_local()
                || a.is_unspecified()
                || a.is_multicast()
                || a.is_broadcast()
                || first == 0
                || (first == 100 && (64..128).contains(&second)))
        }
        IpAddr::V6(a) => {
            !(a.is_loopback()
                || a.is_unspecified()
                || a.is_multicast()
                || a.is_unique_local()
                || a.is_unicast_link_local())
        }
    }
}

/// `rohrpost dns`: gives whether all that is needed or advised is there.
pub fn run(config: &Config, arguments: &DnsArgs, json: bool) -> Result<bool, Failure> {
    // The certificate may be root's; asking for the domains may give root up.
    let mut facts = Facts::of_settings(config);
    let mut domains = Vec::new();
    admin::ask(config, &Request::DomainList, &mut |row| {
        domains.extend(row.get("domain").and_then(|d| d.as_str()).map(str::to_owned));
        Ok(())
    })?;
    if let Some(wanted) = &arguments.domain {
        let name =
            authentication::normal(wanted).ok_or_else(|| Failure::usage(format!("\"{wanted}\" is no domain")))?;
        if !domains.contains(&name) {
            return Err(Failure::usage(format!("{name} is no domain of this server"))
                .advise("`rohrpost domain list` shows them, `rohrpost domain add` takes another"));
        }
        domains = vec![name];
    }
    if domains.is_empty() {
        return Err(Failure::usage("this server is responsible for no domain yet").advise("rohrpost domain add NAME"));
    }
    facts.domains = Facts::gather(config, &domains)?.domains;
    if arguments.zone {
        print::zone(&facts).map_err(crate::commands::printing)?;
        return Ok(true);
    }
    let rows = found::look(&config.dns.options(), &facts)?;
    print::rows(&rows, json, arguments.all).map_err(crate::commands::printing)?;
    Ok(rows.iter().all(Row::is_sound))
}

/// What `rohrpost check` looks at.
pub fn look(config: &Config, facts: &Facts) -> Result<Vec<Row>, Failure> {
    found::look(&config.dns.options(), facts)
}

/// What `rohrpost init` prints: the lines of a zone file.
pub fn lines(facts: &Facts) -> String {
    print::lines(facts)
}
