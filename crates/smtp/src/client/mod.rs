//! The client's side of a connection: SMTP (RFC 5321) and LMTP (RFC 2033), without socket or clock.
//!
//! The caller owns the socket, the time and every decision:
//!
//! 1. Bytes go in through [`Session::next`], which takes what it needs from the front of a slice and gives back an [`Event`].
//! 2. When nothing is under way ([`Event::Ready`]), the caller says what comes next: [`start_tls`](Session::start_tls),
//!    [`login`](Session::login), [`send`](Session::send), [`quit`](Session::quit).
//! 3. What is to be written gathers in [`Session::output`].
//! 4. [`Session::phase`] says what the session waits for, and [`Timeouts`] for how long that may take (RFC 5321 §4.5.3.2). When it took too
//!    long, or the connection ended, [`Session::end`] says what that means for each recipient.
//!
//! A transaction is `MAIL`, `RCPT` for each recipient and the message, in one group where the server has PIPELINING (RFC 2920), and `BDAT`
//! (RFC 3030) instead of `DATA` where it has CHUNKING. Its outcome is one [`Fate`] for each recipient. The session is exact about the one
//! thing that cannot be known: when a connection ends after the last octet of a message and before the answer, the server may have taken it
//! or not (RFC 1047). That is [`Fate::Doubtful`].
//!
//! The parts: `reply` reads replies, `capabilities` the answer to EHLO, `content` looks at the message, `transaction` holds what is
//! under way.

mod capabilities;
mod content;
mod reply;
mod timeouts;
mod transaction;

pub use capabilities::Capabilities;
pub use content::{Content, Scan};
pub use reply::{Limits, Reply, Violation};
pub use timeouts::{Phase, Timeouts};
pub use transaction::{Fate, Mail, Recipient, Refusal};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reply::Reader;
use sasl::client::Login;
use std::collections::VecDeque;
use transaction::{Step, Transaction};

/// Challenges of one login. No mechanism has more than three.
const LOGIN_ROUNDS: u32 = 6;

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: `LHLO`, and an answer for each recipient behind the message.
    Lmtp,
}

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is spoken.
    pub dialect: Dialect,
    /// What we call ourselves: a domain name, or an address literal.
    pub name: String,
    /// How much is too much.
    pub limits: Limits,
    /// A message of up to so many octets goes with `MAIL` and `RCPT` in one write where the server has PIPELINING and CHUNKING; a longer one
    /// waits until it is known who takes it.
    pub eager: u64,
}

impl Config {
    /// Settings with defaults.
    pub fn new(dialect: Dialect, name: impl Into<String>) -> Config {
        Config {
            dialect,
            name: name.into(),
            limits: Limits::default(),
            eager: 64 * 1024,
        }
    }
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing is under way, and the server has said what it can do.
    Ready,
    /// The server will not have us: its greeting or its answer to EHLO refuses. Only [`quit`](Session::quit) makes sense.
    Rejected(Reply),
    /// Give [`next`](Session::next) what is left of the input (there must be nothing), shake hands, then call
    /// [`tls_started`](Session::tls_started).
    StartTls,
    /// `STARTTLS` was refused; the connection is as it was.
    TlsRefused(Reply),
    /// We are logged in.
    LoggedIn,
    /// We are not; the text says why.
    LoginFailed(String),
    /// Give the message: [`body`](Session::body) for each piece, then [`body_end`](Session::body_end), as long as
    /// [`wants_body`](Session::wants_body). The session reads replies meanwhile.
    Body,
    /// The transaction is over: one fate for each recipient.
    Done(Vec<Fate>),
    /// The server has closed the service (`421`) while nothing was under way.
    Closed(Reply),
    /// The answer to `QUIT`. Close.
    Goodbye,
    /// The server did what no reading of the standard allows; close. What was under way is told by [`end`](Session::end).
    Broken(Violation),
}

/// What a reply is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Greeting,
    Extended,
    Helo,
    StartTls,
    Auth,
    Reset,
    Mail,
    Recipient(usize),
    Data,
    Message,
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Between the answer to STARTTLS and [`Session::tls_started`].
    Handshake,
    /// Nothing can follow.
    Closed,
}

