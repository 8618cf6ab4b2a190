//! The mailboxes a client may name, and whose they are.

use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use imap::MailboxName;
use imap::response::Code;
use std::sync::Arc;
use store::{Account, Mailbox};

/// What is to be done to a mailbox. RFC 4314 §2.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// `r`
    Read,
    /// `i`
    Insert,
    /// `x`
    DeleteMailbox,
}

/// A mailbox that was named, and the account it is in.
pub(crate) struct Place {
    pub(crate) account: Arc<Account>,
    pub(crate) mailbox: Mailbox,
}

impl Connection {
    /// The mailbox of that name, if the session's account may do this to it.
    pub(crate) fn place(&self, name: &MailboxName, _right: Right) -> Result<Place, Answer> {
        let account = self.account()?;
        match account.mailbox_find(name.as_str()) {
            Some(mailbox) => Ok(Place { account, mailbox }),
            None => Err(Answer::no(Some(Code::NonExistent), "there is no such mailbox")),
        }
    }

    /// The same for a mailbox that messages are to go to: a client may make it first (RFC 9051 §7.1, TRYCREATE).
    pub(crate) fn place_for_messages(&self, name: &MailboxName) -> Result<Place, Answer> {
        self.place(name, Right::Insert).map_err(|answer| match &answer.code {
            Some(crate::imap::answer::OwnCode::Plain(Code::NonExistent)) => {
                Answer::no(Some(Code::TryCreate), answer.text)
            }
            _ => answer,
        })
    }
}
