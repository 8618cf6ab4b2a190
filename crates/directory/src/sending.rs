//! Under whose names accounts send beside their own, which accounts' mail is held back, and whom forwarding tells that fails.

use crate::accounts::account_must_exist_in;
use crate::address::domain_canonical;
use crate::domains::parse_address;
use crate::tables::Tables;
use crate::{Address, Directory, Error, Result};
use db::{AccountId, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// Names that one account may send under beside its own.
const MAX_NAMES: usize = 1000;

/// Since when and why an account's mail is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingHold {
    /// In seconds since 1970.
    pub since: i64,
    /// For people.
    pub reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Sending {
    names: BTreeSet<(AccountId, String)>,
    held: BTreeMap<AccountId, SendingHold>,
    /// Who is told of forwarding that fails: the account itself.
    tells_owner: BTreeMap<AccountId, bool>,
}

impl Sending {
    pub(crate) fn load(tx: &Transaction<'_>) -> Result<Sending> {
        let mut sending = Sending::default();
        tx.query("SELECT account_id, address FROM sends_as", &[], |row| {
            sending.names.insert((AccountId(row.i64(0)?), row.text(1)?.to_owned()));
            Ok(())
        })?;
        tx.query("SELECT account_id, since, reason FROM sending_held", &[], |row| {
            let hold = SendingHold {
                since: row.i64(1)?,
                reason: row.text(2)?.to_owned(),
            };
            sending.held.insert(AccountId(row.i64(0)?), hold);
            Ok(())
        })?;
        tx.query("SELECT account_id, tells_owner FROM forwarding", &[], |row| {
            sending.tells_owner.insert(AccountId(row.i64(0)?), row.bool(1)?);
            Ok(())
        })?;
        Ok(sending)
    }
}

impl Directory {
    /// Lets an account send under an address that is not its own, or with `@domain` under all of a domain; false: it might before.
    pub fn sender_add(&self, id: AccountId, name: &str) -> Result<bool> {
        let name = canonical(name)?;
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            let count = tx.query_row("SELECT count(*) FROM sends_as WHERE account_id = ?1", &[id.into()], |row| {
                row.i64(0)
            })?;
            if usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX) >= MAX_NAMES {
                return Err(Error::TooMany {
                    what: "names that an account may send under",
                    limit: MAX_NAMES,
                });
            }
            let added = tx.execute(
                "INSERT INTO sends_as (account_id, address) VALUES (?1, ?2) ON CONFLICT (account_id, address) DO NOTHING",
                &[id.into(), (&name).into()],
            )?;
            Ok(added > 0)
        })
    }

    /// Takes [`Directory::sender_add`] back; false: it might not.
    pub fn sender_remove(&self, id: AccountId, name: &str) -> Result<bool> {
        let name = canonical(name)?;
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            let removed = tx.execute(
                "DELETE FROM sends_as WHERE account_id = ?1 AND address = ?2",
                &[id.into(), (&name).into()],
            )?;
            Ok(removed > 0)
        })
    }

    /// The names that an account may send under beside its own.
    pub fn senders(&self, id: AccountId) -> Vec<String> {
        let tables = self.tables();
        let from = (id, String::new());
        let names = tables.sending.names.range(from..).take_while(|(of, _)| *of == id);
        names.map(|(_, name)| name.clone()).collect()
    }

    /// Holds an account's mail back from now on; false: it was held already, and for the reason it was.
    pub fn sending_hold(&self, id: AccountId, since: i64, reason: &str) -> Result<bool> {
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            let held = tx.execute(
                "INSERT INTO sending_held (account_id, since, reason) VALUES (?1, ?2, ?3) ON CONFLICT (account_id) DO NOTHING",
                &[id.into(), since.into(), reason.into()],
            )?;
            Ok(held > 0)
        })
    }

    /// Lets an account send again; false: it might.
    pub fn sending_release(&self, id: AccountId) -> Result<bool> {
        self.change(|tx| {
            let removed = tx.execute("DELETE FROM sending_held WHERE account_id = ?1", &[id.into()])?;
            Ok(removed > 0)
        })
    }

    /// Says who is told when what the account sends on cannot be delivered: itself, or who had sent the message. `None`: as the settings say.
    pub fn forwarding_tells_owner_set(&self, id: AccountId, owner: Option<bool>) -> Result<()> {
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            tx.execute("DELETE FROM forwarding WHERE account_id = ?1", &[id.into()])?;
            if let Some(owner) = owner {
                tx.execute(
                    "INSERT INTO forwarding (account_id, tells_owner) VALUES (?1, ?2)",
                    &[id.into(), owner.into()],
                )?;
            }
            Ok(())
        })
    }

    /// Whether the account is told when what it sends on cannot be delivered; `None`: nobody has said so. Reads memory only.
    pub fn forwarding_tells_owner(&self, id: AccountId) -> Option<bool> {
        self.tables().sending.tells_owner.get(&id).copied()
    }

    /// Whether an account's mail is held back. Reads memory only.
    pub fn sending_held(&self, id: AccountId) -> Option<SendingHold> {
        self.tables().sending.held.get(&id).cloned()
    }
}

impl Tables {
    /// Whether an account was given an address to send under.
    pub(crate) fn was_given(&self, account: AccountId, address: &str) -> bool {
        let Ok(address) = Address::parse(address) else {
            return false;
        };
        let has = |name: String| self.sending.names.contains(&(account, name));
        has(address.canonical()) || has(format!("@{}", address.domain()))
    }
}

/// An address, or `@domain`.
fn canonical(name: &str) -> Result<String> {
    match name.strip_prefix('@') {
        Some(domain) => match domain_canonical(domain) {
            Ok(domain) => Ok(format!("@{domain}")),
            Err(fault) => Err(Error::Domain {
                text: domain.to_owned(),
                fault,
            }),
        },
        None => Ok(parse_address(name)?.canonical()),
    }
}

/// Takes a deleted account out of all that is kept here.
pub(crate) fn forget_in(tx: &Transaction<'_>, id: AccountId) -> Result<()> {
    tx.execute("DELETE FROM sends_as WHERE account_id = ?1", &[id.into()])?;
    tx.execute("DELETE FROM sending_held WHERE account_id = ?1", &[id.into()])?;
    tx.execute("DELETE FROM forwarding WHERE account_id = ?1", &[id.into()])?;
    Ok(())
}
