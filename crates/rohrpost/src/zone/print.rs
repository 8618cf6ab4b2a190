//! What people see of it.

use super::Facts;
use super::found::{Row, State};
use super::wanted::{self, Kind, Level, Wanted, quoted};
use crate::cli::output;
use std::io::Write;

/// Record by record; what is as it should be in one line, the rest with why it matters and what to write.
pub fn rows(rows: &[Row], json: bool, all: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, rows)?;
        return writeln!(out);
    }
    write(rows, all, output::colour(), &mut out)
}

fn write(rows: &[Row], all: bool, colour: bool, out: &mut impl Write) -> std::io::Result<()> {
    let mut part: Option<Option<&str>> = None;
    for row in rows.iter().filter(|row| all || row.state != State::Unused) {
        let domain = row.domain.as_deref();
        if part != Some(domain) {
            let space = if part.is_some() { "\n" } else { "" };
            writeln!(out, "{space}{}", domain.unwrap_or("the host"))?;
            part = Some(domain);
        }
        let (word, shade) = match (row.state, row.level) {
            (State::Ok, _) => ("ok", "32"),
            (State::Unused, _) => ("unused", "2"),
            (State::Unknown, _) => ("unknown", "33"),
            (State::Missing, Level::Optional) => ("missing", "2"),
            (State::Missing, _) => ("MISSING", "31"),
            (State::Differs, _) => ("DIFFERS", "31"),
        };
        let name = format!("{}.", row.name);
        if colour {
            write!(out, "  \x1b[{shade}m{word:7}\x1b[0m  ")?;
        } else {
            write!(out, "  {word:7}  ")?;
        }
        let shown = if row.state == State::Ok {
            &row.found.join("; ")
        } else {
            &row.wanted
        };
        let shown = match row.kind {
            Kind::Txt if !shown.is_empty() => quoted(shown),
            _ => shown.clone(),
        };
        writeln!(
            out,
            "{}",
            clean(format!("{name}  {}  {shown}", row.kind.name()).trim_end())
        )?;
        if row.state == State::Differs {
            for found in &row.found {
                writeln!(out, "           found: {}", clean(found))?;
            }
        }
        if !row.what.is_empty() {
            writeln!(out, "           {}", clean(&row.what))?;
        }
    }
    Ok(())
}

/// What strangers' zones hold must not command the terminal.
fn clean(text: &str) -> String {
    output::text(&serde_json::Value::from(text))
}

/// All that the zones must hold, as lines of a zone file.
pub fn zone(facts: &Facts) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(lines(facts).as_bytes())
}

/// The same as text.
pub fn lines(facts: &Facts) -> String {
    let host = wanted::of_host(facts);
    let domains: Vec<(&str, Vec<Wanted>)> = facts
        .domains
        .iter()
        .map(|domain| (domain.name.as_str(), wanted::of_domain(facts, domain)))
        .collect();
    let every = || host.iter().chain(domains.iter().flat_map(|(_, all)| all));
    let wide = every().map(|wanted| wanted.name.len() + 1).max().unwrap_or(0);
    let mut text = String::new();
    let mut part = |title: &str, all: &[Wanted]| {
        text.push_str(&format!("; {title}\n"));
        for wanted in all {
            // A record that must not be there, or whose key is not made yet, has no line.
            let known = !wanted.value.is_empty() || matches!(wanted.kind, Kind::A | Kind::Aaaa);
            if known {
                text.push_str(&wanted.line(wide));
                text.push('\n');
            }
        }
    };
    part("the host", &host);
    for (name, all) in &domains {
        part(name, all);
    }
    text
}
