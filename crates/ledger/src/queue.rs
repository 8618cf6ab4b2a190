//! The open rows for administrators: what waits, for whom, and orders about many rows at once.
//!
//! Orders go through the rows page by page, each page in a transaction of its own, so that mail goes on beside an order about a hundred
//! thousand rows. What workers have in memory of them is called back.

use crate::ledger::Ledger;
use crate::trace::{State, like};
use crate::{AcceptanceId, Lane, Result, Unreachable};
use db::{AccountId, Row, Transaction, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows of an order written in one transaction.
const PAGE: u32 = 500;

/// Which open rows. Everything left out matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The message.
    pub id: Option<AcceptanceId>,
    /// The recipient within the message.
    pub number: Option<u32>,
    /// Recipient: a whole address, or a part of one between `*`.
    pub to: Option<String>,
    /// Reverse path, likewise; `<>` for the empty one.
    pub from: Option<String>,
    /// Destination: a domain, or the name of a route.
    pub destination: Option<String>,
    /// Accepted before this time, in seconds since 1970.
    pub before: Option<i64>,
    /// Due or held.
    pub state: Option<State>,
    /// On their way to a mailbox or to another server.
    pub lane: Option<Lane>,
    /// Sent by who had logged in to this account.
    pub login: Option<AccountId>,
}

/// An open row, with as much of its message as a list shows.
#[derive(Clone, Debug)]
pub struct Open {
    /// The message.
    pub id: AcceptanceId,
    /// The recipient.
    pub number: u32,
    /// When it was accepted.
    pub received_at: i64,
    /// Reverse path.
    pub sender: String,
    /// Octets.
    pub size: u64,
    /// Sent to many, or by a program.
    pub bulk: bool,
    /// The address.
    pub address: String,
    /// Ours or another server's.
    pub lane: Lane,
    /// Due or held.
    pub state: State,
    /// When it is due; not before its destination is tried again.
    pub due_at: i64,
    /// Failed attempts.
    pub attempts: u32,
    /// The strategy that chose the time.
    pub strategy: Option<String>,
    /// Why it is still here: of the row, or of its destination.
    pub reason: Option<String>,
    /// What it is grouped by.
    pub destination: Option<String>,
}

/// What waits for a destination.
#[derive(Clone, Debug)]
pub struct Depth {
    /// The destination.
    pub destination: Arc<str>,
    /// Open rows that are not held.
    pub rows: u64,
    /// When the first of them is due.
    pub first_due: i64,
    /// When the lifetime of the oldest began.
    pub oldest: i64,
    /// Where it can't be reached: since when, and why.
    pub unreachable: Option<Unreachable>,
}

/// An order about open rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Due now, and their destinations tried again now. What its sender wants sent later (FUTURERELEASE) keeps its time.
    Retry,
    /// Held back until released.
    Hold,
    /// Held ones are due again, and their lifetime begins anew; what its sender wants sent later keeps its time.
    Release,
    /// Taken out without a word to the sender.
    Cancel,
}

impl Ledger {
    /// Open rows after a row, in the order of acceptance, at most `limit`.
    pub fn open_rows(
        &self,
        selection: &Selection,
        after: Option<(AcceptanceId, u32)>,
        limit: u32,
    ) -> Result<Vec<Open>> {
        Ok(self.database().read(|tx| open_in(tx, selection, after, limit))?)
    }

    /// What waits for each destination, in the order of their names.
    pub fn depths(&self) -> Result<Vec<Depth>> {
        Ok(self.database().read(|tx| {
            let mut depths = tx.query_all(
                "SELECT destination, count(*), min(due_at), min(queued_at) FROM recipient
                 WHERE state = 0 AND lane = 1 AND destination IS NOT NULL GROUP BY destination ORDER BY destination",
                &[],
                |row| {
                    Ok(Depth {
                        destination: row.text(0)?.into(),
                        rows: row.u64(1)?,
                        first_due: row.i64(2)?,
                        oldest: row.i64(3)?,
                        unreachable: None,
                    })
                },
            )?;
            for known in unreachable_in(tx)? {
                let found = depths.binary_search_by(|d| d.destination.cmp(&known.destination));
                if let Some(depth) = found.ok().and_then(|at| depths.get_mut(at)) {
                    depth.unreachable = Some(known);
                }
            }
            Ok(depths)
        })?)
    }

