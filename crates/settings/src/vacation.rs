//! The vacation as people see it, and the rule (or pair of rules) it is in the script.
//!
//! It is one `if` with Roundcube's tests: `currentdate` for the beginning and the end, so that it is over when it is over, without
//! anybody doing anything. A second text for colleagues is a second `if` beside it, whose condition on the sender's domain is the opposite of
//! the first one's: a script may answer only once (RFC 5230 §4.7).

use crate::action::{Action, Interval, Reply};
use crate::condition::{AddressPart, Comparison, Condition, Match, Relation, Test};
use crate::model::{Join, Rule, yes};
use crate::moment::Moment;
use serde::{Deserialize, Serialize};

/// The answer that is sent while somebody is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vacation {
    /// Whether it is on at all; `Vacation::state` says whether it answers now.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The first day or moment; none: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Moment>,
    /// The last day or moment; none: until it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// What is answered.
    #[serde(flatten)]
    pub answer: Answer,
    /// The sender of the answer; none: the person's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Further addresses of this person: only mail to one of hers is answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The least time between two answers to the same sender; none: the server's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Who gets no answer: addresses, or patterns such as `*@list.example`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Another text for those of one's own domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colleagues: Option<Colleagues>,
    /// Whatever else a message has to be like to be answered; other programs write such conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_if: Vec<Condition>,
    /// What is done with an answered message besides: nothing (it stays), discarded, sent on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Action>,
}

/// A subject and a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The subject; none: made from that of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text, in `format`.
    pub text: String,
    /// What the text is.
    #[serde(default)]
    pub format: Format,
}

/// What a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Plain text.
    #[default]
    Plain,
    /// HTML.
    Html,
    /// A MIME entity, header and all.
    Mime,
}

/// Another answer for those of one's own domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colleagues {
    /// Whose senders are colleagues.
    pub domains: Vec<String>,
    /// What they are answered.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What a vacation does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is switched off.
    Off,
    /// It will begin.
    Waiting,
    /// It answers.
    On,
    /// It is over.
    Over,
}

/// The header of an entity that is HTML; RFC 5230 §4.3 wants the fields of RFC 2045 before the text.
const HTML_HEADER: &str = "Content-Type: text/html; charset=utf-8\n\n";
/// Where the sender of a message stands who is not to be answered, or whose mail is spam.
pub(crate) const SENDERS: [&str; 3] = ["from", "sender", "resent-from"];
/// The handle of the answer for colleagues: it must not count as the same answer.
const COLLEAGUES_HANDLE: &str = "colleagues";
/// What the rules are called where nobody has named them.
pub(crate) const NAME: &str = "Vacation";
const COLLEAGUES_NAME: &str = "Vacation (colleagues)";

impl Vacation {
    /// One that answers at once and until it is switched off.
    pub fn new(text: impl Into<String>) -> Vacation {
        Vacation {
            enabled: true,
            start: None,
            end: None,
            answer: Answer {
                text: text.into(),
                ..Answer::default()
            },
            from: None,
            addresses: Vec::new(),
            interval: None,
            except: Vec::new(),
            colleagues: None,
            only_if: Vec::new(),
            also: Vec::new(),
        }
    }

    /// What it does at `now`, in seconds since 1970, on a server whose offset from UTC is `here` minutes.
    pub fn state(&self, now: i64, here: i16) -> State {
        match (self.enabled, self.start, self.end) {
            (false, ..) => State::Off,
            (_, Some(start), _) if now < start.begins(here) => State::Waiting,
            (_, _, Some(end)) if now > end.ends(here) => State::Over,
            _ => State::On,
        }
    }

