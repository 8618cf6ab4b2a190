//! The seam between the queue and the network.
//!
//! The queue asks for a [`Connection`] to a [`Destination`] and sends [`Envelope`]s with their [`Message`] over it; it never sees a host name
//! before it is told one for the record. A [`Transport`] knows MX records, routes, TLS policies and sockets; it never sees a queue, and retries
//! nothing: whatever fails is told in words and numbers ([`Answer`]), and the queue decides when to come back.
//!
//! Nothing here may be lost by being dropped: a future that is dropped (the server stops) closes its socket, and the recipients stay due.

use crate::retry::Strategies;
use blobs::{BlobId, Blobs};
use bytes::Bytes;
use ledger::RequireTls;
use smtp::Status;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Octets of a message handed over at a time.
const PIECE: usize = 64 << 10;

/// What mail is grouped by: recipients with the same destination can share connections and transactions, and fail together when it can't be
/// reached. The domain in lower case, as A-labels; or the name of a configured route, which begins with `:` so that no domain is taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination(Arc<str>);

impl Destination {
    /// A destination of that name.
    pub fn new(name: impl Into<Arc<str>>) -> Destination {
        Destination(name.into())
    }

    /// Its name, as the ledger keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How the queue treats a destination. A route may have its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Wait after the first failure, doubled after each further one. Default 5 min.
    pub retry_first: Duration,
    /// The longest wait. Default 1 h.
    pub retry_longest: Duration,
    /// How long a message is tried before its sender gets it back. Default 5 days (RFC 5321 §4.5.4.1).
    pub lifetime: Duration,
    /// After what time the sender is told that it is late; `None`: never. Default 4 h.
    pub delay_notice: Option<Duration>,
    /// Connections at once. The number begins small and grows with success. Default 20.
    pub connections: u32,
    /// Messages over one connection. Default 100.
    pub transactions: u32,
    /// Recipients in one transaction. Default 100, which every server must take (RFC 5321 §4.5.3.1.8).
    pub recipients: u32,
    /// What is set of single strategies, over the first four of these.
    pub strategies: Strategies,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            retry_first: Duration::from_secs(300),
            retry_longest: Duration::from_secs(3600),
            lifetime: Duration::from_secs(5 * 86_400),
            delay_notice: Some(Duration::from_secs(4 * 3600)),
            connections: 20,
            transactions: 100,
            recipients: 100,
            strategies: Strategies::default(),
        }
    }
}

/// What a message asks of the way it goes. Part of choosing the hosts and judging the TLS of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Needs {
    /// `REQUIRETLS` (RFC 8689): verified TLS to a host that promises to ask the same of the next. `TLS-Required: No`: any way will do.
    pub requiretls: RequireTls,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
}

/// What was said about a host, a message or a recipient: the peer's reply, or our own finding in the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The peer's reply code; `None` where it is our own finding (no connection, null MX, a policy that was not met).
    pub code: Option<u16>,
    /// The enhanced status (RFC 3463). Where a peer gives none: `x.0.0` with the class of its code.
    pub status: Status,
    /// The text, for people: without code and status, line feeds where the peer's reply had several lines.
    pub text: String,
}

impl Answer {
    /// A finding of our own.
    pub fn own(status: Status, text: impl Into<String>) -> Answer {
        Answer {
            code: None,
            status,
            text: text.into(),
        }
    }

    /// Whether trying again is useless (`5.x.x`).
    pub fn is_permanent(&self) -> bool {
        self.status.0 == 5
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code {
            write!(f, "{code} ")?;
        }
        let Status(class, subject, detail) = self.status;
        write!(f, "{class}.{subject}.{detail} {}", self.text.replace('\n', " "))
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The host's name, or the address as a literal.
    pub host: String,
    /// The address connected to.
    pub address: Option<IpAddr>,
    /// TLS version and cipher; `None` in clear text.
    pub tls: Option<String>,
    /// What was asked of TLS and how the certificate was judged, in few words: `dane verified`, `mta-sts enforce`, `opportunistic, unverified`.
    pub policy: String,
    /// Whether it offers DSN (RFC 3461): if not, who asked for news of success gets it from us as "relayed" (§5.2.2).
    pub dsn: bool,
}

/// No connection that would do.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Whom it concerns.
    pub scope: Scope,
    /// What to tell: permanent (the destination takes no mail at all: null MX, no such domain) or temporary. The text names every host that
    /// was tried and what it said.
    pub answer: Answer,
    /// The last host that was tried, where one was.
    pub peer: Peer,
}

/// Whom trouble concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything for this destination: none of its mail need be tried before the destination's next time.
    Destination,
    /// Only mail with these [`Needs`].
    Needs,
}

/// The way to the network. Cheap to share; its calls run in many tasks at once.
pub trait Transport: Send + Sync + 'static {
    /// A connection, ready for a transaction.
    type Connection: Connection;

    /// Which destination an address (as the ledger has it) belongs to. Decides without asking anybody.
    fn destination(&self, address: &str) -> Destination;

    /// How the queue is to treat a destination.
    fn terms(&self, destination: &Destination) -> Terms;

    /// Somebody wants a destination tried now: what is remembered of hosts that did not answer must not keep it from being tried.
    fn retry(&self, _destination: &Destination) {}

    /// Finds the hosts of a destination and connects to the first that will do, in order; remembers hosts that don't answer. Bounded in
    /// time by itself (RFC 5321 §4.5.3.2).
    fn connect(
        &self,
        destination: &Destination,
        needs: Needs,
    ) -> impl Future<Output = Result<Self::Connection, Trouble>> + Send;
}

