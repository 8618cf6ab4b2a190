//! `AUTH`: RFC 4954. The mechanisms are the `sasl` crate's; here are the lines around them.

use super::{Session, Stage, Waiting};
use crate::{Event, Reply, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

impl Session {
    /// Answers [`Event::AuthStart`] with an exchange of that mechanism, made with a fresh nonce and the connection's channel binding.
    pub fn answer_exchange(&mut self, mut exchange: sasl::Exchange) {
        if !matches!(self.stage, Stage::Waiting(Waiting::Exchange { .. })) {
            return;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Command);
        if let Stage::Waiting(Waiting::Exchange { initial }) = stage {
            let step = exchange.respond(initial.as_deref());
            wipe(initial);
            self.take_step(exchange, step, 0);
        }
    }

    /// Answers [`Event::Credentials`].
    pub fn answer_credentials(&mut self, credentials: sasl::ScramCredentials) {
        if !matches!(self.stage, Stage::Waiting(Waiting::Credentials { .. })) {
            return;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Command);
        if let Stage::Waiting(Waiting::Credentials { mut exchange, round }) = stage {
            let step = exchange.credentials(credentials);
            self.take_step(exchange, step, round);
        }
    }

    /// Answers [`Event::CheckToken`]. A refused client is first told why, inside the mechanism (RFC 7628 §3.2.2).
    pub fn answer_token(&mut self, answer: Result<(), Reply>) {
        if !matches!(self.stage, Stage::Waiting(Waiting::Token { .. })) {
            return;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Command);
        let Stage::Waiting(Waiting::Token { mut exchange, round }) = stage else {
            return;
        };
        match answer {
            Err(reply) if reply.code() == 535 => {
                let step = exchange.token_refused();
                self.take_step(exchange, step, round);
            }
            answer => {
                self.stage = Stage::Waiting(Waiting::Login);
                self.answer_login(answer);
            }
        }
    }

    /// Answers [`Event::CheckPassword`], [`Event::CheckLogin`] and [`Event::CheckCertificate`].
    pub fn answer_login(&mut self, answer: Result<(), Reply>) {
        if !matches!(self.stage, Stage::Waiting(Waiting::Login)) {
            return;
        }
        self.stage = Stage::Command;
        match answer {
            Ok(()) => {
                self.authenticated = true;
                self.say(&Reply::new(235, Status(2, 7, 0), "welcome"));
            }
            Err(reply) => self.login_failed(&reply),
        }
    }

    /// `AUTH mechanism [initial-response]`
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        let authentication = self.config.authentication;
        let wrong = |text: &'static str| Reply::new(503, Status(5, 5, 1), text);
        let refusal = if !authentication.offered {
            Some(Reply::new(502, Status(5, 5, 1), "nobody logs in here"))
        } else if self.authenticated {
            Some(wrong("you are logged in already"))
        } else if self.tls.is_none() && !authentication.plaintext {
            Some(Reply::new(
                538,
                Status(5, 7, 11),
                "logging in needs TLS: say STARTTLS first",
            ))
        } else if !self.extended() {
            Some(wrong("say EHLO first"))
        } else if self.transaction.is_some() {
            Some(wrong("not within a transaction"))
        } else {
            None
        };
        if let Some(reply) = refusal {
            return self.fail(&reply);
        }
        let mechanism = sasl::Mechanism::parse(mechanism);
        let mechanism = mechanism.filter(|&mechanism| self.offers(mechanism));
        let Some(mechanism) = mechanism else {
            return self.fail(&Reply::new(504, Status(5, 5, 4), "this mechanism is not known here"));
        };
        let initial = match initial {
            None => None,
            Some("=") => Some(Vec::new()),
            Some(text) => match BASE64.decode(text) {
                Ok(bytes) => Some(bytes),
                Err(_) => return self.fail(&not_base64()),
            },
        };
        self.wait(Waiting::Exchange { initial }, Event::AuthStart(mechanism));
    }

    /// The client's next part: base64, or `*` to leave off.
    pub(super) fn take_auth_line(&mut self, line: &[u8]) {
        let Stage::Auth { mut exchange, round } = std::mem::replace(&mut self.stage, Stage::Command) else {
            return;
        };
        if line == b"*" {
            return self.fail(&Reply::new(501, Status(5, 7, 0), "login cancelled"));
        }
        match BASE64.decode(line) {
            Ok(response) => {
                let step = exchange.respond(Some(&response));
                wipe(Some(response));
                self.take_step(exchange, step, round);
            }
            Err(_) => self.fail(&not_base64()),
        }
    }

    fn take_step(&mut self, exchange: sasl::Exchange, step: sasl::Step, round: u32) {
        match step {
            sasl::Step::Challenge(_) if round >= self.config.limits.auth_rounds => {
                self.login_failed(&Reply::new(535, Status(5, 7, 8), "the login goes round in circles"));
            }
            sasl::Step::Challenge(challenge) => {
                self.output.extend_from_slice(b"334 ");
                self.output.extend_from_slice(BASE64.encode(challenge).as_bytes());
                self.output.extend_from_slice(b"\r\n");
                self.stage = Stage::Auth {
                    exchange,
                    round: round + 1,
                };
            }
            sasl::Step::Password {
                authzid,
                authcid,
                password,
            } => {
                self.wait(
                    Waiting::Login,
                    Event::CheckPassword {
                        authzid,
                        authcid,
                        password,
                    },
                );
            }
            sasl::Step::Credentials { authcid, hash } => {
                self.wait(
                    Waiting::Credentials { exchange, round },
                    Event::Credentials { authcid, hash },
                );
            }
            sasl::Step::Token { authzid, token } => {
                self.wait(Waiting::Token { exchange, round }, Event::CheckToken { authzid, token });
            }
            sasl::Step::External { authzid } => self.wait(Waiting::Login, Event::CheckCertificate { authzid }),
            sasl::Step::Done { authzid, authcid } => self.wait(Waiting::Login, Event::CheckLogin { authzid, authcid }),
            sasl::Step::Failed(failure) => {
                let reply = match failure {
                    sasl::Failure::Malformed(_) => Reply::new(501, Status(5, 5, 2), "not what this mechanism expects"),
                    sasl::Failure::TooLong(_) => Reply::new(500, Status(5, 5, 6), "authentication exchange too long"),
                    _ => Reply::new(535, Status(5, 7, 8), "user or password wrong"),
                };
                self.queued = Some(Event::LoginFailed(failure));
                self.login_failed(&reply);
            }
        }
    }

    fn login_failed(&mut self, reply: &Reply) {
        self.login_failures += 1;
        if self.login_failures >= self.config.limits.login_failures {
            self.close(&Reply::new(421, Status(4, 7, 0), "too many failed logins"));
        } else {
            self.say(reply);
        }
    }
}

fn not_base64() -> Reply {
    Reply::new(501, Status(5, 5, 2), "not base64")
}

/// What a client sent may be a password; it does not stay in freed memory.
fn wipe(bytes: Option<Vec<u8>>) {
    if let Some(mut bytes) = bytes {
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}
