//! What is asked of TLS with a host: by its destination (DANE, RFC 7672; MTA-STS, RFC 8461), by the message (RFC 8689), by the settings; and what is told of
//! it (RFC 8460).

use super::Search;
use crate::relay::connector::connection::Connection;
use crate::relay::connector::dane::Dane;
use crate::relay::connector::hosts::{Addresses, Host, Hosts};
use crate::relay::connector::options::Requirement;
use crate::relay::connector::tls::{Demand, FaultKind};
use crate::relay::connector::{report, sts};
use dns::Error as DnsError;
use ledger::RequireTls;
use rustls::pki_types::UnixTime;
use std::net::{IpAddr, SocketAddr};

/// What is asked of TLS with a host, and by whom.
pub(super) struct Asked {
    pub(super) demand: Demand,
    /// What would be asked if a policy were in force that is only tried out.
    pub(super) testing: Option<Demand>,
    /// For reports.
    pub(super) policy: report::Policy,
    /// DNSSEC, MTA-STS or the administrator says that the host is the domain's.
    pub(super) named: bool,
    /// Less than the destination's policies ask, as the message has it (RFC 8689 §4.2.2).
    pub(super) loose: bool,
}

/// Why a host cannot be used.
pub(super) enum Barred {
    /// Now, with this message or another.
    Now(String),
    /// With a message that says REQUIRETLS.
    RequireTls(&'static str),
}

impl Asked {
    /// Where no policy says anything.
    fn plainly(demand: Demand) -> Asked {
        Asked {
            demand,
            testing: None,
            policy: report::Policy::none(),
            named: false,
            loose: false,
        }
    }

    /// Whether it is the destination that asks.
    pub(super) fn is_policy(&self) -> bool {
        self.policy.kind != report::Policy::none().kind
    }
}

impl Search<'_> {
    pub(super) fn requirement(&self) -> Requirement {
        self.route.and_then(|route| route.tls).unwrap_or(self.with.options.tls)
    }

    pub(super) fn requires_tls(&self) -> bool {
        self.needs.requiretls == RequireTls::Yes
    }

    /// What is asked of TLS with a host. An error: it cannot be found out, or it cannot be kept, and so the host cannot be used.
    pub(super) async fn asked(
        &self,
        hosts: &Hosts,
        host: &Host,
        addresses: &Addresses,
        fixed: bool,
    ) -> Result<Asked, Barred> {
        let authority = |why| Demand::Authority(vec![host.name.clone()], why);
        if fixed {
            // The administrator has named the host; there is nothing to be found out about it.
            let asked = Asked::plainly(match self.requirement() {
                _ if self.requires_tls() => authority("requiretls"),
                Requirement::Off => Demand::Off,
                Requirement::Opportunistic => Demand::Opportunistic,
                Requirement::Encrypt => Demand::Encrypt("route"),
                Requirement::Verify => authority("route"),
            });
            return Ok(Asked { named: true, ..asked });
        }
        let asked = self.asked_by_policies(hosts, host, addresses).await;
        if self.needs.requiretls != RequireTls::No {
            return asked;
        }
        // RFC 8689 §4.2.2: policies are looked up and reported on, and keep nothing back. The administrator's word counts still.
        let demand = match self.requirement() {
            Requirement::Encrypt => Demand::Encrypt("set"),
            Requirement::Verify => authority("set"),
            Requirement::Off | Requirement::Opportunistic => Demand::Opportunistic,
        };
        Ok(match asked {
            Ok(asked) if asked.demand == demand || asked.demand == Demand::Off => asked,
            Ok(asked) => Asked {
                demand,
                testing: Some(asked.demand),
                loose: true,
                ..asked
            },
            Err(_) => Asked {
                loose: true,
                ..Asked::plainly(demand)
            },
        })
    }

    async fn asked_by_policies(&self, hosts: &Hosts, host: &Host, addresses: &Addresses) -> Result<Asked, Barred> {
        let requirement = self.requirement();
        let authority = |why| Demand::Authority(vec![host.name.clone()], why);
        if requirement == Requirement::Off && !self.requires_tls() {
            return Ok(Asked::plainly(Demand::Off));
        }
        // RFC 8461 §2: where there is DANE, that is what counts.
        if let Some(demand) = self.dane(hosts, host, addresses).await.map_err(Barred::Now)? {
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
                named: true,
                ..Asked::plainly(demand)
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
                    return Err(Barred::Now(why));
                }
            }
            named |= allowed;
            match sts.mode {
                sts::Mode::Enforce => {
                    return Ok(Asked {
                        policy,
                        named,
                        ..Asked::plainly(authority("mta-sts enforce"))
                    });
                }
                sts::Mode::Testing if allowed => testing = Some(authority("mta-sts testing")),
                sts::Mode::Testing | sts::Mode::None => {}
            }
        }
        let demand = match requirement {
            // RFC 8689 §4.2.1: the host's name must not have been made up.
            _ if self.requires_tls() && !named => {
                return Err(match &self.sts_fault {
                    Some(why) => Barred::Now(format!("REQUIRETLS: {why}")),
                    None => Barred::RequireTls("REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the MX records"),
                });
            }
            _ if self.requires_tls() => authority("requiretls"),
            Requirement::Encrypt => Demand::Encrypt("set"),
            Requirement::Verify => authority("set"),
            Requirement::Off | Requirement::Opportunistic => Demand::Opportunistic,
        };
        Ok(Asked {
            demand,
            testing,
            policy,
            named,
            loose: false,
        })
    }

    /// Counts a session for reports.
    pub(super) fn observe(
        &self,
        connection: &Connection,
        asked: &Asked,
        host: &Host,
        address: SocketAddr,
        clear: bool,
    ) {
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

    pub(super) fn failed(
        &self,
        policy: &report::Policy,
        kind: FaultKind,
        host: &str,
        address: Option<IpAddr>,
        why: &str,
    ) {
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
}

/// An MTA-STS policy as reports have it.
pub(super) fn sts_policy(policy: Option<&sts::Policy>) -> report::Policy {
    report::Policy {
        kind: "sts".to_owned(),
        strings: policy.map_or_else(Vec::new, |policy| policy.lines.clone()),
        hosts: policy.map_or_else(Vec::new, |policy| policy.hosts.clone()),
    }
}
