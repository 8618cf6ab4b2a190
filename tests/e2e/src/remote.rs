//! Mail hosts of others, good and bad: each on a loopback address of its own, with manners that a test chooses.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a host does at a point of the conversation.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says this (CRLF is added) and goes on.
    Say(&'static str),
    /// Says this and closes.
    Leave(&'static str),
    /// Closes without a word.
    Close,
    /// Says nothing more, and keeps the connection open.
    Hang,
}

/// The manners of a host. The points are `greeting`, the commands by name, `content` (in the middle of a message), `end` (behind it) and
/// `handshake`; `RCPT <address>` is for one recipient.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    acts: HashMap<&'static str, Act>,
    extensions: Vec<&'static str>,
    tls: Option<Arc<ServerConfig>>,
    lmtp: bool,
}

impl Manners {
    /// Takes everything, with these extensions.
    pub fn good(extensions: &[&'static str]) -> Manners {
        Manners {
            extensions: extensions.to_vec(),
            ..Manners::default()
        }
    }

    /// The same but at this point.
    #[must_use]
    pub fn but(mut self, point: &'static str, act: Act) -> Manners {
        self.acts.insert(point, act);
        self
    }

    /// The same with STARTTLS, showing this certificate.
    #[must_use]
    pub fn with_tls(mut self, identity: &Identity) -> Manners {
        self.extensions.push("STARTTLS");
        self.tls = Some(identity.config());
        self
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its public key, as TLSA records have it.
    pub public: Vec<u8>,
    /// The authority that vouches for it.
    pub authority: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    /// For these names, from an authority of its own; `expired`: since long ago.
    pub fn new(names: &[&str], expired: bool) -> Identity {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority for tests");
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            public: key.subject_public_key_info(),
            authority: authority.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// TLS with it.
    pub fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone(), self.authority.clone()], key)
            .unwrap();
        Arc::new(config)
    }

    /// The TLSA record data that names its key: `3 1 1 …`.
    pub fn tlsa(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.public);
        let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("3 1 1 {hex}")
    }

    /// The authority in PEM, for who is to trust it.
    pub fn authority_pem(&self) -> String {
        pem("CERTIFICATE", &self.authority)
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Its private key in PEM.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// A message that a host has got as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The host's last number: 127.0.0.N.
    pub host: u8,
    /// `MAIL FROM:` and what follows.
    pub sender: String,
    /// `RCPT TO:` and what follows, each that was accepted.
    pub recipients: Vec<String>,
    /// The message, dots undone.
    pub bytes: Vec<u8>,
    /// It came over TLS.
    pub tls: bool,
}

/// Hosts on 127.0.0.N, all on the same port.
pub struct Remotes {
    /// The port of all of them.
    pub port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    stopping: Arc<AtomicBool>,
    hosts: Vec<u8>,
}

impl Remotes {
    /// Starts them.
    pub fn start(hosts: Vec<(u8, Manners)>) -> Remotes {
        let (port, listeners) = 'port: loop {
            let first = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 200), 0)).unwrap();
            let port = first.local_addr().unwrap().port();
            let mut listeners = Vec::new();
            for (number, _) in &hosts {
                match TcpListener::bind((Ipv4Addr::new(127, 0, 0, *number), port)) {
                    Ok(listener) => listeners.push(listener),
                    Err(_) => continue 'port,
                }
            }
            break (port, listeners);
        };
        let remotes = Remotes {
            port,
            got: Arc::default(),
            stopping: Arc::default(),
            hosts: hosts.iter().map(|(number, _)| *number).collect(),
        };
        for ((number, manners), listener) in hosts.into_iter().zip(listeners) {
            let (got, stopping) = (Arc::clone(&remotes.got), Arc::clone(&remotes.stopping));
            std::thread::spawn(move || {
                for socket in listener.incoming() {
                    if stopping.load(Ordering::Acquire) {
                        return;
                    }
                    let Ok(socket) = socket else { continue };
                    let talk = Talk {
                        wire: Wire::Plain(socket),
                        unread: Vec::new(),
                        manners: manners.clone(),
                        host: number,
                        got: Arc::clone(&got),
                        stopping: Arc::clone(&stopping),
                        closed: false,
                    };
                    std::thread::spawn(move || talk.run());
                }
            });
        }
        remotes
    }

    /// What was got so far, and is forgotten by that.
    pub fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }
}

impl Drop for Remotes {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        for number in &self.hosts {
            // So that who waits for a connection looks up.
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, *number)), self.port);
            drop(TcpStream::connect_timeout(&address, Duration::from_secs(1)));
        }
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

struct Talk {
    wire: Wire,
    unread: Vec<u8>,
    manners: Manners,
    host: u8,
    got: Arc<Mutex<Vec<Got>>>,
    stopping: Arc<AtomicBool>,
    closed: bool,
}

