//! EXTERNAL, RFC 4422 appendix A: the client has shown who it is below this layer, by its TLS certificate, and at most says as whom it
//! wants to act.

use crate::exchange::name;
use crate::{Failure, Limits, Step};

/// Reads the one response: an authorization identity, or nothing.
pub(crate) fn respond(response: &[u8], limits: &Limits) -> Result<Step, Failure> {
    let authzid = match response {
        [] => None,
        bytes => Some(name(bytes, limits)?),
    };
    Ok(Step::External { authzid })
}