    /// The vacation that `rule` is, or why it is none. The second text is not looked for here.
    pub(crate) fn of_rule(rule: &Rule) -> Option<(Vacation, Option<Vec<String>>)> {
        let Some((Action::Vacation(reply), also)) = rule.actions.split_first() else {
            return None;
        };
        let (join, conditions) = rule.spelled_out();
        let plain_also = |a: &Action| {
            matches!(
                a,
                Action::Keep { flags: None } | Action::Discard | Action::Redirect { .. } | Action::Stop
            )
        };
        if rule.otherwise || !also.iter().all(plain_also) || (join == Join::Any && conditions.len() > 1) {
            return None;
        }
        let mut vacation = Vacation {
            enabled: rule.enabled,
            answer: Answer::of_reply(reply),
            from: reply.from.clone(),
            addresses: reply.addresses.clone(),
            interval: reply.interval,
            also: also.to_vec(),
            ..Vacation::new("")
        };
        let mut others = None;
        for condition in conditions {
            match Limit::of(&condition) {
                _ if condition.is_always() => {}
                Some(Limit::Start(moment)) if vacation.start.is_none() => vacation.start = Some(moment),
                Some(Limit::End(moment)) if vacation.end.is_none() => vacation.end = Some(moment),
                Some(Limit::Except(who)) if vacation.except.is_empty() => vacation.except = who,
                Some(Limit::NotDomains(domains)) if others.is_none() => others = Some(domains),
                _ => vacation.only_if.push(condition),
            }
        }
        // A handle of somebody's own would be lost: such an answer stays a rule.
        reply.handle.is_none().then_some((vacation, others))
    }

    /// The second text, if `rule` is the one for colleagues from `domains`.
    pub(crate) fn colleagues_of_rule(
        rule: &Rule,
        domains: &[String],
    ) -> Option<(Answer, Option<Moment>, Option<Moment>)> {
        let Some((Action::Vacation(reply), _)) = rule.actions.split_first() else {
            return None;
        };
        let (join, conditions) = rule.spelled_out();
        if join == Join::Any && conditions.len() > 1 {
            return None;
        }
        let (mut start, mut end, mut found) = (None, None, false);
        for condition in &conditions {
            match Limit::of(condition) {
                Some(Limit::Start(moment)) => start = Some(moment),
                Some(Limit::End(moment)) => end = Some(moment),
                Some(Limit::Domains(theirs)) => found |= theirs == domains,
                _ => {}
            }
        }
        (found && reply.handle.as_deref() == Some(COLLEAGUES_HANDLE)).then(|| (Answer::of_reply(reply), start, end))
    }

    /// The rules it is: the one for everybody, and the one for colleagues.
    pub(crate) fn to_rules(&self, name: Option<&str>, colleagues_name: Option<&str>) -> (Rule, Option<Rule>) {
        let mut common = Vec::new();
        if let Some(start) = &self.start {
            common.push(limit(start, Relation::Ge));
        }
        if let Some(end) = &self.end {
            common.push(limit(end, Relation::Le));
        }
        if !self.except.is_empty() {
            common.push(Condition::new(senders(&self.except)).not());
        }
        common.extend(self.only_if.iter().cloned());
        let rule = |name: &str, mut conditions: Vec<Condition>, reply: Reply| {
            if conditions.is_empty() {
                conditions.push(Condition::always());
            }
            let mut actions = vec![Action::Vacation(reply)];
            actions.extend(self.also.iter().cloned());
            let mut rule = Rule::new(name, conditions, actions);
            rule.enabled = self.enabled;
            rule.normal()
        };
        let reply = |answer: &Answer, handle: Option<&str>| Reply {
            interval: self.interval,
            from: self.from.clone(),
            addresses: self.addresses.clone(),
            handle: handle.map(str::to_owned),
            ..answer.to_reply()
        };
        let mut everybody = common.clone();
        let second = self.colleagues.as_ref().map(|colleagues| {
            let theirs = Condition::new(of_domains(&colleagues.domains));
            everybody.push(theirs.clone().not());
            let mut conditions = common.clone();
            conditions.push(theirs);
            rule(
                colleagues_name.unwrap_or(COLLEAGUES_NAME),
                conditions,
                reply(&colleagues.answer, Some(COLLEAGUES_HANDLE)),
            )
        });
        let first = rule(name.unwrap_or(NAME), everybody, reply(&self.answer, None));
        (first, second)
    }
}

