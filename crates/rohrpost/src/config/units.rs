//! Amounts as people write them: `"100 MiB"`, `"90 days"`, `"5 min"`.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
    ("bytes", 1),
    ("octets", 1),
];

/// Milliseconds in each unit, the names people use for it; the first name of a unit is the one we print.
const SPANS: &[(u64, &[&str])] = &[
    (7 * 86_400_000, &["weeks", "week", "w"]),
    (86_400_000, &["days", "day", "d"]),
    (3_600_000, &["h", "hours", "hour"]),
    (60_000, &["min", "minutes", "minute", "m"]),
    (1_000, &["s", "seconds", "second", "sec"]),
    (1, &["ms", "milliseconds", "millisecond"]),
];

/// A number of octets: `"100 MiB"` (1 MiB = 1,048,576), `"100 MB"` (1 MB = 1,000,000), `"2000"`.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" => 1,
        unit => SIZES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
            .ok_or_else(|| format!("\"{unit}\" is no unit of size; use B, KB, MB, GB, KiB, MiB or GiB"))?,
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| "that size is too large".to_owned())
}

/// A length of time: `"90 days"`, `"5 min"`, `"500 ms"`; a bare `"0"` needs no unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    if unit.is_empty() && number == 0 {
        return Ok(Duration::ZERO);
    }
    let (factor, _) = SPANS
        .iter()
        .find(|(_, names)| names.contains(&unit))
        .ok_or_else(|| match unit {
            "" => format!(
                "a length of time needs a unit: \"{number} s\", \"{number} min\", \"{number} h\" or \"{number} days\""
            ),
            unit => format!("\"{unit}\" is no unit of time; use ms, s, min, h, days or weeks"),
        })?;
    number
        .checked_mul(*factor)
        .map(Duration::from_millis)
        .ok_or_else(|| "that length of time is too large".to_owned())
}

/// The opposite of [`size`]: the largest binary unit that divides it, else plain octets with thousands set apart.
pub fn size_text(octets: u64) -> String {
    for (name, factor) in SIZES.iter().filter(|(name, _)| name.contains('i')) {
        if octets >= *factor && octets.is_multiple_of(*factor) {
            return format!("{} {name}", octets / factor);
        }
    }
    format!("{octets} B")
}

/// A size for a person's eyes, three figures or so: `1.4 MB`.
pub fn size_rounded(octets: u64) -> String {
    for (name, factor) in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
        let value = octets as f64 / factor;
        if value >= 1.0 {
            return if value < 10.0 {
                format!("{value:.1} {name}")
            } else {
                format!("{value:.0} {name}")
            };
        }
    }
    format!("{octets} B")
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_' && c != ',')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let number = digits
        .parse()
        .map_err(|_| format!("\"{text}\" does not begin with a whole number"))?;
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, wanted) in [
            ("0", Ok(0)),
            ("2000", Ok(2000)),
            ("2,000", Ok(2000)),
            ("100 MB", Ok(100_000_000)),
            ("100MiB", Ok(104_857_600)),
            (" 1 gib ", Ok(1 << 30)),
            (
                "12 parsecs",
                Err("\"parsecs\" is no unit of size; use B, KB, MB, GB, KiB, MiB or GiB".to_owned()),
            ),
            ("much", Err("\"much\" does not begin with a whole number".to_owned())),
            ("99999999999 GB", Err("that size is too large".to_owned())),
        ] {
            assert_eq!(size(text), wanted, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, wanted) in [
            ("0", Ok(0)),
            ("500 ms", Ok(500)),
            ("5 min", Ok(300_000)),
            ("1 h", Ok(3_600_000)),
            ("90 days", Ok(7_776_000_000)),
            ("1 day", Ok(86_400_000)),
        ] {
            assert_eq!(duration(text), wanted.map(Duration::from_millis), "{text}");
        }
        assert!(duration("5").unwrap_err().contains("needs a unit"));
        assert!(duration("5 fortnights").unwrap_err().contains("no unit of time"));
    }

    #[test]
    fn printed_amounts_read_back() {
        for octets in [0, 1, 999, 1024, 2000, 1 << 20, 100 << 20, 3 << 30] {
            assert_eq!(size(&size_text(octets)), Ok(octets));
        }
    }
}
