//! GETQUOTA, GETQUOTAROOT, SETQUOTA. RFC 9208.
//!
//! Each account has one quota root, named by its main address: all its mailboxes count, whoever puts messages there.

use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::Connection;
use imap::MailboxName;
use imap::command::SetQuota;
use imap::response::Code;
use std::sync::Arc;
use store::{Account, Rights};

/// Octets in a unit of STORAGE (RFC 9208 §5.1).
const UNIT: u64 = 1024;

impl Connection {
    pub(crate) fn get_quota(&mut self, root: &str) -> Answer {
        match self.quota_account(root) {
            Ok(Some(account)) => {
                self.tell_quota(root, &account);
                Answer::ok("that is all")
            }
            Ok(None) => no_root(),
            Err(answer) => answer,
        }
    }

    pub(crate) fn get_quota_root(&mut self, mailbox: &MailboxName) -> Answer {
        let who = match self.who() {
            Ok(who) => who,
            Err(answer) => return answer,
        };
        // RFC 9208 §4.1.2: one's own need not be there yet.
        let account = match self.home(mailbox.as_str(), &who) {
            Ok(Some(home)) if home.is_own() => home.account,
            Ok(_) => match self.place(mailbox, Rights::READ) {
                Ok(place) => place.account,
                Err(answer) => return answer,
            },
            Err(answer) => return answer,
        };
        let owner = self.listener.context.directory.account(account.id());
        let root = owner.as_ref().map_or("", |owner| owner.address());
        self.encoder().quota_root(mailbox, &[root]);
        self.tell_quota(root, &account);
        Answer::ok("that is all")
    }

    pub(crate) fn set_quota(&mut self, set: &SetQuota) -> Answer {
        if !self.is_admin() {
            return Answer::no(Some(Code::NoPerm), "only administrators set quotas");
        }
        let account = match self.quota_account(&set.root) {
            Ok(Some(account)) => account,
            Ok(None) => return no_root(),
            Err(answer) => return answer,
        };
        let (mut octets, mut messages) = (None, None);
        for (resource, limit) in &set.limits {
            match resource.as_str() {
                "STORAGE" => octets = Some(limit.saturating_mul(UNIT)),
                "MESSAGE" => messages = Some(*limit),
                _ => return Answer::no(Some(Code::Cannot), format!("there is no limit to be set on {resource}")),
            }
        }
        let directory = &self.listener.context.directory;
        if let Err(error) = blocking(|| directory.quota_set(account.id(), octets, messages)) {
            tracing::error!(session = self.name, %error, "a quota could not be set");
            return Answer::no(
                Some(Code::ServerBug),
                "the server failed at this; the administrator will find the reason in the log",
            );
        }
        self.tell_quota(&set.root, &account);
        Answer::ok("done")
    }

    /// Whether the session's account may administer the server.
    pub(crate) fn is_admin(&self) -> bool {
        let owner = self
            .owner
            .as_ref()
            .and_then(|owner| self.listener.context.directory.account(owner.id));
        owner.is_some_and(|account| account.admin)
    }

    /// The account of a quota root, if it is one's own, that of a mailbox one can read, or any for an administrator.
    fn quota_account(&self, root: &str) -> Result<Option<Arc<Account>>, Answer> {
        let own = self.account()?;
        let context = &self.listener.context;
        let Some(owner) = context.directory.account_show(root).ok() else {
            return Ok(None);
        };
        if owner.id == own.id() {
            return Ok(Some(own));
        }
        if self.is_admin() {
            return blocking(|| context.store.account(owner.id))
                .map(Some)
                .map_err(|error| self.trouble(&error));
        }
        let who = self.who()?;
        let probe = format!("{}INBOX", crate::imap::place::prefix_of(&owner));
        let Some(home) = self.home(&probe, &who)? else {
            return Ok(None);
        };
        let readable = Rights::LOOKUP | Rights::READ;
        let mailboxes = home.account.mailbox_list();
        let some = mailboxes
            .iter()
            .any(|mailbox| home.account.rights_of(mailbox, &who).contains(readable));
        Ok(some.then_some(home.account))
    }

    fn tell_quota(&mut self, root: &str, account: &Account) {
        let mut resources = Vec::with_capacity(3);
        let (quota, used) = (self.quota(account), account.usage());
        if let Some(limit) = quota.bytes {
            resources.push(("STORAGE", used.bytes.div_ceil(UNIT), limit / UNIT));
        }
        if let Some(limit) = quota.messages {
            resources.push(("MESSAGE", used.messages, limit));
        }
        let mailboxes = account.mailbox_list().len();
        resources.push(("MAILBOX", mailboxes as u64, store::MAX_MAILBOXES as u64));
        self.encoder().quota(root, &resources);
    }
}

fn no_root() -> Answer {
    Answer::no(Some(Code::NonExistent), "there is no such quota root")
}
