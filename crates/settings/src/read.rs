//! Commands and tests of a script as rules, where the model has words for them.
//!
//! Recognising is all or nothing: a test or an action with one argument the model does not know makes its rule a foreign part, with the
//! reason. So nothing is lost when a rule that was recognised is written again.

use crate::action::{Action, Interval, Notice, Reply};
use crate::condition::{AddressPart, BodyPart, Comparator, Comparison, Condition, Match, Relation, Test};
use crate::model::Join;
use sieve::tree::{Argument, Command, Test as Node, Text, Value};

/// Why something is not shown as a rule.
pub(crate) type Because = String;

/// The join and the conditions of a test.
pub(crate) fn conditions(test: &Node) -> Result<(Join, Vec<Condition>), Because> {
    // `not allof (a, b)` is «any of not a, not b»: the negation goes inwards.
    let (not, test) = peel(test)?;
    let join = match (lower(&test.name).as_str(), not) {
        ("allof", false) | ("anyof", true) => Join::All,
        ("anyof", false) | ("allof", true) => Join::Any,
        _ => return Ok((Join::All, vec![condition(test, not)?])),
    };
    let mut all = Vec::new();
    flatten(test, not, join, &mut all)?;
    if all.is_empty() {
        return Err(format!("`{}` without a test in it", test.name));
    }
    Ok((join, all))
}

fn peel(mut test: &Node) -> Result<(bool, &Node), Because> {
    let mut not = false;
    while test.is("not") {
        not = !not;
        test = test.tests.all().first().ok_or("`not` without a test behind it")?;
    }
    Ok((not, test))
}

fn flatten(test: &Node, not: bool, join: Join, all: &mut Vec<Condition>) -> Result<(), Because> {
    for inner in test.tests.all() {
        let (turned, inner) = peel(inner)?;
        let negated = not != turned;
        match (lower(&inner.name).as_str(), negated) {
            ("allof", false) | ("anyof", true) if join == Join::All => flatten(inner, negated, join, all)?,
            ("anyof", false) | ("allof", true) if join == Join::Any => flatten(inner, negated, join, all)?,
            ("allof" | "anyof", _) => return Err("it has conditions inside conditions".into()),
            _ => all.push(condition(inner, negated)?),
        }
    }
    Ok(())
}

fn condition(test: &Node, not: bool) -> Result<Condition, Because> {
    let name = lower(&test.name);
    let mut taken = Taken::of(&name, &test.arguments);
    let read = match name.as_str() {
        "true" => Test::Always,
        "false" => {
            taken.done()?;
            return Ok(Condition {
                not: !not,
                test: Test::Always,
            });
        }
        "header" => {
            let is = taken.comparison()?;
            let values = taken.last_list()?;
            Test::Header {
                headers: taken.last_list()?,
                is: is.with(values),
            }
        }
        "address" => {
            let (is, part) = (taken.comparison()?, taken.part());
            let values = taken.last_list()?;
            Test::Address {
                headers: taken.last_list()?,
                part,
                is: is.with(values),
            }
        }
        "envelope" => {
            let (is, part) = (taken.comparison()?, taken.part());
            let values = taken.last_list()?;
            Test::Envelope {
                fields: taken.last_list()?,
                part,
                is: is.with(values),
            }
        }
        "exists" => Test::Exists {
            headers: taken.last_list()?,
        },
        "size" => {
            let (over, under) = (taken.tag("over"), taken.tag("under"));
            if over == under {
                return Err("`size` needs :over or :under".into());
            }
            Test::Size {
                over,
                octets: taken.last_number()?,
            }
        }
        "body" => {
            let of = if let Some(types) = taken.tag_with("content") {
                BodyPart::Content(list(types)?)
            } else if taken.tag("raw") {
                BodyPart::Raw
            } else {
                taken.tag("text");
                BodyPart::Text
            };
            let is = taken.comparison()?;
            Test::Body {
                of,
                is: is.with(taken.last_list()?),
            }
        }
        "spamtest" => {
            let (percent, is) = (taken.tag("percent"), taken.comparison()?);
            Test::Spam {
                percent,
                is: is.with(taken.last_list()?),
            }
        }
        "currentdate" => {
            let zone = taken.tag_with("zone").map(string).transpose()?;
            let is = taken.comparison()?;
            let values = taken.last_list()?;
            Test::CurrentDate {
                zone,
                date_part: taken.last_string()?,
                is: is.with(values),
            }
        }
        "date" => {
            let mut zone = taken.tag_with("zone").map(string).transpose()?;
            if taken.tag("originalzone") {
                zone = Some("original".into());
            }
            let is = taken.comparison()?;
            let values = taken.last_list()?;
            let date_part = taken.last_string()?;
            Test::Date {
                header: taken.last_string()?,
                zone,
                date_part,
                is: is.with(values),
            }
        }
        other => return Err(format!("the test `{other}` has no place in a rule")),
    };
    taken.done()?;
    Ok(Condition { not, test: read })
}

