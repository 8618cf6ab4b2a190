use crate::address::domain_canonical;
use crate::{Address, Directory, Error, Result};
use db::Transaction;
use std::sync::Arc;

/// A domain of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Lower case, A-labels.
    pub name: String,
    /// For people: U-labels.
    pub display: String,
    /// Who gets what nobody else does.
    pub catch_all: Option<String>,
}

impl Domain {
    pub(crate) fn new(name: &str, catch_all: Option<&str>) -> Domain {
        Domain {
            name: name.to_owned(),
            display: idna::domain_to_unicode(name).0,
            catch_all: catch_all.map(str::to_owned),
        }
    }
}

impl Directory {
    /// Takes a domain in; from now on its mail is ours.
    pub fn domain_add(&self, domain: &str) -> Result<()> {
        let name = parse_domain(domain)?;
        self.change(|tx| {
            if domain_exists_in(tx, &name)? {
                return Err(Error::DomainExists(name.clone()));
            }
            tx.execute(
                "INSERT INTO domain (domain, catch_all) VALUES (?1, NULL)",
                &[(&name).into()],
            )?;
            Ok(())
        })
    }

    /// All domains by name.
    pub fn domain_list(&self) -> Vec<Arc<Domain>> {
        self.tables().domains.values().cloned().collect()
    }

    /// Whether mail to this domain is ours.
    pub fn domain_is_ours(&self, domain: &str) -> bool {
        domain_canonical(domain).is_ok_and(|name| self.tables().domains.contains_key(name.as_ref()))
    }

    /// Gives a domain up. Refused while it has addresses.
    pub fn domain_remove(&self, domain: &str) -> Result<()> {
        let name = parse_domain(domain)?;
        self.change(|tx| {
            domain_must_exist_in(tx, &name)?;
            let suffix = format!("@{name}");
            let mut addresses = 0;
            tx.query("SELECT address FROM address", &[], |row| {
                addresses += usize::from(row.text(0)?.ends_with(&suffix));
                Ok(())
            })?;
            if addresses > 0 {
                let domain = name.clone();
                return Err(Error::DomainInUse { domain, addresses });
            }
            tx.execute("DELETE FROM domain WHERE domain = ?1", &[(&name).into()])?;
            Ok(())
        })
    }

    /// Says who gets mail to addresses of the domain that nobody has; `None`: it is refused. The target may be anywhere.
    pub fn catch_all_set(&self, domain: &str, target: Option<&str>) -> Result<()> {
        let name = parse_domain(domain)?;
        let target = target.map(parse_address).transpose()?.map(|a| a.to_string());
        self.change(|tx| {
            domain_must_exist_in(tx, &name)?;
            tx.execute(
                "UPDATE domain SET catch_all = ?2 WHERE domain = ?1",
                &[(&name).into(), target.as_ref().into()],
            )?;
            Ok(())
        })
    }
}

pub(crate) fn parse_domain(text: &str) -> Result<String> {
    match domain_canonical(text.trim()) {
        Ok(name) if !name.starts_with('[') => Ok(name.into_owned()),
        Ok(_) => Err(Error::Domain {
            text: text.to_owned(),
            fault: crate::AddressFault::Domain,
        }),
        Err(fault) => Err(Error::Domain {
            text: text.to_owned(),
            fault,
        }),
    }
}

pub(crate) fn parse_address(text: &str) -> Result<Address> {
    Address::parse(text.trim()).map_err(|fault| Error::Address {
        text: text.to_owned(),
        fault,
    })
}

pub(crate) fn domain_must_exist_in(tx: &Transaction<'_>, name: &str) -> Result<()> {
    if domain_exists_in(tx, name)? {
        Ok(())
    } else {
        Err(Error::NoSuchDomain(name.to_owned()))
    }
}

fn domain_exists_in(tx: &Transaction<'_>, name: &str) -> Result<bool> {
    Ok(tx
        .query_row("SELECT 1 FROM domain WHERE domain = ?1", &[name.into()], |_| Ok(()))?
        .is_some())
}
