//! Who is there, whatever the protocol: passwords and SASL exchanges against the directory. How responses and challenges travel, and what
//! an outcome reads like, is the protocol's business.

use directory::Directory;
use net::Stream;
use rand::Rng;
use sasl::{Exchange, Mechanism, Offer, Password, Step};
use std::fmt::Write;
use store::AccountId;

/// What is needed to find out who is there.
pub(crate) struct Checker<'c> {
    /// Who there is.
    pub(crate) directory: &'c Directory,
    /// The connection: what it can be bound to, which certificate was shown.
    pub(crate) stream: &'c Stream,
    /// The session's name, for the log.
    pub(crate) session: &'c str,
}

/// An exchange under way, and whom the SCRAM credentials that we handed out let in.
pub(crate) struct Exchanging {
    exchange: Exchange,
    candidate: Option<AccountId>,
}

/// What came of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Who it is.
    Account(AccountId),
    /// Wrong password, unknown user or disabled account: they all read the same.
    Wrong,
    /// The exchange was malformed.
    Malformed,
    /// It could not be found out.
    Unavailable,
}

/// What the server does next.
pub(crate) enum Turn {
    /// Send this.
    Challenge(Vec<u8>),
    /// It is over; the name is what the client called itself, for the log.
    Over(String, Outcome),
}

impl Checker<'_> {
    /// What mechanisms have here what they need. `plaintext`: secrets may cross the wire without TLS.
    pub(crate) fn offer(&self, plaintext: bool) -> Offer {
        Offer {
            secrets: self.stream.is_tls() || plaintext,
            binding: self.stream.channel_binding(),
            tokens: self.directory.takes_tokens(),
            certificate: self.stream.has_certificate(),
        }
    }

    /// An exchange, up to its first response. The mechanism is one of those that were offered.
    pub(crate) fn begin(&self, mechanism: Mechanism) -> Exchanging {
        let mut nonce = String::with_capacity(48);
        for byte in rand::rng().random::<[u8; 24]>() {
            // Writing to a String cannot fail.
            let _ = write!(nonce, "{byte:02x}");
        }
        Exchanging {
            exchange: Exchange::new(mechanism, nonce, self.stream.channel_binding()),
            candidate: None,
        }
    }

    /// Takes the client's response and says what comes of it.
    pub(crate) async fn turn(&self, exchanging: &mut Exchanging, response: Option<Vec<u8>>) -> Turn {
        let mut step = exchanging.exchange.respond(response.as_deref());
        loop {
            match step {
                Step::Challenge(challenge) => return Turn::Challenge(challenge),
                Step::Credentials { authcid, hash } => {
                    let (credentials, candidate) = self.directory.scram(&authcid, hash);
                    exchanging.candidate = candidate;
                    step = exchanging.exchange.credentials(credentials);
                }
                Step::Password {
                    authzid,
                    authcid,
                    password,
                } => {
                    let outcome = self.password(authzid.as_deref(), &authcid, password).await;
                    return Turn::Over(authcid, outcome);
                }
                Step::Token { authzid, token } => match self.token(authzid.as_deref(), token).await {
                    // The client is told why inside the mechanism, and acknowledges it (RFC 7628 §3.2.2).
                    Outcome::Wrong => step = exchanging.exchange.token_refused(),
                    outcome => return Turn::Over(authzid.unwrap_or_default(), outcome),
                },
                Step::External { authzid } => {
                    let addresses = self.stream.certificate_addresses();
                    let outcome = match self.directory.certificate_account(&addresses) {
                        Some(account) => self.acting(account, authzid.as_deref()),
                        None => Outcome::Wrong,
                    };
                    return Turn::Over(addresses.join(" "), outcome);
                }
                Step::Done { authzid, authcid } => {
                    let outcome = match exchanging.candidate.take() {
                        Some(account) => self.acting(account, authzid.as_deref()),
                        None => Outcome::Wrong,
                    };
                    return Turn::Over(authcid, outcome);
                }
                Step::Failed(failure) => {
                    tracing::debug!(session = self.session, reason = %failure, "authentication failed");
                    let outcome = if failure.is_credentials() {
                        Outcome::Wrong
                    } else {
                        Outcome::Malformed
                    };
                    return Turn::Over(String::new(), outcome);
                }
            }
        }
    }

    /// Whether this is that user's password. One that was right lately is known again without the work.
    pub(crate) async fn password(&self, authzid: Option<&str>, user: &str, password: Password) -> Outcome {
        if let Some(account) = self.directory.password_cached(user, password.as_bytes()) {
            return self.acting(account, authzid);
        }
        let (directory, user) = (self.directory.clone(), user.to_owned());
        let verified = tokio::task::spawn_blocking(move || directory.password_verify(&user, password.as_bytes())).await;
        match verified {
            Ok(Ok(Some(account))) => self.acting(account, authzid),
            Ok(Ok(None)) => Outcome::Wrong,
            Ok(Err(error)) => {
                tracing::warn!(session = self.session, %error, "a login could not be checked");
                Outcome::Unavailable
            }
            Err(error) => self.ours(&error),
        }
    }

    async fn token(&self, authzid: Option<&str>, token: Password) -> Outcome {
        let directory = self.directory.clone();
        match tokio::task::spawn_blocking(move || directory.token_verify(token.as_bytes())).await {
            Ok(Ok(Some(account))) => self.acting(account, authzid),
            Ok(Ok(None)) => Outcome::Wrong,
            Ok(Err(error)) => {
                tracing::warn!(session = self.session, %error, "an access token could not be checked");
                Outcome::Unavailable
            }
            Err(error) => self.ours(&error),
        }
    }

    fn ours(&self, error: &tokio::task::JoinError) -> Outcome {
        tracing::error!(session = self.session, %error, "checking a login failed in our own code; please report this");
        Outcome::Unavailable
    }

    fn acting(&self, account: AccountId, authzid: Option<&str>) -> Outcome {
        if self.directory.acts_as(account, authzid) {
            Outcome::Account(account)
        } else {
            Outcome::Wrong
        }
    }
}
