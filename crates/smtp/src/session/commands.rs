//! What each command does where it stands.

use super::{Session, Stage, Waiting};
use crate::command::{self, Command, Hello, Wrong};
use crate::{Body, Event, Reply, Role, Sender, Status};
use std::fmt::Write;

impl Session {
    pub(super) fn take_command(&mut self, line: &str) {
        match command::parse(line) {
            Ok(command) => self.run(command),
            Err(Wrong { reply, lost: false }) => self.fail(&reply),
            Err(Wrong { reply, lost: true }) => self.close(&reply),
        }
    }

    fn run(&mut self, command: Command<'_>) {
        match command {
            Command::Hello { kind, name } => self.hello(kind, name),
            Command::Quit => {
                self.quit = true;
                self.close(&Reply::new(221, Status(2, 0, 0), "goodbye"));
            }
            Command::Noop => self.say_fixed(b"250 2.0.0 ok\r\n"),
            Command::Rset => {
                self.abort();
                self.say_fixed(b"250 2.0.0 ok\r\n");
            }
            Command::Help => self.say(&Reply::new(
                214,
                Status(2, 0, 0),
                "EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT\nRFC 5321 says the rest",
            )),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::OtherProtocol => self.close(&Reply::new(421, Status(4, 7, 0), "this is a mail server")),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Mail { .. } | Command::Rcpt { .. } | Command::Data | Command::Vrfy | Command::Expn => {
                if let Some(reply) = self.barred() {
                    return self.fail(&reply);
                }
                match command {
                    Command::Mail { path, parameters } => {
                        let future = self.config.future_release.is_some();
                        let sender = self
                            .may_mail()
                            .and_then(|()| command::sender(path, parameters, self.extended(), future));
                        let fits = |sender: &Sender| {
                            self.fits(sender.size)
                                .and_then(|()| self.may_require_tls(sender.requiretls))
                        };
                        match sender.and_then(|sender| fits(&sender).map(|()| sender)) {
                            Ok(sender) => self.ask_sender(sender),
                            Err(reply) => self.fail(&reply),
                        }
                    }
                    Command::Rcpt { address, parameters } => {
                        let smtputf8 = self
                            .transaction
                            .as_ref()
                            .is_some_and(|transaction| transaction.smtputf8);
                        let recipient = self
                            .may_rcpt()
                            .and_then(|()| command::recipient(address, parameters, self.extended(), smtputf8));
                        match recipient {
                            Ok(_) if self.is_full() => {
                                self.say(&Reply::new(
                                    452,
                                    Status(4, 5, 3),
                                    "too many recipients, send the others in a further message",
                                ));
                            }
                            Ok(recipient) => self.ask_recipient(recipient),
                            Err(reply) => self.fail(&reply),
                        }
                    }
                    Command::Data => match self.may_data() {
                        Ok(()) => self.wait(Waiting::StartData, Event::MessageStart),
                        Err(reply) => self.fail(&reply),
                    },
                    Command::Vrfy => {
                        self.say(&Reply::new(
                            252,
                            Status(2, 0, 0),
                            "cannot verify, but send the message and it will be tried",
                        ));
                    }
                    _ => self.fail(&Reply::new(502, Status(5, 5, 1), "lists are not expanded here")),
                }
            }
        }
    }

    /// RFC 5321 §4.1.1.1, RFC 2033 §4.1. A hello also ends a transaction.
    fn hello(&mut self, kind: Hello, name: &str) {
        let lmtp = self.config.role == Role::Lmtp;
        if lmtp != (kind == Hello::Lhlo) {
            let text = if lmtp {
                "this is LMTP: say LHLO"
            } else {
                "this is SMTP: say EHLO"
            };
            return self.fail(&Reply::new(500, Status(5, 5, 1), text));
        }
        self.abort();
        self.hello = Some((kind, name.to_owned()));
        let mut text = self.config.hostname.clone();
        if kind == Hello::Helo {
            return self.say(&Reply::bare(250, text));
        }
        let limits = &self.config.limits;
        // Writing to a String cannot fail.
        let _ = write!(text, "\nPIPELINING\nSIZE {}", limits.message_size);
        text.push_str("\n8BITMIME\nSMTPUTF8\nCHUNKING\nBINARYMIME\nDSN\nENHANCEDSTATUSCODES");
        let _ = write!(text, "\nLIMITS RCPTMAX={}", limits.recipients);
        if let Some(longest) = self.config.future_release {
            let last = crate::timestamp(self.now.saturating_add(i64::from(longest)));
            let _ = write!(text, "\nFUTURERELEASE {longest} {last}");
        }
        if self.config.starttls && self.tls.is_none() {
            text.push_str("\nSTARTTLS");
        }
        // RFC 8689 §2: only where there is TLS already.
        if self.tls.is_some() {
            text.push_str("\nREQUIRETLS");
        }
        let authentication = self.config.authentication;
        if authentication.offered && !self.authenticated && (self.tls.is_some() || authentication.plaintext) {
            text.push_str("\nAUTH");
            for mechanism in sasl::Mechanism::ALL {
                if self.offers(mechanism) {
                    text.push(' ');
                    text.push_str(mechanism.name());
                }
            }
        }
        self.say(&Reply::bare(250, text));
    }

