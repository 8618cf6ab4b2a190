//! Taking messages away.

use crate::account::{Account, Draft, State};
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
        let deleted;
        let among = match among {
            Some(uids) => uids,
            None => {
                let mut state = self.lock();
                let snapshot = self.snapshot(&mut state, mailbox)?;
                let stretches = snapshot.stretches().filter(|s| s.summary.any.contains(Flags::DELETED));
                let messages = stretches.flat_map(|stretch| stretch.messages);
                deleted = messages
                    .filter(|message| message.flags.contains(Flags::DELETED))
                    .map(|message| message.uid)
                    .collect::<Vec<Uid>>();
                deleted.as_slice()
            }
        };
        let mut expunged = Expunged::default();
        self.in_chunks(among, |state, chunk| {
            self.expunge_chunk(state, mailbox, chunk, &mut expunged)
        })?;
        Ok(expunged)
    }

    fn expunge_chunk(
        &self,
        state: &mut State,
        mailbox: MailboxId,
        uids: &[Uid],
        expunged: &mut Expunged,
    ) -> Result<()> {
        let snapshot = self.snapshot(state, mailbox)?;
        let (positions, gone): (Vec<usize>, Vec<Message>) = uids
            .iter()
            .filter_map(|uid| snapshot.position(*uid))
            .filter_map(|position| Some((position, *snapshot.at(position)?)))
            .filter(|(_, message)| message.flags.contains(Flags::DELETED))
            .unzip();
        expunged.modseq = snapshot.highest_modseq;
        if gone.is_empty() {
            return Ok(());
        }
        let account = self.id();
        expunged.modseq = self.change(state, Durability::Deferred, |tx, draft| {
            let modseq = take_in(tx, account, draft, mailbox, &gone)?;
            contents_drop_in(tx, account, gone.iter().map(|message| message.content))?;
            Ok(modseq)
        })?;
        state.publish(mailbox, |snapshot| snapshot.remove(&positions));
        expunged.uids.extend(gone.iter().map(|message| message.uid));
        Ok(())
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

/// Drops contents that no message has any more.
pub(crate) fn contents_drop_in(
    tx: &Transaction<'_>,
    account: AccountId,
    contents: impl IntoIterator<Item = ContentId>,
) -> db::Result<()> {
    let mut contents: Vec<ContentId> = contents.into_iter().collect();
    contents.sort_unstable();
    contents.dedup();
    // Contents that came one after the other mostly go together.
    let neighbours = contents.chunk_by(|a, b| b.0 - a.0 == 1);
    for (first, last) in neighbours.filter_map(|run| Some((*run.first()?, *run.last()?))) {
        let run = [account.0.into(), first.into(), last.into()];
        let removed = tx.execute(
            "DELETE FROM content WHERE account = ?1 AND id BETWEEN ?2 AND ?3
                AND NOT EXISTS (SELECT 1 FROM message WHERE message.account = ?1 AND message.content = content.id)",
            &run,
        )?;
        if removed > 0 {
            tx.execute(
                "DELETE FROM content_fields WHERE account = ?1 AND id BETWEEN ?2 AND ?3
                    AND NOT EXISTS (SELECT 1 FROM content WHERE content.account = ?1 AND content.id = content_fields.id)",
                &run,
            )?;
        }
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
