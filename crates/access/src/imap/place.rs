//! The mailboxes a client may name, and whose they are.
//!
//! Three namespaces (RFC 2342): one's own mailboxes have plain names; another person's are `Other Users/ADDRESS/NAME`, those of a group
//! mailbox `Shared Folders/ADDRESS/NAME`. What somebody may not know of is answered exactly as what is not there (RFC 4314 §6), and found out
//! with the same work: the directory's index says from memory whether an account could share anything with him, and only then is its file
//! opened.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::sharing;
use imap::MailboxName;
use imap::response::Code;
use std::sync::Arc;
use store::{Account, AccountId, Flags, Mailbox, Rights, Who};

/// What stands before the mailboxes of other people.
pub(crate) const OTHERS: &str = "Other Users/";
/// What stands before group mailboxes.
pub(crate) const SHARED: &str = "Shared Folders/";

/// A mailbox that was named, and the account it is in.
pub(crate) struct Place {
    pub(crate) account: Arc<Account>,
    pub(crate) mailbox: Mailbox,
    /// What the session's account may do with it.
    pub(crate) rights: Rights,
    /// For whom `\Seen` is kept there; `None`: it is the one of all.
    pub(crate) reader: Option<AccountId>,
    /// Its name as the session's account says it.
    pub(crate) name: MailboxName,
}

/// An account that a name leads to, whether the mailbox is there or not.
pub(crate) struct Home {
    pub(crate) account: Arc<Account>,
    /// What stands before its mailboxes' names: nothing for one's own.
    pub(crate) prefix: String,
    /// The mailbox's name in it.
    pub(crate) inner: String,
}

impl Home {
    /// Whether it is the session's own account.
    pub(crate) fn is_own(&self) -> bool {
        self.prefix.is_empty()
    }
}

impl Connection {
    /// Who has logged in, with his groups.
    pub(crate) fn who(&self) -> Result<Who, Answer> {
        let account = self.account()?;
        Ok(sharing::who(&self.listener.context.directory, account.id()))
    }

    /// The mailbox of that name, if the session's account may do this to it.
    pub(crate) fn place(&self, name: &MailboxName, right: Rights) -> Result<Place, Answer> {
        let place = self.place_known(name)?.ok_or_else(nothing)?;
        if place.rights.contains(right) {
            Ok(place)
        } else if place.rights.contains(Rights::LOOKUP) {
            Err(not_allowed())
        } else {
            Err(nothing())
        }
    }

    /// The mailbox of that name, whatever may be done to it.
    pub(crate) fn place_known(&self, name: &MailboxName) -> Result<Option<Place>, Answer> {
        let who = self.who()?;
        let Some(home) = self.home(name.as_str(), &who)? else {
            return Ok(None);
        };
        let Some(mailbox) = home.account.mailbox_find(&home.inner) else {
            return Ok(None);
        };
        Ok(Some(Place {
            rights: home.account.rights_of(&mailbox, &who),
            reader: home.account.reader(&mailbox, who.account),
            name: MailboxName::new(&format!("{}{}", home.prefix, mailbox.name)),
            account: home.account,
            mailbox,
        }))
    }

    /// A mailbox's name as the session's account says it.
    pub(crate) fn name_of(&self, account: &Account, mailbox: &Mailbox) -> MailboxName {
        let own = self.owner.as_ref().is_some_and(|owner| owner.id == account.id());
        let elsewhere = self.listener.context.directory.account(account.id()).filter(|_| !own);
        let prefix = elsewhere.map(|owner| prefix_of(&owner)).unwrap_or_default();
        MailboxName::new(&format!("{prefix}{}", mailbox.name))
    }

    /// The account that a name leads to. `None`: to none that could have a mailbox for the session's account.
    pub(crate) fn home(&self, name: &str, who: &Who) -> Result<Option<Home>, Answer> {
        let Some((namespace, rest)) = namespace(name) else {
            return Ok(Some(Home {
                account: self.account()?,
                prefix: String::new(),
                inner: name.to_owned(),
            }));
        };
        let Some((level, inner)) = rest.split_once('/') else {
            return Ok(None);
        };
        let directory = &self.listener.context.directory;
        let found = address_of(level).and_then(|address| directory.account_show(&address).ok());
        let grantees = sharing::grantees(who);
        let Some(owner) = found.filter(|owner| {
            owner.group == (namespace == SHARED)
                && owner.id != who.account
                && level_of(owner.address()) == level
                && directory.is_sharer(owner.id, grantees.iter().map(String::as_str))
        }) else {
            return Ok(None);
        };
        let store = &self.listener.context.store;
        let account = blocking(|| store.account(owner.id)).map_err(|error| self.trouble(&error))?;
        Ok(Some(Home {
            account,
            prefix: format!("{namespace}{level}/"),
            inner: inner.to_owned(),
        }))
    }

