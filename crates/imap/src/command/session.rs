//! Who is there: LOGIN, AUTHENTICATE (RFC 9051 §6.2, RFC 4959), ENABLE (RFC 5161), ID (RFC 2971).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cursor::{Cursor, is_atom};
use crate::{Error, Result};

/// LOGIN. Shows no password when printed.
#[derive(PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password, as octets.
    pub password: Vec<u8>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// AUTHENTICATE. Shows no response when printed.
#[derive(PartialEq, Eq)]
pub struct Authenticate {
    /// The mechanism's name, in upper case.
    pub mechanism: String,
    /// The initial response, decoded (RFC 4959: `=` is an empty one).
    pub initial: Option<Vec<u8>>,
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

/// Decodes the line that answers a SASL challenge. `Ok(None)`: the client cancels with `*`.
pub fn sasl_response(line: &[u8]) -> Result<Option<Vec<u8>>> {
    if line == b"*" {
        Ok(None)
    } else {
        STANDARD.decode(line).map(Some).map_err(|_| Error::Base64)
    }
}

impl<'a> Cursor<'a> {
    // login = "LOGIN" SP userid SP password
    pub(crate) fn login(&mut self) -> Result<Login> {
        let user = self.astring_text()?;
        self.space()?;
        Ok(Login {
            user,
            password: self.astring()?.into_owned(),
        })
    }

    // authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]
    pub(crate) fn authenticate(&mut self) -> Result<Authenticate> {
        let mechanism = self.atom("a mechanism")?.to_ascii_uppercase();
        if !self.eat(b' ') {
            return Ok(Authenticate {
                mechanism,
                initial: None,
            });
        }
        let initial = match self.run(is_atom) {
            b"=" => Vec::new(),
            b"" => return Err(Error::Base64),
            encoded => STANDARD.decode(encoded).map_err(|_| Error::Base64)?,
        };
        Ok(Authenticate {
            mechanism,
            initial: Some(initial),
        })
    }

    // enable = "ENABLE" 1*(SP capability)
    pub(crate) fn enable(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        loop {
            let name = self.atom("the name of an extension")?.to_ascii_uppercase();
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() > 64 {
                return Err(Error::TooMany("extensions"));
            }
            if !self.eat(b' ') {
                return Ok(names);
            }
        }
    }

    // id-params-list = "(" *(string SP nstring SP) ")" / nil
    pub(crate) fn id(&mut self) -> Result<Vec<(String, Option<String>)>> {
        if self.eat_word("NIL") {
            return Ok(Vec::new());
        }
        let most = self.limits.id_pairs;
        let mut count = 0;
        self.list(true, |c| {
            count += 1;
            if count > most {
                return Err(Error::TooMany("ID fields"));
            }
            let field = text(&c.string()?);
            c.space()?;
            Ok((field, c.nstring()?.map(|value| text(&value))))
        })
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
