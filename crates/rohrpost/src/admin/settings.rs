//! The commands about what people set: forwarding, vacation, rules, spam lists. They read and write the person's Sieve script.

use super::Rows;
use super::people::find;
use super::request::{Done, Request};
use crate::engine::Engine;
use crate::failure::Failure;
use directory::Account;
use filter::{SettingsError, StoredSettings};
use serde_json::{Value, json};
use settings::{Change, Entry, Owner, Settings};

/// Somebody else may write the script between reading and writing: a change that does not name the version it was made for is tried again.
const ATTEMPTS: u32 = 5;

pub(super) fn handle(engine: &Engine, request: Request, rows: Rows<'_>) -> Result<Done, Failure> {
    match request {
        Request::SettingsShow { account } => {
            let person = find(engine, &account)?;
            rows(row(&person, &read(engine, &person)?))?;
            Ok(Done::default())
        }
        Request::SettingsChange {
            account,
            version,
            change,
        } => {
            let person = find(engine, &account)?;
            let stored = change_settings(engine, &person, version, &change)?;
            rows(row(&person, &stored))?;
            Ok(Done::say(format!("set for {}", person.address())))
        }
        other => Err(Failure::usage(format!("not a command about settings: {other:?}"))),
    }
}

fn read(engine: &Engine, person: &Account) -> Result<StoredSettings, Failure> {
    let account = engine.store.account(person.id).map_err(Failure::new)?;
    engine.filter().settings_read(&account).map_err(advise)
}

fn change_settings(
    engine: &Engine,
    person: &Account,
    version: Option<u64>,
    change: &Change,
) -> Result<StoredSettings, Failure> {
    let account = engine.store.account(person.id).map_err(Failure::new)?;
    let owner = Owner {
        addresses: person.addresses.clone(),
    };
    let filter = engine.filter();
    for attempt in 1.. {
        let stored = filter.settings_read(&account).map_err(advise)?;
        if version.is_some() && version != stored.version.map(|v| v.0) {
            return Err(advise(SettingsError::Store(store::Error::ScriptChanged)));
        }
        let mut wanted: Settings = stored.reading.settings().clone();
        change.apply(&mut wanted).map_err(Failure::new)?;
        match filter.settings_write(&account, &stored, &wanted, &owner) {
            Err(SettingsError::Store(store::Error::ScriptChanged | store::Error::ScriptExists))
                if version.is_none() && attempt < ATTEMPTS => {}
            written => return written.map_err(advise),
        }
    }
    Err(Failure::new("the script is changed all the time"))
}

/// All there is to say: the model, and the parts of the script that it was read from.
fn row(person: &Account, stored: &StoredSettings) -> Value {
    let settings = stored.reading.settings();
    let parts = stored.reading.parts();
    let made_by = |id| parts.iter().find(|p| Some(p.id) == id);
    let rules: Vec<Value> = settings
        .rules
        .iter()
        .zip(1..)
        .map(|(entry, place): (&Entry, u32)| {
            let part = made_by(entry.id());
            let (state, does) = match entry {
                Entry::Rule(rule) if rule.enabled => ("on", rule.sentence()),
                Entry::Rule(rule) => ("off", rule.sentence()),
                Entry::Foreign(foreign) => ("left alone", foreign.because.clone()),
            };
            json!({
                "place": place, "name": entry.name(), "state": state, "does": does,
                "made_by": part.map(|p| p.maker), "line": part.map(|p| p.first_line),
            })
        })
        .collect();
    let now = jiff::Zoned::now();
    let here = i16::try_from(now.offset().seconds() / 60).unwrap_or(0);
    let state = settings
        .vacation
        .as_ref()
        .map(|v| v.state(now.timestamp().as_second(), here));
    json!({
        "account": person.address(),
        "script": stored.script,
        "version": stored.version.map(|v| v.0),
        "active": stored.active,
        "fault": stored.fault.as_ref().map(|fault| &fault.text),
        "fault_at": stored.fault.as_ref().map(|fault| fault.at),
        "vacation_state": state,
        "settings": settings,
        "rules": rules,
        "parts": parts,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn advise(error: SettingsError) -> Failure {
    let failure = Failure::new(&error);
    match error {
        SettingsError::Unreadable { .. } => {
            failure.advise("put it right as a script: `rohrpost sieve get`, `rohrpost sieve put`")
        }
        SettingsError::Refused(_) | SettingsError::NotHere { .. } => Failure { exit: 2, ..failure },
        _ => failure,
    }
}
