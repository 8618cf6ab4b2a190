//! Taking messages away by name, whatever their flags: what POP3's QUIT does (RFC 1939 §6).

use crate::account::Account;
use crate::expunge::take_in;
use crate::{MailboxId, Message, Result, Uid};
use db::Durability;

impl Account {
    /// Takes away those of `uids` (ascending) that are still there, all in one transaction that is on disk when this returns; gives how many.
    pub fn message_remove(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<usize> {
        let mut state = self.lock();
        let snapshot = self.snapshot(&mut state, mailbox)?;
        let positions: Vec<usize> = uids.iter().filter_map(|uid| snapshot.position(*uid)).collect();
        let gone: Vec<Message> = positions.iter().filter_map(|at| snapshot.at(*at)).copied().collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let account = self.id();
        self.change(&mut state, Durability::Synced, |tx, draft| {
            take_in(tx, account, draft, mailbox, &gone)?;
            for message in &gone {
                tx.execute(
                    "DELETE FROM content WHERE account = ?1 AND id = ?2
                        AND NOT EXISTS (SELECT 1 FROM message WHERE account = ?1 AND content = ?2)",
                    &[account.0.into(), message.content.into()],
                )?;
            }
            Ok(())
        })?;
        state.publish(mailbox, |snapshot| snapshot.remove(&positions));
        Ok(gone.len())
    }
}
