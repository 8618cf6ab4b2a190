//! Who is there: AUTHENTICATE against the directory. RFC 5804 §2.1.

use super::commands::Answer;
use super::connection::{Connection, Owner};
use crate::Tls;
use managesieve::Code;
use net::blocking;
use rand::Rng;
use sasl::{Exchange, Mechanism, Offer, Password, Step};
use std::collections::HashMap;
use std::fmt::Write;
use store::AccountId;

/// An exchange under way, and whom the SCRAM credentials that we handed out let in.
pub(super) struct Exchanging {
    exchange: Exchange,
    mechanism: Mechanism,
    candidate: Option<AccountId>,
}

/// What came of a login.
enum Outcome {
    Account(AccountId),
    /// Wrong password, unknown user or disabled account: they all read the same.
    Wrong,
    /// It could not be found out.
    Unavailable,
}

impl Connection {
    /// Whether STARTTLS can be done.
    pub(super) fn offers_tls(&self) -> bool {
        matches!(self.listener.config().tls, Tls::Offer(_)) && !self.stream.is_tls()
    }

    /// What mechanisms have here what they need.
    pub(super) fn offer(&self) -> Offer {
        Offer {
            secrets: self.stream.is_tls() || self.listener.config().plaintext,
            binding: self.stream.channel_binding(),
            tokens: self.listener.context.directory.takes_tokens(),
            certificate: self.stream.has_certificate(),
        }
    }

    /// AUTHENTICATE, up to its first response.
    pub(super) fn authenticate(&self, mechanism: &str) -> Result<Exchanging, Answer> {
        let offer = self.offer();
        let Some(mechanism) = Mechanism::parse(mechanism) else {
            return Err(Answer::no(None, "no such mechanism here"));
        };
        if !mechanism.is_offered(&offer) {
            return Err(if mechanism.reveals_secret() && !offer.secrets {
                Answer::no(Some(Code::EncryptNeeded), "start TLS first")
            } else {
                Answer::no(None, "that mechanism cannot be used on this connection")
            });
        }
        let mut nonce = String::with_capacity(48);
        for byte in rand::rng().random::<[u8; 24]>() {
            // Writing to a String cannot fail.
            let _ = write!(nonce, "{byte:02x}");
        }
        Ok(Exchanging {
            exchange: Exchange::new(mechanism, nonce, offer.binding),
            mechanism,
            candidate: None,
        })
    }

