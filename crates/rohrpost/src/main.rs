//! The whole mail service of an organisation in one program.

mod acme;
mod admin;
mod check;
mod cli;
mod commands;
mod config;
mod demo;
mod dkim;
mod engine;
mod extractor;
mod failure;
mod files;
mod housekeeping;
mod indexer;
mod init;
mod inspection;
mod log;
mod pages;
mod privileges;
mod queue_figures;
mod readiness;
mod relaying;
mod serve;
mod services;
mod tls;
mod zone;

use clap::Parser as _;
use cli::{Cli, Command};
use failure::{At as _, Failure};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Whatever we make is for our own user alone, unless the code that makes it says otherwise.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            if failure.exit > 0 {
                // The one place where a failure is told; nothing is left to do when even that fails.
                let _ = writeln!(std::io::stderr(), "rohrpost: {failure}");
            }
            ExitCode::from(failure.exit)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Demo(arguments) => {
            let (config, engine, text) = demo::prepare(&arguments)?;
            log::start(&config.log);
            serve::run(&config, Some(engine), &text)
        }
        Command::Init(arguments) => {
            let report = init::run(&global, &arguments)?;
            say(&report)
        }
        Command::Serve => {
            let config = commands::config(&global)?;
            log::start(&config.log);
            serve::run(&config, None, "")
        }
        Command::Check(arguments) => {
            let config = commands::config(&global)?;
            let sound = check::run(&config, arguments.offline, global.json)?;
            Ok(ExitCode::from(u8::from(!sound)))
        }
        Command::Dns(arguments) => {
            let config = commands::config(&global)?;
            let sound = zone::run(&config, &arguments, global.json)?;
            Ok(ExitCode::from(u8::from(!sound)))
        }
        Command::Dkim(command) => {
            let config = commands::config(&global)?;
            say(&dkim::run(&config, command)?)
        }
        Command::Extract { format } => extractor::child(&format),
        Command::Docs { folder } => {
            for (name, page) in pages() {
                let path = folder.join(name);
                std::fs::write(&path, page).at("write", &path)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        command => commands::administer(&global, command),
    }
}

fn say(text: &str) -> Result<ExitCode, Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(commands::printing)?;
    Ok(ExitCode::SUCCESS)
}

/// The generated pages of `docs/`.
fn pages() -> [(&'static Path, String); 2] {
    [
        (Path::new("configuration.md"), config::reference()),
        (Path::new("command-line.md"), cli::manual::page()),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_pages_are_fresh() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, page) in super::pages() {
            let path = docs.join(name);
            let there = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(there == page, "{} is stale: `make docs` writes it anew", path.display());
        }
    }
}
