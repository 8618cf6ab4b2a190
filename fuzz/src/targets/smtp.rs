//! The SMTP and LMTP session, answered by a house that decides by the look of an address.
//!
//! The first octet of the input: bits 0 and 1: MX, submission, LMTP, MX that takes bare newlines; bit 2: TLS from the start;
//! bit 3: default limits instead of small ones.

use super::{Target, cuts};
use crate::signature::Signature;
use sasl::{ChannelBinding, Exchange, Mechanism, ScramCredentials};
use smtp::{Config, Event, Limits, Reply, Role, Session, Status, Tls};
use std::sync::Arc;

pub(super) const TARGET: Target = Target {
    name: "smtp",
    about: "what an SMTP or LMTP client sends: commands, DATA, BDAT, AUTH; PROXY headers",
    tokens: TOKENS,
    longest: 16 * 1024,
    seeds: Vec::new,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n..\r\n",
    b"\r\n.\r",
    b"EHLO x\r\n",
    b"HELO x\r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<c@d.example>\r\n",
    b"RCPT TO:<unknown@d>\r\n",
    b"RCPT TO:<postmaster>\r\n",
    b"DATA\r\n",
    b"BDAT 5\r\nabc\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 4294967296\r\n",
    b" LAST",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN AHgAeQ==\r\n",
    b"AUTH LOGIN\r\n",
    b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n",
    b"*\r\n",
    b"eA==\r\n",
    b" SIZE=100",
    b" SIZE=99999999999999999999",
    b" BODY=BINARYMIME",
    b" BODY=8BITMIME",
    b" REQUIRETLS",
    b" SMTPUTF8",
    b" RET=HDRS",
    b" ENVID=a+2Bb",
    b" AUTH=<>",
    b" NOTIFY=SUCCESS,FAILURE",
    b" NOTIFY=NEVER",
    b" ORCPT=rfc822;a@b",
    b"<@x,@y:a@b>",
    b"\"a b\"@c",
    b"<\"",
    b"a@[1.2.3.4]",
    b"a@[IPv6:::1]",
    b"\xC3\xBC@\xC3\xBC.example",
    b"\0",
    b"\xFF",
    b"Received: x\r\n",
    b"Subject: y\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"full@x",
    b"diskfull@x",
    b":",
    b"<",
    b">",
    b" ",
    b"=",
];

fn config(mode: u8) -> Arc<Config> {
    let role = [Role::Mx, Role::Submission, Role::Lmtp, Role::Mx][usize::from(mode & 3)];
    let mut config = Config::new(role, "mail.example");
    config.starttls = mode & 4 == 0;
    config.bare_newlines = mode & 3 == 3;
    config.authentication.plaintext = true;
    config.authentication.required = false;
    if mode & 8 == 0 {
        config.limits = Limits {
            command_line: 300,
            auth_line: 400,
            auth_rounds: 4,
            login_failures: 3,
            recipients: 4,
            message_size: 3000,
            header_size: 400,
            hops: 2,
            // More than an input has: whether a line that is too long counts as thrown away depends on how much of it came at once.
            discard: 20_000,
            errors: 12,
            refused_recipients: 6,
            ..Limits::default()
        };
    }
    Arc::new(config)
}

fn tls() -> Tls {
    Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        binding: true,
        certificate: true,
    }
}

/// All that came of a conversation.
#[derive(Debug, Default, PartialEq)]
struct Transcript {
    output: Vec<u8>,
    /// Sender and recipients, then the message; `None`: given up.
    messages: Vec<(String, Option<Vec<u8>>)>,
    told: Vec<String>,
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let (mode, bytes) = input.split_first().map_or((0, input), |(mode, bytes)| (*mode, bytes));
    let config = config(mode);
    let mut first: Option<Transcript> = None;
    for pieces in cuts(bytes) {
        let transcript = House::new(&config, mode).listen(&pieces);
        match &first {
            None => first = Some(transcript),
            Some(first) => same(first, &transcript),
        }
    }
    if let Some(transcript) = first {
        holds(bytes, &config, &transcript, &mut signature);
    }
    proxy_holds(bytes, &mut signature);
    signature
}

/// Two conversations are the same, except that a message with several faults is refused for the one that was seen first.
fn same(one: &Transcript, other: &Transcript) {
    let lines = |t: &Transcript| -> Vec<String> {
        let text = t.output.escape_ascii().to_string().replace("\\r\\n", "\r\n");
        let fault =
            |l: &&str| l.starts_with("554 5.6.0 ") || l.starts_with("554 5.4.6 ") || l.starts_with("552 5.3.4 ");
        text.lines()
            .map(|l| {
                if fault(&l) {
                    "55x refused".to_owned()
                } else {
                    l.to_owned()
                }
            })
            .collect()
    };
    assert_eq!(lines(one), lines(other), "other pieces, other replies");
    assert_eq!(one.messages, other.messages, "other pieces, other messages");
    assert_eq!(one.told, other.told, "other pieces, other events");
}

