//! Who is there: LOGIN and AUTHENTICATE against the directory. RFC 9051 §6.2.

use crate::Tls;
use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::capability::Entry;
use crate::imap::connection::{Connection, Owner};
use imap::State;
use imap::command::Login;
use imap::response::Code;
use rand::Rng;
use sasl::{Exchange, Mechanism, Offer, Password, Step};
use std::fmt::Write;
use store::AccountId;

/// An exchange under way, and whom the SCRAM credentials that we handed out let in.
pub(crate) struct Exchanging {
    exchange: Exchange,
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
    /// What this connection has to offer before login.
    pub(crate) fn door(&self) -> Entry {
        let tls = self.stream.is_tls();
        Entry {
            starttls: matches!(self.listener.config().tls, Tls::Offer(_)) && !tls,
            offer: Offer {
                secrets: tls || self.listener.config().plaintext,
                binding: self.stream.channel_binding(),
                tokens: self.listener.context.directory.takes_tokens(),
                certificate: self.stream.has_certificate(),
            },
        }
    }

    /// LOGIN.
    pub(crate) async fn login(&mut self, login: Login) -> Answer {
        if !self.door().offer.secrets {
            return Answer::no(Some(Code::PrivacyRequired), "start TLS first");
        }
        let Login { user, password } = login;
        let outcome = self.check_password(None, user.clone(), Password::new(password)).await;
        self.logged_in(&user, outcome).await
    }

    /// AUTHENTICATE, up to its first response.
    pub(crate) fn authenticate(&self, mechanism: &str) -> Result<Exchanging, Answer> {
        let offer = self.door().offer;
        let Some(mechanism) = Mechanism::parse(mechanism) else {
            return Err(Answer::no(Some(Code::Cannot), "no such mechanism here"));
        };
        if !mechanism.is_offered(&offer) {
            return Err(if mechanism.reveals_secret() && !offer.secrets {
                Answer::no(Some(Code::PrivacyRequired), "start TLS first")
            } else {
                let needed = match mechanism {
                    Mechanism::External => "that mechanism needs a TLS client certificate",
                    Mechanism::OauthBearer | Mechanism::Xoauth2 => "access tokens are not taken here",
                    _ => "that mechanism needs TLS 1.3",
                };
                Answer::no(Some(Code::Cannot), needed)
            });
        }
        let mut nonce = String::with_capacity(48);
        for byte in rand::rng().random::<[u8; 24]>() {
            // Writing to a String cannot fail.
            let _ = write!(nonce, "{byte:02x}");
        }
        Ok(Exchanging {
            exchange: Exchange::new(mechanism, nonce, offer.binding),
            candidate: None,
        })
    }

    /// One step: the next challenge, or the answer to the command.
    pub(crate) async fn exchange(
        &mut self,
        exchanging: &mut Exchanging,
        response: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Answer> {
        let mut step = exchanging.exchange.respond(response.as_deref());
        loop {
            match step {
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
                    return Err(self.logged_in(&authcid, outcome).await);
                }
                Step::Token { authzid, token } => {
                    let user = authzid.clone().unwrap_or_default();
                    match self.check_token(authzid, token).await {
                        // The client is told why inside the mechanism, and acknowledges it (RFC 7628 §3.2.2).
                        Outcome::Wrong => step = exchanging.exchange.token_refused(),
                        outcome => return Err(self.logged_in(&user, outcome).await),
                    }
                }
                Step::External { authzid } => {
                    let addresses = self.stream.certificate_addresses();
                    let outcome = match self.listener.context.directory.certificate_account(&addresses) {
                        Some(account) => self.check_authzid(account, authzid.as_deref()),
                        None => Outcome::Wrong,
                    };
                    return Err(self.logged_in(&addresses.join(" "), outcome).await);
                }
                Step::Done { authzid, authcid } => {
                    let outcome = match exchanging.candidate.take() {
                        Some(account) => self.check_authzid(account, authzid.as_deref()),
                        None => Outcome::Wrong,
                    };
                    return Err(self.logged_in(&authcid, outcome).await);
                }
                Step::Failed(failure) => {
                    tracing::debug!(session = self.name, client = %self.peer, reason = %failure, "authentication failed");
                    if failure.is_credentials() {
                        return Err(self.logged_in("", Outcome::Wrong).await);
                    }
                    self.listener.metrics.login("wrong");
                    tokio::time::sleep(self.options().login_failure_delay).await;
                    return Err(Answer::bad("the authentication exchange is malformed"));
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
        match verified {
            Ok(Ok(Some(account))) => self.check_authzid(account, authzid.as_deref()),
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

    async fn check_token(&self, authzid: Option<String>, token: Password) -> Outcome {
        let directory = self.listener.context.directory.clone();
        match tokio::task::spawn_blocking(move || directory.token_verify(token.as_bytes())).await {
            Ok(Ok(Some(account))) => self.check_authzid(account, authzid.as_deref()),
            Ok(Ok(None)) => Outcome::Wrong,
            Ok(Err(error)) => {
                tracing::warn!(session = self.name, %error, "an access token could not be checked");
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

    async fn logged_in(&mut self, user: &str, outcome: Outcome) -> Answer {
        let id = match outcome {
            Outcome::Account(id) => id,
            Outcome::Wrong => {
                self.listener.metrics.login("wrong");
                tracing::warn!(session = self.name, client = %self.peer, user, "login failed");
                self.failures += 1;
                tokio::time::sleep(self.options().login_failure_delay).await;
                return Answer::no(Some(Code::AuthenticationFailed), "user or password wrong");
            }
            Outcome::Unavailable => {
                self.listener.metrics.login("unavailable");
                return Answer::no(Some(Code::Unavailable), "cannot check the login now, try again");
            }
        };
        let store = &self.listener.context.store;
        match blocking(|| store.account(id)) {
            Ok(account) => {
                self.listener.metrics.login("ok");
                tracing::info!(session = self.name, client = %self.peer, user, account = id.0, tls = self.stream.is_tls(), "logged in");
                self.owner = Some(Owner { id, account });
                self.state = State::Authenticated;
                Answer::ok("logged in").with(OwnCode::Capability(self.capabilities()))
            }
            Err(error) => {
                self.listener.metrics.login("unavailable");
                tracing::error!(session = self.name, account = id.0, %error, "the account cannot be opened");
                Answer::no(
                    Some(Code::Unavailable),
                    "the mailboxes cannot be opened; the administrator will find the reason in the log",
                )
            }
        }
    }
}
