//! The keys of `[web]`.

use super::keys::{Given, Key, Kind, Section, setting};
use std::time::Duration;
use web::StsMode;

/// The longest that RFC 8461 §3.2 allows, in seconds.
const STS_LONGEST: u64 = 31_557_600;

pub static KEYS: &[Key] = &[
    setting(
        Section::Web,
        "figures",
        Kind::Networks,
        "[\"127.0.0.0/8\", \"::1/128\", \"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"fc00::/7\"]",
        "Networks that may ask for health and metrics. A proxy in front counts as the client, unless it speaks the PROXY protocol.",
        |c, g| {
            c.web.figures = if let Given::Networks(networks) = g {
                networks.clone()
            } else {
                Vec::new()
            };
            Ok(())
        },
    ),
    setting(
        Section::Web,
        "autoconfig",
        Kind::YesNo,
        "true",
        "Mail programs are told how to set an account up: Thunderbird's autoconfig, Outlook's Autodiscover, Apple's profiles.",
        |c, g| {
            c.web.autoconfig = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Web,
        "mta_sts",
        Kind::OneOf(&StsMode::NAMES),
        "\"testing\"",
        "What other servers are told to do when they cannot encrypt mail to us (MTA-STS): `testing` (report it), `enforce` (deliver nothing), `none` \
         (no policy is served). Takes an `https` listener, and two records that `rohrpost dns` shows.",
        |c, g| {
            c.web.mta_sts = StsMode::named(g.text()).unwrap_or_default();
            Ok(())
        },
    ),
    setting(
        Section::Web,
        "mta_sts_max_age",
        Kind::Duration,
        "\"7 days\"",
        "How long they may remember that; a policy that is taken back goes on for so long.",
        |c, g| {
            let age = g.duration();
            if age < Duration::from_secs(3600) || age > Duration::from_secs(STS_LONGEST) {
                return Err("must be between an hour and a year".to_owned());
            }
            c.web.mta_sts_max_age = age;
            Ok(())
        },
    ),
    setting(
        Section::Web,
        "mta_sts_hosts",
        Kind::Text,
        "\"\"",
        "Other hosts that take the domains' mail, separated by spaces: backup servers with MX records of their own. `*.` at the front stands for one label.",
        |c, g| {
            let host = |text: &str| {
                let name = text.strip_prefix("*.").unwrap_or(text);
                match authentication::normal(name) {
                    Some(name) if text.starts_with("*.") => Ok(format!("*.{name}")),
                    Some(name) => Ok(name),
                    None => Err(format!("\"{text}\" is no host name")),
                }
            };
            c.web.mta_sts_hosts = g
                .text()
                .split_ascii_whitespace()
                .map(host)
                .collect::<Result<_, String>>()?;
            Ok(())
        },
    ),
];
