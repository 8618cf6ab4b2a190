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
        let mut seeker = snapshot.seek();
        let (positions, gone): (Vec<usize>, Vec<Message>) = uids
            .iter()
            .filter_map(|uid| seeker.uid(*uid))
            .map(|(position, message)| (position, *message))
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
    let Some(newest) = contents.last().copied() else {
        return Ok(());
    };
    // The newest content tells which id is given next, as long as it is there: see `Draft::save_in`.
    tx.execute(
        "UPDATE account_state SET next_content = 1 + COALESCE(
            (SELECT id FROM content WHERE content.account = ?1 ORDER BY id DESC LIMIT 1), ?2)
         WHERE account = ?1 AND next_content <= ?2",
        &[account.0.into(), newest.into()],
    )?;
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
    let mut kept = 0u64;
    for (first, last) in runs(messages.iter().map(|m| m.uid)) {
        if seen_own {
            seen::forget_in(tx, account, mailbox, first, last)?;
        }
        tx.execute(
            "DELETE FROM message WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
            &[account.0.into(), mailbox.into(), first.into(), last.into()],
        )?;
        run_note_in(tx, account, mailbox, (first, last), modseq)?;
        kept += 1;
    }
    // Counting walks over all of them, so it is done now and then.
    if modseq.0.is_multiple_of(LOOK_EVERY) || kept >= LOOK_EVERY {
        let left = draft.mailbox(mailbox).map_or(0, |m| i64::from(m.messages));
        runs_join_in(tx, account, mailbox, left)?;
    }
    Ok(modseq)
}

/// Remembers that a run of UIDs was taken away.
fn run_note_in(
    tx: &Transaction<'_>,
    account: AccountId,
    mailbox: MailboxId,
    (first, last): (Uid, Uid),
    modseq: ModSeq,
) -> db::Result<()> {
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
    Ok(())
}

/// Changes after which it is looked whether too many runs are kept.
const LOOK_EVERY: u64 = 256;
/// Runs that are kept in any case.
const RUNS_KEPT: i64 = 10_000;
/// The newest of them, which are never joined: clients that come back often are told of these alone.
const RUNS_NEWEST: i64 = 1_000;

/// Joins runs that touch each other, where there are many. No UID comes to them or goes; some seem to have been taken away later than they
/// were, which tells a client of them once more (RFC 7162 §3.2.5.1 allows it). What cannot be joined has a message between, so that a mailbox
/// never has many more runs than messages.
fn runs_join_in(tx: &Transaction<'_>, account: AccountId, mailbox: MailboxId, messages: i64) -> db::Result<()> {
    let of = [account.0.into(), mailbox.into()];
    let count = "SELECT count(*) FROM expunged WHERE account = ?1 AND mailbox = ?2";
    let count = tx.query_row(count, &of, |row| row.i64(0))?.unwrap_or(0);
    if count <= RUNS_KEPT.saturating_add(messages.saturating_mul(2)) {
        return Ok(());
    }
    let upto = tx.query_row(
        "SELECT modseq FROM expunged WHERE account = ?1 AND mailbox = ?2 ORDER BY modseq DESC LIMIT 1 OFFSET ?3",
        &[account.0.into(), mailbox.into(), RUNS_NEWEST.into()],
        |row| row.i64(0),
    )?;
    let old = [account.0.into(), mailbox.into(), upto.unwrap_or(0).into()];
    let rows = tx.query_all(
        "SELECT first, last, modseq FROM expunged WHERE account = ?1 AND mailbox = ?2 AND modseq <= ?3 ORDER BY first",
        &old,
        |row| Ok((Uid(row.u32(0)?), Uid(row.u32(1)?), ModSeq(row.u64(2)?))),
    )?;
    let mut joined: Vec<(Uid, Uid, ModSeq)> = Vec::new();
    for (first, last, modseq) in rows {
        match joined.last_mut() {
            Some(run) if first.0 <= run.1.0.saturating_add(1) => *run = (run.0, run.1.max(last), run.2.max(modseq)),
            _ => joined.push((first, last, modseq)),
        }
    }
    tx.execute(
        "DELETE FROM expunged WHERE account = ?1 AND mailbox = ?2 AND modseq <= ?3",
        &old,
    )?;
    for (first, last, modseq) in joined {
        run_note_in(tx, account, mailbox, (first, last), modseq)?;
    }
    Ok(())
}
