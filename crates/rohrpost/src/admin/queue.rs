//! The commands about the queue: what waits, and orders about it.

use super::Rows;
use super::custody::{recipient, sender};
use super::request::{Done, QueueOrder, QueueSelection};
use crate::engine::Engine;
use crate::failure::Failure;
use ledger::{AcceptanceId, Depth, Lane, Open, Order, RecipientRecord, Selection, State};
use serde_json::{Value, json};

/// Rows read in one go.
const PAGE: u32 = 500;

pub(super) fn list(engine: &Engine, which: &QueueSelection, limit: u32, rows: Rows<'_>) -> Result<Done, Failure> {
    let selection = selection(which)?;
    let mut after = which.after.as_deref().map(place).transpose()?;
    let mut left = limit;
    while left > 0 {
        let page = engine
            .ledger
            .open_rows(&selection, after, left.min(PAGE))
            .map_err(Failure::new)?;
        let Some(last) = page.last() else {
            return Ok(Done::default());
        };
        after = Some((last.id, last.number));
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        page.iter().try_for_each(|row| rows(open(row)))?;
    }
    let more = engine.ledger.open_rows(&selection, after, 1).map_err(Failure::new)?;
    Ok(match (after, more.is_empty()) {
        (Some((id, number)), false) => Done::say(format!("there is more: --after {id}/{number}, or a larger --limit")),
        _ => Done::default(),
    })
}

/// Where a list went on to: `ID/NUMBER`, or `ID` for the whole message.
fn place(text: &str) -> Result<(AcceptanceId, u32), Failure> {
    let (id, number) = text.split_once('/').unwrap_or((text, "4294967295"));
    let number = number
        .parse()
        .map_err(|_| Failure::usage(format!("--after: \"{text}\" is not ID/NUMBER")))?;
    Ok((id.parse().map_err(Failure::usage)?, number))
}

fn open(row: &Open) -> Value {
    let state = match row.state {
        State::Due if row.attempts > 0 => "deferred",
        state => state.name(),
    };
    json!({
        "id": row.id.to_string(), "number": row.number, "received_at": row.received_at, "size": row.size,
        "from": if row.sender.is_empty() { "<>" } else { row.sender.as_str() }, "to": row.address, "lane": row.lane.name(), "state": state,
        "attempts": row.attempts, "due_at": (row.state == State::Due).then_some(row.due_at), "strategy": row.strategy, "reason": row.reason,
        "destination": row.destination, "bulk": row.bulk,
    })
}

pub(super) fn destinations(engine: &Engine, limit: u32, rows: Rows<'_>) -> Result<Done, Failure> {
    let mut depths = engine.ledger.depths().map_err(Failure::new)?;
    depths.sort_by_key(|d| std::cmp::Reverse(d.rows));
    let (count, all) = (depths.len(), depths.iter().map(|d| d.rows).sum::<u64>());
    depths.iter().take(limit as usize).try_for_each(|d| rows(depth(d)))?;
    Ok(match count > limit as usize {
        true => Done::say(format!(
            "{count} destinations with {all} recipients in all: a larger --limit shows more"
        )),
        false => Done::default(),
    })
}

fn depth(d: &Depth) -> Value {
    let shut = d.unreachable.as_ref();
    json!({
        "destination": &*d.destination, "recipients": d.rows, "oldest": d.oldest,
        "due_at": shut.map_or(d.first_due, |u| d.first_due.max(u.retry_at)),
        "unreachable_since": shut.map(|u| u.since), "failures": shut.map(|u| u.failures), "reason": shut.map(|u| u.reason.clone()),
    })
}

/// Which open rows are meant.
fn selection(which: &QueueSelection) -> Result<Selection, Failure> {
    let state = match which.state.as_deref() {
        None => None,
        Some("due") => Some(State::Due),
        Some("held") => Some(State::Held),
        Some(other) => return Err(Failure::usage(format!("there is no state {other}")).advise("due or held")),
    };
    let lane = match which.lane.as_deref() {
        None => None,
        Some("local") => Some(Lane::Local),
        Some("remote") => Some(Lane::Remote),
        Some(other) => return Err(Failure::usage(format!("there is no lane {other}")).advise("local or remote")),
    };
    Ok(Selection {
        id: which
            .id
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(Failure::usage)?,
        number: which.recipient,
        to: which.to.clone(),
        from: which.from.clone(),
        destination: which.destination.clone(),
        before: which.before,
        state,
        lane,
        login: None,
    })
}

