//! Rows into values: the statements that read acceptances and open recipients.

use crate::work::Lease;
use crate::writer::{Ask, Found};
use crate::{Acceptance, AcceptanceId, RequireTls, Work};
use blobs::BlobId;
use db::{AccountId, Row, Transaction};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(crate) struct Stored {
    pub(crate) acceptance: Arc<Acceptance>,
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    pub(crate) recipients: u32,
}

const COLUMNS: &str = "SELECT id, received_at, sender, blob, size, recipients, protocol, listener, client, helo, tls, login, envid, ret, \
     body, smtputf8, session, message_id, notes, parent, parent_number, bulk, requiretls, quarantine FROM acceptance";

fn stored(row: &Row<'_>) -> db::Result<Stored> {
    let text = |column| row.opt_text(column).map(|t| t.map(str::to_owned));
    Ok(Stored {
        acceptance: Arc::new(Acceptance {
            id: AcceptanceId(row.i64(0)?),
            received_at: row.i64(1)?,
            sender: row.text(2)?.to_owned(),
            protocol: row.text(6)?.to_owned(),
            listener: row.text(7)?.to_owned(),
            client: row.text(8)?.to_owned(),
            helo: row.text(9)?.to_owned(),
            tls: text(10)?,
            login: row.opt_i64(11)?.map(AccountId),
            envid: text(12)?,
            ret: text(13)?,
            body: row.text(14)?.to_owned(),
            smtputf8: row.bool(15)?,
            session: row.text(16)?.to_owned(),
            message_id: text(17)?,
            notes: text(18)?,
            parent: match (row.opt_i64(19)?, row.opt_i64(20)?) {
                (Some(id), number) => Some((
                    AcceptanceId(id),
                    number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
                )),
                (None, _) => None,
            },
            bulk: row.bool(21)?,
            requiretls: RequireTls::of(row.i64(22)?),
            quarantine: text(23)?,
            release_at: None,
            held: None,
            recipients: Vec::new(),
        }),
        blob: blob_of(row.blob(3)?)?,
        size: row.u64(4)?,
        recipients: row.u32(5)?,
    })
}

pub(crate) fn blob_of(bytes: &[u8]) -> db::Result<BlobId> {
    BlobId::try_from(bytes).map_err(|_| db::Error::Column {
        column: 3,
        reason: "is not a hash".into(),
    })
}

pub(crate) fn acceptance_in(tx: &Transaction<'_>, id: AcceptanceId) -> db::Result<Option<Stored>> {
    tx.query_row(&format!("{COLUMNS} WHERE id = ?1"), &[id.0.into()], stored)
}

/// Acceptances from an id on, in order.
pub(crate) fn acceptances_in(tx: &Transaction<'_>, from: i64, limit: u32) -> db::Result<Vec<Stored>> {
    tx.query_all(
        &format!("{COLUMNS} WHERE id >= ?1 ORDER BY id LIMIT ?2"),
        &[from.into(), limit.into()],
        stored,
    )
}

/// A claim: the lease that whoever asks gets.
pub(crate) struct Claim {
    pub(crate) lease: Lease,
    pub(crate) now: i64,
    pub(crate) lease_until: i64,
}

/// An open row, as claims read it.
struct Due {
    acceptance: i64,
    number: u32,
    parent: Option<u32>,
    address: String,
    original: Option<String>,
    notify: Option<String>,
    destination: Option<String>,
    queued_at: i64,
    delay_told: bool,
    attempts: u32,
}

const DUE: &str = "SELECT acceptance, number, parent, address, original, notify, destination, queued_at, delay_told, attempts FROM recipient";

fn due(row: &Row<'_>) -> db::Result<Due> {
    Ok(Due {
        acceptance: row.i64(0)?,
        number: row.u32(1)?,
        parent: row.opt_i64(2)?.and_then(|n| u32::try_from(n).ok()),
        address: row.text(3)?.to_owned(),
        original: row.opt_text(4)?.map(str::to_owned),
        notify: row.opt_text(5)?.map(str::to_owned),
        destination: row.opt_text(6)?.map(str::to_owned),
        queued_at: row.i64(7)?,
        delay_told: row.bool(8)?,
        attempts: row.u32(9)?,
    })
}