/// What must be true of every conversation.
fn holds(bytes: &[u8], config: &Config, transcript: &Transcript, signature: &mut Signature) {
    let replies = std::str::from_utf8(&transcript.output).unwrap_or_else(|_| fail("replies must be UTF-8"));
    assert!(
        replies.is_empty() || replies.ends_with("\r\n"),
        "the last reply has an end"
    );
    for line in replies.split_terminator("\r\n") {
        let (code, rest) = line
            .split_at_checked(3)
            .unwrap_or_else(|| fail(&format!("not a reply: {line:?}")));
        assert!(
            code.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with([' ', '-']),
            "not a reply: {line:?}"
        );
        assert!(
            !line.contains(['\r', '\n', '\0']),
            "a reply of several lines in one: {line:?}"
        );
        assert!(line.len() <= 510, "a reply of {} octets", line.len());
        signature.note(("reply", code, line.get(4..9)));
    }
    let lines = 2 + bytes.iter().filter(|b| **b == b'\n').count();
    let each = if config.role == Role::Lmtp {
        1 + config.limits.recipients
    } else {
        1
    };
    assert!(
        transcript.output.len() <= 1024 + lines * (700 + each.min(lines) * 120),
        "{} octets said",
        transcript.output.len()
    );
    let chunks = bytes.windows(4).any(|w| w.eq_ignore_ascii_case(b"BDAT"));
    for (_, message) in &transcript.messages {
        let Some(message) = message else {
            signature.note("given up");
            continue;
        };
        assert!(
            message.len() as u64 <= config.limits.message_size,
            "a message over the limit was taken"
        );
        if !chunks && !config.bare_newlines {
            assert_eq!(
                bare(message),
                None,
                "a CR or LF stands alone in a message that was taken"
            );
        }
        signature.note(("message", message.len().checked_ilog2()));
    }
    for what in &transcript.told {
        signature.note(what.split(' ').next());
    }
}

/// Where a CR without LF or an LF without CR stands.
fn bare(message: &[u8]) -> Option<usize> {
    let mut before = 0;
    for (at, &b) in message.iter().enumerate() {
        if (b == b'\n') != (before == b'\r') {
            return Some(at);
        }
        before = b;
    }
    (before == b'\r').then_some(message.len())
}

fn proxy_holds(bytes: &[u8], signature: &mut Signature) {
    if let Ok(Some((proxied, used))) = smtp::proxy::parse(bytes) {
        assert!(used <= bytes.len());
        signature.note(("proxy", std::mem::discriminant(&proxied)));
        let half = bytes.get(..used.saturating_sub(1)).unwrap_or_default();
        assert!(
            matches!(smtp::proxy::parse(half), Ok(None)),
            "a header was read before its end"
        );
    }
}

struct House<'c> {
    config: &'c Arc<Config>,
    mode: u8,
    session: Session,
    transcript: Transcript,
    envelope: String,
    message: Option<Vec<u8>>,
    diskfull: bool,
}

