//! One connection: reads, has the framer cut commands, answers them, writes; waits while the client idles.

use crate::Tls;
use crate::imap::answer::{Answer, OwnCode};
use crate::imap::capability;
use crate::imap::command::{Incoming, is_timed};
use crate::imap::contexts::Context;
use crate::imap::notify::Watch;
use crate::imap::selected::Selected;
use crate::imap::{Listener, Options, stopped};
use crate::listener::say;
use crate::login::Exchanging;
use imap::response::{Code, Encoder, Status};
use imap::{Command, Event, Framer, Refused, Request, State};
use net::{Guest, Seat, Stream};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use store::{Account, AccountId};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What is said where there is no seat.
pub(crate) const TOO_MANY: &[u8] = b"* BYE [UNAVAILABLE] too many connections, try again later\r\n";
/// The buffer of a connection that waits for commands, and of one that takes a message.
const SMALL_BUFFER: usize = 4 * 1024;
const LARGE_BUFFER: usize = 64 * 1024;
/// Answers are sent when this much has come together.
pub(crate) const OUT_BUFFER: usize = 64 * 1024;
/// Capacity of the answers that is kept from one command to the next.
const OUT_KEPT: usize = 4 * 1024;

/// A connection.
pub(crate) struct Connection {
    pub(crate) listener: Arc<Listener>,
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    _seat: Seat,
    shutdown: watch::Receiver<bool>,
    started: Instant,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) owner: Option<Owner>,
    pub(crate) selected: Option<Box<Selected>>,
    /// IMAP4rev2 was enabled.
    pub(crate) rev2: bool,
    /// The client knows of mod-sequences (RFC 7162 §3.1).
    pub(crate) condstore: bool,
    /// QRESYNC was enabled (RFC 7162 §3.2.3).
    pub(crate) qresync: bool,
    /// UIDONLY was enabled (RFC 9586).
    pub(crate) uid_only: bool,
    /// What the client has asked to hear of (RFC 5465).
    pub(crate) watch: Option<Box<Watch>>,
    /// What is said about mailboxes and the server is announced when it changes (RFC 5464 §4.4).
    pub(crate) announced: Option<Box<Watch>>,
    /// UTF8=ACCEPT was enabled (RFC 6855).
    pub(crate) utf8_accept: bool,
    pub(crate) out: Vec<u8>,
    waiting: Waiting,
    pub(crate) append: Option<Incoming>,
    /// What the command at hand did to messages in mailboxes where a script runs on it.
    pub(crate) events: Vec<filter::Event>,
    pub(crate) errors: u32,
    pub(crate) failures: u32,
}

/// Who has logged in.
pub(crate) struct Owner {
    pub(crate) id: AccountId,
    pub(crate) account: Arc<Account>,
}

/// What the next line is.
enum Waiting {
    Command,
    Sasl { tag: String, exchanging: Box<Exchanging> },
    Idle { tag: String },
}

/// What is to be done after an event.
pub(crate) enum Next {
    /// Read on.
    Command,
    /// The next line is no command.
    Line,
    /// TLS begins.
    StartTls,
    /// Compression begins.
    Compress,
    /// Nobody is logged in any more.
    Unauthenticate,
    /// The session is over.
    Close,
}

/// What came of waiting for the client.
enum Heard {
    Octets(usize),
    End,
    Silence,
    Stop,
    Changed,
}

impl Connection {
    pub(crate) fn new(listener: Arc<Listener>, guest: Guest) -> Connection {
        Connection {
            started: Instant::now(),
            name: guest.name,
            listener,
            stream: guest.stream,
            peer: guest.peer,
            _seat: guest.seat,
            shutdown: guest.shutdown,
            state: State::NotAuthenticated,
            owner: None,
            selected: None,
            rev2: false,
            condstore: false,
            qresync: false,
            uid_only: false,
            utf8_accept: false,
            watch: None,
            announced: None,
            out: Vec::new(),
            waiting: Waiting::Command,
            append: None,
            events: Vec::new(),
            errors: 0,
            failures: 0,
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.listener.context.options
    }

    pub(crate) fn encoder(&mut self) -> Encoder<'_> {
        let utf8 = self.utf8();
        Encoder::new(&mut self.out, utf8)
    }

    /// Whether strings go over the wire as UTF-8.
    pub(crate) fn utf8(&self) -> bool {
        self.rev2 || self.utf8_accept
    }

