//! From TOML text to [`Config`], with faults that name the line and say what to write instead.

use super::keys::{KEYS, Key, Section, blank_listener, given};
use super::outgoing::{RetrySettings, blank_route};
use super::{Acme, Challenge, Config, Protocol, TlsMode};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml_edit::{Document, Item, TableLike};

/// Everything that is wrong with a file.
#[derive(Debug)]
pub struct Faults {
    file: PathBuf,
    /// In the order of their lines.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq)]
pub struct Fault {
    /// Line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Faults {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Faults {
        let message = if error.kind() == std::io::ErrorKind::NotFound {
            "there is no such file; `rohrpost init --domain YOUR.DOMAIN` writes one, `-c FILE` names another".to_owned()
        } else {
            format!("cannot be read: {error}")
        };
        Faults {
            file: file.to_path_buf(),
            faults: vec![Fault { line: 0, message }],
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if fault.line > 0 {
                write!(f, ":{}", fault.line)?;
            }
            write!(f, ": {}", fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

pub(super) fn read(text: &str, file: &Path, folder: &Path) -> Result<Config, Faults> {
    let mut reader = Reader {
        text,
        config: Config::defaults(),
        faults: Vec::new(),
        listener_lines: Vec::new(),
        route_lines: Vec::new(),
    };
    match text.parse::<Document<String>>() {
        Ok(document) => {
            reader.document(&document);
            reader.rules();
        }
        Err(e) => {
            let line = e.span().map_or(0, |span| line_of(text, span.start));
            reader.faults.push(Fault {
                line,
                message: e.message().lines().next().unwrap_or("not TOML").to_owned(),
            });
        }
    }
    let Reader {
        mut config, mut faults, ..
    } = reader;
    if !faults.is_empty() {
        faults.sort_by_key(|f| f.line);
        return Err(Faults {
            file: file.to_path_buf(),
            faults,
        });
    }
    config.file = file.to_path_buf();
    config.data = folder.join(&config.data);
    if let Some(oauth) = &mut config.oauth {
        oauth.keys = folder.join(&oauth.keys);
    }
    if let Some(acme) = &mut config.acme {
        for file in [&mut acme.hook, &mut acme.eab_key, &mut acme.ca] {
            *file = file.as_ref().map(|file| folder.join(file));
        }
        let mut files = crate::acme::files(&config.data);
        files.client_ca = config.tls.take().and_then(|tls| tls.client_ca);
        config.tls = Some(files);
    }
    if let Some(tls) = &mut config.tls {
        tls.certificate = folder.join(&tls.certificate);
        tls.key = folder.join(&tls.key);
        tls.client_ca = tls.client_ca.as_ref().map(|file| folder.join(file));
    }
    Ok(config)
}

struct Reader<'t> {
    text: &'t str,
    config: Config,
    faults: Vec<Fault>,
    listener_lines: Vec<usize>,
    route_lines: Vec<usize>,
}

impl Reader<'_> {
    fn fault(&mut self, span: Option<Range<usize>>, message: impl Into<String>) {
        let line = span.map_or(0, |span| line_of(self.text, span.start));
        self.faults.push(Fault {
            line,
            message: message.into(),
        });
    }

    fn document(&mut self, document: &Document<String>) {
        let root = document.as_table();
        self.keys(Section::Top, root, None);
        for (name, item) in root.iter() {
            let span = root.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            if KEYS.iter().any(|k| k.section == Section::Top && k.name == name) {
                continue;
            }
            if name == "storage" {
                self.fault(
                    span,
                    "[storage] is for the scale-out form (PostgreSQL and S3), which this version does not have yet; \
                     take the table out to use the embedded store in `data`",
                );
                continue;
            }
            let section = Section::ALL
                .into_iter()
                .find(|s| *s != Section::Top && s.name() == name);
            match (section, item) {
                (Some(many), Item::ArrayOfTables(tables)) if many.is_many() => {
                    for table in tables {
                        self.one_of_many(many, table, table.span().as_ref());
                    }
                }
                (Some(many), Item::Value(toml_edit::Value::Array(array)))
                    if many.is_many() && array.iter().all(toml_edit::Value::is_inline_table) =>
                {
                    for value in array {
                        if let Some(table) = value.as_inline_table() {
                            self.one_of_many(many, table, value.span().as_ref());
                        }
                    }
                }
                (Some(Section::Listener), _) => {
                    self.fault(
                        span,
                        "write [[listener]] with two brackets, one such table for each port",
                    );
                }
                (Some(Section::Route), _) => {
                    self.fault(span, "write [[route]] with two brackets, one such table for each route");
                }
                (Some(Section::Retry), _) => {
                    self.fault(
                        span,
                        "write [[retry]] with two brackets, one such table for each strategy",
                    );
                }
                (Some(section), item) => match item.as_table_like() {
                    Some(table) => self.keys(section, table, span.as_ref()),
                    None => self.fault(span, format!("{name} is a table: write [{name}] and its keys below")),
                },
                (None, _) => self.unknown(Section::Top, name, span),
            }
        }
    }

    fn one_of_many(&mut self, section: Section, table: &dyn TableLike, span: Option<&Range<usize>>) {
        let line = span.map_or(0, |s| line_of(self.text, s.start));
        match section {
            Section::Route => {
                self.config.routes.push(blank_route());
                self.route_lines.push(line);
            }
            Section::Retry => self.config.retries.push(RetrySettings::default()),
            _ => {
                self.config.listeners.push(blank_listener());
                self.listener_lines.push(line);
            }
        }
        self.keys(section, table, span);
        if let (Section::Retry, Some((last, before))) = (section, self.config.retries.split_last())
            && before.iter().any(|other| other.strategy == last.strategy)
        {
            let message = format!("the strategy {} is set twice", last.strategy);
            self.fault(span.cloned(), message);
        }
    }

    /// Reads the keys of one table. In the top table, only its own keys: the other tables come after.
    fn keys(&mut self, section: Section, table: &dyn TableLike, at: Option<&Range<usize>>) {
        for (name, item) in table.iter() {
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let Some(key) = KEYS.iter().find(|k| k.section == section && k.name == name) else {
                if section != Section::Top {
                    self.unknown(section, name, span);
                }
                continue;
            };
            let set = match item.as_value() {
                Some(value) => given(key.kind, value).and_then(|g| (key.set)(&mut self.config, &g)),
                None => Err(format!("expected a value, found {}", item.type_name())),
            };
            if let Err(message) = set {
                self.fault(span, format!("{}: {message}", path(key)));
            }
        }
        for key in KEYS.iter().filter(|k| k.section == section && k.required) {
            if !table.contains_key(key.name) {
                self.fault(
                    at.cloned(),
                    format!(
                        "{} is missing; write for instance {} = {}",
                        path(key),
                        key.name,
                        key.example
                    ),
                );
            }
        }
    }

    fn unknown(&mut self, section: Section, name: &str, span: Option<Range<usize>>) {
        let here: Vec<&str> = KEYS.iter().filter(|k| k.section == section).map(|k| k.name).collect();
        let tables = Section::ALL.iter().map(|s| s.name()).filter(|n| !n.is_empty());
        let candidates: Vec<&str> = if section == Section::Top {
            here.into_iter().chain(tables).collect()
        } else {
            here
        };
        let nearest = candidates
            .into_iter()
            .map(|c| (strsim::jaro_winkler(&name.to_lowercase(), c), c))
            .filter(|(likeness, _)| *likeness > 0.75)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, c)| c);
        let elsewhere = KEYS.iter().find(|k| k.name == name && k.section != section);
        let advice = match (nearest, elsewhere) {
            (_, Some(key)) if key.section == Section::Top => {
                "; it belongs at the top of the file, before any table".to_owned()
            }
            (_, Some(key)) => format!("; it belongs under [{}]", key.section.name()),
            (Some(nearest), None) => format!("; did you mean {nearest}?"),
            (None, None) => "; docs/configuration.md lists all keys".to_owned(),
        };
        let place = if section == Section::Top {
            String::new()
        } else {
            format!(" in [{}]", section.name())
        };
        self.fault(span, format!("there is no key {name}{place}{advice}"));
    }