/// What a command does.
pub(crate) fn action(command: &Command) -> Result<Action, Because> {
    let name = lower(&command.name);
    if name == "if" {
        return Err("it has an `if` inside an `if`".into());
    }
    if !command.tests.all().is_empty() || command.block.is_some() {
        return Err(format!("the command `{name}` has no place in a rule"));
    }
    let mut taken = Taken::of(&name, &command.arguments);
    let read = match name.as_str() {
        "fileinto" => {
            let (copy, create) = (taken.tag("copy"), taken.tag("create"));
            Action::FileInto {
                copy,
                create,
                flags: taken.tag_with("flags").map(list).transpose()?,
                mailbox: taken.last_string()?,
            }
        }
        "redirect" => Action::Redirect {
            copy: taken.tag("copy"),
            to: taken.last_string()?,
        },
        "keep" => Action::Keep {
            flags: taken.tag_with("flags").map(list).transpose()?,
        },
        "discard" => Action::Discard,
        "stop" => Action::Stop,
        "addflag" | "setflag" | "removeflag" => {
            let flags = taken.last_list()?;
            match name.as_str() {
                "addflag" => Action::AddFlags { flags },
                "setflag" => Action::SetFlags { flags },
                _ => Action::RemoveFlags { flags },
            }
        }
        "reject" | "ereject" => Action::Reject {
            text: taken.last_string()?,
            early: name == "ereject",
        },
        "vacation" => {
            let days = taken.tag_with("days").map(number).transpose()?;
            let seconds = taken.tag_with("seconds").map(number).transpose()?;
            let interval = match (days, seconds) {
                (None, None) => None,
                (Some(days), None) => Some(Interval::Days(days)),
                (None, Some(seconds)) => Some(Interval::Seconds(seconds)),
                (Some(_), Some(_)) => return Err("`vacation` has :days and :seconds".into()),
            };
            Action::Vacation(Reply {
                interval,
                subject: taken.tag_with("subject").map(string).transpose()?,
                from: taken.tag_with("from").map(string).transpose()?,
                addresses: taken.tag_with("addresses").map(list).transpose()?.unwrap_or_default(),
                handle: taken.tag_with("handle").map(string).transpose()?,
                mime: taken.tag("mime"),
                text: taken.last_string()?,
            })
        }
        "notify" => Action::Notify(Notice {
            from: taken.tag_with("from").map(string).transpose()?,
            importance: taken.tag_with("importance").map(string).transpose()?,
            options: taken.tag_with("options").map(list).transpose()?.unwrap_or_default(),
            message: taken.tag_with("message").map(string).transpose()?,
            to: taken.last_string()?,
        }),
        other => return Err(format!("the command `{other}` has no place in a rule")),
    };
    taken.done()?;
    Ok(read)
}

/// Match type and comparator, before the values.
struct Is {
    how: Match,
    comparator: Comparator,
}

impl Is {
    fn with(self, values: Vec<String>) -> Comparison {
        Comparison {
            how: self.how,
            comparator: self.comparator,
            values,
        }
    }
}

