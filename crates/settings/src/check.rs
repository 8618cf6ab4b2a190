//! Whether what somebody wants to set can be set, said to that person.
//!
//! Only what has changed is looked at: a script that another program wrote is not refused for what stood in it before.

use crate::action::{Action, Interval, Notice, Reply};
use crate::condition::{Comparator, Comparison, Condition, Match, Test};
use crate::model::{Forwarding, Rule};
use crate::moment::parse_zone;
use crate::spam::{Disposal, Spam};
use crate::vacation::{Answer, Format, Vacation};
use serde::Serialize;
use std::fmt;

/// How much can be set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Rules and other parts of a script: what still can be looked through on a page.
    pub parts: usize,
    /// Targets of the forwarding, and redirects in a rule: each is a message that leaves the house.
    pub targets: usize,
    /// Conditions of a rule, and actions.
    pub conditions: usize,
    /// Values of a condition, senders on a list.
    pub values: usize,
    /// Octets of a name, an address, a mailbox, a value.
    pub line: usize,
    /// Octets of an answer's text: it goes out to everybody who writes.
    pub text: usize,
    /// Octets of the script that comes out of it.
    pub script: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            parts: 1_000,
            targets: 10,
            conditions: 100,
            values: 2_000,
            line: 1_000,
            text: 64 << 10,
            script: 1 << 20,
        }
    }
}

/// Whose settings they are.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// All addresses of this person: mail is not forwarded to itself.
    pub addresses: Vec<String>,
}

/// What cannot be set, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: `vacation.end`, `rules[2].actions[0].mailbox`.
    pub at: String,
    /// A sentence for the person who set it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// Gathers problems; `at` is where they are.
pub(crate) struct Checker<'c> {
    pub limits: &'c Limits,
    pub owner: &'c Owner,
    /// The script has `variables` (RFC 5229): `${` is no text there.
    pub variables: bool,
    pub problems: Vec<Problem>,
}

