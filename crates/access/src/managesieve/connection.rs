//! One connection: reads, has the framer cut commands, answers them, writes.

use super::commands::Answer;
use super::login::Exchanging;
use super::{Listener, Options};
use crate::listener::{Heard, hear, say};
use managesieve::{Code, Command, Encoder, Error, Event, Framer, Limits, Status, sasl_response};
use net::{Guest, Seat, Stream};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Account, AccountId, ModSeq};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What is said where there is no seat.
pub(super) const TOO_MANY: &[u8] = b"BYE (TRYLATER) \"too many connections, try again later\"\r\n";
const BUFFER: usize = 4 * 1024;
/// How long, and for how many octets, we listen after hanging up, so that our last words are not lost in a reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_OCTETS: usize = 1024 * 1024;

/// A connection.
pub(super) struct Connection {
    pub(super) listener: Arc<Listener>,
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    pub(super) name: String,
    pub(super) owner: Option<Owner>,
    pub(super) failures: u32,
    errors: u32,
    out: Vec<u8>,
    exchanging: Option<Box<Exchanging>>,
    shutdown: watch::Receiver<bool>,
    started: Instant,
    _seat: Seat,
}

/// Scripts of which a session remembers the version. An account has 50 unless its administrator says otherwise; of one that goes beyond, none is
/// remembered any more, and what it writes last stands.
pub(super) const READ: usize = 1_000;

/// Who has logged in.
pub(super) struct Owner {
    pub(super) id: AccountId,
    pub(super) account: Arc<Account>,
    /// Versions of the scripts that this session has read or written. What it writes over one of them must not take away what somebody else has
    /// written meanwhile. At most [`READ`].
    pub(super) read: HashMap<String, ModSeq>,
}

/// What is to be done after a command.
enum Next {
    Command,
    StartTls,
    Close,
}

impl Connection {
    pub(super) fn new(listener: Arc<Listener>, guest: Guest) -> Connection {
        Connection {
            listener,
            stream: guest.stream,
            peer: guest.peer,
            name: guest.name,
            owner: None,
            failures: 0,
            errors: 0,
            out: Vec::new(),
            exchanging: None,
            shutdown: guest.shutdown,
            started: Instant::now(),
            _seat: guest.seat,
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.listener.context.options
    }

    pub(super) fn encoder(&mut self) -> Encoder<'_> {
        Encoder::new(&mut self.out)
    }

    fn limits(&self) -> Limits {
        let script = self.listener.context.filter.options().scripts.bytes;
        let limits = Limits {
            line: self.options().line,
            literal: usize::try_from(script).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        match self.owner {
            Some(_) => limits,
            None => limits.before_login(),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.greet();
        let mut framer = Framer::new(self.limits());
        let mut buffer = vec![0; BUFFER];
        loop {
            self.flush().await?;
            let count = match self.hear(&mut buffer).await? {
                Heard::Octets(count) => count,
                Heard::End => {
                    tracing::debug!(session = self.name, "the client hung up");
                    return Ok(());
                }
                Heard::Silence => return self.hang_up(None, "silent for too long").await,
                Heard::Stop => {
                    let text = "the server is going down, come back in a moment";
                    return self.hang_up(Some(Code::TryLater), text).await;
                }
            };
            let mut input = buffer.get(..count).unwrap_or_default();
            while !input.is_empty() {
                let step = framer.input(input);
                input = input.get(step.used..).unwrap_or_default();
                let next = match step.event {
                    Event::More => Next::Command,
                    Event::Command(line) => match self.exchanging.take() {
                        Some(exchanging) => self.response(exchanging, sasl_response(line)).await,
                        None => self.command(Command::parse(line)).await,
                    },
                    Event::Rejected(error) => {
                        self.exchanging = None;
                        self.refuse(&error)
                    }
                    Event::Fatal(error) => return self.hang_up(None, &error.to_string()).await,
                };
                match next {
                    Next::Command => framer.limits_set(self.limits()),
                    Next::StartTls => {
                        self.flush().await?;
                        let listener = Arc::clone(&self.listener);
                        listener.entrance.handshake(&mut self.stream).await?;
                        // Nothing that came before TLS counts after it: it may be somebody else's.
                        framer = Framer::new(self.limits());
                        input = &[];
                        // §2.2: the capabilities are told anew.
                        self.capabilities();
                        self.encoder().status(Status::Ok, None, "TLS is on");
                    }
                    Next::Close => return self.close().await,
                }
            }
        }
    }

    fn greet(&mut self) {
        self.capabilities();
        let text = format!("{} is ready", self.options().hostname);
        self.encoder().status(Status::Ok, None, &text);
    }

    /// Waits for the client, for the signal to stop, and for time to run out.
    async fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        let patience = self.options().connection.patience(self.owner.is_some(), self.started);
        hear(&mut self.stream, &mut self.shutdown, patience, buffer).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            let bound = self.options().connection.stall;
            say(&mut self.stream, bound, &self.out).await?;
            self.out = Vec::new();
        }
        Ok(())
    }

