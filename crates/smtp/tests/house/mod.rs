//! A small mail house for the tests: it answers what a session asks, by rules that stand in `dialogues/README.md`.

use sasl::{ChannelBinding, Exchange, ScramCredentials};
use smtp::{Config, Event, Recipient, Reply, Role, Sender, Session, Status, Tls};
use std::num::NonZeroU32;
use std::sync::Arc;

/// The server's nonce in the example of RFC 7677 §3.
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: [u8; 16] = [
    0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub sender: String,
    pub recipients: Vec<String>,
    pub protocol: &'static str,
    pub bytes: Vec<u8>,
}

pub struct House {
    pub session: Session,
    pub mails: Vec<Mail>,
    pub sender: Option<Sender>,
    pub recipients: Vec<Recipient>,
    pub closed: bool,
    pub wants_tls: bool,
    bytes: Vec<u8>,
    /// Whether a message is being taken; proves that the events come in order.
    open: bool,
    lmtp: bool,
}

pub fn tls() -> Tls {
    Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        binding: true,
        certificate: false,
    }
}

impl House {
    pub fn new(config: Config, implicit_tls: bool) -> House {
        let lmtp = config.role == Role::Lmtp;
        let mut session = Session::new(Arc::new(config), implicit_tls.then(tls));
        // 25 November 2026, 09:30 UTC
        session.set_time(1_795_599_000);
        House {
            session,
            mails: Vec::new(),
            sender: None,
            recipients: Vec::new(),
            closed: false,
            wants_tls: false,
            bytes: Vec::new(),
            open: false,
            lmtp,
        }
    }

    pub fn tls_started(&mut self) {
        assert!(std::mem::take(&mut self.wants_tls), "no TLS was asked for");
        self.session.tls_started(tls());
    }

    pub fn feed(&mut self, mut input: &[u8]) {
        while let Some(event) = self.session.next(&mut input) {
            match event {
                Event::CheckSender(sender) => {
                    let local = sender.path.address().map_or("", |address| address.local_part());
                    let answer = match local {
                        "barred" => Err(Reply::new(550, Status(5, 7, 1), "not your address")),
                        _ => Ok(()),
                    };
                    self.open = false;
                    self.recipients.clear();
                    self.sender = answer.is_ok().then_some(sender);
                    self.session.answer_sender(answer);
                }
                Event::CheckRecipient(recipient) => {
                    assert!(self.sender.is_some() && !self.open);
                    let local = recipient.address.local_part();
                    let answer = match local {
                        local if local.starts_with("unknown") => {
                            Err(Reply::new(550, Status(5, 1, 1), "no such address"))
                        }
                        "full" => Err(Reply::new(452, Status(4, 2, 2), "mailbox full")),
                        _ => Ok(()),
                    };
                    if answer.is_ok() {
                        self.recipients.push(recipient);
                    }
                    self.session.answer_recipient(answer);
                }
                Event::MessageStart => {
                    assert!(!self.recipients.is_empty() && !self.open);
                    let full = self
                        .sender
                        .as_ref()
                        .is_some_and(|sender| sender.path.as_str().starts_with("diskfull@"));
                    self.open = !full;
                    self.bytes.clear();
                    self.session.answer_start(if full {
                        Err(Reply::new(452, Status(4, 3, 1), "no space"))
                    } else {
                        Ok(())
                    });
                }
                Event::MessageData(data) => {
                    assert!(self.open && !data.is_empty());
                    self.bytes.extend_from_slice(data);
                }
                Event::MessageEnd => {
                    assert!(std::mem::take(&mut self.open));
                    self.mails.push(Mail {
                        sender: self.sender.as_ref().unwrap().path.to_string(),
                        recipients: self
                            .recipients
                            .iter()
                            .map(|recipient| recipient.address.to_string())
                            .collect(),
                        protocol: self.session.protocol(),
                        bytes: std::mem::take(&mut self.bytes),
                    });
                    let replies: Vec<Reply> = if self.lmtp {
                        let reply = |recipient: &Recipient| match recipient.address.local_part() {
                            "later" => Reply::new(451, Status(4, 3, 0), "try again"),
                            _ => Reply::new(250, Status(2, 1, 5), format!("<{}> accepted", recipient.address)),
                        };
                        self.recipients.iter().map(reply).collect()
                    } else {
                        vec![Reply::new(
                            250,
                            Status(2, 0, 0),
                            format!("accepted as {}", self.mails.len()),
                        )]
                    };
                    self.session.answer_message(&replies);
                }
                Event::Aborted => {
                    self.open = false;
                    self.bytes.clear();
                    self.recipients.clear();
                    self.sender = None;
                }
                Event::AuthStart(mechanism) => {
                    let binding = match self.session.tls() {
                        Some(_) => ChannelBinding::TlsExporter(vec![7; 32]),
                        None => ChannelBinding::None,
                    };
                    self.session
                        .answer_exchange(Exchange::new(mechanism, NONCE.into(), binding));
                }
                Event::CheckPassword {
                    authzid: _,
                    authcid,
                    password,
                } => {
                    let right = authcid == "tim" && password.as_bytes() == b"tanstaaftanstaaf";
                    self.session.answer_login(if right { Ok(()) } else { Err(wrong()) });
                }
                Event::Credentials { authcid, hash } => {
                    let password = if authcid == "user" { "pencil" } else { "nobody knows" };
                    let iterations = NonZeroU32::new(4096).unwrap();
                    self.session.answer_credentials(ScramCredentials::derive(
                        hash,
                        password.as_bytes(),
                        &SALT,
                        iterations,
                    ));
                }
                Event::CheckLogin { authcid, .. } => {
                    self.session
                        .answer_login(if authcid == "user" { Ok(()) } else { Err(wrong()) });
                }
                Event::CheckToken { authzid, token } => {
                    let right = token.as_bytes() == b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
                        && authzid.is_none_or(|name| name == "user@example.com");
                    self.session.answer_token(if right { Ok(()) } else { Err(wrong()) });
                }
                Event::CheckCertificate { authzid } => {
                    let right = authzid.is_none_or(|name| name == "tim");
                    self.session.answer_login(if right { Ok(()) } else { Err(wrong()) });
                }
                Event::LoginFailed(_) => {}
                Event::StartTls => self.wants_tls = true,
                Event::Close => {
                    self.closed = true;
                    return;
                }
            }
        }
        assert!(input.is_empty() || self.wants_tls, "the session left input behind");
    }
}

fn wrong() -> Reply {
    Reply::new(535, Status(5, 7, 8), "user or password wrong")
}