impl Checker<'_> {
    pub(crate) fn problem(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            at: at.to_owned(),
            message: message.into(),
        });
    }

    pub(crate) fn forwarding(&mut self, forwarding: &Forwarding) {
        let at = "forwarding.to";
        if forwarding.to.is_empty() {
            self.problem(at, "say to which address mail is forwarded");
        }
        self.at_most(at, forwarding.to.len(), self.limits.targets, "targets");
        for (n, to) in forwarding.to.iter().enumerate() {
            if forwarding.to[..n]
                .iter()
                .any(|earlier| earlier.eq_ignore_ascii_case(to))
            {
                self.problem(at, format!("{to} is there twice"));
            }
            self.target(at, to);
        }
    }

    pub(crate) fn vacation(&mut self, vacation: &Vacation) {
        self.answer("vacation", &vacation.answer);
        if let (Some(start), Some(end)) = (vacation.start, vacation.end) {
            // Where one of them is in the server's own zone, take it for that of the other.
            let here = start.offset().or(end.offset()).unwrap_or(0);
            if end.ends(here) < start.begins(here) {
                self.problem(
                    "vacation.end",
                    format!("the vacation ends ({end}) before it starts ({start})"),
                );
            }
        }
        for address in &vacation.addresses {
            self.address("vacation.addresses", address);
        }
        if let Some(from) = &vacation.from {
            self.line("vacation.from", from);
        }
        self.interval("vacation.interval", vacation.interval);
        self.patterns("vacation.except", &vacation.except);
        if let Some(colleagues) = &vacation.colleagues {
            self.answer("vacation.colleagues", &colleagues.answer);
            if colleagues.domains.is_empty() {
                self.problem(
                    "vacation.colleagues.domains",
                    "say whose senders are colleagues: phys.example",
                );
            }
            for domain in &colleagues.domains {
                if domain.is_empty() || domain.contains(['@', ' ', '*']) || !is_line(domain) {
                    self.problem(
                        "vacation.colleagues.domains",
                        format!("`{domain}` is no domain: write phys.example, without an @"),
                    );
                }
            }
        }
        for condition in &vacation.only_if {
            self.condition("vacation.only_if", condition);
        }
        for action in &vacation.also {
            self.action("vacation.also", action);
        }
    }

    pub(crate) fn spam(&mut self, spam: &Spam) {
        self.patterns("spam.allow", &spam.allow);
        if let Some(block) = &spam.block {
            if block.senders.is_empty() {
                self.problem("spam.block.senders", "say whose mail is spam, or leave `block` out");
            }
            self.patterns("spam.block.senders", &block.senders);
            self.disposal("spam.block.then", &block.then);
        }
        if let Some(threshold) = &spam.threshold {
            if !(1..=10).contains(&threshold.score) {
                self.problem(
                    "spam.threshold.score",
                    "the score goes from 1 (everything that was looked at) to 10 (surely spam)",
                );
            }
            self.disposal("spam.threshold.then", &threshold.then);
        }
    }

    pub(crate) fn rule(&mut self, at: &str, rule: &Rule) {
        if let Some(name) = &rule.name {
            let at = format!("{at}.name");
            if name.trim().is_empty() || name.trim() != name {
                self.problem(&at, "a name has something to read in it, and no spaces around it");
            }
            self.line(&at, name);
        }
        if rule.conditions.is_empty() {
            let at = format!("{at}.conditions");
            self.problem(&at, "say which messages: for all of them, the test is `always`");
        }
        if rule.actions.is_empty() {
            self.problem(&format!("{at}.actions"), "say what is done");
        }
        self.at_most(
            &format!("{at}.conditions"),
            rule.conditions.len(),
            self.limits.conditions,
            "conditions",
        );
        self.at_most(
            &format!("{at}.actions"),
            rule.actions.len(),
            self.limits.conditions,
            "actions",
        );
        for (n, condition) in rule.conditions.iter().enumerate() {
            self.condition(&format!("{at}.conditions[{n}]"), condition);
        }
        let redirects = rule
            .actions
            .iter()
            .filter(|a| matches!(a, Action::Redirect { .. }))
            .count();
        self.at_most(&format!("{at}.actions"), redirects, self.limits.targets, "redirects");
        let answers = rule.actions.iter().filter(|a| matches!(a, Action::Vacation(_))).count();
        self.at_most(&format!("{at}.actions"), answers, 1, "answer");
        for (n, action) in rule.actions.iter().enumerate() {
            let at = format!("{at}.actions[{n}]");
            if n + 1 < rule.actions.len() && *action == Action::Stop {
                self.problem(&at, "nothing is done after `stop`: put it last");
            }
            self.action(&at, action);
        }
        let refuses = rule.actions.iter().any(|a| matches!(a, Action::Reject { .. }));
        let delivers = |a: &Action| {
            matches!(
                a,
                Action::FileInto { .. }
                    | Action::Redirect { .. }
                    | Action::Keep { .. }
                    | Action::Vacation(_)
                    | Action::SetFlags { .. }
                    | Action::AddFlags { .. }
            )
        };
        if refuses && rule.actions.iter().any(delivers) {
            let at = format!("{at}.actions");
            self.problem(
                &at,
                "a message that is sent back cannot be filed, kept, sent on or answered as well",
            );
        }
    }

    fn condition(&mut self, at: &str, condition: &Condition) {
        let field = |checker: &mut Self, name: &String| {
            // RFC 5322 §3.6.8
            if name.is_empty() || !name.bytes().all(|b| (33..=126).contains(&b) && b != b':') {
                checker.problem(
                    &format!("{at}.headers"),
                    format!("`{name}` is no name of a header field: write it without a colon"),
                );
            }
        };
        match &condition.test {
            Test::Header { headers, .. } | Test::Address { headers, .. } | Test::Exists { headers } => {
                self.some(&format!("{at}.headers"), headers);
                headers.iter().for_each(|name| field(self, name));
            }
            Test::Envelope { fields, .. } => {
                self.some(&format!("{at}.fields"), fields);
                for name in fields {
                    if !["from", "to"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
                        self.problem(
                            &format!("{at}.fields"),
                            format!("`{name}`: the envelope has `from` and `to`"),
                        );
                    }
                }
            }
            Test::CurrentDate { zone, date_part, .. } | Test::Date { zone, date_part, .. } => {
                if let Some(zone) = zone
                    && zone != "original"
                    && parse_zone(zone).is_none()
                {
                    self.problem(
                        &format!("{at}.zone"),
                        format!("`{zone}` is no offset from UTC: write +0100"),
                    );
                }
                if !DATE_PARTS.contains(&date_part.as_str()) {
                    self.problem(
                        &format!("{at}.date_part"),
                        format!("`{date_part}` is no part of a date: {}", DATE_PARTS.join(", ")),
                    );
                }
                if let Test::Date { header, .. } = &condition.test {
                    field(self, header);
                }
            }
            Test::Always | Test::Size { .. } | Test::Body { .. } | Test::Spam { .. } => {}
        }
        if let Some(is) = condition.test.comparison() {
            self.comparison(at, is);
        }
    }

    fn comparison(&mut self, at: &str, is: &Comparison) {
        let at = format!("{at}.values");
        self.some(&at, &is.values);
        for value in &is.values {
            self.line(&at, value);
            let counted = matches!(is.how, Match::Count(_)) || is.comparator == Comparator::Numeric;
            if counted && !value.bytes().all(|b| b.is_ascii_digit()) {
                self.problem(&at, format!("`{value}` is compared as a number: write digits only"));
            }
            // An empty text is part of every text.
            if value.is_empty() && matches!(is.how, Match::Contains | Match::Regex) {
                self.problem(&at, "an empty text is part of every text");
            }
        }
        if is.comparator == Comparator::Numeric && matches!(is.how, Match::Contains | Match::Matches | Match::Regex) {
            self.problem(&at, "numbers are compared with `is`, `value-ge` and the like");
        }
    }

    fn action(&mut self, at: &str, action: &Action) {
        match action {
            Action::FileInto { mailbox, flags, .. } => {
                self.mailbox(&format!("{at}.mailbox"), mailbox);
                self.flags(at, flags.as_deref().unwrap_or_default());
            }
            Action::Redirect { to, .. } => self.target(&format!("{at}.to"), to),
            Action::Keep { flags } => self.flags(at, flags.as_deref().unwrap_or_default()),
            Action::AddFlags { flags } | Action::SetFlags { flags } | Action::RemoveFlags { flags } => {
                self.some(&format!("{at}.flags"), flags);
                self.flags(at, flags);
            }
            Action::Reject { text, .. } => self.text(&format!("{at}.text"), text),
            Action::Vacation(reply) => self.reply(at, reply),
            Action::Notify(Notice {
                to,
                from,
                importance,
                options,
                message,
            }) => {
                if !to.starts_with("mailto:") {
                    self.problem(&format!("{at}.to"), "write mailto: and an address");
                }
                for line in [Some(to), from.as_ref(), importance.as_ref(), message.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    self.line(at, line);
                }
                options.iter().for_each(|option| self.line(at, option));
                if importance
                    .as_ref()
                    .is_some_and(|i| !["1", "2", "3"].contains(&i.as_str()))
                {
                    self.problem(&format!("{at}.importance"), "1 is high, 2 normal, 3 low");
                }
            }
            Action::Discard | Action::Stop => {}
        }
    }

    fn reply(&mut self, at: &str, reply: &Reply) {
        self.text(&format!("{at}.text"), &reply.text);
        for line in [&reply.subject, &reply.from, &reply.handle].into_iter().flatten() {
            self.line(at, line);
        }
        self.interval(&format!("{at}.interval"), reply.interval);
        for address in &reply.addresses {
            self.address(&format!("{at}.addresses"), address);
        }
    }

    fn answer(&mut self, at: &str, answer: &Answer) {
        self.text(&format!("{at}.text"), &answer.text);
        if let Some(subject) = &answer.subject {
            self.line(&format!("{at}.subject"), subject);
        }
        if answer.format == Format::Mime && !answer.text.to_ascii_lowercase().starts_with("content-") {
            self.problem(
                &format!("{at}.text"),
                "a MIME entity starts with its header: Content-Type: …",
            );
        }
    }

    fn interval(&mut self, at: &str, interval: Option<Interval>) {
        let fine = match interval {
            None => true,
            Some(Interval::Days(days)) => (1..=366).contains(&days),
            Some(Interval::Seconds(seconds)) => seconds <= 366 * 86_400,
        };
        if !fine {
            self.problem(at, "the same sender is answered again after 1 to 366 days");
        }
    }

    fn disposal(&mut self, at: &str, disposal: &Disposal) {
        if let Disposal::Mailbox(mailbox) = disposal {
            self.mailbox(at, mailbox);
        }
    }

    fn mailbox(&mut self, at: &str, name: &str) {
        self.line(at, name);
        if name.is_empty() || name.split('/').any(str::is_empty) {
            self.problem(
                at,
                format!("`{name}` is no name of a mailbox: write Lists or Lists/Rust"),
            );
        }
        if name.contains(['*', '%']) {
            self.problem(at, format!("`{name}`: the name of a mailbox has no * and no %"));
        }
    }

    fn flags(&mut self, at: &str, flags: &[String]) {
        let at = format!("{at}.flags");
        for flag in flags {
            let system = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
            let known = system.iter().any(|s| s.eq_ignore_ascii_case(flag));
            // RFC 9051 §9: flag-keyword is an atom.
            let atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
            if !known && (flag.is_empty() || !flag.bytes().all(atom)) {
                self.problem(
                    &at,
                    format!("`{flag}` is no flag: {}, or a label of one word", system.join(", ")),
                );
            }
        }
    }

    fn target(&mut self, at: &str, address: &str) {
        self.address(at, address);
        if self.owner.addresses.iter().any(|own| own.eq_ignore_ascii_case(address)) {
            self.problem(
                at,
                format!("{address} is this account itself: mail would go in circles"),
            );
        }
    }

    fn address(&mut self, at: &str, address: &str) {
        self.line(at, address);
        let fine = address.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.starts_with('.')
                && !domain.ends_with('.')
                && !domain.contains("..")
                && !address.contains(|c: char| c.is_whitespace() || "<>,;:()[]\\".contains(c))
        });
        if !fine {
            self.problem(at, format!("`{address}` is no address: write somebody@phys.example"));
        }
    }

    fn patterns(&mut self, at: &str, who: &[String]) {
        self.at_most(at, who.len(), self.limits.values, "senders");
        for pattern in who {
            self.line(at, pattern);
            if !pattern.contains(['@', '*']) || pattern.contains(char::is_whitespace) {
                self.problem(
                    at,
                    format!("`{pattern}` is no address and no pattern: write somebody@list.example or *@list.example"),
                );
            }
        }
    }

    fn some(&mut self, at: &str, values: &[String]) {
        if values.is_empty() {
            self.problem(at, "say at least one");
        }
        self.at_most(at, values.len(), self.limits.values, "values");
    }

    fn text(&mut self, at: &str, text: &str) {
        if text.trim().is_empty() {
            self.problem(at, "there is no text");
        }
        self.at_most(at, text.len(), self.limits.text, "octets");
        if text.contains(['\r', '\0']) {
            self.problem(at, "the text has a control character in it; lines end with a line feed");
        }
        self.dollars(at, text);
    }

    fn line(&mut self, at: &str, text: &str) {
        self.at_most(at, text.len(), self.limits.line, "octets");
        if !is_line(text) {
            self.problem(at, "this is one line, without control characters");
        }
        self.dollars(at, text);
    }

    /// RFC 5229 §3 has no way of saying `${` in a script that uses variables; encoded-character has none for its own.
    fn dollars(&mut self, at: &str, text: &str) {
        if self.variables && text.contains("${") {
            self.problem(
                at,
                "this script uses variables: in it, `${…}` would be replaced by the value of one",
            );
        }
    }

    fn at_most(&mut self, at: &str, count: usize, limit: usize, what: &str) {
        if count > limit {
            self.problem(at, format!("{count} {what}, {limit} at most"));
        }
    }
}

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// RFC 5260 §4.2
const DATE_PARTS: [&str; 13] = [
    "year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone", "weekday",
];
