use crate::address::{domain_canonical, join, local_canonical, split, unquote};
use crate::tables::{Owner, Tables};
use crate::{Account, Address, Directory};
use db::AccountId;
use std::collections::HashSet;
use std::sync::Arc;

/// Where an address leads, in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To an account.
    Account {
        /// Whose.
        account: AccountId,
        /// The address of the account that was meant, canonical, without the subaddress.
        address: String,
        /// What stood behind the separator, as it was written.
        subaddress: Option<String>,
    },
    /// To other addresses.
    Alias {
        /// The alias's address, canonical; `@domain` for a catch-all that leads elsewhere.
        name: String,
        /// Each is to be resolved in turn.
        targets: Vec<String>,
    },
    /// To an account that gets no mail now.
    Disabled {
        /// Whose.
        account: AccountId,
    },
    /// Our domain, but nobody has this address.
    Unknown,
    /// Not our domain.
    Remote,
}

/// A last address of an [`Expansion`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Final {
    /// An account of ours.
    Account {
        /// Whose.
        account: AccountId,
        /// Its address.
        address: String,
        /// For which mailbox, if one was named.
        subaddress: Option<String>,
    },
    /// An address elsewhere.
    Remote(String),
}

/// Where an address leads in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Each once, in the order found.
    pub finals: Vec<Final>,
    /// Aliases that lead back to themselves: `a@x → b@x → a@x`. The loop is not followed; what else they lead to is in `finals`.
    pub loops: Vec<String>,
    /// Addresses of ours that nobody has.
    pub unknown: Vec<String>,
    /// Accounts that get no mail now.
    pub disabled: Vec<AccountId>,
    /// Whether [`crate::Limits::alias_depth`] or [`crate::Limits::expansion`] ended it early.
    pub cut: bool,
}

/// Local parts that every domain must answer for (RFC 5321 §4.5.1, RFC 2142 §4).
const RESERVED: [&str; 2] = ["postmaster", "abuse"];

impl Directory {
    /// Where `address` leads. Reads memory only; fast enough for every `RCPT`.
    ///
    /// What can't be an address of ours is `Remote` when its domain is not ours, `Unknown` otherwise. A bare `postmaster`
    /// (RFC 5321 §4.5.1) is the postmaster.
    pub fn resolve(&self, address: &str) -> Resolution {
        self.resolve_in(&self.tables(), address, true)
    }

    /// `answered`: see to it that aliases for reserved addresses lead to somebody; left out where that very question is asked.
    fn resolve_in(&self, tables: &Tables, address: &str, answered: bool) -> Resolution {
        let Some((local, domain)) = split(address) else {
            return if address.eq_ignore_ascii_case("postmaster") {
                self.postmaster_in(tables)
            } else {
                Resolution::Unknown
            };
        };
        let Ok(domain) = domain_canonical(domain) else {
            return Resolution::Remote;
        };
        let Some(ours) = tables.domains.get(domain.as_ref()) else {
            return Resolution::Remote;
        };
        let Ok(local) = unquote(local) else {
            return Resolution::Unknown;
        };
        if let Some(found) = self.owned_in(tables, &local, &domain, answered) {
            return found;
        }
        if self.is_reserved(&local)
            && let found @ Resolution::Account { .. } = self.postmaster_in(tables)
        {
            return found;
        }
        ours.catch_all
            .as_deref()
            .map_or(Resolution::Unknown, |target| self.catch_all_in(tables, &domain, target))
    }

    /// What a catch-all leads to. An address of ours must be somebody's by itself: one catch-all never leads to another, so that
    /// they can't go in circles.
    fn catch_all_in(&self, tables: &Tables, domain: &str, target: &str) -> Resolution {
        let Ok(parsed) = Address::parse(target) else {
            return Resolution::Unknown;
        };
        if tables.domains.contains_key(parsed.domain()) {
            return self
                .owned_in(tables, parsed.local(), parsed.domain(), false)
                .unwrap_or(Resolution::Unknown);
        }
        Resolution::Alias {
            name: format!("@{domain}"),
            targets: vec![target.to_owned()],
        }
    }

