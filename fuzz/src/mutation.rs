//! How one input becomes another.

use crate::Rng;

/// Octets that readers treat specially.
const OCTETS: &[u8] = b"\r\n\0 .:;,<>()[]{}\"\\@=*%+-~\t\x7F\x80\xC3\xFF";
/// Numbers at the edges of what readers can count.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "63",
    "64",
    "255",
    "256",
    "1000",
    "4096",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999",
    "-1",
    "00000000000000000000001",
    "007",
];

/// Changes `input` in a few places. `others` are inputs that parts may be taken from. Never longer than `longest`.
pub(crate) fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], tokens: &[&[u8]], longest: usize, rng: &mut Rng) {
    for _ in 0..1 + rng.below(6) {
        one(input, others, tokens, longest, rng);
        input.truncate(longest);
    }
}

fn one(input: &mut Vec<u8>, others: &[Vec<u8>], tokens: &[&[u8]], longest: usize, rng: &mut Rng) {
    let at = rng.below(input.len() + 1);
    let range = {
        let bound = if rng.below(4) == 0 { input.len() + 1 } else { 24 };
        let most = 1 + rng.below(bound);
        at..(at + most).min(input.len())
    };
    match rng.below(14) {
        0 => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << rng.below(8);
            }
        }
        1 => {
            if let (Some(octet), Some(&new)) = (input.get_mut(at), rng.pick(OCTETS)) {
                *octet = new;
            }
        }
        2 => {
            let octet = rng.pick(OCTETS).copied();
            input.splice(at..at, octet);
        }
        3 | 4 => {
            let token = rng.pick(tokens).copied().unwrap_or_default();
            input.splice(at..at, token.iter().copied());
        }
        5 => {
            let token = rng.pick(tokens).copied().unwrap_or_default();
            input.splice(range, token.iter().copied());
        }
        6 => {
            input.drain(range);
        }
        7 => {
            let part = input.get(range.clone()).unwrap_or_default().to_vec();
            input.splice(at..at, part);
        }
        8 => {
            // The same again and again: nesting, counts, long lines.
            let part = input.get(range.clone()).unwrap_or_default().to_vec();
            let times = (1 << rng.below(12)).min(longest / part.len().max(1));
            input.splice(at..at, part.repeat(times));
        }
        9 => input.truncate(at),
        10 => {
            let other = rng.pick(others).map(Vec::as_slice).unwrap_or_default();
            let from = rng.below(other.len() + 1);
            let to = from + rng.below(other.len() - from + 1);
            let part = other.get(from..to).unwrap_or_default().to_vec();
            input.splice(at..at, part);
        }
        11 => {
            let other = rng.pick(others).map(Vec::as_slice).unwrap_or_default();
            let from = rng.below(other.len() + 1);
            let part = other.get(from..).unwrap_or_default().to_vec();
            input.truncate(at);
            input.extend(part);
        }
        12 => {
            let digits = number_at(input, at);
            let number = rng.pick(NUMBERS).copied().unwrap_or_default();
            input.splice(digits, number.bytes());
        }
        _ => {
            // A line changes places.
            let line = line_at(input, at);
            let text: Vec<u8> = input.drain(line).collect();
            let to = rng.below(input.len() + 1);
            let to = line_at(input, to).start;
            input.splice(to..to, text);
        }
    }
}

/// The next run of digits at or behind `at`; nothing, at `at`, where there is none.
fn number_at(input: &[u8], at: usize) -> std::ops::Range<usize> {
    let rest = input.get(at..).unwrap_or_default();
    let Some(start) = rest.iter().position(u8::is_ascii_digit) else {
        return at..at;
    };
    let length = rest.iter().skip(start).take_while(|b| b.is_ascii_digit()).count();
    at + start..at + start + length
}

/// The line that `at` is in, with its end.
fn line_at(input: &[u8], at: usize) -> std::ops::Range<usize> {
    let (before, behind) = input.split_at(at.min(input.len()));
    let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
    let end = behind
        .iter()
        .position(|&b| b == b'\n')
        .map_or(input.len(), |i| before.len() + i + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_within_the_bound() {
        let others = [b"a NOOP\r\nb {10}\r\n".to_vec(), Vec::new()];
        let make = |seed| {
            let mut rng = Rng::new(seed);
            let mut input = b"EHLO x\r\nMAIL FROM:<a@b> SIZE=10\r\n".to_vec();
            let mut all = Vec::new();
            for _ in 0..500 {
                mutate(&mut input, &others, &[b"\r\n.\r\n", b""], 300, &mut rng);
                assert!(input.len() <= 300);
                all.push(input.clone());
            }
            all
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
