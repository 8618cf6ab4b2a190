use crate::domains::{domain_must_exist_in, parse_address};
use crate::groups;
use crate::sending;
use crate::tables::Credentials;
use crate::{Address, Directory, Error, Result};
use db::{AccountId, Transaction, Value};
use std::sync::Arc;

/// A person, or whoever else reads mail here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Given once, never again.
    pub id: AccountId,
    /// A group mailbox: nobody logs into it.
    pub group: bool,
    /// Canonical; the first is the main one. Never empty.
    pub addresses: Vec<String>,
    /// Of the person, for display; may be empty.
    pub name: String,
    /// Gets no mail and may not log in.
    pub disabled: bool,
    /// May administer the server.
    pub admin: bool,
    /// Bytes that its mail may take; `None`: no bound.
    pub quota_bytes: Option<u64>,
    /// Messages that it may hold; `None`: no bound.
    pub quota_messages: Option<u64>,
}

impl Account {
    /// The main address.
    pub fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }
}

/// What a new account starts with.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewAccount<'a> {
    /// Its main address, in a domain of ours.
    pub address: &'a str,
    /// Of the person; may be empty.
    pub name: &'a str,
    /// `None`: nobody can log in until one is set.
    pub password: Option<&'a [u8]>,
    /// May administer the server.
    pub admin: bool,
    /// Bytes; `None`: no bound.
    pub quota_bytes: Option<u64>,
}

impl Directory {
    /// Makes an account. Blocking: hashes the password.
    pub fn account_add(&self, new: &NewAccount<'_>) -> Result<AccountId> {
        let address = parse_address(new.address)?;
        self.check_name(new.name)?;
        let credentials = new.password.map(|p| self.inner().passwords.make(p)).transpose()?;
        self.change(|tx| {
            let id = account_insert_in(tx, new, &address)?;
            if let Some(credentials) = &credentials {
                credentials_put_in(tx, id, credentials)?;
            }
            Ok(id)
        })
    }

    /// The account with this id.
    pub fn account(&self, id: AccountId) -> Option<Arc<Account>> {
        self.tables().accounts.get(&id).cloned()
    }

    /// The account that has this address (not as subaddress or through an alias).
    pub fn account_show(&self, address: &str) -> Result<Arc<Account>> {
        let canonical = parse_address(address)?.canonical();
        let found = self.tables().account_with(&canonical).cloned();
        found.ok_or(Error::NoSuchAccount(canonical))
    }

    /// All accounts by their main address.
    pub fn account_list(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.tables().accounts.values().cloned().collect();
        all.sort_by(|a, b| a.address().cmp(b.address()));
        all
    }

    /// Whether the account has a password.
    pub fn account_has_password(&self, id: AccountId) -> bool {
        self.tables().credentials.contains_key(&id)
    }

    /// Sets a password; the old one is good for nothing from the moment this returns. Blocking: hashes.
    pub fn account_passwd(&self, id: AccountId, password: &[u8]) -> Result<()> {
        let credentials = self.inner().passwords.make(password)?;
        let changed = self.change(|tx| {
            account_must_exist_in(tx, id)?;
            if groups::is_group_in(tx, id)? {
                return Err(Error::GroupPassword);
            }
            credentials_put_in(tx, id, &credentials)
        });
        self.inner().passwords.forget(id);
        changed
    }

    /// Lets nobody in and no mail either. The mail that is there stays.
    pub fn account_disable(&self, id: AccountId) -> Result<()> {
        let changed = self.update(id, "UPDATE account SET disabled = 1 WHERE account_id = ?1", &[]);
        self.inner().passwords.forget(id);
        changed
    }

    /// Takes [`Directory::account_disable`] back.
    pub fn account_enable(&self, id: AccountId) -> Result<()> {
        self.update(id, "UPDATE account SET disabled = 0 WHERE account_id = ?1", &[])
    }

