//! One connection: reads, lets the session speak, answers what it asks, writes.

use super::login::{self, Outcome};
use super::message::Incoming;
use super::refusal;
use super::submission;
use super::throttle::{self, Judgement};
use super::{Door, blocking, stopped};
use crate::inspect::{Action, Admission, Visitor};
use authentication::Listener;
use db::AccountId;
use ledger::{Acceptance, Lane, NewRecipient, RequireTls};
use net::{Guest, Seat, Stream};
use smtp::{Event, Received, Reply, Role, Sender, Session, Status};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A message to so many is bulk: after an outage people's mail goes first.
const MANY: usize = 50;

/// What is said where there is no seat.
pub(super) const TOO_MANY: &[u8] = b"421 4.7.0 too many connections, try again later\r\n";
/// The buffer of a connection that waits for commands.
const SMALL_BUFFER: usize = 4 * 1024;

/// A connection.
pub(super) struct Connection {
    door: Arc<Door>,
    stream: Stream,
    /// TLS, where it was on from the first octet.
    tls: Option<smtp::Tls>,
    peer: SocketAddr,
    _seat: Seat,
    shutdown: watch::Receiver<bool>,
    /// The stop signal was seen.
    stopping: bool,
    name: String,
    started: Instant,
    account: Option<AccountId>,
    /// Whom the SCRAM credentials that we handed out let in.
    candidate: Option<AccountId>,
    transaction: Option<Transaction>,
    /// Who comes from outside is looked at.
    visitor: Option<Visitor>,
    /// Octets that came before the greeting.
    early: usize,
}

struct Transaction {
    sender: Sender,
    recipients: Vec<NewRecipient>,
    /// Which of them each RCPT named, in their order.
    named: Vec<usize>,
    message: Option<Incoming>,
    /// What was found of a client from outside.
    admission: Option<Result<Admission, Reply>>,
    /// It is to wait until then.
    release_at: Option<i64>,
}

/// What came of waiting for the client.
enum Heard {
    Octets(usize),
    End,
    Silence,
    TooLong,
    Stop,
}

