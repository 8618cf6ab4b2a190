//! Mailboxes and their names. `/` separates levels; names are UTF-8; `INBOX` is the same in any case (RFC 9051 §5.1).

use crate::account::Account;
use crate::sharing::{self, Sharing};
use crate::{AccountId, Error, MailboxId, ModSeq, Result, Uid};
use db::{Durability, Transaction};
use std::collections::{BTreeMap, HashSet};

/// Longest mailbox name, in octets of UTF-8.
pub const MAX_MAILBOX_NAME_BYTES: usize = 1000;
/// Most levels in a mailbox name.
pub const MAX_MAILBOX_DEPTH: usize = 25;
/// Most mailboxes in an account: LIST holds them all in memory.
pub const MAX_MAILBOXES: usize = 10_000;

/// The mailboxes that every account begins with.
pub(crate) const FIRST_MAILBOXES: &[(&str, Option<SpecialUse>)] = &[
    ("INBOX", None),
    ("Drafts", Some(SpecialUse::Drafts)),
    ("Sent", Some(SpecialUse::Sent)),
    ("Junk", Some(SpecialUse::Junk)),
    ("Trash", Some(SpecialUse::Trash)),
    ("Archive", Some(SpecialUse::Archive)),
];

/// What a mailbox is for (RFC 6154 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    const ALL: [SpecialUse; 5] = [
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// The attribute as LIST shows it.
    pub fn attribute(self) -> &'static str {
        match self {
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }

    /// The use of an attribute, in any case.
    pub fn parse(attribute: &str) -> Option<SpecialUse> {
        Self::ALL
            .into_iter()
            .find(|u| u.attribute().eq_ignore_ascii_case(attribute))
    }
}

/// A mailbox and its counts, as STATUS and LIST tell them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id, never used again.
    pub id: MailboxId,
    /// Its full name.
    pub name: String,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// RFC 9051 §2.3.1.1
    pub uid_validity: u32,
    /// The least UID the next message may get.
    pub uid_next: Uid,
    /// RFC 7162 §3.1.2.1
    pub highest_modseq: ModSeq,
    /// Messages in it.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub size: u64,
    /// Messages from this UID up are recent.
    pub recent_from: Uid,
    /// What others may do with it.
    pub sharing: Sharing,
}

impl Mailbox {
    pub(crate) fn new(
        id: MailboxId,
        name: &str,
        special_use: Option<SpecialUse>,
        uid_validity: u32,
        modseq: ModSeq,
    ) -> Mailbox {
        Mailbox {
            id,
            name: name.to_owned(),
            special_use,
            uid_validity,
            uid_next: Uid(1),
            highest_modseq: modseq,
            messages: 0,
            unseen: 0,
            deleted: 0,
            size: 0,
            recent_from: Uid(1),
            sharing: Sharing::default(),
        }
    }

    /// Counts a message in or out.
    pub(crate) fn count(&mut self, message: &crate::Message, present: bool) {
        use crate::Flags;
        let step = |n: &mut u32, hit: bool| {
            if hit {
                *n = if present {
                    n.saturating_add(1)
                } else {
                    n.saturating_sub(1)
                };
            }
        };
        step(&mut self.messages, true);
        step(&mut self.unseen, !message.flags.contains(Flags::SEEN));
        step(&mut self.deleted, message.flags.contains(Flags::DELETED));
        let size = u64::from(message.size);
        self.size = if present {
            self.size + size
        } else {
            self.size.saturating_sub(size)
        };
    }
}

/// The name as it is kept, or why it can't be a mailbox's.
pub(crate) fn check_name(name: &str) -> Result<String> {
    let refuse = |why| Err(Error::MailboxName(why));
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > MAX_MAILBOX_NAME_BYTES {
        return Err(Error::Limit("mailbox names have at most 1000 octets"));
    }
    if name
        .chars()
        .any(|c| c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c))
    {
        return refuse("control characters are not allowed");
    }
    if name.contains(['*', '%']) {
        return refuse("* and % are wildcards of LIST");
    }
    if name.split('/').any(str::is_empty) {
        return refuse("a level between two / is empty");
    }
    if name.split('/').count() > MAX_MAILBOX_DEPTH {
        return Err(Error::Limit("mailbox names have at most 25 levels"));
    }
    Ok(canonical(name))
}