    /// Says whether the account may administer the server.
    pub fn account_admin_set(&self, id: AccountId, admin: bool) -> Result<()> {
        self.update(
            id,
            "UPDATE account SET admin = ?2 WHERE account_id = ?1",
            &[admin.into()],
        )
    }

    /// Changes the person's name.
    pub fn account_name_set(&self, id: AccountId, name: &str) -> Result<()> {
        self.check_name(name)?;
        self.update(id, "UPDATE account SET name = ?2 WHERE account_id = ?1", &[name.into()])
    }

    /// Changes the quota: bytes and messages; `None`: no bound.
    pub fn quota_set(&self, id: AccountId, bytes: Option<u64>, messages: Option<u64>) -> Result<()> {
        self.update(
            id,
            "UPDATE account SET quota_bytes = ?2, quota_messages = ?3 WHERE account_id = ?1",
            &[quota(bytes), quota(messages)],
        )
    }

    /// Deletes the account: its addresses are free again, its password is gone, its id is never given to another.
    /// Its mail is not touched: that is the store's.
    pub fn account_delete(&self, id: AccountId) -> Result<()> {
        let changed = self.change(|tx| {
            account_must_exist_in(tx, id)?;
            credentials_delete_in(tx, id)?;
            groups::forget_in(tx, id)?;
            sending::forget_in(tx, id)?;
            tx.execute("DELETE FROM address WHERE account_id = ?1", &[id.into()])?;
            tx.execute(
                "UPDATE account SET deleted = 1, name = '', disabled = 1, admin = 0 WHERE account_id = ?1",
                &[id.into()],
            )?;
            Ok(())
        });
        self.inner().passwords.forget(id);
        changed
    }

    /// Gives the account one more address, in a domain of ours.
    pub fn address_add(&self, id: AccountId, address: &str) -> Result<()> {
        let address = parse_address(address)?;
        let limit = self.inner().options.limits.addresses;
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            domain_must_exist_in(tx, address.domain())?;
            let canonical = address.canonical();
            address_must_be_free_in(tx, &canonical)?;
            let (count, last) = tx
                .query_row(
                    "SELECT count(*), max(position) FROM address WHERE account_id = ?1",
                    &[id.into()],
                    |row| Ok((row.i64(0)?, row.opt_i64(1)?)),
                )?
                .unwrap_or((0, None));
            if usize::try_from(count).unwrap_or(usize::MAX) >= limit {
                return Err(Error::TooMany {
                    what: "addresses of an account",
                    limit,
                });
            }
            address_insert_in(tx, &canonical, Some(id), last.unwrap_or(0) + 1)
        })
    }

    /// Takes an address from the account. The last one stays.
    pub fn address_remove(&self, id: AccountId, address: &str) -> Result<()> {
        let canonical = parse_address(address)?.canonical();
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            let removed = tx.execute(
                "DELETE FROM address WHERE address = ?1 AND account_id = ?2",
                &[(&canonical).into(), id.into()],
            )?;
            if removed == 0 {
                return Err(Error::NoSuchAddress(canonical.clone()));
            }
            let left = tx.query_row("SELECT 1 FROM address WHERE account_id = ?1", &[id.into()], |_| Ok(()))?;
            left.ok_or_else(|| Error::LastAddress(canonical.clone()))
        })
    }

    /// One statement on one account; `?1` is its id.
    fn update(&self, id: AccountId, sql: &str, values: &[Value<'_>]) -> Result<()> {
        self.change(|tx| {
            account_must_exist_in(tx, id)?;
            let parameters: Vec<Value<'_>> = std::iter::once(id.into()).chain(values.iter().copied()).collect();
            tx.execute(sql, &parameters)?;
            Ok(())
        })
    }

    pub(crate) fn check_name(&self, name: &str) -> Result<()> {
        let limit = self.inner().options.limits.name;
        if name.len() > limit || name.chars().any(char::is_control) {
            return Err(Error::Name { limit });
        }
        Ok(())
    }
}