impl Answer {
    fn of_reply(reply: &Reply) -> Answer {
        let (text, format) = match reply.mime.then(|| reply.text.strip_prefix(HTML_HEADER)) {
            None => (reply.text.as_str(), Format::Plain),
            Some(Some(html)) => (html, Format::Html),
            Some(None) => (reply.text.as_str(), Format::Mime),
        };
        Answer {
            subject: reply.subject.clone(),
            text: text.to_owned(),
            format,
        }
    }

    fn to_reply(&self) -> Reply {
        Reply {
            subject: self.subject.clone(),
            mime: self.format != Format::Plain,
            text: match self.format {
                Format::Html => format!("{HTML_HEADER}{}", self.text),
                Format::Plain | Format::Mime => self.text.clone(),
            },
            ..Reply::default()
        }
    }
}

/// A condition that says something about a vacation.
enum Limit {
    Start(Moment),
    End(Moment),
    Except(Vec<String>),
    Domains(Vec<String>),
    NotDomains(Vec<String>),
}

impl Limit {
    fn of(condition: &Condition) -> Option<Limit> {
        match (&condition.test, condition.not) {
            (Test::CurrentDate { zone, date_part, is }, false) => {
                let [value] = is.values.as_slice() else { return None };
                let moment = Moment::of_sieve(zone.as_deref(), date_part, value)?;
                match is.how {
                    Match::Value(Relation::Ge) => Some(Limit::Start(moment)),
                    Match::Value(Relation::Le) => Some(Limit::End(moment)),
                    _ => None,
                }
            }
            (test, true) => match (senders_of(test), domains_of(test)) {
                (Some(who), _) => Some(Limit::Except(who)),
                (_, Some(domains)) => Some(Limit::NotDomains(domains)),
                _ => None,
            },
            (test, false) => domains_of(test).map(Limit::Domains),
        }
    }
}

fn limit(moment: &Moment, relation: Relation) -> Condition {
    let (date_part, value) = moment.sieve_value();
    Condition::new(Test::CurrentDate {
        zone: moment.sieve_zone(),
        date_part: date_part.into(),
        is: Comparison::new(Match::Value(relation), &[&value]),
    })
}

/// The test for mail from these addresses or patterns.
pub(crate) fn senders(who: &[String]) -> Test {
    let pattern = who.iter().any(|w| w.contains(['*', '?']));
    let how = if pattern { Match::Matches } else { Match::Is };
    let values: Vec<&str> = who.iter().map(String::as_str).collect();
    Test::Address {
        headers: SENDERS.iter().map(|h| (*h).to_owned()).collect(),
        part: AddressPart::All,
        is: Comparison::new(how, &values),
    }
}

/// The addresses or patterns of such a test, as we and others write it.
pub(crate) fn senders_of(test: &Test) -> Option<Vec<String>> {
    let Test::Address {
        headers,
        part: AddressPart::All,
        is,
    } = test
    else {
        return None;
    };
    let ours = headers.len() == SENDERS.len() && headers.iter().zip(SENDERS).all(|(h, s)| h.eq_ignore_ascii_case(s));
    (ours && *is == senders_comparison(&is.values)).then(|| is.values.clone())
}

fn senders_comparison(who: &[String]) -> Comparison {
    match senders(who) {
        Test::Address { is, .. } => is,
        _ => Comparison::new(Match::Is, &[]),
    }
}

fn of_domains(domains: &[String]) -> Test {
    let values: Vec<&str> = domains.iter().map(String::as_str).collect();
    Test::Address {
        headers: vec!["from".into()],
        part: AddressPart::Domain,
        is: Comparison::new(Match::Is, &values),
    }
}

fn domains_of(test: &Test) -> Option<Vec<String>> {
    match test {
        Test::Address {
            headers,
            part: AddressPart::Domain,
            is,
        } if headers.len() == 1 && headers[0].eq_ignore_ascii_case("from") && is.how == Match::Is => {
            Some(is.values.clone())
        }
        _ => None,
    }
}

impl Vacation {
    /// The condition that leaves out those of some domains, where no second text answers them.
    pub(crate) fn but_for(domains: &[String]) -> Option<Condition> {
        (!domains.is_empty()).then(|| Condition::new(of_domains(domains)).not())
    }
}
