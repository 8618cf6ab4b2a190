//! The commands about group mailboxes and access control lists.

use super::Rows;
use super::people::{advise, find};
use super::request::{Done, Request};
use crate::engine::Engine;
use crate::failure::Failure;
use access::sharing;
use directory::NewAccount;
use serde_json::json;
use store::{Identifier, Rights};

pub(super) fn handle(engine: &Engine, request: Request, rows: Rows<'_>) -> Result<Done, Failure> {
    let directory = &engine.directory;
    match request {
        Request::GroupAdd { address, name, quota } => {
            let new = NewAccount {
                address: &address,
                name: name.as_deref().unwrap_or_default(),
                quota_bytes: quota,
                ..NewAccount::default()
            };
            let id = directory.group_add(&new).map_err(advise)?;
            let account = engine.store.account(id).map_err(Failure::new)?;
            // People who share a mailbox rarely read at the same time: each needs to know what is new to him.
            account.seen_own_set(None, true).map_err(Failure::new)?;
            Ok(Done::say(format!(
                "added the group mailbox {address}; add members with `rohrpost group join {address} ADDRESS`"
            )))
        }
        Request::GroupList => {
            for group in directory.group_list() {
                let members: Vec<String> = members(engine, group.id);
                rows(
                    json!({ "address": group.address(), "name": group.name, "members": members, "quota": group.quota_bytes }),
                )?;
            }
            Ok(Done::default())
        }
        Request::GroupMembers { group } => {
            let group = find_group(engine, &group)?;
            let account = engine.store.account(group.id).map_err(Failure::new)?;
            let acl = account.sharing_defaults().acl;
            for id in directory.group_members(group.id) {
                let Some(member) = directory.account(id) else { continue };
                let rights = acl.rights(Identifier::Account(id), false);
                rows(json!({ "address": member.address(), "name": member.name, "rights": rights.to_string() }))?;
            }
            Ok(Done::default())
        }
        Request::GroupJoin { group, member, rights } => {
            let rights = rights_parse(&rights)?;
            let (group, person) = (find_group(engine, &group)?, find(engine, &member)?);
            directory.group_member_add(group.id, person.id).map_err(advise)?;
            let account = engine.store.account(group.id).map_err(Failure::new)?;
            sharing::acl_everywhere(directory, &account, Identifier::Account(person.id), rights)
                .map_err(Failure::new)?;
            Ok(Done::say(format!(
                "{member} shares the mailboxes of {} ({rights})",
                group.address()
            )))
        }
        Request::GroupLeave { group, member } => {
            let (group, person) = (find_group(engine, &group)?, find(engine, &member)?);
            let account = engine.store.account(group.id).map_err(Failure::new)?;
            // First what he may do, then his name: a crash between the two leaves a member without rights.
            sharing::acl_everywhere(directory, &account, Identifier::Account(person.id), Rights::NONE)
                .map_err(Failure::new)?;
            let was = directory.group_member_remove(group.id, person.id).map_err(advise)?;
            Ok(Done::say(if was {
                format!("{member} is no member of {} any more", group.address())
            } else {
                format!("{member} was no member of {}", group.address())
            }))
        }
        Request::GroupSeen { group, own } => {
            let group = find_group(engine, &group)?;
            let account = engine.store.account(group.id).map_err(Failure::new)?;
            account.seen_own_set(None, own).map_err(Failure::new)?;
            Ok(Done::say(if own {
                format!(
                    "each member of {} has a mark of his own for what he has read",
                    group.address()
                )
            } else {
                format!("what one member of {} has read is read for all", group.address())
            }))
        }
        Request::AclList { account } => {
            let owner = find(engine, &account)?;
            if !engine.store.account_exists(owner.id) {
                return Ok(Done::default());
            }
            let stored = engine.store.account(owner.id).map_err(Failure::new)?;
            for mailbox in stored.mailbox_list() {
                for entry in mailbox.sharing.acl.entries() {
                    let who = sharing::identifier_text(directory, entry.identifier, entry.negative);
                    let who = who.unwrap_or_else(|| format!("deleted {}", entry.identifier));
                    rows(json!({ "mailbox": mailbox.name, "who": who, "rights": entry.rights.to_string() }))?;
                }
            }
            Ok(Done::default())
        }
        Request::AclSet {
            account,
            mailbox,
            who,
            rights,
        } => {
            let rights = rights_parse(&rights)?;
            let owner = find(engine, &account)?;
            let stored = engine.store.account(owner.id).map_err(Failure::new)?;
            let found = stored
                .mailbox_find(&mailbox)
                .ok_or_else(|| Failure::new(format!("{account} has no mailbox {mailbox}")))?;
            let (identifier, negative) = sharing::identifier_parse(directory, &who).ok_or_else(|| {
                Failure::new(format!("there is nobody of the name {who}"))
                    .advise("write an address, $ and the address of a group mailbox, or anyone")
            })?;
            if identifier == Identifier::Account(owner.id) {
                return Err(Failure::usage("the owner always has all rights"));
            }
            sharing::acl_change(directory, &stored, found.id, identifier, negative, |_| rights)
                .map_err(Failure::new)?;
            Ok(Done::say(if rights.is_empty() {
                format!("no entry for {who} on {mailbox} of {account}")
            } else {
                format!("{who} on {mailbox} of {account}: {rights}")
            }))
        }
        other => Err(Failure::usage(format!("not a command about sharing: {other:?}"))),
    }
}

fn find_group(engine: &Engine, address: &str) -> Result<std::sync::Arc<directory::Account>, Failure> {
    let found = find(engine, address)?;
    if found.group {
        Ok(found)
    } else {
        Err(
            Failure::new(format!("{address} is a person's account, not a group mailbox"))
                .advise("`rohrpost group list` shows all of them; `rohrpost acl set` shares a person's mailbox"),
        )
    }
}

fn members(engine: &Engine, group: directory::AccountId) -> Vec<String> {
    let ids = engine.directory.group_members(group);
    let accounts = ids.into_iter().filter_map(|id| engine.directory.account(id));
    accounts.map(|account| account.address().to_owned()).collect()
}

fn rights_parse(text: &str) -> Result<Rights, Failure> {
    let letters = match text {
        "none" => "",
        "read" => "lrs",
        "write" => "lrswipte",
        "manage" => "lrswipkxtea",
        letters => letters,
    };
    Rights::parse(letters).map_err(|letter| {
        Failure::usage(format!("\"{text}\" are no rights: there is no right \"{letter}\""))
            .advise("write read, write, manage, none, or letters out of lrswipkxtea")
    })
}