    /// The time to log in begins again.
    pub(crate) fn login_again(&mut self) {
        self.started = Instant::now();
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        self.greet();
        let mut framer = Framer::new(self.options().protocol.before_login());
        let mut entered = false;
        let mut buffer = vec![0; SMALL_BUFFER];
        loop {
            self.flush().await?;
            let count = match self.hear(&mut buffer).await? {
                Heard::Octets(count) => count,
                Heard::Changed => {
                    if self.tell_unasked().await? {
                        continue;
                    }
                    return self.hang_up().await;
                }
                Heard::End => {
                    tracing::debug!(session = self.name, "the client hung up");
                    return Ok(());
                }
                Heard::Silence => {
                    self.encoder().bye(None, "silent for too long");
                    return self.hang_up().await;
                }
                Heard::Stop => {
                    self.encoder().bye(
                        Some(&Code::Unavailable),
                        "the server is going down, come back in a moment",
                    );
                    return self.hang_up().await;
                }
            };
            let mut input = buffer.get(..count).unwrap_or_default();
            while !input.is_empty() || framer.has_more() {
                let step = framer.input(input);
                input = input.get(step.used..).unwrap_or_default();
                let next = match step.event {
                    Event::More => Next::Command,
                    Event::Continue => {
                        self.encoder().continuation("go on");
                        Next::Command
                    }
                    Event::Command(line) => {
                        let limits = &self.listener.context.options.protocol;
                        let request = Request::parse(line, self.utf8(), limits);
                        self.request(request).await?
                    }
                    Event::Line(line) => self.line(line).await?,
                    Event::Append(append) => {
                        let sync = append.sync;
                        if self.append_begin(*append) {
                            if sync {
                                self.encoder().continuation("send the message");
                            }
                            Next::Command
                        } else if sync {
                            framer.append_refuse();
                            self.append_end().await?
                        } else if self.append_is_endless() {
                            self.encoder().bye(
                                Some(&Code::TooBig),
                                "that message is too big to be read and thrown away",
                            );
                            Next::Close
                        } else {
                            Next::Command
                        }
                    }
                    Event::Part(part) => {
                        if self.append_part(part) {
                            if part.sync {
                                self.encoder().continuation("send the part");
                            }
                            Next::Command
                        } else if part.sync {
                            framer.append_refuse();
                            self.append_end().await?
                        } else if self.append_is_endless() {
                            self.encoder().bye(
                                Some(&Code::TooBig),
                                "that message is too big to be read and thrown away",
                            );
                            Next::Close
                        } else {
                            Next::Command
                        }
                    }
                    Event::Url(url) => {
                        self.append_url(&url);
                        Next::Command
                    }
                    Event::Literal(octets) => {
                        self.append_push(octets);
                        Next::Command
                    }
                    Event::AppendEnd => self.append_end().await?,
                    Event::Rejected { tag, error } => {
                        self.append = None;
                        self.refuse(&Refused {
                            tag,
                            error,
                            saves: false,
                        })
                    }
                    Event::Fatal(error) => {
                        self.encoder().bye(Some(&Code::TooBig), &error.to_string());
                        Next::Close
                    }
                    _ => Next::Command,
                };
                if self.utf8() {
                    framer.utf8_enable();
                }
                if !entered && self.state.is_authenticated() {
                    entered = true;
                    framer.limits_set(self.options().protocol.clone());
                }
                match next {
                    Next::Command => {}
                    Next::Line => framer.expect_line(),
                    Next::StartTls => {
                        self.flush().await?;
                        self.listener.entrance.handshake(&mut self.stream).await?;
                        // Nothing that came before TLS counts after it: it may be somebody else's.
                        framer = Framer::new(self.options().protocol.before_login());
                        input = &[];
                    }
                    Next::Compress => {
                        self.flush().await?;
                        self.stream.deflate();
                        // The client had to wait for the answer: what it sent before belongs to neither.
                        input = &[];
                    }
                    Next::Unauthenticate => {
                        entered = false;
                        framer = Framer::new(self.options().protocol.before_login());
                    }
                    Next::Close => return self.hang_up().await,
                }
                if self.out.len() >= OUT_BUFFER {
                    self.flush().await?;
                }
            }
            // A message is read in large pieces; who only waits costs little.
            if self.append.is_some() && count == buffer.len() && count < LARGE_BUFFER {
                buffer = vec![0; LARGE_BUFFER];
            } else if self.append.is_none() && buffer.len() > SMALL_BUFFER {
                buffer = vec![0; SMALL_BUFFER];
            }
            // Many clients write a literal and the end of its line apart, and their system holds the second back until the first is
            // acknowledged: which ours would do after 40 ms.
            if count < buffer.len() && framer.is_midway() {
                self.stream.acknowledge();
            }
            framer.shrink();
        }
    }

    fn greet(&mut self) {
        let names = self.capabilities();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = format!("{} is ready", self.options().hostname);
        self.encoder()
            .untagged(Status::Ok, Some(&Code::Capability(&names)), &text);
    }

