//! What a session that has asked with NOTIFY (RFC 5465) is told between commands.
//!
//! The account says that something has changed, not what: the session compares the rows of the mailboxes it watches with those it knows.
//! So many changes at once cost one comparison, and a client that is slow to read misses states in between, never the last one.
//!
//! Mailboxes of other people and of groups are watched where they are asked for and may be known of.

use crate::imap::answer::Answer;
use crate::imap::connection::Connection;
use crate::imap::place::{OTHERS, SHARED, namespace};
use crate::imap::selected::Selected;
use imap::command::{Fetch, FetchItem, NotifyEvents, NotifyGroup, NotifyMailboxes, StatusItem};
use imap::response::{Attribute, ListResponse};
use imap::{Bound, MailboxName, SequenceSet};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use store::{Account, AccountId, Mailbox, MailboxId, Rights};
use tokio::sync::watch;

/// What a session watches.
pub(crate) struct Watch {
    groups: Vec<NotifyGroup>,
    homes: Vec<Home>,
    mailboxes: BTreeMap<(AccountId, MailboxId), Known>,
    subscriptions: BTreeSet<String>,
    /// What is said about the server, and how many changes of it are known.
    server: watch::Receiver<BTreeMap<String, u64>>,
    server_known: u64,
}

/// An account with mailboxes that are watched.
struct Home {
    account: Arc<Account>,
    changes: watch::Receiver<u64>,
    /// How many changes of what is said about its mailboxes are known.
    metadata: u64,
}

/// A mailbox that the session's account may know of.
struct Known {
    account: Arc<Account>,
    row: Mailbox,
    /// As the session's account says it.
    name: String,
    own: bool,
    /// For whom `\Seen` is kept there.
    reader: Option<AccountId>,
    /// It may be read.
    readable: bool,
}

/// What is told of the selected mailbox.
#[derive(Clone, Copy)]
pub(crate) struct SelectedEvents {
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    pub(crate) delayed: bool,
}

