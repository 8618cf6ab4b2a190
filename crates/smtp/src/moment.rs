//! Moments in UTC: as RFC 5322 §3.3 writes them for header fields, and as RFC 3339 §5.6 does for parameters.

use mime::calendar;
use std::io::Write;

/// The last second whose year has four digits, as both grammars have it.
const LAST: i64 = 253_402_300_799;

/// A moment in the proleptic Gregorian calendar.
struct Civil {
    year: i64,
    /// From 1.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// 0: the Thursday that 1970 began with.
    weekday: i64,
}

fn civil(time: i64) -> Civil {
    // Years 1970 to 9999.
    let time = time.clamp(0, LAST);
    let (days, seconds) = (time / 86_400, time % 86_400);
    let (year, month, day) = calendar::civil(days);
    Civil {
        year,
        month,
        day,
        hour: seconds / 3_600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        weekday: days % 7,
    }
}

/// Appends a date as RFC 5322 §3.3 writes it, in UTC.
pub fn date(time: i64, output: &mut Vec<u8>) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let at = civil(time);
    let name = |names: &[&'static str], number: i64| {
        let number = usize::try_from(number).unwrap_or_default();
        names.get(number).copied().unwrap_or_default()
    };
    // Writing to a Vec cannot fail.
    let _ = write!(
        output,
        "{}, {} {} {:04} {:02}:{:02}:{:02} +0000",
        name(&DAYS, at.weekday),
        at.day,
        name(&MONTHS, at.month - 1),
        at.year,
        at.hour,
        at.minute,
        at.second
    );
}

/// `2026-11-25T09:30:00Z` (RFC 3339 §5.6).
pub fn timestamp(time: i64) -> String {
    let at = civil(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year, at.month, at.day, at.hour, at.minute, at.second
    )
}

/// The seconds since 1970 of a `date-time` (RFC 3339 §5.6), in any zone; parts of a second are left out.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        let fine = digits.bytes().all(|b| b.is_ascii_digit());
        if fine { digits.parse::<i64>().ok() } else { None }
    };
    let is = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|b| marks.contains(b));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        rest = fraction.get(digits..).filter(|_| digits > 0)?;
    }
    let offset = match rest.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - 5;
            let (hours, minutes) = (number(at..at + 2)?, number(at + 3..at + 5)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let days = calendar::days(year, month, day);
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let cases = [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (880_127_706, "Fri, 21 Nov 1997 15:55:06 +0000"), // RFC 5322 appendix A.1.1: 09:55:06 -0600
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_795_485_876, "Tue, 24 Nov 2026 02:04:36 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (-5, "Thu, 1 Jan 1970 00:00:00 +0000"),
        ];
        for (time, expected) in cases {
            let mut output = Vec::new();
            date(time, &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }

    #[test]
    fn timestamps() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-25T09:30:00Z", Some(1_795_599_000)),
            ("2026-11-25t10:30:00.25+01:00", Some(1_795_599_000)),
            ("2026-11-25T04:00:00-05:30", Some(1_795_599_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-25T24:00:00Z", None),
            ("2026-11-25T09:30:00", None),
            ("2026-11-25 09:30:00Z", None),
            ("2026-11-25T09:30:00.Z", None),
            ("2026-11-25T09:30:00+1:00", None),
            ("2026-11-25T09:30:00ü", None),
            ("+026-11-25T09:30:00Z", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timestamp(text), expected, "{text}");
        }
        for time in [0, 951_782_399, 951_782_400, 1_795_599_000, LAST] {
            assert_eq!(parse_timestamp(&timestamp(time)), Some(time));
        }
    }
}
