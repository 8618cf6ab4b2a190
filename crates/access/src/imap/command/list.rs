//! LIST and LSUB. RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154; RFC 3501 §6.3.9.

use super::mailboxes::status_values;
use super::metadata::{Entries, leave_out_long};
use crate::imap::answer::Answer;
use crate::imap::blocking;
use crate::imap::connection::Connection;
use crate::imap::place::{Place, namespace};
use imap::command::{List, ListReturn, Lsub, MetadataQuery};
use imap::response::{Attribute, ListResponse};
use imap::{MailboxName, SpecialUse};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Account, Mailbox, Rights};

/// Patterns in one LIST. Each costs a comparison with every mailbox.
const MAX_PATTERNS: usize = 100;

/// A mailbox that is there for the session's account.
struct Shown {
    account: Arc<Account>,
    row: Mailbox,
    rights: Rights,
    /// It is one's own.
    own: bool,
}

/// A name that LIST may show.
#[derive(Default)]
struct Node {
    mailbox: Option<Shown>,
    subscribed: bool,
    has_children: bool,
    /// Something below it is subscribed.
    subscribed_below: bool,
    /// Something below it has a special use.
    special_below: bool,
}

impl Connection {
    pub(crate) fn list(&mut self, list: &List) -> Answer {
        if let [pattern] = list.patterns.as_slice()
            && pattern.is_empty()
            && !list.extended
        {
            // RFC 9051 §6.3.9: what separates levels, and the root of the reference's names.
            self.encoder().list(&ListResponse {
                attributes: &[Attribute::NoSelect],
                separator: Some('/'),
                mailbox: &MailboxName::new(""),
                child_subscribed: false,
                old_name: None,
            });
            return Answer::ok("that is all");
        }
        if list.patterns.len() > MAX_PATTERNS {
            return Answer::bad("too many patterns");
        }
        let nodes = match self.nodes() {
            Ok(nodes) => nodes,
            Err(answer) => return answer,
        };
        let patterns: Vec<Pattern> = list
            .patterns
            .iter()
            .filter_map(|pattern| Pattern::new(&list.reference, pattern))
            .collect();
        let select = &list.select;
        let returns = list.returns.clone().unwrap_or_else(|| ListReturn {
            special_use: true,
            ..ListReturn::default()
        });
        let own = match self.account() {
            Ok(account) => account.id(),
            Err(answer) => return answer,
        };
        let mut statuses = 0;
        for (name, node) in &nodes {
            if !patterns.iter().any(|pattern| pattern.matches(name)) {
                continue;
            }
            let special_use = node.special_use();
            let selected = match (select.subscribed, select.special_use) {
                (true, true) => node.subscribed && special_use.is_some(),
                (true, false) => node.subscribed,
                (false, true) => special_use.is_some(),
                // Names that are only subscribed, and not there, are shown to who asks for subscriptions alone.
                (false, false) => node.mailbox.is_some() || node.has_children,
            };
            // RFC 5258 §3.5: a parent is named for the sake of a child that is selected, whether the child matches or not.
            let below = select.recursive_match
                && ((select.subscribed && node.subscribed_below) || (select.special_use && node.special_below));
            if !selected && !below {
                continue;
            }
            let mut attributes = node.attributes();
            if node.subscribed && (select.subscribed || returns.subscribed) {
                attributes.push(Attribute::Subscribed);
            }
            if let Some(special_use) = special_use.filter(|_| returns.special_use || select.special_use) {
                attributes.push(Attribute::Use(special_use));
            }
            let mailbox = MailboxName::new(name);
            self.encoder().list(&ListResponse {
                attributes: &attributes,
                separator: Some('/'),
                mailbox: &mailbox,
                child_subscribed: below && select.subscribed && node.subscribed_below,
                old_name: None,
            });
            // RFC 5819 §2: STATUS after each LIST it belongs to; a mailbox that cannot be selected has none.
            let Some(shown) = &node.mailbox else { continue };
            let reader = shown.account.reader(&shown.row, own);
            let limit = self.options().message_size;
            if !returns.status.is_empty() && shown.rights.contains(Rights::READ) {
                match blocking(|| status_values(&shown.account, &shown.row, reader, &returns.status, limit)) {
                    Ok(values) => self.encoder().status(&mailbox, &values),
                    Err(error) => return self.trouble(&error),
                }
                statuses += 1;
            }
            // RFC 8440 §3, RFC 9590 §3: of what was selected, not of parents shown for the sake of a child.
            if returns.my_rights && selected {
                self.encoder().my_rights(&mailbox, &shown.rights.letters_with_old());
            }
            if let Some(query) = returns.metadata.as_ref().filter(|_| selected) {
                match self.list_metadata(&mailbox, shown, query) {
                    Ok(entries) => self.encoder().metadata(&mailbox, &entries),
                    Err(answer) => return answer,
                }
            }
        }
        if statuses > 0 && returns.status.contains(&imap::command::StatusItem::HighestModSeq) {
            self.condstore_enable();
        }
        Answer::ok("that is all")
    }

