//! Reading the ledger: the queue, one message, the history.

use crate::record::{self, Stored};
use crate::{Acceptance, AcceptanceId, Fate, Lane, Ledger, Result};
use blobs::BlobId;
use db::{AccountId, Row, Transaction, Value};
use std::sync::Arc;

/// A message in the ledger.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its envelope and where it came from.
    pub acceptance: Arc<Acceptance>,
    /// Its bytes.
    pub blob: BlobId,
    /// How many.
    pub size: u64,
    /// All recipients, those it was expanded to included.
    pub recipients: Vec<RecipientRecord>,
    /// Messages that came of it, with the recipient each came from.
    pub offspring: Vec<(AcceptanceId, u32)>,
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Open: worked on when its time comes.
    Due,
    /// A fate is written.
    Settled,
    /// Open, and held back by an administrator.
    Held,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Due => "due",
            State::Settled => "settled",
            State::Held => "held",
        }
    }
}

/// A recipient in the ledger.
#[derive(Clone, Debug)]
pub struct RecipientRecord {
    /// Its number within the message.
    pub number: u32,
    /// The recipient it came from.
    pub parent: Option<u32>,
    /// The address.
    pub address: String,
    /// ORCPT.
    pub original: Option<String>,
    /// NOTIFY.
    pub notify: Option<String>,
    /// Ours or another server's.
    pub lane: Lane,
    /// Open or settled.
    pub state: State,
    /// When it is due, in seconds since 1970.
    pub due_at: i64,
    /// Failed attempts.
    pub attempts: u32,
    /// The retry strategy that chose the time.
    pub strategy: Option<String>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// How it ended.
    pub fate: Option<Fate>,
    /// When it ended.
    pub settled_at: Option<i64>,
    /// A sentence about it.
    pub detail: Option<String>,
    /// The account it was delivered to.
    pub account: Option<AccountId>,
    /// The mailbox.
    pub mailbox: Option<u32>,
    /// The message there.
    pub uid: Option<u32>,
    /// What it is grouped by on its way to another server.
    pub destination: Option<String>,
    /// The sender has been told that it is late.
    pub delay_told: bool,
    /// Attempts to hand it to another server, the first and the last ones, oldest first.
    pub tries: Vec<Try>,
}

/// An attempt to hand a recipient to another server, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The host; empty where none was found.
    pub host: String,
    /// Its address.
    pub address: Option<String>,
    /// TLS version and cipher.
    pub tls: Option<String>,
    /// What was asked of TLS, and how it was judged.
    pub policy: String,
    /// `taken`, `refused`, `deferred`, `broken` or `doubtful`.
    pub outcome: String,
    /// What was said.
    pub reply: String,
}

/// What to look for. Everything left out matches.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Recipient: a whole address, or a part of one between `*`.
    pub to: Option<String>,
    /// Reverse path, likewise; `<>` for the empty one.
    pub from: Option<String>,
    /// Accepted at this time or later, in seconds since 1970.
    pub since: Option<i64>,
    /// Accepted before this time.
    pub until: Option<i64>,
    /// At least so many octets.
    pub min_size: Option<u64>,
    /// A recipient with this fate.
    pub fate: Option<Fate>,
    /// Only messages with open recipients.
    pub open: bool,
    /// Only messages after this one: to go on where the last page ended.
    pub after: Option<AcceptanceId>,
}

/// How much is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Recipients due or being worked on, ours.
    pub local: u64,
    /// Recipients due, other servers'.
    pub remote: u64,
    /// Held.
    pub held: u64,
}

impl Ledger {
    /// One message with all its recipients.
    pub fn show(&self, id: AcceptanceId) -> Result<Option<Record>> {
        Ok(self.database().read(|tx| {
            let Some(found) = record::acceptance_in(tx, id)? else {
                return Ok(None);
            };
            Ok(Some(complete_in(tx, found)?))
        })?)
    }

    /// Messages that match, oldest first, at most `limit`.
    pub fn trace(&self, filter: &Filter, limit: u32) -> Result<Vec<Record>> {
        Ok(self.database().read(|tx| {
            let ids = ids_in(tx, filter, limit)?;
            let mut records = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(found) = record::acceptance_in(tx, id)? {
                    records.push(complete_in(tx, found)?);
                }
            }
            Ok(records)
        })?)
    }

    /// How much is open.
    pub fn totals(&self) -> Result<Totals> {
        Ok(self.database().read(|tx| {
            let count = |sql: &str| tx.query_row(sql, &[], |row| row.u64(0)).map(Option::unwrap_or_default);
            Ok(Totals {
                local: count("SELECT count(*) FROM recipient WHERE state = 0 AND lane = 0")?,
                remote: count("SELECT count(*) FROM recipient WHERE state = 0 AND lane = 1")?,
                held: count("SELECT count(*) FROM recipient WHERE state <> 1 AND state = 2")?,
            })
        })?)
    }
}