/// The name with its first level `INBOX` in capitals, if that is what it is.
fn canonical(name: &str) -> String {
    match name.split_once('/') {
        None if name.eq_ignore_ascii_case("INBOX") => "INBOX".to_owned(),
        Some((first, rest)) if first.eq_ignore_ascii_case("INBOX") => format!("INBOX/{rest}"),
        _ => name.to_owned(),
    }
}

fn superiors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}

pub(crate) fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

impl Account {
    /// All mailboxes, by name.
    pub fn mailbox_list(&self) -> Vec<Mailbox> {
        let mut all: Vec<Mailbox> = self.lock().rows.mailboxes.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The mailbox of that name.
    pub fn mailbox_find(&self, name: &str) -> Option<Mailbox> {
        let name = canonical(name);
        self.lock().rows.mailboxes.values().find(|m| m.name == name).cloned()
    }

    /// The mailbox of that id.
    pub fn mailbox(&self, id: MailboxId) -> Option<Mailbox> {
        self.lock().rows.mailboxes.get(&id).cloned()
    }

    /// The name of the mailbox of that id.
    pub fn mailbox_name(&self, id: MailboxId) -> Option<String> {
        let state = self.lock();
        state.rows.mailboxes.get(&id).map(|m| m.name.clone())
    }

    /// CREATE (RFC 9051 §6.3.4): also makes the superior names that are missing. A trailing `/` is allowed and means nothing here.
    pub fn mailbox_create(&self, name: &str, special_use: Option<SpecialUse>) -> Result<MailboxId> {
        let name = check_name(name.strip_suffix('/').unwrap_or(name))?;
        let mut state = self.lock();
        let exists = |n: &str| state.rows.mailboxes.values().any(|m| m.name == n);
        if exists(&name) {
            return Err(Error::MailboxExists);
        }
        let missing: Vec<&str> = superiors(&name).filter(|n| !exists(n)).collect();
        if state.rows.mailboxes.len() + missing.len() >= MAX_MAILBOXES {
            return Err(Error::Limit("an account has at most 10000 mailboxes"));
        }
        let now = now();
        let account = self.id();
        let inherited = state.rows.sharing_above(&name).clone();
        self.change(&mut state, Durability::Synced, |tx, draft| {
            for superior in &missing {
                let id = draft.mailbox_add(superior, None, now);
                sharing::inherit_in(tx, draft, account, id, &inherited)?;
            }
            let id = draft.mailbox_add(&name, special_use, now);
            sharing::inherit_in(tx, draft, account, id, &inherited)?;
            Ok(id)
        })
    }

    /// DELETE (RFC 9051 §6.3.5): the mailbox and its messages; mailboxes below it stay. It is gone at once; its rows are swept later.
    /// As with EXPUNGE, a power cut may bring back what was deleted in the last moments; it loses nothing.
    pub fn mailbox_delete(&self, id: MailboxId) -> Result<()> {
        let mut state = self.lock();
        let row = state.rows.mailboxes.get(&id).ok_or(Error::NoMailbox)?.clone();
        if row.name == "INBOX" {
            return Err(Error::Inbox);
        }
        let account = self.id().0;
        self.change(&mut state, Durability::Deferred, |tx, draft| {
            let modseq = draft.next_modseq();
            tx.execute(
                "INSERT INTO mailbox_deleted (account, id, name, modseq, emptied) VALUES (?1, ?2, ?3, ?4, 0)",
                &[account.into(), id.into(), (&row.name).into(), modseq.into()],
            )?;
            sharing::forget_in(tx, self.id(), id)?;
            draft.mailbox_remove(id);
            Ok(())
        })?;
        state.publish(id, |snapshot| snapshot.deleted = true);
        self.shared().warm.forget(self.id(), id);
        self.shared().sweeps.ask(self.id());
        Ok(())
    }

    /// RENAME (RFC 9051 §6.3.6): with all that is below. Renaming INBOX moves its messages to a new mailbox and leaves it empty.
    pub fn mailbox_rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (canonical(from), check_name(to)?);
        if from == "INBOX" {
            let inbox = self.mailbox_find("INBOX").ok_or(Error::NoMailbox)?.id;
            let target = self.mailbox_create(&to, None)?;
            let all: Vec<Uid> = {
                let mut state = self.lock();
                self.snapshot(&mut state, inbox)?.iter().map(|m| m.uid).collect()
            };
            self.message_move(inbox, &all, target).1?;
            self.metadata_copy(inbox, target)?;
            return Ok(());
        }
        let below = format!("{from}/");
        if to.starts_with(&below) {
            return Err(Error::MailboxName("a mailbox can't be moved below itself"));
        }
        let mut state = self.lock();
        let mut renamed: Vec<(MailboxId, String)> = Vec::new();
        let mut staying: HashSet<&str> = HashSet::new();
        for m in state.rows.mailboxes.values() {
            if m.name == from {
                renamed.push((m.id, to.clone()));
            } else if let Some(rest) = m.name.strip_prefix(&below) {
                renamed.push((m.id, format!("{to}/{rest}")));
            } else {
                staying.insert(&m.name);
            }
        }
        if renamed.is_empty() {
            return Err(Error::NoMailbox);
        }
        for (_, name) in &renamed {
            check_name(name)?;
            if staying.contains(name.as_str()) {
                return Err(Error::MailboxExists);
            }
        }
        let missing: Vec<&str> = superiors(&to)
            .filter(|n| !staying.contains(n) && !renamed.iter().any(|(_, name)| name == n))
            .collect();
        let now = now();
        let account = self.id();
        let inherited = state.rows.sharing_above(&to).clone();
        self.change(&mut state, Durability::Synced, |tx, draft| {
            // Names are unique at every moment: first out of the way, then to the new place.
            for (id, _) in &renamed {
                tx.execute(
                    "UPDATE mailbox SET name = ?3 WHERE account = ?1 AND id = ?2",
                    &[account.0.into(), (*id).into(), (&format!("//{id}")).into()],
                )?;
            }
            for superior in &missing {
                let id = draft.mailbox_add(superior, None, now);
                sharing::inherit_in(tx, draft, account, id, &inherited)?;
            }
            for (id, name) in &renamed {
                let modseq = draft.next_modseq();
                if let Some(m) = draft.mailbox(*id) {
                    m.name.clone_from(name);
                    m.highest_modseq = modseq;
                }
            }
            Ok(())
        })?;
        for (id, _) in &renamed {
            state.publish(*id, |_| {});
        }
        Ok(())
    }

