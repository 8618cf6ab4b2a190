use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// An acceptance: unique, and ordered by time. Shown in 13 letters and digits that can be read out over the telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AcceptanceId(pub i64);

/// Bits below the microseconds, for a node's number where several nodes share a ledger.
const NODE_BITS: u32 = 10;
/// Crockford's base 32: no I, L, O, U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS: usize = 13;

impl AcceptanceId {
    /// The least id that an acceptance of that second or later can have.
    pub fn at(seconds: i64) -> AcceptanceId {
        AcceptanceId(seconds.saturating_mul(1_000_000).saturating_mul(1 << NODE_BITS))
    }

    /// When it was given, in seconds since 1970.
    pub fn seconds(self) -> i64 {
        (self.0 >> NODE_BITS) / 1_000_000
    }
}

impl fmt::Display for AcceptanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = [0u8; LETTERS];
        let mut rest = self.0.cast_unsigned();
        for letter in letters.iter_mut().rev() {
            *letter = DIGITS[(rest & 31) as usize];
            rest >>= 5;
        }
        f.pad(std::str::from_utf8(&letters).unwrap_or_default())
    }
}

impl FromStr for AcceptanceId {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || crate::Error::NoSuchId(text.to_owned());
        if text.is_empty() || text.len() > LETTERS {
            return Err(bad());
        }
        let mut value: u64 = 0;
        for c in text.bytes() {
            let c = match c.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                c => c,
            };
            let digit = DIGITS.iter().position(|d| *d == c).ok_or_else(bad)?;
            value = value.checked_mul(32).ok_or_else(bad)? | digit as u64;
        }
        i64::try_from(value).map(AcceptanceId).map_err(|_| bad())
    }
}

/// Gives out ids, each above the last, also when the clock is set back.
pub(crate) struct Ids(AtomicI64);

impl Ids {
    pub(crate) fn above(last: i64) -> Ids {
        Ids(AtomicI64::new(last))
    }

    pub(crate) fn next(&self) -> AcceptanceId {
        let micros = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_micros());
        let now = i64::try_from(micros).unwrap_or(i64::MAX >> NODE_BITS) << NODE_BITS;
        let step = 1 << NODE_BITS;
        let last = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + step)))
            .unwrap_or(now);
        AcceptanceId(now.max(last + step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_ascend() {
        let ids = Ids::above(0);
        let mut last = AcceptanceId(0);
        for _ in 0..10_000 {
            let id = ids.next();
            assert!(id > last);
            assert_eq!(id.to_string().parse::<AcceptanceId>().unwrap(), id);
            assert_eq!(id.to_string().to_lowercase().parse::<AcceptanceId>().unwrap(), id);
            last = id;
        }
        let far = Ids::above(i64::MAX / 2);
        assert!(far.next().0 > i64::MAX / 2);
        for bad in ["", "U", "zzzzzzzzzzzzzz", "ZZZZZZZZZZZZZ", "ä"] {
            assert!(bad.parse::<AcceptanceId>().is_err(), "{bad}");
        }
        assert!(AcceptanceId::at(last.seconds()) <= last);
    }
}
