//! The commands about mail in custody: trace, audit, verify.

use super::Rows;
use super::request::{Done, Trace};
use crate::engine::Engine;
use crate::failure::Failure;
use db::AccountId;
use ledger::{AcceptanceId, AuditedRecipient, Fate, Filter, RecipientRecord, Record, State, Try};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use store::ArrivalState;

/// Messages read in one go.
const PAGE: u32 = 500;
/// Deliveries that the store is asked about in one go.
const BATCH: usize = 1000;

pub(super) fn trace(engine: &Engine, trace: &Trace, rows: Rows<'_>) -> Result<Done, Failure> {
    let fate = match &trace.fate {
        Some(name) => Some(Fate::parse(name).ok_or_else(|| {
            let all: Vec<_> = Fate::ALL.iter().map(|f| f.name()).collect();
            Failure::usage(format!("there is no fate {name}")).advise(format!("one of {}", all.join(", ")))
        })?),
        None => None,
    };
    let filter = Filter {
        to: trace.to.clone(),
        from: trace.from.clone(),
        since: trace.since,
        until: trace.until,
        min_size: trace.min_size,
        fate,
        ..Filter::default()
    };
    each_record(engine, filter, trace.limit, &mut |record| {
        record
            .recipients
            .iter()
            .filter(|r| fate.is_none() || r.fate == fate)
            .try_for_each(|r| rows(row(record, r)))
    })?;
    Ok(Done::default())
}

fn each_record(
    engine: &Engine,
    mut filter: Filter,
    limit: u32,
    each: &mut dyn FnMut(&Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = limit;
    while left > 0 {
        let page = engine.ledger.trace(&filter, left.min(PAGE)).map_err(Failure::new)?;
        let Some(last) = page.last() else { break };
        filter.after = Some(last.acceptance.id);
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        page.iter().try_for_each(&mut *each)?;
    }
    Ok(())
}

/// One recipient of a message, as `trace` shows it.
fn row(record: &Record, r: &RecipientRecord) -> Value {
    let mut row = recipient(r);
    if let Value::Object(row) = &mut row {
        row.insert("id".to_owned(), record.acceptance.id.to_string().into());
        row.insert("received_at".to_owned(), record.acceptance.received_at.into());
        row.insert("from".to_owned(), sender(record).into());
        row.insert("size".to_owned(), record.size.into());
    }
    row
}

pub(super) fn recipient(r: &RecipientRecord) -> Value {
    let state = match r.state {
        State::Due if r.attempts > 0 => "deferred",
        State::Due => "due",
        State::Held => "held",
        State::Settled => r.fate.map_or("settled", Fate::name),
    };
    json!({
        "number": r.number, "parent": r.parent, "to": r.address, "original": r.original, "notify": r.notify,
        "lane": r.lane.name(), "state": state, "fate": r.fate.map(Fate::name),
        "due_at": (r.state == State::Due).then_some(r.due_at), "attempts": r.attempts, "strategy": r.strategy,
        "reason": r.reason.as_ref().or(r.detail.as_ref()), "settled_at": r.settled_at,
        "account": r.account.map(|a| a.0), "mailbox": r.mailbox, "uid": r.uid,
        "destination": r.destination, "delay_told": r.delay_told, "tries": r.tries.iter().map(attempt).collect::<Vec<_>>(),
    })
}

/// An attempt to hand a recipient to another server.
fn attempt(t: &Try) -> Value {
    json!({
        "at": t.at, "host": t.host, "address": t.address, "tls": t.tls, "policy": t.policy, "outcome": t.outcome, "reply": t.reply,
    })
}

pub(super) fn sender(record: &Record) -> String {
    match record.acceptance.sender.as_str() {
        "" => "<>".to_owned(),
        sender => sender.to_owned(),
    }
}

pub(super) fn audit(engine: &Engine, rows: Rows<'_>) -> Result<Done, Failure> {
    // Both closures below add to it, one after the other.
    let audit = RefCell::new(Audit {
        engine,
        asked: HashMap::new(),
        delivered: 0,
        faults: Vec::new(),
    });
    let seen = engine.ledger.audit(
        |fault| {
            let place = fault.number.map_or_else(String::new, |n| format!(" recipient {n}"));
            audit
                .borrow_mut()
                .faults
                .push((format!("message {}{place}", fault.acceptance), fault.what));
        },
        |recipient| audit.borrow_mut().delivered(recipient),
    );
    let seen = seen.map_err(Failure::new)?;
    let mut audit = audit.into_inner();
    let accounts: Vec<AccountId> = audit.asked.keys().copied().collect();
    for account in accounts {
        audit.confirm(account);
    }
    let references = audit.references();
    let (delivered, faults) = (audit.delivered, audit.faults);
    let count = faults.len();
    for (place, what) in faults {
        rows(json!({ "where": place, "what": what }))?;
    }
    let message = format!(
        "{seen} messages, {delivered} deliveries and {references} references to stored bytes looked at: {}",
        match count {
            0 => "all as it should be".to_owned(),
            1 => "1 exception".to_owned(),
            n => format!("{n} exceptions"),
        }
    );
    Ok(Done {
        message,
        faults: count > 0,
    })
}

struct Audit<'e> {
    engine: &'e Engine,
    /// Deliveries the store has yet to confirm, by account.
    asked: HashMap<AccountId, Vec<(i64, u32)>>,
    delivered: u64,
    /// Where, and what.
    faults: Vec<(String, String)>,
}