    /// Says what a mailbox is for. The one that was for it until now is so no longer: its name (RFC 6154 §5.4).
    pub fn mailbox_special_use_set(&self, id: MailboxId, special_use: Option<SpecialUse>) -> Result<Option<String>> {
        let mut state = self.lock();
        if !state.rows.mailboxes.contains_key(&id) {
            return Err(Error::NoMailbox);
        }
        let other = state
            .rows
            .mailboxes
            .values()
            .find(|m| m.id != id && special_use.is_some() && m.special_use == special_use);
        let other = other.map(|m| (m.id, m.name.clone()));
        self.change(&mut state, Durability::Deferred, |_, draft| {
            if let Some(m) = other.as_ref().and_then(|(other, _)| draft.mailbox(*other)) {
                m.special_use = None;
            }
            if let Some(m) = draft.mailbox(id) {
                m.special_use = special_use;
            }
            Ok(())
        })?;
        Ok(other.map(|(_, name)| name))
    }

    /// Octets of the messages with `\Deleted`: what EXPUNGE would give back (RFC 9208 §4.1.4).
    pub fn mailbox_deleted_bytes(&self, id: MailboxId) -> Result<u64> {
        let mut state = self.lock();
        if state.rows.mailboxes.get(&id).ok_or(Error::NoMailbox)?.deleted == 0 {
            return Ok(0);
        }
        let snapshot = self.snapshot(&mut state, id)?;
        let deleted = snapshot
            .iter()
            .filter(|message| message.flags.contains(crate::Flags::DELETED));
        Ok(deleted.map(|message| u64::from(message.size)).sum())
    }

