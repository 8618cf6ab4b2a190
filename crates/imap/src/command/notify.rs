//! NOTIFY: what a client wants to hear of while it asks for nothing. RFC 5465.

use crate::command::FetchItem;
use crate::cursor::Cursor;
use crate::{Error, MailboxName, Result};

/// NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// `NONE`: nothing.
    None,
    /// `SET`: this, in place of what was asked for before.
    Set {
        /// The mailboxes' STATUS is told at once.
        status: bool,
        /// What of which mailboxes.
        groups: Vec<NotifyGroup>,
    },
}

/// Some mailboxes and the events in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyGroup {
    /// The mailboxes.
    pub mailboxes: NotifyMailboxes,
    /// The events; none of them for `NONE`.
    pub events: NotifyEvents,
}

/// Which mailboxes. RFC 5465 §6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyMailboxes {
    /// The selected one, at once.
    Selected,
    /// The selected one, expunged messages only when a command allows it.
    SelectedDelayed,
    /// Those that mail may be delivered into.
    Inboxes,
    /// The user's own.
    Personal,
    /// Those subscribed to.
    Subscribed,
    /// These and all below.
    Subtree(Vec<MailboxName>),
    /// These.
    Mailboxes(Vec<MailboxName>),
}

/// Events. RFC 5465 §5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifyEvents {
    /// A message came.
    pub message_new: bool,
    /// What of a new message in the selected mailbox is told at once.
    pub fetch: Vec<FetchItem>,
    /// A message went.
    pub message_expunge: bool,
    /// Flags changed.
    pub flag_change: bool,
    /// A mailbox was made, deleted or renamed.
    pub mailbox_name: bool,
    /// A subscription was made or ended.
    pub subscription_change: bool,
    /// What is said about a mailbox was changed.
    pub mailbox_metadata: bool,
    /// What is said about the server was changed.
    pub server_metadata: bool,
    /// An event of a name that this server does not know: to be answered with `NO [BADEVENT …]`.
    pub unknown: bool,
}

/// The events that this server knows, for `BADEVENT`.
pub const NOTIFY_EVENTS: [&str; 7] = [
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];

impl NotifyEvents {
    /// Whether any event about messages is wanted.
    pub fn messages(&self) -> bool {
        self.message_new || self.message_expunge || self.flag_change
    }
}

impl<'a> Cursor<'a> {
    // notify = "NOTIFY" SP ("SET" [SP "STATUS"] SP event-group *(SP event-group) / "NONE")
    pub(crate) fn notify(&mut self) -> Result<Notify> {
        if self.eat_word("NONE") {
            return Ok(Notify::None);
        }
        if !self.eat_word("SET") {
            return Err(Error::Expected("SET or NONE"));
        }
        self.space()?;
        let status = self.eat_word("STATUS");
        if status {
            self.space()?;
        }
        let mut groups = vec![self.notify_group()?];
        while self.eat(b' ') {
            groups.push(self.notify_group()?);
            if groups.len() > self.limits.notify_groups {
                return Err(Error::TooMany("groups of mailboxes"));
            }
        }
        let selected = |group: &&NotifyGroup| {
            matches!(
                group.mailboxes,
                NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed
            )
        };
        if groups.iter().filter(selected).count() > 1 {
            return Err(Error::Expected("SELECTED or SELECTED-DELAYED once"));
        }
        Ok(Notify::Set { status, groups })
    }

    // event-group = "(" filter-mailboxes SP events ")"
    fn notify_group(&mut self) -> Result<NotifyGroup> {
        self.open()?;
        let name = self.word("mailboxes to watch")?.to_ascii_uppercase();
        let mailboxes = match name.as_str() {
            "SELECTED" => NotifyMailboxes::Selected,
            "SELECTED-DELAYED" => NotifyMailboxes::SelectedDelayed,
            "INBOXES" => NotifyMailboxes::Inboxes,
            "PERSONAL" => NotifyMailboxes::Personal,
            "SUBSCRIBED" => NotifyMailboxes::Subscribed,
            "SUBTREE" => NotifyMailboxes::Subtree(self.notify_names()?),
            "MAILBOXES" => NotifyMailboxes::Mailboxes(self.notify_names()?),
            _ => return Err(Error::Unknown("mailbox filter")),
        };
        self.space()?;
        let mut events = NotifyEvents::default();
        if !self.eat_word("NONE") {
            self.list(false, |c| c.notify_event(&mut events))?;
        }
        self.expect(b')', "a closing bracket")?;
        // §5: numbers in the selected mailbox only make sense to who hears of all that moves them.
        if events.message_new != events.message_expunge || (events.flag_change && !events.message_new) {
            return Err(Error::Expected("MessageNew and MessageExpunge together"));
        }
        let selected = matches!(mailboxes, NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed);
        let others = events.mailbox_name || events.subscription_change;
        if selected && (others || events.mailbox_metadata || events.server_metadata) {
            return Err(Error::Expected("events of messages in the selected mailbox"));
        }
        if !selected && !events.fetch.is_empty() {
            return Err(Error::Expected("FETCH items for the selected mailbox only"));
        }
        Ok(NotifyGroup { mailboxes, events })
    }

    // one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")"
    fn notify_names(&mut self) -> Result<Vec<MailboxName>> {
        self.space()?;
        let names = if self.peek() == Some(b'(') {
            self.list(false, Cursor::mailbox)?
        } else {
            vec![self.mailbox()?]
        };
        if names.len() > self.limits.notify_mailboxes {
            return Err(Error::TooMany("mailboxes"));
        }
        Ok(names)
    }

    fn notify_event(&mut self, events: &mut NotifyEvents) -> Result<()> {
        let name = self.atom("an event")?.to_ascii_uppercase();
        match name.as_str() {
            "MESSAGENEW" => {
                events.message_new = true;
                if self.rest().starts_with(b" (") {
                    self.space()?;
                    events.fetch = self.list(false, Cursor::fetch_item)?;
                }
            }
            "MESSAGEEXPUNGE" => events.message_expunge = true,
            "FLAGCHANGE" => events.flag_change = true,
            "MAILBOXNAME" => events.mailbox_name = true,
            "SUBSCRIPTIONCHANGE" => events.subscription_change = true,
            "MAILBOXMETADATACHANGE" => events.mailbox_metadata = true,
            "SERVERMETADATACHANGE" => events.server_metadata = true,
            _ => events.unknown = true,
        }
        Ok(())
    }
}