    /// What must hold between keys.
    fn rules(&mut self) {
        if let Some(acme) = &self.config.acme {
            let faults = acme_rules(acme, &self.config);
            for fault in faults {
                self.fault(None, fault);
            }
        } else if let Some(tls) = &self.config.tls
            && (tls.certificate.as_os_str().is_empty() || tls.key.as_os_str().is_empty())
        {
            self.fault(None, "[tls] needs both certificate and key, or there must be [acme]");
        }
        if let Some(oauth) = &self.config.oauth
            && (oauth.issuer.is_empty() || oauth.audience.is_empty() || oauth.keys.as_os_str().is_empty())
        {
            self.fault(None, "[oauth] needs issuer, audience and keys");
        }
        let certificate = self.config.tls.is_some() || self.config.acme.is_some();
        let mut faults = Vec::new();
        for (i, (listener, line)) in self.config.listeners.iter().zip(&self.listener_lines).enumerate() {
            let name = listener.protocol.name();
            let mut fault = |message: String| faults.push(Fault { line: *line, message });
            if listener.plaintext && !listener.bind.ip().is_loopback() {
                fault(format!(
                    "plaintext = true lets passwords cross the network unprotected, and {} is not a loopback address; \
                     take it out, or bind to 127.0.0.1 or [::1]",
                    listener.bind
                ));
            }
            let mode = listener.tls_mode(certificate);
            if mode == TlsMode::Offer && matches!(listener.protocol, Protocol::Http | Protocol::Https) {
                fault("there is no STARTTLS in HTTP; write protocol = \"https\" for TLS, and leave tls out".to_owned());
            }
            if mode != TlsMode::Off && !certificate {
                fault(format!(
                    "the {name} listener speaks TLS but there is no certificate; add [tls] with certificate and key, or [acme]"
                ));
            }
            let bound = |other: &super::Listener| other.bind == listener.bind && listener.bind.port() != 0;
            if self.config.listeners.iter().take(i).any(bound) {
                fault(format!("{} is bound twice", listener.bind));
            }
        }
        for (i, (route, line)) in self.config.routes.iter().zip(&self.route_lines).enumerate() {
            let mut fault = |message: String| faults.push(Fault { line: *line, message });
            if self.config.routes.iter().take(i).any(|other| other.name == route.name) {
                fault(format!("there are two routes with the name {}", route.name));
            }
            if route.accept && route.domains.iter().any(|domain| domain == "*") {
                fault(format!(
                    "the route {} is for all domains: with accept = true anybody could send to anybody through this server; name the domains",
                    route.name
                ));
            }
            if route.user.is_some() != route.password_file.is_some() {
                fault(format!(
                    "the route {} needs both user and password_file, or neither",
                    route.name
                ));
            }
        }
        self.faults.append(&mut faults);
    }
}

