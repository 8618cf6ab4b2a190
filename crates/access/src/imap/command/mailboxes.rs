//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. RFC 9051 §6.3.4 to §6.3.8, §6.3.11.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::object;
use crate::imap::place::{Place, Right};
use imap::command::{Create, StatusItem};
use imap::response::{Code, Status};
use imap::{MailboxName, State};
use store::{AccountId, Mailbox, SpecialUse};

impl Connection {
    pub(crate) fn create(&mut self, create: &Create) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        // RFC 6154 §3: a use that cannot be given fails the whole command.
        let special_use = match create.special_use.as_slice() {
            [] => None,
            [only] => match SpecialUse::parse(only.name()) {
                Some(special_use) => Some(special_use),
                None => return Answer::no(Some(Code::UseAttr), "no mailbox here has that use"),
            },
            _ => return Answer::no(Some(Code::UseAttr), "a mailbox has one use at most"),
        };
        if special_use.is_some() && account.mailbox_list().iter().any(|m| m.special_use == special_use) {
            return Answer::no(Some(Code::UseAttr), "another mailbox has that use already");
        }
        match blocking(|| account.mailbox_create(create.mailbox.as_str(), special_use)) {
            Ok(id) => {
                let code = Code::MailboxId(object::mailbox(account.id(), id));
                Answer::ok("created").with(OwnCode::Plain(code))
            }
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) fn delete(&mut self, name: &MailboxName) -> Answer {
        let Place { account, mailbox } = match self.place(name, Right::DeleteMailbox) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        // Its own client need not be told that the selected mailbox is gone; it is unselected.
        let own = self
            .selected
            .as_ref()
            .is_some_and(|s| s.mailbox == mailbox.id && s.account.id() == account.id());
        match blocking(|| account.mailbox_delete(mailbox.id)) {
            Ok(()) => {
                if own {
                    self.selected = None;
                    self.state = State::Authenticated;
                    self.encoder()
                        .untagged(Status::Ok, Some(&Code::Closed), "the selected mailbox is gone");
                }
                Answer::ok("deleted")
            }
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        let to = to.as_str().strip_suffix('/').unwrap_or(to.as_str());
        match blocking(|| account.mailbox_rename(from.as_str(), to)) {
            Ok(()) => Answer::ok("renamed"),
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) fn subscribe(&mut self, name: &MailboxName, subscribed: bool) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        match blocking(|| account.subscribe(name.as_str(), subscribed)) {
            Ok(()) => Answer::ok("done"),
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) fn status(&mut self, name: &MailboxName, items: &[StatusItem]) -> Answer {
        if items.contains(&StatusItem::HighestModSeq) {
            self.condstore_enable();
        }
        match self.place(name, Right::Read) {
            Ok(Place { account, mailbox }) => {
                self.encoder()
                    .status(name, &status_values(account.id(), &mailbox, items));
                Answer::ok("that is all")
            }
            Err(answer) => answer,
        }
    }
}

/// What STATUS says of a mailbox.
pub(super) fn status_values(account: AccountId, mailbox: &Mailbox, items: &[StatusItem]) -> Vec<(StatusItem, u64)> {
    let value = |item: StatusItem| match item {
        StatusItem::Messages => u64::from(mailbox.messages),
        StatusItem::Recent => {
            let since = mailbox.uid_next.0.saturating_sub(mailbox.recent_from.0);
            u64::from(since.min(mailbox.messages))
        }
        StatusItem::UidNext => u64::from(mailbox.uid_next.0),
        StatusItem::UidValidity => u64::from(mailbox.uid_validity),
        StatusItem::Unseen => u64::from(mailbox.unseen),
        StatusItem::Deleted => u64::from(mailbox.deleted),
        StatusItem::Size => mailbox.size,
        StatusItem::HighestModSeq => mailbox.highest_modseq.0,
        StatusItem::MailboxId => object::mailbox(account, mailbox.id),
    };
    items.iter().map(|item| (*item, value(*item))).collect()
}