    /// Names the user subscribed to, sorted; they need not exist.
    pub fn subscriptions(&self) -> Result<Vec<String>> {
        Ok(self.database().read(|tx| {
            tx.query_all(
                "SELECT name FROM subscription WHERE account = ?1 ORDER BY name",
                &[self.id().0.into()],
                |row| Ok(row.text(0)?.to_owned()),
            )
        })?)
    }

    /// SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8).
    pub fn subscribe(&self, name: &str, subscribed: bool) -> Result<()> {
        let name = check_name(name)?;
        let account = self.id().0;
        let mut state = self.lock();
        self.change(&mut state, Durability::Deferred, |tx, _| {
            let sql = if subscribed {
                "INSERT INTO subscription (account, name) VALUES (?1, ?2) ON CONFLICT (account, name) DO NOTHING"
            } else {
                "DELETE FROM subscription WHERE account = ?1 AND name = ?2"
            };
            tx.execute(sql, &[account.into(), (&name).into()])?;
            Ok(())
        })
    }
}

/// Writes a mailbox's row. `before`: as it stands there.
pub(crate) fn save_in(
    tx: &Transaction<'_>,
    account: AccountId,
    before: Option<&Mailbox>,
    row: &Mailbox,
) -> db::Result<()> {
    if before.is_some_and(|before| before.name == row.name && before.special_use == row.special_use) {
        // Most changes. Without the name, so that its index is not written anew.
        tx.execute(
            "UPDATE mailbox SET uid_validity = ?3, uid_next = ?4, highest_modseq = ?5, messages = ?6, unseen = ?7, deleted = ?8, size = ?9,
                recent_from = ?10 WHERE account = ?1 AND id = ?2",
            &[
                account.0.into(),
                row.id.into(),
                row.uid_validity.into(),
                row.uid_next.into(),
                row.highest_modseq.into(),
                row.messages.into(),
                row.unseen.into(),
                row.deleted.into(),
                row.size.cast_signed().into(),
                row.recent_from.into(),
            ],
        )?;
        return Ok(());
    }
    tx.execute(
        "INSERT INTO mailbox (account, id, name, special_use, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size, recent_from)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (account, id) DO UPDATE SET name = excluded.name, special_use = excluded.special_use,
            uid_validity = excluded.uid_validity, uid_next = excluded.uid_next, highest_modseq = excluded.highest_modseq,
            messages = excluded.messages, unseen = excluded.unseen, deleted = excluded.deleted, size = excluded.size,
            recent_from = excluded.recent_from",
        &[
            account.0.into(),
            row.id.into(),
            (&row.name).into(),
            row.special_use.map(SpecialUse::attribute).into(),
            row.uid_validity.into(),
            row.uid_next.into(),
            row.highest_modseq.into(),
            row.messages.into(),
            row.unseen.into(),
            row.deleted.into(),
            row.size.cast_signed().into(),
            row.recent_from.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn load_in(tx: &Transaction<'_>, account: AccountId) -> db::Result<BTreeMap<MailboxId, Mailbox>> {
    let mut all = BTreeMap::new();
    tx.query(
        "SELECT id, name, special_use, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size, recent_from
         FROM mailbox WHERE account = ?1",
        &[account.0.into()],
        |row| {
            let id = MailboxId(row.u32(0)?);
            all.insert(
                id,
                Mailbox {
                    id,
                    name: row.text(1)?.to_owned(),
                    special_use: row.opt_text(2)?.and_then(SpecialUse::parse),
                    uid_validity: row.u32(3)?,
                    uid_next: Uid(row.u32(4)?),
                    highest_modseq: ModSeq(row.u64(5)?),
                    messages: row.u32(6)?,
                    unseen: row.u32(7)?,
                    deleted: row.u32(8)?,
                    size: row.u64(9)?,
                    recent_from: Uid(row.u32(10)?),
                    sharing: Sharing::default(),
                },
            );
            Ok(())
        },
    )?;
    Ok(all)
}