    /// Carries out an order for all rows that match; how many changed.
    pub async fn order(&self, order: Order, selection: &Selection) -> Result<u64> {
        let state = match order {
            Order::Retry | Order::Hold => Some(State::Due),
            Order::Release => Some(State::Held),
            Order::Cancel => selection.state,
        };
        if selection.state.is_some() && selection.state != state {
            return Ok(0);
        }
        let selection = Selection {
            state,
            ..selection.clone()
        };
        let (mut changed, mut after) = (0, None);
        loop {
            let page = self.open_rows(&selection, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some((last.id, last.number));
            let keys: Vec<(AcceptanceId, u32)> = page.iter().map(|r| (r.id, r.number)).collect();
            let destinations: BTreeSet<String> = page.into_iter().filter_map(|r| r.destination).collect();
            let (at, rows, names) = (self.now(), keys.clone(), destinations.clone());
            changed += self
                .change(Box::new(move |tx| order_in(tx, order, at, &rows, &destinations)))
                .await?;
            match order {
                Order::Hold | Order::Cancel => self.recall(&keys),
                Order::Retry | Order::Release => {
                    if let Some(desk) = self.desk(Lane::Local) {
                        desk.more(&"".into(), at);
                    }
                    if let Some(desk) = self.desk(Lane::Remote) {
                        for destination in &names {
                            desk.retry(&destination.as_str().into(), at);
                        }
                    }
                }
            }
        }
        Ok(changed)
    }

    /// What has not begun with these recipients must not begin; where they wait in memory they are given back to the ledger.
    pub fn recall(&self, recipients: &[(AcceptanceId, u32)]) {
        if let Some(desk) = self.desk(Lane::Remote) {
            desk.recall(recipients);
        }
    }

    /// Groups open rows anew where `destination` says otherwise than when they were accepted: routes were changed. How many changed.
    pub async fn regroup(&self, destination: &(dyn Fn(&str) -> Arc<str> + Sync)) -> Result<u64> {
        let mut wrong: Vec<(i64, u32, Arc<str>)> = Vec::new();
        self.database().read(|tx| {
            tx.query(
                "SELECT acceptance, number, address, destination FROM recipient WHERE state <> 1 AND lane = 1",
                &[],
                |row| {
                    let right = destination(row.text(2)?);
                    if row.opt_text(3)? != Some(&right) {
                        wrong.push((row.i64(0)?, row.u32(1)?, right));
                    }
                    Ok(())
                },
            )
        })?;
        let mut changed = 0;
        for page in wrong.chunks(PAGE as usize) {
            let page = page.to_vec();
            changed += self
                .change(Box::new(move |tx| {
                    for (id, number, destination) in &page {
                        tx.execute(
                            "UPDATE recipient SET destination = ?3 WHERE acceptance = ?1 AND number = ?2 AND state <> 1",
                            &[(*id).into(), (*number).into(), destination.as_ref().into()],
                        )?;
                    }
                    Ok(page.len() as u64)
                }))
                .await?;
        }
        Ok(changed)
    }
}

fn unreachable_in(tx: &Transaction<'_>) -> db::Result<Vec<Unreachable>> {
    tx.query_all(
        "SELECT name, failures, since, failed_at, retry_at, reason FROM destination",
        &[],
        |row| {
            Ok(Unreachable {
                destination: row.text(0)?.into(),
                failures: row.u32(1)?,
                since: row.i64(2)?,
                failed_at: row.i64(3)?,
                retry_at: row.i64(4)?,
                reason: row.text(5)?.to_owned(),
            })
        },
    )
}

/// A statement that grows: only conditions that were asked for stand in it, so that an index can serve them.
struct Statement<'v> {
    sql: String,
    values: Vec<Value<'v>>,
}

impl<'v> Statement<'v> {
    fn and(&mut self, condition: &str, value: Value<'v>) {
        self.values.push(value);
        let place = format!("?{}", self.values.len());
        self.sql += &format!(" AND {}", condition.replace('?', &place));
    }
}

