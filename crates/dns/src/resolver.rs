//! Asking.
//!
//! hickory's validating handle checks signatures and proofs of absence; [`crate::response`] reads what it lets through. Aliases are followed
//! here, and an answer is secure only if each of them is. An alias whose target is missing is asked for by its own name, because the handle
//! holds the proof for the target against the alias.

use crate::cache::{Cache, Found};
use crate::name::{label, name_of, temporary, text_of};
use crate::response::{Step, missing, read};
use crate::{Answer, Error, Limits, Mx, Options, Security, Srv, Tlsa, Validation};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _, RetryDnsHandle};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Plain = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// How long it is believed that the name servers take signatures out.
const PROBE_AGAIN: Duration = Duration::from_secs(600);
/// For how long an address literal is good.
const LITERAL: Duration = Duration::from_secs(24 * 3600);

/// Asks the DNS, and remembers. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    plain: Plain,
    validating: DnssecDnsHandle<Plain>,
    request: DnsRequestOptions,
    validation: Validation,
    probed: Mutex<Option<(bool, Instant)>>,
    limits: Limits,
    cache: Cache,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver; nothing is asked yet. Fails where `/etc/resolv.conf` or the trust anchor cannot be read, with a sentence that says so.
    pub fn new(options: &Options) -> Result<Resolver, String> {
        let servers = if options.servers.is_empty() {
            let (config, _) = hickory_resolver::system_conf::read_system_conf()
                .map_err(|e| format!("/etc/resolv.conf cannot be read: {e}; name servers can be set"))?;
            config.name_servers
        } else {
            options.servers.iter().map(|address| server(*address)).collect()
        };
        if servers.is_empty() {
            return Err("/etc/resolv.conf names no name server; name servers can be set".to_owned());
        }
        let limits = options.limits.clone();
        let mut opts = ResolverOpts::default();
        opts.timeout = limits.timeout;
        opts.attempts = limits.retries;
        opts.edns0 = true;
        opts.validate = options.validation != Validation::Off;
        // The cache is ours.
        opts.cache_size = 0;
        opts.use_hosts_file = ResolveHosts::Never;
        opts.try_tcp_on_error = true;
        let tls = TlsConfig::new().map_err(|e| e.to_string())?;
        let context = Arc::new(PoolContext::new(opts, tls));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        let plain = RetryDnsHandle::new(pool, limits.retries);
        let anchors = match &options.trust_anchor {
            None => TrustAnchors::default(),
            Some(file) => TrustAnchors::from_file(file)
                .map_err(|e| format!("the trust anchor {} cannot be used: {e}", file.display()))?,
        };
        let validating = DnssecDnsHandle::with_trust_anchor(plain.clone(), Arc::new(anchors))
            .validation_cache_size(limits.cache.max(1));
        let mut request = DnsRequestOptions::default();
        request.use_edns = true;
        request.edns_set_dnssec_ok = options.validation != Validation::Off;
        request.recursion_desired = true;
        Ok(Resolver(Arc::new(Inner {
            plain,
            validating,
            request,
            validation: options.validation,
            probed: Mutex::new(None),
            cache: Cache::new(limits.cache),
            limits,
        })))
    }

    /// Who takes mail for a domain; the best first, those alike in no order.
    pub async fn mx(&self, domain: &str) -> Result<Answer<Mx>, Error> {
        let mut answer = self
            .typed(domain, RecordType::MX, |data| match data {
                RData::MX(mx) => Some(Mx {
                    preference: mx.preference,
                    host: text_of(&mx.exchange),
                }),
                _ => None,
            })
            .await?;
        answer.records.sort();
        answer.records.dedup();
        Ok(answer)
    }

    /// IPv4 addresses of a host.
    pub async fn a(&self, host: &str) -> Result<Answer<IpAddr>, Error> {
        self.addresses(host, RecordType::A).await
    }

    /// IPv6 addresses of a host.
    pub async fn aaaa(&self, host: &str) -> Result<Answer<IpAddr>, Error> {
        self.addresses(host, RecordType::AAAA).await
    }

    /// What is written about a name: each record as one string, its pieces joined (RFC 7208 §3.3, RFC 6376 §3.6.2.2). The octets are whatever
    /// the zone has; they need not be UTF-8.
    pub async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, Error> {
        let most = self.0.limits.text;
        self.typed(name, RecordType::TXT, move |data| match data {
            RData::TXT(txt) => {
                let mut text = txt.txt_data.concat();
                text.truncate(most);
                Some(text)
            }
            _ => None,
        })
        .await
    }

    /// The names of an address (RFC 1035 §3.5, RFC 3596 §2.5).
    pub async fn ptr(&self, address: IpAddr) -> Result<Answer<String>, Error> {
        self.typed(&Name::from(address).to_ascii(), RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(text_of(&name.0)),
            _ => None,
        })
        .await
    }

    /// Which certificate the server on a TCP port of a host has: the records of `_PORT._tcp.HOST` (RFC 6698 §3).
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Answer<Tlsa>, Error> {
        self.typed(&format!("_{port}._tcp.{host}"), RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        })
        .await
    }

    /// Where a service is, the preferred first: the records of `_SERVICE._tcp.DOMAIN` (RFC 2782).
    pub async fn srv(&self, domain: &str, service: &str) -> Result<Answer<Srv>, Error> {
        let mut answer = self
            .typed(
                &format!("_{service}._tcp.{domain}"),
                RecordType::SRV,
                |data| match data {
                    RData::SRV(srv) => Some(Srv {
                        priority: srv.priority,
                        weight: srv.weight,
                        port: srv.port,
                        host: text_of(&srv.target),
                    }),
                    _ => None,
                },
            )
            .await?;
        answer.records.sort();
        Ok(answer)
    }

    /// Where a name is an alias for; the first hop only.
    pub async fn cname(&self, name: &str) -> Result<Answer<String>, Error> {
        self.typed(name, RecordType::CNAME, |data| match data {
            RData::CNAME(name) => Some(text_of(&name.0)),
            _ => None,
        })
        .await
    }

    /// Whether answers are validated just now: as set, or as the name servers turned out to be.
    pub async fn validates(&self) -> bool {
        match self.0.validation {
            Validation::On => true,
            Validation::Off => false,
            Validation::Auto => self.probe().await,
        }
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.0.cache.clear();
        *self.0.probed.lock() = None;
    }

    async fn addresses(&self, host: &str, kind: RecordType) -> Result<Answer<IpAddr>, Error> {
        if let Ok(address) = host.parse::<IpAddr>() {
            // Nobody can have made up what was not asked; but no zone vouches for it either.
            if address.is_ipv4() != (kind == RecordType::A) {
                return Err(Error::NoData {
                    name: host.to_owned(),
                    kind: label(kind),
                    security: Security::Insecure,
                });
            }
            return Ok(Answer {
                records: vec![address],
                security: Security::Insecure,
                name: host.to_owned(),
                expires: Instant::now() + LITERAL,
            });
        }
        self.typed(host, kind, |data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        })
        .await
    }

    async fn typed<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, Error> {
        let Some(name) = name_of(name) else {
            return Err(Error::NotAName { name: name.to_owned() });
        };
        let answer = self.remembered(name, kind).await?;
        Ok(answer.with(answer.records.iter().filter_map(read).collect()))
    }

    async fn remembered(&self, name: Name, kind: RecordType) -> Found {
        let limits = &self.0.limits;
        let key = (name.to_lowercase(), kind);
        if let Some(found) = self.0.cache.find(&key, Instant::now()) {
            return found;
        }
        let asked = tokio::time::timeout(limits.patience, self.ask(key.0.clone(), kind)).await;
        let (found, life) =
            asked.unwrap_or_else(|_| (Err(temporary(&key.0, kind, "no answer in time")), limits.failure));
        self.0.cache.keep(key, found.clone(), Instant::now() + life);
        found
    }

    /// Asks, follows aliases, and says for how long the answer is good.
    async fn ask(&self, asked: Name, kind: RecordType) -> (Found, Duration) {
        let limits = &self.0.limits;
        let validate = self.validates().await;
        let mut name = asked.clone();
        let mut security = if validate { Security::Secure } else { Security::Insecure };
        let mut life = limits.longest;
        let mut hops = 0;
        let mut response = self.send(&name, kind, validate).await;
        loop {
            let step = match &response {
                Ok(response) => read(response, &name, kind, validate),
                Err(e) => missing(e, &name, kind, validate),
            };
            match step {
                Step::Found {
                    records,
                    security: here,
                    ttl,
                } => {
                    let life = life.min(Duration::from_secs(ttl.into()));
                    let answer = Answer {
                        records: records.into_iter().take(limits.records).collect(),
                        security: security.min(here),
                        name: text_of(&name),
                        expires: Instant::now() + life,
                    };
                    return (Ok(Arc::new(answer)), life);
                }
                Step::Alias {
                    target,
                    security: here,
                    ttl,
                    ask,
                } => {
                    hops += 1;
                    if hops > limits.aliases {
                        return (Err(Error::Loop { name: text_of(&asked) }), limits.failure);
                    }
                    security = security.min(here);
                    life = life.min(Duration::from_secs(ttl.into()));
                    name = target;
                    if ask {
                        response = self.send(&name, kind, validate).await;
                    }
                }
                Step::Absent {
                    exists,
                    security: here,
                    ttl,
                } => {
                    let security = security.min(here);
                    let life = life.min(limits.longest_absence).min(Duration::from_secs(ttl.into()));
                    let name = text_of(&name);
                    let error = match exists {
                        true => Error::NoData {
                            name,
                            kind: label(kind),
                            security,
                        },
                        false => Error::NoName { name, security },
                    };
                    return (Err(error), life);
                }
                Step::Failed(error) => {
                    tracing::debug!(%error, "DNS");
                    return (Err(error), limits.failure);
                }
            }
        }
    }

    async fn send(&self, name: &Name, kind: RecordType, validate: bool) -> Result<DnsResponse, NetError> {
        let query = Query::query(name.clone(), kind);
        match validate {
            true => self.0.validating.lookup(query, self.0.request).first_answer().await,
            false => self.0.plain.lookup(query, self.0.request).first_answer().await,
        }
    }

    /// Whether the keys of the root come through with their signatures.
    async fn probe(&self) -> bool {
        let known = *self.0.probed.lock();
        if let Some((works, when)) = known
            && (works || when.elapsed() < PROBE_AGAIN)
        {
            return works;
        }
        let answer = self.send(&Name::root(), RecordType::DNSKEY, true).await;
        let works = match &answer {
            Ok(response) => response
                .answers
                .iter()
                .any(|r| r.record_type() == RecordType::DNSKEY && r.proof == Proof::Secure),
            Err(NetError::Dns(_)) => false,
            // Nobody could be asked. That says nothing about signatures, and nothing will resolve either way.
            Err(_) => return true,
        };
        if !works {
            tracing::warn!(
                "the name servers do not pass DNSSEC signatures on; nothing is validated, and DANE is not used. A validating resolver on \
                 this machine (unbound, knot-resolver) mends that"
            );
        }
        *self.0.probed.lock() = Some((works, Instant::now()));
        works
    }
}
fn server(address: std::net::SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    server.connections = connections.into();
    server
}
