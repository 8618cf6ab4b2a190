//! One connection: reads, lets the session speak, does what it asks for, writes.

use super::lock::Lock;
use super::{Listener, Options};
use crate::Tls;
use crate::listener::{Heard, hear, say};
use crate::login::{Checker, Exchanging, Outcome, Turn};
use net::{Guest, Seat, Stream, blocking};
use pop3::{Coming, Entry, Event, Login, Maildrop, Session, Stuffing, Trouble};
use sasl::Mechanism;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use store::{Account, Error, FlagChange, Flags, MailboxId, Snapshot, Uid};
use tokio::sync::watch;
use tokio::time::Instant;

/// What is said where there is no seat.
pub(super) const TOO_MANY: &[u8] = b"-ERR [SYS/TEMP] too many connections, try again later\r\n";
/// What is read of a client at once: it says little.
const BUFFER: usize = 1024;
/// What is read of a message at once.
const PIECE: usize = 64 * 1024;
/// Capacity of the answers that is kept from one command to the next.
const OUT_KEPT: usize = 4 * 1024;
/// Messages that are marked as seen at once.
const SEEN_BATCH: usize = 1000;

/// A connection.
pub(super) struct Connection {
    listener: Arc<Listener>,
    stream: Stream,
    peer: SocketAddr,
    _seat: Seat,
    shutdown: watch::Receiver<bool>,
    name: String,
    started: Instant,
    session: Session,
    exchanging: Option<Exchanging>,
    owner: Option<Owner>,
}

/// Who has logged in, and what he has before him.
struct Owner {
    account: Arc<Account>,
    mailbox: MailboxId,
    snapshot: Arc<Snapshot>,
    /// Retrieved and not marked as seen yet.
    seen: Vec<Uid>,
    _lock: Lock,
}

/// INBOX as it was at login.
struct Inbox(Arc<Snapshot>);

impl Maildrop for Inbox {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn size(&self, message: usize) -> u64 {
        self.0.at(message).map_or(0, |message| u64::from(message.size))
    }

    /// UIDVALIDITY and UID: what they name never changes (RFC 9051 §2.3.1.1).
    fn unique_id(&self, message: usize, out: &mut Vec<u8>) {
        let uid = self.0.at(message).map_or(0, |message| message.uid.0);
        out.extend_from_slice(format!("{}.{uid}", self.0.uid_validity).as_bytes());
    }
}

impl Connection {
    pub(super) fn new(listener: Arc<Listener>, guest: Guest) -> Connection {
        let options = &listener.context.options;
        let session = Session::new(&options.hostname, Entry::default(), options.protocol.clone());
        Connection {
            listener,
            stream: guest.stream,
            peer: guest.peer,
            _seat: guest.seat,
            shutdown: guest.shutdown,
            name: guest.name,
            started: Instant::now(),
            session,
            exchanging: None,
            owner: None,
        }
    }

    fn options(&self) -> &Options {
        &self.listener.context.options
    }