fn quota(most: Option<u64>) -> Value<'static> {
    most.map_or(Value::Null, |b| Value::Integer(i64::try_from(b).unwrap_or(i64::MAX)))
}

/// A new account's row and its main address.
pub(crate) fn account_insert_in(tx: &Transaction<'_>, new: &NewAccount<'_>, address: &Address) -> Result<AccountId> {
    domain_must_exist_in(tx, address.domain())?;
    let canonical = address.canonical();
    address_must_be_free_in(tx, &canonical)?;
    let id = next_account_id_in(tx)?;
    tx.execute(
        "INSERT INTO account (account_id, name, disabled, admin, quota_bytes, deleted) VALUES (?1, ?2, 0, ?3, ?4, 0)",
        &[id.into(), new.name.into(), new.admin.into(), quota(new.quota_bytes)],
    )?;
    address_insert_in(tx, &canonical, Some(id), 0)?;
    Ok(id)
}

fn next_account_id_in(tx: &Transaction<'_>) -> Result<AccountId> {
    tx.execute(
        "UPDATE directory_state SET next_account_id = next_account_id + 1 WHERE id = 1",
        &[],
    )?;
    let next = tx.query_row("SELECT next_account_id FROM directory_state WHERE id = 1", &[], |row| {
        row.i64(0)
    })?;
    Ok(AccountId(next.unwrap_or(2) - 1))
}

pub(crate) fn account_must_exist_in(tx: &Transaction<'_>, id: AccountId) -> Result<()> {
    let found = tx.query_row(
        "SELECT 1 FROM account WHERE account_id = ?1 AND deleted = 0",
        &[id.into()],
        |_| Ok(()),
    )?;
    found.ok_or(Error::NoSuchAccountId(id))
}

pub(crate) fn address_must_be_free_in(tx: &Transaction<'_>, canonical: &str) -> Result<()> {
    let taken = tx.query_row("SELECT 1 FROM address WHERE address = ?1", &[canonical.into()], |_| {
        Ok(())
    })?;
    if taken.is_some() {
        Err(Error::AddressTaken(canonical.to_owned()))
    } else {
        Ok(())
    }
}

pub(crate) fn address_insert_in(
    tx: &Transaction<'_>,
    canonical: &str,
    account: Option<AccountId>,
    position: i64,
) -> Result<()> {
    tx.execute(
        "INSERT INTO address (address, account_id, position) VALUES (?1, ?2, ?3)",
        &[canonical.into(), account.into(), position.into()],
    )?;
    Ok(())
}

fn credentials_delete_in(tx: &Transaction<'_>, id: AccountId) -> Result<()> {
    tx.execute("DELETE FROM credential_scram_sha1 WHERE account_id = ?1", &[id.into()])?;
    tx.execute("DELETE FROM credential WHERE account_id = ?1", &[id.into()])?;
    Ok(())
}

fn credentials_put_in(tx: &Transaction<'_>, id: AccountId, credentials: &Credentials) -> Result<()> {
    let scram = &credentials.scram;
    credentials_delete_in(tx, id)?;
    if let Some(sha1) = &credentials.scram_sha1 {
        tx.execute(
            "INSERT INTO credential_scram_sha1 (account_id, salt, iterations, stored_key, server_key) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                id.into(),
                (&sha1.salt).into(),
                sha1.iterations.into(),
                (&sha1.stored_key).into(),
                (&sha1.server_key).into(),
            ],
        )?;
    }
    tx.execute(
        "INSERT INTO credential (account_id, argon2, scram_salt, scram_iterations, scram_stored_key, scram_server_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &[
            id.into(),
            (&credentials.argon2).into(),
            (&scram.salt).into(),
            scram.iterations.into(),
            (&scram.stored_key).into(),
            (&scram.server_key).into(),
        ],
    )?;
    Ok(())
}
