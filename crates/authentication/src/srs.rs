//! Return paths for what we forward: the Sender Rewriting Scheme.
//!
//! A server that forwards a message with the sender's own return path is, to SPF, a stranger who sends in that name. So the return path
//! becomes one of ours, which holds the old one and a proof that we made it:
//!
//! ```text
//! ada@far.example        →  SRS0=HHHHHHHH=TT=far.example=ada@phys.example
//! SRS0=x=y=z=b@one.example →  SRS1=HHHHHHHH=one.example==x=y=z=b@phys.example
//! ```
//!
//! The scheme is not an RFC; this is the form that its paper (Meng Weng Wong, 2003) and all its implementations use, with a longer hash:
//! HMAC-SHA256 over day and address, cut to 40 bits, in letters that survive a change of case. A bounce to such an address goes where it
//! belongs for [`DAYS`], and nobody else can make us send mail to a third party with it.

use aws_lc_rs::hmac;

/// How long a return path is good: a bounce comes at the latest when the last server gives up.
pub const DAYS: u64 = 21;

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Makes and reads return paths.
pub struct Rewriter {
    key: hmac::Key,
}

impl std::fmt::Debug for Rewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rewriter")
    }
}

/// Why an address is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// We did not make it, or somebody changed it.
    #[error("this return path is not one that was made here")]
    Forged,
    /// It is too old.
    #[error("this return path is too old")]
    Old,
}

impl Rewriter {
    /// With a secret of at least 32 octets; who knows it can make return paths.
    pub fn new(secret: &[u8]) -> Rewriter {
        Rewriter {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The return path for mail from `sender` that goes on from `domain`; `now` in seconds since 1970. `None`: the sender is no address with
    /// a domain, such as the empty one, which stays as it is.
    pub fn forward(&self, sender: &str, domain: &str, now: u64) -> Option<String> {
        let (local, host) = sender.rsplit_once('@').filter(|(_, host)| !host.is_empty())?;
        let local = local
            .strip_prefix('"')
            .and_then(|l| l.strip_suffix('"'))
            .unwrap_or(local);
        if local.is_empty()
            || local.contains(|c: char| c.is_whitespace() || c.is_control() || "\"\\<>()[],;:@".contains(c))
        {
            return None;
        }
        if let Some(rest) = tagged(local, "SRS0") {
            // The first server's form is kept; we only vouch for the way back to it.
            let rest = format!("={rest}");
            return Some(format!("SRS1={}={host}={rest}@{domain}", self.hash(&[host, &rest])));
        }
        if let Some(rest) = tagged(local, "SRS1") {
            let (_, rest) = rest.split_once('=')?;
            let (first, rest) = rest.split_once('=')?;
            return Some(format!("SRS1={}={first}={rest}@{domain}", self.hash(&[first, rest])));
        }
        let day = stamp(now / 86_400);
        Some(format!(
            "SRS0={}={day}={host}={local}@{domain}",
            self.hash(&[&day, host, local])
        ))
    }

    /// Where a bounce to this local part goes. `None`: it is not such a return path at all.
    pub fn reverse(&self, local: &str, now: u64) -> Option<Result<String, Refused>> {
        if let Some(rest) = tagged(local, "SRS0") {
            return Some(self.reverse_first(rest, now));
        }
        let rest = tagged(local, "SRS1")?;
        Some(self.reverse_second(rest))
    }

    fn reverse_first(&self, rest: &str, now: u64) -> Result<String, Refused> {
        let mut parts = rest.splitn(4, '=');
        let (Some(hash), Some(day), Some(host), Some(local)) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused::Forged);
        };
        let day = day.to_ascii_uppercase();
        self.check(hash, &[&day, host, local])?;
        let age = (0..=DAYS).any(|age| (now / 86_400).checked_sub(age).is_some_and(|then| stamp(then) == day));
        if age {
            Ok(format!("{local}@{host}"))
        } else {
            Err(Refused::Old)
        }
    }

