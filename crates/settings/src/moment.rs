//! A day or a time of day, somewhere on earth: when a vacation begins and ends.
//!
//! RFC 5260 §4.2 compares dates as text in the zone that the test names, so that is what is kept: the civil date, the time if there is one, and
//! the offset from UTC. A zone with a name (`Europe/Berlin`) is turned into the offset it has on that day by whoever makes the moment.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A day, or a time on a day. Written `2026-12-24`, `2026-12-24+01:00`, `2026-12-24T08:00:00+01:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment {
    date: Date,
    time: Option<Time>,
    /// Minutes east of Greenwich; none: wherever the server is.
    offset: Option<i16>,
}

const MINUTES_OF_DAY: i16 = 24 * 60;

impl Moment {
    /// A whole day. `offset` in minutes east of Greenwich; none: as the server counts.
    pub fn day(date: Date, offset: Option<i16>) -> Moment {
        Moment {
            date,
            time: None,
            offset,
        }
    }

    /// A time on a day, to the second.
    pub fn at(date: Date, time: Time, offset: Option<i16>) -> Moment {
        let time = time.with().subsec_nanosecond(0).build().unwrap_or(time);
        Moment {
            date,
            time: Some(time),
            offset,
        }
    }

    /// The moment that a person means who writes `2026-12-24`, `2026-12-24 18:00` or the whole form, living in `zone`; an offset in the
    /// text has the last word.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn of_person(text: &str, zone: &TimeZone) -> Result<Moment, String> {
        let mut moment: Moment = text.parse()?;
        if moment.offset.is_none() {
            let civil = moment.date.to_datetime(moment.time.unwrap_or(Time::midnight()));
            let offset = zone
                .to_ambiguous_timestamp(civil)
                .compatible()
                .map(|t| zone.to_offset(t));
            moment.offset = offset.ok().and_then(|o| i16::try_from(o.seconds() / 60).ok());
        }
        Ok(moment)
    }

    /// The day.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The time, where it is not the whole day.
    pub fn time(&self) -> Option<Time> {
        self.time
    }

    /// Minutes east of Greenwich; none: as the server counts.
    pub fn offset(&self) -> Option<i16> {
        self.offset
    }

    /// Seconds since 1970 at which this begins; `here` is the offset of the server in minutes.
    pub fn begins(&self, here: i16) -> i64 {
        self.seconds(self.time.unwrap_or(Time::midnight()), here)
    }

    /// Seconds since 1970 of its last second: that of the day where it is a whole day.
    pub fn ends(&self, here: i16) -> i64 {
        self.seconds(self.time.unwrap_or(Time::constant(23, 59, 59, 0)), here)
    }

    fn seconds(&self, time: Time, here: i16) -> i64 {
        let minutes = self.offset.unwrap_or(here);
        let offset = Offset::from_seconds(i32::from(minutes) * 60).unwrap_or(Offset::UTC);
        let civil = self.date.to_datetime(time);
        offset.to_timestamp(civil).map_or(i64::MAX, |t| t.as_second())
    }

    /// The zone as a Sieve test names it, `+0100`.
    pub fn sieve_zone(&self) -> Option<String> {
        self.offset.map(|minutes| zone_text(minutes, ""))
    }

    /// The date part of RFC 5260 §4.2 that it is compared with, and the value.
    pub fn sieve_value(&self) -> (&'static str, String) {
        match self.time {
            None => ("date", self.date.to_string()),
            Some(time) => {
                let zone = match self.offset {
                    Some(0) | None => "Z".to_owned(),
                    Some(minutes) => zone_text(minutes, ":"),
                };
                let (date, hour, minute, second) = (self.date, time.hour(), time.minute(), time.second());
                ("iso8601", format!("{date}T{hour:02}:{minute:02}:{second:02}{zone}"))
            }
        }
    }

    /// Back from such a test. None where it is no day or time, or where zone and value disagree.
    pub fn of_sieve(zone: Option<&str>, part: &str, value: &str) -> Option<Moment> {
        let zone = match zone {
            Some(zone) => Some(parse_zone(zone)?),
            None => None,
        };
        match part {
            "date" => Some(Moment::day(value.parse().ok()?, zone)),
            "iso8601" => {
                let parsed: Moment = value.parse().ok()?;
                parsed.time?;
                let moment = Moment { offset: zone, ..parsed };
                // What stands in the value is compared as text with the time in the zone: they have to be the same zone.
                (moment.sieve_value().1 == value && (zone.is_some() || parsed.offset == Some(0))).then_some(moment)
            }
            _ => None,
        }
    }
}

