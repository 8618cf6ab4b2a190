//! Adding messages and changing their flags.

use crate::account::{Account, Draft, State};
use crate::flags::MAX_KEYWORD_BYTES;
use crate::{AccountId, Digest, Error, FlagChange, Flags, MailboxId, Message, ModSeq, Quota, Result, Uid, Usage};
use blobs::BlobId;
use db::{Durability, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message to be put into a mailbox. Its bytes are durable in `blobs` already.
#[derive(Clone, Debug)]
pub struct NewMessage<'a> {
    /// Its bytes.
    pub blob: BlobId,
    /// How many.
    pub blob_len: u64,
    /// Header lines that stand before the bytes for this account alone, each ended by CRLF.
    pub prefix: &'a [u8],
    /// What the bytes say, without the prefix.
    pub digest: &'a Digest,
    /// Flags it begins with.
    pub flags: Flags,
    /// Internal date, in seconds since 1970.
    pub received: i64,
}

impl NewMessage<'_> {
    /// Octets as they will be served.
    pub fn size(&self) -> u64 {
        self.blob_len + self.prefix.len() as u64
    }
}

/// Where an appended message went (APPENDUID, RFC 4315 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: u32,
    /// The message's UID.
    pub uid: Uid,
}

/// What a change of flags did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flagged {
    /// Messages whose flags are different now.
    pub changed: Vec<Uid>,
    /// Messages that had changed since the modification sequence given (RFC 7162 §3.1.3): they were left as they are.
    pub modified: Vec<Uid>,
    /// The last modification sequence that the changed messages got.
    pub modseq: ModSeq,
    /// All of them, ascending: large sets are changed in chunks.
    pub modseqs: Vec<ModSeq>,
}

/// Octets of all the messages that one account may keep in a single message: IMAP counts sizes in 32 bits here.
pub(crate) const MAX_MESSAGE_BYTES: u64 = u32::MAX as u64;

impl Account {
    /// APPEND (RFC 9051 §6.3.12): durable when it returns. `quota` is the most the account may hold.
    pub fn message_append(&self, mailbox: MailboxId, message: &NewMessage<'_>, quota: Quota) -> Result<Appended> {
        let mut state = self.lock();
        let uid_validity = state.rows.mailboxes.get(&mailbox).ok_or(Error::NoMailbox)?.uid_validity;
        if message.size() > MAX_MESSAGE_BYTES {
            return Err(Error::Limit("a message has at most 4 GiB"));
        }
        quota.room(state.usage(), Usage::of([message.size()]))?;
        self.view_if_empty(&mut state, mailbox);
        let id = self.id();
        let row = self.change(&mut state, Durability::Synced, |tx, draft| {
            add_in(tx, id, draft, mailbox, message)
        })?;
        let row = row.ok_or(Error::NoMailbox)?;
        state.publish(mailbox, |snapshot| snapshot.append(&[row]));
        Ok(Appended {
            uid_validity,
            uid: row.uid,
        })
    }

    /// The flags of these names. Keywords the account does not know yet are made when `create` says so, and left out otherwise.
    pub fn flags_resolve<'n>(&self, names: impl IntoIterator<Item = &'n str>, create: bool) -> Result<Flags> {
        let mut state = self.lock();
        let mut keywords = Arc::clone(&state.keywords);
        let mut flags = Flags::NONE;
        let mut fresh: Vec<(u32, &str)> = Vec::new();
        for name in names {
            if let Some(known) = Flags::system(name).or_else(|| keywords.find(name)) {
                flags = flags | known;
            } else if create && !name.starts_with('\\') {
                if name.len() > MAX_KEYWORD_BYTES {
                    return Err(Error::Limit("keywords have at most 255 octets"));
                }
                let bit = keywords
                    .free_bit()
                    .ok_or(Error::Limit("an account uses at most 56 keywords"))?;
                Arc::make_mut(&mut keywords).insert(bit, name);
                fresh.push((bit, name));
                flags = flags | Flags(1 << bit);
            }
        }
        if !fresh.is_empty() {
            let account = self.id().0;
            self.change(&mut state, Durability::Deferred, |tx, _| {
                for (bit, name) in &fresh {
                    tx.execute(
                        "INSERT INTO keyword (account, bit, name) VALUES (?1, ?2, ?3)",
                        &[account.into(), (*bit).into(), (*name).into()],
                    )?;
                }
                Ok(())
            })?;
            state.keywords = keywords;
            state.publish_all();
        }
        Ok(flags)
    }

    /// STORE (RFC 9051 §6.4.6) on messages given by ascending UIDs; those that are not there are passed over.
    /// With `unchanged_since`, messages changed after it are left alone and named.
    pub fn message_flag(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Flagged> {
        let mut flagged = Flagged::default();
        self.in_chunks(uids, |state, chunk| {
            self.flag_chunk(state, mailbox, chunk, change, unchanged_since, &mut flagged)
        })?;
        Ok(flagged)
    }

    fn flag_chunk(
        &self,
        state: &mut State,
        mailbox: MailboxId,
        uids: &[Uid],
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
        flagged: &mut Flagged,
    ) -> Result<()> {
        let snapshot = self.snapshot(state, mailbox)?;
        let mut positions = Vec::new();
        // Neighbours that get the same flags are written by one statement.
        let mut runs: Vec<(Uid, Uid, Flags)> = Vec::new();
        let mut run_end = 0;
        let (mut unseen, mut deleted) = (0i64, 0i64);
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
            if flags == message.flags {
                continue;
            }
            let turned = |flag: Flags| i64::from(flags.contains(flag)) - i64::from(message.flags.contains(flag));
            unseen -= turned(Flags::SEEN);
            deleted += turned(Flags::DELETED);
            match runs.last_mut() {
                Some((_, last, same)) if *same == flags && run_end == position => *last = *uid,
                _ => runs.push((*uid, *uid, flags)),
            }
            run_end = position + 1;
            positions.push(position);
            flagged.changed.push(*uid);
        }
        if runs.is_empty() {
            flagged.modseq = snapshot.highest_modseq;
            return Ok(());
        }
        let account = self.id().0;
        let add = |n: u32, by: i64| u32::try_from(i64::from(n) + by).unwrap_or(0);
        flagged.modseq = self.change(state, Durability::Deferred, |tx, draft| {
            let modseq = draft.next_modseq();
            if let Some(m) = draft.mailbox(mailbox) {
                m.unseen = add(m.unseen, unseen);
                m.deleted = add(m.deleted, deleted);
                m.highest_modseq = modseq;
            }
            for (first, last, flags) in &runs {
                tx.execute(
                    "UPDATE message SET flags = ?5, modseq = ?6 WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
                    &[
                        account.into(),
                        mailbox.into(),
                        (*first).into(),
                        (*last).into(),
                        (*flags).into(),
                        modseq.into(),
                    ],
                )?;
            }
            Ok(modseq)
        })?;
        let modseq = flagged.modseq;
        flagged.modseqs.push(modseq);
        state.publish(mailbox, |snapshot| {
            snapshot.flag(&positions, modseq, |f| change.apply(f));
        });
        Ok(())
    }

    /// Compares the counts kept of a mailbox with its messages and mends them; whether they were right.
    pub fn mailbox_counts_check(&self, mailbox: MailboxId) -> Result<bool> {
        let mut state = self.lock();
        let snapshot = self.snapshot(&mut state, mailbox)?;
        let row = state.rows.mailboxes.get(&mailbox).ok_or(Error::NoMailbox)?.clone();
        let mut right = crate::Mailbox {
            messages: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            ..row.clone()
        };
        for message in snapshot.iter() {
            right.count(message, true);
        }
        if right == row {
            return Ok(true);
        }
        self.change(&mut state, Durability::Deferred, |_, draft| {
            if let Some(m) = draft.mailbox(mailbox) {
                *m = right.clone();
            }
            Ok(())
        })?;
        Ok(false)
    }
}

