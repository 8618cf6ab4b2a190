//! What a mailbox's owner lets others do: its access control list, and whether each reader has a `\Seen` of his own.

use crate::account::{Account, Draft};
use crate::rights::{Acl, AclEntry, Identifier, MAX_ACL_ENTRIES, Rights, Who};
use crate::{AccountId, Error, Mailbox, MailboxId, Result};
use db::{Durability, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Stands in tables for what holds for no mailbox in particular.
pub(crate) const NO_MAILBOX: MailboxId = MailboxId(0);

/// What others may do with a mailbox, and how they see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Who may do what.
    pub acl: Arc<Acl>,
    /// Everybody but the owner has a `\Seen` of his own.
    pub seen_own: bool,
}

impl Account {
    /// What somebody may do with a mailbox of this account.
    pub fn rights_of(&self, mailbox: &Mailbox, who: &Who) -> Rights {
        if who.account == self.id() {
            Rights::ALL
        } else {
            mailbox.sharing.acl.rights_of(who)
        }
    }

    /// Whether somebody may create a mailbox of that name: `k` on the nearest mailbox above it that is there, or else on what mailboxes at
    /// the top begin with (RFC 4314 §4).
    pub fn may_create(&self, name: &str, who: &Who) -> bool {
        if who.account == self.id() {
            return true;
        }
        let state = self.lock();
        let above = state.rows.sharing_above(name);
        above.acl.rights_of(who).contains(Rights::CREATE)
    }

    /// SETACL, DELETEACL (RFC 4314 §3.1, §3.2): works out one entry anew. All who have the mailbox open are woken.
    pub fn acl_change(
        &self,
        mailbox: MailboxId,
        identifier: Identifier,
        negative: bool,
        rights: impl Fn(Rights) -> Rights,
    ) -> Result<()> {
        let mut state = self.lock();
        let row = state.rows.mailboxes.get(&mailbox).ok_or(Error::NoMailbox)?;
        let mut acl = Acl::clone(&row.sharing.acl);
        acl.set(AclEntry {
            identifier,
            negative,
            rights: rights(acl.rights(identifier, negative)),
        });
        if acl.entries().len() > MAX_ACL_ENTRIES {
            return Err(Error::Limit("an access control list has at most 1000 entries"));
        }
        let acl = Arc::new(acl);
        let account = self.id();
        self.change(&mut state, Durability::Synced, |tx, draft| {
            acl_save_in(tx, account, mailbox, &acl)?;
            if let Some(m) = draft.mailbox(mailbox) {
                m.sharing.acl = Arc::clone(&acl);
            }
            Ok(())
        })?;
        state.publish(mailbox, |_| {});
        Ok(())
    }

    /// Gives somebody the same rights on all mailboxes and on those to come; none takes him off all lists.
    pub fn acl_everywhere(&self, identifier: Identifier, rights: Rights) -> Result<()> {
        let entry = AclEntry {
            identifier,
            negative: false,
            rights,
        };
        let mut state = self.lock();
        let mut defaults = state.rows.defaults.clone();
        let with = |acl: &Arc<Acl>| {
            let mut acl = Acl::clone(acl);
            acl.set(entry);
            if rights.is_empty() {
                acl.set(AclEntry {
                    negative: true,
                    ..entry
                });
            }
            Arc::new(acl)
        };
        defaults.acl = with(&defaults.acl);
        let lists: BTreeMap<MailboxId, Arc<Acl>> = state
            .rows
            .mailboxes
            .values()
            .map(|m| (m.id, with(&m.sharing.acl)))
            .collect();
        if lists.values().any(|acl| acl.entries().len() > MAX_ACL_ENTRIES) {
            return Err(Error::Limit("an access control list has at most 1000 entries"));
        }
        let account = self.id();
        self.change(&mut state, Durability::Synced, |tx, draft| {
            acl_save_in(tx, account, NO_MAILBOX, &defaults.acl)?;
            for (id, acl) in &lists {
                acl_save_in(tx, account, *id, acl)?;
                if let Some(m) = draft.mailbox(*id) {
                    m.sharing.acl = Arc::clone(acl);
                }
            }
            Ok(())
        })?;
        state.rows.defaults = defaults;
        state.publish_all();
        Ok(())
    }

    /// What mailboxes at the top begin with.
    pub fn sharing_defaults(&self) -> Sharing {
        self.lock().rows.defaults.clone()
    }

    /// Says whether everybody but the owner has a `\Seen` of his own: in one mailbox, or (`None`) in all there are and will be.
    /// Who has such a mailbox open keeps seeing what he saw until he selects it again.
    pub fn seen_own_set(&self, mailbox: Option<MailboxId>, own: bool) -> Result<()> {
        let mut state = self.lock();
        let ids: Vec<MailboxId> = match mailbox {
            Some(id) if state.rows.mailboxes.contains_key(&id) => vec![id],
            Some(_) => return Err(Error::NoMailbox),
            None => state.rows.mailboxes.keys().copied().collect(),
        };
        let account = self.id();
        self.change(&mut state, Durability::Synced, |tx, draft| {
            if mailbox.is_none() {
                seen_own_save_in(tx, account, NO_MAILBOX, own)?;
            }
            for id in &ids {
                seen_own_save_in(tx, account, *id, own)?;
                if !own {
                    tx.execute(
                        "DELETE FROM seen WHERE account = ?1 AND mailbox = ?2",
                        &[account.into(), (*id).into()],
                    )?;
                }
                if let Some(m) = draft.mailbox(*id) {
                    m.sharing.seen_own = own;
                }
            }
            Ok(())
        })?;
        if mailbox.is_none() {
            state.rows.defaults.seen_own = own;
        }
        Ok(())
    }

