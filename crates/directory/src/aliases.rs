use crate::accounts::{address_insert_in, address_must_be_free_in};
use crate::domains::{domain_must_exist_in, parse_address};
use crate::tables::Owner;
use crate::{Directory, Error, Result};
use db::Transaction;
use std::sync::Arc;

/// An address that leads to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Its address, canonical.
    pub address: String,
    /// Where it leads, in the order given; here or elsewhere, also to other aliases.
    pub targets: Vec<String>,
}

impl Directory {
    /// Makes an alias. Targets may be of ours or not, and need not exist yet; those given twice count once.
    ///
    /// Loops are not refused here (a later change could close one): [`Directory::expand`] names them.
    pub fn alias_add(&self, address: &str, targets: &[&str]) -> Result<()> {
        let (address, targets) = self.parse_alias(address, targets)?;
        self.change(|tx| {
            domain_must_exist_in(tx, address.domain())?;
            let canonical = address.canonical();
            address_must_be_free_in(tx, &canonical)?;
            address_insert_in(tx, &canonical, None, 0)?;
            targets_insert_in(tx, &canonical, &targets)
        })
    }

    /// Puts other targets in the place of an alias's old ones.
    pub fn alias_set(&self, address: &str, targets: &[&str]) -> Result<()> {
        let (address, targets) = self.parse_alias(address, targets)?;
        self.change(|tx| {
            let canonical = address.canonical();
            alias_must_exist_in(tx, &canonical)?;
            tx.execute("DELETE FROM alias_target WHERE alias = ?1", &[(&canonical).into()])?;
            targets_insert_in(tx, &canonical, &targets)
        })
    }

    /// All aliases by address.
    pub fn alias_list(&self) -> Vec<Arc<Alias>> {
        let tables = self.tables();
        let mut all: Vec<_> = tables
            .addresses
            .values()
            .filter_map(|owner| match owner {
                Owner::Alias(alias) => Some(alias.clone()),
                Owner::Account(_) => None,
            })
            .collect();
        all.sort_by(|a, b| a.address.cmp(&b.address));
        all
    }

    /// Removes an alias; its address is free again.
    pub fn alias_remove(&self, address: &str) -> Result<()> {
        let canonical = parse_address(address)?.canonical();
        self.change(|tx| {
            alias_must_exist_in(tx, &canonical)?;
            tx.execute("DELETE FROM alias_target WHERE alias = ?1", &[(&canonical).into()])?;
            tx.execute("DELETE FROM address WHERE address = ?1", &[(&canonical).into()])?;
            Ok(())
        })
    }

    fn parse_alias(&self, address: &str, targets: &[&str]) -> Result<(crate::Address, Vec<String>)> {
        let address = parse_address(address)?;
        let limit = self.inner().options.limits.targets;
        if targets.len() > limit {
            return Err(Error::TooMany {
                what: "targets of an alias",
                limit,
            });
        }
        let mut seen = std::collections::HashSet::new();
        let mut kept = Vec::with_capacity(targets.len());
        for target in targets {
            let target = parse_address(target)?.to_string();
            if seen.insert(target.clone()) {
                kept.push(target);
            }
        }
        if kept.is_empty() {
            return Err(Error::NoTargets);
        }
        Ok((address, kept))
    }
}

fn alias_must_exist_in(tx: &Transaction<'_>, canonical: &str) -> Result<()> {
    let found = tx.query_row(
        "SELECT 1 FROM address WHERE address = ?1 AND account_id IS NULL",
        &[canonical.into()],
        |_| Ok(()),
    )?;
    found.ok_or_else(|| Error::NoSuchAlias(canonical.to_owned()))
}

fn targets_insert_in(tx: &Transaction<'_>, alias: &str, targets: &[String]) -> Result<()> {
    for (position, target) in (0i64..).zip(targets) {
        tx.execute(
            "INSERT INTO alias_target (alias, position, target) VALUES (?1, ?2, ?3)",
            &[alias.into(), position.into(), target.into()],
        )?;
    }
    Ok(())
}
