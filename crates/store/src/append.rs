//! Several messages at once, all of them or none (MULTIAPPEND, RFC 3502), and one in the place of another (REPLACE, RFC 8508).

use crate::account::Account;
use crate::message::{MAX_MESSAGE_BYTES, add_in};
use crate::{Error, Fresh, MailboxId, Message, ModSeq, NewMessage, Quota, Result, Uid, Usage, expunge, fresh};
use db::Durability;

/// Where messages went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedAll {
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: u32,
    /// The messages' UIDs, ascending.
    pub uids: Vec<Uid>,
    /// When the last change was made.
    pub modseq: ModSeq,
}

impl Account {
    /// Adds messages in one transaction; durable when it returns. Their bytes are on disk already, or come in `fresh`, one for each message,
    /// and are kept beside the rows until they are. With `replace`, a message of that mailbox is expunged in the same
    /// transaction, and does not count against `quota`, the most that the account may hold.
    pub fn messages_append(
        &self,
        mailbox: MailboxId,
        messages: &[NewMessage<'_>],
        fresh: Vec<Fresh>,
        replace: Option<(MailboxId, Uid)>,
        quota: Quota,
    ) -> Result<AppendedAll> {
        let mut state = self.lock();
        let uid_validity = state.rows.mailboxes.get(&mailbox).ok_or(Error::NoMailbox)?.uid_validity;
        if messages.iter().any(|message| message.size() > MAX_MESSAGE_BYTES) {
            return Err(Error::Limit("a message has at most 4 GiB"));
        }
        let mut old: Option<(MailboxId, usize, Message)> = None;
        if let Some((from, uid)) = replace {
            let snapshot = self.snapshot(&mut state, from)?;
            let position = snapshot.position(uid).ok_or(Error::NoContent(uid.0))?;
            let message = snapshot.at(position).ok_or(Error::NoContent(uid.0))?;
            old = Some((from, position, *message));
        }
        let mut used = state.usage();
        if let Some((_, _, message)) = old {
            used.bytes = used.bytes.saturating_sub(u64::from(message.size));
            used.messages = used.messages.saturating_sub(1);
        }
        quota.room(used, Usage::of(messages.iter().map(NewMessage::size)))?;
        let account = self.id();
        let places = state.fresh.take(&fresh);
        let changed = self.change(&mut state, Durability::Synced, |tx, draft| {
            let mut rows = Vec::with_capacity(messages.len());
            for (at, message) in messages.iter().enumerate() {
                let row = add_in(tx, account, draft, mailbox, message)?;
                if let (Some(row), Some(fresh), Some(place)) = (&row, fresh.get(at), places.get(at)) {
                    fresh::keep_in(tx, account, *place, row.content, &fresh.bytes)?;
                }
                rows.extend(row);
            }
            let mut modseq = rows.last().map_or(ModSeq(0), |row: &Message| row.modseq);
            if let Some((from, _, message)) = &old {
                modseq = expunge::take_in(tx, account, draft, *from, std::slice::from_ref(message))?;
                expunge::contents_drop_in(tx, account, [message.content])?;
            }
            Ok((rows, modseq))
        });
        let (rows, modseq) = match changed {
            Ok(changed) => changed,
            Err(error) => {
                state.fresh.give_back(&places);
                return Err(error);
            }
        };
        for ((row, fresh), place) in rows.iter().zip(fresh).zip(places) {
            state.fresh.add(place, row.content, fresh);
        }
        if let Some((from, position, _)) = old {
            // Within one mailbox the new message comes after the old one, whose position still holds.
            state.publish(from, |snapshot| snapshot.remove(&[position]));
        }
        state.publish(mailbox, |snapshot| snapshot.append(&rows));
        Ok(AppendedAll {
            uid_validity,
            uids: rows.iter().map(|row| row.uid).collect(),
            modseq,
        })
    }
}
