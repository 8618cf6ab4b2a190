//! Known answers, after the examples of the RFCs: `cases/*.txt`, one file an RFC. A case is
//!
//! ```text
//! === name
//! what the world says, a line each: now, from, to, own, mailbox, id, use, seen, env, list, spam, virus, flag, meta, program
//! --- include personal NAME     (any number)
//! --- script
//! --- message
//! --- expect
//! ```
//!
//! Expected are the actions as [`sieve::Action`] prints them, in order, `error LINE: words` for an error that holds these words, `has: text`
//! and `lacks: text` for the message of the last action, `why: text` for a line of the explanation, `log: text`, `remember: id for N`,
//! and `refused LINE: words` for a script that is not taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sieve::{
    Compiled, DeliverBy, DuplicateId, Extensions, Included, Input, Limits, Location, Options, ProgramKind, Score, World,
};

#[derive(Debug, Default)]
struct Case {
    name: String,
    world: Vec<(String, String)>,
    includes: HashMap<String, String>,
    script: String,
    message: String,
    expect: Vec<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut part = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case {
                name: name.to_owned(),
                ..Case::default()
            });
            part = "world".into();
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(name) = line.strip_prefix("--- ") {
            part = name.to_owned();
            continue;
        }
        match part.as_str() {
            "world" => {
                if let Some((name, value)) = line.split_once(": ") {
                    case.world.push((name.to_owned(), value.to_owned()));
                }
            }
            "script" => case.script += &format!("{line}\n"),
            "message" => case.message += &format!("{line}\r\n"),
            "expect" if !line.is_empty() => case.expect.push(line.to_owned()),
            include => {
                if let Some(name) = include.strip_prefix("include ") {
                    *case.includes.entry(name.to_owned()).or_default() += &format!("{line}\n");
                }
            }
        }
    }
    cases
}

impl Case {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.world
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn pair(&self, name: &str, key: &str) -> Option<String> {
        self.all(name).find_map(|value| {
            let (left, right) = value.split_once('=')?;
            (left.trim() == key).then(|| right.trim().to_owned())
        })
    }
}

impl World for Case {
    fn environment(&self, item: &str) -> Option<String> {
        self.pair("env", item)
    }

    fn mailbox_exists(&self, name: &str) -> bool {
        self.all("mailbox").any(|other| other == name)
    }

    fn mailbox_id_exists(&self, id: &str) -> bool {
        self.all("id").any(|other| other == id)
    }

    fn special_use_exists(&self, mailbox: Option<&str>, use_flag: &str) -> bool {
        self.all("use")
            .filter_map(|value| value.split_once('='))
            .any(|(name, flag)| flag.eq_ignore_ascii_case(use_flag) && mailbox.is_none_or(|mailbox| mailbox == name))
    }

    fn mailbox_metadata(&self, mailbox: &str, annotation: &str) -> Option<String> {
        self.pair("meta", &format!("{mailbox} {annotation}"))
    }

    fn server_metadata(&self, annotation: &str) -> Option<String> {
        self.pair("meta", annotation)
    }

    fn duplicate_seen(&self, id: &DuplicateId) -> bool {
        self.all("seen").any(|seen| seen == format!("{}/{}", id.handle, id.id))
    }

    fn include(&self, location: Location, name: &str) -> Included {
        let whose = if location == Location::Personal {
            "personal"
        } else {
            "global"
        };
        match self.includes.get(&format!("{whose} {name}")) {
            None => Included::Missing,
            Some(text) => match Compiled::compile(text.as_bytes(), &options()) {
                Ok(script) => Included::Script(Arc::new(script)),
                Err(errors) => Included::Broken(errors[0].to_string()),
            },
        }
    }

    fn list_exists(&self, list: &str) -> bool {
        self.pair("list", list).is_some()
    }

    fn list_contains(&self, list: &str, value: &str) -> Option<bool> {
        let members = self.pair("list", list)?;
        Some(
            members
                .split(',')
                .any(|member| member.trim().eq_ignore_ascii_case(value)),
        )
    }

    fn spam_score(&self) -> Option<Score> {
        self.all("spam").next().map(|share| Score {
            share: share.parse().unwrap(),
        })
    }

    fn virus_score(&self) -> Option<u8> {
        self.all("virus").next().map(|score| score.parse().unwrap())
    }

    fn flags(&self) -> Vec<String> {
        self.all("flag").map(str::to_owned).collect()
    }

    fn program_listed(&self, kind: ProgramKind, name: &str) -> bool {
        self.all("program")
            .any(|listed| listed == format!("{} {name}", kind.name()))
    }

