//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS. RFC 4314 §3.
//!
//! The owner has all rights and is on no list; GETACL names him first. Rights are given on one mailbox at a time; a new mailbox begins with
//! those of the one above it.

use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::place::{Place, nothing};
use crate::sharing;
use imap::MailboxName;
use imap::command::{AclEntry, RightsChange, SetAcl};
use imap::response::Code;
use store::{Identifier, Rights};

/// Each may be given without the others; `c` and `d` of RFC 2086 stand by themselves (RFC 4314 §2.1.1).
const OPTIONAL: [&str; 13] = ["l", "r", "s", "w", "i", "p", "k", "x", "t", "e", "a", "c", "d"];

impl Connection {
    pub(crate) fn set_acl(&mut self, set: &SetAcl) -> Answer {
        let rights = match Rights::parse(&set.rights) {
            Ok(rights) => rights,
            // RFC 4314 §3.1: a right that is not known is an error of the command.
            Err(letter) => return Answer::bad(format!("there is no right \"{letter}\"")),
        };
        let change = |old: Rights| match set.change {
            RightsChange::Replace => rights,
            RightsChange::Add => old | rights,
            RightsChange::Remove => old & !rights,
        };
        self.acl_change(&set.mailbox, &set.identifier, change)
    }

    pub(crate) fn delete_acl(&mut self, entry: &AclEntry) -> Answer {
        self.acl_change(&entry.mailbox, &entry.identifier, |_| Rights::NONE)
    }

    fn acl_change(&mut self, mailbox: &MailboxName, identifier: &str, change: impl Fn(Rights) -> Rights) -> Answer {
        let Place { account, mailbox, .. } = match self.administered(mailbox) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        let directory = &self.listener.context.directory;
        let Some((identifier, negative)) = sharing::identifier_parse(directory, identifier) else {
            return Answer::no(
                Some(Code::Cannot),
                "there is nobody of that name here; write an address, $ and the address of a group mailbox, or anyone",
            );
        };
        if identifier == Identifier::Account(account.id()) {
            return Answer::no(Some(Code::Cannot), "the owner always has all rights");
        }
        match blocking(|| sharing::acl_change(directory, &account, mailbox.id, identifier, negative, change)) {
            Ok(()) => Answer::ok("done"),
            Err(sharing::Error::Store(error)) => self.trouble(&error),
            Err(sharing::Error::Directory(error)) => {
                tracing::error!(session = self.name, %error, "rights could not be changed");
                Answer::no(
                    Some(Code::ServerBug),
                    "the server failed at this; the administrator will find the reason in the log",
                )
            }
        }
    }

    pub(crate) fn get_acl(&mut self, mailbox: &MailboxName) -> Answer {
        let place = match self.administered(mailbox) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        let directory = &self.listener.context.directory;
        let owner = directory.account(place.account.id()).filter(|owner| !owner.group);
        let owner = owner.map(|owner| (owner.address().to_owned(), Rights::ALL.letters_with_old()));
        let others = place.mailbox.sharing.acl.entries().iter().filter_map(|entry| {
            let name = sharing::identifier_text(directory, entry.identifier, entry.negative)?;
            Some((name, entry.rights.letters_with_old()))
        });
        let entries: Vec<(String, String)> = owner.into_iter().chain(others).collect();
        self.encoder().acl(mailbox, &entries);
        Answer::ok("that is all")
    }

    pub(crate) fn list_rights(&mut self, entry: &AclEntry) -> Answer {
        let place = match self.administered(&entry.mailbox) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        let owner = self.listener.context.directory.account(place.account.id());
        let all = Rights::ALL.letters_with_old();
        let (required, optional): (&str, &[&str]) =
            if owner.is_some_and(|owner| owner.addresses.contains(&entry.identifier)) {
                (&all, &[])
            } else {
                ("", &OPTIONAL)
            };
        self.encoder()
            .list_rights(&entry.mailbox, &entry.identifier, required, optional);
        Answer::ok("that is all")
    }

    pub(crate) fn my_rights(&mut self, mailbox: &MailboxName) -> Answer {
        let some = Rights::LOOKUP
            | Rights::READ
            | Rights::INSERT
            | Rights::CREATE
            | Rights::DELETE_MAILBOX
            | Rights::ADMINISTER;
        let rights = match self.place_known(mailbox) {
            Ok(place) => place.map(|place| place.rights).filter(|rights| rights.intersects(some)),
            Err(answer) => return answer,
        };
        let Some(rights) = rights else {
            return nothing();
        };
        self.encoder().my_rights(mailbox, &rights.letters_with_old());
        Answer::ok("that is all")
    }

    /// A mailbox whose list may be seen and changed. RFC 4314 §6: who may not list the mailbox does not learn of it here.
    fn administered(&self, mailbox: &MailboxName) -> Result<Place, Answer> {
        self.place(mailbox, Rights::LOOKUP | Rights::ADMINISTER)
    }
}