impl Audit<'_> {
    fn delivered(&mut self, r: AuditedRecipient) {
        self.delivered += 1;
        let asked = self.asked.entry(r.account).or_default();
        asked.push((r.acceptance.0, r.number));
        if asked.len() >= BATCH {
            self.confirm(r.account);
        }
    }

    fn confirm(&mut self, account: AccountId) {
        let asked = self.asked.remove(&account).unwrap_or_default();
        // With the account went its mail, by an administrator's order.
        if asked.is_empty() || self.engine.directory.account(account).is_none() {
            return;
        }
        let states = self
            .engine
            .store
            .account(account)
            .and_then(|a| a.arrival_states(&asked));
        match states {
            Ok(states) => {
                for ((acceptance, number), state) in asked.iter().zip(states) {
                    let what = match state {
                        ArrivalState::Present | ArrivalState::Gone => continue,
                        ArrivalState::Missing => "is delivered, but its message is missing from the mailbox",
                        ArrivalState::Unknown => "is delivered, but its account knows nothing of it",
                    };
                    self.faults.push((
                        format!("message {} recipient {number}", AcceptanceId(*acceptance)),
                        what.to_owned(),
                    ));
                }
            }
            Err(e) => self.faults.push((format!("account {}", account.0), e.to_string())),
        }
    }

    /// Every reference from an account to stored bytes leads somewhere; how many there were.
    fn references(&mut self) -> u64 {
        let mut count = 0;
        for account in self.engine.directory.account_list() {
            if !self.engine.store.account_exists(account.id) {
                continue;
            }
            let name = account.address();
            let mut missing = Vec::new();
            let mut broken = None;
            let walked = self.engine.store.account(account.id).and_then(|a| {
                a.blob_references(|id| {
                    count += 1;
                    match self.engine.blobs.len_of(id) {
                        Ok(Some(_)) => {}
                        Ok(None) => missing.push(format!("refers to stored bytes {id}, which are not there")),
                        Err(e) => broken = Some(e.to_string()),
                    }
                })
            });
            missing.extend(walked.err().map(|e| e.to_string()));
            missing.extend(broken);
            self.faults
                .extend(missing.into_iter().map(|what| (format!("account {name}"), what)));
        }
        count
    }
}

pub(super) fn verify(engine: &Engine, rows: Rows<'_>) -> Result<Done, Failure> {
    let mut count = 0u64;
    let mut failed = None;
    let mut fault = |place: String, what: String| {
        count += 1;
        if let Err(e) = rows(json!({ "where": place, "what": what })) {
            failed.get_or_insert(e);
        }
    };
    let summary = engine
        .blobs
        .verify(&mut |finding| fault("stored bytes".to_owned(), finding.to_string()))
        .map_err(Failure::new)?;
    for found in engine.database.check_integrity().map_err(Failure::new)? {
        fault("server.db".to_owned(), found);
    }
    let mut accounts = 0u64;
    for account in engine.directory.account_list() {
        if !engine.store.account_exists(account.id) {
            continue;
        }
        accounts += 1;
        let name = format!("account {}", account.address());
        let found = engine.store.account(account.id).and_then(|a| {
            let mut faults = a.faults()?;
            a.blob_references(|id| match engine.blobs.len_of(id) {
                Ok(Some(_)) => {}
                Ok(None) => faults.push(format!("refers to stored bytes {id}, which are not there")),
                Err(e) => faults.push(format!("stored bytes {id}: {e}")),
            })?;
            Ok(faults)
        });
        match found {
            Ok(found) => found.into_iter().for_each(|what| fault(name.clone(), what)),
            Err(e) => fault(name, e.to_string()),
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    let message = format!(
        "{} records, server.db and {accounts} account files read: {}",
        summary.records,
        match count {
            0 => "all sound".to_owned(),
            1 => "1 fault".to_owned(),
            n => format!("{n} faults"),
        }
    );
    Ok(Done {
        message,
        faults: count > 0,
    })
}
