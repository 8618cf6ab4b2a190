//! Who is there: LOGIN and AUTHENTICATE against the directory. RFC 9051 §6.2.

use crate::Tls;
use crate::imap::answer::{Answer, OwnCode};
use crate::imap::blocking;
use crate::imap::capability::Entry;
use crate::imap::connection::{Connection, Owner};
use crate::login::{Checker, Exchanging, Outcome, Turn};
use imap::State;
use imap::command::Login;
use imap::response::Code;
use sasl::{Mechanism, Password};

impl Connection {
    /// What this connection has to offer before login.
    pub(crate) fn door(&self) -> Entry {
        let tls = self.stream.is_tls();
        Entry {
            starttls: matches!(self.listener.config().tls, Tls::Offer(_)) && !tls,
            offer: self.checker().offer(self.listener.config().plaintext),
        }
    }

    fn checker(&self) -> Checker<'_> {
        Checker {
            directory: &self.listener.context.directory,
            stream: &self.stream,
            session: &self.name,
        }
    }

    /// LOGIN.
    pub(crate) async fn login(&mut self, login: Login) -> Answer {
        if !self.door().offer.secrets {
            return Answer::no(Some(Code::PrivacyRequired), "start TLS first");
        }
        let Login { user, password } = login;
        let outcome = self.checker().password(None, &user, Password::new(password)).await;
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
        Ok(self.checker().begin(mechanism))
    }

    /// One step: the next challenge, or the answer to the command.
    pub(crate) async fn exchange(
        &mut self,
        exchanging: &mut Exchanging,
        response: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Answer> {
        match self.checker().turn(exchanging, response).await {
            Turn::Challenge(challenge) => Ok(challenge),
            Turn::Over(user, outcome) => Err(self.logged_in(&user, outcome).await),
        }
    }

    async fn logged_in(&mut self, user: &str, outcome: Outcome) -> Answer {
        let id = match outcome {
            Outcome::Account(id) => id,
            Outcome::Wrong => {
                self.listener.metrics.login("wrong");
                tracing::warn!(session = self.name, client = %self.peer, user, "login failed");
                self.failures += 1;
                tokio::time::sleep(self.options().connection.login_failure_delay).await;
                return Answer::no(Some(Code::AuthenticationFailed), "user or password wrong");
            }
            Outcome::Malformed => {
                self.listener.metrics.login("wrong");
                tokio::time::sleep(self.options().connection.login_failure_delay).await;
                return Answer::bad("the authentication exchange is malformed");
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