    /// The same for a mailbox that messages are to go to: a client may make it first (RFC 9051 §7.1, TRYCREATE).
    pub(crate) fn place_for_messages(&self, name: &MailboxName) -> Result<Place, Answer> {
        self.place(name, Rights::INSERT).map_err(|answer| match &answer.code {
            Some(OwnCode::Plain(Code::NonExistent)) => Answer::no(Some(Code::TryCreate), answer.text),
            _ => answer,
        })
    }

    /// All accounts that may share something with the session's, with what stands before their mailboxes' names. One that cannot be opened
    /// is left out.
    pub(crate) fn homes_elsewhere(&self, who: &Who) -> Vec<Home> {
        let context = &self.listener.context;
        let grantees = sharing::grantees(who);
        let owners = context.directory.sharers(grantees.iter().map(String::as_str));
        let others = owners.into_iter().filter(|owner| owner.id != who.account);
        others
            .filter_map(|owner| match blocking(|| context.store.account(owner.id)) {
                Ok(account) => Some(Home {
                    account,
                    prefix: prefix_of(&owner),
                    inner: String::new(),
                }),
                Err(error) => {
                    tracing::error!(session = self.name, account = owner.id.0, %error, "a shared account cannot be opened");
                    None
                }
            })
            .collect()
    }
}

/// What stands before the names of an account's mailboxes for everybody else.
pub(crate) fn prefix_of(owner: &directory::Account) -> String {
    let namespace = if owner.group { SHARED } else { OTHERS };
    format!("{namespace}{}/", level_of(owner.address()))
}

/// The namespace that a name is in, with what stands behind its prefix; `None`: one's own.
pub(crate) fn namespace(name: &str) -> Option<(&'static str, &str)> {
    [OTHERS, SHARED]
        .into_iter()
        .find_map(|namespace| match name.strip_prefix(namespace.trim_end_matches('/')) {
            Some("") => Some((namespace, "")),
            Some(rest) => rest.strip_prefix('/').map(|rest| (namespace, rest)),
            None => None,
        })
}

/// There is no such mailbox, or none that may be known of.
pub(crate) fn nothing() -> Answer {
    Answer::no(Some(Code::NonExistent), "there is no such mailbox")
}

/// It is there for all to see, but not for this.
pub(crate) fn not_allowed() -> Answer {
    Answer::no(Some(Code::NoPerm), "its owner has not given you the right to do that")
}

/// The flags that rights let somebody change (RFC 4314 §4).
pub(crate) fn flags_allowed(rights: Rights) -> Flags {
    let part = |right, flags| if rights.contains(right) { flags } else { Flags::NONE };
    part(Rights::SEEN, Flags::SEEN)
        | part(Rights::DELETED, Flags::DELETED)
        | part(Rights::WRITE, !(Flags::SEEN | Flags::DELETED))
}

/// An address as a level of a mailbox name: what may stand in an address and not in a level is written as `=` and two hex digits.
fn level_of(address: &str) -> String {
    let mut level = String::with_capacity(address.len());
    for character in address.chars() {
        match character {
            '/' | '*' | '%' | '=' => {
                level.push('=');
                level.push_str(&format!("{:02x}", u32::from(character)));
            }
            character => level.push(character),
        }
    }
    level
}

/// The address that a level stands for.
fn address_of(level: &str) -> Option<String> {
    let mut pieces = level.split('=');
    let mut address = pieces.next()?.to_owned();
    for piece in pieces {
        let octet = u8::from_str_radix(piece.get(..2)?, 16).ok()?;
        address.push(char::from(octet));
        address.push_str(piece.get(2..)?);
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (address, level) in [
            ("ada@phys.example", "ada@phys.example"),
            ("a/b%c*=d@x", "a=2fb=25c=2a=3dd@x"),
        ] {
            assert_eq!(level_of(address), level);
            assert_eq!(address_of(level).as_deref(), Some(address));
        }
        for bad in ["a=", "a=2", "a=zz", "=é"] {
            assert_eq!(address_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn namespaces() {
        for (name, expected) in [
            ("INBOX", None),
            ("Other Users", Some((OTHERS, ""))),
            ("Other Users/", Some((OTHERS, ""))),
            ("Other Users/a@b/INBOX", Some((OTHERS, "a@b/INBOX"))),
            ("Other Userss", None),
            ("Shared Folders/g@b/x", Some((SHARED, "g@b/x"))),
        ] {
            assert_eq!(namespace(name), expected, "{name}");
        }
    }
}
