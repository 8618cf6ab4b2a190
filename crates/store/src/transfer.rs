//! COPY and MOVE within an account: the content is shared, only a row is made.

use crate::account::{Account, Draft, State};
use crate::message::place_in;
use crate::{AccountId, Error, MailboxId, Message, Quota, Result, Uid, Usage, expunge};
use db::{Durability, Transaction};

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
    pub fn message_copy(&self, from: MailboxId, uids: &[Uid], to: MailboxId, quota: Quota) -> Result<Copied> {
        let mut copied = Copied::default();
        self.transfer(&mut self.lock(), from, uids, to, Way::Copy { quota }, &mut copied)?;
        Ok(copied)
    }

    /// MOVE (RFC 6851 §3.1): as copy, and gone from where they were in the same transaction. A large set goes in chunks: on an error, what
    /// is said to have gone has, and the rest is where it was.
    pub fn message_move(&self, from: MailboxId, uids: &[Uid], to: MailboxId) -> (Copied, Result<()>) {
        let mut moved = Copied::default();
        let result = self.in_chunks(uids, |state, chunk| {
            self.transfer(state, from, chunk, to, Way::Move, &mut moved)
        });
        (moved, result)
    }

    fn transfer(
        &self,
        state: &mut State,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        way: Way,
        done: &mut Copied,
    ) -> Result<()> {
        done.uid_validity = state.rows.mailboxes.get(&to).ok_or(Error::NoMailbox)?.uid_validity;
        let snapshot = self.snapshot(state, from)?;
        let mut seeker = snapshot.seek();
        let (positions, messages): (Vec<usize>, Vec<Message>) = uids
            .iter()
            .filter_map(|uid| seeker.uid(*uid))
            .map(|(position, message)| (position, *message))
            .unzip();
        if let Way::Copy { quota } = way {
            quota.room(state.usage(), Usage::of(messages.iter().map(|m| u64::from(m.size))))?;
        }
        if messages.is_empty() {
            return Ok(());
        }
        self.view_if_empty(state, to);
        let account = self.id();
        let added = self.change(state, Durability::Synced, |tx, draft| {
            let added = copy_in(tx, account, draft, from, &messages, to)?;
            if way == Way::Move {
                expunge::take_in(tx, account, draft, from, &messages)?;
            }
            Ok(added)
        })?;
        if way == Way::Move {
            state.publish(from, |snapshot| {
                // Within one mailbox the new messages come after the old ones, whose positions still hold.
                snapshot.remove(&positions);
            });
        }
        state.publish(to, |snapshot| snapshot.append(&added));
        done.from.extend(messages.iter().map(|m| m.uid));
        done.to.extend(added.iter().map(|m| m.uid));
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Copy { quota: Quota },
    Move,
}

/// Makes rows in another mailbox for messages whose UIDs ascend; neighbours by one statement.
fn copy_in(
    tx: &Transaction<'_>,
    account: AccountId,
    draft: &mut Draft<'_>,
    from: MailboxId,
    messages: &[Message],
    to: MailboxId,
) -> db::Result<Vec<Message>> {
    let mut added: Vec<Message> = Vec::with_capacity(messages.len());
    for run in messages.chunk_by(|a, b| b.uid.0 - a.uid.0 == 1) {
        let begin = added.len();
        for message in run {
            let Some(row) = place_in(draft, to, *message) else {
                return Ok(added);
            };
            added.push(row);
        }
        if let (Some(first), Some(last), Some(there)) = (run.first(), run.last(), added.get(begin)) {
            // A message keeps its distance from the first of the run, in UIDs as in modification sequences.
            tx.execute(
                "INSERT INTO message (account, mailbox, uid, content, flags, modseq, received, size, saved)
                 SELECT account, ?5, uid - ?3 + ?6, content, flags, uid - ?3 + ?7, received, size, ?8
                 FROM message WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
                &[
                    account.0.into(),
                    from.into(),
                    first.uid.into(),
                    last.uid.into(),
                    to.into(),
                    there.uid.into(),
                    there.modseq.into(),
                    crate::mailbox::now().into(),
                ],
            )?;
        }
    }
    Ok(added)
}
