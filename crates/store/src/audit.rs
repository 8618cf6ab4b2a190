//! What `audit` and `verify` ask of an account.

use crate::account::Account;
use crate::{MailboxId, Result, Uid};
use blobs::BlobId;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalState {
    /// The message is where it was put.
    Present,
    /// The user took it away later: expunged, moved, or deleted with its mailbox.
    Gone,
    /// It was delivered and is missing without a trace.
    Missing,
    /// The account knows nothing of such a delivery.
    Unknown,
}

impl Account {
    /// What became of the deliveries of (acceptance, recipient), in their order.
    pub fn arrival_states(&self, deliveries: &[(i64, u32)]) -> Result<Vec<ArrivalState>> {
        let account = self.id().0;
        Ok(self.database().read(|tx| {
            let mut states = Vec::with_capacity(deliveries.len());
            for (acceptance, recipient) in deliveries {
                let place = tx.query_row(
                    "SELECT mailbox, uid FROM arrival WHERE account = ?1 AND acceptance = ?2 AND recipient = ?3",
                    &[account.into(), (*acceptance).into(), (*recipient).into()],
                    |row| Ok((MailboxId(row.u32(0)?), Uid(row.u32(1)?))),
                )?;
                let Some((mailbox, uid)) = place else {
                    states.push(ArrivalState::Unknown);
                    continue;
                };
                let at = [account.into(), mailbox.into(), uid.into()];
                let one = |sql: &str, values: &[db::Value<'_>]| -> db::Result<bool> {
                    Ok(tx.query_row(sql, values, |_| Ok(()))?.is_some())
                };
                states.push(
                    // What is left of a deleted mailbox may still have its rows.
                    if one("SELECT 1 FROM mailbox_deleted WHERE account = ?1 AND id = ?2", &at[..2])? {
                        ArrivalState::Gone
                    } else if one(
                        "SELECT 1 FROM message WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
                        &at,
                    )? {
                        ArrivalState::Present
                    } else if one(
                        "SELECT 1 FROM expunged WHERE account = ?1 AND mailbox = ?2 AND first <= ?3 AND last >= ?3",
                        &at,
                    )? {
                        ArrivalState::Gone
                    } else {
                        ArrivalState::Missing
                    },
                );
            }
            Ok(states)
        })?)
    }

    /// Calls `each` with the bytes every content of the account refers to, and those of messages its scripts sent.
    pub fn blob_references(&self, mut each: impl FnMut(BlobId)) -> Result<()> {
        Ok(self.database().read(|tx| {
            tx.query(
                "SELECT blob FROM content WHERE account = ?1",
                &[self.id().0.into()],
                |row| {
                    if let Ok(blob) = BlobId::try_from(row.blob(0)?) {
                        each(blob);
                    }
                    Ok(())
                },
            )?;
            tx.query(
                "SELECT blobs FROM script_decision WHERE account = ?1 AND length(blobs) > 0",
                &[self.id().0.into()],
                |row| {
                    row.blob(0)?
                        .chunks_exact(size_of::<BlobId>())
                        .filter_map(|b| BlobId::try_from(b).ok())
                        .for_each(&mut each);
                    Ok(())
                },
            )
        })?)
    }

    /// Checks the account file against itself: the engine's own check, and that every message has its content. One line a fault.
    pub fn faults(&self) -> Result<Vec<String>> {
        let mut faults = self.database().check_integrity()?;
        let account = self.id().0;
        self.database().read(|tx| {
            tx.query(
                "SELECT mailbox, uid, content FROM message WHERE account = ?1
                    AND NOT EXISTS (SELECT 1 FROM content WHERE content.account = ?1 AND content.id = message.content)",
                &[account.into()],
                |row| {
                    faults.push(format!(
                        "mailbox {} message {}: its content {} is missing",
                        row.i64(0)?,
                        row.i64(1)?,
                        row.i64(2)?
                    ));
                    Ok(())
                },
            )
        })?;
        Ok(faults)
    }
}
