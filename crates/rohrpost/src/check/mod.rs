//! `rohrpost check`: settings, machine, DNS, certificate. Each finding says what is wrong and what to do.

mod certificate;
mod dns;
mod machine;

use crate::admin::{self, request::Request};
use crate::cli::output::{Column, Listing};
use crate::config::Config;
use crate::failure::Failure;
use crate::zone::Facts;
use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but somebody should look.
    Warning,
    /// Does not work.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What it is about.
    pub about: String,
    /// What was found, and what to do.
    pub what: String,
}

/// Findings in the order they were made.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    fn add(&mut self, verdict: Verdict, about: &str, what: impl Into<String>) {
        self.0.push(Finding {
            verdict,
            about: about.to_owned(),
            what: what.into(),
        });
    }

    fn ok(&mut self, about: &str, what: impl Into<String>) {
        self.add(Verdict::Ok, about, what);
    }

    fn warning(&mut self, about: &str, what: impl Into<String>) {
        self.add(Verdict::Warning, about, what);
    }

    fn fault(&mut self, about: &str, what: impl Into<String>) {
        self.add(Verdict::Fault, about, what);
    }
}

static COLUMNS: [Column; 3] = [
    Column::text("verdict", ""),
    Column::text("about", ""),
    Column::text("what", ""),
];

/// Looks at everything, prints it, and says whether all is well enough to serve.
pub fn run(config: &Config, offline: bool, json: bool) -> Result<bool, Failure> {
    let mut findings = Findings::default();
    findings.ok("settings", format!("{} is sound", config.file.display()));
    if config.listeners.is_empty() {
        findings.fault("settings", "no [[listener]]: nobody can reach this server");
    }
    // Ports and the key are looked at with the rights the server starts with; asking for the domains may give root up.
    machine::ports(config, &mut findings);
    certificate::look(config, jiff::Timestamp::now().as_second(), &mut findings);
    let mut facts = Facts::of_settings(config);
    let domains = domains(config);
    machine::look(config, &mut findings);
    match domains {
        Ok(domains) if domains.is_empty() => {
            findings.warning(
                "domains",
                "none: `rohrpost domain add NAME` says what mail is for this server",
            );
        }
        Ok(domains) if !offline => match Facts::gather(config, &domains) {
            Ok(gathered) => {
                facts.domains = gathered.domains;
                dns::look(config, &facts, &mut findings);
            }
            Err(e) => findings.fault("DKIM", e.message),
        },
        Ok(_) => {}
        Err(e) => findings.warning("domains", format!("not known: {}", e.message)),
    }
    print(&findings, json).map_err(crate::commands::printing)?;
    Ok(findings.0.iter().all(|f| f.verdict != Verdict::Fault))
}

/// The domains the server is responsible for.
fn domains(config: &Config) -> Result<Vec<String>, Failure> {
    let mut domains = Vec::new();
    admin::ask(config, &Request::DomainList, &mut |row| {
        domains.extend(row.get("domain").and_then(|d| d.as_str()).map(str::to_owned));
        Ok(())
    })?;
    Ok(domains)
}

fn print(findings: &Findings, json: bool) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let colour = crate::cli::output::colour();
    if json {
        let mut listing = Listing::new(&COLUMNS, true, &mut out, false);
        for finding in &findings.0 {
            listing.row(&serde_json::to_value(finding)?)?;
        }
        return listing.end("");
    }
    let wide = findings.0.iter().map(|f| f.about.len()).max().unwrap_or(0);
    for Finding { verdict, about, what } in &findings.0 {
        let (word, shade) = match verdict {
            Verdict::Ok => ("ok", "32"),
            Verdict::Warning => ("warning", "33"),
            Verdict::Fault => ("FAULT", "31"),
        };
        if colour {
            write!(out, "\x1b[{shade}m{word:7}\x1b[0m")?;
        } else {
            write!(out, "{word:7}")?;
        }
        writeln!(out, "  {about:wide$}  {what}")?;
    }
    Ok(())
}
