//! The server's side of a connection. The order of commands is RFC 5321 §4.1.4; the parts are in `session/`: commands, message, login.

mod commands;
mod login;
mod message;

use crate::command::Hello;
use crate::data::DataReader;
use crate::header::HeaderScan;
use crate::{Body, Config, Event, Recipient, Reply, Role, Sender, Status, Tls};
use std::borrow::Cow;
use std::sync::Arc;

/// One connection. See the [crate documentation](crate) for how to drive it.
pub struct Session {
    config: Arc<Config>,
    output: Vec<u8>,
    refusals: Vec<u16>,
    stage: Stage,
    queued: Option<Event<'static>>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// Octets of this line so far; past the limit they are not kept, and only its end is looked for.
    line_length: usize,
    /// Octets read and thrown away.
    discarded: u64,
    hello: Option<(Hello, String)>,
    tls: Option<Tls>,
    authenticated: bool,
    transaction: Option<Transaction>,
    quit: bool,
    /// Seconds since 1970.
    now: i64,
    errors: u32,
    refused_recipients: u32,
    login_failures: u32,
}

enum Stage {
    Command,
    /// The next line is the client's part of an AUTH exchange.
    Auth {
        exchange: sasl::Exchange,
        round: u32,
    },
    /// The message, after DATA.
    Data(DataReader),
    /// The octets of a BDAT.
    Chunk {
        size: u64,
        left: u64,
        last: bool,
        refuse: Option<Reply>,
    },
    /// The caller owes an answer.
    Waiting(Waiting),
    Closed,
}

enum Waiting {
    Sender { smtputf8: bool, body: Body },
    Recipient,
    StartData,
    StartChunk { size: u64, last: bool },
    Message,
    Exchange { initial: Option<Vec<u8>> },
    Credentials { exchange: sasl::Exchange, round: u32 },
    Login,
    Token { exchange: sasl::Exchange, round: u32 },
    Tls,
}

/// What stands between MAIL and the end of the message.
struct Transaction {
    smtputf8: bool,
    body: Body,
    recipients: usize,
    message: Option<Message>,
}

/// A message on its way in.
#[derive(Default)]
struct Message {
    size: u64,
    header: HeaderScan,
    failed: Option<Reply>,
}

enum Line<'a> {
    Whole(Cow<'a, [u8]>),
    TooLong,
}

impl Session {
    /// A session on a fresh connection; the greeting is in the output. `tls`: it was shaken before the first byte (RFC 8314).
    pub fn new(config: Arc<Config>, tls: Option<Tls>) -> Session {
        let protocol = if config.role == Role::Lmtp { "LMTP" } else { "ESMTP" };
        let mut session = Session {
            output: Vec::with_capacity(512),
            refusals: Vec::new(),
            stage: Stage::Command,
            queued: None,
            line: Vec::new(),
            line_length: 0,
            discarded: 0,
            hello: None,
            tls,
            authenticated: false,
            transaction: None,
            quit: false,
            now: 0,
            errors: 0,
            refused_recipients: 0,
            login_failures: 0,
            config,
        };
        session.say(&Reply::bare(
            220,
            format!("{} {protocol} Rohrpost", session.config.hostname),
        ));
        session
    }

