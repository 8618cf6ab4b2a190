//! Commands and tests, by extension: each file has the table of what it adds, and how that is run.

use crate::build::find;
use crate::spec::{CommandSpec, TestSpec};

pub(crate) mod actions;
pub(crate) mod control;
pub(crate) mod date;
pub(crate) mod fields;
pub(crate) mod imap4flags;
pub(crate) mod mime_parts;
mod tests;

const COMMANDS: &[&[CommandSpec]] = &[
    actions::COMMANDS,
    control::COMMANDS,
    imap4flags::COMMANDS,
    mime_parts::COMMANDS,
];

const TESTS: &[&[TestSpec]] = &[tests::TESTS, date::TESTS, imap4flags::TESTS];

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
