//! Everything in memory, as it stands after one change and until the next.

use crate::groups::{Groups, groups_in};
use crate::sending::Sending;
use crate::{Account, Alias, Domain, Result};
use db::{AccountId, Row, Transaction};
use sasl::{ScramCredentials, ScramHash};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All rows, keyed for the questions that are asked.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) generation: i64,
    pub(crate) domains: BTreeMap<String, Arc<Domain>>,
    /// By canonical address.
    pub(crate) addresses: HashMap<String, Owner>,
    pub(crate) accounts: BTreeMap<AccountId, Arc<Account>>,
    pub(crate) credentials: HashMap<AccountId, Arc<Credentials>>,
    pub(crate) groups: Groups,
    /// What is said about the server, by name.
    pub(crate) server_metadata: Vec<(String, Vec<u8>)>,
    pub(crate) sending: Sending,
}

/// Whose an address is.
#[derive(Clone, Debug)]
pub(crate) enum Owner {
    Account(Arc<Account>),
    Alias(Arc<Alias>),
}

/// What is kept of a password.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// PHC string of argon2id.
    pub(crate) argon2: String,
    /// Beside it, for SCRAM-SHA-256.
    pub(crate) scram: ScramCredentials,
    /// And for SCRAM-SHA-1; a password that was set before there was this has none.
    pub(crate) scram_sha1: Option<ScramCredentials>,
}

impl Tables {
    /// Reads everything inside one transaction.
    pub(crate) fn load(tx: &Transaction<'_>) -> Result<Tables> {
        let mut tables = Tables {
            generation: generation_in(tx)?,
            groups: Groups::load(tx)?,
            sending: Sending::load(tx)?,
            ..Tables::default()
        };
        tx.query("SELECT entry, value FROM server_metadata ORDER BY entry", &[], |row| {
            let entry = (row.text(0)?.to_owned(), row.blob(1)?.to_vec());
            tables.server_metadata.push(entry);
            Ok(())
        })?;
        tx.query("SELECT domain, catch_all FROM domain", &[], |row| {
            let domain = Domain::new(row.text(0)?, row.opt_text(1)?);
            tables.domains.insert(domain.name.clone(), Arc::new(domain));
            Ok(())
        })?;
        let groups = groups_in(tx)?;
        let mut accounts = BTreeMap::new();
        tx.query(
            "SELECT account_id, name, disabled, admin, quota_bytes, quota_messages FROM account WHERE deleted = 0",
            &[],
            |row| {
                let account = Account {
                    id: AccountId(row.i64(0)?),
                    group: groups.contains(&AccountId(row.i64(0)?)),
                    addresses: Vec::new(),
                    name: row.text(1)?.to_owned(),
                    disabled: row.bool(2)?,
                    admin: row.bool(3)?,
                    quota_bytes: row.opt_i64(4)?.and_then(|v| u64::try_from(v).ok()),
                    quota_messages: row.opt_i64(5)?.and_then(|v| u64::try_from(v).ok()),
                };
                accounts.insert(account.id, account);
                Ok(())
            },
        )?;
        let mut aliases: HashMap<String, Alias> = HashMap::new();
        tx.query(
            "SELECT address, account_id FROM address ORDER BY position, address",
            &[],
            |row| {
                let address = row.text(0)?.to_owned();
                match row.opt_i64(1)? {
                    Some(id) => {
                        if let Some(account) = accounts.get_mut(&AccountId(id)) {
                            account.addresses.push(address);
                        }
                    }
                    None => {
                        let targets = Vec::new();
                        aliases.insert(address.clone(), Alias { address, targets });
                    }
                }
                Ok(())
            },
        )?;
        tx.query(
            "SELECT alias, target FROM alias_target ORDER BY alias, position",
            &[],
            |row| {
                if let Some(alias) = aliases.get_mut(row.text(0)?) {
                    alias.targets.push(row.text(1)?.to_owned());
                }
                Ok(())
            },
        )?;
        for (id, account) in accounts {
            let account = Arc::new(account);
            for address in &account.addresses {
                tables
                    .addresses
                    .insert(address.clone(), Owner::Account(account.clone()));
            }
            tables.accounts.insert(id, account);
        }
        for (address, alias) in aliases {
            tables.addresses.insert(address, Owner::Alias(Arc::new(alias)));
        }
        let key = |row: &Row<'_>, column, octets| -> db::Result<Vec<u8>> {
            let key = row.blob(column)?.to_vec();
            if key.len() != octets {
                return Err(db::Error::Column {
                    column,
                    reason: format!("should be {octets} octets"),
                });
            }
            Ok(key)
        };
        let mut sha1 = HashMap::new();
        tx.query(
            "SELECT account_id, salt, iterations, stored_key, server_key FROM credential_scram_sha1",
            &[],
            |row| {
                let octets = ScramHash::Sha1.octets();
                let credentials = ScramCredentials {
                    hash: ScramHash::Sha1,
                    salt: row.blob(1)?.to_vec(),
                    iterations: row.u32(2)?,
                    stored_key: key(row, 3, octets)?,
                    server_key: key(row, 4, octets)?,
                };
                sha1.insert(AccountId(row.i64(0)?), credentials);
                Ok(())
            },
        )?;
        tx.query(
            "SELECT account_id, argon2, scram_salt, scram_iterations, scram_stored_key, scram_server_key FROM credential",
            &[],
            |row| {
                let (account, octets) = (AccountId(row.i64(0)?), ScramHash::Sha256.octets());
                let credentials = Credentials {
                    argon2: row.text(1)?.to_owned(),
                    scram: ScramCredentials {
                        hash: ScramHash::Sha256,
                        salt: row.blob(2)?.to_vec(),
                        iterations: row.u32(3)?,
                        stored_key: key(row, 4, octets)?,
                        server_key: key(row, 5, octets)?,
                    },
                    scram_sha1: sha1.remove(&account),
                };
                tables.credentials.insert(account, Arc::new(credentials));
                Ok(())
            },
        )?;
        Ok(tables)
    }

    /// The account with this canonical address.
    pub(crate) fn account_with(&self, canonical: &str) -> Option<&Arc<Account>> {
        match self.addresses.get(canonical) {
            Some(Owner::Account(account)) => Some(account),
            _ => None,
        }
    }
}

/// The number of the last change.
pub(crate) fn generation_in(tx: &Transaction<'_>) -> Result<i64> {
    let generation = tx.query_row("SELECT generation FROM directory_state WHERE id = 1", &[], |row| {
        row.i64(0)
    })?;
    Ok(generation.unwrap_or(0))
}