/// A pattern of people for LIKE: `*` stands for anything, everything else for itself.
pub(crate) fn like(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        match c {
            '*' => out.push('%'),
            '%' | '_' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn ids_in(tx: &Transaction<'_>, filter: &Filter, limit: u32) -> db::Result<Vec<AcceptanceId>> {
    // Only conditions that were asked for stand in the statement, so that an index can serve them.
    let mut sql = String::from("SELECT id FROM acceptance WHERE id > ?1 AND id < ?2");
    let mut texts: Vec<String> = Vec::new();
    let mut numbers: Vec<(usize, i64)> = Vec::new();
    let after = filter.after.map_or(i64::MIN, |id| id.0);
    let since = filter.since.map_or(i64::MIN, |s| AcceptanceId::at(s).0 - 1);
    let until = filter.until.map_or(i64::MAX, |u| AcceptanceId::at(u).0);
    let mut next = 3;
    let mut recipient = String::new();
    if let Some(to) = &filter.to {
        let exact = !to.contains('*');
        recipient += &if exact {
            format!(" AND r.address = ?{next}")
        } else {
            format!(" AND r.address LIKE ?{next} ESCAPE '\\'")
        };
        texts.push(if exact { to.clone() } else { like(to) });
        next += 1;
    }
    if let Some(from) = &filter.from {
        let from = if from == "<>" { "" } else { from };
        let exact = !from.contains('*');
        sql += &if exact {
            format!(" AND sender = ?{next}")
        } else {
            format!(" AND sender LIKE ?{next} ESCAPE '\\'")
        };
        texts.push(if exact { from.to_owned() } else { like(from) });
        next += 1;
    }
    if let Some(fate) = filter.fate {
        recipient += &format!(" AND r.fate = ?{next}");
        texts.push(fate.name().to_owned());
        next += 1;
    }
    if filter.open {
        recipient += " AND r.state <> 1";
    }
    if let Some(size) = filter.min_size {
        sql += &format!(" AND size >= ?{next}");
        numbers.push((next, size.cast_signed()));
        next += 1;
    }
    if !recipient.is_empty() {
        sql += &format!(" AND id IN (SELECT r.acceptance FROM recipient r WHERE r.acceptance > ?1{recipient})");
    }
    sql += &format!(" ORDER BY id LIMIT ?{next}");
    let mut values: Vec<Value<'_>> = vec![after.max(since).into(), until.into()];
    values.extend(texts.iter().map(Value::from));
    values.extend(numbers.iter().map(|(_, n)| Value::Integer(*n)));
    values.push(limit.into());
    tx.query_all(&sql, &values, |row| row.i64(0).map(AcceptanceId))
}

fn complete_in(tx: &Transaction<'_>, found: Stored) -> db::Result<Record> {
    let mut recipients = recipients_in(tx, found.acceptance.id)?;
    if recipients.iter().any(|r| r.lane == Lane::Remote && r.attempts > 0) {
        tries_in(tx, found.acceptance.id, &mut recipients)?;
    }
    Ok(Record {
        recipients,
        offspring: tx.query_all(
            "SELECT id, coalesce(parent_number, 0) FROM acceptance WHERE parent = ?1 ORDER BY id",
            &[found.acceptance.id.0.into()],
            |row| Ok((AcceptanceId(row.i64(0)?), row.u32(1)?)),
        )?,
        acceptance: found.acceptance,
        blob: found.blob,
        size: found.size,
    })
}

fn tries_in(tx: &Transaction<'_>, id: AcceptanceId, recipients: &mut [RecipientRecord]) -> db::Result<()> {
    tx.query(
        "SELECT number, at, host, address, tls, policy, outcome, reply FROM attempt WHERE acceptance = ?1 ORDER BY number, at, slot",
        &[id.0.into()],
        |row| {
            let number = row.u32(0)?;
            if let Some(recipient) = recipients.iter_mut().find(|r| r.number == number) {
                recipient.tries.push(Try {
                    at: row.i64(1)?,
                    host: row.text(2)?.to_owned(),
                    address: row.opt_text(3)?.map(str::to_owned),
                    tls: row.opt_text(4)?.map(str::to_owned),
                    policy: row.text(5)?.to_owned(),
                    outcome: row.text(6)?.to_owned(),
                    reply: row.text(7)?.to_owned(),
                });
            }
            Ok(())
        },
    )
}

pub(crate) fn recipients_in(tx: &Transaction<'_>, id: AcceptanceId) -> db::Result<Vec<RecipientRecord>> {
    tx.query_all(
        "SELECT number, parent, address, original, notify, lane, state, due_at, attempts, strategy, reason, fate, settled_at, detail, account,
            mailbox, uid, destination, delay_told
         FROM recipient WHERE acceptance = ?1 ORDER BY number",
        &[id.0.into()],
        |row: &Row<'_>| {
            let text = |column| row.opt_text(column).map(|t| t.map(str::to_owned));
            let small = |column| row.opt_i64(column).map(|n| n.and_then(|n| u32::try_from(n).ok()));
            Ok(RecipientRecord {
                number: row.u32(0)?,
                parent: small(1)?,
                address: row.text(2)?.to_owned(),
                original: text(3)?,
                notify: text(4)?,
                lane: Lane::of(row.i64(5)?),
                state: match row.i64(6)? {
                    0 => State::Due,
                    1 => State::Settled,
                    _ => State::Held,
                },
                due_at: row.i64(7)?,
                attempts: row.u32(8)?,
                strategy: text(9)?,
                reason: text(10)?,
                fate: row.opt_text(11)?.and_then(Fate::parse),
                settled_at: row.opt_i64(12)?,
                detail: text(13)?,
                account: row.opt_i64(14)?.map(AccountId),
                mailbox: small(15)?,
                uid: small(16)?,
                destination: text(17)?,
                delay_told: row.bool(18)?,
                tries: Vec::new(),
            })
        },
    )
}
