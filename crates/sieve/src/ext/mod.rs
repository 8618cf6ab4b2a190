//! Commands and tests, by extension: each file has the table of what it adds, and how that is run.

use crate::build::find;
use crate::spec::{CommandSpec, TestSpec};

pub(crate) mod actions;
pub(crate) mod body;
pub(crate) mod control;
pub(crate) mod date;
pub(crate) mod dovecot;
pub(crate) mod duplicate;
pub(crate) mod editheader;
pub(crate) mod enotify;
pub(crate) mod environment;
pub(crate) mod extlists;
pub(crate) mod fields;
pub(crate) mod imap4flags;
pub(crate) mod include;
pub(crate) mod mailbox;
pub(crate) mod mime_changes;
pub(crate) mod mime_parts;
pub(crate) mod reject;
pub(crate) mod spamtest;
pub(crate) mod tests;
pub(crate) mod vacation;
pub(crate) mod variables;

const COMMANDS: &[&[CommandSpec]] = &[
    actions::COMMANDS,
    control::COMMANDS,
    dovecot::COMMANDS,
    editheader::COMMANDS,
    enotify::COMMANDS,
    environment::COMMANDS,
    imap4flags::COMMANDS,
    include::COMMANDS,
    mime_changes::COMMANDS,
    mime_parts::COMMANDS,
    reject::COMMANDS,
    vacation::COMMANDS,
    variables::COMMANDS,
];

const TESTS: &[&[TestSpec]] = &[
    tests::TESTS,
    body::TESTS,
    date::TESTS,
    dovecot::TESTS,
    duplicate::TESTS,
    enotify::TESTS,
    environment::TESTS,
    extlists::TESTS,
    imap4flags::TESTS,
    mailbox::TESTS,
    spamtest::TESTS,
    variables::TESTS,
];

/// The command of that name, in small letters.
pub(crate) fn command(name: &str) -> Option<&'static CommandSpec> {
    find(COMMANDS, name)
}

/// The test of that name, in small letters.
pub(crate) fn test(name: &str) -> Option<&'static TestSpec> {
    find(TESTS, name)
}

pub(crate) fn command_names() -> impl Iterator<Item = &'static str> {
    COMMANDS
        .iter()
        .flat_map(|table| table.iter())
        .map(|spec| spec.name)
        .chain(["if", "elsif", "else", "require"])
}

pub(crate) fn test_names() -> impl Iterator<Item = &'static str> {
    TESTS.iter().flat_map(|table| table.iter()).map(|spec| spec.name)
}
