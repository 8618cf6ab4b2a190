use crate::login::{self, Login};
use crate::scram::{ClientFirst, Proven, ServerFirst};
use crate::token::{self, Frame, Presented};
use crate::{Failure, Limits, Mechanism, Password, ScramCredentials, ScramHash, external, plain};

/// What ties the exchange to the TLS connection below it (RFC 5056), so that somebody in the middle who forwards it is noticed.
#[derive(Clone, PartialEq, Eq)]
pub enum ChannelBinding {
    /// No TLS, or a TLS version without a usable exporter. `-PLUS` is not offered.
    None,
    /// The `tls-exporter` value of RFC 9266: 32 octets exported with the label `EXPORTER-Channel-Binding` and no context.
    /// For TLS 1.2 only where the extended master secret was negotiated.
    TlsExporter(Vec<u8>),
}

impl std::fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ChannelBinding::None => "None",
            ChannelBinding::TlsExporter(_) => "TlsExporter(…)",
        })
    }
}

/// What the server does next.
#[derive(Debug)]
pub enum Step {
    /// Send this to the client, hand its response to [`Exchange::respond`]. May be empty.
    Challenge(Vec<u8>),
    /// The exchange is over; the caller verifies the password, and decides on the authzid.
    Password {
        /// Whom to act as; `None` when the client left it out.
        authzid: Option<String>,
        /// Whose password it is.
        authcid: String,
        /// The password.
        password: Password,
    },
    /// Look up this user's SCRAM credentials and hand them to [`Exchange::credentials`]. For an unknown user hand over made-up
    /// ones, the same every time, so that nobody can tell.
    Credentials {
        /// Whose credentials.
        authcid: String,
        /// Those of which hash.
        hash: ScramHash,
    },
    /// The caller verifies the access token, finds out whose it is, and whether that is whom the client wants to act as; then it calls
    /// it a success, or calls [`Exchange::token_refused`].
    Token {
        /// Whom to act as; `None` when the client left it out.
        authzid: Option<String>,
        /// The token.
        token: Password,
    },
    /// The caller looks at the certificate that the client showed to TLS, and decides on the authzid.
    External {
        /// Whom to act as; `None` when the client left it out.
        authzid: Option<String>,
    },
    /// The client has proven to know the password of `authcid`.
    Done {
        /// Whom to act as; `None` when the client left it out.
        authzid: Option<String>,
        /// Who it is.
        authcid: String,
    },
    /// It is over. Answer with the same words whatever the reason is.
    Failed(Failure),
}

/// One authentication exchange, the server's side.
#[derive(Debug)]
pub struct Exchange {
    limits: Limits,
    nonce: String,
    binding: ChannelBinding,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    Login(Login),
    External,
    Token(Frame),
    /// The token is with the caller.
    TokenCheck(Frame),
    /// The client was told why, and owes an acknowledgement.
    TokenRefused,
    Scram {
        hash: ScramHash,
        plus: bool,
    },
    ScramCredentials(ScramHash, ClientFirst),
    ScramProof(Box<ServerFirst>),
    ScramEnd(Proven),
    Over,
}

impl Exchange {
    /// Begins an exchange. `nonce` is the server's part of SCRAM's nonce: at least 18 random octets, printable, without comma
    /// (base64 will do); the password mechanisms don't use it. `binding` is what the connection has, whatever the mechanism.
    pub fn new(mechanism: Mechanism, nonce: String, binding: ChannelBinding) -> Exchange {
        Exchange::with_limits(mechanism, nonce, binding, Limits::default())
    }

