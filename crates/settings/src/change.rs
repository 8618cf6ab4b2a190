//! Single changes, as somebody makes them on a page or a command line.

use crate::action::Interval;
use crate::model::{Entry, Forwarding, Settings};
use crate::moment::Moment;
use crate::spam::{Block, Threshold};
use crate::vacation::{Colleagues, Format, Vacation};
use serde::{Deserialize, Serialize};

/// A change of settings; what it does not speak of stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// These are the settings.
    All {
        /// All of them.
        settings: Box<Settings>,
    },
    /// The vacation is on, with what is given here changed.
    VacationOn(Box<VacationChange>),
    /// The vacation is off; its text stays.
    VacationOff,
    /// There is no vacation any more.
    VacationRemove,
    /// Mail goes to these as well.
    ForwardAdd {
        /// The addresses.
        to: Vec<String>,
        /// Whether a copy stays here; none: as it is, and where nothing was forwarded, one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<bool>,
    },
    /// Mail does not go to these any more.
    ForwardRemove {
        /// The addresses.
        to: Vec<String>,
    },
    /// Whether a copy of what is forwarded stays here.
    ForwardKeep {
        /// A copy stays.
        keep: bool,
    },
    /// Forwarding is switched on or off; its targets stay.
    ForwardEnable {
        /// On.
        on: bool,
    },
    /// A rule is switched on or off.
    RuleEnable {
        /// Its place in the list, from 1, or its name.
        rule: String,
        /// On.
        on: bool,
    },
    /// A rule gets another place in the list.
    RuleMove {
        /// Its place in the list, from 1, or its name.
        rule: String,
        /// Its new place, from 1.
        to: usize,
    },
    /// A rule goes.
    RuleRemove {
        /// Its place in the list, from 1, or its name.
        rule: String,
    },
    /// Lists of senders and threshold of the spam filter.
    Spam(SpamChange),
}

/// What is different about a vacation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct VacationChange {
    pub text: Option<String>,
    pub html: bool,
    pub subject: Option<String>,
    /// No longer limited by those that were there, where one of both is given.
    pub start: Option<Moment>,
    pub end: Option<Moment>,
    /// Neither start nor end.
    pub always: bool,
    pub from: Option<String>,
    pub addresses: Vec<String>,
    pub days: Option<u64>,
    pub except: Vec<String>,
    pub colleagues: Vec<String>,
    pub colleagues_text: Option<String>,
    pub colleagues_subject: Option<String>,
}

/// What is different about spam.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SpamChange {
    pub allow: Vec<String>,
    pub block: Vec<String>,
    /// Off both lists.
    pub forget: Vec<String>,
    /// 1 to 10; 0: no threshold.
    pub threshold: Option<u8>,
}

impl Change {
    /// Makes the change.
    ///
    /// # Errors
    /// There is nothing of the kind to change: a sentence that says what there is.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), String> {
        match self {
            Change::All { settings: all } => *settings = (**all).clone(),
            Change::VacationOn(change) => {
                let start_afresh = settings.vacation.is_none();
                let vacation = settings.vacation.get_or_insert_with(|| Vacation::new(""));
                change.apply(vacation);
                if start_afresh && vacation.answer.text.is_empty() {
                    return Err("there is no text yet: give one".into());
                }
            }
            Change::VacationOff => {
                settings.vacation.as_mut().ok_or("there is no vacation")?.enabled = false;
            }
            Change::VacationRemove => {
                settings.vacation.take().ok_or("there is no vacation")?;
            }
            Change::ForwardAdd { to, keep } => {
                let forwarding = settings.forwarding.get_or_insert_with(|| Forwarding::new(&[]));
                forwarding.enabled = true;
                forwarding.keep = keep.unwrap_or(forwarding.keep);
                for address in to {
                    if !forwarding.to.contains(address) {
                        forwarding.to.push(address.clone());
                    }
                }
            }
            Change::ForwardRemove { to } => {
                let forwarding = settings.forwarding.as_mut().ok_or(NO_FORWARDING)?;
                for address in to {
                    let at = forwarding.to.iter().position(|t| t.eq_ignore_ascii_case(address));
                    let at = at.ok_or_else(|| {
                        format!(
                            "mail is not forwarded to {address}, but to {}",
                            forwarding.to.join(", ")
                        )
                    })?;
                    forwarding.to.remove(at);
                }
                if forwarding.to.is_empty() {
                    settings.forwarding = None;
                }
            }
            Change::ForwardKeep { keep } => settings.forwarding.as_mut().ok_or(NO_FORWARDING)?.keep = *keep,
            Change::ForwardEnable { on } => settings.forwarding.as_mut().ok_or(NO_FORWARDING)?.enabled = *on,
            Change::RuleEnable { rule, on } => {
                let at = find(&settings.rules, rule)?;
                match &mut settings.rules[at] {
                    Entry::Rule(rule) => rule.enabled = *on,
                    Entry::Foreign(foreign) => {
                        return Err(format!(
                            "this part is not shown as a rule ({}): change it in the script itself",
                            foreign.because
                        ));
                    }
                }
            }
            Change::RuleMove { rule, to } => {
                let at = find(&settings.rules, rule)?;
                let count = settings.rules.len();
                if !(1..=count).contains(to) {
                    return Err(format!("there are the places 1 to {count}"));
                }
                let entry = settings.rules.remove(at);
                settings.rules.insert(to - 1, entry);
            }
            Change::RuleRemove { rule } => {
                let at = find(&settings.rules, rule)?;
                if let Entry::Foreign(foreign) = &settings.rules[at] {
                    return Err(format!(
                        "this part is not shown as a rule ({}): remove it in the script itself",
                        foreign.because
                    ));
                }
                settings.rules.remove(at);
            }
            Change::Spam(change) => change.apply(settings),
        }
        Ok(())
    }
}

