//! date and index (RFC 5260): tests on dates in fields, and on the time it is now.

use crate::build::{Bound, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::ext::fields::Index;
use crate::mail::FieldName;
use crate::matching::{Matcher, Value};
use crate::program::Check;
use crate::run::Run;
use crate::spec::{INDEX, Kind, MATCH, TestSpec, flag, positional, test, valued};
use crate::template::Template;
use crate::tree::Argument;
use mime::calendar::{civil, days};

pub(crate) const TESTS: &[TestSpec] = &[
    test(
        "date",
        "date",
        &[
            MATCH,
            INDEX,
            &[valued("zone", Kind::Text, "", "zone"), flag("originalzone", "", "zone")],
        ],
        &[
            positional("header name", Kind::Text),
            positional("date part", Kind::Text),
            positional("key list", Kind::Texts),
        ],
        date,
    ),
    test(
        "currentdate",
        "date",
        &[MATCH, &[valued("zone", Kind::Text, "", "zone")]],
        &[positional("date part", Kind::Text), positional("key list", Kind::Texts)],
        currentdate,
    ),
];

#[derive(Debug)]
pub(crate) enum Zone {
    Local,
    Original,
    Named(Template),
}

impl Zone {
    pub fn build(builder: &mut Builder<'_>, bound: &Bound<'_>) -> Result<Zone> {
        if bound.has("originalzone") {
            return Ok(Zone::Original);
        }
        let Some(zone) = builder.tag_text(bound, "zone")? else {
            return Ok(Zone::Local);
        };
        if let Some(fixed) = zone.fixed()
            && zone_minutes(fixed).is_none()
        {
            return Err(bound
                .error(format!("\"{}\" is no time zone", crate::lexer::shorten(fixed)))
                .hint("write the offset from UTC, such as \"+0200\""));
        }
        Ok(Zone::Named(zone))
    }

    pub fn minutes(&self, run: &Run<'_>, at: i64, original: i16) -> Result<i16> {
        match self {
            Zone::Local => Ok(run.world.zone_minutes(at)),
            Zone::Original => Ok(original),
            Zone::Named(zone) => {
                let zone = zone.render(run);
                zone_minutes(&zone)
                    .ok_or_else(|| run.error(format!("\"{}\" is no time zone", crate::lexer::shorten(&zone))))
            }
        }
    }
}

// time-zone = ( "+" / "-" ) 4DIGIT
fn zone_minutes(text: &str) -> Option<i16> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i16 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// What of a date is compared (RFC 5260 §4.2).
#[derive(Debug, Clone, Copy)]
enum DatePart {
    Year,
    Month,
    Day,
    Date,
    Julian,
    Hour,
    Minute,
    Second,
    Time,
    Iso8601,
    Std11,
    Zone,
    Weekday,
}

const PARTS: &[(&str, DatePart)] = &[
    ("year", DatePart::Year),
    ("month", DatePart::Month),
    ("day", DatePart::Day),
    ("date", DatePart::Date),
    ("julian", DatePart::Julian),
    ("hour", DatePart::Hour),
    ("minute", DatePart::Minute),
    ("second", DatePart::Second),
    ("time", DatePart::Time),
    ("iso8601", DatePart::Iso8601),
    ("std11", DatePart::Std11),
    ("zone", DatePart::Zone),
    ("weekday", DatePart::Weekday),
];

impl DatePart {
    fn of(name: &str) -> Option<DatePart> {
        PARTS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, part)| *part)
    }

    fn check(builder: &mut Builder<'_>, argument: &Argument) -> Result<Template> {
        let part = builder.text(argument)?;
        if let Some(fixed) = part.fixed()
            && DatePart::of(fixed).is_none()
        {
            let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
            return Err(Error::new(
                ErrorKind::Argument,
                argument.span.position,
                format!("\"{}\" is no part of a date", crate::lexer::shorten(fixed)),
            )
            .hint(format!("there are {}", names.join(", "))));
        }
        Ok(part)
    }

    fn text(self, seconds: i64, zone: i16) -> String {
        let local = seconds.saturating_add(i64::from(zone) * 60);
        let days = local.div_euclid(86_400);
        let of_day = local.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let weekday = (days + 4).rem_euclid(7);
        match self {
            DatePart::Year => format!("{year:04}"),
            DatePart::Month => format!("{month:02}"),
            DatePart::Day => format!("{day:02}"),
            DatePart::Date => format!("{year:04}-{month:02}-{day:02}"),
            // Modified Julian days count from 17 November 1858.
            DatePart::Julian => (days + 40_587).to_string(),
            DatePart::Hour => format!("{hour:02}"),
            DatePart::Minute => format!("{minute:02}"),
            DatePart::Second => format!("{second:02}"),
            DatePart::Time => format!("{hour:02}:{minute:02}:{second:02}"),
            DatePart::Iso8601 => iso8601(seconds, zone),
            DatePart::Std11 => {
                const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
                const MONTHS: [&str; 12] = [
                    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
                ];
                let name = usize::try_from(weekday)
                    .ok()
                    .and_then(|at| DAYS.get(at))
                    .copied()
                    .unwrap_or_default();
                let month = usize::try_from(month - 1)
                    .ok()
                    .and_then(|at| MONTHS.get(at))
                    .copied()
                    .unwrap_or_default();
                format!(
                    "{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} {}",
                    zone_text(zone)
                )
            }
            DatePart::Zone => zone_text(zone),
            DatePart::Weekday => weekday.to_string(),
        }
    }
}

