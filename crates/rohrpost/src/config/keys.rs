//! The table of all keys.

use super::{Config, Listener, LogFormat, Network, OverQuota, Protocol, TlsFiles, TlsMode, units};
use smtp::dsn::Language;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

/// A key of the file.
#[derive(Clone, Copy)]
pub struct Key {
    /// The table it stands in.
    pub section: Section,
    /// Its name there.
    pub name: &'static str,
    /// What may be written.
    pub kind: Kind,
    /// Its default as TOML; None: there is none.
    pub default: Option<&'static str>,
    /// It must be given.
    pub required: bool,
    /// What to write in the commented file when there is no default.
    pub example: &'static str,
    /// What it means, Markdown.
    pub about: &'static str,
    /// Puts a value in its place.
    pub set: fn(&mut Config, &Given) -> Result<(), String>,
}

/// The tables of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Top,
    Listener,
    Tls,
    Acme,
    Oauth,
    Limits,
    Dns,
    Submission,
    Forwarding,
    Delivery,
    Sieve,
    Inspect,
    Outgoing,
    Route,
    Retry,
    Web,
    Log,
}

impl Section {
    pub const ALL: [Section; 17] = [
        Section::Top,
        Section::Listener,
        Section::Tls,
        Section::Acme,
        Section::Oauth,
        Section::Limits,
        Section::Dns,
        Section::Submission,
        Section::Forwarding,
        Section::Delivery,
        Section::Sieve,
        Section::Inspect,
        Section::Outgoing,
        Section::Route,
        Section::Retry,
        Section::Web,
        Section::Log,
    ];

    /// Whether it is written once for each of something, in two brackets.
    pub fn is_many(self) -> bool {
        matches!(self, Section::Listener | Section::Route | Section::Retry)
    }

    /// Its name in the file; empty for what stands before any table.
    pub fn name(self) -> &'static str {
        match self {
            Section::Top => "",
            Section::Listener => "listener",
            Section::Tls => "tls",
            Section::Acme => "acme",
            Section::Oauth => "oauth",
            Section::Limits => "limits",
            Section::Dns => "dns",
            Section::Submission => "submission",
            Section::Forwarding => "forwarding",
            Section::Delivery => "delivery",
            Section::Sieve => "sieve",
            Section::Inspect => "inspect",
            Section::Outgoing => "outgoing",
            Section::Route => "route",
            Section::Retry => "retry",
            Section::Web => "web",
            Section::Log => "log",
        }
    }

    /// What it is for.
    pub fn about(self) -> &'static str {
        match self {
            Section::Top => "Who this server is and where it keeps things.",
            Section::Listener => "A port to listen on. Write one `[[listener]]` for each.",
            Section::Tls => {
                "The certificate that all listeners show. Left out, and without `[acme]`, no listener offers TLS, and then only loopback listeners with \
                 `plaintext = true` let anybody log in. The files are read again when they change."
            }
            Section::Acme => {
                "A certificate from an authority that gives it out by itself (ACME): got at the start, renewed in time, in place of the files of `[tls]`. \
                 docs/certificates.md tells how."
            }
            Section::Oauth => {
                "Logging in with an access token of the organisation's own sign-on (OAUTHBEARER and XOAUTH2, RFC 7628). The token is a signed JWT; \
                 it is verified here, against the issuer's public keys, and says whose account it is for. Left out, tokens are not taken."
            }
            Section::Limits => "How much is too much. Everything that a stranger could make grow has its bound here.",
            Section::Forwarding => "What aliases and people's filters send on to other servers: docs/forwarding.md.",
            Section::Dns => "How names are looked up: for mail that comes in and mail that goes out.",
            Section::Submission => "What people send with their own programs: docs/submission.md.",
            Section::Delivery => "Into mailboxes.",
            Section::Sieve => {
                "What people's filters may do. A filter beyond a limit fails: the message is kept and the user is told."
            }
            Section::Inspect => {
                "What mail from outside is looked at for, before it is taken: docs/authentication.md. An action is `off`, `mark` (written down), \
                 `quarantine` (to Junk, unless the recipient's own rules say otherwise), `defer` (`451`) or `refuse` (`550`)."
            }
            Section::Outgoing => "Mail for other servers: docs/sending.md.",
            Section::Route => {
                "The way for some domains. Write one `[[route]]` for each; the first that is for a domain counts. Domains without one go where the DNS says."
            }
            Section::Retry => {
                "What is tried again when, and for how long, for one of the strategies that the queue has names for: docs/queue.md. Write one `[[retry]]` for each. \
                 What is left out is as in `[outgoing]` and `[delivery]`; what a `[[route]]` says for itself counts more."
            }
            Section::Web => "What `http` and `https` listeners answer: docs/dns.md tells what for.",
            Section::Log => "The log goes to standard error; systemd keeps it.",
        }
    }
}

