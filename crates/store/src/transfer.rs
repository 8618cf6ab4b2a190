//! COPY and MOVE within an account: the content is shared, only a row is made.

use crate::account::Account;
use crate::message::insert_in;
use crate::{Error, MailboxId, Message, Result, Uid, expunge};
use db::Durability;

/// Where messages went (COPYUID, RFC 4315 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the mailbox they went to.
    pub uid_validity: u32,
    /// UIDs in the mailbox they came from, ascending.
    pub from: Vec<Uid>,
    /// Their UIDs there, in the same order.
    pub to: Vec<Uid>,
}

impl Account {
    /// COPY (RFC 9051 §6.4.7): all of them or, on an error, none. UIDs ascend; those that are not there are passed over.
    pub fn message_copy(&self, from: MailboxId, uids: &[Uid], to: MailboxId, quota: Option<u64>) -> Result<Copied> {
        self.transfer(from, uids, to, false, quota)
    }

    /// MOVE (RFC 6851 §3.1): as copy, and gone from where they were in the same transaction.
    pub fn message_move(&self, from: MailboxId, uids: &[Uid], to: MailboxId) -> Result<Copied> {
        self.transfer(from, uids, to, true, None)
    }

    fn transfer(&self, from: MailboxId, uids: &[Uid], to: MailboxId, away: bool, quota: Option<u64>) -> Result<Copied> {
        let mut state = self.lock();
        let uid_validity = state.rows.mailboxes.get(&to).ok_or(Error::NoMailbox)?.uid_validity;
        let snapshot = self.snapshot(&mut state, from)?;
        let (positions, messages): (Vec<usize>, Vec<Message>) = uids
            .iter()
            .filter_map(|uid| snapshot.position(*uid))
            .filter_map(|p| Some((p, *snapshot.at(p)?)))
            .unzip();
        if let Some(limit) = quota {
            let used: u64 = state.rows.mailboxes.values().map(|m| m.size).sum();
            if used + messages.iter().map(|m| u64::from(m.size)).sum::<u64>() > limit {
                return Err(Error::OverQuota { used, limit });
            }
        }
        if messages.is_empty() {
            return Ok(Copied {
                uid_validity,
                ..Copied::default()
            });
        }
        self.view_if_empty(&mut state, to);
        let account = self.id();
        let added = self.change(&mut state, Durability::Synced, |tx, draft| {
            let mut added: Vec<Message> = Vec::with_capacity(messages.len());
            for message in &messages {
                added.extend(insert_in(tx, account, draft, to, *message)?);
            }
            if away {
                expunge::take_in(tx, account, draft, from, &messages)?;
            }
            Ok(added)
        })?;
        if away {
            state.publish(from, |snapshot| {
                // Within one mailbox the new messages come after the old ones, whose positions still hold.
                snapshot.remove(&positions);
            });
        }
        state.publish(to, |snapshot| snapshot.append(&added));
        Ok(Copied {
            uid_validity,
            from: messages.iter().map(|m| m.uid).collect(),
            to: added.iter().map(|m| m.uid).collect(),
        })
    }
}
