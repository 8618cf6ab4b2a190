//! `require` (RFC 5228 §3.2): complete, and no longer than it has to be.
//!
//! What parts need that are written here is known from the model. What parts need that are left alone only the checker knows: an extension is
//! taken out of the list when what needed it has gone, and the script is right without it.

use crate::action::{Action, Interval};
use crate::condition::{AddressPart, Comparator, Match, Test};
use crate::document::Kind;
use crate::model::Rule;
use crate::reading::Reading;
use sieve::tree::{Command, Script, Text};
use std::collections::BTreeSet;
use std::ops::Range;

/// What a script declares.
pub(crate) fn declared(reading: &Reading) -> BTreeSet<String> {
    let lists = reading.pieces.iter().filter_map(|piece| match &piece.kind {
        Kind::Require(names) => Some(names),
        Kind::Rule(_) | Kind::Foreign(_) => None,
    });
    lists.flatten().cloned().collect()
}

/// `script` with `needed` declared, and what is in `no_longer` dropped where nothing else needs it.
pub(crate) fn amend(
    script: String,
    newline: &str,
    needed: &BTreeSet<String>,
    no_longer: &BTreeSet<String>,
) -> Result<String, String> {
    let mut script = script;
    let before = declares(&script)?;
    let missing: Vec<&str> = needed
        .iter()
        .filter(|name| !before.contains(*name))
        // RFC 6131 §2: who declares vacation-seconds need not declare vacation.
        .filter(|name| {
            *name != "vacation" || !(before.contains("vacation-seconds") || needed.contains("vacation-seconds"))
        })
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        script = add(&script, newline, &missing)?;
    }
    for name in no_longer.difference(needed).filter(|name| before.contains(*name)) {
        let without = remove(&script, name)?;
        if check(&without).is_ok() {
            script = without;
        }
    }
    check(&script)?;
    Ok(script)
}

fn parse(script: &str) -> Result<Script, String> {
    Script::parse(script.as_bytes(), &sieve::Limits::default()).map_err(|e| e.to_string())
}

/// Whether the script is right, with all that this program knows.
fn check(script: &str) -> Result<(), String> {
    let compiled = sieve::Compiled::compile(script.as_bytes(), &sieve::Options::default());
    match compiled.map_err(|errors| errors.into_iter().next()) {
        Ok(_) | Err(None) => Ok(()),
        Err(Some(error)) => Err(error.to_string()),
    }
}

fn declares(script: &str) -> Result<BTreeSet<String>, String> {
    let script = parse(script)?;
    let requires = script.commands.iter().filter(|c| c.is("require"));
    Ok(requires.flat_map(names).collect())
}

/// The names that a `require` declares.
pub(crate) fn names(command: &Command) -> Vec<String> {
    texts(command).iter().map(|text| text.value.clone()).collect()
}

fn texts(command: &Command) -> &[Text] {
    command
        .arguments
        .first()
        .and_then(|a| a.value.texts())
        .unwrap_or_default()
}

/// Adds to the first list; where there is none, in a line of its own behind the last `require`, or at the top.
fn add(script: &str, newline: &str, missing: &[&str]) -> Result<String, String> {
    let tree = parse(script)?;
    let requires: Vec<&Command> = tree.commands.iter().filter(|c| c.is("require")).collect();
    let single = requires.len() > 1 && requires.iter().all(|c| texts(c).len() == 1);
    let commented = |c: &Command| texts(c).iter().any(|t| !t.leading.trim().is_empty());
    if let Some(command) = requires.iter().find(|c| !single && !commented(c)) {
        let old = texts(command);
        let sorted = old.windows(2).all(|pair| pair[0].value <= pair[1].value);
        let mut all = names(command);
        for name in missing {
            let at = if sorted {
                all.partition_point(|n| n.as_str() < *name)
            } else {
                all.len()
            };
            all.insert(at, (*name).to_owned());
        }
        let between = match old {
            [first, second, ..] => &script[first.span.end as usize..second.span.start as usize],
            _ => ", ",
        };
        return Ok(replace_list(script, command, &all, between));
    }
    let line = if missing.len() == 1 || single {
        missing
            .iter()
            .map(|name| format!("require \"{name}\";{newline}"))
            .collect()
    } else {
        format!("require [\"{}\"];{newline}", missing.join("\", \""))
    };
    let at = match requires.last() {
        Some(last) => line_end(script, last.span.end as usize + last.trailing.len()),
        None => header_end(
            script,
            tree.commands.first().map_or(script.len(), |c| c.span.start as usize),
        ),
    };
    let gap = if script[..at].is_empty() || script[..at].ends_with('\n') {
        ""
    } else {
        newline
    };
    Ok(format!("{}{gap}{line}{}", &script[..at], &script[at..]))
}

