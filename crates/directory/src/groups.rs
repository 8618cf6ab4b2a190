//! Group mailboxes: accounts without a login, with members; and who shares mailboxes with whom.

use crate::accounts::{NewAccount, account_insert_in, account_must_exist_in};
use crate::domains::parse_address;
use crate::tables::Tables;
use crate::{Account, Directory, Error, Result};
use db::{AccountId, Transaction};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Members of a group mailbox.
const MAX_MEMBERS: usize = 1000;
/// Entries of metadata about the server.
const MAX_SERVER_METADATA: usize = 100;

/// The index of who shares what, and the groups' members.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Group and member.
    members: BTreeSet<(AccountId, AccountId)>,
    /// Member and group.
    memberships: BTreeSet<(AccountId, AccountId)>,
    /// To whom, and whose.
    shares: BTreeSet<(String, AccountId)>,
}

impl Groups {
    pub(crate) fn load(tx: &Transaction<'_>) -> Result<Groups> {
        let mut groups = Groups::default();
        tx.query("SELECT group_id, account_id FROM group_member", &[], |row| {
            let (group, member) = (AccountId(row.i64(0)?), AccountId(row.i64(1)?));
            groups.members.insert((group, member));
            groups.memberships.insert((member, group));
            Ok(())
        })?;
        tx.query("SELECT grantee, owner_id FROM shared_with", &[], |row| {
            groups.shares.insert((row.text(0)?.to_owned(), AccountId(row.i64(1)?)));
            Ok(())
        })?;
        Ok(groups)
    }

    fn of(pairs: &BTreeSet<(AccountId, AccountId)>, first: AccountId) -> Vec<AccountId> {
        let range = (first, AccountId(i64::MIN))..=(first, AccountId(i64::MAX));
        pairs.range(range).map(|(_, second)| *second).collect()
    }

    pub(crate) fn is_member(&self, group: AccountId, account: AccountId) -> bool {
        self.members.contains(&(group, account))
    }
}

/// The ids of all accounts that are groups.
pub(crate) fn groups_in(tx: &Transaction<'_>) -> Result<BTreeSet<AccountId>> {
    let all = tx.query_all("SELECT account_id FROM group_account", &[], |row| {
        Ok(AccountId(row.i64(0)?))
    })?;
    Ok(all.into_iter().collect())
}

impl Directory {
    /// Makes a group mailbox: an account that nobody can log into. Its password and `admin` count for nothing.
    pub fn group_add(&self, new: &NewAccount<'_>) -> Result<AccountId> {
        let address = parse_address(new.address)?;
        self.check_name(new.name)?;
        self.change(|tx| {
            let new = NewAccount { admin: false, ..*new };
            let id = account_insert_in(tx, &new, &address)?;
            tx.execute("INSERT INTO group_account (account_id) VALUES (?1)", &[id.into()])?;
            Ok(id)
        })
    }

    /// All group mailboxes by their main address.
    pub fn group_list(&self) -> Vec<Arc<Account>> {
        let mut all = self.account_list();
        all.retain(|account| account.group);
        all
    }

    /// The members of a group mailbox.
    pub fn group_members(&self, group: AccountId) -> Vec<AccountId> {
        Groups::of(&self.tables().groups.members, group)
    }

    /// The groups that an account is a member of.
    pub fn groups_of(&self, account: AccountId) -> Vec<AccountId> {
        Groups::of(&self.tables().groups.memberships, account)
    }