    /// The account or alias that has the address, whole or without a subaddress. The longest that exists is meant.
    fn owned_in(&self, tables: &Tables, local: &str, domain: &str, answered: bool) -> Option<Resolution> {
        if let Some(owner) = tables.addresses.get(&join(&local_canonical(local), domain)) {
            return self.owner_in(tables, owner, local, domain, None, answered);
        }
        let separator = self.inner().options.subaddress_separator?;
        for (at, _) in local.rmatch_indices(separator) {
            let (user, rest) = local.split_at(at);
            if let Some(owner) = tables.addresses.get(&join(&local_canonical(user), domain)) {
                let subaddress = rest.strip_prefix(separator).filter(|s| !s.is_empty());
                return self.owner_in(tables, owner, user, domain, subaddress, answered);
            }
        }
        None
    }

    /// `None` where a reserved address would lead to nobody: the postmaster then has it.
    fn owner_in(
        &self,
        tables: &Tables,
        owner: &Owner,
        local: &str,
        domain: &str,
        subaddress: Option<&str>,
        answered: bool,
    ) -> Option<Resolution> {
        let canonical = || join(&local_canonical(local), domain);
        match owner {
            Owner::Account(account) => {
                let found = delivered_to(account, canonical(), subaddress);
                let nobody = matches!(found, Resolution::Disabled { .. }) && self.is_reserved(local);
                let replaced = nobody && matches!(self.postmaster_in(tables), Resolution::Account { .. });
                (!replaced).then_some(found)
            }
            Owner::Alias(alias) => {
                if answered
                    && self.is_reserved(local)
                    && !self.leads_to_somebody_in(tables, &alias.address, &alias.targets)
                {
                    return None;
                }
                Some(Resolution::Alias {
                    name: alias.address.clone(),
                    targets: alias.targets.clone(),
                })
            }
        }
    }

    fn is_reserved(&self, local: &str) -> bool {
        let user = match self.inner().options.subaddress_separator {
            Some(separator) => local.split(separator).next().unwrap_or(local),
            None => local,
        };
        RESERVED.iter().any(|r| user.eq_ignore_ascii_case(r))
    }

    /// Who answers for the server: the one set in the options, else the first admin.
    fn postmaster_in(&self, tables: &Tables) -> Resolution {
        let set = self
            .inner()
            .options
            .postmaster
            .as_deref()
            .and_then(|p| account_with_in(tables, p));
        let first_admin = || tables.accounts.values().find(|a| a.admin && !a.disabled);
        match set.filter(|a| !a.disabled).or_else(first_admin) {
            Some(account) => delivered_to(account, account.address().to_owned(), None),
            None => Resolution::Unknown,
        }
    }

    /// Where `address` leads in the end, with loops named and limits kept.
    pub fn expand(&self, address: &str) -> Expansion {
        let tables = self.tables();
        let mut expander = Expander::new(self, &tables, true);
        expander.visit(address);
        expander.expansion
    }

    fn leads_to_somebody_in(&self, tables: &Tables, name: &str, targets: &[String]) -> bool {
        let mut expander = Expander::new(self, tables, false);
        expander.visit_targets(name, targets);
        expander.reached > 0
    }

    /// Whether this account may use `address` as a sender: when mail to it goes to this account and to nobody else. That is so for its
    /// own addresses with and without subaddress, for those of a group mailbox it is a member of, for an alias of its own, for unused addresses of a
    /// domain whose catch-all it is; and for whatever it was given ([`Directory::sender_add`]).
    pub fn may_send_as(&self, account: AccountId, address: &str) -> bool {
        if self.tables().was_given(account, address) {
            return true;
        }
        let expansion = self.expand(address);
        let clean = expansion.loops.is_empty() && expansion.unknown.is_empty() && expansion.disabled.is_empty();
        clean
            && !expansion.cut
            && matches!(&expansion.finals[..], [Final::Account { account: only, .. }]
                if *only == account || self.tables().is_group_of(*only, account))
    }
}

