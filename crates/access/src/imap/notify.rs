//! What a session that has asked with NOTIFY (RFC 5465) is told between commands.
//!
//! The account says that something has changed, not what: the session compares the rows of the mailboxes it watches with those it knows.
//! So many changes at once cost one comparison, and a client that is slow to read misses states in between, never the last one.

use crate::imap::connection::Connection;
use imap::command::{Fetch, FetchItem, NotifyEvents, NotifyGroup, NotifyMailboxes, StatusItem};
use imap::response::{Attribute, ListResponse};
use imap::{Bound, MailboxName, SequenceSet};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use store::{Account, Mailbox, MailboxId};
use tokio::sync::watch;

/// What a session watches.
pub(crate) struct Watch {
    pub(crate) changes: watch::Receiver<u64>,
    groups: Vec<NotifyGroup>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    subscriptions: BTreeSet<String>,
}

/// What is told of the selected mailbox.
#[derive(Clone, Copy)]
pub(crate) struct SelectedEvents {
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    pub(crate) delayed: bool,
}

impl Watch {
    pub(crate) fn new(account: &Account, groups: Vec<NotifyGroup>) -> store::Result<Watch> {
        let mut watch = Watch {
            changes: account.changes(),
            groups,
            mailboxes: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
        };
        watch.refresh(account)?;
        Ok(watch)
    }

    /// Takes everything as it is for known.
    pub(crate) fn refresh(&mut self, account: &Account) -> store::Result<()> {
        self.changes.mark_unchanged();
        self.mailboxes = account.mailbox_list().into_iter().map(|row| (row.id, row)).collect();
        self.subscriptions = account.subscriptions()?.into_iter().collect();
        Ok(())
    }

    /// What is told of the selected mailbox; not asked for, nothing (§3.1).
    pub(crate) fn selected(&self) -> SelectedEvents {
        let group = self.selected_group();
        SelectedEvents {
            messages: group.is_some_and(|group| group.events.message_new),
            flags: group.is_some_and(|group| group.events.flag_change),
            delayed: group.is_some_and(|group| group.mailboxes == NotifyMailboxes::SelectedDelayed),
        }
    }

    /// What of a new message in the selected mailbox is told.
    pub(crate) fn selected_fetch(&self) -> Vec<FetchItem> {
        self.selected_group()
            .map(|group| group.events.fetch.clone())
            .unwrap_or_default()
    }

    fn selected_group(&self) -> Option<&NotifyGroup> {
        let selected = |group: &&NotifyGroup| {
            matches!(
                group.mailboxes,
                NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed
            )
        };
        self.groups.iter().find(selected)
    }

    /// What is wanted of a mailbox of this name, all groups together.
    fn wanted(&self, name: &str) -> NotifyEvents {
        let mut wanted = NotifyEvents::default();
        for group in &self.groups {
            let is = |of: &MailboxName| of.as_str() == name;
            let below =
                |of: &MailboxName| is(of) || name.strip_prefix(of.as_str()).is_some_and(|rest| rest.starts_with('/'));
            let meant = match &group.mailboxes {
                NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed => false,
                NotifyMailboxes::Inboxes | NotifyMailboxes::Personal => true,
                NotifyMailboxes::Subscribed => self.subscriptions.contains(name),
                NotifyMailboxes::Subtree(names) => names.iter().any(below),
                NotifyMailboxes::Mailboxes(names) => names.iter().any(is),
            };
            if meant {
                wanted.message_new |= group.events.message_new;
                wanted.message_expunge |= group.events.message_expunge;
                wanted.flag_change |= group.events.flag_change;
                wanted.mailbox_name |= group.events.mailbox_name;
                wanted.subscription_change |= group.events.subscription_change;
            }
        }
        wanted
    }
}

impl Connection {
    /// Tells the STATUS of all mailboxes whose messages are watched: what NOTIFY SET STATUS begins with (§3.1).
    pub(crate) fn notify_status(&mut self) {
        let Some(watch) = self.watch.take() else { return };
        for row in watch.mailboxes.values() {
            let wanted = watch.wanted(&row.name);
            if !wanted.messages() || self.is_selected(row.id) {
                continue;
            }
            let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
            if wanted.flag_change || self.condstore {
                items.push(StatusItem::HighestModSeq);
            }
            self.notify_row(row, &items);
        }
        self.watch = Some(watch);
    }

    /// Tells what has changed outside of the selected mailbox.
    pub(crate) fn notify_changes(&mut self) -> store::Result<()> {
        let (Some(mut watch), Some(owner)) = (self.watch.take(), &self.owner) else {
            return Ok(());
        };
        let account = std::sync::Arc::clone(&owner.account);
        let (before, subscribed) = (
            std::mem::take(&mut watch.mailboxes),
            std::mem::take(&mut watch.subscriptions),
        );
        // Wanted is what the new subscriptions say (§6.4).
        let refreshed = watch.refresh(&account);
        // §5.4: a mailbox that comes or goes concerns its parent, too.
        let mut concerned: BTreeSet<String> = BTreeSet::new();
        let mut come_or_gone = |name: &str| {
            concerned.insert(name.to_owned());
            concerned.extend(name.rsplit_once('/').map(|(parent, _)| parent.to_owned()));
        };
        for row in watch.mailboxes.values().filter(|row| !before.contains_key(&row.id)) {
            come_or_gone(&row.name);
        }
        for old in before.values().filter(|old| !watch.mailboxes.contains_key(&old.id)) {
            come_or_gone(&old.name);
        }
        for name in &concerned {
            if watch.wanted(name).mailbox_name {
                let there = watch.mailboxes.values().any(|row| row.name == *name);
                self.notify_name(&watch, name, None, there);
            }
        }
        for (id, row) in &watch.mailboxes {
            let wanted = watch.wanted(&row.name);
            match before.get(id) {
                Some(old) if old.name != row.name => {
                    let asked = wanted.mailbox_name || watch.wanted(&old.name).mailbox_name;
                    if asked && !went_with_parent(&before, &watch.mailboxes, old, row) {
                        self.notify_name(&watch, &row.name, Some(&old.name), true);
                    }
                }
                Some(old) if !self.is_selected(*id) => self.notify_messages(old, row, &wanted),
                _ => {}
            }
        }
        for name in subscribed.symmetric_difference(&watch.subscriptions) {
            if watch.wanted(name).subscription_change {
                let there = watch.mailboxes.values().any(|row| row.name == *name);
                self.notify_name(&watch, name, None, there);
            }
        }
        self.watch = Some(watch);
        refreshed
    }

