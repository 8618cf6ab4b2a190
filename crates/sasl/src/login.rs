//! draft-murchison-sasl-login: the server asks `Username:`, then `Password:`. A client may give the user name as its initial
//! response. There is no authzid.

use crate::exchange::name;
use crate::{Failure, Limits, Step};

/// The first prompt. Clients compare nothing, some look for this very text.
pub(crate) const USERNAME: &[u8] = b"Username:";
/// The second prompt.
pub(crate) const PASSWORD: &[u8] = b"Password:";

/// Where a LOGIN exchange stands.
#[derive(Debug)]
pub(crate) enum Login {
    /// The user name comes next.
    Username,
    /// The password comes next.
    Password {
        /// What the first answer was.
        authcid: String,
    },
}

impl Login {
    /// Takes the next response; gives the state after it, `None` when that was the last.
    pub(crate) fn respond(self, response: &[u8], limits: &Limits) -> Result<(Option<Login>, Step), Failure> {
        match self {
            Login::Username => {
                let authcid = name(response, limits)?;
                Ok((Some(Login::Password { authcid }), Step::Challenge(PASSWORD.to_vec())))
            }
            Login::Password { authcid } => {
                let password = crate::plain::read_password(response, limits)?;
                let step = Step::Password {
                    authzid: None,
                    authcid,
                    password,
                };
                Ok((None, step))
            }
        }
    }
}
