//! The commands about domains, accounts and aliases.

use super::Rows;
use super::queue::{recipients, wait};
use super::request::{Done, Most, Request};
use crate::config::units;
use crate::engine::Engine;
use crate::failure::Failure;
use directory::{Account, Error, NewAccount};
use ledger::{Order, Selection, State};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn handle(engine: &Engine, request: Request, rows: Rows<'_>) -> Result<Done, Failure> {
    let directory = &engine.directory;
    match request {
        Request::AccountAdd {
            address,
            name,
            password,
            quota,
        } => {
            let new = NewAccount {
                address: &address,
                name: name.as_deref().unwrap_or_default(),
                password: Some(password.0.as_bytes()),
                admin: false,
                quota_bytes: quota,
            };
            directory.account_add(&new).map_err(advise)?;
            Ok(Done::say(format!("added {address}")))
        }
        Request::AccountList => {
            directory
                .account_list()
                .iter()
                .try_for_each(|account| rows(account_row(engine, account)))?;
            Ok(Done::default())
        }
        Request::AccountShow { address } => {
            rows(account_row(engine, &*find(engine, &address)?))?;
            Ok(Done::default())
        }
        Request::AccountPasswd { address, password } => {
            directory
                .account_passwd(find(engine, &address)?.id, password.0.as_bytes())
                .map_err(advise)?;
            Ok(Done::say(format!("new password for {address}")))
        }
        Request::AccountDisable { address } => {
            directory.account_disable(find(engine, &address)?.id).map_err(advise)?;
            Ok(Done::say(format!(
                "disabled {address}: no logins, no new mail; what is stored stays"
            )))
        }
        Request::AccountEnable { address } => {
            directory.account_enable(find(engine, &address)?.id).map_err(advise)?;
            Ok(Done::say(format!("enabled {address}")))
        }
        Request::AccountDelete { address } => {
            let account = find(engine, &address)?;
            // First the way in, then what lies behind it: a crash between the two leaves a file that nobody reaches.
            directory.account_delete(account.id).map_err(advise)?;
            engine.store.account_delete(account.id).map_err(Failure::new)?;
            Ok(Done::say(format!("deleted {address} and its mail")))
        }
        Request::AccountQuota {
            address,
            quota,
            messages,
        } => {
            let account = find(engine, &address)?;
            let messages = match messages {
                Some(Most::Unbounded) => None,
                Some(Most::Number(most)) => Some(most),
                None => account.quota_messages,
            };
            directory.quota_set(account.id, quota, messages).map_err(advise)?;
            let octets = quota.map(units::size_text);
            Ok(Done::say(match (octets, messages) {
                (Some(octets), None) => format!("{address} may hold {octets}"),
                (Some(octets), Some(most)) => format!("{address} may hold {octets} in {most} messages"),
                (None, Some(most)) => format!("{address} may hold {most} messages, of any size"),
                (None, None) => format!("{address} may hold as much as there is room for"),
            }))
        }
        Request::AddressAdd { account, address } => {
            directory
                .address_add(find(engine, &account)?.id, &address)
                .map_err(advise)?;
            Ok(Done::say(format!("{account} is also {address}")))
        }
        Request::AddressRemove { address } => {
            directory
                .address_remove(find(engine, &address)?.id, &address)
                .map_err(advise)?;
            Ok(Done::say(format!("removed {address}")))
        }
        Request::SenderAdd { account, address } => {
            let id = find(engine, &account)?.id;
            directory.sender_add(id, &address).map_err(advise)?;
            Ok(Done::say(format!("{account} may send as {address}")))
        }
        Request::SenderRemove { account, address } => {
            let id = find(engine, &account)?.id;
            Ok(Done::say(if directory.sender_remove(id, &address).map_err(advise)? {
                format!("{account} may no longer send as {address}")
            } else {
                format!("{account} was not given {address}; `rohrpost account show {account}` shows what it was")
            }))
        }
        Request::AccountForwarding { address, owner } => {
            let id = find(engine, &address)?.id;
            directory.forwarding_tells_owner_set(id, owner).map_err(advise)?;
            Ok(Done::say(match owner {
                Some(true) => {
                    format!("when what {address} sends on cannot be delivered, {address} is told, and not the sender")
                }
                Some(false) => format!("when what {address} sends on cannot be delivered, the sender is told"),
                None => format!(
                    "when what {address} sends on cannot be delivered, `failures` in [forwarding] says who is told"
                ),
            }))
        }
        Request::AccountHold { address } => {
            let id = find(engine, &address)?.id;
            let reason = "the account is held by an administrator";
            directory.sending_hold(id, net::now(), reason).map_err(advise)?;
            Ok(Done::say(format!(
                "what {address} sends waits until `rohrpost account release {address}`"
            )))
        }
        Request::AccountRelease { address, cancel } => {
            let id = find(engine, &address)?.id;
            let was = directory.sending_release(id).map_err(advise)?;
            let waiting = Selection {
                login: Some(id),
                state: Some(State::Held),
                ..Selection::default()
            };
            let order = if cancel { Order::Cancel } else { Order::Release };
            let count = wait(engine.ledger.order(order, &waiting))?;
            let what = if cancel { "thrown away" } else { "on their way now" };
            Ok(Done::say(match (was, count) {
                (false, 0) => format!("{address} was not held"),
                (_, count) => format!("{address} may send; {count} {} that waited: {what}", recipients(count)),
            }))
        }
        Request::DomainAdd { domain } => {
            directory.domain_add(&domain).map_err(advise)?;
            Ok(Done::say(format!("responsible for {domain}")))
        }
        Request::DomainList => {
            for domain in directory.domain_list() {
                rows(json!({ "domain": domain.name, "display": domain.display, "catch_all": domain.catch_all }))?;
            }
            Ok(Done::default())
        }
        Request::DomainRemove { domain } => {
            directory.domain_remove(&domain).map_err(advise)?;
            Ok(Done::say(format!("gave up {domain}")))
        }
        Request::DomainCatchAll { domain, address } => {
            directory.catch_all_set(&domain, address.as_deref()).map_err(advise)?;
            Ok(Done::say(match address {
                Some(address) => format!("mail to unknown addresses of {domain} goes to {address}"),
                None => format!("mail to unknown addresses of {domain} is refused"),
            }))
        }
        Request::AliasAdd { address, targets } => {
            let wanted: Vec<&str> = targets.iter().map(String::as_str).collect();
            directory.alias_add(&address, &wanted).map_err(advise)?;
            Ok(Done::say(format!("{address} stands for {}", targets.join(", "))))
        }
        Request::AliasList => {
            for alias in directory.alias_list() {
                rows(json!({ "address": alias.address, "targets": alias.targets }))?;
            }
            Ok(Done::default())
        }
        Request::AliasRemove { address } => {
            directory.alias_remove(&address).map_err(advise)?;
            Ok(Done::say(format!("removed {address}")))
        }
        other => Err(Failure::usage(format!("not a command about people: {other:?}"))),
    }
}