    /// RFC 3207 §4.
    fn start_tls(&mut self) {
        if self.tls.is_some() {
            return self.fail(&Reply::new(503, Status(5, 5, 1), "TLS is on already"));
        }
        if !self.config.starttls {
            return self.fail(&Reply::new(502, Status(5, 5, 1), "there is no TLS here"));
        }
        self.transaction = None;
        self.say(&Reply::new(220, Status(2, 0, 0), "go ahead"));
        self.wait(Waiting::Tls, Event::StartTls);
    }

    /// Whether the connection has what a mechanism needs; that it may log in at all is asked before.
    pub(super) fn offers(&self, mechanism: sasl::Mechanism) -> bool {
        let tls = self.tls.as_ref();
        let binding = if tls.is_some_and(|tls| tls.binding) {
            // Its value is the caller's; here counts that there is one.
            sasl::ChannelBinding::TlsExporter(Vec::new())
        } else {
            sasl::ChannelBinding::None
        };
        mechanism.is_offered(&sasl::Offer {
            secrets: tls.is_some() || self.config.authentication.plaintext,
            binding,
            tokens: self.config.authentication.tokens,
            certificate: tls.is_some_and(|tls| tls.certificate),
        })
    }

    /// Ends the transaction, if there is one, and tells the caller.
    fn abort(&mut self) {
        if self.transaction.take().is_some() {
            self.queued = Some(Event::Aborted);
        }
    }

    /// RFC 4954 §6: what is refused until the client has logged in.
    pub(super) fn barred(&self) -> Option<Reply> {
        let authentication = self.config.authentication;
        if !authentication.required || self.authenticated {
            return None;
        }
        let text = if self.tls.is_none() && !authentication.plaintext {
            "say STARTTLS first, then log in"
        } else {
            "log in first"
        };
        Some(Reply::new(530, Status(5, 7, 0), text))
    }

    fn may_mail(&self) -> Result<(), Reply> {
        if self.hello.is_none() {
            return Err(Reply::new(503, Status(5, 5, 1), "say hello first"));
        }
        if self.transaction.is_some() {
            return Err(Reply::new(503, Status(5, 5, 1), "the sender is known already"));
        }
        Ok(())
    }

    /// RFC 1870 §6.1: an announced size that is too large is refused at once.
    fn fits(&self, size: Option<u64>) -> Result<(), Reply> {
        let limit = self.config.limits.message_size;
        if size.is_some_and(|size| size > limit) {
            return Err(too_large(limit));
        }
        Ok(())
    }

    /// RFC 8689 §2: what has come in the clear cannot be kept from listeners any more.
    fn may_require_tls(&self, required: bool) -> Result<(), Reply> {
        if required && self.tls.is_none() {
            return Err(Reply::new(
                530,
                Status(5, 7, 10),
                "REQUIRETLS is for connections with TLS",
            ));
        }
        Ok(())
    }

    fn may_rcpt(&self) -> Result<(), Reply> {
        match &self.transaction {
            None => Err(Reply::new(503, Status(5, 5, 1), "MAIL comes first")),
            Some(transaction) if transaction.message.is_some() => {
                Err(Reply::new(503, Status(5, 5, 1), "BDAT has begun"))
            }
            Some(_) => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|transaction| transaction.recipients >= self.config.limits.recipients)
    }

    fn may_data(&self) -> Result<(), Reply> {
        match &self.transaction {
            None => Err(Reply::new(503, Status(5, 5, 1), "MAIL comes first")),
            Some(transaction) if transaction.message.is_some() => {
                Err(Reply::new(503, Status(5, 5, 1), "BDAT has begun"))
            }
            Some(transaction) if transaction.recipients == 0 => Err(self.nobody()),
            Some(transaction) if transaction.body == Body::Binary => {
                Err(Reply::new(503, Status(5, 5, 1), "BINARYMIME comes by BDAT only"))
            }
            Some(_) => Ok(()),
        }
    }

    /// RFC 2033 §4.2 has its own code for a message to nobody.
    pub(super) fn nobody(&self) -> Reply {
        let code = if self.config.role == Role::Lmtp { 503 } else { 554 };
        Reply::new(code, Status(5, 5, 1), "no valid recipients")
    }

    /// The first BDAT of a message, or a further one: RFC 3030 §2. Its octets follow at once, whatever the answer.
    fn bdat(&mut self, size: u64, last: bool) {
        let refuse = self.barred().or_else(|| match &self.transaction {
            None => Some(Reply::new(503, Status(5, 5, 1), "MAIL comes first")),
            Some(transaction) if transaction.recipients == 0 => Some(self.nobody()),
            Some(_) => None,
        });
        if refuse.is_none()
            && self
                .transaction
                .as_ref()
                .is_some_and(|transaction| transaction.message.is_none())
        {
            self.wait(Waiting::StartChunk { size, last }, Event::MessageStart);
        } else {
            self.begin_chunk(size, last, refuse);
        }
    }

    pub(super) fn begin_chunk(&mut self, size: u64, last: bool, refuse: Option<Reply>) {
        self.stage = Stage::Chunk {
            size,
            left: size,
            last,
            refuse,
        };
    }
}

pub(super) fn too_large(limit: u64) -> Reply {
    Reply::new(552, Status(5, 3, 4), format!("a message may have {limit} octets"))
}
