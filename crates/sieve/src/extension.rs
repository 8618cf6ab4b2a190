//! Which extensions there are (RFC 5228 §2.10.5, §6).

use std::collections::BTreeSet;

/// Every extension that this crate knows, by the name that `require` uses.
pub const ALL: &[&str] = &[
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "comparator-i;unicode-casemap",
    "copy",
    "date",
    "duplicate",
    "editheader",
    "ereject",
    "enclose",
    "encoded-character",
    "enotify",
    "envelope",
    "envelope-deliverby",
    "envelope-dsn",
    "environment",
    "extlists",
    "extracttext",
    "fcc",
    "fileinto",
    "foreverypart",
    "ihave",
    "imap4flags",
    "imapsieve",
    "include",
    "index",
    "mailbox",
    "mailboxid",
    "mboxmetadata",
    "mime",
    "redirect-deliverby",
    "redirect-dsn",
    "regex",
    "reject",
    "relational",
    "replace",
    "servermetadata",
    "spamtest",
    "spamtestplus",
    "special-use",
    "subaddress",
    "vacation",
    "vacation-seconds",
    "variables",
    "virustest",
    "vnd.dovecot.debug",
    "vnd.dovecot.environment",
    "vnd.dovecot.execute",
    "vnd.dovecot.filter",
    "vnd.dovecot.pipe",
    "vnd.dovecot.report",
];

/// The extensions that scripts may require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extensions(BTreeSet<String>);

impl Default for Extensions {
    /// All but those that start programs: `vnd.dovecot.pipe`, `.filter` and `.execute` are for administrators to switch on.
    fn default() -> Extensions {
        Extensions::all()
            .without("vnd.dovecot.pipe")
            .without("vnd.dovecot.filter")
            .without("vnd.dovecot.execute")
    }
}

impl Extensions {
    /// All that this crate knows.
    pub fn all() -> Extensions {
        Extensions(ALL.iter().map(|name| (*name).to_owned()).collect())
    }

    /// None at all: the base language.
    pub fn none() -> Extensions {
        Extensions(BTreeSet::new())
    }

    /// With one more. Names that this crate does not know change nothing.
    #[must_use]
    pub fn with(mut self, name: &str) -> Extensions {
        if Extensions::all().0.contains(name) {
            self.0.insert(name.to_owned());
        }
        self
    }

    /// With one less.
    #[must_use]
    pub fn without(mut self, name: &str) -> Extensions {
        self.0.remove(name);
        self
    }

    /// Whether scripts may require it.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Their names, in order: what ManageSieve announces (RFC 5804 §1.7).
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The name known that is most like the one given.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.iter())
    }
}

/// The word most like `name`, if there is one that is like it at all.
pub(crate) fn nearest<'a>(name: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    if name.len() > 40 {
        return None;
    }
    words
        .map(|word| (distance(name.as_bytes(), word.as_bytes()), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Letters to add, drop or change to make one word of the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let Some(cell) = row.get_mut(j + 1) else { break };
            let next = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, next);
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
