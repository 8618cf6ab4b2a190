//! The log: one line an event to standard error, for people or as JSON. Services put a session's number on its events; passwords,
//! message text and addresses of failed logins' passwords never get into one.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging; `ROHRPOST_LOG` overrides the level of the settings.
pub fn start(log: &Log) {
    let level = std::env::var("ROHRPOST_LOG").unwrap_or_else(|_| log.level.clone());
    let filter: Targets = level
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let registry = tracing_subscriber::registry().with(filter);
    // Under systemd the journal has the time of each line already.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Json => registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            )
            .try_init(),
        LogFormat::Text if journal => registry
            .with(lines.with_ansi(false).without_time().compact())
            .try_init(),
        LogFormat::Text => registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()).compact())
            .try_init(),
    };
    // Only a test starts it twice.
    let _ = started;
}