    fn reverse_second(&self, rest: &str) -> Result<String, Refused> {
        let mut parts = rest.splitn(3, '=');
        let (Some(hash), Some(host), Some(local)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refused::Forged);
        };
        self.check(hash, &[host, local])?;
        Ok(format!("SRS0{local}@{host}"))
    }

    fn check(&self, hash: &str, parts: &[&str]) -> Result<(), Refused> {
        let expected = self.hash(parts);
        let given = hash.to_ascii_uppercase();
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes())
            .map_err(|_| Refused::Forged)
    }

    /// Eight letters over the parts, whatever their case: servers on the way may change it.
    fn hash(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part.to_ascii_lowercase().as_bytes());
            context.update(b"=");
        }
        let tag = context.sign();
        let bits = tag
            .as_ref()
            .iter()
            .take(5)
            .fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
        (0..8).rev().map(|at| letter(bits >> (at * 5))).collect()
    }
}

/// A day in two letters, which come again after 1,024 days.
fn stamp(day: u64) -> String {
    [letter(day >> 5), letter(day)].into_iter().collect()
}

fn letter(bits: u64) -> char {
    // Five bits: within the table.
    LETTERS
        .get((bits & 31) as usize)
        .map_or('A', |letter| char::from(*letter))
}

/// What follows `SRS0=`; the separator may be one of three, and the word in any case.
fn tagged<'a>(local: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = local.split_at_checked(word.len())?;
    let rest = rest.strip_prefix(['=', '-', '+'])?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 20_000 * 86_400;

    #[test]
    fn there_and_back() {
        let here = Rewriter::new(&[7; 32]);
        let there = Rewriter::new(&[8; 32]);
        let first = here.forward("ada@far.example", "phys.example", NOW).unwrap();
        assert!(
            first.starts_with("SRS0=") && first.ends_with("=far.example=ada@phys.example"),
            "{first}"
        );
        let local = first.split('@').next().unwrap();
        assert_eq!(
            here.reverse(local, NOW + 5 * 86_400),
            Some(Ok("ada@far.example".to_owned()))
        );
        assert_eq!(
            here.reverse(&local.to_ascii_lowercase(), NOW),
            Some(Ok("ada@far.example".to_owned()))
        );
        assert_eq!(here.reverse(local, NOW + 22 * 86_400), Some(Err(Refused::Old)));
        assert_eq!(there.reverse(local, NOW), Some(Err(Refused::Forged)));
        assert_eq!(here.reverse("ada", NOW), None);
        assert_eq!(here.reverse("SRS0=x", NOW), Some(Err(Refused::Forged)));

        let second = there.forward(&first, "chem.example", NOW).unwrap();
        assert!(
            second.starts_with("SRS1=") && second.ends_with("@chem.example"),
            "{second}"
        );
        let third = here.forward(&second, "math.example", NOW).unwrap();
        for (rewriter, path) in [(&there, &second), (&here, &third)] {
            let local = path.split('@').next().unwrap();
            assert_eq!(rewriter.reverse(local, NOW), Some(Ok(first.clone())), "{path}");
        }
        assert_eq!(here.forward("", "phys.example", NOW), None);
        assert_eq!(here.forward("postmaster", "phys.example", NOW), None);
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let here = Rewriter::new(&[7; 32]);
        let path = here.forward("ada=x@far.example", "phys.example", NOW).unwrap();
        let local = path.split('@').next().unwrap();
        assert_eq!(here.reverse(local, NOW), Some(Ok("ada=x@far.example".to_owned())));
        for at in 5..local.len() {
            let mut changed = local.as_bytes().to_vec();
            changed[at] = if changed[at] == b'b' { b'c' } else { b'b' };
            let changed = String::from_utf8(changed).unwrap();
            if changed.eq_ignore_ascii_case(local) {
                continue;
            }
            assert!(matches!(here.reverse(&changed, NOW), Some(Err(_))), "{changed}");
        }
    }
}