/// What may be written for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Path,
    Size,
    Duration,
    Number,
    YesNo,
    OneOf(&'static [&'static str]),
    Networks,
}

impl Kind {
    pub fn describe(self) -> String {
        match self {
            Kind::Text => "text".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Size => "size".to_owned(),
            Kind::Duration => "time".to_owned(),
            Kind::Number => "number".to_owned(),
            Kind::YesNo => "`true` or `false`".to_owned(),
            Kind::OneOf(names) => names
                .iter()
                .map(|n| format!("`\"{n}\"`"))
                .collect::<Vec<_>>()
                .join(", "),
            Kind::Networks => "list of networks".to_owned(),
        }
    }
}

/// A value as the file gives it, already of the key's kind.
pub enum Given {
    Text(String),
    Path(PathBuf),
    Number(u64),
    Duration(Duration),
    YesNo(bool),
    Networks(Vec<Network>),
}

impl Given {
    pub(super) fn text(&self) -> &str {
        if let Given::Text(text) = self { text } else { "" }
    }

    fn some_text(&self) -> Option<String> {
        Some(self.text().to_owned()).filter(|t| !t.is_empty())
    }

    pub(super) fn path(&self) -> PathBuf {
        if let Given::Path(path) = self {
            path.clone()
        } else {
            PathBuf::new()
        }
    }

    pub(super) fn number(&self) -> u64 {
        if let Given::Number(number) = self { *number } else { 0 }
    }

