//! The keys of `[acme]`.

use super::keys::{Given, Key, Kind, Section, optional};
use super::{Acme, Challenge, Config};

fn acme(config: &mut Config, change: impl FnOnce(&mut Acme)) -> Result<(), String> {
    let blank = || Acme {
        domains: true,
        ..Acme::default()
    };
    change(config.acme.get_or_insert_with(blank));
    Ok(())
}

/// Names, separated by spaces; a wildcard may be among them.
fn names(given: &Given) -> Result<Vec<String>, String> {
    let name = |text: &str| {
        let bare = text.strip_prefix("*.").unwrap_or(text);
        let normal = authentication::normal(bare).filter(|name| name.contains('.'));
        let normal = normal.ok_or_else(|| format!("\"{text}\" is no name that a certificate can be for"))?;
        Ok(if bare == text { normal } else { format!("*.{normal}") })
    };
    given.text().split_ascii_whitespace().map(name).collect()
}

pub static KEYS: &[Key] = &[
    optional(
        Section::Acme,
        "directory",
        Kind::Text,
        "\"https://acme-v02.api.letsencrypt.org/directory\"",
        "The authority: the address of its directory.",
        |c, g| {
            let text = g.text();
            if !text.starts_with("https://") {
                return Err(format!("\"{text}\" does not begin with https://"));
            }
            acme(c, |a| a.directory = text.to_owned())
        },
    ),
    optional(
        Section::Acme,
        "agree",
        Kind::YesNo,
        "true",
        "You agree to the authority's terms of service. Must be `true`.",
        |c, g| acme(c, |a| a.agree = g.yes()),
    ),
    optional(
        Section::Acme,
        "contact",
        Kind::Text,
        "\"postmaster@phys.example\"",
        "Addresses, separated by spaces, to which the authority writes when something is wrong. Left out: none.",
        |c, g| {
            let all: Vec<String> = g.text().split_ascii_whitespace().map(str::to_owned).collect();
            if let Some(odd) = all.iter().find(|address| !address.contains('@')) {
                return Err(format!("\"{odd}\" is no address"));
            }
            acme(c, |a| a.contact = all)
        },
    ),
    optional(
        Section::Acme,
        "challenge",
        Kind::OneOf(&Challenge::NAMES),
        "\"http-01\"",
        "How is proven that the names lead here: `http-01` (on our `http` listener, which the world must reach at port 80), `tls-alpn-01` (on our \
         `https` listener, at port 443), `dns-01` (by `hook`). Left out: `http-01`.",
        |c, g| {
            let challenge = Challenge::named(g.text()).unwrap_or_default();
            acme(c, |a| a.challenge = challenge)
        },
    ),
    optional(
        Section::Acme,
        "hook",
        Kind::Path,
        "\"/etc/rohrpost/acme-dns\"",
        "The program that puts a TXT record into the zone: called with `present` or `cleanup`, the record's name and its text; ends with 0 once \
         the name servers have it. For `dns-01`.",
        |c, g| acme(c, |a| a.hook = Some(g.path())),
    ),
    optional(
        Section::Acme,
        "names",
        Kind::Text,
        "\"imap.phys.example smtp.phys.example\"",
        "Names beside `hostname` that the certificate is for, separated by spaces. Wildcards take `dns-01`. Left out: none.",
        |c, g| {
            let names = names(g)?;
            acme(c, |a| a.names = names)
        },
    ),
    optional(
        Section::Acme,
        "domains",
        Kind::YesNo,
        "true",
        "For each domain a certificate for its names `mta-sts.`, `autoconfig.` and `autodiscover.`, as far as these lead to this host. Left out: `true`.",
        |c, g| acme(c, |a| a.domains = g.yes()),
    ),
    optional(
        Section::Acme,
        "eab_id",
        Kind::Text,
        "\"kid-1\"",
        "For authorities that only serve who has an account with them already (external account binding): its id.",
        |c, g| acme(c, |a| a.eab_id = Some(g.text().to_owned())),
    ),
    optional(
        Section::Acme,
        "eab_key",
        Kind::Path,
        "\"/etc/rohrpost/acme-eab-key\"",
        "And a file with its HMAC key, base64url.",
        |c, g| acme(c, |a| a.eab_key = Some(g.path())),
    ),
    optional(
        Section::Acme,
        "ca",
        Kind::Path,
        "\"/etc/rohrpost/acme-root.pem\"",
        "The certificate, in PEM, that vouches for the directory itself, where that is an authority of your own. Left out: those that the system trusts.",
        |c, g| acme(c, |a| a.ca = Some(g.path())),
    ),
];
