//! The Gregorian calendar, before its beginning too: days counted from 1970-01-01, and dates. Everything that writes or reads a date stands on it.
//!
//! Years are taken to begin in March: then leap days come last in their year, their century and their era of 400 years, and a month's first
//! day is `(153 * month + 2) / 5` days after the year's.

/// Days of 400 years.
const ERA: i64 = 146_097;
/// From the first of March of the year 0 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Year, month (from 1) and day (from 1) of a day, counted from 1970-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(EPOCH);
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a date; the reverse of [`civil`]. A day that its month does not have is one of the next month.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates() {
        for (number, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (-719_468, (0, 3, 1)),
            (20_782, (2026, 11, 25)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(civil(number), date);
            assert_eq!(days(date.0, date.1, date.2), number);
        }
        // Every day of a thousand years follows the one before.
        let mut before = civil(-200_000);
        for number in -199_999..200_000 {
            let date = civil(number);
            assert_eq!(days(date.0, date.1, date.2), number);
            assert!(date > before && (date.2 == before.2 + 1 || date.2 == 1), "{date:?}");
            before = date;
        }
        assert_eq!(days(2023, 2, 29), days(2023, 3, 1));
        civil(i64::MAX);
        civil(i64::MIN);
    }
}
