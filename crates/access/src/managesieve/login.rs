//! Who is there: AUTHENTICATE against the directory. RFC 5804 §2.1.

use super::commands::Answer;
use super::connection::{Connection, Owner};
use crate::Tls;
use crate::login::{self, Checker, Outcome, Turn};
use managesieve::Code;
use net::blocking;
use sasl::{Mechanism, Offer};
use std::collections::HashMap;

/// An exchange under way.
pub(super) struct Exchanging {
    exchange: login::Exchanging,
    mechanism: Mechanism,
}

impl Connection {
    /// Whether STARTTLS can be done.
    pub(super) fn offers_tls(&self) -> bool {
        matches!(self.listener.config().tls, Tls::Offer(_)) && !self.stream.is_tls()
    }

    /// What mechanisms have here what they need.
    pub(super) fn offer(&self) -> Offer {
        self.checker().offer(self.listener.config().plaintext)
    }

    fn checker(&self) -> Checker<'_> {
        Checker {
            directory: &self.listener.context.directory,
            stream: &self.stream,
            session: &self.name,
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
        Ok(Exchanging {
            exchange: self.checker().begin(mechanism),
            mechanism,
        })
    }

    /// One step: the next challenge, or the answer to the command.
    pub(super) async fn exchange(
        &mut self,
        exchanging: &mut Exchanging,
        response: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Answer> {
        let Exchanging { exchange, mechanism } = exchanging;
        let mut turn = self.checker().turn(exchange, response).await;
        let mut last_words = None;
        // The server's signature ends SCRAM: it goes out with the OK (§1.3, SASL), there is nothing left to respond.
        if let Turn::Challenge(data) = &mut turn
            && mechanism.name().starts_with("SCRAM-")
            && data.starts_with(b"v=")
        {
            last_words = Some(std::mem::take(data));
            turn = self.checker().turn(exchange, Some(Vec::new())).await;
        }
        match turn {
            Turn::Challenge(challenge) => Ok(challenge),
            Turn::Over(user, outcome) => Err(self.logged_in(&user, outcome, last_words).await),
        }
    }

    async fn logged_in(&mut self, user: &str, outcome: Outcome, last_words: Option<Vec<u8>>) -> Answer {
        let id = match outcome {
            Outcome::Account(id) => id,
            Outcome::Wrong => {
                self.listener.metrics.login("wrong");
                tracing::warn!(session = self.name, client = %self.peer, user, "login failed");
                self.failures += 1;
                tokio::time::sleep(self.options().connection.login_failure_delay).await;
                return Answer::no(None, "user or password wrong");
            }
            Outcome::Malformed => {
                self.listener.metrics.login("wrong");
                self.failures += 1;
                tokio::time::sleep(self.options().connection.login_failure_delay).await;
                return Answer::no(None, "the authentication exchange is malformed");
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