    /// One step: the next challenge, or the answer to the command.
    pub(super) async fn exchange(
        &mut self,
        exchanging: &mut Exchanging,
        response: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Answer> {
        let mut step = exchanging.exchange.respond(response.as_deref());
        let mut last_words = None;
        loop {
            match step {
                // The server's signature ends SCRAM: it goes out with the OK (§1.3, SASL), there is nothing left to respond.
                Step::Challenge(data)
                    if exchanging.mechanism.name().starts_with("SCRAM-") && data.starts_with(b"v=") =>
                {
                    last_words = Some(data);
                    step = exchanging.exchange.respond(Some(b""));
                }
                Step::Challenge(challenge) => return Ok(challenge),
                Step::Credentials { authcid, hash } => {
                    let (credentials, candidate) = self.listener.context.directory.scram(&authcid, hash);
                    exchanging.candidate = candidate;
                    step = exchanging.exchange.credentials(credentials);
                }
                Step::Password {
                    authzid,
                    authcid,
                    password,
                } => {
                    let outcome = self.check_password(authzid, authcid.clone(), password).await;
                    return Err(self.logged_in(&authcid, outcome, None).await);
                }
                Step::Token { authzid, token } => {
                    let user = authzid.clone().unwrap_or_default();
                    match self.check_token(authzid, token).await {
                        Outcome::Wrong => step = exchanging.exchange.token_refused(),
                        outcome => return Err(self.logged_in(&user, outcome, None).await),
                    }
                }
                Step::External { authzid } => {
                    let addresses = self.stream.certificate_addresses();
                    let outcome = match self.listener.context.directory.certificate_account(&addresses) {
                        Some(account) => self.check_authzid(account, authzid.as_deref()),
                        None => Outcome::Wrong,
                    };
                    return Err(self.logged_in(&addresses.join(" "), outcome, None).await);
                }
                Step::Done { authzid, authcid } => {
                    let outcome = match exchanging.candidate.take() {
                        Some(account) => self.check_authzid(account, authzid.as_deref()),
                        None => Outcome::Wrong,
                    };
                    return Err(self.logged_in(&authcid, outcome, last_words).await);
                }
                Step::Failed(failure) => {
                    tracing::debug!(session = self.name, client = %self.peer, reason = %failure, "authentication failed");
                    if failure.is_credentials() {
                        return Err(self.logged_in("", Outcome::Wrong, None).await);
                    }
                    self.listener.metrics.login("wrong");
                    self.failures += 1;
                    tokio::time::sleep(self.options().login_failure_delay).await;
                    return Err(Answer::no(None, "the authentication exchange is malformed"));
                }
            }
        }
    }

    async fn check_password(&self, authzid: Option<String>, authcid: String, password: Password) -> Outcome {
        let directory = &self.listener.context.directory;
        if let Some(account) = directory.password_cached(&authcid, password.as_bytes()) {
            return self.check_authzid(account, authzid.as_deref());
        }
        let directory = directory.clone();
        let verified =
            tokio::task::spawn_blocking(move || directory.password_verify(&authcid, password.as_bytes())).await;
        self.verified(verified, authzid.as_deref())
    }

    async fn check_token(&self, authzid: Option<String>, token: Password) -> Outcome {
        let directory = self.listener.context.directory.clone();
        let verified = tokio::task::spawn_blocking(move || directory.token_verify(token.as_bytes())).await;
        self.verified(verified, authzid.as_deref())
    }

    fn verified<E: std::fmt::Display>(
        &self,
        verified: Result<Result<Option<AccountId>, E>, tokio::task::JoinError>,
        authzid: Option<&str>,
    ) -> Outcome {
        match verified {
            Ok(Ok(Some(account))) => self.check_authzid(account, authzid),
            Ok(Ok(None)) => Outcome::Wrong,
            Ok(Err(error)) => {
                tracing::warn!(session = self.name, %error, "a login could not be checked");
                Outcome::Unavailable
            }
            Err(error) => {
                tracing::error!(session = self.name, %error, "checking a login failed in our own code; please report this");
                Outcome::Unavailable
            }
        }
    }

    fn check_authzid(&self, account: AccountId, authzid: Option<&str>) -> Outcome {
        if self.listener.context.directory.acts_as(account, authzid) {
            Outcome::Account(account)
        } else {
            Outcome::Wrong
        }
    }

    async fn logged_in(&mut self, user: &str, outcome: Outcome, last_words: Option<Vec<u8>>) -> Answer {
        let id = match outcome {
            Outcome::Account(id) => id,
            Outcome::Wrong => {
                self.listener.metrics.login("wrong");
                tracing::warn!(session = self.name, client = %self.peer, user, "login failed");
                self.failures += 1;
                tokio::time::sleep(self.options().login_failure_delay).await;
                return Answer::no(None, "user or password wrong");
            }
            Outcome::Unavailable => {
                self.listener.metrics.login("unavailable");
                return Answer::no(Some(Code::TryLater), "cannot check the login now, try again");
            }
        };
        let store = &self.listener.context.store;
        match blocking(|| store.account(id)) {
            Ok(account) => {
                self.listener.metrics.login("ok");
                tracing::info!(session = self.name, client = %self.peer, user, account = id.0, tls = self.stream.is_tls(), "logged in");
                self.owner = Some(Owner {
                    id,
                    account,
                    read: HashMap::new(),
                });
                Answer::ok(last_words.map(Code::Sasl), "logged in")
            }
            Err(error) => {
                self.listener.metrics.login("unavailable");
                tracing::error!(session = self.name, account = id.0, %error, "the account cannot be opened");
                Answer::no(
                    Some(Code::TryLater),
                    "the scripts cannot be opened; the administrator will find the reason in the log",
                )
            }
        }
    }
}
