//! The keys of `[[route]]`.

use super::Config;
use super::keys::{Key, Kind, Section, Set, at_least_one, optional, required, setting};
use super::outgoing::{RouteSettings, TermSettings, target};
use super::outgoing_keys::addresses;
use delivery::relay::connector::Requirement;

fn route(config: &mut Config, change: impl FnOnce(&mut RouteSettings)) -> Result<(), String> {
    match config.routes.last_mut() {
        Some(route) => {
            change(route);
            Ok(())
        }
        None => Err("this key belongs under [[route]]".to_owned()),
    }
}

fn terms(config: &mut Config, change: impl FnOnce(&mut TermSettings)) -> Result<(), String> {
    route(config, |route| change(&mut route.terms))
}

const fn own(name: &'static str, kind: Kind, example: &'static str, about: &'static str, set: Set) -> Key {
    optional(Section::Route, name, kind, example, about, set)
}

pub static KEYS: &[Key] = &[
    required(
        Section::Route,
        "name",
        Kind::Text,
        "\"provider\"",
        "Its name, as `rohrpost queue` shows it.",
        |c, g| {
            let name = g.text();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
                return Err("a name has letters, digits, dots, hyphens and underscores".to_owned());
            }
            route(c, |r| r.name = name.to_owned())
        },
    ),
    required(
        Section::Route,
        "domains",
        Kind::Text,
        "\"phys.example .phys.example\"",
        "The domains it is for, separated by spaces. `.phys.example`: all below it. `*`: all that no earlier route is for.",
        |c, g| {
            let normal = |pattern: &str| {
                let (dot, name) = pattern.strip_prefix('.').map_or(("", pattern), |name| (".", name));
                match name {
                    "*" if dot.is_empty() => Ok("*".to_owned()),
                    name => authentication::normal(name)
                        .map(|name| format!("{dot}{name}"))
                        .ok_or_else(|| format!("\"{pattern}\" is no domain")),
                }
            };
            let domains: Vec<String> = g
                .text()
                .split_ascii_whitespace()
                .map(normal)
                .collect::<Result<_, _>>()?;
            if domains.is_empty() {
                return Err("at least one domain".to_owned());
            }
            route(c, |r| r.domains = domains)
        },
    ),
    setting(
        Section::Route,
        "to",
        Kind::Text,
        "\"mx\"",
        "Where its mail goes: `mx` (where the DNS says), or a server: `smtp://HOST`, `smtp://HOST:587`, `smtps://HOST` (TLS from the first octet, port 465), `lmtp://HOST:24`.",
        |c, g| {
            let target = target(g.text())?;
            route(c, |r| r.target = target)
        },
    ),
    own(
        "tls",
        Kind::OneOf(&Requirement::NAMES),
        "\"verify\"",
        "As `outgoing.tls`. Left out: as there; but `verify` where there is a `user`.",
        |c, g| route(c, |r| r.tls = Requirement::named(g.text())),
    ),
    own(
        "user",
        Kind::Text,
        "\"phys@provider.example\"",
        "The name to log in with.",
        |c, g| {
            route(c, |r| {
                r.user = Some(g.text().to_owned()).filter(|user| !user.is_empty());
            })
        },
    ),
    own(
        "password_file",
        Kind::Path,
        "\"/etc/rohrpost/provider.password\"",
        "A file with the password, readable by this program alone.",
        |c, g| route(c, |r| r.password_file = Some(g.path())),
    ),
    own(
        "hello",
        Kind::Text,
        "\"out.phys.example\"",
        "As `outgoing.hello`, for this route.",
        |c, g| {
            route(c, |r| {
                r.hello = Some(g.text().to_owned()).filter(|name| !name.is_empty());
            })
        },
    ),
    own(
        "sources",
        Kind::Text,
        "\"192.0.2.5 2001:db8::5\"",
        "As `outgoing.sources`, for this route.",
        |c, g| {
            let sources = addresses(g)?;
            route(c, |r| r.sources = sources)
        },
    ),
    setting(
        Section::Route,
        "accept",
        Kind::YesNo,
        "false",
        "Mail from outside for its domains is taken and sent on: we are a backup MX for them, or stand in front of their server. Who has an address there is not known here, so all are taken.",
        |c, g| route(c, |r| r.accept = g.yes()),
    ),
    own(
        "retry_first",
        Kind::Duration,
        "\"1 min\"",
        "As in `[outgoing]`.",
        |c, g| terms(c, |t| t.retry_first = Some(g.duration())),
    ),
    own(
        "retry_longest",
        Kind::Duration,
        "\"30 min\"",
        "As in `[outgoing]`.",
        |c, g| terms(c, |t| t.retry_longest = Some(g.duration())),
    ),
    own(
        "lifetime",
        Kind::Duration,
        "\"30 days\"",
        "As in `[outgoing]`. A backup MX holds mail for long; `rohrpost queue retry` sends it at once when the other server is back.",
        |c, g| terms(c, |t| t.lifetime = Some(g.duration())),
    ),
    own(
        "delay_notice",
        Kind::Duration,
        "\"1 day\"",
        "As in `[outgoing]`.",
        |c, g| terms(c, |t| t.delay_notice = Some(g.duration())),
    ),
    own(
        "connections",
        Kind::Number,
        "4",
        "As `outgoing.connections_per_destination`.",
        |c, g| {
            let number = at_least_one(g)?;
            terms(c, |t| t.connections = Some(number))
        },
    ),
    own(
        "messages",
        Kind::Number,
        "1000",
        "As `outgoing.messages_per_connection`.",
        |c, g| {
            let number = at_least_one(g)?;
            terms(c, |t| t.messages = Some(number))
        },
    ),
    own("recipients", Kind::Number, "50", "As in `[outgoing]`.", |c, g| {
        let number = at_least_one(g)?;
        terms(c, |t| t.recipients = Some(number))
    }),
];
