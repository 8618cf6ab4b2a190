//! From what a script calls a mailbox to the mailbox. RFC 5490 §3.2 (`:create`), RFC 8579 §4 (`:specialuse`), RFC 9042 (`:mailboxid`).

use crate::Options;
use imap::ObjectKind;
use sieve::Target;
use store::{Account, Error, Mailbox, MailboxId, SpecialUse};

/// Where a message is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// There it is.
    In(MailboxId, String),
    /// It would be made.
    New(String, Option<SpecialUse>),
    /// It can't be there; why. The message is kept in the inbox.
    Nowhere(String),
}

/// Finds the mailbox that a script means, or says what is to be made. Changes nothing.
pub fn place(account: &Account, target: &Target, options: &Options) -> Placed {
    let found = |m: Mailbox| Placed::In(m.id, m.name);
    if let Some(m) = target.mailbox_id.as_deref().and_then(|id| by_id(account, id)) {
        return found(m);
    }
    let special_use = target.special_use.as_deref().and_then(SpecialUse::parse);
    if let Some(wanted) = special_use
        && let Some(m) = account
            .mailbox_list()
            .into_iter()
            .find(|m| m.special_use == Some(wanted))
    {
        return found(m);
    }
    if let Some(m) = account.mailbox_find(&target.mailbox) {
        return found(m);
    }
    if target.create || options.create_mailboxes {
        return Placed::New(target.mailbox.clone(), special_use.filter(|_| target.create));
    }
    Placed::Nowhere(format!("there is no mailbox {:?}", target.mailbox))
}

/// The same, and makes what is to be made. `Err` where the disk says no: that may pass.
pub fn place_made(account: &Account, target: &Target, options: &Options) -> store::Result<Placed> {
    let Placed::New(name, special_use) = place(account, target, options) else {
        return Ok(place(account, target, options));
    };
    match account.mailbox_create(&name, special_use) {
        Ok(id) => {
            // People's programs show what is subscribed.
            account.subscribe(&name, true)?;
            Ok(Placed::In(id, name))
        }
        Err(Error::MailboxExists) => Ok(match account.mailbox_find(&name) {
            Some(m) => Placed::In(m.id, m.name),
            None => Placed::Nowhere(format!("there is no mailbox {name:?}")),
        }),
        Err(e @ (Error::MailboxName(_) | Error::Limit(_))) => {
            Ok(Placed::Nowhere(format!("the mailbox {name:?} cannot be made: {e}")))
        }
        Err(e) => Err(e),
    }
}

/// The mailbox of an id as IMAP shows it (MAILBOXID, RFC 8474 §4): the account and the mailbox's number within it.
pub(crate) fn by_id(account: &Account, id: &str) -> Option<Mailbox> {
    let number = ObjectKind::Mailbox.read(id)?;
    let within = u32::try_from(number & 0xffff_ffff).ok()?;
    let own = account.id().0.cast_unsigned() << 32 | u64::from(within);
    account.mailbox(MailboxId(within)).filter(|_| own == number)
}
