//! A socket with a client's session on it: bytes to and fro, each step bounded in time.

use net::secured;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use smtp::client::{Config, Event, Fate, Mail, Phase, Session, Timeouts};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::relay::transport::Message;

/// Octets read at a time.
const READ: usize = 4096;
/// Octets that may wait to be written before the next piece of a message is read.
const WAITING: usize = 128 << 10;

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Lost in a failed handshake.
    Gone,
}

impl Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        match self {
            Socket::Plain(socket) => ready!(Pin::new(socket).poll_read(cx, &mut buffer))?,
            Socket::Tls(socket) => ready!(Pin::new(socket).poll_read(cx, &mut buffer))?,
            Socket::Gone => {}
        }
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Tls(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// A connection and what is said on it.
pub(super) struct Wire {
    socket: Socket,
    session: Session,
    timeouts: Timeouts,
    /// What was read and not yet taken by the session.
    unread: Vec<u8>,
    /// What the session said and the socket has not yet taken.
    unsent: Vec<u8>,
    sent: usize,
}

/// A reason for people why a connection ended.
pub(super) type Reason = String;

impl Wire {
    pub(super) fn new(socket: TcpStream, config: Config, timeouts: Timeouts) -> Wire {
        Wire {
            socket: Socket::Plain(socket),
            session: Session::new(config, false),
            timeouts,
            unread: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// With TLS from the first octet (RFC 8314 §3.3).
    pub(super) async fn implicit(
        socket: TcpStream,
        config: Config,
        timeouts: Timeouts,
        tls: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Wire, Reason> {
        let mut wire = Wire::new(socket, config.clone(), timeouts);
        wire.shake_hands(tls, name).await?;
        wire.session = Session::new(config, true);
        Ok(wire)
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn capabilities(&self) -> &smtp::client::Capabilities {
        self.session.capabilities()
    }

    /// What happens next. Writes what is to be written, and listens.
    pub(super) async fn event(&mut self) -> Result<Event, Reason> {
        let mut since = (self.session.replies(), Instant::now());
        loop {
            if let Some(event) = self.heard() {
                return Ok(event);
            }
            // Who says one letter a minute has not answered.
            if self.session.replies() != since.0 {
                since = (self.session.replies(), Instant::now());
            }
            let phase = self.session.phase();
            let patience = self.timeouts.of(phase).unwrap_or(self.timeouts.command);
            let turn = async {
                if self.flush().await? {
                    return Ok(1);
                }
                self.listen().await
            };
            match tokio::time::timeout_at(since.1 + patience, turn).await {
                Ok(Ok(0)) => return Err("it closed the connection".to_owned()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    // What it said before it hung up may still be there.
                    if let Some(event) = self.last_words() {
                        return Ok(event);
                    }
                    return Err(explain(&error));
                }
                Err(_) => return Err(format!("no answer to {} in {} s", name(phase), patience.as_secs())),
            }
        }
    }

    /// What the session makes of what was read.
    fn heard(&mut self) -> Option<Event> {
        let mut input = self.unread.as_slice();
        let event = self.session.next(&mut input);
        let taken = self.unread.len() - input.len();
        self.unread.drain(..taken);
        event
    }

    fn last_words(&mut self) -> Option<Event> {
        let waker = std::task::Waker::noop();
        let mut cx = Context::from_waker(waker);
        let mut buffer = [0; READ];
        while let Poll::Ready(Ok(length @ 1..)) = self.socket.poll_read(&mut cx, &mut buffer) {
            self.unread.extend_from_slice(buffer.get(..length).unwrap_or_default());
        }
        self.heard()
    }

    /// Writes everything. Listens where the other side takes nothing; true: it has said something, and not everything is written.
    async fn flush(&mut self) -> io::Result<bool> {
        self.unsent.append(self.session.output());
        let (socket, unread, unsent, sent) = (&mut self.socket, &mut self.unread, &self.unsent, &mut self.sent);
        let interrupted = poll_fn(|cx| {
            loop {
                let rest = unsent.get(*sent..).unwrap_or_default();
                let blocked = if rest.is_empty() {
                    match socket.poll_flush(cx) {
                        Poll::Ready(result) => return Poll::Ready(result.map(|()| false)),
                        Poll::Pending => true,
                    }
                } else {
                    match socket.poll_write(cx, rest) {
                        Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        Poll::Ready(Ok(length)) => {
                            *sent += length;
                            false
                        }
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => true,
                    }
                };
                if blocked {
                    let mut buffer = [0; READ];
                    return match ready!(socket.poll_read(cx, &mut buffer)) {
                        Ok(0) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                        Ok(length) => {
                            unread.extend_from_slice(buffer.get(..length).unwrap_or_default());
                            Poll::Ready(Ok(true))
                        }
                        Err(error) => Poll::Ready(Err(error)),
                    };
                }
            }
        })
        .await?;
        if !interrupted {
            self.unsent.clear();
            self.sent = 0;
        }
        Ok(interrupted)
    }

    /// Reads what is there; 0: the other side has ended.
    async fn listen(&mut self) -> io::Result<usize> {
        let mut buffer = [0; READ];
        let socket = &mut self.socket;
        let length = poll_fn(|cx| socket.poll_read(cx, &mut buffer)).await?;
        self.unread.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }

    /// The handshake behind STARTTLS.
    pub(super) async fn start_handshake(
        &mut self,
        tls: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<(), Reason> {
        if let Some(Event::Broken(violation)) = self.heard() {
            return Err(violation.to_string());
        }
        self.shake_hands(tls, name).await?;
        self.session.tls_started();
        Ok(())
    }

    /// Says goodbye, and does not wait long for the answer.
    pub(super) async fn goodbye(&mut self) {
        self.session.quit();
        let _ = tokio::time::timeout(self.timeouts.quit, self.flush()).await;
    }

    /// The client's side of a TLS handshake.
    async fn shake_hands(&mut self, tls: Arc<ClientConfig>, name: ServerName<'static>) -> Result<(), Reason> {
        let Socket::Plain(socket) = std::mem::replace(&mut self.socket, Socket::Gone) else {
            return Err("TLS is on already".to_owned());
        };
        let shaking = TlsConnector::from(tls).connect(name, socket);
        match tokio::time::timeout(self.timeouts.handshake, shaking).await {
            Ok(Ok(stream)) => {
                self.socket = Socket::Tls(Box::new(stream));
                Ok(())
            }
            Ok(Err(error)) => Err(format!("TLS: {}", explain(&error))),
            Err(_) => Err(format!("TLS: no handshake in {} s", self.timeouts.handshake.as_secs())),
        }
    }

    /// The certificates it has shown, its own first.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        match &self.socket {
            Socket::Tls(stream) => stream.get_ref().1.peer_certificates().unwrap_or_default(),
            _ => &[],
        }
    }

    /// Version and cipher.
    pub(super) fn tls(&self) -> Option<String> {
        let Socket::Tls(stream) = &self.socket else { return None };
        let (version, cipher) = secured::names(stream.get_ref().1);
        Some(format!("{version} {cipher}"))
    }

    /// The value that ties a login to this TLS connection (RFC 9266).
    pub(super) fn channel_binding(&self) -> sasl::ChannelBinding {
        match &self.socket {
            Socket::Tls(stream) => secured::channel_binding(stream.get_ref().1),
            _ => sasl::ChannelBinding::None,
        }
    }

    /// Whether the other side has hung up, or said that it will, while nothing was under way.
    pub(super) fn is_over(&mut self) -> Option<Reason> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut buffer = [0; READ];
        loop {
            match self.socket.poll_read(&mut cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(length @ 1..)) => {
                    self.unread.extend_from_slice(buffer.get(..length).unwrap_or_default());
                }
                Poll::Ready(Ok(_)) => {
                    return Some(self.parting().unwrap_or_else(|| "it closed the connection".to_owned()));
                }
                Poll::Ready(Err(error)) => return Some(self.parting().unwrap_or_else(|| explain(&error))),
            }
        }
        self.parting()
    }

    fn parting(&mut self) -> Option<Reason> {
        match self.heard()? {
            Event::Closed(reply) => Some(reply.to_string()),
            Event::Broken(violation) => Some(violation.to_string()),
            _ => Some("it says something unasked".to_owned()),
        }
    }

    /// One transaction: a fate for each recipient, and the reason where the connection ended.
    pub(super) async fn transact(&mut self, mail: &Mail<'_>, message: &Message) -> (Vec<Fate>, Option<Reason>) {
        self.session.send(mail);
        let mut reason = None;
        loop {
            let failed = match self.event().await {
                Ok(Event::Done(fates)) => return (fates, reason),
                Ok(Event::Body) => match self.give(message).await {
                    Ok(None) => continue,
                    Ok(Some(event)) => match event {
                        Event::Done(fates) => return (fates, reason),
                        Event::Broken(violation) => violation.to_string(),
                        _ => continue,
                    },
                    Err(why) => why,
                },
                Ok(Event::Broken(violation)) => violation.to_string(),
                Ok(Event::Closed(reply)) => reply.to_string(),
                Ok(_) => continue,
                Err(why) => why,
            };
            reason = Some(failed);
            // What the socket has not taken, the other side cannot have got.
            let incomplete = self.sent < self.unsent.len() || !self.session.output().is_empty();
            let mut fates = self.session.end().unwrap_or_default();
            if incomplete {
                let doubts = fates.iter_mut().filter(|fate| **fate == Fate::Doubtful);
                doubts.for_each(|fate| *fate = Fate::Broken(None));
            }
            return (fates, reason);
        }
    }

    /// Gives the message, as long as it is wanted. An event: the other side has not waited for its end.
    async fn give(&mut self, message: &Message) -> Result<Option<Event>, Reason> {
        let unreadable = |error: io::Error| format!("the message cannot be read here: {error}");
        let mut pieces = message.pieces().map_err(unreadable)?;
        while let Some(piece) = pieces.next_piece().map_err(unreadable)? {
            self.session.body(&piece);
            // A small message stays here until its end, so that it goes in one write.
            while self.session.output().len() + self.unsent.len() - self.sent > WAITING {
                match tokio::time::timeout(self.timeouts.content, self.flush()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => {
                        return self
                            .last_words()
                            .map_or_else(|| Err(explain(&error)), |event| Ok(Some(event)));
                    }
                    Err(_) => return Err(format!("it took no octet in {} s", self.timeouts.content.as_secs())),
                }
                if let Some(event) = self.heard() {
                    return Ok(Some(event));
                }
            }
        }
        if self.session.body_end() {
            Ok(None)
        } else {
            Err("the message here is shorter than it should be".to_owned())
        }
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle | Phase::Command => "a command",
        Phase::Greeting => "the connection",
        Phase::Handshake => "TLS",
        Phase::Mail => "MAIL",
        Phase::Recipient => "RCPT",
        Phase::Data => "DATA",
        Phase::Content => "a part of the message",
        Phase::End => "the message",
        Phase::Quit => "QUIT",
    }
}

fn explain(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "it closed the connection".to_owned(),
        io::ErrorKind::ConnectionReset => "it reset the connection".to_owned(),
        _ => error.to_string(),
    }
}
