//! The keys of `[inspect]`.

use super::keys::{Given, Key, Kind, Section, setting};
use delivery::inspect::Action;

const ACTIONS: &[&str] = &Action::NAMES;

fn action(given: &Given) -> Action {
    Action::named(given.text()).unwrap_or_default()
}

/// Domains, separated by spaces.
fn names(given: &Given) -> Result<Vec<String>, String> {
    let normal = |name: &str| authentication::normal(name).ok_or_else(|| format!("\"{name}\" is no domain"));
    given.text().split_ascii_whitespace().map(normal).collect()
}

pub static KEYS: &[Key] = &[
    setting(
        Section::Inspect,
        "enabled",
        Kind::YesNo,
        "true",
        "Mail from outside is looked at.",
        |c, g| {
            c.inspect.enabled = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "trusted",
        Kind::Networks,
        "[\"127.0.0.0/8\", \"::1/128\"]",
        "Networks whose mail is taken as it comes, such as those of a server of ours in front of this one.",
        |c, g| {
            c.inspect.trusted = if let Given::Networks(networks) = g {
                networks.clone()
            } else {
                Vec::new()
            };
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "greeting_delay",
        Kind::Duration,
        "\"1s\"",
        "How long a client is listened to before it is greeted.",
        |c, g| {
            c.inspect.greeting_delay = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "early_talker",
        Kind::OneOf(ACTIONS),
        "\"refuse\"",
        "Who speaks before being greeted: a mail server waits, much of what sends spam does not.",
        |c, g| {
            c.inspect.early_talker = action(g);
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "helo",
        Kind::OneOf(ACTIONS),
        "\"refuse\"",
        "Who calls itself by our own name, or by what cannot be a name.",
        |c, g| {
            c.inspect.helo = action(g);
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "reverse",
        Kind::OneOf(ACTIONS),
        "\"mark\"",
        "Whose address has no name that leads back to it.",
        |c, g| {
            c.inspect.reverse = action(g);
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "spf_fail",
        Kind::OneOf(ACTIONS),
        "\"mark\"",
        "Whose address may not send for the envelope's domain, as that says in its SPF record.",
        |c, g| {
            c.inspect.spf_fail = action(g);
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "dmarc",
        Kind::YesNo,
        "true",
        "The policy of an author's domain is followed (DMARC): `reject` is refused, `quarantine` goes to Junk.",
        |c, g| {
            c.inspect.dmarc = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "dmarc_reports",
        Kind::YesNo,
        "true",
        "Domains that ask for it are told once a day what was seen of mail in their name.",
        |c, g| {
            c.inspect.dmarc_reports = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "sealers",
        Kind::Text,
        "\"\"",
        "Domains, separated by spaces, whose ARC seals are believed when they say that a message passed DMARC before they changed it: mailing lists and forwarders.",
        |c, g| {
            c.inspect.sealers = names(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "block_lists",
        Kind::Text,
        "\"\"",
        "DNS lists, separated by spaces, of addresses that send what nobody wants. Most lists want to be asked by your own name server, and some want a contract.",
        |c, g| {
            c.inspect.block_lists = names(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "block_list",
        Kind::OneOf(ACTIONS),
        "\"refuse\"",
        "Whose address stands on one of them.",
        |c, g| {
            c.inspect.block_list = action(g);
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "allow_lists",
        Kind::Text,
        "\"\"",
        "DNS lists of addresses that are known to be good: no block lists, no greylisting.",
        |c, g| {
            c.inspect.allow_lists = names(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "greylist",
        Kind::YesNo,
        "true",
        "The doubtful, and only they, are asked to come back later.",
        |c, g| {
            c.inspect.greylist = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "greylist_wait",
        Kind::Duration,
        "\"5m\"",
        "How much later at the earliest.",
        |c, g| {
            c.inspect.greylist_wait = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "network_rate",
        Kind::Number,
        "3000",
        "Messages that a network (IPv4: /24, IPv6: /64) may send in an hour; further ones are `451`. 0: any number.",
        |c, g| {
            c.inspect.network_rate = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "sender_rate",
        Kind::Number,
        "1000",
        "Messages that one sender may send in an hour. 0: any number.",
        |c, g| {
            c.inspect.sender_rate = g.number();
            Ok(())
        },
    ),
    setting(
        Section::Inspect,
        "patience",
        Kind::Duration,
        "\"20s\"",
        "How long the DNS may take for one message. Longer: `451`.",
        |c, g| {
            c.inspect.patience = g.duration();
            Ok(())
        },
    ),
];