    fn list_metadata(&self, name: &MailboxName, shown: &Shown, query: &MetadataQuery) -> Result<Entries, Answer> {
        let place = Place {
            account: Arc::clone(&shown.account),
            mailbox: shown.row.clone(),
            rights: shown.rights,
            reader: None,
            name: name.clone(),
        };
        let mut entries = self.mailbox_metadata(&place, query)?;
        leave_out_long(&mut entries, query.max_size);
        Ok(entries)
    }

    pub(crate) fn lsub(&mut self, lsub: &Lsub) -> Answer {
        let nodes = match self.nodes() {
            Ok(nodes) => nodes,
            Err(answer) => return answer,
        };
        let Some(pattern) = Pattern::new(&lsub.reference, &lsub.pattern) else {
            return Answer::ok("that is all");
        };
        for (name, node) in &nodes {
            // RFC 3501 §6.3.9: with %, a name whose child is subscribed is shown as not selectable.
            let parent = !node.subscribed && node.subscribed_below && lsub.pattern.contains('%');
            if !(node.subscribed || parent) || !pattern.matches(name) {
                continue;
            }
            let noselect = parent || node.mailbox.is_none();
            let attributes: &[Attribute] = if noselect { &[Attribute::NoSelect] } else { &[] };
            self.encoder().lsub(&ListResponse {
                attributes,
                separator: Some('/'),
                mailbox: &MailboxName::new(name),
                child_subscribed: false,
                old_name: None,
            });
        }
        Answer::ok("that is all")
    }

    /// All names that could be shown: mailboxes, subscriptions, and what stands above them.
    fn nodes(&self) -> Result<BTreeMap<String, Node>, Answer> {
        let account = self.account()?;
        let subscriptions = blocking(|| account.subscriptions()).map_err(|error| self.trouble(&error))?;
        let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
        let who = self.who()?;
        let mut add = |prefix: &str, account: &Arc<Account>, own: bool| {
            for row in account.mailbox_list() {
                let rights = account.rights_of(&row, &who);
                let name = format!("{prefix}{}", row.name);
                if !rights.contains(Rights::LOOKUP) || own && namespace(&name).is_some() {
                    continue;
                }
                for superior in superiors(&name) {
                    let node = nodes.entry(superior.to_owned()).or_default();
                    node.has_children = true;
                    node.special_below |= own && row.special_use.is_some();
                }
                nodes.entry(name).or_default().mailbox = Some(Shown {
                    account: Arc::clone(account),
                    row,
                    rights,
                    own,
                });
            }
        };
        add("", &account, true);
        for home in self.homes_elsewhere(&who) {
            add(&home.prefix, &home.account, false);
        }
        for name in subscriptions {
            for superior in superiors(&name) {
                nodes.entry(superior.to_owned()).or_default().subscribed_below = true;
            }
            nodes.entry(name).or_default().subscribed = true;
        }
        Ok(nodes)
    }
}

impl Node {
    fn special_use(&self) -> Option<SpecialUse> {
        // Of others' mailboxes a client would take the wrong one for its drafts.
        let shown = self.mailbox.as_ref().filter(|shown| shown.own)?;
        shown.row.special_use.and_then(|u| SpecialUse::parse(u.attribute()))
    }

    fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = Vec::with_capacity(4);
        if self.mailbox.is_none() {
            // Clients that don't know the first know the second.
            attributes.extend([Attribute::NonExistent, Attribute::NoSelect]);
        }
        attributes.push(if self.has_children {
            Attribute::HasChildren
        } else {
            Attribute::HasNoChildren
        });
        attributes
    }
}

fn superiors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at))
}

/// A pattern of LIST: `*` stands for anything, `%` for anything within a level.
struct Pattern {
    octets: Vec<u8>,
}

impl Pattern {
    /// `None`: longer than any name.
    fn new(reference: &str, pattern: &str) -> Option<Pattern> {
        let mut octets: Vec<u8> = Vec::with_capacity(reference.len() + pattern.len());
        for octet in reference.bytes().chain(pattern.bytes()) {
            // A run of wildcards is as strong as the strongest of them.
            match (octets.last(), octet) {
                (Some(b'*'), b'*' | b'%') | (Some(b'%'), b'%') => {}
                (Some(b'%'), b'*') => {
                    octets.pop();
                    octets.push(b'*');
                }
                _ => octets.push(octet),
            }
        }
        if octets.len() > 2 * store::MAX_MAILBOX_NAME_BYTES + 1 {
            return None;
        }
        // INBOX is the same in any case, also as the first level.
        if octets.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"INBOX"))
            && matches!(octets.get(5), None | Some(b'/' | b'*' | b'%'))
        {
            octets.splice(..5, *b"INBOX");
        }
        Some(Pattern { octets })
    }

    /// Steps through the name with the set of places in the pattern that can be reached, so the time is bounded by the
    /// product of both lengths.
    fn matches(&self, name: &str) -> bool {
        let pattern = &self.octets;
        let width = pattern.len() + 1;
        let mut reached = vec![false; width];
        let mut next = vec![false; width];
        reached[0] = true;
        pass_wildcards(pattern, &mut reached);
        for octet in name.bytes() {
            next.fill(false);
            let mut alive = false;
            for (place, token) in pattern.iter().enumerate() {
                if !reached[place] {
                    continue;
                }
                match token {
                    b'*' => next[place] = true,
                    b'%' if octet != b'/' => next[place] = true,
                    b'%' => continue,
                    token if *token == octet => next[place + 1] = true,
                    _ => continue,
                }
                alive = true;
            }
            if !alive {
                return false;
            }
            pass_wildcards(pattern, &mut next);
            std::mem::swap(&mut reached, &mut next);
        }
        reached[pattern.len()]
    }
}

/// Wildcards may stand for nothing.
fn pass_wildcards(pattern: &[u8], reached: &mut [bool]) {
    for (place, token) in pattern.iter().enumerate() {
        if reached[place] && matches!(token, b'*' | b'%') {
            reached[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (reference, pattern, name, expected) in [
            ("", "*", "a/b/c", true),
            ("", "%", "a", true),
            ("", "%", "a/b", false),
            ("", "%/%", "a/b", true),
            ("", "a%", "a", true),
            ("", "a*c", "a/b/c", true),
            ("", "a%c", "a/b/c", false),
            ("", "inbox", "INBOX", true),
            ("", "inbox/*", "INBOX/x", true),
            ("", "inboxes", "INBOXes", false),
            ("", "Sent", "sent", false),
            ("a/", "%", "a/b", true),
            ("a/", "%", "a/b/c", false),
            ("", "", "a", false),
            ("", "%*%*", "a/b", true),
            ("", "*/x", "a/b", false),
            ("", "ä%", "äö", true),
        ] {
            let found = Pattern::new(reference, pattern).unwrap().matches(name);
            assert_eq!(found, expected, "{reference:?} {pattern:?} {name:?}");
        }
        assert!(Pattern::new("", &"a".repeat(5000)).is_none());
        assert!(Pattern::new("", &"*%".repeat(5000)).is_some());
    }
}
