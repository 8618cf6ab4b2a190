//! The session: what is allowed when, and what is answered.

use crate::command::{Command, Fault};
use crate::language::{Language, Said, Text};
use crate::limits::Limits;
use crate::lines::{Line, Lines};
use crate::listing::Listing;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sasl::Password;

/// The messages of a session, as they were when it began. Counted from 0 here, from 1 on the wire.
pub trait Maildrop: Send {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Octets of one, as `RETR` will send it, without the added dots.
    fn size(&self, message: usize) -> u64;
    /// Writes the name that one keeps for ever: 1 to 70 printable ASCII characters, no other message's (RFC 1939 §7, `UIDL`).
    fn unique_id(&self, message: usize, out: &mut Vec<u8>);
}

/// What a connection has to offer before login.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// `STLS` can be done.
    pub starttls: bool,
    /// Passwords may be sent.
    pub passwords: bool,
    /// SASL mechanisms, best first.
    pub mechanisms: Vec<&'static str>,
}

/// What the session needs from outside. All but [`Event::Flush`] and [`Event::Close`] ask for an answer before [`Session::next`] goes on.
#[derive(Debug)]
pub enum Event {
    /// Send the output, then go on.
    Flush,
    /// Send the output, do the handshake, say [`Session::tls_started`]. What of the input was not taken came before TLS: it is gone.
    StartTls,
    /// Check this login and take the lock; answer with [`Session::answer_login`].
    Password {
        /// Who it should be.
        user: String,
        /// The password.
        password: Password,
    },
    /// Begin a SASL exchange with one of [`Entry::mechanisms`]; answer with [`Session::challenge`] or [`Session::answer_login`].
    SaslStart {
        /// The mechanism, as it was written in [`Entry::mechanisms`].
        mechanism: &'static str,
        /// The initial response, if there was one.
        initial: Option<Vec<u8>>,
    },
    /// Go on with the exchange; answer as to [`Event::SaslStart`].
    SaslResponse(Vec<u8>),
    /// Send a message: [`Session::answer_retrieve`], then its octets by way of [`crate::Stuffing`] behind the output.
    Retrieve {
        /// Which one, from 0.
        message: usize,
        /// The header and so many lines of its body; `None`: all of it.
        lines: Option<u64>,
    },
    /// QUIT: take these away, all or none (from 0, ascending); answer with [`Session::answer_update`].
    Update(Vec<usize>),
    /// Send the output and hang up.
    Close,
}

/// What came of a login.
pub enum Login {
    /// Come in.
    Welcome(Box<dyn Maildrop>),
    /// Wrong password, unknown user or disabled account: they all read the same.
    Wrong,
    /// The exchange was malformed; not counted as a wrong password.
    Malformed,
    /// Another session has the lock.
    InUse,
    /// It cannot be found out now.
    Unavailable,
    /// The mailbox cannot be opened.
    Broken,
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Another program has taken it away.
    Taken,
    /// Its bytes are damaged.
    Damaged,
    /// Something that will pass.
    Temporary,
}

/// A session, the server's side.
pub struct Session {
    limits: Limits,
    entry: Entry,
    lines: Lines,
    out: Vec<u8>,
    state: State,
    waiting: Waiting,
    language: Language,
    utf8: bool,
    user: Option<String>,
    maildrop: Option<Box<dyn Maildrop>>,
    /// Empty, or a mark for each message.
    deleted: Vec<bool>,
    left: (usize, u64),
    listing: Option<Listing>,
    errors: u32,
    failures: u32,
    commands: Vec<(&'static str, bool)>,
    running: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Authorization,
    Transaction,
    Over,
}

/// What is to come before the next command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Tls,
    Login,
    /// The client's next line in an exchange.
    Response,
    Retrieve,
    Update,
}

