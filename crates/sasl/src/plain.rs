//! RFC 4616: one message, `[authzid] NUL authcid NUL password`.

use crate::exchange::name;
use crate::{Failure, Limits, Password, Step};

/// Reads the one response of PLAIN.
pub(crate) fn respond(response: &[u8], limits: &Limits) -> Result<Step, Failure> {
    let mut parts = response.split(|&b| b == 0);
    let (Some(authzid), Some(authcid), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Malformed("PLAIN wants [authzid] NUL authcid NUL password"));
    };
    let authzid = if authzid.is_empty() {
        None
    } else {
        Some(name(authzid, limits)?)
    };
    Ok(Step::Password {
        authzid,
        authcid: name(authcid, limits)?,
        password: read_password(password, limits)?,
    })
}

/// A password of PLAIN or LOGIN: UTF-8, not empty, no NUL, within the limit.
pub(crate) fn read_password(bytes: &[u8], limits: &Limits) -> Result<Password, Failure> {
    if bytes.len() > limits.password {
        return Err(Failure::TooLong("password"));
    }
    if bytes.is_empty() || bytes.contains(&0) || std::str::from_utf8(bytes).is_err() {
        return Err(Failure::Malformed("password must be UTF-8, not empty, without NUL"));
    }
    Ok(Password::new(bytes.to_vec()))
}
