//! Writing a rule into a script, in the form of whoever wrote it.
//!
//! Roundcube's managesieve plugin, Horde Ingo, SOGo and KMail each print in a way of their own; where one of them reads a script back, it does
//! so by the form it writes (Roundcube: `# rule:[name]`, and `if false # …` for a rule that is switched off). Our own form is one that
//! Roundcube reads. Since a form is exact, it also tells who wrote a rule: printing it in that form gives the same bytes.

use crate::action::{Action, Interval, Reply};
use crate::condition::{AddressPart, BodyPart, Comparator, Comparison, Condition, Match, Test};
use crate::model::{Join, Rule};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Who wrote a part of a script, as far as its form tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// We did.
    Rohrpost,
    /// Roundcube's managesieve plugin (or somebody in its form).
    Roundcube,
    /// Horde Ingo.
    Ingo,
    /// SOGo.
    Sogo,
    /// KMail and other users of libksieve.
    Kmail,
    /// A person, or a program that leaves no trace.
    Person,
}

/// How a name stands above a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `# rule:[name]`
    Rule,
    /// `# name`
    Comment,
    /// `#SCRIPTNAME: name`
    ScriptName,
    /// Not at all.
    None,
}

/// How a rule is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub naming: Naming,
    pub newline: &'static str,
    indent: &'static str,
    /// Around and between the strings of a list.
    list: [&'static str; 3],
    /// Around the tests of `allof`, between its name and them.
    tests: [&'static str; 3],
    /// Before `{` where the rule is on.
    brace: Brace,
    /// Whether `allof` stands before a single test.
    lone_join: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brace {
    OwnLine,
    SameLine,
}

impl Form {
    /// The form of `maker`, with the line ends of the script.
    pub(crate) fn of(maker: Maker, newline: &'static str) -> Form {
        let house = Form {
            naming: Naming::Rule,
            newline,
            indent: "    ",
            list: ["[", ", ", "]"],
            tests: [" (", ", ", ")"],
            brace: Brace::OwnLine,
            lone_join: false,
        };
        match maker {
            Maker::Rohrpost => house,
            Maker::Person => Form {
                naming: Naming::Comment,
                ..house
            },
            Maker::Roundcube => Form {
                indent: "\t",
                list: ["[", ",", "]"],
                ..house
            },
            Maker::Ingo => Form {
                naming: Naming::Comment,
                tests: [" ( ", ", ", " )"],
                brace: Brace::SameLine,
                ..house
            },
            Maker::Sogo => Form {
                naming: Naming::None,
                brace: Brace::SameLine,
                lone_join: true,
                ..house
            },
            Maker::Kmail => Form {
                naming: Naming::ScriptName,
                list: ["[ ", ", ", " ]"],
                ..house
            },
        }
    }

    /// The line that names a rule; empty where it has no name or the form knows none.
    pub(crate) fn name_line(&self, name: Option<&str>) -> String {
        match (self.naming, name) {
            (_, None) | (Naming::None, _) => String::new(),
            (Naming::Rule, Some(name)) => format!("# rule:[{name}]{}", self.newline),
            (Naming::Comment, Some(name)) => format!("# {name}{}", self.newline),
            (Naming::ScriptName, Some(name)) => format!("#SCRIPTNAME: {name}{}", self.newline),
        }
    }

    /// The whole rule with its name, up to and with the last line end. `elsif`, where it is tried only if the one above it did not match.
    pub(crate) fn rule(&self, rule: &Rule) -> String {
        let keyword = if rule.otherwise { "elsif" } else { "if" };
        let mut out = self.name_line(rule.name.as_deref());
        out.push_str(keyword);
        out.push(' ');
        out.push_str(&self.head(rule));
        out.push('{');
        out.push_str(&self.block(rule));
        out.push('}');
        out.push_str(self.newline);
        out
    }

    /// From behind `if ` to before `{`.
    pub(crate) fn head(&self, rule: &Rule) -> String {
        self.head_of(rule.enabled, &self.conditions(rule))
    }

    /// The same, of conditions in words of the script.
    pub(crate) fn head_of(&self, enabled: bool, conditions: &str) -> String {
        let off = if enabled { "" } else { "false # " };
        // What follows `#` is a comment to the end of the line: the brace has to stand on the next.
        let gap = match self.brace {
            Brace::SameLine if enabled => " ",
            _ => self.newline,
        };
        format!("{off}{conditions}{gap}")
    }

    /// All conditions as one test.
    pub(crate) fn conditions(&self, rule: &Rule) -> String {
        let (join, conditions) = rule.spelled_out();
        let tests: Vec<String> = conditions.iter().map(|c| self.condition(c)).collect();
        match tests.as_slice() {
            [] => "true".to_owned(),
            [one] if !self.lone_join || rule.is_unconditional() => one.clone(),
            _ => {
                let name = if join == Join::Any { "anyof" } else { "allof" };
                let [open, between, close] = self.tests;
                format!("{name}{open}{}{close}", tests.join(between))
            }
        }
    }

    /// What stands between the braces.
    pub(crate) fn block(&self, rule: &Rule) -> String {
        let mut out = self.newline.to_owned();
        for action in &rule.actions {
            let _ = write!(out, "{}{};{}", self.indent, self.action(action), self.newline);
        }
        out
    }

    /// The actions as commands of their own, for a rule without conditions that was written so.
    pub(crate) fn bare(&self, rule: &Rule) -> String {
        rule.actions
            .iter()
            .map(|action| format!("{};{}", self.action(action), self.newline))
            .collect()
    }

    fn condition(&self, condition: &Condition) -> String {
        if condition.test == Test::Always {
            return if condition.not { "false" } else { "true" }.to_owned();
        }
        let mut out = String::new();
        if condition.not {
            out.push_str("not ");
        }
        match &condition.test {
            Test::Always => {}
            Test::Header { headers, is } => {
                out.push_str("header");
                self.comparison(&mut out, is);
                let _ = write!(out, " {} {}", self.list(headers), self.list(&is.values));
            }
            Test::Address { headers, part, is } => {
                out.push_str("address");
                self.part(&mut out, *part);
                self.comparison(&mut out, is);
                let _ = write!(out, " {} {}", self.list(headers), self.list(&is.values));
            }
            Test::Envelope { fields, part, is } => {
                out.push_str("envelope");
                self.part(&mut out, *part);
                self.comparison(&mut out, is);
                let _ = write!(out, " {} {}", self.list(fields), self.list(&is.values));
            }
            Test::Exists { headers } => {
                let _ = write!(out, "exists {}", self.list(headers));
            }
            Test::Size { over, octets } => {
                let side = if *over { "over" } else { "under" };
                let _ = write!(out, "size :{side} {}", number(*octets));
            }
            Test::Body { of, is } => {
                out.push_str("body");
                match of {
                    BodyPart::Text => out.push_str(" :text"),
                    BodyPart::Raw => out.push_str(" :raw"),
                    BodyPart::Content(types) => {
                        let _ = write!(out, " :content {}", self.list(types));
                    }
                }
                self.comparison(&mut out, is);
                let _ = write!(out, " {}", self.list(&is.values));
            }
            Test::Spam { percent, is } => {
                out.push_str("spamtest");
                if *percent {
                    out.push_str(" :percent");
                }
                self.comparison(&mut out, is);
                let _ = write!(out, " {}", self.list(&is.values));
            }
            Test::CurrentDate { zone, date_part, is } => {
                out.push_str("currentdate");
                if let Some(zone) = zone {
                    let _ = write!(out, " :zone {}", self.string(zone));
                }
                self.comparison(&mut out, is);
                let _ = write!(out, " {} {}", self.string(date_part), self.list(&is.values));
            }
            Test::Date {
                header,
                zone,
                date_part,
                is,
            } => {
                out.push_str("date");
                match zone.as_deref() {
                    None => {}
                    Some("original") => out.push_str(" :originalzone"),
                    Some(zone) => {
                        let _ = write!(out, " :zone {}", self.string(zone));
                    }
                }
                self.comparison(&mut out, is);
                let _ = write!(
                    out,
                    " {} {} {}",
                    self.string(header),
                    self.string(date_part),
                    self.list(&is.values)
                );
            }
        }
        out
    }

    fn part(&self, out: &mut String, part: AddressPart) {
        if part != AddressPart::All {
            let _ = write!(out, " :{}", part.name());
        }
    }

    fn comparison(&self, out: &mut String, is: &Comparison) {
        let _ = match is.how {
            Match::Value(relation) => write!(out, " :value \"{}\"", relation.name()),
            Match::Count(relation) => write!(out, " :count \"{}\"", relation.name()),
            how => write!(out, " :{how}"),
        };
        if is.comparator != Comparator::default() {
            let _ = write!(out, " :comparator \"{}\"", is.comparator.name());
        }
    }

    fn action(&self, action: &Action) -> String {
        let mut out = String::new();
        let mut tagged = |name: &str, tags: &[(bool, &str)]| {
            out.push_str(name);
            for (there, tag) in tags {
                if *there {
                    let _ = write!(out, " :{tag}");
                }
            }
        };
        match action {
            Action::FileInto {
                mailbox,
                copy,
                create,
                flags,
            } => {
                tagged("fileinto", &[(*create, "create"), (*copy, "copy")]);
                self.flags_tag(&mut out, flags.as_deref());
                let _ = write!(out, " {}", self.string(mailbox));
            }
            Action::Redirect { to, copy } => {
                tagged("redirect", &[(*copy, "copy")]);
                let _ = write!(out, " {}", self.string(to));
            }
            Action::Keep { flags } => {
                tagged("keep", &[]);
                self.flags_tag(&mut out, flags.as_deref());
            }
            Action::Discard => tagged("discard", &[]),
            Action::Stop => tagged("stop", &[]),
            Action::AddFlags { flags } => out = format!("addflag {}", self.list(flags)),
            Action::SetFlags { flags } => out = format!("setflag {}", self.list(flags)),
            Action::RemoveFlags { flags } => out = format!("removeflag {}", self.list(flags)),
            Action::Reject { text, early } => {
                let name = if *early { "ereject" } else { "reject" };
                out = format!("{name} {}", self.string(text));
            }
            Action::Vacation(reply) => out = self.vacation(reply),
            Action::Notify(notice) => {
                out.push_str("notify");
                let tags = [
                    ("importance", notice.importance.as_ref().map(|s| self.string(s))),
                    (
                        "options",
                        (!notice.options.is_empty()).then(|| self.list(&notice.options)),
                    ),
                    ("from", notice.from.as_ref().map(|s| self.string(s))),
                    ("message", notice.message.as_ref().map(|s| self.string(s))),
                ];
                for (tag, value) in tags {
                    if let Some(value) = value {
                        let _ = write!(out, " :{tag} {value}");
                    }
                }
                let _ = write!(out, " {}", self.string(&notice.to));
            }
        }
        out
    }

    fn flags_tag(&self, out: &mut String, flags: Option<&[String]>) {
        if let Some(flags) = flags {
            let _ = write!(out, " :flags {}", self.list(flags));
        }
    }

    fn vacation(&self, reply: &Reply) -> String {
        let mut out = "vacation".to_owned();
        match reply.interval {
            Some(Interval::Days(days)) => {
                let _ = write!(out, " :days {days}");
            }
            Some(Interval::Seconds(seconds)) => {
                let _ = write!(out, " :seconds {seconds}");
            }
            None => {}
        }
        if !reply.addresses.is_empty() {
            let _ = write!(out, " :addresses {}", self.list(&reply.addresses));
        }
        let tags = [
            ("subject", &reply.subject),
            ("handle", &reply.handle),
            ("from", &reply.from),
        ];
        for (tag, value) in tags {
            if let Some(value) = value {
                let _ = write!(out, " :{tag} {}", self.string(value));
            }
        }
        if reply.mime {
            out.push_str(" :mime");
        }
        let _ = write!(out, " {}", self.string(&reply.text));
        out
    }

    /// A list, or a single string where it has but one.
    pub(crate) fn list(&self, strings: &[String]) -> String {
        match strings {
            [one] => self.string(one),
            _ => {
                let [open, between, close] = self.list;
                let quoted: Vec<String> = strings.iter().map(|s| self.string(s)).collect();
                format!("{open}{}{close}", quoted.join(between))
            }
        }
    }

    /// A quoted string, or a text of several lines with one line end more than the string has (RFC 5228 §2.4.2).
    fn string(&self, text: &str) -> String {
        if !text.contains('\n') {
            return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        }
        let mut out = format!("text:{}", self.newline);
        for line in text.split('\n') {
            if line.starts_with('.') {
                out.push('.');
            }
            out.push_str(line);
            out.push_str(self.newline);
        }
        let _ = write!(out, ".{}", self.newline);
        out
    }
}

/// A number with the largest unit that divides it.
fn number(octets: u64) -> String {
    for (unit, factor) in [("G", 1_u64 << 30), ("M", 1 << 20), ("K", 1 << 10)] {
        if octets > 0 && octets.is_multiple_of(factor) {
            return format!("{}{unit}", octets / factor);
        }
    }
    octets.to_string()
}
