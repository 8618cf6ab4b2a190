//! `rohrpost sieve`.

use super::printing;
use crate::admin::{
    self,
    request::{Done, Request, SieveOrder},
};
use crate::cli::output::{self, Column, Listing};
use crate::cli::{Global, SieveCommand, SieveRunArgs};
use crate::config::Config;
use crate::failure::{At as _, Failure};
use serde_json::Value;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

static SCRIPTS: [Column; 5] = [
    Column::text("name", "NAME"),
    Column::text("active", "ACTIVE"),
    Column::size("bytes", "SIZE"),
    Column::time("changed", "CHANGED"),
    Column::text("fault", "FAILED"),
];
static FAULTS: [Column; 5] = [
    Column::number("line", "LINE"),
    Column::number("column", "COLUMN"),
    Column::text("kind", "KIND"),
    Column::text("message", "WHAT"),
    Column::text("hint", "INSTEAD"),
];

pub(super) fn administer(config: &Config, global: &Global, command: SieveCommand) -> Result<ExitCode, Failure> {
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    let done = match command {
        SieveCommand::Check { file } => {
            let script = read(&file)?;
            list(config, global, SieveOrder::Check { script }, &FAULTS, "", &mut out)?
        }
        SieveCommand::List { of } => {
            let order = SieveOrder::List { account: of.account };
            list(
                config,
                global,
                order,
                &SCRIPTS,
                "no scripts; `rohrpost sieve put`",
                &mut out,
            )?
        }
        SieveCommand::Get { of, name } => {
            let order = SieveOrder::Get {
                account: of.account,
                name: name.unwrap_or_default(),
            };
            admin::ask(config, &Request::Sieve(order), &mut |row| {
                if global.json {
                    return writeln!(out, "{row}").map_err(printing);
                }
                let script = row.get("script").and_then(Value::as_str).unwrap_or_default();
                out.write_all(script.as_bytes()).map_err(printing)
            })?
        }
        SieveCommand::Put {
            of,
            name,
            file,
            activate,
        } => {
            let script = read(&file)?;
            let order = SieveOrder::Put {
                account: of.account,
                name,
                script,
                activate,
            };
            said(config, global, order, &mut out)?
        }
        SieveCommand::Activate { of, name, .. } => {
            let order = SieveOrder::Activate {
                account: of.account,
                name,
            };
            said(config, global, order, &mut out)?
        }
        SieveCommand::Delete { of, name } => {
            let order = SieveOrder::Delete {
                account: of.account,
                name,
            };
            said(config, global, order, &mut out)?
        }
        SieveCommand::Log { of, last } => {
            let order = SieveOrder::Log {
                account: of.account,
                last,
            };
            decisions(config, global, order, &mut out)?
        }
        SieveCommand::Run(arguments) => run(config, global, &arguments, &mut out)?,
    };
    if !global.json && !done.message.is_empty() {
        writeln!(out, "{}", done.message).map_err(printing)?;
    }
    out.flush().map_err(printing)?;
    Ok(ExitCode::from(u8::from(done.faults)))
}

/// Checks a script where there are no settings: as a server with the defaults would.
pub(super) fn check(global: &Global, file: &Path) -> Result<ExitCode, Failure> {
    let script = read(file)?;
    let out = std::io::stdout();
    let mut out = out.lock();
    let filter = filter::Filter::new(filter::Options::new("localhost"));
    let mut listing = Listing::new(&FAULTS, global.json, &mut out, output::colour());
    let done = admin::script_check(&filter, &script, &mut |row| listing.row(&row).map_err(printing))?;
    listing.end("").map_err(printing)?;
    if !global.json && !done.message.is_empty() {
        writeln!(out, "{}", done.message).map_err(printing)?;
    }
    Ok(ExitCode::from(u8::from(done.faults)))
}

fn list(
    config: &Config,
    global: &Global,
    order: SieveOrder,
    columns: &'static [Column],
    empty: &'static str,
    out: &mut impl Write,
) -> Result<Done, Failure> {
    let mut listing = Listing::new(columns, global.json, out, output::colour());
    let done = admin::ask(config, &Request::Sieve(order), &mut |row| {
        listing.row(&row).map_err(printing)
    })?;
    listing.end(empty).map_err(printing)?;
    Ok(done)
}