    pub(super) fn duration(&self) -> Duration {
        if let Given::Duration(span) = self {
            *span
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn yes(&self) -> bool {
        matches!(self, Given::YesNo(true))
    }
}

/// A listener before its keys are read.
pub fn blank_listener() -> Listener {
    Listener {
        protocol: Protocol::Smtp,
        bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        plaintext: false,
        tls: None,
        proxy_protocol: Vec::new(),
    }
}

/// Turns a TOML value into what `kind` asks for, or says what should stand there.
pub fn given(kind: Kind, value: &toml_edit::Value) -> Result<Given, String> {
    let text = || {
        value
            .as_str()
            .ok_or_else(|| format!("expected text in quotes, found {}", value.type_name()))
    };
    Ok(match kind {
        Kind::Text => Given::Text(text()?.trim().to_owned()),
        Kind::Path => Given::Path(PathBuf::from(text()?)),
        Kind::Size => Given::Number(match value.as_integer() {
            Some(octets) => u64::try_from(octets).map_err(|_| "a size is not negative".to_owned())?,
            None => units::size(
                value
                    .as_str()
                    .ok_or_else(|| format!("expected a size such as \"100 MiB\", found {}", value.type_name()))?,
            )?,
        }),
        Kind::Duration => Given::Duration(match (value.as_integer(), value.as_str()) {
            (Some(number), _) => units::duration(&number.to_string())?,
            (None, Some(text)) => units::duration(text)?,
            (None, None) => {
                return Err(format!(
                    "expected a length of time such as \"5 min\", found {}",
                    value.type_name()
                ));
            }
        }),
        Kind::Number => Given::Number(
            value
                .as_integer()
                .and_then(|n| u64::try_from(n).ok())
                .ok_or_else(|| "expected a whole number without quotes, not negative".to_owned())?,
        ),
        Kind::YesNo => Given::YesNo(
            value
                .as_bool()
                .ok_or_else(|| "expected true or false, without quotes".to_owned())?,
        ),
        Kind::OneOf(names) => {
            let text = text()?;
            if !names.contains(&text) {
                return Err(format!("\"{text}\" is not one of {}", names.join(", ")));
            }
            Given::Text(text.to_owned())
        }
        Kind::Networks => {
            let list = value
                .as_array()
                .ok_or_else(|| "expected a list such as [\"127.0.0.1\", \"192.0.2.0/24\"]".to_owned())?;
            Given::Networks(
                list.iter()
                    .map(|v| {
                        v.as_str()
                            .ok_or_else(|| "expected networks in quotes".to_owned())?
                            .parse()
                    })
                    .collect::<Result<_, _>>()?,
            )
        }
    })
}

/// Puts the default of `key` into `config`.
pub fn apply_default(key: &Key, config: &mut Config, default: &str) -> Result<(), String> {
    let value: toml_edit::Value = default.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    (key.set)(config, &given(key.kind, &value)?)
}

fn listener(config: &mut Config, change: impl FnOnce(&mut Listener)) -> Result<(), String> {
    match config.listeners.last_mut() {
        Some(listener) => {
            change(listener);
            Ok(())
        }
        None => Err("this key belongs under [[listener]]".to_owned()),
    }
}

fn tls(config: &mut Config, change: impl FnOnce(&mut TlsFiles)) -> Result<(), String> {
    change(config.tls.get_or_insert_default());
    Ok(())
}

fn oauth(config: &mut Config, change: impl FnOnce(&mut directory::JwtOptions)) -> Result<(), String> {
    let blank = || directory::JwtOptions {
        claim: "email".to_owned(),
        ..directory::JwtOptions::default()
    };
    change(config.oauth.get_or_insert_with(blank));
    Ok(())
}

/// At least one: none would lock everybody out.
pub(super) fn at_least_one(given: &Given) -> Result<u64, String> {
    match given.number() {
        0 => Err("must be at least 1".to_owned()),
        n => Ok(n),
    }
}

pub(super) const fn required(
    section: Section,
    name: &'static str,
    kind: Kind,
    example: &'static str,
    about: &'static str,
    set: Set,
) -> Key {
    Key {
        section,
        name,
        kind,
        default: None,
        required: true,
        example,
        about,
        set,
    }
}

pub(super) const fn optional(
    section: Section,
    name: &'static str,
    kind: Kind,
    example: &'static str,
    about: &'static str,
    set: Set,
) -> Key {
    Key {
        section,
        name,
        kind,
        default: None,
        required: false,
        example,
        about,
        set,
    }
}

pub(super) const fn setting(
    section: Section,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
    set: Set,
) -> Key {
    Key {
        section,
        name,
        kind,
        default: Some(default),
        required: false,
        example: "",
        about,
        set,
    }
}

pub(super) type Set = fn(&mut Config, &Given) -> Result<(), String>;

/// All keys.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    MAIN.iter()
        .chain(super::acme_keys::KEYS)
        .chain(super::limit_keys::KEYS)
        .chain(super::sieve_keys::KEYS)
        .chain(super::inspect_keys::KEYS)
        .chain(super::outgoing_keys::KEYS)
        .chain(super::route_keys::KEYS)
        .chain(super::retry_keys::KEYS)
        .chain(super::dns_keys::KEYS)
        .chain(super::submission_keys::KEYS)
        .chain(super::forwarding_keys::KEYS)
        .chain(super::web_keys::KEYS)
        .copied()
        .collect()
});

