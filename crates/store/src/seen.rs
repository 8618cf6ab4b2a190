//! A `\Seen` of one's own: in a mailbox that says so, what somebody else than the owner has seen is kept for him alone.
//!
//! Such a reader has a snapshot of his own, in which `\Seen` is his and all else is everybody's. What he has seen raises the mailbox's
//! modification sequence like any change, so that his other programs hear of it by CONDSTORE; everybody else sees nothing of it.

use crate::account::{Account, State, View};
use crate::{
    AccountId, Error, FlagChange, Flagged, Flags, Mailbox, MailboxId, ModSeq, OpenMailbox, Result, Snapshot, Uid,
};
use db::{Durability, Transaction};
use std::sync::{Arc, Weak};

impl Account {
    /// For whom `\Seen` is kept when an account reads a mailbox; `None`: it is the one of all.
    pub fn reader(&self, mailbox: &Mailbox, account: AccountId) -> Option<AccountId> {
        (mailbox.sharing.seen_own && account != self.id()).then_some(account)
    }

    /// Opens a mailbox as a reader sees it.
    pub fn mailbox_open_as(
        &self,
        mailbox: MailboxId,
        reader: Option<AccountId>,
        claim_recent: bool,
    ) -> Result<OpenMailbox> {
        let mut open = self.mailbox_open(mailbox, claim_recent)?;
        if let Some(reader) = reader {
            let mut state = self.lock();
            open.show(self.reader_view(&mut state, mailbox, reader)?);
        }
        Ok(open)
    }

    /// How many messages a reader has not seen.
    pub fn mailbox_unseen(&self, mailbox: &Mailbox, reader: Option<AccountId>) -> Result<u32> {
        let Some(reader) = reader else {
            return Ok(mailbox.unseen);
        };
        let seen = self.database().read(|tx| {
            tx.query_row(
                "SELECT count(*) FROM seen WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 AND seen = 1",
                &[self.id().into(), mailbox.id.into(), reader.into()],
                |row| row.u32(0),
            )
        })?;
        Ok(mailbox.messages.saturating_sub(seen.unwrap_or(0)))
    }

    /// STORE by a reader; as [`message_flag`](Self::message_flag).
    pub fn message_flag_as(
        &self,
        reader: Option<AccountId>,
        mailbox: MailboxId,
        uids: &[Uid],
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Flagged> {
        let Some(reader) = reader else {
            return self.message_flag(mailbox, uids, change, unchanged_since);
        };
        let mut flagged = Flagged::default();
        self.in_chunks(uids, |state, chunk| {
            self.flag_chunk_of(state, reader, mailbox, chunk, change, unchanged_since, &mut flagged)
        })?;
        Ok(flagged)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what STORE says, for whom, and what came of it"
    )]
    fn flag_chunk_of(
        &self,
        state: &mut State,
        reader: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
        flagged: &mut Flagged,
    ) -> Result<()> {
        let snapshot = self.snapshot_as(state, mailbox, Some(reader))?;
        // Position, UID, flags before and after.
        let mut changed: Vec<(usize, Uid, Flags, Flags)> = Vec::new();
        let mut seeker = snapshot.seek();
        for uid in uids {
            let Some((position, message)) = seeker.uid(*uid) else {
                continue;
            };
            if unchanged_since.is_some_and(|since| message.modseq > since) {
                flagged.modified.push(*uid);
                continue;
            }
            let flags = change.apply(message.flags);
            if flags != message.flags {
                changed.push((position, *uid, message.flags, flags));
                flagged.changed.push(*uid);
            }
        }
        if changed.is_empty() {
            flagged.modseq = snapshot.highest_modseq;
            return Ok(());
        }
        let account = self.id();
        let turned = |before: Flags, after: Flags, flag: Flags| before.contains(flag) != after.contains(flag);
        flagged.modseq = self.change(state, Durability::Deferred, |tx, draft| {
            let modseq = draft.next_modseq();
            if let Some(m) = draft.mailbox(mailbox) {
                for (_, _, before, after) in &changed {
                    if turned(*before, *after, Flags::DELETED) {
                        m.deleted = if after.contains(Flags::DELETED) {
                            m.deleted.saturating_add(1)
                        } else {
                            m.deleted.saturating_sub(1)
                        };
                    }
                }
                m.highest_modseq = modseq;
            }
            for (_, uid, before, after) in &changed {
                if turned(*before, *after, Flags::SEEN) {
                    let seen = i64::from(after.contains(Flags::SEEN));
                    tx.execute(
                        "INSERT INTO seen (account, mailbox, reader, uid, seen, modseq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                         ON CONFLICT (account, mailbox, reader, uid) DO UPDATE SET seen = excluded.seen, modseq = excluded.modseq",
                        &[account.into(), mailbox.into(), reader.into(), (*uid).into(), seen.into(), modseq.into()],
                    )?;
                }
                if *before & !Flags::SEEN != *after & !Flags::SEEN {
                    // The bit of `\Seen` in the row is the owner's.
                    tx.execute(
                        "UPDATE message SET flags = (flags & ?5) | ?4, modseq = ?6 WHERE account = ?1 AND mailbox = ?2 AND uid = ?3",
                        &[
                            account.into(),
                            mailbox.into(),
                            (*uid).into(),
                            (*after & !Flags::SEEN).into(),
                            Flags::SEEN.into(),
                            modseq.into(),
                        ],
                    )?;
                }
            }
            Ok(modseq)
        })?;
        let modseq = flagged.modseq;
        flagged.modseqs.push(modseq);
        state.publish(mailbox, |snapshot| {
            let mine = snapshot.reader == Some(reader);
            let concerned = changed
                .iter()
                .filter(|(_, _, before, after)| mine || *before & !Flags::SEEN != *after & !Flags::SEEN);
            let flags: Vec<(usize, Flags)> = concerned.map(|(position, _, _, after)| (*position, *after)).collect();
            snapshot.flags_put(&flags, modseq, mine);
        });
        Ok(())
    }

