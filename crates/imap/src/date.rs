//! Dates. RFC 9051 §9 `date` and `date-time`.

use std::fmt;

use mime::calendar::{civil, days};

use crate::cursor::Cursor;
use crate::{Error, Result};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY: i64 = 86_400;

/// A day, `1-Feb-1994`, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i64);

impl Date {
    /// The day on which `seconds` since 1970-01-01T00:00:00Z falls, in UTC.
    pub fn of(seconds: i64) -> Date {
        Date(seconds.div_euclid(DAY))
    }
}

/// A moment with its zone, `"17-Jul-1996 02:44:25 -0700"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Minutes that the zone is ahead of UTC.
    pub offset: i16,
}

impl DateTime {
    /// A moment in UTC.
    pub fn utc(seconds: i64) -> DateTime {
        DateTime { seconds, offset: 0 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0);
        write!(f, "{day}-{}-{year:04}", month_name(month))
    }
}

/// Without the quotes.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds.saturating_add(i64::from(self.offset) * 60);
        let (year, month, day) = civil(local.div_euclid(DAY));
        let second = local.rem_euclid(DAY);
        let sign = if self.offset < 0 { '-' } else { '+' };
        let offset = self.offset.unsigned_abs();
        write!(
            f,
            "{day:2}-{}-{year:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            month_name(month),
            second / 3600,
            second / 60 % 60,
            second % 60,
            offset / 60,
            offset % 60
        )
    }
}

fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1)
        .ok()
        .and_then(|i| MONTHS.get(i))
        .copied()
        .unwrap_or("Jan")
}

impl<'a> Cursor<'a> {
    // date = date-text / DQUOTE date-text DQUOTE
    pub(crate) fn date(&mut self) -> Result<Date> {
        let quoted = self.eat(b'"');
        let (year, month, day) = self.date_text(false)?;
        if quoted {
            self.expect(b'"', "a closing quote")?;
        }
        Ok(Date(days(year, month, day)))
    }

    // date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
    pub(crate) fn date_time(&mut self) -> Result<DateTime> {
        const BAD: Error = Error::Expected("a date and time");
        self.expect(b'"', "a date and time")?;
        let (year, month, day) = self.date_text(true)?;
        self.space()?;
        let hour = self.digits(2, 2)?;
        self.expect(b':', "a time")?;
        let minute = self.digits(2, 2)?;
        self.expect(b':', "a time")?;
        let second = self.digits(2, 2)?;
        self.space()?;
        let west = self.eat(b'-');
        if !west {
            self.expect(b'+', "a zone")?;
        }
        let zone = self.digits(4, 4)?;
        self.expect(b'"', "a closing quote")?;
        // A leap second counts as the one before it.
        if hour > 23 || minute > 59 || second > 60 || zone % 100 > 59 || zone > 2359 {
            return Err(BAD);
        }
        let offset = zone / 100 * 60 + zone % 100;
        let offset = if west { -offset } else { offset };
        let local = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second.min(59);
        Ok(DateTime {
            seconds: local - offset * 60,
            offset: i16::try_from(offset).map_err(|_| BAD)?,
        })
    }

    fn date_text(&mut self, fixed: bool) -> Result<(i64, i64, i64)> {
        const BAD: Error = Error::Expected("a date");
        if fixed {
            self.eat(b' ');
        }
        let day = self.digits(1, 2)?;
        self.expect(b'-', "a date")?;
        let name = self.run(|b| b.is_ascii_alphabetic());
        let month = MONTHS
            .iter()
            .position(|month| month.as_bytes().eq_ignore_ascii_case(name))
            .ok_or(BAD)?;
        let month = i64::try_from(month + 1).map_err(|_| BAD)?;
        self.expect(b'-', "a date")?;
        let year = self.digits(4, 4)?;
        // The day must exist: 31-Feb is no date.
        if civil(days(year, month, day)) != (year, month, day) {
            return Err(BAD);
        }
        Ok((year, month, day))
    }

    fn digits(&mut self, least: usize, most: usize) -> Result<i64> {
        let digits = self.run(|b| b.is_ascii_digit());
        if !(least..=most).contains(&digits.len()) {
            return Err(Error::Expected("a date"));
        }
        Ok(digits
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Limits;

    fn date_time(input: &str) -> Result<DateTime> {
        let limits = Limits::default();
        let mut cursor = Cursor::new(input.as_bytes(), false, &limits);
        let value = cursor.date_time()?;
        cursor.end().map(|()| value)
    }

    #[test]
    fn known_moments() {
        for (input, seconds) in [
            ("\"17-Jul-1996 02:44:25 -0700\"", 837_596_665),
            ("\" 1-Jan-1970 00:00:00 +0000\"", 0),
            ("\"29-Feb-2024 23:59:59 +0000\"", 1_709_251_199),
            ("\"01-Jan-2000 00:00:00 +0100\"", 946_681_200),
        ] {
            assert_eq!(date_time(input).unwrap().seconds, seconds, "{input}");
        }
        for bad in [
            "\"30-Feb-2024 00:00:00 +0000\"",
            "\"1-Foo-2024 00:00:00 +0000\"",
            "\"1-Jan-2024 24:00:00 +0000\"",
            "\"1-Jan-2024 00:00:00 +0060\"",
            "\"1-Jan-2024 00:00:00\"",
            "1-Jan-2024 00:00:00 +0000",
            "\"0-Jan-2024 00:00:00 +0000\"",
            "\"1-Jan-24 00:00:00 +0000\"",
        ] {
            assert!(date_time(bad).is_err(), "{bad}");
        }
        assert_eq!(Date(0).to_string(), "1-Jan-1970");
        assert_eq!(Date::of(-1).to_string(), "31-Dec-1969");
    }

    proptest! {
        #[test]
        fn round_trip(seconds in -62_135_596_800i64..253_402_300_799, offset in -719i16..720) {
            let moment = DateTime { seconds, offset };
            let text = moment.to_string();
            prop_assume!(text.len() == 26);
            prop_assert_eq!(date_time(&format!("\"{text}\"")), Ok(moment));
        }
    }
}
