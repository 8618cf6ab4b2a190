//! The model: what a person has set.

use crate::action::Action;
use crate::condition::Condition;
use crate::spam::Spam;
use crate::vacation::Vacation;
use serde::{Deserialize, Serialize};

/// All settings that stand in a person's script.
///
/// Forwarding, vacation and spam are rules too, of a shape that is recognised; there is at most one of each here. What has the same shape
/// a second time is shown among the rules, so nothing that acts on mail is hidden.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where all mail goes as well, or instead.
    pub forwarding: Option<Forwarding>,
    /// The answer that is sent while somebody is away.
    pub vacation: Option<Vacation>,
    /// Whose mail is never spam, whose always is, and from which score on.
    pub spam: Spam,
    /// The rules in the order in which they are tried, with the parts of the script that are shown and left alone between them.
    pub rules: Vec<Entry>,
}

impl Settings {
    /// The rules, without what is only shown.
    pub fn own_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter_map(|entry| match entry {
            Entry::Rule(rule) => Some(rule),
            Entry::Foreign(_) => None,
        })
    }

    /// The rule of that number.
    pub fn rule_mut(&mut self, id: PartId) -> Option<&mut Rule> {
        self.rules.iter_mut().find_map(|entry| match entry {
            Entry::Rule(rule) if rule.id == Some(id) => Some(rule),
            _ => None,
        })
    }
}

/// The number of a part of the script, from 1; good for the version of the script it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartId(pub u32);

impl std::fmt::Display for PartId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One line of the list of rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A rule, which can be changed.
    Rule(Rule),
    /// A part that stays as it is.
    Foreign(Foreign),
}

impl Entry {
    /// The number of the part it was read from; a new rule has none.
    pub fn id(&self) -> Option<PartId> {
        match self {
            Entry::Rule(rule) => rule.id,
            Entry::Foreign(foreign) => Some(foreign.id),
        }
    }

    /// What it is called.
    pub fn name(&self) -> Option<&str> {
        match self {
            Entry::Rule(rule) => rule.name.as_deref(),
            Entry::Foreign(foreign) => foreign.name.as_deref(),
        }
    }
}

/// A part of the script that the model has no words for: kept byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// Its number.
    pub id: PartId,
    /// What the comment above it calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it is not shown as a rule.
    pub because: String,
    /// Its text, for showing; what is written here is not looked at.
    pub text: String,
}

/// When a message is like this, do that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The part it was read from; none for a new rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PartId>,
    /// What people call it; one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is tried at all. One that is switched off stays in the script.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Tried only where the rule above it did not match (`elsif`, `else`). It is read from the script, and stays as it was read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub otherwise: bool,
    /// How the conditions are joined.
    #[serde(default, rename = "when")]
    pub join: Join,
    /// What the message has to be like.
    pub conditions: Vec<Condition>,
    /// What is done with it, in this order.
    pub actions: Vec<Action>,
}

/// How conditions are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Every one of them holds.
    #[default]
    All,
    /// At least one of them holds.
    Any,
    /// Not one of them holds.
    None,
}

impl Rule {
    /// A rule that is on, new, and wants all conditions.
    pub fn new(name: impl Into<String>, conditions: Vec<Condition>, actions: Vec<Action>) -> Rule {
        Rule {
            id: None,
            name: Some(name.into()),
            enabled: true,
            otherwise: false,
            join: Join::All,
            conditions,
            actions,
        }
    }

    /// The same rule in the one way of saying it that reading gives: «none of A, B» rather than «all of not A, not B», and «all» where
    /// there is but one condition. Two rules mean the same to the model when their normal forms are equal.
    pub fn normal(mut self) -> Rule {
        if self.join == Join::None {
            for condition in &mut self.conditions {
                condition.not = !condition.not;
            }
            self.join = Join::All;
        }
        if self.conditions.len() < 2 {
            self.join = Join::All;
        } else if self.join == Join::All && self.conditions.iter().all(|c| c.not) {
            for condition in &mut self.conditions {
                condition.not = false;
            }
            self.join = Join::None;
        }
        self
    }

    /// The conditions as `allof` or `anyof` joins them: «none» spelled out as «all of not …».
    pub(crate) fn spelled_out(&self) -> (Join, Vec<Condition>) {
        let mut conditions = self.conditions.clone();
        match self.join {
            Join::None => {
                for condition in &mut conditions {
                    condition.not = !condition.not;
                }
                (Join::All, conditions)
            }
            join => (join, conditions),
        }
    }

    /// Whether it matches every message.
    pub fn is_unconditional(&self) -> bool {
        matches!(self.conditions.as_slice(), [one] if one.is_always())
    }

    /// Whether two rules do the same and are called the same, wherever they stand.
    pub fn same(&self, other: &Rule) -> bool {
        let stripped = |rule: &Rule| {
            let mut rule = rule.clone().normal();
            rule.id = None;
            rule
        };
        stripped(self) == stripped(other)
    }
}

/// Where all mail goes as well, or instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forwarding {
    /// Whether it is on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// To whom.
    pub to: Vec<String>,
    /// Whether a copy stays here.
    #[serde(default = "yes")]
    pub keep: bool,
    /// Whether the rules below are not tried any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stop: bool,
}

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