impl Talk {
    fn run(mut self) {
        let (mut sender, mut recipients) = (String::new(), Vec::new());
        self.act("greeting", "220 remote.test");
        while let Some(line) = self.line() {
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" | "LHLO" => {
                    let words: Vec<&str> = ["remote.test"]
                        .iter()
                        .chain(&self.manners.extensions)
                        .copied()
                        .collect();
                    let (last, rest) = words.split_last().unwrap();
                    let mut text: String = rest.iter().map(|w| format!("250-{w}\r\n")).collect();
                    text.push_str(&format!("250 {last}"));
                    self.act("EHLO", &text);
                    self.manners.lmtp = word == "LHLO";
                }
                "HELO" => {
                    self.act("HELO", "250 remote.test");
                }
                "STARTTLS" => {
                    self.act("STARTTLS", "220 go");
                    if !self.closed {
                        self.start_tls();
                    }
                }
                "AUTH" => {
                    self.act("AUTH", "235 welcome");
                }
                "MAIL" => {
                    line.get(10..).unwrap_or_default().clone_into(&mut sender);
                    recipients.clear();
                    self.act("MAIL", "250 2.1.0 ok");
                }
                "RCPT" => {
                    let recipient = line.get(8..).unwrap_or_default().to_owned();
                    let one = self
                        .manners
                        .acts
                        .keys()
                        .find(|k| k.strip_prefix("RCPT ").is_some_and(|a| recipient.contains(a)));
                    let point = one.copied().unwrap_or("RCPT");
                    if self.act(point, "250 2.1.5 ok") {
                        recipients.push(recipient);
                    }
                }
                "DATA" => {
                    if self.act("DATA", "354 go")
                        && let Some(bytes) = self.data()
                    {
                        self.end(&sender, &recipients, bytes);
                    }
                }
                "BDAT" => {
                    let size = line.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                    if let Some(bytes) = self.octets(size) {
                        self.end(&sender, &recipients, bytes);
                    }
                }
                "RSET" => {
                    self.act("RSET", "250 ok");
                }
                "QUIT" => {
                    self.act("QUIT", "221 bye");
                    return;
                }
                _ => self.say("500 what?"),
            }
        }
    }

    fn end(&mut self, sender: &str, recipients: &[String], bytes: Vec<u8>) {
        if recipients.is_empty() {
            self.say("554 5.5.1 nobody to send it to");
            return;
        }
        let got = Got {
            host: self.host,
            sender: sender.to_owned(),
            recipients: recipients.to_vec(),
            bytes,
            tls: matches!(self.wire, Wire::Tls(_)),
        };
        let taken =
            !matches!(self.manners.acts.get("end"), Some(Act::Say(text) | Act::Leave(text)) if !text.starts_with('2'));
        if taken {
            self.got.lock().unwrap().push(got);
        }
        for _ in 0..if self.manners.lmtp { recipients.len() } else { 1 } {
            self.act("end", "250 2.0.0 taken");
        }
    }

    /// Does what is to be done at this point; whether that was a yes.
    fn act(&mut self, point: &'static str, usual: &str) -> bool {
        match self.manners.acts.get(point).cloned() {
            None => {
                self.say(usual);
                true
            }
            Some(Act::Say(text)) => {
                self.say(text);
                text.starts_with(['2', '3'])
            }
            Some(Act::Leave(text)) => {
                self.say(text);
                self.closed = true;
                false
            }
            Some(Act::Close) => {
                self.closed = true;
                false
            }
            Some(Act::Hang) => {
                self.hang();
                false
            }
        }
    }

    /// Until the other side goes, or the test ends.
    fn hang(&mut self) {
        self.closed = true;
        let socket = match &self.wire {
            Wire::Plain(socket) => socket,
            Wire::Tls(stream) => &stream.sock,
        };
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut buffer = [0; 4096];
        let mut socket = socket;
        while !self.stopping.load(Ordering::Acquire) {
            match socket.read(&mut buffer) {
                Ok(0) => return,
                Err(e) if !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => return,
                _ => {}
            }
        }
    }

    fn start_tls(&mut self) {
        if let Some(act) = self.manners.acts.get("handshake").cloned() {
            if let Act::Say(text) | Act::Leave(text) = &act {
                self.say(text);
            }
            if matches!(act, Act::Hang) {
                self.hang();
            }
            self.closed = true;
            return;
        }
        let Wire::Plain(socket) = &self.wire else { return };
        let config = self.manners.tls.clone().expect("a certificate");
        let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket.try_clone().unwrap());
        self.wire = Wire::Tls(Box::new(stream));
        self.manners.extensions.retain(|e| *e != "STARTTLS");
    }

    fn say(&mut self, text: &str) {
        let bytes = format!("{text}\r\n");
        let result = match &mut self.wire {
            Wire::Plain(socket) => socket.write_all(bytes.as_bytes()),
            Wire::Tls(stream) => stream.write_all(bytes.as_bytes()),
        };
        if result.is_err() {
            self.closed = true;
        }
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let length = match &mut self.wire {
            Wire::Plain(socket) => socket.read(&mut buffer),
            Wire::Tls(stream) => stream.read(&mut buffer),
        };
        match length {
            Ok(length @ 1..) => {
                self.unread.extend_from_slice(&buffer[..length]);
                true
            }
            _ => false,
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if self.closed {
                return None;
            }
            if let Some(at) = self.unread.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=at).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// Up to the lone dot.
    fn data(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let line = self.line()?;
            if line == "." {
                return Some(bytes);
            }
            bytes.extend_from_slice(line.strip_prefix('.').unwrap_or(&line).as_bytes());
            bytes.extend_from_slice(b"\r\n");
            if self.manners.acts.contains_key("content") {
                self.act("content", "");
            }
        }
    }

    fn octets(&mut self, size: usize) -> Option<Vec<u8>> {
        if self.manners.acts.contains_key("content") {
            self.act("content", "");
        }
        while self.unread.len() < size {
            if self.closed || !self.more() {
                return None;
            }
        }
        Some(self.unread.drain(..size).collect())
    }
}