/// Leases up to `limit` due recipients of ours: not leased, or for too long.
pub(crate) fn claim_local_in(tx: &Transaction<'_>, claim: &Claim, limit: u32) -> db::Result<Vec<Work>> {
    let found = tx.query_all(
        &format!("{DUE} WHERE state = 0 AND lane = 0 AND due_at <= ?1 AND lease_until <= ?1 ORDER BY due_at LIMIT ?2"),
        &[claim.now.into(), limit.into()],
        due,
    )?;
    lease_in(tx, claim, found)
}

/// Senders who get their turn in one claim; whoever comes after them is first next time.
const TURNS: u32 = 16;

/// Leases due recipients of a destination, people's mail first. Where more is due than was asked for, a part goes to the next senders in
/// turn, so that nobody waits behind another's thousand messages; the rest goes to what has been due for longest.
pub(crate) fn claim_destination_in(tx: &Transaction<'_>, claim: &Claim, ask: &Ask) -> db::Result<Found> {
    let destination = ask.destination.as_ref();
    let mut found: Vec<Due> = Vec::new();
    let mut turn = ask.turn;
    let mut next: Option<i64> = None;
    for priority in [0i64, 1] {
        let left = ask.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let mut rows = tx.query_all(
            &format!(
                "{DUE} WHERE state = 0 AND lane = 1 AND destination = ?1 AND priority = ?2 AND due_at <= ?3 AND lease_until <= ?3
                 ORDER BY due_at LIMIT ?4"
            ),
            &[destination.into(), priority.into(), claim.now.into(), left.saturating_add(1).into()],
            due,
        )?;
        if rows.len() > left as usize {
            next = Some(claim.now);
            rows.truncate(left as usize);
            if left > 0 {
                let mut fair = turns_in(tx, claim, destination, priority, left, &mut turn)?;
                let known: HashSet<(i64, u32)> = fair.iter().map(|r| (r.acceptance, r.number)).collect();
                rows.retain(|r| !known.contains(&(r.acceptance, r.number)));
                rows.truncate((left as usize).saturating_sub(fair.len()));
                fair.append(&mut rows);
                rows = fair;
            }
        }
        found.append(&mut rows);
        let later = tx.query_row(
            "SELECT min(due_at) FROM recipient WHERE state = 0 AND lane = 1 AND destination = ?1 AND priority = ?2 AND due_at > ?3",
            &[destination.into(), priority.into(), claim.now.into()],
            |row| row.opt_i64(0),
        )?;
        next = next.into_iter().chain(later.flatten()).min();
    }
    Ok(Found {
        destination: Arc::clone(&ask.destination),
        work: lease_in(tx, claim, found)?,
        next_due: next,
        turn,
    })
}

/// Up to `limit` due rows, the same share for each of the senders who come after `turn`, round and round.
fn turns_in(
    tx: &Transaction<'_>,
    claim: &Claim,
    destination: &str,
    priority: i64,
    limit: u32,
    turn: &mut i64,
) -> db::Result<Vec<Due>> {
    let mut senders: Vec<i64> = Vec::new();
    let mut from = *turn;
    while senders.len() < TURNS.min(limit) as usize {
        let next = tx.query_row(
            "SELECT min(sender) FROM recipient
             WHERE state = 0 AND lane = 1 AND lease_until = 0 AND destination = ?1 AND priority = ?2 AND sender > ?3",
            &[destination.into(), priority.into(), from.into()],
            |row| row.opt_i64(0),
        )?;
        match next.flatten() {
            Some(sender) if senders.contains(&sender) => break,
            Some(sender) => {
                senders.push(sender);
                from = sender;
            }
            None if from < 0 => break,
            None => from = -1,
        }
    }
    let share = limit.div_ceil(u32::try_from(senders.len().max(1)).unwrap_or(1));
    let mut found = Vec::new();
    for sender in senders {
        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        found.extend(tx.query_all(
            &format!(
                "{DUE} WHERE state = 0 AND lane = 1 AND lease_until = 0 AND destination = ?1 AND priority = ?2 AND sender = ?3
                    AND due_at <= ?4 ORDER BY due_at LIMIT ?5"
            ),
            &[
                destination.into(),
                priority.into(),
                sender.into(),
                claim.now.into(),
                share.min(left).into(),
            ],
            due,
        )?);
        *turn = sender;
    }
    Ok(found)
}

