//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. RFC 9051 §6.3.4 to §6.3.8, §6.3.11.

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::connection::Connection;
use crate::imap::object;
use crate::imap::place::{Home, Place, not_allowed, nothing};
use crate::imap::{blocking, promptly};
use imap::command::{Create, StatusItem};
use imap::response::{Code, Status};
use imap::{MailboxName, State};
use std::sync::Arc;
use store::{Account, AccountId, Mailbox, Rights, SpecialUse};

impl Connection {
    pub(crate) fn create(&mut self, create: &Create) -> Answer {
        let home = match self.home_for_new(&create.mailbox) {
            Ok(home) => home,
            Err(answer) => return answer,
        };
        let account = &home.account;
        if !create.special_use.is_empty() && !home.is_own() {
            return Answer::no(Some(Code::UseAttr), "only mailboxes of one's own have a use");
        }
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
        match blocking(|| account.mailbox_create(&home.inner, special_use)) {
            Ok(id) => {
                let code = Code::MailboxId(object::mailbox(account.id(), id));
                Answer::ok("created").with(OwnCode::Plain(code))
            }
            Err(error) => self.trouble(&error),
        }
    }

    pub(crate) fn delete(&mut self, name: &MailboxName) -> Answer {
        let Place { account, mailbox, .. } = match self.place(name, Rights::DELETE_MAILBOX) {
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
        let (account, from, to) = match self.renamed(from, to) {
            Ok(renamed) => renamed,
            Err(answer) => return answer,
        };
        let to = to.strip_suffix('/').unwrap_or(&to);
        match blocking(|| account.mailbox_rename(&from, to)) {
            Ok(()) => Answer::ok("renamed"),
            Err(error) => self.trouble(&error),
        }
    }

    /// The account a new mailbox is to be in, and its name there.
    fn home_for_new(&self, name: &MailboxName) -> Result<Home, Answer> {
        let who = self.who()?;
        let home = self.home(name.as_str(), &who)?;
        // Who may not create there is told the same whether there is such an account or not.
        let allowed = home.filter(|home| home.account.may_create(&home.inner, &who));
        allowed.ok_or_else(nothing)
    }

    /// The account in which a mailbox gets another name, and both names there. No mailbox changes its owner by this.
    fn renamed(&self, from: &MailboxName, to: &MailboxName) -> Result<(Arc<Account>, String, String), Answer> {
        let who = self.who()?;
        let Some(home) = self.home(from.as_str(), &who)? else {
            return Err(nothing());
        };
        if !home.is_own() {
            let place = self.place(from, Rights::DELETE_MAILBOX)?;
            if place.mailbox.name == "INBOX" {
                return Err(Answer::no(
                    Some(Code::Cannot),
                    "only its owner moves messages out of INBOX by renaming it",
                ));
            }
        }
        let elsewhere = || {
            Answer::no(
                Some(Code::Cannot),
                "a mailbox stays with its owner; copy its messages instead",
            )
        };
        let target = self.home(to.as_str(), &who)?.ok_or_else(elsewhere)?;
        if target.account.id() != home.account.id() {
            return Err(elsewhere());
        }
        if !target.account.may_create(&target.inner, &who) {
            return Err(not_allowed());
        }
        Ok((home.account, home.inner, target.inner))
    }

    pub(crate) fn subscribe(&mut self, name: &MailboxName, subscribed: bool) -> Answer {
        let account = match self.account() {
            Ok(account) => account,
            Err(answer) => return answer,
        };
        if subscribed && let Err(answer) = self.may_subscribe(name) {
            return answer;
        }
        match blocking(|| account.subscribe(name.as_str(), subscribed)) {
            Ok(()) => Answer::ok("done"),
            Err(error) => self.trouble(&error),
        }
    }

    /// RFC 9051 §6.3.7: a server may insist that the mailbox exists, and clients expect it to say so where it does not. A level that only
    /// has mailboxes below it is in lists, too.
    fn may_subscribe(&self, name: &MailboxName) -> Result<(), Answer> {
        let Err(answer) = self.place(name, Rights::LOOKUP) else {
            return Ok(());
        };
        let who = self.who()?;
        let home = self.home(name.as_str(), &who)?;
        let level = home.filter(Home::is_own).is_some_and(|home| {
            let below = format!("{}/", home.inner.trim_end_matches('/'));
            home.account
                .mailbox_list()
                .iter()
                .any(|mailbox| mailbox.name.starts_with(&below))
        });
        if level { Ok(()) } else { Err(answer) }
    }

    pub(crate) fn status(&mut self, name: &MailboxName, items: &[StatusItem]) -> Answer {
        if items.contains(&StatusItem::HighestModSeq) {
            self.condstore_enable();
        }
        let place = match self.place(name, Rights::READ) {
            Ok(place) => place,
            Err(answer) => return answer,
        };
        let small = place.reader.is_none() && !items.contains(&StatusItem::DeletedStorage) && place.account.is_idle();
        let limit = self.options().message_size;
        match promptly(small, || {
            status_values(&place.account, &place.mailbox, place.reader, items, limit)
        }) {
            Ok(values) => {
                self.encoder().status(name, &values);
                Answer::ok("that is all")
            }
            Err(error) => self.trouble(&error),
        }
    }
}

/// What STATUS says of a mailbox. `limit`: octets of the largest message that is taken.
pub(crate) fn status_values(
    account: &Account,
    mailbox: &Mailbox,
    reader: Option<AccountId>,
    items: &[StatusItem],
    limit: u64,
) -> store::Result<Vec<(StatusItem, u64)>> {
    let value = |item: StatusItem| -> store::Result<u64> {
        Ok(match item {
            StatusItem::Messages => u64::from(mailbox.messages),
            StatusItem::Recent => {
                let since = mailbox.uid_next.0.saturating_sub(mailbox.recent_from.0);
                u64::from(since.min(mailbox.messages))
            }
            StatusItem::UidNext => u64::from(mailbox.uid_next.0),
            StatusItem::UidValidity => u64::from(mailbox.uid_validity),
            StatusItem::Unseen => u64::from(account.mailbox_unseen(mailbox, reader)?),
            StatusItem::Deleted => u64::from(mailbox.deleted),
            StatusItem::Size => mailbox.size,
            StatusItem::HighestModSeq => mailbox.highest_modseq.0,
            StatusItem::MailboxId => object::mailbox(account.id(), mailbox.id),
            StatusItem::AppendLimit => limit,
            StatusItem::DeletedStorage => account.mailbox_deleted_bytes(mailbox.id)?,
        })
    };
    items.iter().map(|item| Ok((*item, value(*item)?))).collect()
}
