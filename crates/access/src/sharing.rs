//! Changing what others may do with a mailbox: its list in the owner's file, and the directory's index of who shares with whom.
//!
//! The index is what LIST asks instead of opening every account. It is written before rights are given and after they are taken: whatever
//! happens in between, it names too many owners and never too few.

use directory::Directory;
use store::{Account, Identifier, MailboxId, Rights, Who};

/// Why a list was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// From the owner's file.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// From the index.
    #[error(transparent)]
    Directory(#[from] directory::Error),
}

/// Works one entry of a mailbox's list out anew.
pub fn acl_change(
    directory: &Directory,
    account: &Account,
    mailbox: MailboxId,
    identifier: Identifier,
    negative: bool,
    rights: impl Fn(Rights) -> Rights,
) -> Result<(), Error> {
    let _alone = directory.sharing_alone();
    if !negative {
        directory.share_add(account.id(), &identifier.to_string())?;
    }
    account.acl_change(mailbox, identifier, negative, rights)?;
    note(directory, account)
}

/// Gives somebody the same rights on all mailboxes of an account and on those to come; none takes him off all its lists.
pub fn acl_everywhere(
    directory: &Directory,
    account: &Account,
    identifier: Identifier,
    rights: Rights,
) -> Result<(), Error> {
    let _alone = directory.sharing_alone();
    directory.share_add(account.id(), &identifier.to_string())?;
    account.acl_everywhere(identifier, rights)?;
    note(directory, account)
}

fn note(directory: &Directory, account: &Account) -> Result<(), Error> {
    let grantees = account.shared_with().iter().map(ToString::to_string).collect();
    Ok(directory.shares_set(account.id(), &grantees)?)
}

/// Somebody with the groups he is in.
pub fn who(directory: &Directory, account: store::AccountId) -> Who {
    Who {
        account,
        groups: directory.groups_of(account),
    }
}

/// The identifiers that are about somebody, as the index has them.
pub(crate) fn grantees(who: &Who) -> Vec<String> {
    let groups = who.groups.iter().map(|group| Identifier::Group(*group));
    [
        Identifier::Anyone,
        Identifier::Authenticated,
        Identifier::Account(who.account),
    ]
    .into_iter()
    .chain(groups)
    .map(|identifier| identifier.to_string())
    .collect()
}

/// What a person writes for an identifier: an address, `$` and a group's address, `anyone`, `authenticated`; with a `-` in front the rights
/// are taken away. `None`: there is nobody of that name.
pub fn identifier_parse(directory: &Directory, text: &str) -> Option<(Identifier, bool)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let identifier = match text {
        "anyone" => Identifier::Anyone,
        "authenticated" => Identifier::Authenticated,
        text => {
            let (group, address) = match text.strip_prefix('$') {
                Some(address) => (true, address),
                None => (false, text),
            };
            let account = directory.account_show(address).ok()?;
            match (group, account.group) {
                (true, true) => Identifier::Group(account.id),
                (false, false) => Identifier::Account(account.id),
                _ => return None,
            }
        }
    };
    Some((identifier, negative))
}

/// The identifier as a person reads it. `None`: the account is no more.
pub fn identifier_text(directory: &Directory, identifier: Identifier, negative: bool) -> Option<String> {
    let minus = if negative { "-" } else { "" };
    Some(match identifier {
        Identifier::Account(id) => format!("{minus}{}", directory.account(id)?.address()),
        Identifier::Group(id) => format!("{minus}${}", directory.account(id)?.address()),
        other => format!("{minus}{other}"),
    })
}