    /// The same with limits of one's own.
    pub fn with_limits(mechanism: Mechanism, nonce: String, binding: ChannelBinding, limits: Limits) -> Exchange {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::Login(Login::Username),
            Mechanism::External => State::External,
            Mechanism::OauthBearer => State::Token(Frame::Bearer),
            Mechanism::Xoauth2 => State::Token(Frame::Xoauth2),
            scram => match scram.scram() {
                Some((hash, plus)) => State::Scram { hash, plus },
                None => State::Over,
            },
        };
        Exchange {
            limits,
            nonce,
            binding,
            state,
        }
    }

    /// Takes the client's next response, decoded. `None` stands for "no initial response" and is right only at the start;
    /// `Some(b"")` is an empty one.
    pub fn respond(&mut self, response: Option<&[u8]>) -> Step {
        self.advance(response).unwrap_or_else(|failure| {
            self.state = State::Over;
            Step::Failed(failure)
        })
    }

    /// Hands over what [`Step::Credentials`] asked for.
    pub fn credentials(&mut self, credentials: ScramCredentials) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::ScramCredentials(hash, first) if hash == credentials.hash => {
                match first.answer(&self.nonce, credentials) {
                    Ok(server_first) => {
                        let challenge = server_first.message().as_bytes().to_vec();
                        self.state = State::ScramProof(Box::new(server_first));
                        Step::Challenge(challenge)
                    }
                    Err(failure) => Step::Failed(failure),
                }
            }
            _ => Step::Failed(Failure::Sequence("credentials were not asked for")),
        }
    }

    /// Says that the token of [`Step::Token`] is no good.
    pub fn token_refused(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::TokenCheck(frame) => {
                self.state = State::TokenRefused;
                Step::Challenge(token::refusal(frame))
            }
            _ => Step::Failed(Failure::Sequence("no token was asked about")),
        }
    }

    fn advance(&mut self, response: Option<&[u8]>) -> Result<Step, Failure> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let Some(response) = response else {
            let prompt = match &state {
                State::Plain | State::Scram { .. } | State::External | State::Token(_) => &b""[..],
                State::Login(Login::Username) => login::USERNAME,
                _ => return Err(Failure::Sequence("a response was expected")),
            };
            self.state = state;
            return Ok(Step::Challenge(prompt.to_vec()));
        };
        if response.len() > self.limits.response {
            return Err(Failure::TooLong("response"));
        }
        match state {
            State::Plain => plain::respond(response, &self.limits),
            State::Login(login) => {
                let (next, step) = login.respond(response, &self.limits)?;
                self.state = next.map_or(State::Over, State::Login);
                Ok(step)
            }
            State::External => external::respond(response, &self.limits),
            State::Token(frame) => {
                let Presented { authzid, token } = token::read(frame, response, &self.limits)?;
                self.state = State::TokenCheck(frame);
                match token {
                    Some(token) => Ok(Step::Token { authzid, token }),
                    None => Ok(self.token_refused()),
                }
            }
            State::TokenCheck(_) => Err(Failure::Sequence("the token was not judged yet")),
            // RFC 7628 §3.2.3: control-A alone; XOAUTH2's clients send nothing. What it is does not matter any more.
            State::TokenRefused => Err(Failure::Token),
            State::Scram { hash, plus } => {
                let first = ClientFirst::parse(response, plus, &self.binding, &self.limits)?;
                let authcid = first.authcid().to_owned();
                self.state = State::ScramCredentials(hash, first);
                Ok(Step::Credentials { authcid, hash })
            }
            State::ScramCredentials(..) => Err(Failure::Sequence("credentials are missing")),
            State::ScramProof(server_first) => {
                let (proven, message) = server_first.verify(response)?;
                self.state = State::ScramEnd(proven);
                Ok(Step::Challenge(message.into_bytes()))
            }
            // SMTP and IMAP carry no data with success, so the server's signature went out as a challenge and the client
            // acknowledges it with an empty response (RFC 4422 §3.6, §4 of RFC 4954).
            State::ScramEnd(proven) if response.is_empty() => Ok(Step::Done {
                authzid: proven.authzid,
                authcid: proven.authcid,
            }),
            State::ScramEnd(_) => Err(Failure::Malformed("an empty response was expected")),
            State::Over => Err(Failure::Sequence("the exchange is over")),
        }
    }
}

/// A user's name: UTF-8, not empty, within the limit, without control characters. Not changed: how names compare is the
/// directory's business.
pub(crate) fn name(bytes: &[u8], limits: &Limits) -> Result<String, Failure> {
    if bytes.len() > limits.name {
        return Err(Failure::TooLong("name"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::Malformed("name is not UTF-8"))?;
    if text.is_empty() {
        return Err(Failure::Malformed("name is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Failure::Malformed("name has control characters"));
    }
    Ok(text.to_owned())
}
