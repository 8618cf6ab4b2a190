//! Delivery. The ledger may order the same delivery again after a crash; the key (acceptance, recipient) makes that harmless.

use crate::account::Account;
use crate::message::{Fresh, add_in};
use crate::{MailboxId, NewMessage, Result, Uid};
use db::Durability;

/// One message for one recipient of an acceptance.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The ledger's id of the acceptance.
    pub acceptance: i64,
    /// The recipient's number in it.
    pub recipient: u32,
    /// Where it is to go; INBOX takes it when that mailbox is gone.
    pub mailbox: MailboxId,
    /// The message.
    pub message: NewMessage<'a>,
}

/// Where a delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The message.
    pub uid: Uid,
    /// Whether an earlier order had put it there already.
    pub before: bool,
}

impl Account {
    /// Delivers, all in one transaction. Not durable, and not shown to anybody, until [`sync`](Self::sync) has returned.
    pub fn deliver(&self, arrivals: &[Arrival<'_>]) -> Result<Vec<Delivered>> {
        let mut state = self.lock();
        let account = self.id();
        let inbox = state.rows.mailboxes.values().find(|m| m.name == "INBOX").map(|m| m.id);
        let (delivered, fresh) = self.change(&mut state, Durability::Deferred, |tx, draft| {
            let mut delivered = Vec::with_capacity(arrivals.len());
            let mut fresh = Fresh::new();
            for arrival in arrivals {
                let known = tx.query_row(
                    "SELECT mailbox, uid FROM arrival WHERE account = ?1 AND acceptance = ?2 AND recipient = ?3",
                    &[account.0.into(), arrival.acceptance.into(), arrival.recipient.into()],
                    |row| {
                        Ok(Delivered {
                            mailbox: MailboxId(row.u32(0)?),
                            uid: Uid(row.u32(1)?),
                            before: true,
                        })
                    },
                )?;
                if let Some(known) = known {
                    delivered.push(known);
                    continue;
                }
                let mailbox = match (draft.mailbox(arrival.mailbox), inbox) {
                    (None, Some(inbox)) => inbox,
                    _ => arrival.mailbox,
                };
                let Some(row) = add_in(tx, account, draft, mailbox, &arrival.message)? else {
                    return Err(db::Error::Engine {
                        file: self.database().path().to_path_buf(),
                        reason: "the account has no INBOX".into(),
                    });
                };
                tx.execute(
                    "INSERT INTO arrival (account, acceptance, recipient, mailbox, uid) VALUES (?1, ?2, ?3, ?4, ?5)",
                    &[
                        account.0.into(),
                        arrival.acceptance.into(),
                        arrival.recipient.into(),
                        mailbox.into(),
                        row.uid.into(),
                    ],
                )?;
                fresh.entry(mailbox).or_default().push(row);
                delivered.push(Delivered {
                    mailbox,
                    uid: row.uid,
                    before: false,
                });
            }
            Ok((delivered, fresh))
        })?;
        for (mailbox, messages) in fresh {
            state.publish_when_synced(mailbox, messages);
        }
        Ok(delivered)
    }

    /// Forgets deliveries of acceptances below an id: the ledger's history does not reach back so far.
    pub fn arrivals_forget(&self, before: i64) -> Result<()> {
        let mut state = self.lock();
        let account = self.id().0;
        self.change(&mut state, Durability::Deferred, |tx, _| {
            tx.execute(
                "DELETE FROM arrival WHERE account = ?1 AND acceptance < ?2",
                &[account.into(), before.into()],
            )?;
            tx.execute(
                "DELETE FROM script_decision WHERE account = ?1 AND acceptance < ?2",
                &[account.into(), before.into()],
            )?;
            Ok(())
        })
    }
}
