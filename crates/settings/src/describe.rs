//! A rule as a sentence: what command line and web show.

use crate::action::{Action, Interval};
use crate::condition::{AddressPart, BodyPart, Comparator, Comparison, Condition, Match, Relation, Test};
use crate::model::{Join, Rule};
use std::fmt::Write as _;

impl Rule {
    /// What the rule does: `if sender contains "x": put into Lists, stop`.
    pub fn sentence(&self) -> String {
        let mut out = String::new();
        if self.otherwise {
            out.push_str("otherwise ");
        }
        if self.is_unconditional() {
            out.push_str("always");
        } else {
            let between = match self.join {
                Join::All => " and ",
                Join::Any | Join::None => " or ",
            };
            let conditions: Vec<String> = self.conditions.iter().map(Condition::phrase).collect();
            let lead = if self.join == Join::None { "unless " } else { "if " };
            let _ = write!(out, "{lead}{}", conditions.join(between));
        }
        let actions: Vec<String> = self.actions.iter().map(Action::phrase).collect();
        let _ = write!(out, ": {}", actions.join(", "));
        out
    }
}

impl Condition {
    /// What it wants: `subject contains "x"`.
    pub fn phrase(&self) -> String {
        let is = |is: &Comparison| comparison(is, self.not);
        let not = if self.not { "no " } else { "" };
        match &self.test {
            Test::Always if self.not => "never".into(),
            Test::Always => "always".into(),
            Test::Header { headers, is: with } => format!("{} {}", subject_of(headers, "header "), is(with)),
            Test::Address {
                headers,
                part,
                is: with,
            } => {
                format!("{}{} {}", subject_of(headers, "address in "), of_part(*part), is(with))
            }
            Test::Envelope { fields, part, is: with } => {
                format!("envelope {}{} {}", fields.join(" or "), of_part(*part), is(with))
            }
            Test::Exists { headers } => format!("{not}header {} is there", headers.join(" and ")),
            Test::Size { over, octets } => {
                let side = match (over, self.not) {
                    (true, false) => "larger than",
                    (true, true) => "not larger than",
                    (false, false) => "smaller than",
                    (false, true) => "not smaller than",
                };
                format!("{side} {}", size(*octets))
            }
            Test::Body { of, is: with } => {
                let text = match of {
                    BodyPart::Text => "text".to_owned(),
                    BodyPart::Raw => "raw text".to_owned(),
                    BodyPart::Content(types) => format!("{} parts", types.join(" or ")),
                };
                format!("{text} {}", is(with))
            }
            Test::Spam { percent, is: with } => {
                format!("spam score{} {}", if *percent { " in %" } else { "" }, is(with))
            }
            Test::CurrentDate {
                zone,
                date_part,
                is: with,
            } => {
                format!("{date_part} now{} {}", in_zone(zone.as_deref()), is(with))
            }
            Test::Date {
                header,
                zone,
                date_part,
                is: with,
            } => format!("{date_part} in {header}{} {}", in_zone(zone.as_deref()), is(with)),
        }
    }
}

impl Action {
    /// What is done: `put into Lists`.
    pub fn phrase(&self) -> String {
        let flagged = |flags: &Option<Vec<String>>| match flags {
            None => String::new(),
            Some(flags) => format!(" with flags {}", flags.join(" ")),
        };
        match self {
            Action::FileInto {
                mailbox, copy, flags, ..
            } => {
                let what = if *copy { "put a copy into" } else { "put into" };
                format!("{what} {mailbox}{}", flagged(flags))
            }
            Action::Redirect { to, copy } => format!("{} {to}", if *copy { "send a copy to" } else { "send on to" }),
            Action::Keep { flags } => format!("keep{}", flagged(flags)),
            Action::Discard => "discard".into(),
            Action::Stop => "stop".into(),
            Action::AddFlags { flags } => match flags.as_slice() {
                [one] if one.eq_ignore_ascii_case("\\seen") => "mark as read".into(),
                [one] if one.eq_ignore_ascii_case("\\flagged") => "flag".into(),
                flags => format!("label {}", flags.join(" ")),
            },
            Action::SetFlags { flags } => format!("set flags {}", flags.join(" ")),
            Action::RemoveFlags { flags } => format!("take away flags {}", flags.join(" ")),
            Action::Reject { text, .. } => format!("send back: {}", first_line(text)),
            Action::Vacation(reply) => {
                let every = match reply.interval {
                    Some(Interval::Days(days)) => format!(" every {days} days"),
                    Some(Interval::Seconds(seconds)) => format!(" every {seconds} seconds"),
                    None => String::new(),
                };
                format!("answer{every}: {}", first_line(&reply.text))
            }
            Action::Notify(notice) => format!("notify {}", notice.to),
        }
    }
}

fn subject_of(headers: &[String], lead: &str) -> String {
    let names: Vec<String> = headers.iter().map(|h| h.to_ascii_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["from"] | ["from", "sender", "resent-from"] => "sender".into(),
        ["to"] | ["to", "cc"] | ["cc", "to"] | ["to", "cc", "bcc"] => "recipient".into(),
        ["subject"] => "subject".into(),
        ["list-id"] => "list".into(),
        names => format!("{lead}{}", names.join(" or ")),
    }
}

fn of_part(part: AddressPart) -> &'static str {
    match part {
        AddressPart::All => "",
        AddressPart::Localpart => " (before @)",
        AddressPart::Domain => " (domain)",
        AddressPart::User => " (before +)",
        AddressPart::Detail => " (behind +)",
    }
}

fn in_zone(zone: Option<&str>) -> String {
    match zone {
        None | Some("original") => String::new(),
        Some(zone) => format!(" at {zone}"),
    }
}

fn comparison(is: &Comparison, not: bool) -> String {
    let relation = |relation: Relation| match relation {
        Relation::Gt => "above",
        Relation::Ge => "at least",
        Relation::Lt => "below",
        Relation::Le => "at most",
        Relation::Eq => "equal to",
        Relation::Ne => "other than",
    };
    let verb = match (is.how, not) {
        (Match::Is, false) => "is".to_owned(),
        (Match::Is, true) => "is not".to_owned(),
        (Match::Contains, false) => "contains".to_owned(),
        (Match::Contains, true) => "does not contain".to_owned(),
        (Match::Matches, false) => "is like".to_owned(),
        (Match::Matches, true) => "is not like".to_owned(),
        (Match::Regex, false) => "matches the regular expression".to_owned(),
        (Match::Regex, true) => "does not match the regular expression".to_owned(),
        (Match::Value(r), false) => relation(r).to_owned(),
        (Match::Value(r), true) => format!("not {}", relation(r)),
        (Match::Count(r), false) => format!("as many as {}", relation(r)),
        (Match::Count(r), true) => format!("not as many as {}", relation(r)),
    };
    let exactly = if is.comparator == Comparator::Octet {
        " exactly"
    } else {
        ""
    };
    let values: Vec<String> = is
        .values
        .iter()
        .map(|v| match is.how {
            Match::Value(_) | Match::Count(_) => v.clone(),
            _ => format!("\"{v}\""),
        })
        .collect();
    format!("{verb}{exactly} {}", values.join(" or "))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn size(octets: u64) -> String {
    for (unit, factor) in [("GB", 1_u64 << 30), ("MB", 1 << 20), ("KB", 1 << 10)] {
        if octets > 0 && octets.is_multiple_of(factor) {
            return format!("{} {unit}", octets / factor);
        }
    }
    format!("{octets} octets")
}
