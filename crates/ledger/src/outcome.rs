//! What became of rows: fates, later times, attempts.

use crate::work::{Attempt, Deferral, Lease, Settlement};
use crate::{AcceptanceId, Unreachable};
use db::Transaction;

/// Attempts of a recipient that keep their place: how it began is what people ask for.
const FIRST: u32 = 4;
/// Attempts kept in all; of those after the first, the last.
const KEPT: u32 = 20;
/// Octets of a reply that are kept: a peer may say much.
const REPLY: usize = 2000;

/// Only an open row can be settled: the first fate stands. Whether this was it.
pub(crate) fn settle_in(tx: &Transaction<'_>, s: &Settlement) -> db::Result<bool> {
    // Also where the fate was written before: that another server was given the message must not go unsaid.
    if let Some(attempt) = &s.attempt {
        attempt_in(tx, s.acceptance, s.number, attempt)?;
    }
    let rows = tx.execute(
        "UPDATE recipient SET state = 1, fate = ?3, settled_at = ?4, detail = ?5, account = ?6, mailbox = ?7, uid = ?8, lease_holder = 0,
            lease_until = 0, reason = NULL, attempts = attempts + ?9
         WHERE acceptance = ?1 AND number = ?2 AND state <> 1",
        &[
            s.acceptance.0.into(),
            s.number.into(),
            s.fate.name().into(),
            s.at.into(),
            s.detail.as_ref().into(),
            s.account.map(|a| a.0).into(),
            s.place.map(|(mailbox, _)| mailbox).into(),
            s.place.map(|(_, uid)| uid).into(),
            i64::from(s.attempt.is_some()).into(),
        ],
    )?;
    if rows == 0 {
        tracing::debug!(acceptance = %s.acceptance, number = s.number, fate = s.fate.name(), "settled before");
        if s.attempt.is_some() {
            count_in(tx, s.acceptance, s.number)?;
        }
    }
    Ok(rows > 0)
}

/// One attempt more, where nothing else is written of it.
fn count_in(tx: &Transaction<'_>, id: AcceptanceId, number: u32) -> db::Result<()> {
    tx.execute(
        "UPDATE recipient SET attempts = attempts + 1 WHERE acceptance = ?1 AND number = ?2",
        &[id.0.into(), number.into()],
    )?;
    Ok(())
}

/// Only whoever has the lease says when a row is due again; whether that was so. The attempt counts in any case: it was one.
pub(crate) fn defer_in(tx: &Transaction<'_>, d: &Deferral) -> db::Result<bool> {
    if let Some(attempt) = &d.attempt {
        attempt_in(tx, d.acceptance, d.number, attempt)?;
    }
    let rows = tx.execute(
        "UPDATE recipient SET due_at = ?3, attempts = attempts + ?6, reason = ?4, strategy = ?5,
            delay_told = CASE WHEN ?7 <> 0 THEN 1 ELSE delay_told END, lease_holder = 0, lease_until = 0
         WHERE acceptance = ?1 AND number = ?2 AND state = 0 AND lease_holder = ?8",
        &[
            d.acceptance.0.into(),
            d.number.into(),
            d.due_at.into(),
            cut(&d.reason).into(),
            d.strategy.into(),
            i64::from(d.failed).into(),
            d.delay_told.into(),
            d.lease.0.into(),
        ],
    )?;
    if rows == 0 && d.failed {
        count_in(tx, d.acceptance, d.number)?;
    }
    Ok(rows > 0)
}

/// Whether a row is still open; for a deferral: still due, and leased to whoever speaks.
pub(crate) fn is_open_in(
    tx: &Transaction<'_>,
    id: AcceptanceId,
    number: u32,
    lease: Option<Lease>,
) -> db::Result<bool> {
    let found = tx.query_row(
        "SELECT state, lease_holder FROM recipient WHERE acceptance = ?1 AND number = ?2",
        &[id.0.into(), number.into()],
        |row| Ok((row.i64(0)?, row.i64(1)?)),
    )?;
    Ok(match (found, lease) {
        (Some((state, holder)), Some(lease)) => state == 0 && holder == lease.0,
        (Some((state, _)), None) => state != 1,
        (None, _) => false,
    })
}

/// The slot follows from how many attempts there were: no row needs to be looked for or deleted.
fn attempt_in(tx: &Transaction<'_>, id: AcceptanceId, number: u32, attempt: &Attempt) -> db::Result<()> {
    tx.execute(
        "INSERT INTO attempt (acceptance, number, slot, at, host, address, tls, policy, outcome, reply)
         SELECT ?1, ?2, CASE WHEN attempts < ?10 THEN attempts ELSE ?11 + (attempts - ?11) % (?10 - ?11) END, ?3, ?4, ?5, ?6, ?7, ?8, ?9
         FROM recipient WHERE acceptance = ?1 AND number = ?2
         ON CONFLICT (acceptance, number, slot) DO UPDATE SET at = excluded.at, host = excluded.host, address = excluded.address,
            tls = excluded.tls, policy = excluded.policy, outcome = excluded.outcome, reply = excluded.reply",
        &[
            id.0.into(),
            number.into(),
            attempt.at.into(),
            (&attempt.host).into(),
            attempt.address.as_ref().into(),
            attempt.tls.as_ref().into(),
            (&attempt.policy).into(),
            attempt.outcome.into(),
            cut(&attempt.reply).into(),
            KEPT.into(),
            FIRST.into(),
        ],
    )?;
    Ok(())
}

/// Gives leases back: the rows stay due as they were.
pub(crate) fn put_back_in(tx: &Transaction<'_>, leased: &[(AcceptanceId, u32, Lease)]) -> db::Result<()> {
    for (id, number, lease) in leased {
        tx.execute(
            "UPDATE recipient SET lease_holder = 0, lease_until = 0 WHERE acceptance = ?1 AND number = ?2 AND lease_holder = ?3",
            &[id.0.into(), (*number).into(), lease.0.into()],
        )?;
    }
    Ok(())
}

/// Remembers that a destination can't be reached.
pub(crate) fn unreachable_in(tx: &Transaction<'_>, u: &Unreachable) -> db::Result<()> {
    tx.execute(
        "INSERT INTO destination (name, failures, since, failed_at, retry_at, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET failures = ?2, since = ?3, failed_at = ?4, retry_at = ?5, reason = ?6",
        &[
            u.destination.as_ref().into(),
            u.failures.into(),
            u.since.into(),
            u.failed_at.into(),
            u.retry_at.into(),
            cut(&u.reason).into(),
        ],
    )?;
    Ok(())
}

/// It can be reached again.
pub(crate) fn reachable_in(tx: &Transaction<'_>, destination: &str) -> db::Result<()> {
    tx.execute("DELETE FROM destination WHERE name = ?1", &[destination.into()])?;
    Ok(())
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(REPLY)).unwrap_or(text)
}

pub(crate) fn forget_in(tx: &Transaction<'_>, acceptance: i64) -> db::Result<()> {
    tx.execute("DELETE FROM attempt WHERE acceptance = ?1", &[acceptance.into()])?;
    tx.execute("DELETE FROM recipient WHERE acceptance = ?1", &[acceptance.into()])?;
    tx.execute("DELETE FROM acceptance WHERE id = ?1", &[acceptance.into()])?;
    Ok(())
}