/// Leases recipients of a destination whose lifetime began at or before `expired`, or who are to be told that it is late: began at or before
/// `late`, and not told. Also where their own time has not come: their destination's would come first.
pub(crate) fn claim_aged_in(
    tx: &Transaction<'_>,
    claim: &Claim,
    destination: &str,
    expired: i64,
    late: Option<i64>,
    limit: u32,
) -> db::Result<Vec<Work>> {
    let found = tx.query_all(
        &format!(
            "{DUE} WHERE state = 0 AND lane = 1 AND destination = ?1 AND lease_until <= ?2
                AND (queued_at <= ?3 OR (delay_told = 0 AND queued_at <= ?4))
             ORDER BY acceptance, number LIMIT ?5"
        ),
        &[
            destination.into(),
            claim.now.into(),
            expired.into(),
            late.unwrap_or(i64::MIN).into(),
            limit.into(),
        ],
        due,
    )?;
    lease_in(tx, claim, found)
}

/// Leases these recipients as far as they are open and nobody has them: for an administrator's order.
pub(crate) fn claim_these_in(
    tx: &Transaction<'_>,
    claim: &Claim,
    keys: &[(AcceptanceId, u32)],
) -> db::Result<Vec<Work>> {
    let mut found = Vec::with_capacity(keys.len());
    for (id, number) in keys {
        found.extend(tx.query_row(
            &format!("{DUE} WHERE acceptance = ?1 AND number = ?2 AND state <> 1 AND lease_until <= ?3"),
            &[id.0.into(), (*number).into(), claim.now.into()],
            due,
        )?);
    }
    lease_in(tx, claim, found)
}

fn lease_in(tx: &Transaction<'_>, claim: &Claim, found: Vec<Due>) -> db::Result<Vec<Work>> {
    let mut messages: HashMap<i64, Stored> = HashMap::new();
    let mut destinations: HashMap<String, Arc<str>> = HashMap::new();
    let mut work = Vec::with_capacity(found.len());
    for row in found {
        tx.execute(
            "UPDATE recipient SET lease_holder = ?3, lease_until = ?4 WHERE acceptance = ?1 AND number = ?2",
            &[
                row.acceptance.into(),
                row.number.into(),
                claim.lease.0.into(),
                claim.lease_until.into(),
            ],
        )?;
        if let std::collections::hash_map::Entry::Vacant(entry) = messages.entry(row.acceptance)
            && let Some(found) = acceptance_in(tx, AcceptanceId(row.acceptance))?
        {
            entry.insert(found);
        }
        let Some(message) = messages.get(&row.acceptance) else {
            // The audit names it; here nothing can be done about it.
            continue;
        };
        let destination = row.destination.unwrap_or_default();
        let destination = match destinations.get(&destination) {
            Some(known) => Arc::clone(known),
            None => {
                let shared: Arc<str> = destination.as_str().into();
                destinations.insert(destination, Arc::clone(&shared));
                shared
            }
        };
        work.push(Work {
            acceptance: Arc::clone(&message.acceptance),
            blob: message.blob,
            size: message.size,
            bytes: None,
            number: row.number,
            parent: row.parent,
            address: row.address,
            original: row.original,
            notify: row.notify,
            destination,
            queued_at: row.queued_at,
            delay_told: row.delay_told,
            attempts: row.attempts,
            lease: claim.lease,
            lease_until: claim.lease_until,
        });
    }
    Ok(work)
}
