//! Forwarding as people see it, and the rule it is in the script: every message, one `redirect` for each target.

use crate::action::Action;
use crate::condition::Condition;
use crate::model::{Forwarding, Rule};

/// What the rule is called where nobody has named it.
const NAME: &str = "Forwarding";

impl Forwarding {
    /// On, and a copy stays here.
    pub fn new(to: &[&str]) -> Forwarding {
        Forwarding {
            enabled: true,
            to: to.iter().map(|t| (*t).to_owned()).collect(),
            keep: true,
            stop: false,
        }
    }

    /// The forwarding that `rule` is. A copy stays where every `redirect` says `:copy`, or where a `keep` stands beside them.
    pub(crate) fn of_rule(rule: &Rule) -> Option<Forwarding> {
        if rule.otherwise || !rule.is_unconditional() {
            return None;
        }
        let mut actions = rule.actions.as_slice();
        let stop = actions.last() == Some(&Action::Stop);
        if stop {
            actions = &actions[..actions.len() - 1];
        }
        let (mut to, mut copies, mut keep) = (Vec::new(), 0, false);
        for action in actions {
            match action {
                Action::Redirect { to: target, copy } => {
                    to.push(target.clone());
                    copies += usize::from(*copy);
                }
                Action::Keep { flags: None } if !keep => keep = true,
                _ => return None,
            }
        }
        (!to.is_empty()).then_some(Forwarding {
            enabled: rule.enabled,
            keep: keep || copies == to.len(),
            stop,
            to,
        })
    }

    /// The rule it is.
    pub(crate) fn to_rule(&self, name: Option<&str>) -> Rule {
        let mut actions: Vec<Action> = self.to.iter().map(|to| Action::redirect(to, self.keep)).collect();
        if self.stop {
            actions.push(Action::Stop);
        }
        let mut rule = Rule::new(name.unwrap_or(NAME), vec![Condition::always()], actions);
        rule.enabled = self.enabled;
        rule
    }

    /// Whether `rule` leaves every message in the inbox and does nothing else, as the one that Ingo writes at the end of the script where a copy of
    /// what was forwarded stays.
    pub(crate) fn is_keep_for_all(rule: &Rule) -> bool {
        let keeps = matches!(
            rule.actions.as_slice(),
            [Action::Keep { flags: None }] | [Action::Keep { flags: None }, Action::Stop]
        );
        rule.enabled && rule.is_unconditional() && keeps
    }
}