/// Minutes east of Greenwich of `+0100` or `+01:00`.
pub fn parse_zone(text: &str) -> Option<i16> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i16, i16) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let all = sign * (hours * 60 + minutes);
    (minutes < 60 && all.abs() < MINUTES_OF_DAY).then_some(all)
}

fn zone_text(minutes: i16, colon: &str) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date)?;
        if let Some(time) = self.time {
            write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        }
        match self.offset {
            Some(minutes) => f.write_str(&zone_text(minutes, ":")),
            None => Ok(()),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let wrong = || {
            format!("`{text}` is no day or time: write 2026-12-24, or 2026-12-24 18:00, or 2026-12-24T18:00:00+01:00")
        };
        let text = text.trim();
        let (civil, offset) = match text.strip_suffix(['Z', 'z']) {
            Some(civil) => (civil, Some(0)),
            None => match text.get(10..).and_then(|rest| rest.rfind(['+', '-'])) {
                Some(at) => {
                    let (civil, zone) = text.split_at(10 + at);
                    (civil, Some(parse_zone(zone).ok_or_else(wrong)?))
                }
                None => (text, None),
            },
        };
        let civil = civil.trim();
        if civil.len() <= 10 {
            return Ok(Moment::day(civil.parse().map_err(|_| wrong())?, offset));
        }
        let civil: DateTime = civil.parse().map_err(|_| wrong())?;
        Ok(Moment::at(civil.date(), civil.time(), offset))
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Moment, String> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> String {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        for (text, written, sieve, begins, ends) in [
            (
                "2026-12-24+01:00",
                "2026-12-24+01:00",
                ("date", "2026-12-24"),
                1_798_066_800,
                1_798_153_199,
            ),
            (
                "2026-12-24 08:00 +01:00",
                "2026-12-24T08:00:00+01:00",
                ("iso8601", "2026-12-24T08:00:00+01:00"),
                1_798_095_600,
                1_798_095_600,
            ),
            (
                "2026-12-24T07:00:00Z",
                "2026-12-24T07:00:00+00:00",
                ("iso8601", "2026-12-24T07:00:00Z"),
                1_798_095_600,
                1_798_095_600,
            ),
            (
                "2026-12-24T02:00:00-05:00",
                "2026-12-24T02:00:00-05:00",
                ("iso8601", "2026-12-24T02:00:00-05:00"),
                1_798_095_600,
                1_798_095_600,
            ),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.to_string(), written);
            let (part, value) = moment.sieve_value();
            assert_eq!((part, value.as_str()), sieve, "{text}");
            assert_eq!((moment.begins(0), moment.ends(0)), (begins, ends), "{text}");
            let zone = moment.sieve_zone();
            assert_eq!(Moment::of_sieve(zone.as_deref(), part, &value), Some(moment), "{text}");
        }
        for wrong in [
            "",
            "2026-02-30",
            "tomorrow",
            "2026-12-24T25:00:00Z",
            "2026-12-24+1",
            "24.12.2026",
        ] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
        assert_eq!(
            Moment::of_sieve(Some("+0100"), "iso8601", "2026-12-24T08:00:00+02:00"),
            None
        );
    }

    #[test]
    fn a_zone_with_a_name_has_another_offset_in_summer() {
        let Ok(berlin) = TimeZone::get("Europe/Berlin") else {
            eprintln!("skipped: this system has no time zone database");
            return;
        };
        for (text, written) in [
            ("2026-12-24", "2026-12-24+01:00"),
            ("2026-07-24", "2026-07-24+02:00"),
            ("2026-07-24 18:00", "2026-07-24T18:00:00+02:00"),
            ("2026-07-24T18:00:00+00:00", "2026-07-24T18:00:00+00:00"),
        ] {
            assert_eq!(Moment::of_person(text, &berlin).unwrap().to_string(), written);
        }
    }
}
