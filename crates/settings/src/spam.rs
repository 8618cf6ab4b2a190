//! Spam lists and threshold as people see them, and the rules they are in the script.
//!
//! Whom somebody lets through is a rule that gives `$NotJunk` (the keyword registered for it, which mail programs show), and the same
//! condition stands as an exception in the other two, so that these work whether or not a spam filter reads the list. What a spam
//! filter gives is the score of RFC 5235: 1 (clear) to 10 (surely spam), 0 where it has not looked.

use crate::action::Action;
use crate::condition::{Comparator, Condition, Match, Relation, Test};
use crate::model::{Join, Rule};
use crate::vacation::{senders, senders_of};
use serde::{Deserialize, Serialize};

/// Whose mail is never spam, whose always is, and from which score on mail is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spam {
    /// Senders whose mail is never spam: addresses, or patterns such as `*@phys.example`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Senders whose mail always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// The score from which on mail is spam.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
}

/// Senders whose mail is always spam.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Addresses, or patterns such as `*@spam.example`.
    pub senders: Vec<String>,
    /// What is done with their mail.
    #[serde(default)]
    pub then: Disposal,
}

/// The score from which on mail is spam.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// 1 to 10 (RFC 5235 §2.1).
    pub score: u8,
    /// What is done with it.
    #[serde(default)]
    pub then: Disposal,
}

/// What is done with spam.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposal {
    /// Put into this mailbox.
    Mailbox(String),
    /// Thrown away.
    Discard,
}

impl Default for Disposal {
    fn default() -> Disposal {
        Disposal::Mailbox("Junk".into())
    }
}

/// The keyword that says a message is no spam (IANA's registry of IMAP keywords).
const NOT_JUNK: &str = "$NotJunk";

/// Which part of the spam settings a rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Allow(Vec<String>),
    /// The senders, what is done, and the exceptions it makes.
    Block(Vec<String>, Disposal, Vec<String>),
    /// The score, what is done, and the exceptions it makes.
    Score(u8, Disposal, Vec<String>),
}

impl Piece {
    /// The piece that `rule` is.
    pub(crate) fn of_rule(rule: &Rule) -> Option<Piece> {
        let (join, mut conditions) = rule.spelled_out();
        if !rule.enabled || rule.otherwise || (join == Join::Any && conditions.len() > 1) {
            return None;
        }
        let exceptions = match conditions.first() {
            Some(first) if first.not && conditions.len() == 2 => {
                let who = senders_of(&first.test)?;
                conditions.remove(0);
                who
            }
            _ => Vec::new(),
        };
        let [Condition { not: false, test }] = conditions.as_slice() else {
            return None;
        };
        let allows = match rule.actions.as_slice() {
            [Action::AddFlags { flags }] => flags.as_slice() == [NOT_JUNK],
            [Action::Keep { flags: None }, Action::Stop] => true,
            _ => false,
        };
        if allows {
            return senders_of(test).filter(|_| exceptions.is_empty()).map(Piece::Allow);
        }
        let disposal = match rule.actions.as_slice() {
            [
                Action::FileInto {
                    mailbox,
                    copy: false,
                    flags: None,
                    ..
                },
                Action::Stop,
            ] => Disposal::Mailbox(mailbox.clone()),
            [Action::Discard, Action::Stop] => Disposal::Discard,
            _ => return None,
        };
        if let Some(who) = senders_of(test) {
            return Some(Piece::Block(who, disposal, exceptions));
        }
        match test {
            Test::Spam { percent: false, is }
                if is.how == Match::Value(Relation::Ge) && is.comparator == Comparator::Numeric =>
            {
                let [score] = is.values.as_slice() else { return None };
                Some(Piece::Score(score.parse().ok()?, disposal, exceptions))
            }
            _ => None,
        }
    }

    /// The exceptions that it makes; none for the list itself.
    pub(crate) fn exceptions(&self) -> Option<&[String]> {
        match self {
            Piece::Allow(_) => None,
            Piece::Block(_, _, except) | Piece::Score(_, _, except) => Some(except),
        }
    }
}

impl Spam {
    /// The rules that make it: the list of those let through, the list of those who are not, the score.
    pub(crate) fn to_rules(&self) -> [Option<Rule>; 3] {
        let but = |test: Test| {
            let mut conditions = Vec::new();
            if !self.allow.is_empty() {
                conditions.push(Condition::new(senders(&self.allow)).not());
            }
            conditions.push(Condition::new(test));
            conditions
        };
        let then = |disposal: &Disposal| match disposal {
            Disposal::Mailbox(mailbox) => vec![Action::file_into(mailbox), Action::Stop],
            Disposal::Discard => vec![Action::Discard, Action::Stop],
        };
        let allow = (!self.allow.is_empty()).then(|| {
            Rule::new(
                "Spam: let through",
                vec![Condition::new(senders(&self.allow))],
                vec![Action::AddFlags {
                    flags: vec![NOT_JUNK.into()],
                }],
            )
        });
        let block = self
            .block
            .as_ref()
            .map(|block| Rule::new("Spam: blocked senders", but(senders(&block.senders)), then(&block.then)));
        let score = self.threshold.as_ref().map(|threshold| {
            let test = Condition::spam_score(threshold.score).test;
            Rule::new("Spam", but(test), then(&threshold.then))
        });
        [allow, block, score]
    }
}