    async fn hang_up(&mut self, code: Option<Code>, text: &str) -> io::Result<()> {
        self.encoder().status(Status::Bye, code.as_ref(), text);
        self.close().await
    }

    /// Says the last words and sees to it that they arrive.
    async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.finish().await?;
        let mut scratch = [0; 1024];
        let mut left = LINGER_OCTETS;
        let drain = async {
            while let Ok(count @ 1..) = self.stream.read(&mut scratch).await {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = timeout(LINGER, drain).await;
        Ok(())
    }

    /// A command that could not be read.
    fn refuse(&mut self, error: &Error) -> Next {
        let code = match error {
            Error::LiteralTooLong { .. } if self.owner.is_some() => Some(Code::QuotaMaxSize),
            _ => None,
        };
        self.listener.metrics.command("?", "no");
        self.errors += 1;
        if self.errors >= self.options().errors {
            self.encoder()
                .status(Status::Bye, code.as_ref(), "too many commands that make no sense");
            return Next::Close;
        }
        self.encoder().status(Status::No, code.as_ref(), &error.to_string());
        Next::Command
    }

    fn answer(&mut self, command: &'static str, answer: &Answer) -> Next {
        let result = if answer.status == Status::Ok { "ok" } else { "no" };
        self.listener.metrics.command(command, result);
        self.encoder().status(answer.status, answer.code.as_ref(), &answer.text);
        if self.failures >= self.options().login_failures {
            self.encoder()
                .status(Status::Bye, Some(&Code::TryLater), "too many logins failed");
            return Next::Close;
        }
        Next::Command
    }

    /// A response of the client to a challenge.
    async fn response(&mut self, exchanging: Box<Exchanging>, response: Result<Option<Vec<u8>>, Error>) -> Next {
        match response {
            Ok(Some(response)) => self.advance(exchanging, Some(response)).await,
            Ok(None) => self.answer("AUTHENTICATE", &Answer::no(None, "cancelled")),
            Err(error) => self.answer("AUTHENTICATE", &Answer::no(None, error.to_string())),
        }
    }

    async fn advance(&mut self, mut exchanging: Box<Exchanging>, response: Option<Vec<u8>>) -> Next {
        match self.exchange(&mut exchanging, response).await {
            Ok(challenge) => {
                self.encoder().challenge(&challenge);
                self.exchanging = Some(exchanging);
                Next::Command
            }
            Err(answer) => self.answer("AUTHENTICATE", &answer),
        }
    }

    async fn command(&mut self, command: Result<Command, Error>) -> Next {
        let command = match command {
            Ok(command) => command,
            Err(error) => return self.refuse(&error),
        };
        let name = command.name();
        tracing::trace!(session = self.name, command = name);
        if self.owner.is_none() && !command.before_login() {
            return self.answer(name, &Answer::no(None, "log in first"));
        }
        let answer = match command {
            Command::Logout => {
                self.answer(name, &Answer::ok(None, "good bye"));
                return Next::Close;
            }
            Command::StartTls => {
                if !self.offers_tls() || self.owner.is_some() {
                    Answer::no(None, "TLS cannot be started here")
                } else {
                    self.answer(name, &Answer::ok(None, "begin TLS now"));
                    return Next::StartTls;
                }
            }
            Command::Capability => {
                self.capabilities();
                Answer::ok(None, "")
            }
            Command::Noop(tag) => Answer::ok(tag.map(Code::Tag), "done"),
            Command::Authenticate { .. } if self.owner.is_some() => Answer::no(None, "somebody has logged in already"),
            Command::Authenticate { mechanism, initial } => match self.authenticate(&mechanism) {
                Ok(exchanging) => return self.advance(Box::new(exchanging), initial).await,
                Err(answer) => answer,
            },
            Command::Unauthenticate => {
                self.owner = None;
                self.started = Instant::now();
                Answer::ok(None, "nobody is logged in now")
            }
            command => self.scripts(command),
        };
        self.answer(name, &answer)
    }
}