impl Session {
    /// A session, which greets.
    pub fn new(hostname: &str, entry: Entry, limits: Limits) -> Session {
        let mut session = Session {
            limits,
            entry,
            lines: Lines::default(),
            out: Vec::new(),
            state: State::Authorization,
            waiting: Waiting::Nothing,
            language: Language::default(),
            utf8: false,
            user: None,
            maildrop: None,
            deleted: Vec::new(),
            left: (0, 0),
            listing: None,
            errors: 0,
            failures: 0,
            commands: Vec::new(),
            running: "",
        };
        // No angle brackets: a client would take them for an offer of APOP.
        let ready = Said(session.language, Text::Ready);
        session
            .out
            .extend_from_slice(format!("+OK {hostname} {ready}\r\n").as_bytes());
        session
    }

    /// What is to be sent; the caller clears it.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether somebody has logged in.
    pub fn is_in(&self) -> bool {
        self.state == State::Transaction
    }

    /// The commands that were answered since the last call, and whether with `+OK`; for counters.
    pub fn answered(&mut self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        self.commands.drain(..)
    }

    /// Takes octets off the front of `input` until something is needed from outside; `None`: more input.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Event> {
        loop {
            if self.state == State::Over {
                return Some(Event::Close);
            }
            self.list();
            if self.out.len() >= self.limits.output {
                return Some(Event::Flush);
            }
            let limit = match self.waiting {
                Waiting::Nothing => self.limits.line,
                Waiting::Response => self.limits.response,
                // The answer to an event is missing.
                _ => return None,
            };
            let line = self.lines.cut(input, limit)?;
            let event = match (line, self.waiting) {
                (Line::TooLong, Waiting::Response) => {
                    self.waiting = Waiting::Nothing;
                    self.refuse(Text::LineTooLong)
                }
                (Line::TooLong, _) => {
                    self.running = "?";
                    self.refuse(Text::LineTooLong)
                }
                (Line::Whole(line), Waiting::Response) => self.response(&line),
                (Line::Whole(line), _) => match Command::parse(&line) {
                    Ok(command) => {
                        self.running = command.name();
                        self.command(command)
                    }
                    Err(fault) => {
                        self.running = "?";
                        self.refuse(match fault {
                            Fault::Unknown => Text::UnknownCommand,
                            Fault::Arguments => Text::BadArguments,
                            Fault::Text => Text::NotUtf8,
                        })
                    }
                },
            };
            if event.is_some() {
                if matches!(event, Some(Event::StartTls)) {
                    *input = b"";
                }
                return event;
            }
        }
    }

    /// What there is to offer, where it was not known when the session was made.
    pub fn offer(&mut self, entry: Entry) {
        self.entry = entry;
    }

    /// TLS is on. All that was said before is forgotten (RFC 2595 §4).
    pub fn tls_started(&mut self, entry: Entry) {
        self.entry = entry;
        self.lines.clear();
        self.user = None;
        self.utf8 = false;
        self.waiting = Waiting::Nothing;
    }

    /// The next challenge of a SASL exchange.
    pub fn challenge(&mut self, challenge: &[u8]) {
        self.out
            .extend_from_slice(format!("+ {}\r\n", STANDARD.encode(challenge)).as_bytes());
        self.waiting = Waiting::Response;
    }

    /// What came of a login.
    pub fn answer_login(&mut self, login: Login) {
        self.waiting = Waiting::Nothing;
        self.user = None;
        match login {
            Login::Welcome(maildrop) => {
                let octets = (0..maildrop.len()).map(|message| maildrop.size(message)).sum();
                self.left = (maildrop.len(), octets);
                self.maildrop = Some(maildrop);
                self.state = State::Transaction;
                let (messages, octets) = self.left;
                self.ok(Text::Maildrop { messages, octets });
            }
            Login::Wrong => {
                self.failures += 1;
                self.err(Some("AUTH"), Text::WrongPassword);
                if self.failures >= self.limits.login_failures {
                    self.close(Text::TooManyFailures);
                }
            }
            Login::Malformed => {
                self.refuse(Text::BadArguments);
            }
            Login::InUse => self.err(Some("IN-USE"), Text::InUse),
            Login::Unavailable => self.err(Some("SYS/TEMP"), Text::TryAgain),
            Login::Broken => self.err(Some("SYS/PERM"), Text::Broken),
        }
    }

    /// Whether the message can be sent. If so, its octets follow behind the output.
    pub fn answer_retrieve(&mut self, answer: Result<Coming, Trouble>) {
        self.waiting = Waiting::Nothing;
        match answer {
            Ok(Coming::Whole(octets)) => self.ok(Text::Octets(octets)),
            Ok(Coming::Top) => self.ok(Text::TopFollows),
            Err(Trouble::Taken) => self.err(None, Text::Taken),
            Err(Trouble::Damaged) => self.err(Some("SYS/PERM"), Text::Damaged),
            Err(Trouble::Temporary) => self.err(Some("SYS/TEMP"), Text::TryAgain),
        }
    }

    /// Whether the marked messages are gone.
    pub fn answer_update(&mut self, removed: bool) {
        self.waiting = Waiting::Nothing;
        self.state = State::Over;
        if removed {
            let count = self.deleted.iter().filter(|deleted| **deleted).count();
            self.ok(Text::ByeRemoved(count));
        } else {
            self.err(Some("SYS/TEMP"), Text::NotRemoved);
        }
    }

    /// The client was silent for too long: no UPDATE state (RFC 1939 §3).
    pub fn silence(&mut self) {
        self.close(Text::Silence);
    }

    /// The server is going down: no UPDATE state.
    pub fn shutdown(&mut self) {
        self.close(Text::GoingDown);
    }

    fn close(&mut self, text: Text) {
        self.listing = None;
        let said = Said(self.language, text);
        self.out
            .extend_from_slice(format!("-ERR [SYS/TEMP] {said}\r\n").as_bytes());
        self.state = State::Over;
    }

    fn ok(&mut self, text: Text) {
        let said = Said(self.language, text);
        self.out.extend_from_slice(format!("+OK {said}\r\n").as_bytes());
        self.commands.push((self.running, true));
    }

    fn err(&mut self, code: Option<&str>, text: Text) {
        let said = Said(self.language, text);
        let line = match code {
            Some(code) => format!("-ERR [{code}] {said}\r\n"),
            None => format!("-ERR {said}\r\n"),
        };
        self.out.extend_from_slice(line.as_bytes());
        self.commands.push((self.running, false));
    }

    /// An answer to something a client should not have said; too many of them end the session.
    fn refuse(&mut self, text: Text) -> Option<Event> {
        self.err(None, text);
        self.errors += 1;
        if self.errors >= self.limits.errors {
            self.close(Text::TooManyErrors);
        }
        None
    }

    fn command(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Capa => self.capabilities(),
            Command::Lang(range) => self.language(range.as_deref()),
            Command::Quit => return self.quit(),
            command if self.state == State::Authorization => return self.authorize(command),
            command => return self.transact(command),
        }
        None
    }

    fn authorize(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::User(_) | Command::Pass(_) if !self.entry.passwords => self.refuse(Text::TlsFirst),
            Command::User(user) => {
                // The same for whoever it is: who there is nobody learns here.
                self.user = Some(user);
                self.ok(Text::SendPassword);
                None
            }
            Command::Pass(password) => match self.user.take() {
                Some(user) => {
                    self.waiting = Waiting::Login;
                    Some(Event::Password { user, password })
                }
                None => self.refuse(Text::UserFirst),
            },
            Command::Auth(None) => {
                self.ok(Text::Mechanisms);
                for mechanism in &self.entry.mechanisms {
                    self.out.extend_from_slice(format!("{mechanism}\r\n").as_bytes());
                }
                self.out.extend_from_slice(b".\r\n");
                None
            }
            Command::Auth(Some((name, initial))) => {
                let known = |mechanism: &&&'static str| mechanism.eq_ignore_ascii_case(&name);
                let Some(mechanism) = self.entry.mechanisms.iter().find(known).copied() else {
                    return self.refuse(Text::NoMechanism);
                };
                // RFC 5034 §4: "=" is a response of no octets.
                let initial = match initial.as_deref() {
                    None => None,
                    Some(b"=") => Some(Vec::new()),
                    Some(text) => match STANDARD.decode(text) {
                        Ok(octets) => Some(octets),
                        Err(_) => return self.refuse(Text::BadBase64),
                    },
                };
                self.waiting = Waiting::Login;
                Some(Event::SaslStart { mechanism, initial })
            }
            Command::Stls if self.utf8 => self.refuse(Text::TlsAfterUtf8),
            Command::Stls if !self.entry.starttls => self.refuse(Text::NoTls),
            Command::Stls => {
                self.ok(Text::BeginTls);
                self.waiting = Waiting::Tls;
                Some(Event::StartTls)
            }
            Command::Utf8 => {
                self.utf8 = true;
                self.ok(Text::Utf8On);
                None
            }
            _ => self.refuse(Text::LogInFirst),
        }
    }

    fn response(&mut self, line: &[u8]) -> Option<Event> {
        self.waiting = Waiting::Nothing;
        if line == b"*" {
            self.err(None, Text::Cancelled);
            return None;
        }
        match STANDARD.decode(line) {
            Ok(response) => {
                self.waiting = Waiting::Login;
                Some(Event::SaslResponse(response))
            }
            Err(_) => self.refuse(Text::BadBase64),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the session is done with the command")]
    fn transact(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Stat => {
                let (messages, octets) = self.left;
                self.out
                    .extend_from_slice(format!("+OK {messages} {octets}\r\n").as_bytes());
                self.commands.push((self.running, true));
            }
            Command::List(None) => {
                let (messages, octets) = self.left;
                self.ok(Text::Maildrop { messages, octets });
                self.listing = Some(Listing::Sizes(0));
            }
            Command::Uidl(None) => {
                let (messages, octets) = self.left;
                self.ok(Text::Maildrop { messages, octets });
                self.listing = Some(Listing::Ids(0));
            }
            Command::List(Some(number)) => match self.message(number) {
                Ok(message) => self.line(b"+OK ", message, Listing::Sizes(0)),
                Err(text) => return self.no_message(text),
            },
            Command::Uidl(Some(number)) => match self.message(number) {
                Ok(message) => self.line(b"+OK ", message, Listing::Ids(0)),
                Err(text) => return self.no_message(text),
            },
            Command::Retr(number) => return self.retrieve(number, None),
            Command::Top(number, lines) => return self.retrieve(number, Some(lines)),
            Command::Dele(number) => match self.message(number) {
                Ok(message) => {
                    let (count, size) = self
                        .maildrop
                        .as_ref()
                        .map_or((0, 0), |maildrop| (maildrop.len(), maildrop.size(message)));
                    self.deleted.resize(count, false);
                    if let Some(mark) = self.deleted.get_mut(message) {
                        *mark = true;
                    }
                    self.left = (self.left.0.saturating_sub(1), self.left.1.saturating_sub(size));
                    self.ok(Text::Deleted);
                }
                Err(text) => return self.no_message(text),
            },
            Command::Rset => {
                if let Some(maildrop) = &self.maildrop {
                    for (message, _) in self.deleted.iter().enumerate().filter(|(_, deleted)| **deleted) {
                        self.left = (self.left.0 + 1, self.left.1 + maildrop.size(message));
                    }
                }
                self.deleted = Vec::new();
                self.ok(Text::Reset);
            }
            Command::Noop => self.ok(Text::Fine),
            _ => return self.refuse(Text::NotNow),
        }
        None
    }

    fn retrieve(&mut self, number: u64, lines: Option<u64>) -> Option<Event> {
        match self.message(number) {
            Ok(message) => {
                self.waiting = Waiting::Retrieve;
                Some(Event::Retrieve { message, lines })
            }
            Err(text) => self.no_message(text),
        }
    }

    /// Clients ask for messages that are not there, and mean no harm by it: no error to be counted.
    fn no_message(&mut self, text: Text) -> Option<Event> {
        self.err(None, text);
        None
    }

    /// The message of that number.
    fn message(&self, number: u64) -> Result<usize, Text> {
        let count = self.maildrop.as_ref().map_or(0, |maildrop| maildrop.len());
        let message = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .filter(|message| *message < count)
            .ok_or(Text::NoMessage)?;
        if self.is_deleted(message) {
            return Err(Text::IsDeleted);
        }
        Ok(message)
    }

    fn is_deleted(&self, message: usize) -> bool {
        self.deleted.get(message).copied().unwrap_or(false)
    }

    fn quit(&mut self) -> Option<Event> {
        if self.state == State::Transaction && self.deleted.contains(&true) {
            let marked = self.deleted.iter().enumerate().filter(|(_, deleted)| **deleted);
            let marked = marked.map(|(message, _)| message).collect();
            self.waiting = Waiting::Update;
            return Some(Event::Update(marked));
        }
        self.ok(Text::Bye);
        self.state = State::Over;
        None
    }

    /// A message's line in a listing.
    fn line(&mut self, before: &[u8], message: usize, what: Listing) {
        let Some(maildrop) = &self.maildrop else { return };
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(format!("{} ", message + 1).as_bytes());
        match what {
            Listing::Sizes(_) => self
                .out
                .extend_from_slice(maildrop.size(message).to_string().as_bytes()),
            Listing::Ids(_) => maildrop.unique_id(message, &mut self.out),
        }
        self.out.extend_from_slice(b"\r\n");
        if !before.is_empty() {
            self.commands.push((self.running, true));
        }
    }

    /// Goes on with a listing while there is room.
    fn list(&mut self) {
        let count = self.maildrop.as_ref().map_or(0, |maildrop| maildrop.len());
        while let Some(listing) = self.listing
            && self.out.len() < self.limits.output
        {
            let (Listing::Sizes(message) | Listing::Ids(message)) = listing;
            if message >= count {
                self.out.extend_from_slice(b".\r\n");
                self.listing = None;
                return;
            }
            if !self.is_deleted(message) {
                self.line(b"", message, listing);
            }
            self.listing = Some(match listing {
                Listing::Sizes(_) => Listing::Sizes(message + 1),
                Listing::Ids(_) => Listing::Ids(message + 1),
            });
        }
    }

    /// CAPA (RFC 2449 §5): exactly what works now. There is no LOGIN-DELAY, since nobody has to wait, and what is left on the server
    /// stays there.
    fn capabilities(&mut self) {
        self.ok(Text::Capabilities);
        let mut names: Vec<String> = [
            "TOP",
            "UIDL",
            "PIPELINING",
            "RESP-CODES",
            "AUTH-RESP-CODE",
            "EXPIRE NEVER",
        ]
        .map(str::to_owned)
        .to_vec();
        names.push("UTF8 USER".to_owned());
        names.push("LANG".to_owned());
        if self.state == State::Authorization {
            if self.entry.starttls {
                names.push("STLS".to_owned());
            }
            if self.entry.passwords {
                names.push("USER".to_owned());
            }
            if !self.entry.mechanisms.is_empty() {
                names.push(format!("SASL {}", self.entry.mechanisms.join(" ")));
            }
        }
        names.push("IMPLEMENTATION Rohrpost".to_owned());
        for name in names {
            self.out.extend_from_slice(format!("{name}\r\n").as_bytes());
        }
        self.out.extend_from_slice(b".\r\n");
    }

    fn language(&mut self, range: Option<&str>) {
        let Some(range) = range else {
            self.ok(Text::Languages);
            self.out.extend_from_slice(b"i-default English\r\n");
            for language in Language::ALL {
                let line = format!("{} {}\r\n", language.tag(), language.own_name());
                self.out.extend_from_slice(line.as_bytes());
            }
            self.out.extend_from_slice(b".\r\n");
            return;
        };
        match Language::find(range) {
            Some(language) => {
                self.language = language;
                let said = Said(language, Text::LanguageSet);
                let line = format!("+OK {} {said}\r\n", language.tag());
                self.out.extend_from_slice(line.as_bytes());
                self.commands.push((self.running, true));
            }
            None => self.err(None, Text::NoLanguage),
        }
    }
}

/// What follows `+OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// The message, so many octets.
    Whole(u64),
    /// Its top.
    Top,
}
