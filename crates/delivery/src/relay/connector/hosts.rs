//! Who takes mail for a domain: RFC 5321 §5.1, null MX (RFC 7505), and whether DNSSEC vouches for it (RFC 7672 §2.2).

use crate::relay::transport::Answer;
use dns::{Answer as Found, Error, Resolver, Security};
use rand::seq::SliceRandom;
use smtp::Status;
use std::net::IpAddr;

/// A host that takes mail for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Its name in lower case, or an address.
    pub(super) name: String,
    /// Lower is better.
    pub(super) preference: u16,
}

/// The hosts of a destination.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// The best first; those alike in random order (RFC 5321 §5.1).
    pub(super) list: Vec<Host>,
    /// Whether nobody can have made the list up.
    pub(super) security: Security,
    /// They stand in MX records.
    pub(super) by_mx: bool,
}

/// The addresses of a host.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Families in turn, each in random order.
    pub(super) list: Vec<IpAddr>,
    /// Whether nobody can have made them up.
    pub(super) security: Security,
    /// The host's name, aliases followed.
    pub(super) name: String,
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
pub(super) fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => inner.get(5..)?.parse().ok().map(IpAddr::V6),
        _ => inner.parse().ok().map(IpAddr::V4),
    }
}

/// The hosts of a domain.
pub(super) async fn hosts(resolver: &Resolver, domain: &str, hostname: &str) -> Result<Hosts, Answer> {
    if let Some(address) = literal(domain) {
        return Ok(single(address.to_string(), Security::Insecure));
    }
    if domain.starts_with('[') {
        return Err(Answer::own(Status(5, 1, 2), format!("{domain} is no address")));
    }
    let found = match resolver.mx(domain).await {
        Ok(found) => found,
        // The address record counts as an MX of preference 0.
        Err(Error::NoData { security, .. }) => return Ok(single(domain.to_owned(), security)),
        Err(Error::NoName { .. } | Error::NotAName { .. }) => {
            return Err(Answer::own(
                Status(5, 1, 2),
                format!("the domain {domain} does not exist"),
            ));
        }
        Err(error) => return Err(Answer::own(Status(4, 4, 3), error.to_string())),
    };
    let mut list: Vec<Host> = found
        .records
        .iter()
        .filter(|mx| !mx.host.is_empty())
        .map(|mx| Host {
            name: mx.host.clone(),
            preference: mx.preference,
        })
        .collect();
    if list.is_empty() {
        return Err(Answer::own(
            Status(5, 1, 10),
            format!("the domain {domain} takes no mail: it has a null MX"),
        ));
    }
    list.shuffle(&mut rand::rng());
    list.sort_by_key(|host| host.preference);
    let hostname = hostname.to_ascii_lowercase();
    // We are one of them: only better ones are of use, or the mail would go round.
    if let Some(own) = list
        .iter()
        .find(|host| host.name == hostname)
        .map(|host| host.preference)
    {
        list.retain(|host| host.preference < own);
        if list.is_empty() {
            return Err(loops(domain));
        }
    }
    Ok(Hosts {
        list,
        security: found.security,
        by_mx: true,
    })
}

/// All of its hosts are ourselves.
pub(super) fn loops(domain: &str) -> Answer {
    Answer::own(
        Status(5, 4, 6),
        format!("the DNS says that mail for {domain} comes here, and it is not a domain of ours"),
    )
}

fn single(name: String, security: Security) -> Hosts {
    Hosts {
        list: vec![Host { name, preference: 0 }],
        security,
        by_mx: false,
    }
}

/// The addresses of a host. An error is for this host only; the next may do.
pub(super) async fn addresses(resolver: &Resolver, host: &str, ipv6: bool) -> Result<Addresses, Error> {
    let (a, aaaa) = if ipv6 {
        let (a, aaaa) = tokio::join!(resolver.a(host), resolver.aaaa(host));
        (a, Some(aaaa))
    } else {
        (resolver.a(host).await, None)
    };
    let (mut found, mut failure) = (Vec::new(), None);
    for answer in std::iter::once(a).chain(aaaa) {
        match answer {
            Ok(answer) => found.push(answer),
            // What is there in one family is enough; what cannot be found out is told only when there is nothing.
            Err(error) if failure.is_none() || error.is_temporary() => failure = Some(error),
            Err(_) => {}
        }
    }
    if found.is_empty() {
        return Err(failure.unwrap_or_else(|| Error::NotAName { name: host.to_owned() }));
    }
    let insecure = |answer: &Found<IpAddr>| !answer.security.is_secure();
    let security = if found.iter().any(insecure) {
        Security::Insecure
    } else {
        Security::Secure
    };
    let name = found
        .first()
        .map_or_else(|| host.to_owned(), |answer| answer.name.clone());
    let mut families: Vec<Vec<IpAddr>> = found.into_iter().map(|answer| answer.records).collect();
    for family in &mut families {
        family.shuffle(&mut rand::rng());
    }
    Ok(Addresses {
        list: in_turn(&families),
        security,
        name,
    })
}

/// One of each, then the next of each. Begins with the last family: IPv6 before IPv4 (RFC 6724 §2.1).
fn in_turn(families: &[Vec<IpAddr>]) -> Vec<IpAddr> {
    let longest = families.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|n| families.iter().rev().filter_map(move |family| family.get(n).copied()))
        .collect()
}

/// Whether no other machine can have this address, or none at all.
pub(super) fn is_nobodys(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets().first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (domain, expected) in [
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            ("[ipv6:2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]", None),
            ("[192.0.2]", None),
            ("192.0.2.1", None),
            ("[x]", None),
        ] {
            assert_eq!(literal(domain), expected.map(|a| a.parse().unwrap()), "{domain}");
        }
    }

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|a| a.parse().unwrap()).collect() };
        let list = in_turn(&[parse(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]), parse(&["2001:db8::1"])]);
        assert_eq!(list, parse(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    }

    #[test]
    fn addresses_of_nobody() {
        for (address, nobodys) in [
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("255.255.255.255", true),
            ("224.0.0.1", true),
            ("ff02::1", true),
            ("::", true),
            ("::ffff:0.0.0.0", true),
            ("192.0.2.1", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(is_nobodys(address.parse().unwrap()), nobodys, "{address}");
        }
    }
}