/// One connection, seen from the client.
#[derive(Debug)]
pub struct Session {
    config: Config,
    reader: Reader,
    output: Vec<u8>,
    awaited: VecDeque<Awaited>,
    events: VecDeque<Event>,
    state: State,
    capabilities: Capabilities,
    tls: bool,
    login: Option<(Login, u32)>,
    transaction: Option<Transaction>,
    /// A transaction was begun and not ended: RSET comes before the next.
    needs_reset: bool,
    mails: u32,
    replies: u64,
}

impl Session {
    /// A session that waits for the greeting. `tls`: the connection is encrypted from the first octet.
    pub fn new(config: Config, tls: bool) -> Session {
        Session {
            reader: Reader::new(config.limits.clone()),
            config,
            output: Vec::new(),
            awaited: VecDeque::from([Awaited::Greeting]),
            events: VecDeque::new(),
            state: State::Open,
            capabilities: Capabilities::default(),
            tls,
            login: None,
            transaction: None,
            needs_reset: false,
            mails: 0,
            replies: 0,
        }
    }

    /// What is to be written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// What the server can do, as it last said.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether another transaction can begin.
    pub fn is_ready(&self) -> bool {
        self.state == State::Open && self.awaited.is_empty() && self.transaction.is_none()
    }

    /// Transactions that were begun on this connection.
    pub fn mails(&self) -> u32 {
        self.mails
    }

    /// Replies that were read. As long as this stays the same, the session waits for the same thing.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// Whether the server still waits for octets of the message.
    pub fn wants_body(&self) -> bool {
        self.state == State::Open && self.transaction.as_ref().is_some_and(Transaction::wants_body)
    }

    /// What it waits for.
    pub fn phase(&self) -> Phase {
        if self.state == State::Handshake {
            return Phase::Handshake;
        }
        if self.wants_body() {
            return Phase::Content;
        }
        match self.awaited.front() {
            None => Phase::Idle,
            Some(Awaited::Greeting) => Phase::Greeting,
            Some(Awaited::Mail) => Phase::Mail,
            Some(Awaited::Recipient(_)) => Phase::Recipient,
            Some(Awaited::Data) => Phase::Data,
            Some(Awaited::Message) => Phase::End,
            Some(Awaited::Quit) => Phase::Quit,
            Some(Awaited::Extended | Awaited::Helo | Awaited::StartTls | Awaited::Auth | Awaited::Reset) => {
                Phase::Command
            }
        }
    }

