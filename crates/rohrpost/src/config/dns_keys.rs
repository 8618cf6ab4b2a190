//! The keys of `[dns]`.

use super::keys::{Key, Kind, Section, optional, setting};

const VALIDATION: &[&str] = &["auto", "on", "off"];

pub static KEYS: &[Key] = &[
    setting(
        Section::Dns,
        "name_servers",
        Kind::Text,
        "\"\"",
        "Name servers to ask, ADDRESS:PORT separated by spaces. Empty: those of /etc/resolv.conf. One of your own, near by, is best: it remembers, and DNS \
         lists do not answer large public ones.",
        |c, g| {
            let parse = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is not ADDRESS:PORT"));
            c.dns.name_servers = g
                .text()
                .split_ascii_whitespace()
                .map(parse)
                .collect::<Result<_, String>>()?;
            Ok(())
        },
    ),
    setting(
        Section::Dns,
        "dnssec",
        Kind::OneOf(VALIDATION),
        "\"auto\"",
        "Whether answers are validated. `auto`: if the name servers pass signatures on. `on`: in any case; then nothing resolves where they do not. \
         `off`: no.",
        |c, g| {
            c.dns.dnssec = match g.text() {
                "on" => dns::Validation::On,
                "off" => dns::Validation::Off,
                _ => dns::Validation::Auto,
            };
            Ok(())
        },
    ),
    optional(
        Section::Dns,
        "trust_anchor",
        Kind::Path,
        "\"/etc/rohrpost/root.key\"",
        "DNSKEY records to trust instead of those of the root zone that are built in.",
        |c, g| {
            c.dns.trust_anchor = Some(g.path());
            Ok(())
        },
    ),
];