/// What must hold between `[acme]` and the rest.
fn acme_rules(acme: &Acme, config: &Config) -> Vec<&'static str> {
    let listens = |protocol| config.listeners.iter().any(|listener| listener.protocol == protocol);
    let files = |tls: &super::TlsFiles| !(tls.certificate.as_os_str().is_empty() && tls.key.as_os_str().is_empty());
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault: &'static str| {
        if !holds {
            faults.push(fault);
        }
    };
    must(
        !config.tls.as_ref().is_some_and(files),
        "[acme] gets the certificate, and [tls] names one: take certificate and key out of [tls], or take [acme] out",
    );
    must(
        !acme.directory.is_empty(),
        "acme.directory is missing; write for instance directory = \"https://acme-v02.api.letsencrypt.org/directory\"",
    );
    must(
        acme.agree,
        "acme.agree must be true: no authority signs for who does not agree to its terms",
    );
    must(
        acme.eab_id.is_some() == acme.eab_key.is_some(),
        "acme.eab_id and acme.eab_key belong together",
    );
    must(
        acme.challenge == Challenge::Dns || acme.names.iter().all(|name| !name.starts_with("*.")),
        "acme.names: authorities give out wildcards by dns-01 only; set acme.challenge",
    );
    match acme.challenge {
        Challenge::Http => must(
            listens(Protocol::Http),
            "acme.challenge http-01 needs an http listener that the world reaches at port 80",
        ),
        Challenge::TlsAlpn => must(
            listens(Protocol::Https),
            "acme.challenge tls-alpn-01 needs an https listener that the world reaches at port 443",
        ),
        Challenge::Dns => must(acme.hook.is_some(), "acme.challenge dns-01 needs acme.hook"),
    }
    faults
}

