//! Rows into values: the statements that read acceptances and open recipients.

use crate::{Acceptance, AcceptanceId, Lane, Work};
use blobs::BlobId;
use db::{AccountId, Row, Transaction};
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) struct Stored {
    pub(crate) acceptance: Arc<Acceptance>,
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    pub(crate) recipients: u32,
}

const COLUMNS: &str = "SELECT id, received_at, sender, blob, size, recipients, protocol, listener, client, helo, tls, login, envid, ret, \
     body, smtputf8, session, message_id, notes, parent, parent_number FROM acceptance";

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

/// Leases up to `limit` due recipients of a lane: not leased, or leased to somebody who is gone, or for too long.
pub(crate) fn claim_in(
    tx: &Transaction<'_>,
    holder: i64,
    lane: Lane,
    now: i64,
    lease_until: i64,
    limit: u32,
) -> db::Result<Vec<Work>> {
    struct Due {
        acceptance: i64,
        number: u32,
        parent: Option<u32>,
        address: String,
        original: Option<String>,
        attempts: u32,
    }
    let due = tx.query_all(
        "SELECT acceptance, number, parent, address, original, attempts FROM recipient
         WHERE state = 0 AND lane = ?1 AND due_at <= ?2 AND (lease_holder <> ?3 OR lease_until <= ?2) ORDER BY due_at LIMIT ?4",
        &[lane.number().into(), now.into(), holder.into(), limit.into()],
        |row| {
            Ok(Due {
                acceptance: row.i64(0)?,
                number: row.u32(1)?,
                parent: row.opt_i64(2)?.and_then(|n| u32::try_from(n).ok()),
                address: row.text(3)?.to_owned(),
                original: row.opt_text(4)?.map(str::to_owned),
                attempts: row.u32(5)?,
            })
        },
    )?;
    let mut messages: HashMap<i64, Stored> = HashMap::new();
    let mut work = Vec::with_capacity(due.len());
    for row in due {
        tx.execute(
            "UPDATE recipient SET lease_holder = ?3, lease_until = ?4 WHERE acceptance = ?1 AND number = ?2",
            &[
                row.acceptance.into(),
                row.number.into(),
                holder.into(),
                lease_until.into(),
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
        work.push(Work {
            acceptance: Arc::clone(&message.acceptance),
            blob: message.blob,
            size: message.size,
            bytes: None,
            number: row.number,
            parent: row.parent,
            address: row.address,
            original: row.original,
            attempts: row.attempts,
            lease_until,
        });
    }
    Ok(work)
}