    fn is_selected(&self, id: MailboxId) -> bool {
        let own = self.owner.as_ref().map(|owner| owner.id);
        self.selected
            .as_ref()
            .is_some_and(|selected| selected.mailbox == id && Some(selected.account.id()) == own)
    }

    fn notify_messages(&mut self, old: &Mailbox, row: &Mailbox, wanted: &NotifyEvents) {
        let came = row.uid_next != old.uid_next;
        let went = u64::from(old.messages) + u64::from(row.uid_next.0 - old.uid_next.0.min(row.uid_next.0))
            != u64::from(row.messages);
        let mut items = Vec::new();
        if (came && wanted.message_new) || (went && wanted.message_expunge) {
            items.extend([StatusItem::Messages, StatusItem::UidNext]);
            if self.condstore {
                items.push(StatusItem::HighestModSeq);
            }
        } else if wanted.flag_change && row.highest_modseq != old.highest_modseq {
            items.push(StatusItem::UidValidity);
            if row.unseen != old.unseen {
                items.push(StatusItem::Unseen);
            }
            // Told whether CONDSTORE is enabled or not: it is the only thing to tell of other flags.
            items.push(StatusItem::HighestModSeq);
        }
        if !items.is_empty() {
            self.notify_row(row, &items);
        }
    }

    fn notify_row(&mut self, row: &Mailbox, items: &[StatusItem]) {
        let Some(owner) = &self.owner else { return };
        match crate::imap::command::status_values(&owner.account, row, None, items) {
            Ok(values) => self.encoder().status(&MailboxName::new(&row.name), &values),
            Err(error) => tracing::warn!(session = self.name, %error, "a change could not be told"),
        }
    }

    fn notify_name(&mut self, watch: &Watch, name: &str, old: Option<&str>, there: bool) {
        let mut attributes = Vec::new();
        if there {
            let below = format!("{name}/");
            let children = watch.mailboxes.values().any(|row| row.name.starts_with(&below));
            attributes.push(if children {
                Attribute::HasChildren
            } else {
                Attribute::HasNoChildren
            });
        } else {
            attributes.push(Attribute::NonExistent);
        }
        if watch.subscriptions.contains(name) {
            attributes.push(Attribute::Subscribed);
        }
        let old = old.map(MailboxName::new);
        self.encoder().list(&ListResponse {
            attributes: &attributes,
            separator: Some('/'),
            mailbox: &MailboxName::new(name),
            child_subscribed: false,
            old_name: old.as_ref(),
        });
    }

    /// What was asked for of messages that came into the selected mailbox after position `from` (§5.2).
    pub(crate) async fn notify_fetch(&mut self, from: usize) -> io::Result<()> {
        let items = self
            .watch
            .as_ref()
            .map(|watch| watch.selected_fetch())
            .unwrap_or_default();
        let first = self
            .selected
            .as_ref()
            .and_then(|selected| selected.told.at(from))
            .map(|message| message.uid.0);
        let (Some(first), false) = (first, items.is_empty()) else {
            return Ok(());
        };
        let fetch = Fetch {
            uid: true,
            set: SequenceSet::Ranges(vec![(Bound::Number(first), Bound::Number(u32::MAX))]),
            items,
            changed_since: None,
            vanished: false,
            partial: None,
        };
        // What could not be read is not said: nobody has asked.
        Box::pin(self.fetch(&fetch)).await?;
        Ok(())
    }
}

impl Connection {
    /// Takes what the session has just done itself for known.
    pub(crate) fn watch_refresh(&mut self) {
        if let (Some(watch), Some(owner)) = (&mut self.watch, &self.owner)
            && let Err(error) = net::blocking(|| watch.refresh(&owner.account))
        {
            tracing::warn!(session = self.name, %error, "changes may be told twice");
        }
    }
}

/// Whether a mailbox has another name because the one above it has: what is below goes with it, and is not told (§5.4).
fn went_with_parent(
    before: &BTreeMap<MailboxId, Mailbox>,
    after: &BTreeMap<MailboxId, Mailbox>,
    old: &Mailbox,
    new: &Mailbox,
) -> bool {
    let (Some((parent, _)), Some((new_parent, _))) = (old.name.rsplit_once('/'), new.name.rsplit_once('/')) else {
        return false;
    };
    let above = before.values().find(|other| other.name == parent);
    let now = above.and_then(|above| after.get(&above.id));
    now.is_some_and(|now| now.name != parent && now.name == new_parent)
}
