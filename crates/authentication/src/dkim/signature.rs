//! The `DKIM-Signature` field (RFC 6376 §3.5), and `ARC-Message-Signature`, which is nearly the same (RFC 8617 §4.1.2).

use super::Canon;
use crate::key::Algorithm;
use crate::name::{is_within, normal};
use crate::results::Verdict;
use crate::tags::{self, Tags, is_space};

/// How far a signer's clock may be ahead of ours, in seconds.
const SKEW: u64 = 3600;

/// A signature as its field has it.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) algorithm: Algorithm,
    pub(crate) signature: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
    pub(crate) header_canon: Canon,
    pub(crate) body_canon: Canon,
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) identity: Option<String>,
    pub(crate) fields: Vec<String>,
    pub(crate) length: Option<u64>,
    time: Option<u64>,
    expires: Option<u64>,
}

/// Why there is no judgement on the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

impl Trouble {
    pub(crate) fn new(verdict: Verdict, reason: impl Into<String>) -> Trouble {
        Trouble {
            verdict,
            reason: reason.into(),
        }
    }

    pub(crate) fn permanent(reason: impl Into<String>) -> Trouble {
        Trouble::new(Verdict::PermError, reason)
    }
}

impl Signature {
    /// Reads the value of a field. `arc`: it is an ARC-Message-Signature.
    pub(crate) fn parse(value: &[u8], arc: bool) -> Result<Signature, Trouble> {
        let text = std::str::from_utf8(value).map_err(|_| Trouble::permanent("the signature is not text"))?;
        let tags = Tags::parse(text).ok_or_else(|| Trouble::permanent("the signature is no list of tags"))?;
        let need = |name: &'static str| {
            tags.value(name)
                .ok_or_else(|| Trouble::permanent(format!("the signature has no {name}=")))
        };
        if !arc && need("v")? != "1" {
            return Err(Trouble::permanent("the signature is of an unknown version"));
        }
        let a = need("a")?;
        let algorithm = algorithm(a)?;
        let b64 = |name: &'static str| {
            need(name).and_then(|text| {
                tags::base64(text)
                    .filter(|octets| !octets.is_empty())
                    .ok_or_else(|| Trouble::permanent(format!("{name}= is not base64")))
            })
        };
        let (signature, body_hash) = (b64("b")?, b64("bh")?);
        let (header_canon, body_canon) = canons(tags.value("c"))?;
        let domain =
            normal(need("d")?).ok_or_else(|| Trouble::permanent("the signature's domain cannot be a domain"))?;
        let selector =
            normal(need("s")?).ok_or_else(|| Trouble::permanent("the signature's selector cannot be one"))?;
        let identity = match tags.value("i").filter(|_| !arc) {
            None => None,
            Some(identity) => {
                let within = identity
                    .rsplit_once('@')
                    .and_then(|(_, host)| normal(host))
                    .is_some_and(|host| is_within(&host, &domain));
                if !within {
                    return Err(Trouble::permanent("i= is not within d="));
                }
                Some(identity.to_owned())
            }
        };
        let fields: Vec<String> = tags::colons(need("h")?).map(str::to_ascii_lowercase).collect();
        if fields.iter().any(String::is_empty) {
            return Err(Trouble::permanent("h= has an empty name"));
        }
        if !fields.iter().any(|name| name == "from") {
            return Err(Trouble::permanent("From is not signed"));
        }
        if arc && fields.iter().any(|name| name == "arc-seal") {
            return Err(Trouble::permanent("h= has ARC-Seal"));
        }
        if let Some(methods) = tags.value("q")
            && !tags::colons(methods).any(|method| method.eq_ignore_ascii_case("dns/txt"))
        {
            return Err(Trouble::permanent("the key is not in the DNS"));
        }
        let number = |name: &'static str| match tags.value(name) {
            None => Ok(None),
            Some(digits) if !digits.is_empty() && digits.len() <= 76 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Some(digits.parse().unwrap_or(u64::MAX)))
            }
            Some(_) => Err(Trouble::permanent(format!("{name}= is no number"))),
        };
        let (length, time, expires) = (number("l")?, number("t")?, number("x")?);
        if let (Some(time), Some(expires)) = (time, expires)
            && expires <= time
        {
            return Err(Trouble::permanent("the signature expires before it is made"));
        }
        Ok(Signature {
            algorithm,
            signature,
            body_hash,
            header_canon,
            body_canon,
            domain,
            selector,
            identity,
            fields,
            length,
            time,
            expires,
        })
    }

    /// Whether it is good at this time.
    pub(crate) fn check_time(&self, now: u64) -> Result<(), Trouble> {
        if self.expires.is_some_and(|expires| expires < now) {
            return Err(Trouble::new(Verdict::Fail, "the signature has expired"));
        }
        if self.time.is_some_and(|time| time > now.saturating_add(SKEW)) {
            return Err(Trouble::new(Verdict::Fail, "the signature is of the future"));
        }
        Ok(())
    }
}