const NO_FORWARDING: &str = "mail is not forwarded";

fn find(rules: &[Entry], wanted: &str) -> Result<usize, String> {
    if rules.is_empty() {
        return Err("there are no rules".into());
    }
    let named: Vec<usize> = (0..rules.len()).filter(|n| rules[*n].name() == Some(wanted)).collect();
    match (named.as_slice(), wanted.parse::<usize>()) {
        ([one], _) => Ok(*one),
        ([_, ..], _) => Err(format!(
            "several rules are called «{wanted}»: say the place of one, from 1"
        )),
        ([], Ok(place)) if (1..=rules.len()).contains(&place) => Ok(place - 1),
        ([], Ok(_)) => Err(format!("there are the places 1 to {}", rules.len())),
        ([], Err(_)) => Err(format!("no rule is called «{wanted}»")),
    }
}

impl VacationChange {
    fn apply(&self, vacation: &mut Vacation) {
        vacation.enabled = true;
        if let Some(text) = &self.text {
            vacation.answer.text.clone_from(text);
            vacation.answer.format = self.format();
        }
        if self.subject.is_some() {
            vacation.answer.subject.clone_from(&self.subject);
        }
        if self.always || self.start.is_some() || self.end.is_some() {
            (vacation.start, vacation.end) = (self.start, self.end);
        }
        if self.from.is_some() {
            vacation.from.clone_from(&self.from);
        }
        if !self.addresses.is_empty() {
            vacation.addresses.clone_from(&self.addresses);
        }
        if let Some(days) = self.days {
            vacation.interval = Some(Interval::Days(days));
        }
        if !self.except.is_empty() {
            vacation.except.clone_from(&self.except);
        }
        if let Some(text) = &self.colleagues_text {
            let answer = crate::vacation::Answer {
                subject: self.colleagues_subject.clone(),
                text: text.clone(),
                format: self.format(),
            };
            let before = vacation.colleagues.take().map(|c| c.domains).unwrap_or_default();
            let domains = if self.colleagues.is_empty() {
                before
            } else {
                self.colleagues.clone()
            };
            vacation.colleagues = Some(Colleagues { domains, answer });
        }
    }

    fn format(&self) -> Format {
        if self.html { Format::Html } else { Format::Plain }
    }
}

impl SpamChange {
    fn apply(&self, settings: &mut Settings) {
        let spam = &mut settings.spam;
        let add = |list: &mut Vec<String>, new: &[String]| {
            for sender in new {
                if !list.contains(sender) {
                    list.push(sender.clone());
                }
            }
        };
        add(&mut spam.allow, &self.allow);
        if !self.block.is_empty() {
            let block = spam.block.get_or_insert_with(|| Block {
                senders: Vec::new(),
                then: crate::Disposal::default(),
            });
            add(&mut block.senders, &self.block);
        }
        spam.allow.retain(|sender| !self.forget.contains(sender));
        if let Some(block) = &mut spam.block {
            block.senders.retain(|sender| !self.forget.contains(sender));
        }
        spam.block.take_if(|block| block.senders.is_empty());
        match self.threshold {
            None => {}
            Some(0) => spam.threshold = None,
            Some(score) => {
                let then = spam.threshold.take().map(|t| t.then).unwrap_or_default();
                spam.threshold = Some(Threshold { score, then });
            }
        }
    }
}