    /// Everybody whom some mailbox lets do something: what the directory keeps an index of.
    pub fn shared_with(&self) -> BTreeSet<Identifier> {
        let state = self.lock();
        let lists = state.rows.mailboxes.values().map(|m| &m.sharing.acl);
        let given = lists
            .chain([&state.rows.defaults.acl])
            .flat_map(|acl| acl.entries())
            .filter(|entry| !entry.negative);
        given.map(|entry| entry.identifier).collect()
    }
}

/// A new mailbox begins with what the one above it has (RFC 4314 §4, CREATE).
pub(crate) fn inherit_in(
    tx: &Transaction<'_>,
    draft: &mut Draft<'_>,
    account: AccountId,
    id: MailboxId,
    from: &Sharing,
) -> db::Result<()> {
    if let Some(m) = draft.mailbox(id) {
        m.sharing = from.clone();
    }
    acl_save_in(tx, account, id, &from.acl)?;
    seen_own_save_in(tx, account, id, from.seen_own)
}

/// Takes away all that was kept of a mailbox's readers, and what lets them in.
pub(crate) fn forget_in(tx: &Transaction<'_>, account: AccountId, mailbox: MailboxId) -> db::Result<()> {
    for sql in [
        "DELETE FROM acl WHERE account = ?1 AND mailbox = ?2",
        "DELETE FROM seen_own WHERE account = ?1 AND mailbox = ?2",
        "DELETE FROM seen WHERE account = ?1 AND mailbox = ?2",
        "DELETE FROM metadata WHERE account = ?1 AND mailbox = ?2",
        "DELETE FROM url_key WHERE account = ?1 AND mailbox = ?2",
    ] {
        tx.execute(sql, &[account.into(), mailbox.into()])?;
    }
    Ok(())
}

fn acl_save_in(tx: &Transaction<'_>, account: AccountId, mailbox: MailboxId, acl: &Acl) -> db::Result<()> {
    tx.execute(
        "DELETE FROM acl WHERE account = ?1 AND mailbox = ?2",
        &[account.into(), mailbox.into()],
    )?;
    for entry in acl.entries() {
        let identifier = format!("{}{}", if entry.negative { "-" } else { "" }, entry.identifier);
        let rights = entry.rights.to_string();
        tx.execute(
            "INSERT INTO acl (account, mailbox, identifier, rights) VALUES (?1, ?2, ?3, ?4)",
            &[account.into(), mailbox.into(), (&identifier).into(), (&rights).into()],
        )?;
    }
    Ok(())
}

fn seen_own_save_in(tx: &Transaction<'_>, account: AccountId, mailbox: MailboxId, own: bool) -> db::Result<()> {
    let sql = if own {
        "INSERT INTO seen_own (account, mailbox) VALUES (?1, ?2) ON CONFLICT (account, mailbox) DO NOTHING"
    } else {
        "DELETE FROM seen_own WHERE account = ?1 AND mailbox = ?2"
    };
    tx.execute(sql, &[account.into(), mailbox.into()])?;
    Ok(())
}

/// The sharing of all mailboxes that have any, mailbox 0 among them.
pub(crate) fn load_in(tx: &Transaction<'_>, account: AccountId) -> db::Result<BTreeMap<MailboxId, Sharing>> {
    let mut lists: BTreeMap<MailboxId, Acl> = BTreeMap::new();
    tx.query(
        "SELECT mailbox, identifier, rights FROM acl WHERE account = ?1",
        &[account.into()],
        |row| {
            let text = row.text(1)?;
            let (negative, text) = match text.strip_prefix('-') {
                Some(text) => (true, text),
                None => (false, text),
            };
            // An entry of a later version that cannot be understood gives nothing.
            if let (Some(identifier), Ok(rights)) = (Identifier::parse(text), Rights::parse(row.text(2)?)) {
                let entry = AclEntry {
                    identifier,
                    negative,
                    rights,
                };
                lists.entry(MailboxId(row.u32(0)?)).or_default().set(entry);
            }
            Ok(())
        },
    )?;
    let mut all: BTreeMap<MailboxId, Sharing> = lists
        .into_iter()
        .map(|(id, acl)| {
            let sharing = Sharing {
                acl: Arc::new(acl),
                seen_own: false,
            };
            (id, sharing)
        })
        .collect();
    tx.query(
        "SELECT mailbox FROM seen_own WHERE account = ?1",
        &[account.into()],
        |row| {
            all.entry(MailboxId(row.u32(0)?)).or_default().seen_own = true;
            Ok(())
        },
    )?;
    Ok(all)
}