fn said(config: &Config, global: &Global, order: SieveOrder, out: &mut impl Write) -> Result<Done, Failure> {
    let done = admin::ask(config, &Request::Sieve(order), &mut |_| Ok(()))?;
    if global.json {
        writeln!(out, "{}", serde_json::json!({ "done": done.message })).map_err(printing)?;
    }
    Ok(done)
}

fn run(config: &Config, global: &Global, arguments: &SieveRunArgs, out: &mut impl Write) -> Result<Done, Failure> {
    let message = match &arguments.message {
        Some(file) => Some(String::from_utf8_lossy(&std::fs::read(file).at("read", file)?).into_owned()),
        None => None,
    };
    let order = |apply| -> Result<SieveOrder, Failure> {
        Ok(SieveOrder::Run {
            account: arguments.of.account.clone(),
            script: read(&arguments.file)?,
            old: arguments.diff.as_deref().map(read).transpose()?,
            mailbox: arguments.mailbox.clone(),
            last: arguments.last,
            message: message.clone(),
            apply,
        })
    };
    if !arguments.apply || !arguments.yes {
        let done = show(config, global, order(false)?, out)?;
        if !arguments.apply {
            return Ok(done);
        }
        out.flush().map_err(printing)?;
        if !agreed()? {
            return Ok(Done::say("nothing was changed"));
        }
    }
    show(config, global, order(true)?, out)
}

/// Asks the person at the terminal.
fn agreed() -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage("nobody is there to be asked").advise("say --yes if it is meant"));
    }
    eprint_question("File these messages so? [y/N] ");
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(Failure::new)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes" | "j" | "ja"))
}

fn eprint_question(text: &str) {
    let mut err = std::io::stderr();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

fn show(config: &Config, global: &Global, order: SieveOrder, out: &mut impl Write) -> Result<Done, Failure> {
    let mut listed = Vec::new();
    let done = admin::ask(config, &Request::Sieve(order), &mut |row| {
        if global.json {
            listed.push(row);
            return Ok(());
        }
        message(&row, out).map_err(printing)
    })?;
    if global.json {
        writeln!(out, "{}", Value::Array(listed)).map_err(printing)?;
    }
    Ok(done)
}

fn decisions(config: &Config, global: &Global, order: SieveOrder, out: &mut impl Write) -> Result<Done, Failure> {
    let mut listed = Vec::new();
    let done = admin::ask(config, &Request::Sieve(order), &mut |row| {
        if global.json {
            listed.push(row);
            return Ok(());
        }
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let at = output::time(row.get("at").unwrap_or(&Value::Null));
        writeln!(out, "{at}  {}  {}", text("id"), text("detail")).map_err(printing)?;
        let why = row.get("why").and_then(Value::as_array);
        for line in why.into_iter().flatten().filter_map(Value::as_str) {
            writeln!(out, "      {line}").map_err(printing)?;
        }
        Ok(())
    })?;
    if global.json {
        writeln!(out, "{}", Value::Array(listed)).map_err(printing)?;
    }
    Ok(done)
}

fn message(row: &Value, out: &mut impl Write) -> std::io::Result<()> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let lines = |name: &str| {
        let list = row.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let place = match row.get("uid").and_then(Value::as_u64) {
        Some(uid) => format!("{} {uid}: ", text("mailbox")),
        None => String::new(),
    };
    writeln!(out, "{place}{}, from {}", text("subject"), text("from"))?;
    let before = lines("before");
    if !before.is_empty() {
        writeln!(out, "    old: {}", before.join("; "))?;
        writeln!(out, "    new: {}", lines("would").join("; "))?;
    } else {
        writeln!(out, "    → {}", lines("would").join("; "))?;
    }
    let rules = lines("rules");
    if !rules.is_empty() {
        writeln!(out, "      by the rule {}", rules.join(", "))?;
    }
    for line in lines("why") {
        writeln!(out, "      {line}")?;
    }
    Ok(())
}

/// A script from a file or from standard input.
fn read(file: &Path) -> Result<String, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Failure::new)?;
        return Ok(text);
    }
    let bytes = std::fs::read(file).at("read", file)?;
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("{} is not UTF-8", file.display())))
}