    /// The newest snapshot of a mailbox as a reader sees it.
    pub(crate) fn snapshot_as(
        &self,
        state: &mut State,
        mailbox: MailboxId,
        reader: Option<AccountId>,
    ) -> Result<Arc<Snapshot>> {
        match reader {
            Some(reader) => Ok(self.reader_view(state, mailbox, reader)?.snapshot()),
            None => self.snapshot(state, mailbox),
        }
    }

    fn reader_view(&self, state: &mut State, mailbox: MailboxId, reader: AccountId) -> Result<Arc<View>> {
        let known = state.readers.get(&mailbox).into_iter().flatten();
        let mut known = known.filter(|(whose, _)| *whose == reader);
        if let Some(view) = known.next().and_then(|(_, view)| view.upgrade()) {
            return Ok(view);
        }
        if !state.rows.mailboxes.contains_key(&mailbox) {
            return Err(Error::NoMailbox);
        }
        let mut snapshot = Snapshot::clone(&*self.snapshot(state, mailbox)?);
        let rows = self.database().read(|tx| seen_in(tx, self.id(), mailbox, reader))?;
        snapshot.read_by(reader, &rows);
        let view = Arc::new(View::new(snapshot));
        let readers = state.readers.entry(mailbox).or_default();
        readers.retain(|(whose, view)| *whose != reader && view.strong_count() > 0);
        readers.push((reader, Arc::downgrade(&view)));
        state
            .readers
            .retain(|_, views| views.iter().any(|(_, view)| Weak::strong_count(view) > 0));
        Ok(view)
    }
}

/// What a reader has seen, by UID.
fn seen_in(
    tx: &Transaction<'_>,
    account: AccountId,
    mailbox: MailboxId,
    reader: AccountId,
) -> db::Result<Vec<(Uid, bool, ModSeq)>> {
    tx.query_all(
        "SELECT uid, seen, modseq FROM seen WHERE account = ?1 AND mailbox = ?2 AND reader = ?3 ORDER BY uid",
        &[account.into(), mailbox.into(), reader.into()],
        |row| Ok((Uid(row.u32(0)?), row.bool(1)?, ModSeq(row.u64(2)?))),
    )
}

/// What was seen of messages that are gone.
pub(crate) fn forget_in(
    tx: &Transaction<'_>,
    account: AccountId,
    mailbox: MailboxId,
    first: Uid,
    last: Uid,
) -> db::Result<()> {
    tx.execute(
        "DELETE FROM seen WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
        &[account.into(), mailbox.into(), first.into(), last.into()],
    )?;
    Ok(())
}
