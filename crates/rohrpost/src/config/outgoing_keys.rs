//! The keys of `[outgoing]`.

use super::keys::{Given, Key, Kind, Section, at_least_one, optional, setting};
use super::outgoing::TermSettings;
use delivery::relay::connector::Requirement;
use std::net::IpAddr;

/// Addresses, separated by spaces.
pub(super) fn addresses(given: &Given) -> Result<Vec<IpAddr>, String> {
    let parse = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no IP address"));
    given.text().split_ascii_whitespace().map(parse).collect()
}

/// A port.
pub(super) fn port(given: &Given) -> Result<u16, String> {
    match u16::try_from(given.number()) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("a port is between 1 and 65535".to_owned()),
    }
}

fn terms(c: &mut super::Config) -> &mut TermSettings {
    &mut c.outgoing.terms
}

pub static KEYS: &[Key] = &[
    optional(
        Section::Outgoing,
        "hello",
        Kind::Text,
        "\"mail.phys.example\"",
        "What we call ourselves to other servers (EHLO). Left out: `hostname`. It should be the name that the DNS has for the address we come from.",
        |c, g| {
            c.outgoing.hello = Some(g.text().to_owned()).filter(|name| !name.is_empty());
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "sources",
        Kind::Text,
        "\"\"",
        "The addresses that connections come from, at most one IPv4 and one IPv6, separated by spaces. Empty: the system chooses.",
        |c, g| {
            c.outgoing.sources = addresses(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "ipv6",
        Kind::YesNo,
        "true",
        "Other servers are reached by IPv6, too.",
        |c, g| {
            c.outgoing.ipv6 = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "tls",
        Kind::OneOf(&Requirement::NAMES),
        "\"opportunistic\"",
        "`opportunistic`: TLS where the other server has it, and whatever its DANE or MTA-STS policy asks for. `encrypt`: no mail without TLS. `verify`: nor to a \
         server without a certificate for its name. `off`: none. `[[route]]` can say otherwise for some domains.",
        |c, g| {
            c.outgoing.tls = Requirement::named(g.text()).unwrap_or_default();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "dane",
        Kind::YesNo,
        "true",
        "Signed TLSA records of other servers are honoured (RFC 7672). Needs `dnssec`.",
        |c, g| {
            c.outgoing.dane = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "mta_sts",
        Kind::YesNo,
        "true",
        "MTA-STS policies of other domains are fetched and honoured (RFC 8461).",
        |c, g| {
            c.outgoing.mta_sts = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "tls_reports",
        Kind::YesNo,
        "true",
        "How TLS with a domain went is reported once a day to domains that ask for it (RFC 8460).",
        |c, g| {
            c.outgoing.tls_reports = g.yes();
            Ok(())
        },
    ),
    optional(
        Section::Outgoing,
        "authorities",
        Kind::Path,
        "\"/etc/ssl/certs/ca-certificates.crt\"",
        "The authorities (PEM) that certificates of other servers are verified by. Left out: those of the system.",
        |c, g| {
            c.outgoing.authorities = Some(g.path());
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "retry_first",
        Kind::Duration,
        "\"5 min\"",
        "How long to wait after a first failure. Each further wait is twice as long, give or take a fifth.",
        |c, g| {
            terms(c).retry_first = Some(g.duration());
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "retry_longest",
        Kind::Duration,
        "\"1 h\"",
        "The longest wait between two tries.",
        |c, g| {
            terms(c).retry_longest = Some(g.duration());
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "lifetime",
        Kind::Duration,
        "\"5 days\"",
        "How long a message is tried before its sender gets it back (RFC 5321 §4.5.4.1).",
        |c, g| {
            terms(c).lifetime = Some(g.duration());
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "delay_notice",
        Kind::Duration,
        "\"4 h\"",
        "After what time a sender is told that a message is late, once. `\"0 s\"`: never.",
        |c, g| {
            terms(c).delay_notice = Some(g.duration());
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "connections",
        Kind::Number,
        "200",
        "Connections to other servers at once.",
        |c, g| {
            c.outgoing.connections = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "connections_per_destination",
        Kind::Number,
        "20",
        "Connections at once for one destination. It begins with few, and has more as long as that goes well.",
        |c, g| {
            terms(c).connections = Some(at_least_one(g)?);
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "messages_per_connection",
        Kind::Number,
        "100",
        "Messages that go over one connection.",
        |c, g| {
            terms(c).messages = Some(at_least_one(g)?);
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "recipients",
        Kind::Number,
        "100",
        "Recipients in one transaction. Every server must take 100 (RFC 5321 §4.5.3.1.8).",
        |c, g| {
            terms(c).recipients = Some(at_least_one(g)?);
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "connect",
        Kind::Duration,
        "\"30 s\"",
        "How long another server may take to accept a connection.",
        |c, g| {
            c.outgoing.connect = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "patience",
        Kind::Duration,
        "\"10 min\"",
        "How long finding a host that will do may take, and at most how long a step of the conversation. Steps have the times of RFC 5321 §4.5.3.2, where those are shorter.",
        |c, g| {
            c.outgoing.patience = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "dead_host",
        Kind::Duration,
        "\"1 min\"",
        "For how long an address that did not answer is left alone.",
        |c, g| {
            c.outgoing.dead_host = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "port",
        Kind::Number,
        "25",
        "The port of other servers. Something else makes sense in tests only.",
        |c, g| {
            c.outgoing.port = port(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "https_port",
        Kind::Number,
        "443",
        "The port where MTA-STS policies of others are fetched. Something else makes sense in tests only.",
        |c, g| {
            c.outgoing.https_port = port(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Outgoing,
        "loopback",
        Kind::YesNo,
        "false",
        "Hosts that the DNS names may have loopback addresses. That makes sense in tests only: otherwise such mail would come back to this machine.",
        |c, g| {
            c.outgoing.loopback = g.yes();
            Ok(())
        },
    ),
];
