//! LIST (RFC 9051 §7.3.1, RFC 5258), LSUB (RFC 3501 §7.2.3), STATUS (§7.3.2), NAMESPACE (§7.3.5).

use crate::command::StatusItem;
use crate::response::{Encoder, astring, quoted_or_literal};
use crate::{MailboxName, ObjectKind, SpecialUse};

/// What LIST says of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// It isn't there.
    NonExistent,
    /// It can have no children.
    NoInferiors,
    /// It cannot be selected.
    NoSelect,
    /// It has children.
    HasChildren,
    /// It has none.
    HasNoChildren,
    /// It is subscribed.
    Subscribed,
    /// It is for this.
    Use(SpecialUse),
}

impl Attribute {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::NonExistent => "\\NonExistent",
            Attribute::NoInferiors => "\\Noinferiors",
            Attribute::NoSelect => "\\Noselect",
            Attribute::HasChildren => "\\HasChildren",
            Attribute::HasNoChildren => "\\HasNoChildren",
            Attribute::Subscribed => "\\Subscribed",
            Attribute::Use(special_use) => special_use.name(),
        }
    }
}

/// A line of LIST or LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListResponse<'a> {
    /// What it is.
    pub attributes: &'a [Attribute],
    /// What stands between the levels of its name.
    pub separator: Option<char>,
    /// Its name.
    pub mailbox: &'a MailboxName,
    /// `CHILDINFO ("SUBSCRIBED")`: it was listed for the sake of a subscribed child (RFC 5258 §3.5).
    pub child_subscribed: bool,
    /// `OLDNAME (…)`: the name it was asked for by.
    pub old_name: Option<&'a MailboxName>,
}

/// The prefixes of what is not one's own (RFC 2342 §5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespaces<'a> {
    /// Other users' mailboxes.
    pub others: Option<&'a str>,
    /// Mailboxes that are nobody's alone.
    pub shared: Option<&'a str>,
}

impl Encoder<'_> {
    /// `* LIST (…) "/" name`
    pub fn list(&mut self, response: &ListResponse<'_>) {
        self.push("* LIST ");
        self.list_rest(response);
        if response.child_subscribed || response.old_name.is_some() {
            self.push(" (");
            if response.child_subscribed {
                self.push("\"CHILDINFO\" (\"SUBSCRIBED\")");
            }
            if let Some(old) = response.old_name {
                self.push(if response.child_subscribed {
                    " \"OLDNAME\" ("
                } else {
                    "\"OLDNAME\" ("
                });
                self.mailbox(old);
                self.push(")");
            }
            self.push(")");
        }
        self.end();
    }

    /// `* LSUB (…) "/" name`
    pub fn lsub(&mut self, response: &ListResponse<'_>) {
        self.push("* LSUB ");
        self.list_rest(response);
        self.end();
    }

    /// `* STATUS name (MESSAGES 3 …)`
    pub fn status(&mut self, mailbox: &MailboxName, items: &[(StatusItem, u64)]) {
        self.push("* STATUS ");
        self.mailbox(mailbox);
        self.push(" (");
        for (i, (item, value)) in items.iter().enumerate() {
            if i > 0 {
                self.push(" ");
            }
            self.push(item.name());
            self.push(" ");
            if *item == StatusItem::MailboxId {
                self.print(format_args!("({})", ObjectKind::Mailbox.write(*value)));
            } else {
                self.number(*value);
            }
        }
        self.push(")");
        self.end();
    }

    /// `* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL`: one personal namespace without a prefix, and what is behind prefixes.
    pub fn namespace(&mut self, separator: char, namespaces: &Namespaces<'_>) {
        self.push("* NAMESPACE ");
        for (i, prefix) in [Some(""), namespaces.others, namespaces.shared].into_iter().enumerate() {
            if i > 0 {
                self.push(" ");
            }
            match prefix {
                Some(prefix) => {
                    self.push("((");
                    let prefix = MailboxName::new(prefix).encode(self.utf8);
                    quoted_or_literal(self.out, prefix.as_bytes(), self.utf8);
                    self.push(" ");
                    self.separator(Some(separator));
                    self.push("))");
                }
                None => self.push("NIL"),
            }
        }
        self.end();
    }

    fn list_rest(&mut self, response: &ListResponse<'_>) {
        self.push("(");
        for (i, attribute) in response.attributes.iter().enumerate() {
            if i > 0 {
                self.push(" ");
            }
            self.push(attribute.name());
        }
        self.push(") ");
        self.separator(response.separator);
        self.push(" ");
        self.mailbox(response.mailbox);
    }

    fn separator(&mut self, separator: Option<char>) {
        match separator {
            Some(separator) => quoted_or_literal(self.out, separator.encode_utf8(&mut [0; 4]).as_bytes(), true),
            None => self.push("NIL"),
        }
    }

    pub(crate) fn mailbox(&mut self, mailbox: &MailboxName) {
        let name = mailbox.encode(self.utf8);
        astring(self.out, name.as_bytes(), self.utf8);
    }
}
