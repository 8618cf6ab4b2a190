//! Access tokens: OAUTHBEARER (RFC 7628) and XOAUTH2, which came before it and differs in its frame only.
//!
//! ```text
//! OAUTHBEARER   n,a=ada@phys.example,^Ahost=…^Aport=…^Aauth=Bearer TOKEN^A^A
//! XOAUTH2       user=ada@phys.example^Aauth=Bearer TOKEN^A^A
//! ```
//!
//! A token that is refused is answered by a challenge that says why (RFC 7628 §3.2.2); the client acknowledges it, and only then the exchange
//! has failed.

use crate::exchange::name;
use crate::{Failure, Limits, Password};

/// Which frame the token comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Bearer,
    Xoauth2,
}

/// Between key and value pairs: control-A.
const SEPARATOR: u8 = 1;

/// What the client said.
pub(crate) struct Presented {
    pub(crate) authzid: Option<String>,
    /// `None`: it only asks what kind of token it should get (RFC 7628 §4.3).
    pub(crate) token: Option<Password>,
}

/// Reads the client's first response.
pub(crate) fn read(frame: Frame, response: &[u8], limits: &Limits) -> Result<Presented, Failure> {
    let (authzid, pairs) = match frame {
        Frame::Bearer => {
            let (header, pairs) = cut(response, SEPARATOR).ok_or(Failure::Malformed("no key and value pairs"))?;
            (gs2(header, limits)?, pairs)
        }
        Frame::Xoauth2 => {
            let rest = response
                .strip_prefix(b"user=")
                .ok_or(Failure::Malformed("XOAUTH2 starts with user="))?;
            let (user, pairs) = cut(rest, SEPARATOR).ok_or(Failure::Malformed("no key and value pairs"))?;
            (Some(name(user, limits)?), pairs)
        }
    };
    let pairs = pairs
        .strip_suffix(&[SEPARATOR, SEPARATOR])
        .ok_or(Failure::Malformed("the pairs end with two control-A"))?;
    let mut auth = None;
    for pair in pairs.split(|&b| b == SEPARATOR) {
        let (key, value) = cut(pair, b'=').ok_or(Failure::Malformed("a pair is key=value"))?;
        if key.is_empty() || !key.iter().all(u8::is_ascii_alphabetic) {
            return Err(Failure::Malformed("a key is letters"));
        }
        if key == b"auth" && auth.replace(value).is_some() {
            return Err(Failure::Malformed("auth is given twice"));
        }
    }
    let token = match auth.ok_or(Failure::Malformed("auth is missing"))? {
        [] => None,
        value => Some(bearer(value)?),
    };
    Ok(Presented { authzid, token })
}

/// What a client is told whose token is no good: RFC 7628 §3.2.2.
pub(crate) fn refusal(frame: Frame) -> Vec<u8> {
    match frame {
        Frame::Bearer => br#"{"status":"invalid_token"}"#.to_vec(),
        // What programs that only know Google's servers look at.
        Frame::Xoauth2 => br#"{"status":"401","schemes":"bearer"}"#.to_vec(),
    }
}

/// `gs2-header = ("n" / "y") "," [ "a=" authzid ] ","`; RFC 7628 has no channel binding without `p=`, which needs a -PLUS name.
fn gs2(header: &[u8], limits: &Limits) -> Result<Option<String>, Failure> {
    let text = std::str::from_utf8(header).map_err(|_| Failure::Malformed("gs2 header is not UTF-8"))?;
    let mut parts = text.split(',');
    let (Some(flag), Some(authzid), Some(""), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Failure::Malformed("gs2 header: n,[a=authzid],"));
    };
    if flag.starts_with("p=") {
        return Err(Failure::Binding("asked for under a mechanism without it"));
    }
    if !matches!(flag, "n" | "y") {
        return Err(Failure::Malformed("gs2 header: channel binding flag is n or y"));
    }
    match authzid.strip_prefix("a=") {
        Some(escaped) => Ok(Some(name(crate::scram::unescape(escaped)?.as_bytes(), limits)?)),
        None if authzid.is_empty() => Ok(None),
        None => Err(Failure::Malformed("gs2 header: authzid starts with a=")),
    }
}

/// `Bearer b64token` (RFC 6750 §2.1); the scheme's case does not matter.
fn bearer(value: &[u8]) -> Result<Password, Failure> {
    let (scheme, token) = cut(value, b' ').ok_or(Failure::Malformed("auth is Bearer and a token"))?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Failure::Malformed("auth is Bearer and a token"));
    }
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    if token.is_empty() || !token.iter().all(known) {
        return Err(Failure::Malformed("a token is base64 and a few signs"));
    }
    Ok(Password::new(token.to_vec()))
}

fn cut(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|&b| b == at)?;
    Some((bytes.get(..position)?, bytes.get(position + 1..)?))
}