    /// Takes the next event off the front of the input. `None`: the input is used up, or an answer is owed.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        loop {
            if let Some(event) = self.queued.take() {
                return Some(event);
            }
            match &mut self.stage {
                Stage::Waiting(_) => return None,
                Stage::Closed => {
                    *input = &[];
                    return Some(Event::Close);
                }
                Stage::Command | Stage::Auth { .. } => {
                    match self.line(input) {
                        Some(line) => self.take_line(&line),
                        None if matches!(self.stage, Stage::Closed) => continue,
                        None => return None,
                    }
                    if matches!(self.stage, Stage::Waiting(Waiting::Tls)) {
                        // RFC 3207 §6: what came with STARTTLS came from anybody.
                        *input = &[];
                    }
                }
                Stage::Data(reader) => {
                    let piece = reader.next(input)?;
                    let bare = reader.bare();
                    if let Some(event) = self.take_piece(piece, bare) {
                        return Some(event);
                    }
                }
                Stage::Chunk { left, .. } => {
                    if *left > 0 && input.is_empty() {
                        return None;
                    }
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    *left -= length as u64;
                    let (data, rest) = input.split_at(length);
                    *input = rest;
                    if let Some(event) = self.take_chunk(data) {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// Says what time it is, in seconds since 1970. Needed where [`Config::future_release`] is set: a client is told until when at the latest a
    /// message may wait.
    pub fn set_time(&mut self, now: i64) {
        self.now = now;
    }

    /// Replies that are to be written; the caller empties it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The codes of the refusals (4xx, 5xx) since this was last called, for the counters.
    pub fn refusals(&mut self) -> impl Iterator<Item = u16> + '_ {
        self.refusals.drain(..)
    }

    /// Ends the session from outside (shutdown, a time limit) with this reply, usually a `421`.
    pub fn close(&mut self, reply: &Reply) {
        if !matches!(self.stage, Stage::Closed) {
            self.say(reply);
            self.stage = Stage::Closed;
        }
    }

    /// Whether the client is between transactions, with nothing half said: the moment to hang up on it.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Command) && self.transaction.is_none() && self.line.is_empty()
    }

    /// Whether bytes of a message are on their way, or its final reply.
    pub fn is_in_message(&self) -> bool {
        let waiting = matches!(self.stage, Stage::Waiting(Waiting::Message));
        waiting
            || self
                .transaction
                .as_ref()
                .is_some_and(|transaction| transaction.message.is_some())
    }

    /// Whether it was the client who ended the session, with `QUIT`: it will not send anything more.
    pub fn has_quit(&self) -> bool {
        self.quit
    }

    /// What the client called itself; empty before EHLO, HELO or LHLO.
    pub fn helo(&self) -> &str {
        self.hello.as_ref().map_or("", |(_, name)| name)
    }

    /// The TLS of the connection.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Whether the client has logged in.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The keyword of the transaction's protocol for Received: RFC 3848 and RFC 6531 §4.3.
    pub fn protocol(&self) -> &'static str {
        let utf8 = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.smtputf8);
        let lmtp = self.config.role == Role::Lmtp;
        let extended = self.extended();
        match (lmtp, utf8, self.tls.is_some(), self.authenticated) {
            (false, false, false, false) if !extended => "SMTP",
            (false, false, false, false) => "ESMTP",
            (false, false, true, false) => "ESMTPS",
            (false, false, false, true) => "ESMTPA",
            (false, false, true, true) => "ESMTPSA",
            (false, true, false, false) => "UTF8SMTP",
            (false, true, true, false) => "UTF8SMTPS",
            (false, true, false, true) => "UTF8SMTPA",
            (false, true, true, true) => "UTF8SMTPSA",
            (true, false, false, false) => "LMTP",
            (true, false, true, false) => "LMTPS",
            (true, false, false, true) => "LMTPA",
            (true, false, true, true) => "LMTPSA",
            (true, true, false, false) => "UTF8LMTP",
            (true, true, true, false) => "UTF8LMTPS",
            (true, true, false, true) => "UTF8LMTPA",
            (true, true, true, true) => "UTF8LMTPSA",
        }
    }

    /// The settings the session was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The handshake that [`Event::StartTls`] asked for is done. Everything the client said before is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self, tls: Tls) {
        if matches!(self.stage, Stage::Waiting(Waiting::Tls)) {
            self.stage = Stage::Command;
            self.tls = Some(tls);
            self.hello = None;
            self.authenticated = false;
            self.transaction = None;
            self.line.clear();
        }
    }

    /// Answers [`Event::CheckSender`].
    pub fn answer_sender(&mut self, answer: Result<(), Reply>) {
        let Stage::Waiting(Waiting::Sender { smtputf8, body }) = self.stage else {
            return;
        };
        self.stage = Stage::Command;
        match answer {
            Ok(()) => {
                self.transaction = Some(Transaction {
                    smtputf8,
                    body,
                    recipients: 0,
                    message: None,
                });
                self.say_fixed(b"250 2.1.0 sender ok\r\n");
            }
            Err(reply) => self.fail(&reply),
        }
    }

    /// Answers [`Event::CheckRecipient`].
    pub fn answer_recipient(&mut self, answer: Result<(), Reply>) {
        if !matches!(self.stage, Stage::Waiting(Waiting::Recipient)) {
            return;
        }
        self.stage = Stage::Command;
        match answer {
            Ok(()) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
                self.say_fixed(b"250 2.1.5 recipient ok\r\n");
            }
            Err(reply) => {
                self.refused_recipients += u32::from(reply.code() >= 500);
                if self.refused_recipients >= self.config.limits.refused_recipients {
                    self.close(&Reply::new(421, Status(4, 7, 0), "too many recipients that cannot be"));
                } else {
                    self.say(&reply);
                }
            }
        }
    }

    /// The client may use what EHLO and LHLO offer.
    fn extended(&self) -> bool {
        matches!(self.hello, Some((Hello::Ehlo | Hello::Lhlo, _)))
    }

    fn say(&mut self, reply: &Reply) {
        if reply.is_refusal() {
            self.refusals.push(reply.code());
        }
        reply.write(&mut self.output);
    }

    /// The replies of the hot path, ready made.
    fn say_fixed(&mut self, reply: &'static [u8]) {
        self.output.extend_from_slice(reply);
    }

    /// A refusal that counts as the client's error.
    fn fail(&mut self, reply: &Reply) {
        self.errors += 1;
        if self.errors >= self.config.limits.errors {
            self.close(&Reply::new(421, Status(4, 7, 0), "too many errors"));
        } else {
            self.say(reply);
        }
    }

    /// Bytes were thrown away; whether the session bears it.
    fn discard(&mut self, octets: u64) -> bool {
        self.discarded = self.discarded.saturating_add(octets);
        self.discarded <= self.config.limits.discard
    }

    /// Takes a line, with its LF, off the front of the input.
    fn line<'a>(&mut self, input: &mut &'a [u8]) -> Option<Line<'a>> {
        let limit = match self.stage {
            Stage::Auth { .. } => self.config.limits.auth_line,
            _ => self.config.limits.command_line,
        };
        let end = memchr::memchr(b'\n', input);
        let (part, rest) = input.split_at(end.map_or(input.len(), |at| at + 1));
        *input = rest;
        self.line_length = self.line_length.saturating_add(part.len());
        if self.line_length > limit {
            self.line = Vec::new();
            let length = self.line_length as u64;
            if self.discarded.saturating_add(length) > self.config.limits.discard {
                self.close(&Reply::new(421, Status(4, 7, 0), "a line without end"));
                return None;
            }
            end?;
            self.line_length = 0;
            self.discard(length);
            return Some(Line::TooLong);
        }
        if end.is_none() {
            self.line.extend_from_slice(part);
            return None;
        }
        self.line_length = 0;
        if self.line.is_empty() {
            return Some(Line::Whole(Cow::Borrowed(part)));
        }
        self.line.extend_from_slice(part);
        Some(Line::Whole(Cow::Owned(std::mem::take(&mut self.line))))
    }

    fn take_line(&mut self, line: &Line<'_>) {
        let in_auth = matches!(self.stage, Stage::Auth { .. });
        if in_auth && !self.is_auth_line(line) {
            // Half an exchange is of no use: the client begins again.
            self.stage = Stage::Command;
        }
        let line = match line {
            Line::Whole(line) => line.strip_suffix(b"\n").unwrap_or(line),
            Line::TooLong if in_auth => {
                self.stage = Stage::Command;
                return self.fail(&Reply::new(
                    500,
                    Status(5, 5, 6),
                    "authentication exchange line too long",
                ));
            }
            Line::TooLong => return self.fail(&Reply::new(500, Status(5, 5, 2), "line too long")),
        };
        let line = match line.strip_suffix(b"\r") {
            Some(line) => line,
            None if self.config.bare_newlines => line,
            None => return self.fail(&Reply::new(500, Status(5, 5, 2), "a line ends with CR and LF")),
        };
        if in_auth {
            self.take_auth_line(line);
        } else if line.iter().any(|&b| b.is_ascii_control() && b != b'\t') {
            self.fail(&Reply::new(500, Status(5, 5, 2), "control characters in a command"));
        } else if let Ok(line) = std::str::from_utf8(line) {
            self.take_command(line);
        } else {
            self.fail(&Reply::new(500, Status(5, 5, 2), "a command must be UTF-8"));
        }
    }

    /// Whether the line can be a part of an AUTH exchange at all.
    fn is_auth_line(&self, line: &Line<'_>) -> bool {
        match line {
            Line::Whole(line) => self.config.bare_newlines || line.ends_with(b"\r\n"),
            Line::TooLong => false,
        }
    }

    fn wait(&mut self, waiting: Waiting, event: Event<'static>) {
        self.stage = Stage::Waiting(waiting);
        self.queued = Some(event);
    }

    fn ask_sender(&mut self, sender: Sender) {
        self.wait(
            Waiting::Sender {
                smtputf8: sender.smtputf8,
                body: sender.body,
            },
            Event::CheckSender(sender),
        );
    }

    fn ask_recipient(&mut self, recipient: Recipient) {
        self.wait(Waiting::Recipient, Event::CheckRecipient(recipient));
    }
}