    fn program_run(
        &self,
        _: ProgramKind,
        _: &str,
        arguments: &[String],
        input: &[u8],
    ) -> Result<Option<Vec<u8>>, String> {
        // Programs here shout, and fail when told to.
        match arguments.first().map(String::as_str) {
            Some("fail") => Ok(None),
            Some("break") => Err("it broke".into()),
            _ => Ok(Some(input.to_ascii_uppercase())),
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.extensions = Extensions::all();
    options
}

fn check(case: &Case) -> Result<(), String> {
    let compiled = match Compiled::compile(case.script.as_bytes(), &options()) {
        Ok(compiled) => compiled,
        Err(errors) => {
            let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
            for expected in &case.expect {
                let wanted = expected.strip_prefix("refused ").and_then(|rest| rest.split_once(": "));
                let Some((line, words)) = wanted else {
                    return Err(format!("refused: {said:?}"));
                };
                if !said
                    .iter()
                    .any(|said| said.starts_with(&format!("line {line},")) && said.contains(words))
                {
                    return Err(format!("refused: {said:?}, expected line {line}: {words}"));
                }
            }
            return Ok(());
        }
    };
    let mut input = Input::new(case.message.as_bytes());
    let number = |name: &str| case.all(name).next().map(|value| value.parse::<i64>().unwrap());
    let text = |name: &str| case.all(name).next().map(str::to_owned);
    input.now = number("now").unwrap_or(0);
    input.envelope.from = text("from");
    if input.envelope.from.as_deref() == Some("<>") {
        input.envelope.from = Some(String::new());
    }
    input.envelope.to = text("to");
    input.envelope.notify = text("notify");
    input.envelope.ret = text("ret");
    input.envelope.orcpt = text("orcpt");
    input.envelope.envid = text("envid");
    input.envelope.by = number("by").map(|time| DeliverBy {
        time,
        mode: 'R',
        trace: true,
    });
    input.own_addresses = case.all("own").map(str::to_owned).collect();
    let outcome = compiled.run(&input, case, &Limits::default());
    let mut said: Vec<String> = outcome.actions.iter().map(|taken| taken.action.to_string()).collect();
    let last = outcome.actions.last().map_or(case.message.as_bytes(), |taken| {
        outcome.message(taken, case.message.as_bytes())
    });
    let last = String::from_utf8_lossy(last).replace("\r\n", "\n");
    let why = outcome.explanation.to_string();
    let mut actions = Vec::new();
    for expected in &case.expect {
        let (kind, rest) = expected.split_once(": ").unwrap_or(("", ""));
        let rest = rest.replace("\\n", "\n");
        let wrong = |what: &str| Err(format!("{expected}\n  {what}"));
        match kind {
            "has" if !last.contains(&rest) => return wrong(&last),
            "lacks" if last.contains(&rest) => return wrong(&last),
            "why" if !why.contains(&rest) => return wrong(&why),
            "log" if !outcome.logs.contains(&rest) => return wrong(&format!("{:?}", outcome.logs)),
            "remember" => {
                let kept: Vec<String> = outcome
                    .duplicates
                    .iter()
                    .map(|record| format!("{}/{} for {}", record.id.handle, record.id.id, record.seconds))
                    .collect();
                if !kept.contains(&rest) {
                    return wrong(&format!("{kept:?}"));
                }
            }
            "has" | "lacks" | "why" | "log" => {}
            other if other.starts_with("error ") => {
                let line = other.trim_start_matches("error ");
                let error = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
                if !error.contains(&format!("line {line},")) || !error.contains(&rest) {
                    return wrong(&error);
                }
                actions.push("implicit keep".to_owned());
            }
            _ => actions.push(expected.clone()),
        }
    }
    let expected = case.expect.iter().any(|line| line.starts_with("error "));
    if let Some(error) = outcome.error.as_ref().filter(|_| !expected) {
        said.insert(0, error.to_string());
    }
    if said == actions {
        Ok(())
    } else {
        Err(format!("expected {actions:#?}\n  got {said:#?}"))
    }
}

#[test]
fn every_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut faults = String::new();
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        for case in cases(&std::fs::read_to_string(&file).unwrap()) {
            count += 1;
            if let Err(fault) = check(&case) {
                faults += &format!(
                    "{}: {}\n  {fault}\n",
                    file.file_stem().unwrap().to_string_lossy(),
                    case.name
                );
            }
        }
    }
    assert!(count > 100, "{count} cases");
    assert!(faults.is_empty(), "{faults}");
}