    /// Takes what it needs from the front of `input`; an event, or `None` when it needs more.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.state == State::Closed || input.is_empty() {
                return None;
            }
            let result = if self.state == State::Handshake {
                Err(Violation::BehindStartTls)
            } else {
                match self.reader.next(input) {
                    Ok(None) => return None,
                    Ok(Some(reply)) => self.reply(reply),
                    Err(violation) => Err(violation),
                }
            };
            if let Err(violation) = result {
                self.state = State::Closed;
                self.awaited.clear();
                self.events.push_back(Event::Broken(violation));
            }
        }
    }

    /// `STARTTLS` (RFC 3207).
    pub fn start_tls(&mut self) {
        self.command(Awaited::StartTls, b"STARTTLS\r\n");
    }

    /// The handshake is done. Everything that was known is forgotten, and the server is asked again (RFC 3207 §4.2).
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.state = State::Open;
        self.capabilities = Capabilities::default();
        self.reader.clear();
        self.hello();
    }

    /// `AUTH` (RFC 4954).
    pub fn login(&mut self, mut login: Login) {
        let mut line = format!("AUTH {}", login.mechanism().name());
        if let Some(initial) = login.initial() {
            line.push(' ');
            line.push_str(&if initial.is_empty() {
                "=".to_owned()
            } else {
                BASE64.encode(initial)
            });
        }
        line.push_str("\r\n");
        self.login = Some((login, 0));
        self.command(Awaited::Auth, line.as_bytes());
    }

    /// Whether a message can go this way, and if not, why: what the server lacks that it needs. Asks nobody.
    pub fn check(&self, mail: &Mail<'_>) -> Result<(), Refusal> {
        transaction::check(mail, &self.capabilities)
    }

    /// Begins a transaction. Only when [`is_ready`](Session::is_ready), and after [`check`](Session::check).
    pub fn send(&mut self, mail: &Mail<'_>) {
        self.mails += 1;
        self.transaction = Some(Transaction::new(mail, &self.capabilities, self.config.eager));
        if std::mem::take(&mut self.needs_reset) {
            self.command(Awaited::Reset, b"RSET\r\n");
        }
        self.advance();
    }

    /// Octets of the message.
    pub fn body(&mut self, piece: &[u8]) {
        if let Some(transaction) = &mut self.transaction {
            transaction.body(piece, &mut self.output);
        }
    }

    /// The message is whole. False: it is not as long as was said; then the connection must be closed, and nothing was given.
    pub fn body_end(&mut self) -> bool {
        let whole = self.transaction.as_mut().is_none_or(|t| t.body_end(&mut self.output));
        if !whole {
            self.state = State::Closed;
            self.awaited.clear();
        }
        whole
    }

    /// `QUIT`. Whatever is awaited beside it does not matter any more.
    pub fn quit(&mut self) {
        if self.state == State::Open {
            self.command(Awaited::Quit, b"QUIT\r\n");
        }
    }

    /// The connection has ended, or is given up. The fate of each recipient where a transaction was under way.
    pub fn end(&mut self) -> Option<Vec<Fate>> {
        self.state = State::Closed;
        self.awaited.clear();
        self.transaction.take().map(|transaction| transaction.end(None))
    }

    fn command(&mut self, awaited: Awaited, line: &[u8]) {
        self.output.extend_from_slice(line);
        self.awaited.push_back(awaited);
    }

    fn hello(&mut self) {
        let verb = match self.config.dialect {
            Dialect::Smtp => "EHLO",
            Dialect::Lmtp => "LHLO",
        };
        let line = format!("{verb} {}\r\n", self.config.name);
        self.reader.keep_lines(true);
        self.command(Awaited::Extended, line.as_bytes());
    }

    fn reply(&mut self, reply: Reply) -> Result<(), Violation> {
        self.replies += 1;
        let quitting = self.awaited.contains(&Awaited::Quit);
        // 421 may come at any point, also where nothing was asked (RFC 5321 §4.2.4). Behind the message it is the answer to that.
        let answered = self.awaited.front() == Some(&Awaited::Message)
            && self
                .transaction
                .as_ref()
                .is_some_and(|t| t.is_given() && t.has_takers());
        if reply.code == 421 && !answered && !quitting {
            self.close(reply);
            return Ok(());
        }
        let Some(awaited) = self.awaited.pop_front() else {
            return Err(Violation::Unasked);
        };
        match awaited {
            Awaited::Greeting => self.greeted(reply),
            Awaited::Extended => self.extended(reply),
            Awaited::Helo if reply.is_positive() => self.ready(),
            Awaited::Helo if reply.is_refusal() => self.reject(reply),
            Awaited::StartTls if reply.code == 220 => {
                self.state = State::Handshake;
                self.events.push_back(Event::StartTls);
                Ok(())
            }
            Awaited::StartTls if reply.is_refusal() => {
                self.events.push_back(Event::TlsRefused(reply));
                Ok(())
            }
            Awaited::Auth => self.authenticated(&reply),
            Awaited::Quit => {
                self.state = State::Closed;
                self.events.push_back(Event::Goodbye);
                Ok(())
            }
            Awaited::Reset if reply.is_positive() => {
                self.advance();
                Ok(())
            }
            Awaited::Mail | Awaited::Recipient(_) | Awaited::Data | Awaited::Message => self.transacted(awaited, reply),
            Awaited::Helo | Awaited::StartTls | Awaited::Reset => Err(Violation::OutOfPlace),
        }
    }

    fn greeted(&mut self, reply: Reply) -> Result<(), Violation> {
        match reply.code {
            220 => self.hello(),
            400.. => return self.reject(reply),
            _ => return Err(Violation::OutOfPlace),
        }
        Ok(())
    }

    fn extended(&mut self, reply: Reply) -> Result<(), Violation> {
        self.reader.keep_lines(false);
        let lines = self.reader.lines();
        if reply.is_positive() {
            self.capabilities = Capabilities::read(lines.iter().skip(1).map(String::as_str));
            // It is encrypted already.
            self.capabilities.starttls &= !self.tls;
            return self.ready();
        }
        if reply.is_permanent() && self.config.dialect == Dialect::Smtp {
            // RFC 5321 §3.2: a server that does not know EHLO gets HELO.
            let line = format!("HELO {}\r\n", self.config.name);
            self.command(Awaited::Helo, line.as_bytes());
            return Ok(());
        }
        if reply.is_refusal() {
            return self.reject(reply);
        }
        Err(Violation::OutOfPlace)
    }

    fn ready(&mut self) -> Result<(), Violation> {
        self.events.push_back(Event::Ready);
        Ok(())
    }

    fn reject(&mut self, reply: Reply) -> Result<(), Violation> {
        self.events.push_back(Event::Rejected(reply));
        Ok(())
    }

    fn authenticated(&mut self, reply: &Reply) -> Result<(), Violation> {
        let Some((mut login, rounds)) = self.login.take() else {
            return Err(Violation::Unasked);
        };
        match reply.code {
            334 if rounds < LOGIN_ROUNDS => {
                let challenge = BASE64.decode(reply.text.trim());
                let answer = match challenge {
                    Ok(challenge) => login.respond(&challenge).map_err(|e| e.to_string()),
                    Err(_) => Err("the challenge is not base64".to_owned()),
                };
                match answer {
                    Ok(answer) => {
                        let line = format!("{}\r\n", BASE64.encode(answer));
                        self.login = Some((login, rounds + 1));
                        self.command(Awaited::Auth, line.as_bytes());
                    }
                    // The server is told to forget it ("*"), but its answer does not matter: we don't stay.
                    Err(why) => self.events.push_back(Event::LoginFailed(why)),
                }
            }
            235 if login.is_complete() => self.events.push_back(Event::LoggedIn),
            235 => {
                let why = "the server has not proven that it knows the password".to_owned();
                self.events.push_back(Event::LoginFailed(why));
            }
            400.. => self.events.push_back(Event::LoginFailed(reply.to_string())),
            _ => return Err(Violation::OutOfPlace),
        }
        Ok(())
    }

    fn transacted(&mut self, awaited: Awaited, reply: Reply) -> Result<(), Violation> {
        let Some(transaction) = &mut self.transaction else {
            return Err(Violation::Unasked);
        };
        let last = reply.code == 421;
        match awaited {
            Awaited::Mail => transaction.mail_answered(reply)?,
            Awaited::Recipient(index) => transaction.recipient_answered(index, reply)?,
            Awaited::Data => {
                if transaction.data_answered(&reply, &mut self.output)? {
                    self.awaited.push_back(Awaited::Message);
                    if transaction.has_takers() {
                        self.events.push_back(Event::Body);
                    }
                }
            }
            _ => {
                let more = transaction.message_answered(reply, self.config.dialect == Dialect::Lmtp)?;
                if more {
                    self.awaited.push_front(Awaited::Message);
                }
            }
        }
        self.advance();
        if last && self.transaction.is_none() {
            self.state = State::Closed;
        }
        Ok(())
    }

    /// Writes what can be written now, and ends the transaction when nothing is left of it.
    fn advance(&mut self) {
        if self.awaited.contains(&Awaited::Reset) && !self.capabilities.pipelining {
            return;
        }
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        while let Some(step) = transaction.next_step(self.awaited.is_empty(), &mut self.output) {
            let awaited = match step {
                Step::Mail => Awaited::Mail,
                Step::Recipient(index) => Awaited::Recipient(index),
                Step::Data => Awaited::Data,
                Step::Chunk => {
                    self.events.push_back(Event::Body);
                    Awaited::Message
                }
            };
            self.awaited.push_back(awaited);
        }
        if self.awaited.is_empty()
            && let Some(transaction) = self.transaction.take()
        {
            self.needs_reset = transaction.is_left_open();
            if transaction.is_cut_short() {
                // The server answered before it had all of the message: nobody knows any more where a command begins.
                self.state = State::Closed;
            }
            self.events.retain(|event| *event != Event::Body);
            self.events.push_back(Event::Done(transaction.end(None)));
        }
    }

    fn close(&mut self, reply: Reply) {
        self.state = State::Closed;
        self.awaited.clear();
        self.events.retain(|event| *event != Event::Body);
        self.events.push_back(match self.transaction.take() {
            Some(transaction) => Event::Done(transaction.end(Some(reply))),
            None => Event::Closed(reply),
        });
    }
}