impl Watch {
    /// Waits for a change of any account that is watched.
    pub(crate) async fn changed(&mut self) {
        // Accounts are kept open here and the server's entries by the listener: this waits for a change of some.
        let homes = self.homes.iter_mut();
        let mut waiting: Vec<_> = homes.map(|home| Box::pin(home.changes.changed())).collect();
        let accounts = std::future::poll_fn(|context| {
            let ready = waiting.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            () = accounts => {}
            _ = self.server.changed() => {}
        }
    }

    /// Whether something was said since it was looked.
    fn is_old(&self) -> bool {
        let said = |home: &Home| home.account.metadata_changes(u64::MAX, home.account.id()).0 != home.metadata;
        self.homes.iter().any(said) || self.server.borrow().values().any(|at| *at > self.server_known)
    }

    /// Whether mailboxes of others are asked for: who may be in them changes without a change of any account that is watched.
    pub(crate) fn looks_elsewhere(&self) -> bool {
        names_elsewhere(&self.groups, &self.subscriptions).next().is_some()
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

    /// Whether there is a mailbox of this name.
    fn has(&self, name: &str) -> bool {
        self.mailboxes.values().any(|known| known.name == name)
    }

    /// What is wanted of a mailbox of this name, all groups together.
    fn wanted(&self, name: &str) -> NotifyEvents {
        let own = namespace(name).is_none();
        let mut wanted = NotifyEvents::default();
        for group in &self.groups {
            let is = |of: &MailboxName| of.as_str() == name;
            let below =
                |of: &MailboxName| is(of) || name.strip_prefix(of.as_str()).is_some_and(|rest| rest.starts_with('/'));
            let meant = match &group.mailboxes {
                NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed => false,
                NotifyMailboxes::Inboxes | NotifyMailboxes::Personal => own,
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
                wanted.mailbox_metadata |= group.events.mailbox_metadata;
            }
        }
        wanted
    }
}

/// Names of others' mailboxes that groups ask for (§6.4, §6.6, §6.7).
fn names_elsewhere<'a>(
    groups: &'a [NotifyGroup],
    subscriptions: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a str> {
    groups
        .iter()
        .flat_map(|group| -> Vec<&str> {
            match &group.mailboxes {
                NotifyMailboxes::Subscribed => subscriptions.iter().map(String::as_str).collect(),
                NotifyMailboxes::Subtree(names) | NotifyMailboxes::Mailboxes(names) => {
                    names.iter().map(MailboxName::as_str).collect()
                }
                _ => Vec::new(),
            }
        })
        .filter(|name| namespace(name).is_some())
}

impl Connection {
    /// Takes everything as it is for known.
    pub(crate) fn watch_new(&self, groups: Vec<NotifyGroup>) -> Result<Watch, Answer> {
        let (own, who) = (self.account()?, self.who()?);
        let mut homes = vec![(Arc::clone(&own), String::new())];
        // First the changes are listened to, then it is looked.
        let mut changes = vec![own.changes()];
        let subscriptions = net::blocking(|| own.subscriptions()).map_err(|error| self.trouble(&error))?;
        let subscriptions: BTreeSet<String> = subscriptions.into_iter().collect();
        let names: Vec<&str> = names_elsewhere(&groups, &subscriptions).collect();
        if !names.is_empty() {
            for home in self.homes_elsewhere(&who) {
                // What is asked for lies in the account, or the account in it.
                let asked = |name: &&str| {
                    let name = format!("{name}/");
                    name.starts_with(&home.prefix) || home.prefix.starts_with(&name)
                };
                if names.iter().any(asked) {
                    changes.push(home.account.changes());
                    homes.push((home.account, home.prefix));
                }
            }
        }
        let mut mailboxes = BTreeMap::new();
        for (account, prefix) in &homes {
            for row in account.mailbox_list() {
                let rights = account.rights_of(&row, &who);
                if rights.contains(Rights::LOOKUP) {
                    let known = Known {
                        name: format!("{prefix}{}", row.name),
                        own: prefix.is_empty(),
                        reader: account.reader(&row, who.account),
                        readable: rights.contains(Rights::READ),
                        account: Arc::clone(account),
                        row,
                    };
                    mailboxes.insert((account.id(), known.row.id), known);
                }
            }
        }
        let homes = homes.into_iter().zip(changes);
        let mut server = self.listener.context.server_metadata.subscribe();
        let server_known = server.borrow_and_update().values().max().copied().unwrap_or(0);
        Ok(Watch {
            groups,
            homes: homes
                .map(|((account, _), changes)| Home {
                    metadata: account.metadata_changes(u64::MAX, who.account).0,
                    account,
                    changes,
                })
                .collect(),
            mailboxes,
            subscriptions,
            server,
            server_known,
        })
    }

    /// Tells the STATUS of all mailboxes whose messages are watched: what NOTIFY SET STATUS begins with (§3.1).
    pub(crate) fn notify_status(&mut self) {
        let Some(watch) = self.watch.take() else { return };
        for known in watch.mailboxes.values() {
            let wanted = watch.wanted(&known.name);
            if !wanted.messages() || !known.readable || self.is_selected(known) {
                continue;
            }
            let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
            if wanted.flag_change || self.condstore {
                items.push(StatusItem::HighestModSeq);
            }
            self.notify_row(known, &items);
        }
        self.watch = Some(watch);
    }

    /// Tells what has changed outside of the selected mailbox.
    pub(crate) fn notify_changes(&mut self) -> Result<(), Answer> {
        let Some(before) = self.watch.take() else {
            return Ok(());
        };
        // Wanted is what the new subscriptions say (§6.4).
        let watch = match self.watch_new(before.groups.clone()) {
            Ok(watch) => watch,
            Err(answer) => {
                self.watch = Some(before);
                return Err(answer);
            }
        };
        // §5.4: a mailbox that comes or goes concerns its parent, too. §5.9: one that may not be known of any more has gone.
        let mut concerned: BTreeSet<String> = BTreeSet::new();
        let mut come_or_gone = |known: &Known| {
            concerned.insert(known.name.clone());
            let parent = known.name.rsplit_once('/').map(|(parent, _)| parent);
            concerned.extend(
                parent
                    .filter(|parent| known.own || watch.has(parent))
                    .map(str::to_owned),
            );
        };
        let new = |key: &&(AccountId, MailboxId)| !before.mailboxes.contains_key(key);
        for known in watch
            .mailboxes
            .iter()
            .filter(|(key, _)| new(key))
            .map(|(_, known)| known)
        {
            come_or_gone(known);
        }
        let gone = |key: &&(AccountId, MailboxId)| !watch.mailboxes.contains_key(key);
        for known in before
            .mailboxes
            .iter()
            .filter(|(key, _)| gone(key))
            .map(|(_, known)| known)
        {
            come_or_gone(known);
        }
        for name in &concerned {
            if watch.wanted(name).mailbox_name {
                self.notify_name(&watch, name, None, watch.has(name));
            }
        }
        for (key, known) in &watch.mailboxes {
            let wanted = watch.wanted(&known.name);
            match before.mailboxes.get(key) {
                Some(old) if old.name != known.name => {
                    let asked = wanted.mailbox_name || watch.wanted(&old.name).mailbox_name;
                    if asked && !went_with_parent(&before, &watch, old, known) {
                        self.notify_name(&watch, &known.name, Some(&old.name), true);
                    }
                }
                Some(old) if old.readable && known.readable && !self.is_selected(known) => {
                    self.notify_messages(&old.row, known, &wanted);
                }
                _ => {}
            }
        }
        for name in before.subscriptions.symmetric_difference(&watch.subscriptions) {
            if watch.wanted(name).subscription_change {
                self.notify_name(&watch, name, None, watch.has(name));
            }
        }
        self.notify_metadata(&before, &watch);
        self.watch = Some(Box::new(watch));
        Ok(())
    }

    /// Names what is said otherwise now about mailboxes and the server (§5.6, §5.7; RFC 5464 §4.4.2).
    fn notify_metadata(&mut self, before: &Watch, watch: &Watch) {
        let Some(reader) = self.owner.as_ref().map(|owner| owner.id) else {
            return;
        };
        let about_server = watch.groups.iter().any(|group| group.events.server_metadata);
        let mut server: BTreeSet<String> = BTreeSet::new();
        if about_server {
            let changed = watch.server.borrow();
            let known = before.server_known + 1..=watch.server_known;
            let new = changed.iter().filter(|(_, at)| known.contains(*at));
            server.extend(new.map(|(entry, _)| entry.clone()));
        }
        let mut mailboxes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for home in &before.homes {
            let (_, changed) = home.account.metadata_changes(home.metadata, reader);
            for key in changed {
                let known = key
                    .mailbox
                    .map(|mailbox| watch.mailboxes.get(&(home.account.id(), mailbox)));
                match known {
                    Some(Some(known)) if watch.wanted(&known.name).mailbox_metadata => {
                        mailboxes.entry(&known.name).or_default().push(key.entry);
                    }
                    None if home.account.id() == reader && about_server => {
                        server.insert(key.entry);
                    }
                    _ => {}
                }
            }
        }
        for (name, entries) in mailboxes {
            self.encoder().metadata_changed(&MailboxName::new(name), &entries);
        }
        if !server.is_empty() {
            let entries: Vec<String> = server.into_iter().collect();
            self.encoder().metadata_changed(&MailboxName::new(""), &entries);
        }
    }

    /// ENABLE METADATA and METADATA-SERVER (RFC 5464 §4.4): it is told what others say about mailboxes and the server, between commands and
    /// while the client idles. Who has asked with NOTIFY hears what it has asked for.
    pub(crate) fn announce_begin(&mut self, mailboxes: bool, server: bool) {
        let names = [OTHERS, SHARED].map(|namespace| MailboxName::new(namespace.trim_end_matches('/')));
        let events = NotifyEvents {
            mailbox_metadata: mailboxes,
            server_metadata: server,
            ..NotifyEvents::default()
        };
        let groups = [NotifyMailboxes::Personal, NotifyMailboxes::Subtree(names.to_vec())];
        let groups = groups.map(|mailboxes| NotifyGroup {
            mailboxes,
            events: events.clone(),
        });
        if let Ok(watch) = net::blocking(|| self.watch_new(groups.to_vec())) {
            let wider = self.announced.as_ref().is_none_or(|_| mailboxes);
            if wider {
                self.announced = Some(Box::new(watch));
            }
        }
    }

    /// Announces what others have said since.
    pub(crate) fn announce(&mut self) {
        let Some(before) = self.announced.take() else { return };
        if before.is_old()
            && let Ok(watch) = net::blocking(|| self.watch_new(before.groups.clone()))
        {
            if self.watch.is_none() {
                self.notify_metadata(&before, &watch);
            }
            self.announced = Some(Box::new(watch));
        } else {
            self.announced = Some(before);
        }
    }

    /// Takes what has been said for known.
    pub(crate) fn announce_from_here(&mut self) {
        let Some(before) = &self.announced else { return };
        if let Ok(watch) = net::blocking(|| self.watch_new(before.groups.clone())) {
            self.announced = Some(Box::new(watch));
        }
    }

    fn is_selected(&self, known: &Known) -> bool {
        let is = |selected: &Selected| selected.mailbox == known.row.id && selected.account.id() == known.account.id();
        self.selected.as_deref().is_some_and(is)
    }

    fn notify_messages(&mut self, old: &Mailbox, known: &Known, wanted: &NotifyEvents) {
        let row = &known.row;
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
            // What a reader has seen himself does not stand in the row.
            if row.unseen != old.unseen || known.reader.is_some() {
                items.push(StatusItem::Unseen);
            }
            // Told whether CONDSTORE is enabled or not: it is the only thing to tell of other flags.
            items.push(StatusItem::HighestModSeq);
        }
        if !items.is_empty() {
            self.notify_row(known, &items);
        }
    }

    fn notify_row(&mut self, known: &Known, items: &[StatusItem]) {
        let limit = self.options().message_size;
        match crate::imap::command::status_values(&known.account, &known.row, known.reader, items, limit) {
            Ok(values) => self.encoder().status(&MailboxName::new(&known.name), &values),
            Err(error) => tracing::warn!(session = self.name, %error, "a change could not be told"),
        }
    }

    fn notify_name(&mut self, watch: &Watch, name: &str, old: Option<&str>, there: bool) {
        let mut attributes = Vec::new();
        if there {
            let below = format!("{name}/");
            let children = watch.mailboxes.values().any(|known| known.name.starts_with(&below));
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
        let Some(watch) = &self.watch else { return };
        match net::blocking(|| self.watch_new(watch.groups.clone())) {
            Ok(watch) => self.watch = Some(Box::new(watch)),
            Err(_) => tracing::warn!(session = self.name, "changes may be told twice"),
        }
    }
}

/// Whether a mailbox has another name because the one above it has: what is below goes with it, and is not told (§5.4).
fn went_with_parent(before: &Watch, after: &Watch, old: &Known, new: &Known) -> bool {
    let (Some((parent, _)), Some((new_parent, _))) = (old.name.rsplit_once('/'), new.name.rsplit_once('/')) else {
        return false;
    };
    let above = before.mailboxes.iter().find(|(_, other)| other.name == parent);
    let now = above.and_then(|(key, _)| after.mailboxes.get(key));
    now.is_some_and(|now| now.name != parent && now.name == new_parent)
}
