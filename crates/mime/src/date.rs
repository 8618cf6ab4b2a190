//! Dates in headers (RFC 5322 §3.3, obsolete forms §4.3): day, month name, year, time, zone.

use crate::calendar;
use crate::content::skip_blank;
use crate::header::{fields, unfold};

/// A moment and the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Minutes east of UTC. 0 where the zone is missing or unknown.
    pub zone_minutes: i16,
}

impl Date {
    /// The first `Date` field that can be read.
    pub fn of_header(header: &[u8]) -> Option<Date> {
        fields(header)
            .filter(|field| field.is("date"))
            .find_map(|field| Date::parse(&unfold(field.value)))
    }

    /// Reads a date. The parts are told by their form, not their place, so that `Jan 5 12:00:00 2004` is read too.
    pub fn parse(value: &[u8]) -> Option<Date> {
        let (mut day, mut month, mut year, mut time, mut zone) = (None, None, None, None, None);
        let mut rest = value;
        loop {
            rest = skip_blank(rest);
            let end = rest
                .iter()
                .position(|byte| b" \t,(\r\n".contains(byte))
                .unwrap_or(rest.len());
            if end == 0 {
                match rest.split_first() {
                    Some((_, after)) => {
                        rest = after;
                        continue;
                    }
                    None => break,
                }
            }
            let (word, after) = rest.split_at(end);
            rest = after;
            match word.first() {
                _ if time.is_none() && word.contains(&b':') => {
                    let clock = word.iter().position(|byte| b"+-".contains(byte)).unwrap_or(word.len());
                    time = Some(clock_seconds(word.get(..clock)?)?);
                    zone = word.get(clock..).and_then(zone_minutes);
                }
                Some(b'+' | b'-') if time.is_some() && zone.is_none() => zone = zone_minutes(word),
                Some(b'0'..=b'9') => match word.iter().position(|&byte| byte == b'-') {
                    // 5-Jan-2004
                    Some(_) if day.is_none() => {
                        let mut pieces = word.split(|&byte| byte == b'-');
                        day = pieces.next().and_then(digits);
                        month = pieces.next().and_then(month_number);
                        year = pieces.next().and_then(full_year);
                    }
                    Some(_) => return None,
                    None if day.is_none() && word.len() <= 2 => day = digits(word),
                    None if year.is_none() => year = full_year(word),
                    None => {}
                },
                Some(_) if month.is_none() && month_number(word).is_some() => month = month_number(word),
                Some(_) if time.is_some() && zone.is_none() => zone = zone_minutes(word),
                _ => {}
            }
        }
        let (day, month, year, zone) = (day?, month?, year?, zone.unwrap_or(0));
        if day == 0 || day > days_of_month(year, month) {
            return None;
        }
        let seconds = calendar::days(year, month, day) * 86_400 + time.unwrap_or(0) - i64::from(zone) * 60;
        Some(Date {
            seconds,
            zone_minutes: zone,
        })
    }

    /// The day as written, in days since 1970-01-01: time and zone disregarded, as IMAP's `SENTON` wants it.
    pub fn day(&self) -> i64 {
        (self.seconds + i64::from(self.zone_minutes) * 60).div_euclid(86_400)
    }
}

/// `hh:mm` or `hh:mm:ss`; the leap second counts as the one before.
fn clock_seconds(word: &[u8]) -> Option<i64> {
    let mut pieces = word.split(|&byte| byte == b':').map(digits);
    let hour = pieces.next()??;
    let minute = pieces.next()??;
    let second = pieces.next().unwrap_or(Some(0))?;
    (hour < 24 && minute < 60 && second <= 60 && pieces.next().is_none())
        .then(|| hour * 3600 + minute * 60 + second.min(59))
}

/// Names mean what RFC 5322 §4.3 says; letters of the military zones and unknown names mean UTC.
fn zone_minutes(word: &[u8]) -> Option<i16> {
    let named = |hours: i16| Some(hours * 60);
    match word {
        [] => None,
        [sign @ (b'+' | b'-'), number @ ..] => {
            let number: Vec<u8> = number.iter().copied().filter(|&byte| byte != b':').collect();
            let number = digits(&number).filter(|&number| number <= 9999 && number % 100 < 60)?;
            let minutes = (number / 100 * 60 + number % 100) as i16;
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        name => match name.to_ascii_uppercase().as_slice() {
            b"EDT" => named(-4),
            b"EST" | b"CDT" => named(-5),
            b"CST" | b"MDT" => named(-6),
            b"MST" | b"PDT" => named(-7),
            b"PST" => named(-8),
            _ => named(0),
        },
    }
}

fn month_number(word: &[u8]) -> Option<i64> {
    const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let head = word.get(..3)?.to_ascii_lowercase();
    if !word.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'.') {
        return None;
    }
    MONTHS
        .chunks_exact(3)
        .position(|month| month == head)
        .map(|index| index as i64 + 1)
}

/// Two digits up to 49 are of this century, other two and three digits count from 1900 (RFC 5322 §4.3).
fn full_year(word: &[u8]) -> Option<i64> {
    let year = digits(word)?;
    match word.len() {
        0 | 1 => None,
        2 if year < 50 => Some(year + 2000),
        2 | 3 => Some(year + 1900),
        // "0102" is what programs wrote in 2002 that counted years from 1900 in three digits.
        4 if (100..1000).contains(&year) => Some(year + 1900),
        _ => (1900..=9999).contains(&year).then_some(year),
    }
}

fn digits(word: &[u8]) -> Option<i64> {
    if word.is_empty() || word.len() > 9 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        word.iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
    )
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