/// Adds a message with content of its own.
pub(crate) fn add_in(
    tx: &Transaction<'_>,
    account: AccountId,
    draft: &mut Draft<'_>,
    mailbox: MailboxId,
    message: &NewMessage<'_>,
) -> db::Result<Option<Message>> {
    let content = draft.next_content();
    let row = insert_in(
        tx,
        account,
        draft,
        mailbox,
        Message {
            uid: Uid(0),
            size: u32::try_from(message.size()).unwrap_or(u32::MAX),
            flags: message.flags,
            modseq: ModSeq(0),
            received: moment(message.received),
            content,
        },
    )?;
    if row.is_some() {
        tx.execute(
            "INSERT INTO content (account, id, blob, prefix, size, envelope, structure, preview) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                account.0.into(),
                content.into(),
                message.blob.as_bytes().into(),
                message.prefix.into(),
                message.blob_len.cast_signed().into(),
                (&message.digest.envelope).into(),
                (&message.digest.structure).into(),
                message.digest.preview.as_deref().into(),
            ],
        )?;
        if !message.digest.fields.is_empty() {
            tx.execute(
                "INSERT INTO content_fields (account, id, fields) VALUES (?1, ?2, ?3)",
                &[account.0.into(), content.into(), (&message.digest.fields).into()],
            )?;
        }
    }
    Ok(row)
}

/// Adds a message row under the mailbox's next UID. Nothing if the mailbox is not there.
pub(crate) fn insert_in(
    tx: &Transaction<'_>,
    account: AccountId,
    draft: &mut Draft<'_>,
    mailbox: MailboxId,
    template: Message,
) -> db::Result<Option<Message>> {
    let Some(row) = place_in(draft, mailbox, template) else {
        return Ok(None);
    };
    tx.execute(
        "INSERT INTO message (account, mailbox, uid, content, flags, modseq, received, size, saved) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &[
            account.0.into(),
            mailbox.into(),
            row.uid.into(),
            row.content.into(),
            row.flags.into(),
            row.modseq.into(),
            row.received.into(),
            row.size.into(),
            crate::mailbox::now().into(),
        ],
    )?;
    Ok(Some(row))
}

/// Gives a message the mailbox's next UID and counts it there; its row is still to be written. `None`: the mailbox is not there.
pub(crate) fn place_in(draft: &mut Draft<'_>, mailbox: MailboxId, template: Message) -> Option<Message> {
    let modseq = draft.next_modseq();
    let m = draft.mailbox(mailbox)?;
    let row = Message {
        uid: m.uid_next,
        modseq,
        ..template
    };
    m.uid_next = Uid(m.uid_next.0.saturating_add(1));
    m.highest_modseq = modseq;
    m.count(&row, true);
    Some(row)
}

/// The UIDs of a list in runs of neighbours.
pub(crate) fn runs(uids: impl IntoIterator<Item = Uid>) -> Vec<(Uid, Uid)> {
    let mut runs: Vec<(Uid, Uid)> = Vec::new();
    for uid in uids {
        match runs.last_mut() {
            Some((_, last)) if last.0.checked_add(1) == Some(uid.0) => *last = uid,
            _ => runs.push((uid, uid)),
        }
    }
    runs
}

pub(crate) type Fresh = BTreeMap<MailboxId, Vec<Message>>;

/// Seconds since 1970 as messages keep them. What they cannot say, of dates before 1970 or after 2106, becomes the nearest they can.
pub(crate) fn moment(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}