/// The keys of the tables that have no file of their own, in the order the reference and the commented file show them.
static MAIN: &[Key] = &[
    required(
        Section::Top,
        "hostname",
        Kind::Text,
        "\"mail.phys.example\"",
        "The name of this machine as the rest of the world looks it up: in greetings, in `Received` lines, in the certificate.",
        |c, g| {
            let name = g.text();
            let labels_fit = name.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            });
            if !labels_fit || name.len() > 253 {
                return Err(format!("\"{name}\" is not a host name such as mail.phys.example"));
            }
            c.hostname = name.to_ascii_lowercase();
            Ok(())
        },
    ),
    required(
        Section::Top,
        "data",
        Kind::Path,
        "\"/var/lib/rohrpost\"",
        "The data directory: accounts, mail, queue. Rohrpost alone writes there.",
        |c, g| {
            c.data = g.path();
            Ok(())
        },
    ),
    optional(
        Section::Top,
        "user",
        Kind::Text,
        "\"rohrpost\"",
        "Whom to become once all ports are bound, when started as root: a name from `/etc/passwd` or a number.",
        |c, g| {
            c.user = g.some_text();
            Ok(())
        },
    ),
    optional(
        Section::Top,
        "group",
        Kind::Text,
        "\"rohrpost\"",
        "The group to become with it. Left out: the user's own group.",
        |c, g| {
            c.group = g.some_text();
            Ok(())
        },
    ),
    setting(
        Section::Top,
        "languages",
        Kind::Text,
        "\"en\"",
        "In which languages people are told of what has happened (mail that could not be delivered, an account that is held): `en`, `de`, or several \
         separated by spaces. With several, each message says the same in each of them.",
        |c, g| {
            let language = |tag: &str| Language::parse(tag).ok_or_else(|| format!("\"{tag}\" is neither en nor de"));
            c.languages = g
                .text()
                .split_ascii_whitespace()
                .map(language)
                .collect::<Result<_, _>>()?;
            Ok(())
        },
    ),
    required(
        Section::Listener,
        "protocol",
        Kind::OneOf(&[
            "smtp",
            "submission",
            "submissions",
            "lmtp",
            "imap",
            "imaps",
            "pop3",
            "pop3s",
            "managesieve",
            "http",
            "https",
        ]),
        "\"smtp\"",
        "What is spoken: `smtp` (mail from other servers, port 25), `submission` (mail from your own users, 587), `submissions` (the \
         same with TLS from the first octet, 465), `lmtp` (mail from a server that stands in front), `imap` (143), `imaps` (993), \
         `pop3` (110), `pop3s` (995), `https` (443) and `http` (80): MTA-STS policy and the set-up of mail programs, to networks of yours also health and metrics.",
        |c, g| {
            let protocol = Protocol::ALL
                .iter()
                .find(|(name, _)| *name == g.text())
                .map(|(_, p)| *p);
            listener(c, |l| l.protocol = protocol.unwrap_or(l.protocol))
        },
    ),
    required(
        Section::Listener,
        "bind",
        Kind::Text,
        "\"0.0.0.0:25\"",
        "Address and port. `[::]:25` takes IPv6 and IPv4 alike.",
        |c, g| {
            let text = g.text();
            let bind: SocketAddr = text
                .parse()
                .map_err(|_| format!("\"{text}\" is not an address and port such as 0.0.0.0:25 or [::]:25"))?;
            listener(c, |l| l.bind = bind)
        },
    ),
    setting(
        Section::Listener,
        "plaintext",
        Kind::YesNo,
        "false",
        "Lets people log in without TLS. Only a listener on a loopback address may, for tests and for proxies on the same machine.",
        |c, g| listener(c, |l| l.plaintext = g.yes()),
    ),
    optional(
        Section::Listener,
        "tls",
        Kind::OneOf(&["offer", "immediate", "off"]),
        "\"offer\"",
        "`offer`: STARTTLS; `immediate`: TLS from the first octet; `off`. Left out: `immediate` for `submissions`, `imaps`, `pop3s` and `https`, `off` \
         for `http`, and for the others `offer` where there is a certificate.",
        |c, g| {
            let mode = match g.text() {
                "offer" => TlsMode::Offer,
                "immediate" => TlsMode::Immediate,
                _ => TlsMode::Off,
            };
            listener(c, |l| l.tls = Some(mode))
        },
    ),
    setting(
        Section::Listener,
        "proxy_protocol",
        Kind::Networks,
        "[]",
        "Connections from these networks begin with a PROXY protocol header (version 1 or 2), and the client address in it is \
         believed. Connections from elsewhere are served as they are.",
        |c, g| {
            let networks = if let Given::Networks(n) = g {
                n.clone()
            } else {
                Vec::new()
            };
            listener(c, |l| l.proxy_protocol = networks)
        },
    ),
    optional(
        Section::Tls,
        "certificate",
        Kind::Path,
        "\"/etc/rohrpost/cert.pem\"",
        "The certificate chain in PEM, the server's own certificate first.",
        |c, g| tls(c, |t| t.certificate = g.path()),
    ),
    optional(
        Section::Tls,
        "key",
        Kind::Path,
        "\"/etc/rohrpost/key.pem\"",
        "Its private key in PEM.",
        |c, g| tls(c, |t| t.key = g.path()),
    ),
    optional(
        Section::Tls,
        "client_ca",
        Kind::Path,
        "\"/etc/rohrpost/people-ca.pem\"",
        "Certificates, in PEM, of those who vouch for people's own certificates. With it, the listeners on which people log in ask for a client \
         certificate; one that shows an address of an account (subjectAltName rfc822Name) lets it in by SASL EXTERNAL. Others log in as before.",
        |c, g| tls(c, |t| t.client_ca = Some(g.path())),
    ),
    optional(
        Section::Oauth,
        "issuer",
        Kind::Text,
        "\"https://login.phys.example/realms/phys\"",
        "Who gives the tokens out: their `iss` claim, to the letter.",
        |c, g| oauth(c, |o| o.issuer = g.text().to_owned()),
    ),
    optional(
        Section::Oauth,
        "audience",
        Kind::Text,
        "\"rohrpost\"",
        "For whom: must be among the token's `aud`.",
        |c, g| oauth(c, |o| o.audience = g.text().to_owned()),
    ),
    optional(
        Section::Oauth,
        "keys",
        Kind::Path,
        "\"/etc/rohrpost/oauth-keys.json\"",
        "The issuer's public keys, as a JSON Web Key Set (RFC 7517). Read again when the file changes: a timer that fetches the issuer's \
         `jwks_uri` into it keeps up with its changes of keys.",
        |c, g| oauth(c, |o| o.keys = g.path()),
    ),
    optional(
        Section::Oauth,
        "claim",
        Kind::Text,
        "\"email\"",
        "The claim that holds the address of the account. Left out: `email`.",
        |c, g| oauth(c, |o| o.claim = g.text().to_owned()),
    ),
    setting(
        Section::Delivery,
        "workers",
        Kind::Number,
        "6",
        "Accounts that are delivered to at the same time.",
        |c, g| {
            c.delivery.workers = at_least_one(g)?;
            Ok(())
        },
    ),
    setting(
        Section::Delivery,
        "subaddress_mailbox",
        Kind::YesNo,
        "true",
        "Mail to `ada+list@` goes into ada's mailbox `list` if she has one; otherwise, and always when `false`, into INBOX.",
        |c, g| {
            c.delivery.subaddress_mailbox = g.yes();
            Ok(())
        },
    ),
    setting(
        Section::Delivery,
        "over_quota",
        Kind::OneOf(&["defer", "refuse"]),
        "\"defer\"",
        "What a full mailbox answers: `defer` (452 4.2.2, the sender tries again later) or `refuse` (552 5.2.2, the sender is told at once).",
        |c, g| {
            c.delivery.over_quota = if g.text() == "refuse" {
                OverQuota::Refuse
            } else {
                OverQuota::Defer
            };
            Ok(())
        },
    ),
    setting(
        Section::Delivery,
        "lifetime",
        Kind::Duration,
        "\"5 days\"",
        "How long a message for a mailbox here is tried before its sender gets it back (RFC 5321 §4.5.4.1).",
        |c, g| {
            c.delivery.lifetime = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Delivery,
        "delay_notice",
        Kind::Duration,
        "\"4 h\"",
        "After what time the sender of a message for a mailbox here is told that it is late, once. `\"0 s\"`: never.",
        |c, g| {
            c.delivery.delay_notice = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Delivery,
        "history",
        Kind::Duration,
        "\"90 days\"",
        "How long the fate of a delivered message stays on record for `rohrpost trace`.",
        |c, g| {
            c.delivery.history = g.duration();
            Ok(())
        },
    ),
    setting(
        Section::Log,
        "format",
        Kind::OneOf(&["text", "json"]),
        "\"text\"",
        "`text` for people, `json` for programs: one object a line.",
        |c, g| {
            c.log.format = if g.text() == "json" {
                LogFormat::Json
            } else {
                LogFormat::Text
            };
            Ok(())
        },
    ),
    setting(
        Section::Log,
        "level",
        Kind::Text,
        "\"info\"",
        "`error`, `warn`, `info`, `debug` or `trace`, also per part: `info,delivery=debug`.",
        |c, g| {
            let level = g.text();
            level
                .parse::<tracing_subscriber::filter::Targets>()
                .map_err(|_| format!("\"{level}\" is not a level such as info, or info,delivery=debug"))?;
            c.log.level = level.to_owned();
            Ok(())
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_and_example_is_accepted() {
        for key in KEYS.iter() {
            let mut config = Config::defaults();
            config.listeners.push(blank_listener());
            config.routes.push(crate::config::outgoing::blank_route());
            config.retries.push(crate::config::outgoing::RetrySettings::default());
            let text = key.default.unwrap_or(key.example);
            assert_eq!(apply_default(key, &mut config, text), Ok(()), "{}", key.name);
        }
    }

    #[test]
    fn every_key_says_what_it_means() {
        for key in KEYS.iter() {
            assert!(key.about.ends_with('.'), "{}", key.name);
            assert_eq!(key.default.is_none(), !key.example.is_empty(), "{}", key.name);
        }
    }
}
