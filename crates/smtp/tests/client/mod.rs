//! A shell around the client session for tests: it does one thing after the other, and writes down what came of each.

use sasl::client::{Identity, Login};
use sasl::{ChannelBinding, Password};
use smtp::client::{Config, Dialect, Event, Fate, Mail, Recipient, Scan, Session};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Something to do once nothing is under way.
#[derive(Clone, Debug)]
pub enum Deed {
    StartTls,
    Login,
    Mail(Message),
    Quit,
}

#[derive(Clone, Debug, Default)]
pub struct Message {
    pub sender: String,
    /// Address, NOTIFY, ORCPT.
    pub recipients: Vec<(String, Option<String>, Option<String>)>,
    pub bytes: Vec<u8>,
    /// What is said about its length, if not the truth.
    pub size: Option<u64>,
    pub requiretls: bool,
    pub envid: Option<String>,
    pub ret: Option<String>,
}

pub struct Shell {
    pub session: Session,
    deeds: VecDeque<Deed>,
    under_way: Option<Message>,
    /// Everything that was written.
    pub said: Vec<u8>,
    /// Everything that came of it, line by line.
    pub log: String,
    plain: bool,
}

impl Shell {
    pub fn new(dialect: Dialect, eager: u64, plain: bool, deeds: &[Deed]) -> Shell {
        let mut config = Config::new(dialect, "our.example");
        config.eager = eager;
        config.limits.reply_line = 600;
        config.limits.reply = 3000;
        Shell {
            session: Session::new(config, false),
            deeds: deeds.iter().cloned().collect(),
            under_way: None,
            said: Vec::new(),
            log: String::new(),
            plain,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        while let Some(event) = self.session.next(&mut input) {
            match event {
                Event::Ready | Event::LoggedIn | Event::TlsRefused(_) => {
                    match event {
                        Event::LoggedIn => self.log.push_str("logged in\n"),
                        Event::TlsRefused(reply) => writeln!(self.log, "no tls: {reply}").unwrap(),
                        _ => {}
                    }
                    self.go_on();
                }
                Event::Body => self.body(),
                Event::Done(fates) => {
                    self.fates(&fates);
                    if self.session.is_ready() {
                        self.go_on();
                    } else {
                        self.log.push_str("over\n");
                    }
                }
                Event::StartTls => self.log.push_str("handshake\n"),
                Event::Goodbye => self.log.push_str("goodbye\n"),
                Event::Rejected(reply) => {
                    writeln!(self.log, "rejected: {reply}").unwrap();
                    self.session.quit();
                }
                Event::LoginFailed(why) => {
                    writeln!(self.log, "login failed: {why}").unwrap();
                    self.session.quit();
                }
                Event::Closed(reply) => writeln!(self.log, "closed: {reply}").unwrap(),
                Event::Broken(violation) => {
                    writeln!(self.log, "broken: {violation}").unwrap();
                    self.end();
                }
            }
            self.said.append(self.session.output());
        }
        self.said.append(self.session.output());
    }

    pub fn end(&mut self) {
        if let Some(fates) = self.session.end() {
            self.fates(&fates);
        }
    }

    pub fn tls_started(&mut self) {
        self.session.tls_started();
        self.said.append(self.session.output());
    }

    fn fates(&mut self, fates: &[Fate]) {
        for fate in fates {
            match fate {
                Fate::Taken(reply) => writeln!(self.log, "taken: {reply}"),
                Fate::Refused(reply) => writeln!(self.log, "refused: {reply}"),
                Fate::Broken(Some(reply)) => writeln!(self.log, "broken off: {reply}"),
                Fate::Broken(None) => writeln!(self.log, "broken off"),
                Fate::Doubtful => writeln!(self.log, "doubtful"),
            }
            .unwrap();
        }
    }

    fn body(&mut self) {
        let message = self.under_way.take().expect("a message");
        for piece in message.bytes.chunks(7) {
            self.session.body(piece);
        }
        if !self.session.body_end() {
            self.log.push_str("too short\n");
            self.end();
        }
    }

    fn go_on(&mut self) {
        while let Some(deed) = self.deeds.pop_front() {
            match deed {
                Deed::StartTls => self.session.start_tls(),
                Deed::Login => {
                    let identity = Identity {
                        name: "user".to_owned(),
                        password: Password::new(b"pencil".to_vec()),
                    };
                    let offered = &self.session.capabilities().mechanisms;
                    let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
                    match Login::choose(offered, identity, nonce, ChannelBinding::None, self.plain) {
                        Some(login) => self.session.login(login),
                        None => {
                            self.log.push_str("no way to log in\n");
                            continue;
                        }
                    }
                }
                Deed::Quit => self.session.quit(),
                Deed::Mail(message) => {
                    let mut scan = Scan::default();
                    scan.update(&message.bytes);
                    let mail = Mail {
                        sender: &message.sender,
                        recipients: message
                            .recipients
                            .iter()
                            .map(|(address, notify, original)| Recipient {
                                address,
                                notify: notify.as_deref(),
                                original: original.as_deref(),
                            })
                            .collect(),
                        size: message.size.unwrap_or(message.bytes.len() as u64),
                        content: scan.content(),
                        requiretls: message.requiretls,
                        envid: message.envid.as_deref(),
                        ret: message.ret.as_deref(),
                    };
                    if let Err(refusal) = self.session.check(&mail) {
                        let smtp::Status(class, subject, detail) = refusal.status();
                        writeln!(self.log, "cannot go: {class}.{subject}.{detail} {refusal}").unwrap();
                        continue;
                    }
                    self.session.send(&mail);
                    self.under_way = Some(message);
                }
            }
            return;
        }
    }
}