fn remove(script: &str, name: &str) -> Result<String, String> {
    let mut script = script.to_owned();
    loop {
        let tree = parse(&script)?;
        let found = tree
            .commands
            .iter()
            .find(|c| c.is("require") && texts(c).iter().any(|t| t.value == name));
        let Some(command) = found else { return Ok(script) };
        let old = texts(command);
        let left: Vec<String> = names(command).into_iter().filter(|n| n != name).collect();
        if left.is_empty() {
            let start = command.span.start as usize;
            let end = line_end(&script, command.span.end as usize);
            script.replace_range(start..end, "");
            continue;
        }
        let between = match old {
            [first, second, ..] => script[first.span.end as usize..second.span.start as usize].to_owned(),
            _ => ", ".to_owned(),
        };
        script = replace_list(&script, command, &left, &between);
    }
}

fn replace_list(script: &str, command: &Command, all: &[String], between: &str) -> String {
    let old = texts(command);
    let (Some(first), Some(last)) = (old.first(), old.last()) else {
        return script.to_owned();
    };
    let range: Range<usize> = first.span.start as usize..last.span.end as usize;
    let bracketed = matches!(
        command.arguments.first().map(|a| &a.value),
        Some(sieve::tree::Value::List(_))
    );
    let quoted: Vec<String> = all.iter().map(|n| format!("\"{n}\"")).collect();
    let list = quoted.join(between);
    let list = if bracketed || all.len() == 1 {
        list
    } else {
        format!("[{list}]")
    };
    format!("{}{list}{}", &script[..range.start], &script[range.end..])
}

/// Behind the end of the line, where nothing but white space is left of it.
fn line_end(script: &str, at: usize) -> usize {
    let line = script[at..].split_inclusive('\n').next().unwrap_or_default();
    if line.trim().is_empty() { at + line.len() } else { at }
}

/// Behind the comments that speak of the whole script: up to the last blank line before `first`.
pub(crate) fn header_end(script: &str, first: usize) -> usize {
    let head = &script[..first];
    let blank = ["\n\n", "\n\r\n"]
        .iter()
        .filter_map(|gap| head.rfind(gap).map(|at| at + gap.len()))
        .max();
    blank.unwrap_or(0)
}

/// The extensions that a rule needs (RFC 5228 §3.2). Those of one that is switched off stay declared, as Roundcube does it: to switch it on is then
/// to change one line.
pub(crate) fn needs(rule: &Rule) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut need = |name: &str| {
        needed.insert(name.to_owned());
    };
    for condition in &rule.conditions {
        match &condition.test {
            Test::Address { part, .. } | Test::Envelope { part, .. } => {
                if matches!(part, AddressPart::User | AddressPart::Detail) {
                    need("subaddress");
                }
            }
            Test::Body { .. } => need("body"),
            Test::Spam { percent, .. } => need(if *percent { "spamtestplus" } else { "spamtest" }),
            Test::CurrentDate { .. } | Test::Date { .. } => need("date"),
            Test::Always | Test::Header { .. } | Test::Exists { .. } | Test::Size { .. } => {}
        }
        if matches!(condition.test, Test::Envelope { .. }) {
            need("envelope");
        }
        if let Some(is) = condition.test.comparison() {
            match is.how {
                Match::Regex => need("regex"),
                Match::Value(_) | Match::Count(_) => need("relational"),
                Match::Is | Match::Contains | Match::Matches => {}
            }
            if matches!(is.comparator, Comparator::Numeric | Comparator::UnicodeCasemap) {
                need(&format!("comparator-{}", is.comparator.name()));
            }
        }
    }
    for action in &rule.actions {
        match action {
            Action::FileInto {
                copy, create, flags, ..
            } => {
                need("fileinto");
                for (there, name) in [(*copy, "copy"), (*create, "mailbox"), (flags.is_some(), "imap4flags")] {
                    if there {
                        need(name);
                    }
                }
            }
            Action::Redirect { copy: true, .. } => need("copy"),
            Action::Keep { flags: Some(_) }
            | Action::AddFlags { .. }
            | Action::SetFlags { .. }
            | Action::RemoveFlags { .. } => need("imap4flags"),
            Action::Reject { early, .. } => need(if *early { "ereject" } else { "reject" }),
            Action::Vacation(reply) => {
                if matches!(reply.interval, Some(Interval::Seconds(_))) {
                    need("vacation-seconds");
                } else {
                    need("vacation");
                }
            }
            Action::Notify(_) => need("enotify"),
            Action::Redirect { copy: false, .. } | Action::Keep { flags: None } | Action::Discard | Action::Stop => {}
        }
    }
    needed
}