fn zone_text(zone: i16) -> String {
    let sign = if zone < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", zone.unsigned_abs() / 60, zone.unsigned_abs() % 60)
}

/// `2026-05-21T05:33:29+02:00` (RFC 3339).
pub(crate) fn iso8601(seconds: i64, zone: i16) -> String {
    let local = seconds.saturating_add(i64::from(zone) * 60);
    let (year, month, day) = civil(local.div_euclid(86_400));
    let of_day = local.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    if zone == 0 {
        // As Pigeonhole and what writes scripts for it have it: dates are compared as text.
        return format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    }
    let sign = if zone < 0 { '-' } else { '+' };
    let (zone_hour, zone_minute) = (zone.unsigned_abs() / 60, zone.unsigned_abs() % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{zone_hour:02}:{zone_minute:02}")
}

/// Seconds since 1970 of an RFC 3339 time.
pub(crate) fn parse_iso8601(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let number = |text: &str, from: usize, to: usize| -> Option<i64> {
        text.get(from..to)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?
            .parse()
            .ok()
    };
    let (year, month, day) = (number(date, 0, 4)?, number(date, 5, 7)?, number(date, 8, 10)?);
    let (hour, minute, second) = (number(rest, 0, 2)?, number(rest, 3, 5)?, number(rest, 6, 8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let behind = rest.get(8..)?;
    let behind = match behind.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => behind,
    };
    let zone = match behind {
        "Z" | "z" => 0,
        zone => i64::from(zone_minutes(&zone.replacen(':', "", 1))?),
    };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zone * 60)
}

#[derive(Debug)]
struct DateTest {
    /// None: the time it is now.
    field: Option<Template>,
    index: Option<Index>,
    zone: Zone,
    part: Template,
    matcher: Matcher,
}

impl Check for DateTest {
    fn check(&self, run: &mut Run<'_>) -> Result<bool> {
        let name = self.part.render(run);
        let part = DatePart::of(&name)
            .ok_or_else(|| run.error(format!("\"{}\" is no part of a date", crate::lexer::shorten(&name))))?;
        let mut dates = Vec::new();
        match &self.field {
            None => dates.push((run.input.now, 0)),
            Some(field) => {
                let field = FieldName::new(&field.render(run));
                let fields = run.mail.header().named(&field);
                let read = |field: &crate::mail::Field<'_>| {
                    let value = mime::unfold(field.value());
                    // The date of a trace field stands behind its last semicolon (RFC 5321 §4.4).
                    let date = value.rsplit(|b| *b == b';').next().unwrap_or_default();
                    mime::Date::parse(date).map(|date| (date.seconds, date.zone_minutes))
                };
                match self.index {
                    Some(index) => dates.extend(index.of(fields).and_then(read)),
                    None => dates.extend(fields.take(1000).filter_map(read)),
                }
            }
        }
        if self.matcher.is_count() {
            return self.matcher.count(run, dates.len());
        }
        let mut values = Vec::with_capacity(dates.len());
        for (seconds, original) in dates {
            let zone = self.zone.minutes(run, seconds, original)?;
            values.push(Value::new(part.text(seconds, zone)));
        }
        self.matcher.any(run, &values)
    }
}

fn date(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    let names = bound.argument(0)?;
    builder.names(names)?;
    Ok(Box::new(DateTest {
        field: Some(builder.text(names)?),
        index: builder.index(bound)?,
        zone: Zone::build(builder, bound)?,
        part: DatePart::check(builder, bound.argument(1)?)?,
        matcher: builder.matcher(bound, bound.argument(2)?)?,
    }))
}

fn currentdate(builder: &mut Builder<'_>, bound: &mut Bound<'_>) -> Result<Box<dyn Check>> {
    Ok(Box::new(DateTest {
        field: None,
        index: None,
        zone: Zone::build(builder, bound)?,
        part: DatePart::check(builder, bound.argument(0)?)?,
        matcher: builder.matcher(bound, bound.argument(1)?)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar() {
        assert_eq!(parse_iso8601("2009-05-03T11:22:33+02:00"), Some(1_241_342_553));
        assert_eq!(iso8601(1_241_342_553, 120), "2009-05-03T11:22:33+02:00");
        assert_eq!(iso8601(1_241_342_553, 0), "2009-05-03T09:22:33Z");
        assert_eq!(parse_iso8601("2009-05-03T11:22:33"), None);
        assert_eq!(DatePart::Julian.text(1_241_342_553, 0), "54954");
        assert_eq!(
            DatePart::Std11.text(1_241_342_553, -90),
            "Sun, 03 May 2009 07:52:33 -0130"
        );
    }
}