fn delivered_to(account: &Arc<Account>, address: String, subaddress: Option<&str>) -> Resolution {
    if account.disabled {
        return Resolution::Disabled { account: account.id };
    }
    Resolution::Account {
        account: account.id,
        address,
        subaddress: subaddress.map(str::to_owned),
    }
}

fn account_with_in<'t>(tables: &'t Tables, address: &str) -> Option<&'t Arc<Account>> {
    tables.account_with(&Address::parse(address).ok()?.canonical())
}

/// Follows aliases depth first.
struct Expander<'d> {
    directory: &'d Directory,
    tables: &'d Tables,
    /// Whether the postmaster stands in for reserved aliases that lead to nobody.
    answered: bool,
    expansion: Expansion,
    /// Aliases between the start and here.
    path: Vec<String>,
    /// Aliases followed before, so that each is followed once.
    followed: HashSet<String>,
    seen: HashSet<Final>,
    /// Final addresses met, also those met before.
    reached: usize,
}

impl<'d> Expander<'d> {
    fn new(directory: &'d Directory, tables: &'d Tables, answered: bool) -> Self {
        Expander {
            directory,
            tables,
            answered,
            expansion: Expansion::default(),
            path: Vec::new(),
            followed: HashSet::new(),
            seen: HashSet::new(),
            reached: 0,
        }
    }

    fn visit(&mut self, address: &str) {
        if self.expansion.finals.len() >= self.directory.inner().options.limits.expansion {
            self.expansion.cut = true;
            return;
        }
        match self.directory.resolve_in(self.tables, address, false) {
            Resolution::Remote => {
                let canonical = Address::parse(address).map_or_else(|_| address.to_owned(), |a| a.to_string());
                self.finish(Final::Remote(canonical));
            }
            Resolution::Alias { name, targets } => {
                let before = self.reached;
                self.visit_targets(&name, &targets);
                let local = split(&name).map_or("", |(local, _)| local);
                if self.answered && self.reached == before && self.directory.is_reserved(local) {
                    self.finish_account(self.directory.postmaster_in(self.tables), address);
                }
            }
            other => self.finish_account(other, address),
        }
    }

    fn visit_targets(&mut self, name: &str, targets: &[String]) {
        if self.path.iter().any(|p| p == name) {
            self.note_loop(name);
            return;
        }
        if self.path.len() >= self.directory.inner().options.limits.alias_depth {
            self.expansion.cut = true;
            return;
        }
        if !self.followed.insert(name.to_owned()) {
            return;
        }
        self.path.push(name.to_owned());
        for target in targets {
            self.visit(target);
        }
        self.path.pop();
    }

    fn finish_account(&mut self, resolution: Resolution, address: &str) {
        match resolution {
            Resolution::Account {
                account,
                address,
                subaddress,
            } => self.finish(Final::Account {
                account,
                address,
                subaddress,
            }),
            Resolution::Disabled { account } if self.expansion.disabled.contains(&account) => {}
            Resolution::Disabled { account } => self.expansion.disabled.push(account),
            _ => self.expansion.unknown.push(address.to_owned()),
        }
    }

    fn finish(&mut self, last: Final) {
        self.reached += 1;
        if self.seen.insert(last.clone()) {
            self.expansion.finals.push(last);
        }
    }

    fn note_loop(&mut self, name: &str) {
        let start = self.path.iter().position(|p| p == name).unwrap_or(0);
        let round: Vec<&str> = self.path.iter().skip(start).map(String::as_str).chain([name]).collect();
        self.expansion.loops.push(round.join(" → "));
    }
}