fn path(key: &Key) -> String {
    match key.section {
        Section::Top => key.name.to_owned(),
        section => format!("{}.{}", section.name(), key.name),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "hostname = \"mail.test\"\ndata = \"d\"\n";

    fn parse(text: &str) -> Result<Config, Faults> {
        Config::parse(text, Path::new("r.toml"), Path::new("/etc/r"))
    }

    #[test]
    fn faults_name_the_line_and_the_remedy() {
        for (text, wanted) in [
            (
                "data = \"d\"\n",
                "r.toml: hostname is missing; write for instance hostname = \"mail.phys.example\"",
            ),
            (
                "hostname = \"a b\"\ndata = \"d\"\n",
                "r.toml:1: hostname: \"a b\" is not a host name such as mail.phys.example",
            ),
            (
                "hostnam = \"mail.test\"\nhostname = \"mail.test\"\ndata = \"d\"\n",
                "r.toml:1: there is no key hostnam; did you mean hostname?",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[limit]\n",
                "r.toml:3: there is no key limit; did you mean limits?",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[limits]\nrecipents = 5\n",
                "r.toml:4: there is no key recipents in [limits]; did you mean recipients?",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\nrecipients = 500\n",
                "r.toml:3: there is no key recipients; it belongs under [limits]",
            ),
            (
                "hostname = \"mail.test\"\n[limits]\ndata = \"d\"\n",
                "r.toml: data is missing; write for instance data = \"/var/lib/rohrpost\"\n\
                 r.toml:3: there is no key data in [limits]; it belongs at the top of the file, before any table",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[limits]\nzebra = 1\n",
                "r.toml:4: there is no key zebra in [limits]; docs/configuration.md lists all keys",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[limits]\nsmtp_idle = 5\n",
                "r.toml:4: limits.smtp_idle: a length of time needs a unit: \"5 s\", \"5 min\", \"5 h\" or \"5 days\"",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[[listener]]\nprotocol = \"imap\"\nbind = \"0.0.0.0:143\"\nplaintext = true\n",
                "r.toml:3: plaintext = true lets passwords cross the network unprotected, and 0.0.0.0:143 is not a loopback address; \
                 take it out, or bind to 127.0.0.1 or [::1]",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[[listener]]\nprotocol = \"imaps\"\nbind = \"0.0.0.0:993\"\n",
                "r.toml:3: the imaps listener speaks TLS but there is no certificate; add [tls] with certificate and key, or [acme]",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[[listener]]\nprotocol = \"pigeon\"\nbind = \"0.0.0.0:25\"\n",
                "r.toml:4: listener.protocol: \"pigeon\" is not one of smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s, managesieve, http, https",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[[listener]]\nprotocol = \"smtp\"\n",
                "r.toml:3: listener.bind is missing; write for instance bind = \"0.0.0.0:25\"",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[listener]\nprotocol = \"smtp\"\n",
                "r.toml:3: write [[listener]] with two brackets, one such table for each port",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[[route]]\nname = \"a\"\ndomains = \"x.test\"\nto = \"y.test\"\n",
                "r.toml:6: route.to: \"y.test\" is neither mx nor smtp://HOST:PORT, smtps://HOST or lmtp://HOST:PORT",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[[route]]\nname = \"a\"\ndomains = \"x.test\"\nuser = \"y\"\n[[route]]\nname = \"a\"\n",
                "r.toml:3: the route a needs both user and password_file, or neither\n\
                 r.toml:7: route.domains is missing; write for instance domains = \"phys.example .phys.example\"\n\
                 r.toml:7: there are two routes with the name a",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[tls]\nkey = \"k\"\n",
                "r.toml: [tls] needs both certificate and key, or there must be [acme]",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[acme]\nnames = \"*.mail.test\"\neab_id = \"k\"\n[tls]\nkey = \"k\"\n",
                "r.toml: [acme] gets the certificate, and [tls] names one: take certificate and key out of [tls], or take [acme] out\n\
                 r.toml: acme.directory is missing; write for instance directory = \"https://acme-v02.api.letsencrypt.org/directory\"\n\
                 r.toml: acme.agree must be true: no authority signs for who does not agree to its terms\n\
                 r.toml: acme.eab_id and acme.eab_key belong together\n\
                 r.toml: acme.names: authorities give out wildcards by dns-01 only; set acme.challenge\n\
                 r.toml: acme.challenge http-01 needs an http listener that the world reaches at port 80",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[storage]\nblobs = \"s3://x\"\n",
                "r.toml:3: [storage] is for the scale-out form (PostgreSQL and S3), which this version does not have yet; \
                 take the table out to use the embedded store in `data`",
            ),
            (
                "hostname = \"mail.test\"\ndata = \"d\"\n[log]\nlevel = \"loud=very\"\n",
                "r.toml:4: log.level: \"loud=very\" is not a level such as info, or info,delivery=debug",
            ),
        ] {
            let faults = parse(text).expect_err(text);
            assert_eq!(faults.to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn bad_toml_names_its_line() {
        let faults = parse("hostname = \"mail.test\"\ndata = = 3\n").unwrap_err();
        assert_eq!(faults.faults[0].line, 2);
    }

    #[test]
    fn all_faults_at_once() {
        let faults = parse("hostnam = 1\ndata = 2\n[log]\nformat = 3\n").unwrap_err();
        assert_eq!(faults.faults.len(), 4, "{faults}");
    }

    #[test]
    fn values_arrive() {
        let config = parse(&format!(
            "{BASE}user = \"mail\"\n[[listener]]\nprotocol = \"submission\"\nbind = \"127.0.0.1:587\"\nplaintext = true\n\
             proxy_protocol = [\"127.0.0.1\"]\n[limits]\nmessage_size = \"10 MB\"\nsmtp_idle = \"90 s\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\n"
        ))
        .unwrap();
        assert_eq!(config.data, Path::new("/etc/r/d"));
        assert_eq!(config.user.as_deref(), Some("mail"));
        assert_eq!(config.limits.message_size, 10_000_000);
        assert_eq!(config.limits.smtp_idle, std::time::Duration::from_secs(90));
        assert_eq!(config.limits.recipients, 1000);
        let listener = &config.listeners[0];
        assert_eq!(listener.protocol, Protocol::Submission);
        assert!(listener.plaintext && listener.proxy_protocol.len() == 1);
        assert_eq!(listener.tls_mode(true), TlsMode::Offer);
        let tls = config.tls.unwrap();
        assert_eq!(
            (tls.certificate.as_path(), tls.key.as_path()),
            (Path::new("/etc/r/c.pem"), Path::new("/k.pem"))
        );
    }
}