    /// What is announced now.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        if self.state.is_authenticated() {
            let options = self.options();
            let sieve = options.sieve_url.as_deref();
            capability::authenticated(options.message_size, options.messages_per_command, sieve)
        } else {
            capability::entry(&self.door())
        }
    }

    /// Waits for the client, for the signal to stop, for time to run out and, while it idles, for news.
    async fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        let options = self.options();
        let ageing = options.ageing;
        let limits = &options.connection;
        let patience = match self.append {
            Some(_) => limits.stall,
            None => limits.patience(self.state != State::NotAuthenticated, self.started),
        };
        let idling = matches!(self.waiting, Waiting::Idle { .. });
        if idling {
            self.stream.relax();
        }
        let selected = self.selected.as_mut().filter(|_| idling || self.watch.is_some());
        let timed = |context: &Context| context.keys.iter().any(is_timed);
        let ages = selected
            .as_ref()
            .is_some_and(|selected| selected.contexts.list.iter().any(timed));
        let announced = self.announced.as_mut().filter(|_| idling && self.watch.is_none());
        let watch = self.watch.as_mut();
        let news = async {
            let selected = async {
                match selected {
                    Some(selected) => selected.open.changed().await,
                    None => std::future::pending().await,
                }
            };
            let elsewhere = async {
                match watch {
                    Some(watch) if watch.looks_elsewhere() => drop(timeout(ageing, watch.changed()).await),
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            let metadata = async {
                match announced {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = selected => {}
                () = elsewhere => {}
                () = metadata => {}
                () = tokio::time::sleep(ageing), if ages => {}
            }
        };
        tokio::select! {
            biased;
            read = self.stream.read(buffer) => match read? {
                0 => Ok(Heard::End),
                count => Ok(Heard::Octets(count)),
            },
            () = news => Ok(Heard::Changed),
            () = stopped(&mut self.shutdown) => Ok(Heard::Stop),
            () = tokio::time::sleep_until(Instant::now() + patience) => Ok(Heard::Silence),
        }
    }

    /// Tells a client that idles, or that has asked for it, what is new. False: the session has to end.
    async fn tell_unasked(&mut self) -> io::Result<bool> {
        let idling = matches!(self.waiting, Waiting::Idle { .. });
        let delayed = self.watch.as_ref().is_some_and(|watch| watch.selected().delayed);
        let known = self
            .selected
            .as_ref()
            .map_or(0, |selected| selected.told.last().map_or(0, |message| message.uid.0));
        self.contexts_prepare(idling || !delayed).await?;
        if !self.tell(idling || !delayed, &[]) {
            return Ok(false);
        }
        if self.watch.is_some() {
            let from = self
                .selected
                .as_ref()
                .map(|selected| selected.told.lower_bound(store::Uid(known.saturating_add(1))));
            if let Some(from) = from {
                self.notify_fetch(from).await?;
            }
            // An error is in the log; what was not told now is told with the next change.
            let _ = net::blocking(|| self.notify_changes());
        }
        self.contexts_settle().await?;
        self.announce();
        Ok(true)
    }

    /// Sends what has come together.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.flush_kept().await?;
        self.out.shrink_to(OUT_KEPT);
        Ok(())
    }

    /// The same, where as much will come together again at once.
    pub(crate) async fn flush_kept(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            let bound = self.options().connection.stall;
            say(&mut self.stream, bound, &self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// Sends octets behind what has come together, without taking them into the buffer if they are many.
    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.out.len() + octets.len() <= OUT_BUFFER {
            self.out.extend_from_slice(octets);
            return Ok(());
        }
        let bound = self.options().connection.stall;
        let write = async {
            self.stream.write(&self.out).await?;
            self.stream.write(octets).await
        };
        timeout(bound, write).await.map_err(|_| timed_out())??;
        self.out.clear();
        Ok(())
    }

    /// Says the last words and sees to it that they arrive.
    async fn hang_up(&mut self) -> io::Result<()> {
        self.state = State::Logout;
        self.append = None;
        self.selected = None;
        self.flush().await?;
        self.stream.hang_up().await
    }

    /// A line that is no command: a SASL response, or the end of IDLE.
    async fn line(&mut self, line: &[u8]) -> io::Result<Next> {
        match std::mem::replace(&mut self.waiting, Waiting::Command) {
            Waiting::Sasl { tag, exchanging } => match imap::sasl_response(line) {
                Ok(Some(response)) => self.sasl(tag, exchanging, Some(response)).await,
                Ok(None) => Ok(self.answer(&tag, "AUTHENTICATE", &Answer::bad("cancelled"), true)),
                Err(error) => Ok(self.answer(&tag, "AUTHENTICATE", &Answer::bad(error.to_string()), true)),
            },
            Waiting::Idle { tag } => {
                self.listener.metrics.own().idling.dec();
                let answer = if line.eq_ignore_ascii_case(b"DONE") {
                    Answer::ok("done idling")
                } else {
                    Answer::bad("expected DONE")
                };
                self.answer_in_full(&tag, "IDLE", &answer, true).await
            }
            Waiting::Command => Ok(Next::Command),
        }
    }

    /// Hands a response to the mechanism and says what comes of it.
    async fn sasl(
        &mut self,
        tag: String,
        mut exchanging: Box<Exchanging>,
        response: Option<Vec<u8>>,
    ) -> io::Result<Next> {
        match self.exchange(&mut exchanging, response).await {
            Ok(challenge) => {
                self.encoder().challenge(&challenge);
                self.waiting = Waiting::Sasl { tag, exchanging };
                Ok(Next::Line)
            }
            Err(answer) => Ok(self.answer(&tag, "AUTHENTICATE", &answer, true)),
        }
    }

    async fn request(&mut self, request: Result<Request, Refused>) -> io::Result<Next> {
        let Request { tag, command } = match request {
            Ok(request) => request,
            Err(refused) => return Ok(self.refuse(&refused)),
        };
        let name = command.name();
        tracing::trace!(session = self.name, command = name);
        if let Err(text) = self.state.check(&command) {
            return Ok(self.answer(&tag, name, &Answer::bad(text), false));
        }
        if !self.selected_is_readable() {
            self.tell(true, &[]);
            return Ok(Next::Close);
        }
        if self.uid_only && imap::uses_sequence_numbers(&command) {
            let answer =
                Answer::bad("after ENABLE UIDONLY messages are named by UIDs").with(OwnCode::Plain(Code::UidRequired));
            return Ok(self.answer(&tag, name, &answer, false));
        }
        if self.selected.as_ref().is_some_and(|selected| selected.read_only) && imap::changes_mailbox(&command) {
            let answer = Answer::no(Some(Code::ReadOnly), "the mailbox was opened read-only");
            return Ok(self.answer(&tag, name, &answer, imap::allows_expunge(&command)));
        }
        let expunge = imap::allows_expunge(&command);
        let saves = imap::saves_result(&command);
        // RFC 5465 §5: what a client does itself it is not told of as news. What others did before is told first.
        let own = self.watch.is_some() && imap::changes_mailboxes(&command);
        if own && let Err(answer) = net::blocking(|| self.notify_changes()) {
            return Ok(self.answer(&tag, name, &answer, expunge));
        }
        let answer = match command {
            Command::Logout => {
                self.encoder().bye(None, "good bye");
                self.answer(&tag, name, &Answer::ok("logged out"), false);
                return Ok(Next::Close);
            }
            Command::StartTls => {
                if !matches!(self.listener.config().tls, Tls::Offer(_)) || self.stream.is_tls() {
                    return Ok(self.answer(&tag, name, &Answer::bad("TLS cannot be started here"), false));
                }
                self.answer(&tag, name, &Answer::ok("begin TLS now"), false);
                return Ok(Next::StartTls);
            }
            Command::Authenticate(authenticate) => match self.authenticate(&authenticate.mechanism) {
                Ok(exchanging) => return self.sasl(tag, Box::new(exchanging), authenticate.initial).await,
                Err(answer) => answer,
            },
            Command::Idle => {
                self.contexts_prepare(true).await?;
                if !self.tell(true, &[]) {
                    return Ok(Next::Close);
                }
                self.contexts_settle().await?;
                self.encoder().continuation("idling");
                self.listener.metrics.own().idling.inc();
                self.waiting = Waiting::Idle { tag };
                return Ok(Next::Line);
            }
            Command::Compress(algorithm) => {
                let answer = self.compress(&algorithm);
                let begins = answer.status == Status::Ok;
                let next = self.answer(&tag, name, &answer, true);
                return Ok(if begins && matches!(next, Next::Command) {
                    Next::Compress
                } else {
                    next
                });
            }
            Command::Unauthenticate => {
                let answer = self.unauthenticate();
                self.answer(&tag, name, &answer, false);
                return Ok(Next::Unauthenticate);
            }
            command => self.execute(&tag, command).await?,
        };
        if own {
            self.watch_refresh();
        }
        self.events_run().await;
        if saves && answer.status == Status::No {
            self.saved_forget();
        }
        self.answer_in_full(&tag, name, &answer, expunge).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if matches!(self.waiting, Waiting::Idle { .. }) {
            self.listener.metrics.own().idling.dec();
        }
    }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