/// An algorithm of `a=`. RFC 8301 §3.1: SHA-1 is no longer good for anything.
pub(crate) fn algorithm(name: &str) -> Result<Algorithm, Trouble> {
    match name {
        name if name.eq_ignore_ascii_case("rsa-sha256") => Ok(Algorithm::RsaSha256),
        name if name.eq_ignore_ascii_case("ed25519-sha256") => Ok(Algorithm::Ed25519Sha256),
        name if name.eq_ignore_ascii_case("rsa-sha1") => Err(Trouble::new(
            Verdict::Policy,
            "SHA-1 does not protect from forgery (RFC 8301)",
        )),
        _ => Err(Trouble::permanent("the signature's algorithm is unknown")),
    }
}

fn canons(value: Option<&str>) -> Result<(Canon, Canon), Trouble> {
    let Some(value) = value else {
        return Ok((Canon::Simple, Canon::Simple));
    };
    let (header, body) = value.split_once('/').unwrap_or((value, "simple"));
    Canon::parse(header)
        .zip(Canon::parse(body))
        .ok_or_else(|| Trouble::permanent("the canonicalization is unknown"))
}

/// A signature field without its line end and without the value of `b=` (§3.7): itself as it was signed.
pub(crate) fn without_b(raw: &[u8]) -> Vec<u8> {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let start = memchr::memchr(b':', raw).map_or(raw.len(), |colon| colon + 1);
    let mut at = start;
    while at < raw.len() {
        let rest = raw.get(at..).unwrap_or_default();
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let item = rest.get(..end).unwrap_or_default();
        if let Some(equals) = memchr::memchr(b'=', item) {
            let name = item.get(..equals).unwrap_or_default();
            if std::str::from_utf8(name).is_ok_and(|name| name.trim_matches(is_space) == "b") {
                let mut out = raw.get(..at + equals + 1).unwrap_or_default().to_vec();
                out.extend_from_slice(raw.get(at + end..).unwrap_or_default());
                return out;
            }
        }
        at += end + 1;
    }
    raw.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_b_is_cut_out() {
        let cases = [
            (
                "DKIM-Signature: v=1; b=ab\r\n\tcd ; bh=xx;\r\n",
                "DKIM-Signature: v=1; b=; bh=xx;",
            ),
            ("DKIM-Signature: bh=b; b =abc\r\n", "DKIM-Signature: bh=b; b ="),
            ("ARC-Seal: b=abc;i=1\r\n", "ARC-Seal: b=;i=1"),
            ("ARC-Seal: i=1\r\n", "ARC-Seal: i=1"),
        ];
        for (raw, expected) in cases {
            assert_eq!(String::from_utf8_lossy(&without_b(raw.as_bytes())), expected);
        }
    }

    #[test]
    fn signatures_that_are_none() {
        let good = "v=1; a=rsa-sha256; d=example.com; s=k; h=From:To; bh=AAAA; b=AAAA";
        assert!(Signature::parse(good.as_bytes(), false).is_ok());
        let cases = [
            ("v=1", "v=2", Verdict::PermError),
            ("v=1; ", "", Verdict::PermError),
            ("rsa-sha256", "rsa-sha1", Verdict::Policy),
            ("rsa-sha256", "rsa-md5", Verdict::PermError),
            ("d=example.com", "d=", Verdict::PermError),
            ("s=k", "s=a b", Verdict::PermError),
            ("h=From:To", "h=To", Verdict::PermError),
            ("h=From:To", "h=From::To", Verdict::PermError),
            ("h=From:To", "h=From; i=a@other.com", Verdict::PermError),
            ("h=From:To", "h=From; i=a@notexample.com", Verdict::PermError),
            ("h=From:To", "h=From; l=-1", Verdict::PermError),
            ("h=From:To", "h=From; t=5; x=5", Verdict::PermError),
            ("h=From:To", "h=From; q=ldap", Verdict::PermError),
            ("h=From:To", "h=From; c=loose", Verdict::PermError),
            ("b=AAAA", "b=", Verdict::PermError),
        ];
        for (from, to, verdict) in cases {
            let text = good.replacen(from, to, 1);
            let trouble = Signature::parse(text.as_bytes(), false).unwrap_err();
            assert_eq!(trouble.verdict, verdict, "{text}");
        }
        for fine in [
            "i=a@sub.example.com",
            "i=@example.com",
            "q=ldap : dns/txt",
            "c=relaxed",
            "l=0",
            "x=9",
        ] {
            let text = format!("{good}; {fine}");
            assert!(Signature::parse(text.as_bytes(), false).is_ok(), "{text}");
        }
    }
}
