//! What a command or test looks like: from these tables come the checks and their messages.

use crate::build::{Bound, Builder};
use crate::error::Result;
use crate::program::{Check, Step};

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    /// A string or a list of strings.
    Texts,
}

impl Kind {
    pub fn shown(self) -> &'static str {
        match self {
            Kind::Number => "a number",
            Kind::Text => "a string",
            Kind::Texts => "a string or a list of strings",
        }
    }
}

/// A tagged argument (RFC 5228 §2.6.2).
#[derive(Debug)]
pub(crate) struct Tag {
    pub name: &'static str,
    /// What must follow it.
    pub value: Option<Kind>,
    /// The extension it needs; empty: none beside the command's own.
    pub needs: &'static str,
    /// Of the tags of one group only one can be used; empty: it excludes none.
    pub group: &'static str,
}

/// A positional argument.
#[derive(Debug)]
pub(crate) struct Positional {
    pub name: &'static str,
    pub kind: Kind,
    /// May be left out; then those behind it move up.
    pub optional: bool,
}

/// How many tests stand in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inner {
    None,
    One,
    List,
}

pub(crate) struct Spec<Build: 'static> {
    pub name: &'static str,
    /// The extension it needs; empty: it belongs to the base language.
    pub needs: &'static str,
    pub tags: &'static [&'static [Tag]],
    pub positional: &'static [Positional],
    pub inner: Inner,
    pub block: bool,
    pub build: Build,
}

pub(crate) type BuildStep = fn(&mut Builder<'_>, &mut Bound<'_>) -> Result<Box<dyn Step>>;
pub(crate) type BuildCheck = fn(&mut Builder<'_>, &mut Bound<'_>) -> Result<Box<dyn Check>>;
pub(crate) type CommandSpec = Spec<BuildStep>;
pub(crate) type TestSpec = Spec<BuildCheck>;

pub(crate) const fn flag(name: &'static str, needs: &'static str, group: &'static str) -> Tag {
    Tag {
        name,
        value: None,
        needs,
        group,
    }
}

pub(crate) const fn valued(name: &'static str, value: Kind, needs: &'static str, group: &'static str) -> Tag {
    Tag {
        name,
        value: Some(value),
        needs,
        group,
    }
}

pub(crate) const fn positional(name: &'static str, kind: Kind) -> Positional {
    Positional {
        name,
        kind,
        optional: false,
    }
}

pub(crate) const fn command(
    name: &'static str,
    needs: &'static str,
    tags: &'static [&'static [Tag]],
    positional: &'static [Positional],
    build: BuildStep,
) -> CommandSpec {
    Spec {
        name,
        needs,
        tags,
        positional,
        inner: Inner::None,
        block: false,
        build,
    }
}

pub(crate) const fn test(
    name: &'static str,
    needs: &'static str,
    tags: &'static [&'static [Tag]],
    positional: &'static [Positional],
    build: BuildCheck,
) -> TestSpec {
    Spec {
        name,
        needs,
        tags,
        positional,
        inner: Inner::None,
        block: false,
        build,
    }
}

/// Match types and comparator (RFC 5228 §2.7).
pub(crate) const MATCH: &[Tag] = &[
    flag("is", "", "match type"),
    flag("contains", "", "match type"),
    flag("matches", "", "match type"),
    flag("regex", "regex", "match type"),
    flag("list", "extlists", "match type"),
    valued("count", Kind::Text, "relational", "match type"),
    valued("value", Kind::Text, "relational", "match type"),
    valued("comparator", Kind::Text, "", "comparator"),
];

/// Parts of an address (RFC 5228 §2.7.4, RFC 5233 §4).
pub(crate) const ADDRESS_PART: &[Tag] = &[
    flag("all", "", "address part"),
    flag("localpart", "", "address part"),
    flag("domain", "", "address part"),
    flag("user", "subaddress", "address part"),
    flag("detail", "subaddress", "address part"),
];

/// Which of several fields of one name (RFC 5260 §6).
pub(crate) const INDEX: &[Tag] = &[valued("index", Kind::Number, "index", ""), flag("last", "index", "")];

/// Fields of MIME parts (RFC 5703 §4).
pub(crate) const MIME: &[Tag] = &[flag("mime", "mime", ""), flag("anychild", "mime", "")];

/// What of a MIME field (RFC 5703 §4.1).
pub(crate) const MIME_OPTIONS: &[Tag] = &[
    flag("type", "mime", "part of the field"),
    flag("subtype", "mime", "part of the field"),
    flag("contenttype", "mime", "part of the field"),
    valued("param", Kind::Texts, "mime", "part of the field"),
];