fn open_in(
    tx: &Transaction<'_>,
    s: &Selection,
    after: Option<(AcceptanceId, u32)>,
    limit: u32,
) -> db::Result<Vec<Open>> {
    let (after_id, after_number) = after.map_or((i64::MIN, -1), |(id, number)| (id.0, i64::from(number)));
    let (to, from) = (s.to.as_deref().map(like), s.from.as_deref().map(like));
    let mut statement = Statement {
        sql: "SELECT r.acceptance, r.number, a.received_at, a.sender, a.size, r.address, r.lane, r.state,
                CASE WHEN d.retry_at > r.due_at THEN d.retry_at ELSE r.due_at END, r.attempts, r.strategy, coalesce(r.reason, d.reason), r.destination, a.bulk
             FROM recipient r JOIN acceptance a ON a.id = r.acceptance LEFT JOIN destination d ON d.name = r.destination
             WHERE r.state <> 1 AND r.acceptance >= ?1 AND (r.acceptance > ?1 OR r.number > ?2)"
            .to_owned(),
        values: vec![after_id.into(), after_number.into()],
    };
    if let Some(id) = s.id {
        statement.and("r.acceptance = ?", id.0.into());
    }
    if let Some(number) = s.number {
        statement.and("r.number = ?", number.into());
    }
    match (&s.to, &to) {
        (Some(exact), _) if !exact.contains('*') => statement.and("r.address = ?", exact.into()),
        (_, Some(pattern)) => statement.and("r.address LIKE ? ESCAPE '\\'", pattern.into()),
        _ => {}
    }
    match (s.from.as_deref(), &from) {
        (Some("<>"), _) => statement.and("a.sender = ?", "".into()),
        (Some(exact), _) if !exact.contains('*') => statement.and("a.sender = ?", exact.into()),
        (_, Some(pattern)) => statement.and("a.sender LIKE ? ESCAPE '\\'", pattern.into()),
        _ => {}
    }
    if let Some(destination) = &s.destination {
        statement.and("r.destination = ?", destination.into());
    }
    if let Some(before) = s.before {
        statement.and("r.acceptance < ?", AcceptanceId::at(before).0.into());
    }
    match s.state {
        Some(State::Held) => statement.and("r.state = ?", 2i64.into()),
        Some(State::Due) => statement.and("r.state = ?", 0i64.into()),
        Some(State::Settled) | None => {}
    }
    if let Some(lane) = s.lane {
        statement.and("r.lane = ?", lane.number().into());
    }
    if let Some(login) = s.login {
        statement.and("a.login = ?", login.0.into());
    }
    statement.values.push(limit.into());
    statement.sql += &format!(" ORDER BY r.acceptance, r.number LIMIT ?{}", statement.values.len());
    tx.query_all(&statement.sql, &statement.values, |row: &Row<'_>| {
        let text = |column| row.opt_text(column).map(|t| t.map(str::to_owned));
        Ok(Open {
            id: AcceptanceId(row.i64(0)?),
            number: row.u32(1)?,
            received_at: row.i64(2)?,
            sender: row.text(3)?.to_owned(),
            size: row.u64(4)?,
            address: row.text(5)?.to_owned(),
            lane: Lane::of(row.i64(6)?),
            state: if row.i64(7)? == 0 { State::Due } else { State::Held },
            due_at: row.i64(8)?,
            attempts: row.u32(9)?,
            strategy: text(10)?,
            reason: text(11)?,
            destination: text(12)?,
            bulk: row.bool(13)?,
        })
    })
}

/// Whose lifetime begins in the future is not to be sent before (`release_at`): no order but cancelling changes that.
fn order_in(
    tx: &Transaction<'_>,
    order: Order,
    now: i64,
    keys: &[(AcceptanceId, u32)],
    destinations: &BTreeSet<String>,
) -> db::Result<u64> {
    let sql = match order {
        Order::Retry => {
            "UPDATE recipient SET due_at = CASE WHEN due_at > ?3 AND queued_at <= ?3 THEN ?3 ELSE due_at END
             WHERE acceptance = ?1 AND number = ?2 AND state = 0"
        }
        Order::Hold => {
            "UPDATE recipient SET state = 2, reason = 'held by an administrator', lease_holder = 0, lease_until = 0
             WHERE acceptance = ?1 AND number = ?2 AND state = 0"
        }
        Order::Release => {
            "UPDATE recipient SET state = 0, reason = NULL, due_at = CASE WHEN queued_at > ?3 THEN queued_at ELSE ?3 END,
                queued_at = CASE WHEN queued_at > ?3 THEN queued_at ELSE ?3 END, delay_told = 0
             WHERE acceptance = ?1 AND number = ?2 AND state = 2"
        }
        Order::Cancel => {
            "UPDATE recipient SET state = 1, fate = 'cancelled', settled_at = ?3, detail = 'by an administrator', reason = NULL,
                lease_holder = 0, lease_until = 0
             WHERE acceptance = ?1 AND number = ?2 AND state <> 1"
        }
    };
    let mut changed = 0;
    for (id, number) in keys {
        let values = [id.0.into(), (*number).into(), now.into()];
        // Whoever holds something back sets no time.
        let used = if order == Order::Hold { 2 } else { 3 };
        changed += tx.execute(sql, values.get(..used).unwrap_or(&values))? as u64;
    }
    if matches!(order, Order::Retry | Order::Release) {
        for name in destinations {
            tx.execute(
                "UPDATE destination SET retry_at = ?2 WHERE name = ?1 AND retry_at > ?2",
                &[name.into(), now.into()],
            )?;
        }
    }
    Ok(changed)
}