/// A connection on which a transaction can begin.
pub trait Connection: Send + 'static {
    /// Who is at the other end.
    fn peer(&self) -> &Peer;

    /// Whether mail with these needs can go over it.
    fn suits(&self, needs: Needs) -> bool;

    /// One transaction. `outcomes` has one entry for each recipient of `envelope`, in its order. Bounded in time by itself.
    fn send(&mut self, envelope: &Envelope, message: &Message) -> impl Future<Output = Sent> + Send;

    /// Says goodbye, and does not wait long for the answer.
    fn quit(self) -> impl Future<Output = ()> + Send;
}

/// What came of a transaction.
#[derive(Clone, Debug)]
pub struct Sent {
    /// For each recipient, in the envelope's order.
    pub outcomes: Vec<Outcome>,
    /// Whether another transaction can follow on this connection.
    pub reusable: bool,
}

/// What came of it for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer has taken responsibility (`2yz` after the data).
    Taken(Answer),
    /// Refused for this message or recipient, permanently or for now as the answer's status says. Also what the transport finds by itself: a
    /// message that needs 8BITMIME or SMTPUTF8 where the peer has neither, or is longer than the peer's SIZE.
    Refused(Answer),
    /// The connection ended or the peer closed the service (`421`) before the message was given as a whole: nothing was taken. On a connection
    /// that was used before, the queue tries again at once.
    Broken(Answer),
    /// The connection ended after the last octet was given and before the answer: it may have been taken (RFC 1047). It is tried again.
    Doubtful(Answer),
}

/// The envelope of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Reverse path; empty for `<>`.
    pub sender: String,
    /// At least one.
    pub recipients: Vec<EnvelopeRecipient>,
    /// `ENVID`, still in xtext.
    pub envid: Option<String>,
    /// `RET`: `FULL` or `HDRS`.
    pub ret: Option<String>,
    /// `BODY` as it came to us: `7BIT`, `8BITMIME` or `BINARYMIME`.
    pub body: String,
    /// What it needs.
    pub needs: Needs,
    /// `REQUIRETLS` is said wherever the connection can keep it. Without the need for it: a notice, which is not lost for want of it (RFC
    /// 8689 §5).
    pub requiretls: bool,
}

/// A recipient of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeRecipient {
    /// The address.
    pub address: String,
    /// `NOTIFY`, as it came.
    pub notify: Option<String>,
    /// `ORCPT`, still in xtext.
    pub original: Option<String>,
}

/// The bytes of a message, from memory or from the disk, piece by piece: never more than a piece in memory.
#[derive(Clone, Debug)]
pub struct Message {
    blobs: Blobs,
    blob: BlobId,
    size: u64,
    bytes: Option<Bytes>,
}

impl Message {
    /// The message whose bytes are `blob`; `bytes` where they are at hand.
    pub fn new(blobs: Blobs, blob: BlobId, size: u64, bytes: Option<Bytes>) -> Message {
        Message {
            blobs,
            blob,
            size,
            bytes,
        }
    }

    /// How many octets.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole message, where it is in memory.
    pub fn whole(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// Begins at the front. Can be called again for another try.
    pub fn pieces(&self) -> std::io::Result<Pieces> {
        Ok(Pieces(match &self.bytes {
            Some(bytes) => Source::Memory(Some(bytes.clone())),
            None => {
                let reader = net::blocking(|| self.blobs.reader(self.blob)).map_err(std::io::Error::other)?;
                Source::Disk(Box::new(reader))
            }
        }))
    }
}

/// A message on its way out.
pub struct Pieces(Source);

enum Source {
    Memory(Option<Bytes>),
    Disk(Box<blobs::Reader>),
}

impl Pieces {
    /// The next octets; `None` at the end. Reads the disk where they are not in memory, on this thread, with the runtime's knowledge.
    pub fn next_piece(&mut self) -> std::io::Result<Option<Bytes>> {
        match &mut self.0 {
            Source::Memory(bytes) => Ok(bytes.take().filter(|b| !b.is_empty())),
            Source::Disk(reader) => {
                let mut piece = vec![0; PIECE];
                let length = loop {
                    match net::blocking(|| reader.read(&mut piece)) {
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                        other => break other?,
                    }
                };
                piece.truncate(length);
                Ok((length > 0).then(|| Bytes::from(piece)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_well() {
        let cases = [
            (
                Answer {
                    code: Some(550),
                    status: Status(5, 1, 1),
                    text: "no such\nuser".to_owned(),
                },
                "550 5.1.1 no such user",
                true,
            ),
            (
                Answer::own(Status(4, 4, 1), "mx.example: connection refused"),
                "4.4.1 mx.example: connection refused",
                false,
            ),
        ];
        for (answer, text, permanent) in cases {
            assert_eq!(answer.to_string(), text);
            assert_eq!(answer.is_permanent(), permanent, "{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn messages_come_from_memory_and_from_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), blobs::Options::default()).unwrap();
        let content: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let commit = blobs.put(&content).unwrap();
        commit.wait().unwrap();
        for bytes in [None, Some(Bytes::from(content.clone()))] {
            let message = Message::new(blobs.clone(), commit.id(), commit.len(), bytes);
            for _ in 0..2 {
                let (mut read, mut pieces) = (Vec::new(), message.pieces().unwrap());
                while let Some(piece) = pieces.next_piece().unwrap() {
                    read.extend_from_slice(&piece);
                }
                assert!(read == content);
            }
        }
    }
}
