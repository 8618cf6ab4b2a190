//! What the table of keys is turned into: `docs/configuration.md` and the commented `rohrpost.toml`.

use super::keys::{KEYS, Section};
use super::{Listener, TlsFiles};
use std::fmt::Write as _;
use std::path::Path;

/// `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Written by `rohrpost docs` from crates/rohrpost/src/config/keys.rs; a test compares the two. -->\n\n\
         One TOML file: the one that `-c` names, else `rohrpost.toml` in the current folder, else `/etc/rohrpost/rohrpost.toml`.\n\
         `rohrpost init` writes it with every key in it, `rohrpost check` reads it and says what is wrong. A key that is not on this page\n\
         is refused, with its line and the nearest key there is.\n\n\
         **Sizes** are a number of octets or a text with a unit: `\"100 MiB\"` (1 MiB = 1,048,576), `\"100 MB\"` (1 MB = 1,000,000).\n\
         **Times** are a text with a unit: `\"500 ms\"`, `\"30 s\"`, `\"5 min\"`, `\"1 h\"`, `\"90 days\"`.\n\
         **Paths** that are relative start from the folder of the file.\n",
    );
    for section in Section::ALL {
        let title = match section {
            Section::Top => "At the top of the file".to_owned(),
            many if many.is_many() => format!("`[[{}]]`", many.name()),
            other => format!("`[{}]`", other.name()),
        };
        let _ = write!(
            page,
            "\n## {title}\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
            section.about()
        );
        for key in KEYS.iter().filter(|k| k.section == section) {
            let default = match (key.default, key.required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "must be given".to_owned(),
                (None, false) => "none".to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} |",
                key.name,
                key.kind.describe(),
                key.about
            );
        }
    }
    page
}

/// What goes into a fresh `rohrpost.toml`; every other key is written as a comment with its default.
pub struct Template<'a> {
    /// The machine's name.
    pub hostname: &'a str,
    /// The data directory.
    pub data: &'a Path,
    /// Whom to become.
    pub user: Option<&'a str>,
    /// Ports.
    pub listeners: &'a [Listener],
    /// Certificate and key.
    pub tls: Option<&'a TlsFiles>,
    /// Certificates come from the usual authority, which writes to this address.
    pub acme: Option<&'a str>,
}

/// The commented file.
pub fn template(values: &Template<'_>) -> String {
    let mut file = String::from(
        "# Rohrpost's settings. Lines that begin with \"# key =\" show a default or an example; take the \"# \" away to change it.\n\
         # `rohrpost check` reads this file and says what is wrong; docs/configuration.md explains every key.\n",
    );
    for section in Section::ALL {
        let heading = if section == Section::Listener {
            "[[listener]]".to_owned()
        } else {
            format!("[{}]", section.name())
        };
        if section == Section::Listener {
            comment(&mut file, section.about());
            for key in KEYS.iter().filter(|k| k.section == section) {
                comment(&mut file, &format!("{}: {}", key.name, key.about));
            }
            for listener in values.listeners {
                let _ = write!(
                    file,
                    "\n{heading}\nprotocol = \"{}\"\nbind = \"{}\"\n",
                    listener.protocol.name(),
                    listener.bind
                );
                if listener.plaintext {
                    file.push_str("plaintext = true\n");
                }
            }
            continue;
        }
        let example = match section {
            Section::Route => {
                "#     [[route]]\n#     name = \"provider\"\n#     domains = \"*\"\n#     to = \"smtps://mail.provider.example\"\n"
            }
            Section::Retry => {
                "#     [[retry]]\n#     strategy = \"refused for now\"\n#     first = \"10 min\"\n#     lifetime = \"2 days\"\n"
            }
            _ => "",
        };
        if !example.is_empty() {
            comment(&mut file, section.about());
            file.push_str(example);
            for key in KEYS.iter().filter(|k| k.section == section) {
                comment(&mut file, &format!("{}: {}", key.name, key.about));
            }
            continue;
        }
        if section != Section::Top {
            file.push('\n');
            comment_flush(&mut file, section.about());
            let off = (section == Section::Acme && values.acme.is_none())
                || (section == Section::Tls && values.tls.is_none());
            let _ = writeln!(file, "{}{heading}", if off { "# " } else { "" });
        }
        for key in KEYS.iter().filter(|k| k.section == section) {
            let value = match (section, key.name) {
                (Section::Top, "hostname") => Some(quoted(values.hostname)),
                (Section::Top, "data") => Some(quoted(&values.data.to_string_lossy())),
                (Section::Top, "user") => values.user.map(quoted),
                (Section::Tls, "certificate") => values.tls.map(|t| quoted(&t.certificate.to_string_lossy())),
                (Section::Tls, "key") => values.tls.map(|t| quoted(&t.key.to_string_lossy())),
                (Section::Acme, "directory" | "agree") => values.acme.map(|_| key.example.to_owned()),
                (Section::Acme, "contact") => values.acme.map(quoted),
                _ => None,
            };
            comment(&mut file, key.about);
            let _ = match value {
                Some(value) => writeln!(file, "{} = {value}", key.name),
                None => writeln!(file, "# {} = {}", key.name, key.default.unwrap_or(key.example)),
            };
        }
    }
    file
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}

/// A paragraph as comment lines of at most 100 columns, an empty line before it.
fn comment(file: &mut String, text: &str) {
    file.push('\n');
    comment_flush(file, text);
}

fn comment_flush(file: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > 100 {
            file.push('\n');
            column = 0;
        }
        if column == 0 {
            file.push('#');
            column = 1;
        }
        file.push(' ');
        file.push_str(word);
        column += 1 + word.len();
    }
    file.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Protocol, keys::blank_listener};

    #[test]
    fn the_commented_file_reads_back() {
        let listeners = [Listener {
            protocol: Protocol::Imap,
            bind: "127.0.0.1:143".parse().unwrap(),
            plaintext: true,
            ..blank_listener()
        }];
        let tls = TlsFiles {
            certificate: "tls/cert.pem".into(),
            key: "tls/key.pem".into(),
            ..TlsFiles::default()
        };
        let values = Template {
            hostname: "mail.test",
            data: Path::new("/var/lib/\"odd\""),
            user: Some("rohrpost"),
            listeners: &listeners,
            tls: Some(&tls),
            acme: None,
        };
        let text = template(&values);
        let config = Config::parse(&text, Path::new("r.toml"), Path::new("/e")).unwrap();
        assert_eq!(config.listeners, listeners);
        assert_eq!(config.data, Path::new("/var/lib/\"odd\""));
        assert_eq!(config.tls.unwrap().key, Path::new("/e/tls/key.pem"));
        for key in KEYS.iter() {
            assert!(text.contains(key.name), "{}", key.name);
        }
        // With every commented key switched on it is still right: the defaults shown are the defaults. But [acme], which takes the place of
        // [tls].
        let mut acme = false;
        let whole = template(&Template {
            listeners: &[],
            ..values
        });
        let on = whole.lines().map(|l| {
            let bare = l.strip_prefix("# ").unwrap_or(l);
            if bare.starts_with('[') {
                acme = bare == "[acme]";
            }
            let is_key = KEYS.iter().any(|k| bare.starts_with(&format!("{} = ", k.name)));
            let line = if is_key && !acme { bare } else { l };
            format!("{line}\n")
        });
        let on: String = on.collect();
        Config::parse(&on, Path::new("r.toml"), Path::new("/e")).unwrap();
    }
}