    /// Makes somebody a member of a group mailbox; false: he was one before.
    pub fn group_member_add(&self, group: AccountId, member: AccountId) -> Result<bool> {
        self.change(|tx| {
            group_must_exist_in(tx, group)?;
            account_must_exist_in(tx, member)?;
            if is_group_in(tx, member)? {
                return Err(Error::GroupInGroup);
            }
            let count = tx.query_row(
                "SELECT count(*) FROM group_member WHERE group_id = ?1",
                &[group.into()],
                |row| row.i64(0),
            )?;
            if usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX) >= MAX_MEMBERS {
                return Err(Error::TooMany {
                    what: "members of a group mailbox",
                    limit: MAX_MEMBERS,
                });
            }
            let added = tx.execute(
                "INSERT INTO group_member (group_id, account_id) VALUES (?1, ?2) ON CONFLICT (group_id, account_id) DO NOTHING",
                &[group.into(), member.into()],
            )?;
            Ok(added > 0)
        })
    }

    /// Takes a member out of a group mailbox; false: he was none.
    pub fn group_member_remove(&self, group: AccountId, member: AccountId) -> Result<bool> {
        self.change(|tx| {
            group_must_exist_in(tx, group)?;
            let removed = tx.execute(
                "DELETE FROM group_member WHERE group_id = ?1 AND account_id = ?2",
                &[group.into(), member.into()],
            )?;
            Ok(removed > 0)
        })
    }

    /// Notes to whom an account shares mailboxes, in place of what was noted. To be called before rights are given and after they are
    /// taken, so that at no moment too little is noted.
    pub fn shares_set(&self, owner: AccountId, grantees: &BTreeSet<String>) -> Result<()> {
        let tables = self.tables();
        let noted = tables.groups.shares.iter().filter(|(_, of)| *of == owner);
        if noted.map(|(grantee, _)| grantee).eq(grantees.iter()) {
            return Ok(());
        }
        self.change(|tx| {
            tx.execute("DELETE FROM shared_with WHERE owner_id = ?1", &[owner.into()])?;
            for grantee in grantees {
                share_insert_in(tx, owner, grantee)?;
            }
            Ok(())
        })
    }

    /// Notes that an account shares a mailbox with one more.
    pub fn share_add(&self, owner: AccountId, grantee: &str) -> Result<()> {
        if self.tables().groups.shares.contains(&(grantee.to_owned(), owner)) {
            return Ok(());
        }
        self.change(|tx| share_insert_in(tx, owner, grantee))
    }

    /// Who may share a mailbox with any of these. Reads memory only.
    pub fn sharers<'g>(&self, grantees: impl IntoIterator<Item = &'g str>) -> Vec<Arc<Account>> {
        let tables = self.tables();
        let mut owners = BTreeSet::new();
        for grantee in grantees {
            let from = (grantee.to_owned(), AccountId(i64::MIN));
            let theirs = tables.groups.shares.range(from..).take_while(|(to, _)| to == grantee);
            owners.extend(theirs.map(|(_, owner)| *owner));
        }
        owners
            .iter()
            .filter_map(|owner| tables.accounts.get(owner).cloned())
            .collect()
    }

    /// Whether an account may share a mailbox with any of these. Reads memory only.
    pub fn is_sharer<'g>(&self, owner: AccountId, grantees: impl IntoIterator<Item = &'g str>) -> bool {
        let tables = self.tables();
        let mut grantees = grantees.into_iter();
        grantees.any(|grantee| tables.groups.shares.contains(&(grantee.to_owned(), owner)))
    }

    /// The value of an entry of the server, from memory; its name in any case.
    pub fn server_metadata_entry(&self, name: &str) -> Option<Vec<u8>> {
        let tables = self.tables();
        let mut entries = tables.server_metadata.iter();
        entries
            .find(|(entry, _)| entry.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// What is said about the server for everybody, by name.
    pub fn server_metadata(&self) -> Vec<(String, Vec<u8>)> {
        self.tables().server_metadata.clone()
    }

    /// Says things about the server, or (without a value) no longer.
    pub fn server_metadata_set(&self, entries: &[(&str, Option<&[u8]>)]) -> Result<()> {
        self.change(|tx| {
            for (entry, value) in entries {
                tx.execute("DELETE FROM server_metadata WHERE entry = ?1", &[(*entry).into()])?;
                if let Some(value) = value {
                    tx.execute(
                        "INSERT INTO server_metadata (entry, value) VALUES (?1, ?2)",
                        &[(*entry).into(), (*value).into()],
                    )?;
                }
            }
            let count = tx.query_row("SELECT count(*) FROM server_metadata", &[], |row| row.i64(0))?;
            if usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX) > MAX_SERVER_METADATA {
                return Err(Error::TooMany {
                    what: "metadata entries of the server",
                    limit: MAX_SERVER_METADATA,
                });
            }
            Ok(())
        })
    }
}

impl Tables {
    /// Whether an account stands for a group mailbox that another is a member of: he may send with its address.
    pub(crate) fn is_group_of(&self, group: AccountId, member: AccountId) -> bool {
        self.accounts.get(&group).is_some_and(|account| account.group) && self.groups.is_member(group, member)
    }
}

/// Takes a deleted account out of all that is kept here.
pub(crate) fn forget_in(tx: &Transaction<'_>, id: AccountId) -> Result<()> {
    for sql in [
        "DELETE FROM group_account WHERE account_id = ?1",
        "DELETE FROM group_member WHERE group_id = ?1 OR account_id = ?1",
        "DELETE FROM shared_with WHERE owner_id = ?1",
    ] {
        tx.execute(sql, &[id.into()])?;
    }
    Ok(())
}

pub(crate) fn is_group_in(tx: &Transaction<'_>, id: AccountId) -> Result<bool> {
    let found = tx.query_row(
        "SELECT 1 FROM group_account WHERE account_id = ?1",
        &[id.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn group_must_exist_in(tx: &Transaction<'_>, id: AccountId) -> Result<()> {
    account_must_exist_in(tx, id)?;
    if is_group_in(tx, id)? {
        Ok(())
    } else {
        Err(Error::NotAGroup)
    }
}

fn share_insert_in(tx: &Transaction<'_>, owner: AccountId, grantee: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO shared_with (owner_id, grantee) VALUES (?1, ?2) ON CONFLICT (owner_id, grantee) DO NOTHING",
        &[owner.into(), grantee.into()],
    )?;
    Ok(())
}
