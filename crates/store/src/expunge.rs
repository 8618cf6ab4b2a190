//! Taking messages away.

use crate::account::{Account, Draft};
use crate::message::runs;
use crate::seen;
use crate::{AccountId, ContentId, Flags, MailboxId, Message, ModSeq, Result, Uid};
use db::{Durability, Transaction};

/// What EXPUNGE took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expunged {
    /// UIDs, ascending.
    pub uids: Vec<Uid>,
    /// When.
    pub modseq: ModSeq,
}

impl Account {
    /// EXPUNGE (RFC 9051 §6.4.3), UID EXPUNGE (RFC 4315 §2.1) with `among` (ascending): takes away what is `\Deleted`.
    pub fn message_expunge(&self, mailbox: MailboxId, among: Option<&[Uid]>) -> Result<Expunged> {
        let mut state = self.lock();
        let snapshot = self.snapshot(&mut state, mailbox)?;
        let mut positions = Vec::new();
        let mut gone: Vec<Message> = Vec::new();
        let mut consider = |position: usize, message: &Message| {
            if message.flags.contains(Flags::DELETED) {
                positions.push(position);
                gone.push(*message);
            }
        };
        match among {
            None => {
                for stretch in snapshot.stretches().filter(|s| s.summary.any.contains(Flags::DELETED)) {
                    (stretch.start..)
                        .zip(stretch.messages)
                        .for_each(|(position, message)| consider(position, message));
                }
            }
            Some(uids) => {
                for (p, m) in uids
                    .iter()
                    .filter_map(|u| snapshot.position(*u))
                    .filter_map(|p| Some((p, snapshot.at(p)?)))
                {
                    consider(p, m);
                }
            }
        }
        if gone.is_empty() {
            return Ok(Expunged {
                uids: Vec::new(),
                modseq: snapshot.highest_modseq,
            });
        }
        let account = self.id();
        let modseq = self.change(&mut state, Durability::Deferred, |tx, draft| {
            let modseq = take_in(tx, account, draft, mailbox, &gone)?;
            contents_drop_in(tx, account, &gone)?;
            Ok(modseq)
        })?;
        state.publish(mailbox, |snapshot| snapshot.remove(&positions));
        Ok(Expunged {
            uids: gone.iter().map(|m| m.uid).collect(),
            modseq,
        })
    }

    /// UIDs that were taken away after a modification sequence, in runs that may overlap: what QRESYNC tells (RFC 7162 §3.2.5). `None`:
    /// there are more than `most` runs.
    pub fn message_expunged(&self, mailbox: MailboxId, since: ModSeq, most: usize) -> Result<Option<Vec<(Uid, Uid)>>> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        let runs = self.database().read(|tx| {
            tx.query_all(
                "SELECT first, last FROM expunged WHERE account = ?1 AND mailbox = ?2 AND modseq > ?3 LIMIT ?4",
                &[self.id().0.into(), mailbox.into(), since.into(), limit.into()],
                |row| Ok((Uid(row.u32(0)?), Uid(row.u32(1)?))),
            )
        })?;
        Ok((runs.len() <= most).then_some(runs))
    }
}

/// Drops what messages said that no other message says.
pub(crate) fn contents_drop_in(tx: &Transaction<'_>, account: AccountId, gone: &[Message]) -> db::Result<()> {
    for message in gone {
        content_remove_in(tx, account, message.content)?;
    }
    Ok(())
}

/// Takes a content away if no message has it any more.
pub(crate) fn content_remove_in(tx: &Transaction<'_>, account: AccountId, content: ContentId) -> db::Result<()> {
    let removed = tx.execute(
        "DELETE FROM content WHERE account = ?1 AND id = ?2
            AND NOT EXISTS (SELECT 1 FROM message WHERE account = ?1 AND content = ?2)",
        &[account.0.into(), content.into()],
    )?;
    if removed > 0 {
        tx.execute(
            "DELETE FROM content_fields WHERE account = ?1 AND id = ?2",
            &[account.0.into(), content.into()],
        )?;
    }
    Ok(())
}

/// Takes message rows (ascending) out of a mailbox and remembers that they were there. Their contents are left.
pub(crate) fn take_in(
    tx: &Transaction<'_>,
    account: AccountId,
    draft: &mut Draft<'_>,
    mailbox: MailboxId,
    messages: &[Message],
) -> db::Result<ModSeq> {
    let modseq = draft.next_modseq();
    if let Some(m) = draft.mailbox(mailbox) {
        for message in messages {
            m.count(message, false);
        }
        m.highest_modseq = modseq;
    }
    let seen_own = draft.mailbox(mailbox).is_some_and(|m| m.sharing.seen_own);
    for (first, last) in runs(messages.iter().map(|m| m.uid)) {
        if seen_own {
            seen::forget_in(tx, account, mailbox, first, last)?;
        }
        tx.execute(
            "DELETE FROM message WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
            &[account.0.into(), mailbox.into(), first.into(), last.into()],
        )?;
        tx.execute(
            "INSERT INTO expunged (account, mailbox, modseq, first, last) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                account.0.into(),
                mailbox.into(),
                modseq.into(),
                first.into(),
                last.into(),
            ],
        )?;
    }
    Ok(modseq)
}
