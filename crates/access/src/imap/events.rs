//! Scripts that run on what a command does to messages. RFC 6785.
//!
//! Commands note what they did where somebody listens; when a command is done and before it is answered, the scripts run. Whatever they say or
//! fail at, the command is answered as it ended.

use crate::imap::connection::Connection;
use filter::{Cause, Event, Touched};
use imap::response::{Code, Status};
use std::sync::Arc;
use store::{Account, AccountId, Flags, MailboxId, Snapshot, Uid};

impl Connection {
    /// Messages have come into a mailbox.
    pub(crate) fn event_arrived(&mut self, account: &Arc<Account>, mailbox: MailboxId, cause: Cause, uids: &[Uid]) {
        if self.event_wanted(account, mailbox) {
            let touched = |uid: &Uid| Touched {
                uid: *uid,
                changed: Flags::NONE,
            };
            self.event_note(account, mailbox, cause, uids.iter().map(touched).collect());
        }
    }

    /// Flags of messages have changed from what they were in `before` to what `after` makes of them. What somebody keeps for himself alone
    /// is no event: the mailbox's owner sees nothing of it.
    pub(crate) fn event_flagged(
        &mut self,
        account: &Arc<Account>,
        mailbox: MailboxId,
        reader: Option<AccountId>,
        before: &Snapshot,
        uids: &[Uid],
        after: impl Fn(Flags) -> Flags,
    ) {
        if uids.is_empty() || !self.event_wanted(account, mailbox) {
            return;
        }
        let own = if reader.is_some() { Flags::SEEN } else { Flags::NONE };
        let touched = |uid: &Uid| {
            let flags = before.at(before.position(*uid)?)?.flags;
            let changed = Flags(flags.0 ^ after(flags).0) & !own;
            (changed != Flags::NONE).then_some(Touched { uid: *uid, changed })
        };
        let messages = uids.iter().filter_map(touched).collect();
        self.event_note(account, mailbox, Cause::Flag, messages);
    }

    fn event_wanted(&self, account: &Account, mailbox: MailboxId) -> bool {
        let events = self.listener.context.events.as_ref();
        events.is_some_and(|events| events.listens(account, mailbox))
    }

    fn event_note(&mut self, account: &Arc<Account>, mailbox: MailboxId, cause: Cause, messages: Vec<Touched>) {
        if !messages.is_empty() {
            self.events.push(Event {
                account: Arc::clone(account),
                mailbox,
                cause,
                messages,
            });
        }
    }

    /// Runs the scripts for what the command did.
    pub(crate) async fn events_run(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let noted = std::mem::take(&mut self.events);
        let (Some(events), Some(owner)) = (self.listener.context.events.clone(), &self.owner) else {
            return;
        };
        let all: usize = noted.iter().map(|event| event.messages.len()).sum();
        let left = events.run(owner.id, noted).await;
        if left > 0 {
            let text = format!(
                "the script has not run for the last {left} of {all} messages: that is too much for one command"
            );
            self.encoder().untagged(Status::No, Some(&Code::Limit), &text);
        }
    }
}
