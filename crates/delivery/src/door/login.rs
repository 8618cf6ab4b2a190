//! Who is there: passwords and SCRAM, against the directory.

use super::Door;
use db::AccountId;
use net::Stream;
use rand::Rng;
use sasl::{Exchange, Mechanism, Password};
use smtp::{Reply, Status};
use std::fmt::Write;

/// What came of a login.
pub(super) enum Outcome {
    /// In.
    Account(AccountId),
    /// Wrong password, unknown user or disabled account: they all read the same.
    Wrong,
    /// It could not be found out.
    Unavailable,
}

impl Outcome {
    /// What the client is told.
    pub(super) fn answer(&self) -> Result<(), Reply> {
        match self {
            Outcome::Account(_) => Ok(()),
            Outcome::Wrong => Err(Reply::new(535, Status(5, 7, 8), "user or password wrong")),
            Outcome::Unavailable => Err(Reply::new(
                454,
                Status(4, 7, 0),
                "cannot check the login now, try again",
            )),
        }
    }

    /// What is counted.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Outcome::Account(_) => "ok",
            Outcome::Wrong => "wrong",
            Outcome::Unavailable => "unavailable",
        }
    }
}

/// An exchange with a fresh nonce.
pub(super) fn exchange(mechanism: Mechanism, stream: &Stream) -> Exchange {
    let mut nonce = String::with_capacity(48);
    for byte in rand::rng().random::<[u8; 24]>() {
        // Writing to a String cannot fail.
        let _ = write!(nonce, "{byte:02x}");
    }
    Exchange::new(mechanism, nonce, stream.channel_binding())
}

impl Door {
    /// PLAIN and LOGIN.
    pub(super) async fn check_password(&self, authzid: Option<String>, authcid: String, password: Password) -> Outcome {
        if let Some(account) = self.context.directory.password_cached(&authcid, password.as_bytes()) {
            return self.check_authzid(account, authzid.as_deref());
        }
        let directory = self.context.directory.clone();
        let verified =
            tokio::task::spawn_blocking(move || directory.password_verify(&authcid, password.as_bytes())).await;
        match verified {
            Ok(Ok(Some(account))) => self.check_authzid(account, authzid.as_deref()),
            Ok(Ok(None)) => Outcome::Wrong,
            Ok(Err(error)) => {
                tracing::warn!(listener = self.entrance.config().name, %error, "a login could not be checked");
                Outcome::Unavailable
            }
            Err(error) => {
                tracing::error!(listener = self.entrance.config().name, %error, "checking a login failed in our own code; please report this");
                Outcome::Unavailable
            }
        }
    }

    /// OAUTHBEARER and XOAUTH2.
    pub(super) async fn check_token(&self, authzid: Option<String>, token: Password) -> Outcome {
        let directory = self.context.directory.clone();
        match tokio::task::spawn_blocking(move || directory.token_verify(token.as_bytes())).await {
            Ok(Ok(Some(account))) => self.check_authzid(account, authzid.as_deref()),
            Ok(Ok(None)) => Outcome::Wrong,
            Ok(Err(error)) => {
                tracing::warn!(listener = self.entrance.config().name, %error, "an access token could not be checked");
                Outcome::Unavailable
            }
            Err(error) => {
                tracing::error!(listener = self.entrance.config().name, %error, "checking a login failed in our own code; please report this");
                Outcome::Unavailable
            }
        }
    }

    /// EXTERNAL.
    pub(super) fn check_certificate(&self, authzid: Option<&str>, addresses: &[String]) -> Outcome {
        match self.context.directory.certificate_account(addresses) {
            Some(account) => self.check_authzid(account, authzid),
            None => Outcome::Wrong,
        }
    }

    pub(super) fn check_authzid(&self, account: AccountId, authzid: Option<&str>) -> Outcome {
        if self.context.directory.acts_as(account, authzid) {
            Outcome::Account(account)
        } else {
            Outcome::Wrong
        }
    }
}