pub(super) fn show(engine: &Engine, id: &str, rows: Rows<'_>) -> Result<Done, Failure> {
    let parsed: AcceptanceId = id.parse().map_err(Failure::usage)?;
    let record = engine
        .ledger
        .show(parsed)
        .map_err(Failure::new)?
        .ok_or_else(|| unknown(id))?;
    let a = &record.acceptance;
    rows(json!({
        "id": a.id.to_string(), "received_at": a.received_at, "from": sender(&record), "size": record.size,
        "message_id": a.message_id, "protocol": a.protocol, "listener": a.listener, "client": a.client, "helo": a.helo, "tls": a.tls,
        "login": a.login.and_then(|l| engine.directory.account(l)).map(|account| account.name.clone()),
        "session": a.session, "body": a.body, "smtputf8": a.smtputf8, "requiretls": a.requiretls.name(), "envid": a.envid, "ret": a.ret, "notes": a.notes, "quarantine": a.quarantine,
        "blob": record.blob.to_string(),
        "parent": a.parent.map(|(id, _)| id.to_string()), "parent_recipient": a.parent.map(|(_, number)| number),
        "offspring": record.offspring.iter().map(|(id, number)| offspring(engine, *id, *number)).collect::<Vec<_>>(),
        "recipients": record.recipients.iter().map(|r| explained(engine, a.id, r)).collect::<Vec<_>>(),
    }))?;
    Ok(Done::default())
}

/// A recipient with why its message is where it is, as the scripts that ran for it said.
fn explained(engine: &Engine, id: AcceptanceId, r: &RecipientRecord) -> Value {
    let mut row = recipient(r);
    let decided = r
        .account
        .filter(|a| engine.store.account_exists(*a))
        .and_then(|account| {
            let stored = engine.store.account(account).ok()?;
            let known = stored.decisions(&[(id.0, r.number)]).ok()?.pop()??;
            filter::Plan::decode(&known.before?)
        });
    let why = match decided {
        Some(plan) => plan.explain(),
        // Where no rule said anything, this is all that is kept.
        None => r
            .detail
            .as_deref()
            .and_then(|d| d.strip_prefix("Sieve: "))
            .map(str::to_owned)
            .into_iter()
            .collect(),
    };
    if let Value::Object(row) = &mut row
        && !why.is_empty()
    {
        row.insert("why".to_owned(), why.into());
    }
    row
}

/// A message that came of another.
fn offspring(engine: &Engine, id: AcceptanceId, number: u32) -> Value {
    let record = engine.ledger.show(id).ok().flatten();
    json!({
        "id": id.to_string(), "of": number,
        "to": record.as_ref().map(|r| r.recipients.iter().map(|r| r.address.clone()).collect::<Vec<_>>()),
        "notes": record.as_ref().and_then(|r| r.acceptance.notes.clone()),
    })
}

fn unknown(id: &str) -> Failure {
    Failure::new(format!("there is no message {id}")).advise(
        "`rohrpost queue list` and `rohrpost trace` show ids; settled ones are forgotten after delivery.history",
    )
}

/// Carries an order out for all rows that match.
pub(super) fn order(engine: &Engine, order: QueueOrder, which: &QueueSelection) -> Result<Done, Failure> {
    if let Some(id) = &which.id {
        let parsed: AcceptanceId = id.parse().map_err(Failure::usage)?;
        if engine.ledger.show(parsed).map_err(Failure::new)?.is_none() {
            return Err(unknown(id));
        }
    }
    let selection = selection(which)?;
    let ordered = |order| wait(engine.ledger.order(order, &selection));
    Ok(match order {
        QueueOrder::Retry => {
            let n = ordered(Order::Retry)?;
            Done::say(format!("{n} {} due now", recipients(n)))
        }
        QueueOrder::Hold => {
            let n = ordered(Order::Hold)?;
            Done::say(format!(
                "{n} {} held; `rohrpost queue release` undoes it",
                recipients(n)
            ))
        }
        QueueOrder::Release => {
            let n = ordered(Order::Release)?;
            Done::say(format!("{n} {} released", recipients(n)))
        }
        QueueOrder::Cancel => {
            let n = ordered(Order::Cancel)?;
            Done::say(format!("{n} {} taken out, and nobody is told", recipients(n)))
        }
        QueueOrder::Bounce => {
            let bounced = delivery::bounce(&engine.ledger, &engine.notifier(), &selection).map_err(Failure::new)?;
            let n = bounced.returned;
            let busy = match bounced.busy {
                0 => String::new(),
                busy => format!("; {busy} being worked on right now, and left alone"),
            };
            Done::say(format!("{n} {} given up, and senders are told{busy}", recipients(n)))
        }
    })
}

pub(super) fn recipients(n: u64) -> &'static str {
    if n == 1 { "recipient" } else { "recipients" }
}

/// Waits for the ledger on this thread, which is an administration session's own.
pub(super) fn wait<T>(answer: impl Future<Output = ledger::Result<T>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(Failure::new)?;
    runtime.block_on(answer).map_err(Failure::new)
}