    fn checker(&self) -> Checker<'_> {
        Checker {
            directory: &self.listener.context.directory,
            stream: &self.stream,
            session: &self.name,
        }
    }

    /// What there is to offer before login.
    fn entry(&self) -> Entry {
        let config = self.listener.entrance.config();
        let offer = self.checker().offer(config.plaintext);
        Entry {
            starttls: matches!(config.tls, Tls::Offer(_)) && !self.stream.is_tls(),
            passwords: offer.secrets,
            mechanisms: Mechanism::offered(&offer).map(Mechanism::name).collect(),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let entry = self.entry();
        self.session.offer(entry);
        let ended = self.converse().await;
        self.mark_seen();
        ended
    }

    async fn converse(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            self.flush().await?;
            let count = match self.hear(&mut buffer).await? {
                Heard::Octets(count) => count,
                Heard::End => return Ok(()),
                Heard::Silence => {
                    self.session.silence();
                    return self.hang_up().await;
                }
                Heard::Stop => {
                    self.session.shutdown();
                    return self.hang_up().await;
                }
            };
            let mut input = buffer.get(..count).unwrap_or_default();
            while let Some(event) = self.session.next(&mut input) {
                match event {
                    Event::Close => return self.hang_up().await,
                    Event::Flush => self.flush().await?,
                    Event::StartTls => {
                        self.flush().await?;
                        self.listener.entrance.handshake(&mut self.stream).await?;
                        let entry = self.entry();
                        self.session.tls_started(entry);
                    }
                    Event::Retrieve { message, lines } => self.retrieve(message, lines).await?,
                    Event::Update(messages) => self.update(&messages),
                    Event::Password { user, password } => {
                        let outcome = self.checker().password(None, &user, password).await;
                        self.logged_in(&user, outcome).await;
                    }
                    Event::SaslStart { mechanism, initial } => {
                        let Some(mechanism) = Mechanism::parse(mechanism) else {
                            self.session.answer_login(Login::Malformed);
                            continue;
                        };
                        let exchanging = self.checker().begin(mechanism);
                        self.exchange(exchanging, initial).await;
                    }
                    Event::SaslResponse(response) => match self.exchanging.take() {
                        Some(exchanging) => self.exchange(exchanging, Some(response)).await,
                        None => self.session.answer_login(Login::Malformed),
                    },
                }
            }
        }
    }

    /// Waits for the client, for the signal to stop, and for time to run out.
    async fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
        let patience = self.options().connection.patience(self.session.is_in(), self.started);
        hear(&mut self.stream, &mut self.shutdown, patience, buffer).await
    }

    /// Sends what has come together.
    async fn flush(&mut self) -> io::Result<()> {
        for (command, ok) in self.session.answered() {
            self.listener.metrics.command(command, if ok { "ok" } else { "err" });
        }
        let bound = self.listener.context.options.connection.stall;
        let out = self.session.output();
        if !out.is_empty() {
            say(&mut self.stream, bound, out).await?;
            out.clear();
        }
        out.shrink_to(OUT_KEPT);
        Ok(())
    }

    /// Says the last words and sees to it that they arrive.
    async fn hang_up(&mut self) -> io::Result<()> {
        self.mark_seen();
        // The lock is free before the client reads that it is over: it may come back at once.
        self.owner = None;
        self.flush().await?;
        self.stream.hang_up().await
    }

    async fn exchange(&mut self, mut exchanging: Exchanging, response: Option<Vec<u8>>) {
        match self.checker().turn(&mut exchanging, response).await {
            Turn::Challenge(challenge) => {
                self.session.challenge(&challenge);
                self.exchanging = Some(exchanging);
            }
            Turn::Over(user, outcome) => self.logged_in(&user, outcome).await,
        }
    }

    async fn logged_in(&mut self, user: &str, outcome: Outcome) {
        let (login, counted) = match outcome {
            Outcome::Account(id) => match self.listener.context.locks.take(id) {
                None => (Login::InUse, "in-use"),
                Some(lock) => match blocking(|| self.open(lock, id)) {
                    Ok(owner) => {
                        tracing::info!(session = self.name, client = %self.peer, user, account = id.0, tls = self.stream.is_tls(), "logged in");
                        let inbox = Inbox(Arc::clone(&owner.snapshot));
                        self.owner = Some(owner);
                        (Login::Welcome(Box::new(inbox)), "ok")
                    }
                    Err(error) => {
                        tracing::error!(session = self.name, account = id.0, %error, "the account cannot be opened");
                        (Login::Broken, "unavailable")
                    }
                },
            },
            Outcome::Wrong => (Login::Wrong, "wrong"),
            Outcome::Malformed => (Login::Malformed, "wrong"),
            Outcome::Unavailable => (Login::Unavailable, "unavailable"),
        };
        self.listener.metrics.login(counted);
        if counted == "wrong" {
            tracing::warn!(session = self.name, client = %self.peer, user, "login failed");
            tokio::time::sleep(self.options().connection.login_failure_delay).await;
        }
        self.session.answer_login(login);
    }

    fn open(&self, lock: Lock, id: store::AccountId) -> store::Result<Owner> {
        let account = self.listener.context.store.account(id)?;
        let mailbox = account.mailbox_find("INBOX").ok_or(Error::NoMailbox)?.id;
        // Nothing becomes recent for IMAP or stops being so because a POP3 client has looked.
        let snapshot = account.mailbox_open(mailbox, false)?.snapshot();
        Ok(Owner {
            account,
            mailbox,
            snapshot,
            seen: Vec::new(),
            _lock: lock,
        })
    }

    /// Sends a message in pieces: it is never in memory as a whole.
    async fn retrieve(&mut self, message: usize, lines: Option<u64>) -> io::Result<()> {
        let found = self.owner.as_ref().and_then(|owner| {
            let row = *owner.snapshot.at(message)?;
            Some((Arc::clone(&owner.account), row))
        });
        let Some((account, row)) = found else {
            self.session.answer_retrieve(Err(Trouble::Temporary));
            return Ok(());
        };
        let mut piece = Vec::new();
        let opened = blocking(|| {
            let content = account.content(row.content)?;
            let mut reader = account.content_reader(&content)?;
            // Damage shows at the first octet, most of the time: while it can still be said.
            let begun = fill(&mut reader, &mut piece).map_err(|_| blobs::Error::NotFound(content.blob))?;
            Ok((content.len(), reader, begun))
        });
        let (len, mut reader, mut count) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let trouble = match &error {
                    Error::NoContent(_) => Trouble::Taken,
                    Error::Blobs(blobs::Error::NotFound(_) | blobs::Error::Corrupt { .. }) | Error::Damaged { .. } => {
                        Trouble::Damaged
                    }
                    _ => Trouble::Temporary,
                };
                if trouble != Trouble::Taken {
                    tracing::error!(session = self.name, uid = row.uid.0, %error, "a message cannot be read");
                }
                self.session.answer_retrieve(Err(trouble));
                return Ok(());
            }
        };
        let (coming, mut stuffing) = match lines {
            None => (Coming::Whole(len), Stuffing::whole()),
            Some(lines) => (Coming::Top, Stuffing::top(lines)),
        };
        self.session.answer_retrieve(Ok(coming));
        let mut sent = 0;
        loop {
            let wanted = stuffing.push(piece.get(..count).unwrap_or_default(), self.session.output());
            sent += count as u64;
            if !wanted || sent >= len {
                break;
            }
            self.flush().await?;
            count = blocking(|| fill(&mut reader, &mut piece))?;
            if count == 0 {
                // It was announced and cannot be sent: better no end at all than a false one.
                tracing::error!(
                    session = self.name,
                    uid = row.uid.0,
                    "a message is shorter than its row says"
                );
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        stuffing.finish(self.session.output());
        if lines.is_none() {
            self.listener.metrics.own().retrieved(len);
            if let Some(owner) = &mut self.owner
                && !row.flags.contains(Flags::SEEN)
            {
                owner.seen.push(row.uid);
                if owner.seen.len() >= SEEN_BATCH {
                    self.mark_seen();
                }
            }
        }
        Ok(())
    }

    /// What was read here need not look new elsewhere. If it does after a crash, no harm is done.
    fn mark_seen(&mut self) {
        let Some(owner) = &mut self.owner else { return };
        let mut seen = std::mem::take(&mut owner.seen);
        if seen.is_empty() {
            return;
        }
        seen.sort_unstable();
        seen.dedup();
        let (account, mailbox) = (&owner.account, owner.mailbox);
        let marked = blocking(|| account.message_flag(mailbox, &seen, FlagChange::Add(Flags::SEEN), None));
        if let Err(error) = marked {
            tracing::warn!(session = self.name, %error, "messages that were read could not be marked as seen");
        }
    }

    /// The UPDATE state.
    fn update(&mut self, messages: &[usize]) {
        let Some(owner) = &self.owner else {
            self.session.answer_update(false);
            return;
        };
        let uids: Vec<Uid> = messages
            .iter()
            .filter_map(|message| Some(owner.snapshot.at(*message)?.uid))
            .collect();
        let removed = blocking(|| owner.account.message_remove(owner.mailbox, &uids));
        match &removed {
            Ok(gone) => {
                let count = gone.uids.len();
                self.listener.metrics.own().removed(count);
                tracing::info!(
                    session = self.name,
                    account = owner.account.id().0,
                    messages = count,
                    "removed at QUIT"
                );
            }
            Err(error) => {
                tracing::error!(session = self.name, account = owner.account.id().0, %error, "messages could not be removed");
            }
        }
        self.session.answer_update(removed.is_ok());
    }
}

/// Reads until the piece is full or there is no more.
fn fill(reader: &mut impl Read, piece: &mut Vec<u8>) -> io::Result<usize> {
    piece.resize(PIECE, 0);
    let mut have = 0;
    while let Some(room @ [_, ..]) = piece.get_mut(have..) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}