/// The arguments of a command or test, of which what is understood is taken away.
struct Taken<'a> {
    of: &'a str,
    rest: Vec<&'a Value>,
}

impl<'a> Taken<'a> {
    fn of(name: &'a str, arguments: &'a [Argument]) -> Taken<'a> {
        Taken {
            of: name,
            rest: arguments.iter().map(|argument| &argument.value).collect(),
        }
    }

    /// Whether the tag is there; it takes no value.
    fn tag(&mut self, name: &str) -> bool {
        let at = self.position(name);
        at.map(|at| self.rest.remove(at)).is_some()
    }

    /// The value behind a tag.
    fn tag_with(&mut self, name: &str) -> Option<&'a Value> {
        let at = self.position(name)?;
        let value = self.rest.get(at + 1).copied()?;
        self.rest.drain(at..at + 2);
        Some(value)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.rest
            .iter()
            .position(|value| matches!(value, Value::Tag(tag) if tag.eq_ignore_ascii_case(name)))
    }

    fn comparison(&mut self) -> Result<Is, Because> {
        let comparator = match self.tag_with("comparator") {
            None => Comparator::default(),
            Some(value) => {
                let name = string(value)?;
                Comparator::of_name(&name).ok_or_else(|| format!("it compares by `{name}`"))?
            }
        };
        for (tag, make) in [
            ("value", Match::Value as fn(Relation) -> Match),
            ("count", Match::Count),
        ] {
            if let Some(value) = self.tag_with(tag) {
                let name = string(value)?;
                let relation = Relation::of_name(&name).ok_or_else(|| format!("`{name}` is no relation"))?;
                return Ok(Is {
                    how: make(relation),
                    comparator,
                });
            }
        }
        let how = [
            ("is", Match::Is),
            ("contains", Match::Contains),
            ("matches", Match::Matches),
            ("regex", Match::Regex),
        ]
        .into_iter()
        .find(|(tag, _)| self.tag(tag))
        .map_or(Match::Is, |(_, how)| how);
        Ok(Is { how, comparator })
    }

    fn part(&mut self) -> AddressPart {
        ["all", "localpart", "domain", "user", "detail"]
            .into_iter()
            .find(|tag| self.tag(tag))
            .and_then(AddressPart::of_name)
            .unwrap_or_default()
    }

    fn last(&mut self) -> Result<&'a Value, Because> {
        match self.rest.pop() {
            Some(value) if !matches!(value, Value::Tag(_)) => Ok(value),
            _ => Err(format!("`{}` lacks an argument", self.of)),
        }
    }

    fn last_list(&mut self) -> Result<Vec<String>, Because> {
        list(self.last()?)
    }

    fn last_string(&mut self) -> Result<String, Because> {
        string(self.last()?)
    }

    fn last_number(&mut self) -> Result<u64, Because> {
        number(self.last()?)
    }

    fn done(&self) -> Result<(), Because> {
        match self.rest.first() {
            None => Ok(()),
            Some(Value::Tag(tag)) => Err(format!("`{}` has :{tag}", self.of)),
            Some(_) => Err(format!("`{}` has an argument too many", self.of)),
        }
    }
}

fn list(value: &Value) -> Result<Vec<String>, Because> {
    let texts = value.texts().ok_or("it lacks a string where one is expected")?;
    Ok(texts.iter().map(text).collect())
}

fn string(value: &Value) -> Result<String, Because> {
    match value.texts() {
        Some([one]) => Ok(text(one)),
        Some(_) => Err("it has a list where one string is expected".into()),
        None => Err("it lacks a string where one is expected".into()),
    }
}

/// Lines end with a line feed in the model; that before the dot which closes a `text:` is no part of what people see.
fn text(text: &Text) -> String {
    let value = text.value.replace("\r\n", "\n");
    match value.strip_suffix('\n') {
        Some(inner) if text.multiline => inner.to_owned(),
        _ => value,
    }
}

fn number(value: &Value) -> Result<u64, Because> {
    match value {
        Value::Number(number) => Ok(number.value()),
        _ => Err("it lacks a number where one is expected".into()),
    }
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}
