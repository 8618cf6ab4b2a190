//! What an SMTP or LMTP server says to our client.
//!
//! The first octet of the input: bit 0: LMTP; bit 1: a login comes first; bit 2: the message goes with its envelope; bit 3: STARTTLS comes first.

use super::{Target, cuts};
use crate::signature::Signature;
use sasl::client::{Identity, Login};
use sasl::{ChannelBinding, Password};
use smtp::client::{Config, Dialect, Event, Fate, Mail, Recipient, Scan, Session};

pub(super) const TARGET: Target = Target {
    name: "smtp-client",
    about: "what an SMTP or LMTP server answers: greetings, extensions, replies, challenges",
    tokens: TOKENS,
    longest: 8 * 1024,
    seeds: || {
        [0, 1, 2, 4, 8]
            .map(|mode: u8| [&[mode][..], b"220 x\r\n250-x\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 CHUNKING\r\n250 a\r\n250 b\r\n550 c\r\n354 d\r\n250 e\r\n"].concat())
            .to_vec()
    },
    check,
};

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"220 x\r\n",
    b"250 x\r\n",
    b"250-",
    b"250 ",
    b"251 ",
    b"334 ",
    b"235 2.7.0 x\r\n",
    b"354 x\r\n",
    b"421 4.3.2 x\r\n",
    b"450 4.2.1 x\r\n",
    b"452 x\r\n",
    b"500 x\r\n",
    b"503 x\r\n",
    b"550 5.1.1 x\r\n",
    b"550-5.1.1 x\r\n",
    b"221 x\r\n",
    b"521 x\r\n",
    b"250-PIPELINING\r\n",
    b"250-CHUNKING\r\n",
    b"250-BINARYMIME\r\n",
    b"250-8BITMIME\r\n",
    b"250-SMTPUTF8\r\n",
    b"250-DSN\r\n",
    b"250-SIZE 100\r\n",
    b"250-SIZE 18446744073709551616\r\n",
    b"250-STARTTLS\r\n",
    b"250-REQUIRETLS\r\n",
    b"250-LIMITS RCPTMAX=1 MAILMAX=1\r\n",
    b"250-AUTH PLAIN LOGIN\r\n",
    b"250-AUTH SCRAM-SHA-256\r\n",
    b"250-AUTH=LOGIN\r\n",
    b"VXNlcm5hbWU6\r\n",
    b"334 cj1ub25jZXgscz1jMkZzZEE9PSxpPTQwOTY=\r\n",
    b"\0",
    b"\xFF",
    b"x",
    b"9",
    b"-",
    b" ",
];

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let (mode, bytes) = input.split_first().map_or((0, input), |(mode, bytes)| (*mode, bytes));
    let mut first: Option<(String, String)> = None;
    for pieces in cuts(bytes) {
        let outcome = Shell::new(mode).listen(&pieces);
        match &first {
            None => first = Some(outcome),
            Some(first) => assert_eq!(*first, outcome, "other pieces, another conversation"),
        }
    }
    if let Some((said, log)) = first {
        assert!(!said.contains('\0'), "{said:?}");
        for line in said.split_terminator("\r\n") {
            assert!(!line.contains(['\r', '\n']), "two lines in one: {line:?}");
            signature.note(("said", line.get(..4)));
        }
        for line in log.lines() {
            signature.note(line.get(..12.min(line.len())));
        }
    }
    signature
}

struct Shell {
    session: Session,
    mode: u8,
    left: u32,
    said: Vec<u8>,
    log: String,
    mails: usize,
    fates: usize,
}

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\n..y";
const RECIPIENTS: [&str; 3] = ["c@d.example", "e@f.example", "g@h.example"];

impl Shell {
    fn new(mode: u8) -> Shell {
        let dialect = if mode & 1 == 0 { Dialect::Smtp } else { Dialect::Lmtp };
        let mut config = Config::new(dialect, "our.example");
        config.eager = if mode & 4 == 0 { 0 } else { 1000 };
        Shell {
            session: Session::new(config, false),
            mode,
            left: 3,
            said: Vec::new(),
            log: String::new(),
            mails: 0,
            fates: 0,
        }
    }

    fn listen(mut self, pieces: &[&[u8]]) -> (String, String) {
        for piece in pieces {
            let mut input = *piece;
            while let Some(event) = self.session.next(&mut input) {
                self.log.push_str(&format!("{event:?}\n"));
                match event {
                    Event::Ready | Event::LoggedIn | Event::TlsRefused(_) => self.go_on(),
                    Event::Done(fates) => self.done(&fates),
                    Event::Body => {
                        MESSAGE.chunks(5).for_each(|piece| self.session.body(piece));
                        assert!(self.session.body_end(), "the message is as long as was said");
                    }
                    Event::Rejected(_) | Event::LoginFailed(_) => self.session.quit(),
                    Event::StartTls | Event::Closed(_) | Event::Goodbye | Event::Broken(_) => {}
                }
            }
            self.said.append(self.session.output());
        }
        if let Some(fates) = self.session.end() {
            self.log.push_str(&format!("{fates:?}"));
            self.fates += fates.len();
        }
        self.said.append(self.session.output());
        assert_eq!(self.fates, self.mails * RECIPIENTS.len(), "each recipient has one fate");
        assert!(
            self.said.len() <= 8 * 1024 + 64 * pieces.concat().len(),
            "{} octets said",
            self.said.len()
        );
        (String::from_utf8_lossy(&self.said).into_owned(), self.log)
    }

    fn done(&mut self, fates: &[Fate]) {
        self.fates += fates.len();
        if self.session.is_ready() {
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        let mode = self.mode;
        self.mode &= 4 | 1;
        if mode & 8 != 0 && self.session.capabilities().starttls {
            return self.session.start_tls();
        }
        if mode & 2 != 0 {
            let identity = Identity {
                name: "x".to_owned(),
                password: Password::new(b"y".to_vec()),
            };
            let offered = &self.session.capabilities().mechanisms;
            if let Some(login) = Login::choose(offered, identity, "nonce".into(), ChannelBinding::None, true) {
                return self.session.login(login);
            }
        }
        while self.left > 0 {
            self.left -= 1;
            let mut scan = Scan::default();
            scan.update(MESSAGE);
            let recipient = |address| Recipient {
                address,
                notify: Some("NEVER"),
                original: None,
            };
            let mail = Mail {
                sender: "a@b.example",
                recipients: RECIPIENTS.map(recipient).to_vec(),
                size: MESSAGE.len() as u64,
                content: scan.content(),
                requiretls: self.left == 1,
                envid: Some("x"),
                ret: None,
            };
            match self.session.check(&mail) {
                Ok(()) => {
                    self.mails += 1;
                    return self.session.send(&mail);
                }
                Err(refusal) => self.log.push_str(&format!("{refusal}\n")),
            }
        }
        self.session.quit();
    }
}
