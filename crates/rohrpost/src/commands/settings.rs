//! What a person has set, for people; the whole of it as JSON.

use crate::cli::output::{self, Column, Listing};
use serde_json::Value;
use std::io::{Result, Write};

static RULES: [Column; 5] = [
    Column::number("place", "#"),
    Column::text("name", "NAME"),
    Column::text("state", "STATE"),
    Column::text("made_by", "MADE BY"),
    Column::text("does", "DOES"),
];

/// How much of a text is shown.
const BEGINNING: usize = 60;

pub(super) fn print(row: &Value, rules: bool, json: bool, out: &mut impl Write, colour: bool) -> Result<()> {
    if json {
        let shown = if rules { row.get("rules").unwrap_or(row) } else { row };
        return writeln!(out, "{shown}");
    }
    if !rules {
        summary(row, out)?;
    }
    let mut listing = Listing::new(&RULES, false, out, colour);
    for rule in row.get("rules").and_then(Value::as_array).into_iter().flatten() {
        listing.row(rule)?;
    }
    listing.end("no rules")
}

fn summary(row: &Value, out: &mut impl Write) -> Result<()> {
    let of = |path: &str| row.pointer(path).filter(|v| !v.is_null());
    let text = |path: &str| of(path).map(output::text).unwrap_or_default();
    let is = |path: &str, value: bool| of(path) == Some(&Value::Bool(value));
    let forwarding = of("/settings/forwarding/to").map(|to| {
        let off = if is("/settings/forwarding/enabled", false) {
            "off: "
        } else {
            ""
        };
        let copy = if is("/settings/forwarding/keep", true) {
            "and a copy here"
        } else {
            "no copy here"
        };
        format!("{off}{}, {copy}", output::text(to))
    });
    let vacation = of("/settings/vacation").map(|_| {
        let since = of("/settings/vacation/start").map(|t| format!(", from {}", output::text(t)));
        let until = of("/settings/vacation/end").map(|t| format!(", until {}", output::text(t)));
        let beginning: String = text("/settings/vacation/text").chars().take(BEGINNING).collect();
        let state = text("/vacation_state");
        format!(
            "{state}{}{}: {beginning}",
            since.unwrap_or_default(),
            until.unwrap_or_default()
        )
    });
    let lines = [
        ("account", Some(text("/account"))),
        ("script", Some(text("/script"))),
        ("has failed", of("/fault").map(output::text)),
        ("forwarding", forwarding.or(Some("none".to_owned()))),
        ("vacation", vacation.or(Some("none".to_owned()))),
        ("let through", of("/settings/spam/allow").map(output::text)),
        ("blocked", of("/settings/spam/block/senders").map(output::text)),
        ("spam from", of("/settings/spam/threshold/score").map(output::text)),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "{name:<12}{value}")?;
        }
    }
    writeln!(out)
}