impl<'c> House<'c> {
    fn new(config: &'c Arc<Config>, mode: u8) -> House<'c> {
        House {
            config,
            mode,
            session: Session::new(config.clone(), (mode & 4 != 0).then(tls)),
            transcript: Transcript::default(),
            envelope: String::new(),
            message: None,
            diskfull: false,
        }
    }

    fn listen(mut self, pieces: &[&[u8]]) -> Transcript {
        for piece in pieces {
            let mut rest = *piece;
            while let Some(event) = self.session.next(&mut rest) {
                let ends = match event {
                    Event::StartTls => {
                        self.after_handshake();
                        true
                    }
                    Event::Close => true,
                    event => {
                        self.answer(event);
                        false
                    }
                };
                if ends {
                    self.gather();
                    self.transcript.told.push("end".into());
                    return self.transcript;
                }
            }
            assert!(rest.is_empty(), "every question was answered, and bytes are left");
        }
        self.gather();
        self.transcript.told.push(format!(
            "idle {} message {}",
            self.session.is_idle(),
            self.session.is_in_message()
        ));
        self.transcript
    }

    /// What the client said before the handshake counts for nothing: a `MAIL` needs a new EHLO.
    fn after_handshake(&mut self) {
        self.session.tls_started(tls());
        self.gather();
        assert!(
            !self.session.is_authenticated() && self.session.helo().is_empty(),
            "something survived STARTTLS"
        );
        let mut rest = &b"MAIL FROM:<a@b.example>\r\n"[..];
        let asked = self.session.next(&mut rest);
        // Too many errors may end it here.
        assert!(
            matches!(asked, None | Some(Event::Close)),
            "MAIL without EHLO after STARTTLS: {asked:?}"
        );
        let said = self.session.output();
        assert!(
            said.starts_with(b"5") || said.starts_with(b"421"),
            "{}",
            said.escape_ascii()
        );
    }

    fn answer(&mut self, event: Event<'_>) {
        match event {
            Event::CheckSender(sender) => {
                self.give_up();
                let barred = sender.path.as_str().contains("barred");
                self.diskfull = sender.path.as_str().contains("diskfull");
                self.envelope = format!("{sender:?} ");
                self.session
                    .answer_sender(if barred { Err(refusal(550)) } else { Ok(()) });
            }
            Event::CheckRecipient(recipient) => {
                let refused = recipient.address.as_str().contains("unknown");
                if !refused {
                    self.envelope += &format!("{recipient:?} ");
                }
                self.session
                    .answer_recipient(if refused { Err(refusal(550)) } else { Ok(()) });
            }
            Event::MessageStart => {
                assert!(self.message.is_none(), "a message within a message");
                if self.diskfull {
                    self.session.answer_start(Err(refusal(452)));
                } else {
                    self.message = Some(Vec::new());
                    self.session.answer_start(Ok(()));
                }
            }
            Event::MessageData(data) => match &mut self.message {
                Some(message) => message.extend_from_slice(data),
                None => fail("octets of no message"),
            },
            Event::MessageEnd => {
                let Some(message) = self.message.take() else {
                    fail("the end of no message")
                };
                assert!(message.len() as u64 <= self.config.limits.message_size);
                let _ = self.session.protocol();
                self.transcript
                    .messages
                    .push((std::mem::take(&mut self.envelope), Some(message)));
                self.session
                    .answer_message(&[Reply::new(250, Status(2, 0, 0), "taken")]);
            }
            Event::Aborted => self.give_up(),
            Event::AuthStart(mechanism) => {
                assert!(
                    !matches!(mechanism, Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus) || self.mode & 4 != 0,
                    "-PLUS without a channel"
                );
                let binding = if self.mode & 4 == 0 {
                    ChannelBinding::None
                } else {
                    ChannelBinding::TlsExporter(vec![1; 32])
                };
                self.session
                    .answer_exchange(Exchange::new(mechanism, "fixednonce".into(), binding));
            }
            Event::CheckPassword {
                authcid,
                authzid,
                password,
            } => {
                self.transcript
                    .told
                    .push(format!("password {authcid:?} {authzid:?} {:?}", password.as_bytes()));
                self.session
                    .answer_login(if authcid == "x" { Ok(()) } else { Err(refusal(535)) });
            }
            Event::Credentials { authcid, hash } => {
                self.transcript.told.push(format!("credentials {authcid:?}"));
                self.session.answer_credentials(ScramCredentials {
                    hash,
                    salt: vec![7; 16],
                    iterations: 4096,
                    stored_key: vec![1; hash.octets()],
                    server_key: vec![2; hash.octets()],
                });
            }
            Event::CheckToken { authzid, token } => {
                self.transcript
                    .told
                    .push(format!("token {authzid:?} {:?}", token.as_bytes()));
                self.session.answer_token(if token.as_bytes() == b"x" {
                    Ok(())
                } else {
                    Err(refusal(535))
                });
            }
            Event::CheckCertificate { authzid } => {
                self.transcript.told.push(format!("certificate {authzid:?}"));
                self.session
                    .answer_login(if authzid.is_none() { Ok(()) } else { Err(refusal(535)) });
            }
            Event::CheckLogin { authcid, .. } => fail(&format!("{authcid} has proven what nobody can")),
            Event::LoginFailed(failure) => self.transcript.told.push(format!("failed {failure}")),
            Event::StartTls | Event::Close => {}
        }
        self.gather();
    }

    fn give_up(&mut self) {
        if self.message.take().is_some() {
            self.transcript
                .messages
                .push((std::mem::take(&mut self.envelope), None));
        }
    }

    fn gather(&mut self) {
        self.transcript.output.append(self.session.output());
    }
}

fn refusal(code: u16) -> Reply {
    Reply::new(code, Status((code / 100) as u8, 1, 1), "not here")
}

#[allow(clippy::panic)]
fn fail(what: &str) -> ! {
    panic!("{what}")
}
