//! When a certificate is renewed: when the authority wants that (RFC 9773), and where it says nothing, after two thirds of its life.
//!
//! An authority that has to revoke certificates, or whose servers are idle at night, says so by a window for each certificate; a moment in it is drawn
//! once and kept. It is asked as often as it wants to be, within bounds (§4.3.2). What it says is never waited for so long that the certificate
//! could run out.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The bounds for how often an authority is asked (§4.3.2), and how long is waited where it does not answer, in seconds.
const ASK_SOONEST: i64 = 60;
const ASK_LATEST: i64 = 86_400;
const ASK_USUALLY: i64 = 6 * 3600;

/// What an authority has said about a certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Renewal {
    /// Which: the identifier of §4.1.
    pub certificate: String,
    /// When it wants it renewed, from and until, seconds since 1970.
    pub window: Option<(i64, i64)>,
    /// What was drawn of that.
    pub at: Option<i64>,
    /// Not asked again before this.
    pub ask_at: i64,
}

impl Renewal {
    /// What was known is brought up to date with an answer; `draw` is between 0 and 1.
    pub(super) fn answered(
        known: Option<Renewal>,
        certificate: &str,
        answer: Option<((i64, i64), Duration)>,
        now: i64,
        draw: f64,
    ) -> Renewal {
        let known = known
            .filter(|known| known.certificate == certificate)
            .unwrap_or_default();
        let Some((window, pause)) = answer else {
            // What it said before holds.
            return Renewal {
                certificate: certificate.to_owned(),
                ask_at: now.saturating_add(ASK_USUALLY),
                ..known
            };
        };
        let pause = i64::try_from(pause.as_secs()).unwrap_or(ASK_LATEST);
        let at = match known.at.filter(|_| known.window == Some(window)) {
            Some(at) => at,
            None => drawn(window, draw),
        };
        Renewal {
            certificate: certificate.to_owned(),
            window: Some(window),
            at: Some(at),
            ask_at: now.saturating_add(pause.clamp(ASK_SOONEST, ASK_LATEST)),
        }
    }
}

/// A moment within a window.
fn drawn((from, until): (i64, i64), draw: f64) -> i64 {
    let span = until.saturating_sub(from).max(0);
    // More than a century is nobody's window.
    let span = i32::try_from(span).unwrap_or(i32::MAX);
    #[allow(clippy::cast_possible_truncation, reason = "a part of what an i32 holds")]
    let part = (f64::from(span) * draw.clamp(0.0, 1.0)) as i64;
    from.saturating_add(part)
}

/// When a certificate is renewed that is good from and until then; `wanted`: when its authority wants that.
pub(super) fn due(from: i64, until: i64, certificate: &[u8], wanted: Option<i64>) -> i64 {
    let life = (until - from).max(0);
    match wanted {
        Some(at) => at.min(until - life / 10),
        None => by_life(from, life, certificate),
    }
}

/// After two thirds of its life, or up to a thirtieth of it before, so that not all the world's servers that were set up on one day come on one day.
/// When within that is drawn from the certificate itself: it stays the same across restarts.
fn by_life(from: i64, life: i64, certificate: &[u8]) -> i64 {
    let hash = certificate.iter().fold(0x811c_9dc5_u32, |hash, octet| {
        (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
    });
    from + life / 3 * 2 - (life / 30) * i64::from(hash % 1000) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn renewal_is_at_two_thirds_and_a_little_before() {
        for seed in 0..50u8 {
            let at = due(0, 90 * DAY, &[seed], None);
            assert!((57 * DAY..=60 * DAY).contains(&at), "{at}");
            assert_eq!(at, due(0, 90 * DAY, &[seed], None));
        }
        let all: std::collections::HashSet<i64> = (0..50).map(|seed| due(0, 90 * DAY, &[seed], None)).collect();
        assert!(all.len() > 40);
        assert_eq!(due(5, 0, b"", None), 5);
    }

    #[test]
    fn what_the_authority_wants_counts_while_the_certificate_is_good() {
        for (wanted, expected) in [
            (3 * DAY, 3 * DAY),
            (-DAY, -DAY),
            (80 * DAY, 80 * DAY),
            (200 * DAY, 81 * DAY),
        ] {
            assert_eq!(due(0, 90 * DAY, b"", Some(wanted)), expected);
        }
    }

    #[test]
    fn a_moment_is_drawn_once_for_a_window() {
        let hour = Duration::from_secs(3600);
        let first = Renewal::answered(None, "a", Some(((1000, 2000), hour)), 10, 0.5);
        assert_eq!((first.at, first.ask_at), (Some(1500), 3610));
        let again = |certificate, answer, draw| Renewal::answered(Some(first.clone()), certificate, answer, 5000, draw);
        // The same window: what was drawn stays. Another: it is drawn anew.
        assert_eq!(again("a", Some(((1000, 2000), hour)), 0.9).at, Some(1500));
        assert_eq!(again("a", Some(((1000, 3000), hour)), 0.9).at, Some(2800));
        // No answer: what it said holds, and it is asked later.
        let silent = again("a", None, 0.9);
        assert_eq!((silent.at, silent.ask_at), (Some(1500), 5000 + 6 * 3600));
        // Another certificate: nothing is known.
        assert_eq!(again("b", None, 0.9).at, None);
        // Asked neither all the time nor never.
        for (pause, expected) in [(0, 60), (7, 60), (7200, 7200), (u64::MAX, DAY)] {
            let asked = Renewal::answered(None, "a", Some(((0, 0), Duration::from_secs(pause))), 0, 0.0);
            assert_eq!(asked.ask_at, expected);
        }
        assert_eq!(Renewal::answered(None, "a", Some(((9, 3), hour)), 0, 1.0).at, Some(9));
    }
}