impl Connection {
    pub(super) fn new(door: Arc<Door>, guest: Guest) -> Connection {
        Connection {
            name: guest.name,
            door,
            stream: guest.stream,
            tls: guest.tls,
            peer: guest.peer,
            _seat: guest.seat,
            shutdown: guest.shutdown,
            stopping: false,
            started: Instant::now(),
            account: None,
            candidate: None,
            transaction: None,
            visitor: None,
            early: 0,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let tls = self.tls.take();
        let mut session = Session::new(Arc::clone(&self.door.session), tls);
        let (mut small, mut large) = (vec![0; SMALL_BUFFER], None::<Box<[u8]>>);
        self.look(&mut small).await?;
        if self.early > 0
            && let Some(reply) = self.visitor.as_mut().and_then(Visitor::spoke_early)
        {
            tracing::info!(session = self.name, client = %self.peer, "spoke before it was greeted");
            session.output().clear();
            session.close(&reply);
            return self.hang_up(&mut session).await;
        }
        loop {
            if self.stopping && session.is_idle() {
                session.close(&Reply::new(
                    421,
                    Status(4, 3, 2),
                    "going down for maintenance, try again",
                ));
                return self.hang_up(&mut session).await;
            }
            self.write(&mut session).await?;
            let buffer = large.as_deref_mut().unwrap_or(&mut small);
            let heard = match std::mem::take(&mut self.early) {
                0 => self.hear(&session, buffer).await?,
                count => Heard::Octets(count),
            };
            match heard {
                Heard::Octets(count) => {
                    session.set_time(net::now());
                    let mut input = buffer.get(..count).unwrap_or_default();
                    while let Some(event) = session.next(&mut input) {
                        match event {
                            Event::MessageData(data) => self.push(data),
                            Event::StartTls => {
                                self.write(&mut session).await?;
                                session.tls_started(self.door.entrance.handshake(&mut self.stream).await?);
                                self.transaction = None;
                                self.account = None;
                            }
                            Event::Close => return self.hang_up(&mut session).await,
                            event => self.take(&mut session, event).await,
                        }
                    }
                    // A message is read in large pieces; who only waits costs little.
                    if session.is_in_message() {
                        large.get_or_insert_with(|| self.door.buffers.take());
                    } else if let Some(buffer) = large.take() {
                        self.door.buffers.give(buffer);
                    }
                }
                Heard::End => {
                    tracing::debug!(session = self.name, "the client hung up");
                    return Ok(());
                }
                Heard::Silence => {
                    session.close(&Reply::new(421, Status(4, 4, 2), "silent for too long"));
                    return self.hang_up(&mut session).await;
                }
                Heard::TooLong => {
                    session.close(&Reply::new(421, Status(4, 4, 2), "the session lasts too long"));
                    return self.hang_up(&mut session).await;
                }
                Heard::Stop => self.stopping = true,
            }
        }
    }

    /// Begins to look at a client from outside, and listens whether it speaks before its turn (RFC 5321 §4.3.1).
    async fn look(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let Some(inspector) = self.door.context.inspector.as_ref() else {
            return Ok(());
        };
        if self.door.session.role != Role::Mx || !inspector.minds(self.peer.ip()) {
            return Ok(());
        }
        self.visitor = Some(Visitor::new(inspector, self.peer.ip()));
        let options = inspector.options();
        if options.early_talker != Action::Off && !options.greeting_delay.is_zero() {
            let end = Instant::now() + options.greeting_delay;
            if let Ok(read) = timeout_at(end, self.stream.read(buffer)).await {
                self.early = read?;
                if self.early == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }

    /// Whether somebody from outside may send to this recipient.
    async fn admit(&mut self, session: &Session, recipient: &str) -> Result<(), Reply> {
        let (Some(visitor), Some(transaction)) = (&mut self.visitor, &mut self.transaction) else {
            return Ok(());
        };
        let sender = transaction.sender.path.as_str();
        let admission = match &transaction.admission {
            Some(admission) => admission,
            None => {
                let found = visitor.admit(session.helo(), sender).await;
                transaction.admission.insert(found)
            }
        };
        let admission = admission.as_ref().map_err(Clone::clone)?;
        visitor.greylist(admission, sender, recipient)
    }

    /// Waits for the client, for the signal to stop, and for time to run out.
    async fn hear(&mut self, session: &Session, buffer: &mut [u8]) -> io::Result<Heard> {
        let limits = &self.door.context.options.session;
        let now = Instant::now();
        // A message that began in time may end; one that drips in for ever may not.
        let session_end = self.started
            + if session.is_in_message() {
                limits.session * 2
            } else {
                limits.session
            };
        let idle_end = now + limits.idle;
        if now >= session_end {
            return Ok(Heard::TooLong);
        }
        let stopping = self.stopping;
        tokio::select! {
            biased;
            read = self.stream.read(buffer) => match read? {
                0 => Ok(Heard::End),
                count => Ok(Heard::Octets(count)),
            },
            () = stopped(&mut self.shutdown), if !stopping => Ok(Heard::Stop),
            () = tokio::time::sleep_until(idle_end.min(session_end)) => {
                Ok(if session_end < idle_end { Heard::TooLong } else { Heard::Silence })
            }
        }
    }

    /// Writes what the session has to say, in one write.
    async fn write(&mut self, session: &mut Session) -> io::Result<()> {
        for code in session.refusals() {
            self.door.metrics.refused(code);
        }
        if session.output().is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(session.output());
        let bound = Instant::now() + self.door.context.options.session.idle;
        timeout_at(bound, self.stream.write(&output))
            .await
            .map_err(|_| timed_out())??;
        output.clear();
        *session.output() = output;
        Ok(())
    }

    /// Says the last words and sees to it that they arrive.
    async fn hang_up(&mut self, session: &mut Session) -> io::Result<()> {
        self.transaction = None;
        self.write(session).await?;
        if session.has_quit() {
            return self.stream.finish().await;
        }
        self.stream.hang_up().await
    }

    /// Answers an event.
    async fn take(&mut self, session: &mut Session, event: Event<'_>) {
        match event {
            Event::CheckSender(sender) => {
                let checked = self.door.check_sender(self.account, &sender);
                let answer = checked.and_then(|()| self.door.release_at(&sender));
                if let Ok(release_at) = answer {
                    self.transaction = Some(Transaction {
                        sender,
                        recipients: Vec::new(),
                        named: Vec::new(),
                        message: None,
                        admission: None,
                        release_at,
                    });
                }
                session.answer_sender(answer.map(|_| ()));
            }
            Event::CheckRecipient(recipient) => {
                let sender = self.transaction.as_ref().map(|transaction| &transaction.sender);
                let mut checked = self.door.check_recipient(self.account, sender, &recipient);
                if checked.is_ok()
                    && let Err(reply) = self.admit(session, recipient.address.as_str()).await
                {
                    checked = Err(reply.into());
                }
                match checked {
                    Ok(recipient) => {
                        self.add(recipient);
                        session.answer_recipient(Ok(()));
                    }
                    Err(refused) => {
                        let reply = &refused.reply;
                        tracing::info!(
                            session = self.name, client = %self.peer, recipient = recipient.address.as_str(),
                            code = reply.code(), reason = reply.text(), "recipient refused"
                        );
                        if refused.unknown {
                            tokio::time::sleep(self.door.context.options.bad_recipient_delay).await;
                        }
                        session.answer_recipient(Err(refused.reply));
                    }
                }
            }
            Event::MessageStart => {
                self.begin(session);
                session.answer_start(Ok(()));
            }
            Event::MessageEnd => {
                let replies = self.custody(session).await;
                session.answer_message(&replies);
            }
            Event::Aborted => self.transaction = None,
            Event::AuthStart(mechanism) => session.answer_exchange(login::exchange(mechanism, &self.stream)),
            Event::CheckPassword {
                authzid,
                authcid,
                password,
            } => {
                let user = authcid.clone();
                let outcome = self.door.check_password(authzid, authcid, password).await;
                self.logged_in(session, &user, &outcome).await;
            }
            Event::Credentials { authcid, hash } => {
                let (credentials, candidate) = self.door.context.directory.scram(&authcid, hash);
                self.candidate = candidate;
                session.answer_credentials(credentials);
            }
            Event::CheckLogin { authzid, authcid } => {
                let outcome = match self.candidate.take() {
                    Some(account) => self.door.check_authzid(account, authzid.as_deref()),
                    None => Outcome::Wrong,
                };
                self.logged_in(session, &authcid, &outcome).await;
            }
            Event::CheckToken { authzid, token } => {
                let user = authzid.clone().unwrap_or_default();
                let outcome = self.door.check_token(authzid, token).await;
                self.note_login(&user, &outcome).await;
                session.answer_token(outcome.answer());
            }
            Event::CheckCertificate { authzid } => {
                let addresses = self.stream.certificate_addresses();
                let outcome = self.door.check_certificate(authzid.as_deref(), &addresses);
                self.logged_in(session, &addresses.join(" "), &outcome).await;
            }
            Event::LoginFailed(failure) => {
                self.door.metrics.login("wrong");
                tracing::warn!(session = self.name, client = %self.peer, reason = %failure, "login failed");
                tokio::time::sleep(self.door.context.options.login_failure_delay).await;
            }
            // These are the loop's.
            Event::MessageData(_) | Event::StartTls | Event::Close => {}
        }
    }

    async fn logged_in(&mut self, session: &mut Session, user: &str, outcome: &Outcome) {
        self.note_login(user, outcome).await;
        session.answer_login(outcome.answer());
    }

    async fn note_login(&mut self, user: &str, outcome: &Outcome) {
        self.door.metrics.login(outcome.name());
        if let Outcome::Account(account) = outcome {
            self.account = Some(*account);
            tracing::info!(session = self.name, client = %self.peer, user, "logged in");
        } else {
            tracing::warn!(session = self.name, client = %self.peer, user, reason = outcome.name(), "login failed");
            tokio::time::sleep(self.door.context.options.login_failure_delay).await;
        }
    }

    /// A recipient named twice gets the message once.
    fn add(&mut self, recipient: NewRecipient) {
        if let Some(transaction) = &mut self.transaction {
            let known = |other: &NewRecipient| other.address.eq_ignore_ascii_case(&recipient.address);
            let at = transaction.recipients.iter().position(known);
            transaction.named.push(at.unwrap_or(transaction.recipients.len()));
            if at.is_none() {
                transaction.recipients.push(recipient);
            }
        }
    }

    fn begin(&mut self, session: &Session) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let mut message = Incoming::new(&self.door.context, transaction.sender.size);
        if let (Some(visitor), Some(Ok(_))) = (&self.visitor, &transaction.admission) {
            let limits = visitor.inspector().options().limits.clone();
            message = message.hearing(&self.door.context, Listener::new(limits));
        } else if self.door.session.role == Role::Submission {
            message = message.hearing(&self.door.context, submission::listener());
        }
        let id = message.id.to_string();
        let recipient = match transaction.recipients.as_slice() {
            [only] => smtp::Address::parse(&only.address).ok(),
            _ => None,
        };
        let received = Received {
            helo: session.helo(),
            peer: Some(self.peer.ip()),
            hostname: &self.door.context.options.hostname,
            protocol: session.protocol(),
            id: &id,
            tls: session.tls(),
            recipient: recipient.as_ref(),
            time: message.received_at,
        };
        received.write(message.head());
        transaction.message = Some(message);
    }

    fn push(&mut self, data: &[u8]) {
        if let Some(message) = self
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.message.as_mut())
        {
            message.push(data);
        }
    }

    /// The message is here: onto the disk with it. The replies say what came of it: one for all recipients, or over LMTP one for each RCPT
    /// where a script refuses it for some.
    async fn custody(&mut self, session: &Session) -> Vec<Reply> {
        let Some(Transaction {
            sender,
            recipients,
            named,
            message: Some(mut message),
            admission,
            release_at,
        }) = self.transaction.take()
        else {
            return vec![Reply::new(
                451,
                Status(4, 3, 0),
                "the message was lost on the way in, try again",
            )];
        };
        let ended = Instant::now();
        let (id, received_at, count) = (message.id, message.received_at, recipients.len());
        let (mut notes, mut quarantine) = (None, None);
        let whole = match (message.heard(), &self.visitor, admission) {
            (Some(heard), Some(visitor), Some(Ok(admission))) => {
                let path = sender.path.as_str();
                let inspector = visitor.inspector();
                let examined = inspector
                    .examine(&admission, self.peer.ip(), session.helo(), path, &heard)
                    .await;
                if let Some(reply) = examined.refusal {
                    tracing::info!(
                        session = self.name, client = %self.peer, sender = path, code = reply.code(), reason = reply.text(), "message refused"
                    );
                    return vec![reply];
                }
                let found = examined.verdict;
                (notes, quarantine) = (Some(found.notes), found.quarantine);
                message.compose(found.field.as_bytes(), &heard, &without(heard.header(), &found.forged))
            }
            (Some(heard), _, _) => {
                let context = &self.door.context;
                let came = submission::Came {
                    id,
                    received_at,
                    account: self.account,
                    sender: sender.path.as_str(),
                };
                let (top, header) = match context.submitted(&came, &heard) {
                    Ok(made) => made,
                    Err(reply) => {
                        tracing::info!(
                            session = self.name, client = %self.peer, sender = sender.path.as_str(), reason = reply.text(), "message refused"
                        );
                        return vec![reply];
                    }
                };
                message.compose(&top, &heard, header.as_deref().unwrap_or(heard.header()))
            }
            _ => message.finish(),
        };
        let whole = match whole {
            Ok(whole) => whole,
            Err(error) => return vec![self.not_taken(&ledger::Error::from(error))],
        };
        let size = whole.commit.len();
        let mut held = None;
        if let (Some(account), Role::Submission) = (self.account, self.door.session.role) {
            match self.door.context.judge(account, count, self.peer.ip()).await {
                Judgement::Send => {}
                Judgement::Hold(reason) => held = Some(reason),
                // The bytes are nobody's, and are given back later.
                Judgement::Refuse => return vec![throttle::refusal()],
            }
        }
        let mut acceptance = Acceptance {
            id,
            received_at,
            sender: sender.path.as_str().to_owned(),
            protocol: session.protocol().to_owned(),
            listener: self.door.entrance.config().name.clone(),
            client: self.peer.to_string(),
            helo: session.helo().to_owned(),
            tls: session.tls().map(|tls| format!("{} {}", tls.version, tls.cipher)),
            login: self.account,
            envid: sender.envid,
            ret: sender.ret.map(|ret| ret.to_string()),
            body: sender.body.to_string(),
            smtputf8: sender.smtputf8,
            requiretls: if sender.requiretls {
                RequireTls::Yes
            } else {
                whole.requiretls
            },
            bulk: whole.bulk || count >= MANY,
            release_at,
            held,
            session: self.name.clone(),
            message_id: whole.message_id,
            notes,
            quarantine,
            parent: None,
            recipients,
        };
        let refusals = self.refusals(&acceptance, whole.bytes.as_deref());
        let all = !refusals.is_empty() && refusals.iter().all(Option::is_some);
        if all || (self.door.session.role == Role::Lmtp && refusals.iter().any(Option::is_some)) {
            let mut number = 0;
            acceptance.recipients.retain(|_| {
                number += 1;
                refusals.get(number - 1).is_none_or(Option::is_none)
            });
            tracing::info!(session = self.name, client = %self.peer, sender = sender.path.as_str(), refused = number - acceptance.recipients.len(), "refused by scripts");
        }
        let replies = |taken: &Reply| -> Vec<Reply> {
            if self.door.session.role == Role::Lmtp {
                let answer = |at: &usize| {
                    refusals
                        .get(*at)
                        .and_then(Clone::clone)
                        .unwrap_or_else(|| taken.clone())
                };
                named.iter().map(answer).collect()
            } else {
                vec![if all {
                    refusals.first().and_then(Clone::clone).unwrap_or_else(|| taken.clone())
                } else {
                    taken.clone()
                }]
            }
        };
        if acceptance.recipients.is_empty() {
            // Nobody takes it: the bytes are nobody's either, and are given back later.
            return replies(&Reply::new(550, Status(5, 7, 1), "refused"));
        }
        if let Err(error) = self
            .door
            .context
            .ledger
            .accept(acceptance, whole.commit, whole.bytes)
            .await
        {
            return replies(&self.not_taken(&error));
        }
        let metrics = &self.door.metrics;
        metrics.custody.observe(ended.elapsed().as_secs_f64());
        metrics.messages.inc();
        metrics.recipients.inc_by(count as u64);
        metrics.octets.inc_by(size);
        tracing::info!(
            session = self.name, acceptance = %id, client = %self.peer, sender = sender.path.as_str(), recipients = count, size,
            "accepted"
        );
        replies(&Reply::new(250, Status(2, 0, 0), format!("accepted as {id}")))
    }

    /// What the recipients' scripts say, where they may refuse; empty where nobody asks.
    fn refusals(&self, acceptance: &Acceptance, message: Option<&[u8]>) -> Vec<Option<Reply>> {
        // Nobody elsewhere has a script here: a message for them is not worth handing this thread's tasks to another.
        let ours = acceptance
            .recipients
            .iter()
            .any(|recipient| recipient.lane == Lane::Local);
        match (&self.door.context.filter, message) {
            (Some(filter), Some(message)) if ours => {
                blocking(|| refusal::refusals(&self.door.context, filter, acceptance, message))
            }
            _ => Vec::new(),
        }
    }

    fn not_taken(&self, error: &ledger::Error) -> Reply {
        tracing::error!(session = self.name, client = %self.peer, %error, "a message could not be taken into custody");
        match error {
            error if error.is_no_space() => {
                Reply::new(452, Status(4, 3, 1), "no space for messages now, try again later")
            }
            ledger::Error::Closing | ledger::Error::Blobs(blobs::Error::Closed) => {
                Reply::new(451, Status(4, 3, 2), "going down for maintenance, try again")
            }
            _ => Reply::new(451, Status(4, 3, 0), "the message could not be stored, try again later"),
        }
    }
}

/// A header without these parts of it.
fn without(header: &[u8], parts: &[std::ops::Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    let mut at = 0;
    for part in parts {
        out.extend_from_slice(header.get(at..part.start).unwrap_or_default());
        at = part.end;
    }
    out.extend_from_slice(header.get(at..).unwrap_or_default());
    out
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