/// The account that has `address`.
pub fn find(engine: &Engine, address: &str) -> Result<Arc<Account>, Failure> {
    engine.directory.account_show(address).map_err(advise)
}

/// Founds a house: the domain, if it is new, and an account in it.
pub fn found(engine: &Engine, domain: &str, new: &NewAccount<'_>) -> Result<(), Failure> {
    match engine.directory.domain_add(domain) {
        Ok(()) | Err(Error::DomainExists(_)) => {}
        Err(e) => return Err(advise(e)),
    }
    engine.directory.account_add(new).map(|_| ()).map_err(advise)
}

fn account_row(engine: &Engine, account: &Account) -> Value {
    let mut row = json!({
        "address": account.address(), "name": account.name, "also": account.addresses.get(1..).unwrap_or_default(),
        "state": if account.disabled { "disabled" } else { "enabled" }, "admin": account.admin,
        "kind": if account.group { "group" } else { "person" }, "quota": account.quota_bytes, "quota_messages": account.quota_messages, "id": account.id.0, "file": engine.store.path_of(account.id),
        "used": 0, "messages": 0, "sends_as": engine.directory.senders(account.id),
    });
    if let (Some(hold), Value::Object(fields)) = (engine.directory.sending_held(account.id), &mut row) {
        fields.insert("held_since".to_owned(), hold.since.into());
        fields.insert("held".to_owned(), hold.reason.into());
        if !account.disabled {
            fields.insert("state".to_owned(), "held".into());
        }
    }
    // An account that never got mail has no file yet, and looking must not make one.
    if !engine.store.account_exists(account.id) {
        return row;
    }
    let opened = engine.store.account(account.id);
    if let Value::Object(fields) = &mut row {
        match opened {
            Ok(stored) => {
                let used = stored.usage();
                fields.insert("used".to_owned(), used.bytes.into());
                fields.insert("messages".to_owned(), used.messages.into());
            }
            Err(e) => {
                fields.insert("state".to_owned(), "damaged".into());
                fields.insert("fault".to_owned(), e.to_string().into());
            }
        }
    }
    row
}

/// The directory's own words, with what to do where they do not say it.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn advise(e: Error) -> Failure {
    let failure = Failure::new(&e);
    match e {
        Error::NoSuchAccount(_) => failure.advise("`rohrpost account list` shows all of them"),
        Error::NoSuchAlias(_) => failure.advise("`rohrpost alias list` shows all of them"),
        Error::AddressTaken(address) => failure.advise(format!(
            "`rohrpost account show {address}` or `rohrpost alias list` shows by whom"
        )),
        Error::Address { .. } | Error::Domain { .. } | Error::Password(_) | Error::Name { .. } => {
            Failure { exit: 2, ..failure }
        }
        _ => failure,
    }
}
