//! Whole sessions as text, the RFCs' own among them.
#![allow(clippy::unwrap_used, clippy::panic)]

use pop3::{Coming, Entry, Event, Limits, Login, Maildrop, Session, Stuffing, Trouble};
use proptest::prelude::*;

const MESSAGES: [&str; 3] = [
    "Subject: one\r\n\r\nfirst\r\n.\r\n..two\r\nlast\r\n",
    "Subject: two\r\n\r\nsecond",
    "Subject: three\r\n\r\n",
];

struct Drop;

impl Maildrop for Drop {
    fn len(&self) -> usize {
        MESSAGES.len()
    }
    fn size(&self, message: usize) -> u64 {
        MESSAGES[message].len() as u64
    }
    fn unique_id(&self, message: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("7.{}", message + 1).as_bytes());
    }
}

/// A server with one account, ada, and her password, geheim.
struct House {
    session: Session,
    sent: Vec<u8>,
    removed: Option<Vec<usize>>,
    closed: bool,
}

fn entry(tls: bool) -> Entry {
    Entry {
        starttls: !tls,
        passwords: tls,
        mechanisms: if tls {
            vec!["SCRAM-SHA-256", "PLAIN"]
        } else {
            vec!["SCRAM-SHA-256"]
        },
    }
}

impl House {
    fn new(tls: bool, limits: Limits) -> House {
        House {
            session: Session::new("mail.example", entry(tls), limits),
            sent: Vec::new(),
            removed: None,
            closed: false,
        }
    }

    fn flush(&mut self) {
        self.sent.append(self.session.output());
    }

    fn push(&mut self, mut input: &[u8]) {
        while let Some(event) = self.session.next(&mut input) {
            match event {
                Event::Flush => self.flush(),
                Event::StartTls => {
                    self.flush();
                    self.session.tls_started(entry(true));
                }
                Event::Password { user, password } => {
                    let login = match (user.as_str(), password.as_bytes()) {
                        ("ada", b"geheim") => Login::Welcome(Box::new(Drop)),
                        ("busy", _) => Login::InUse,
                        ("later", _) => Login::Unavailable,
                        ("broken", _) => Login::Broken,
                        _ => Login::Wrong,
                    };
                    self.session.answer_login(login);
                }
                Event::SaslStart { initial: None, .. } => self.session.challenge(b""),
                Event::SaslStart {
                    initial: Some(response),
                    ..
                }
                | Event::SaslResponse(response) => {
                    let login = match response.as_slice() {
                        b"\0ada\0geheim" => Login::Welcome(Box::new(Drop)),
                        b"" => Login::Malformed,
                        _ => Login::Wrong,
                    };
                    self.session.answer_login(login);
                }
                Event::Retrieve { message, lines } => {
                    if message == 2 {
                        self.session.answer_retrieve(Err(Trouble::Taken));
                        continue;
                    }
                    let (coming, mut stuffing) = match lines {
                        None => (Coming::Whole(Drop.size(message)), Stuffing::whole()),
                        Some(lines) => (Coming::Top, Stuffing::top(lines)),
                    };
                    self.session.answer_retrieve(Ok(coming));
                    self.flush();
                    stuffing.push(MESSAGES[message].as_bytes(), &mut self.sent);
                    stuffing.finish(&mut self.sent);
                }
                Event::Update(messages) => {
                    self.removed = Some(messages);
                    self.session.answer_update(true);
                }
                Event::Close => {
                    self.closed = true;
                    break;
                }
            }
        }
        self.flush();
    }
}

/// Lines that begin with `C: ` are said, all others must be the answers, in order. A line `TLS` begins with TLS on.
fn check(dialogue: &str) -> House {
    let dialogue = dialogue.trim_start();
    let tls = dialogue.starts_with("TLS");
    let mut house = House::new(tls, Limits::default());
    let mut expected = String::new();
    house.flush();
    for line in dialogue.lines().map(str::trim_start) {
        match line.strip_prefix("C: ") {
            Some(said) => {
                assert_eq!(String::from_utf8_lossy(&house.sent), expected, "before {said}");
                house.push(format!("{said}\r\n").as_bytes());
            }
            None if line == "TLS" => {}
            None => expected.push_str(&format!("{line}\r\n")),
        }
    }
    assert_eq!(String::from_utf8_lossy(&house.sent), expected);
    house
}

#[test]
fn a_session_by_rfc_1939() {
    let house = check(
        "TLS
        +OK mail.example is ready for POP3
        C: USER ada
        +OK now the password
        C: pass geheim
        +OK 3 messages (79 octets)
        C: STAT
        +OK 3 79
        C: LIST
        +OK 3 messages (79 octets)
        1 39
        2 22
        3 18
        .
        C: LIST 2
        +OK 2 22
        C: UIDL
        +OK 3 messages (79 octets)
        1 7.1
        2 7.2
        3 7.3
        .
        C: UIDL 3
        +OK 3 7.3
        C: RETR 1
        +OK 39 octets
        Subject: one
        
        first
        ..
        ...two
        last
        .
        C: TOP 1 1
        +OK the top of it follows
        Subject: one
        
        first
        .
        C: RETR 2
        +OK 22 octets
        Subject: two
        
        second
        .
        C: RETR 3
        -ERR another program has taken that message away
        C: DELE 1
        +OK will be gone after QUIT
        C: DELE 1
        -ERR that message is marked as deleted
        C: RETR 1
        -ERR that message is marked as deleted
        C: LIST
        +OK 2 messages (40 octets)
        2 22
        3 18
        .
        C: RSET
        +OK nothing is marked any more
        C: STAT
        +OK 3 79
        C: DELE 2
        +OK will be gone after QUIT
        C: DELE 3
        +OK will be gone after QUIT
        C: NOOP
        +OK fine
        C: QUIT
        +OK 2 removed, good bye",
    );
    assert_eq!(house.removed, Some(vec![1, 2]));
    assert!(house.closed);
}

#[test]
fn before_login_and_tls() {
    check(
        "+OK mail.example is ready for POP3
        C: CAPA
        +OK capabilities follow
        TOP
        UIDL
        PIPELINING
        RESP-CODES
        AUTH-RESP-CODE
        EXPIRE NEVER
        UTF8 USER
        LANG
        STLS
        SASL SCRAM-SHA-256
        IMPLEMENTATION Rohrpost
        .
        C: USER ada
        -ERR start TLS first (STLS)
        C: AUTH PLAIN
        -ERR no such mechanism here
        C: STAT
        -ERR log in first
        C: XTND
        -ERR there is no such command
        C: APOP ada c4c9334bac560ecc979e58001b3e22fb
        -ERR there is no such command
        C: STLS
        +OK begin TLS now
        C: STLS
        -ERR TLS cannot be started here
        C: PASS geheim
        -ERR USER comes before PASS
        C: AUTH
        +OK mechanisms follow
        SCRAM-SHA-256
        PLAIN
        .
        C: AUTH PLAIN
        + 
        C: *
        -ERR cancelled
        C: AUTH plain
        + 
        C: !
        -ERR that is not base64
        C: AUTH PLAIN =
        -ERR the arguments are wrong
        C: AUTH PLAIN AGFkYQBmYWxzY2g=
        -ERR [AUTH] user or password wrong
        C: USER busy
        +OK now the password
        C: PASS x
        -ERR [IN-USE] another POP3 session has this mailbox
        C: USER later
        +OK now the password
        C: PASS x
        -ERR [SYS/TEMP] cannot be done now, try again
        C: USER broken
        +OK now the password
        C: PASS x
        -ERR [SYS/PERM] the mailbox cannot be opened; the administrator will find the reason in the log
        C: AUTH PLAIN AGFkYQBnZWhlaW0=
        +OK 3 messages (79 octets)
        C: CAPA
        +OK capabilities follow
        TOP
        UIDL
        PIPELINING
        RESP-CODES
        AUTH-RESP-CODE
        EXPIRE NEVER
        UTF8 USER
        LANG
        IMPLEMENTATION Rohrpost
        .
        C: USER ada
        -ERR not in this state
        C: UTF8
        -ERR not in this state
        C: QUIT
        +OK good bye",
    );
}

#[test]
fn utf8_and_languages() {
    check(
        "+OK mail.example is ready for POP3
        C: LANG
        +OK languages follow
        i-default English
        en English
        de Deutsch
        .
        C: LANG uga
        -ERR that language is not spoken here
        C: LANG de-AT
        +OK de ab jetzt Deutsch
        C: LANG uga
        -ERR diese Sprache wird hier nicht gesprochen
        C: UTF8
        +OK UTF-8 ist an
        C: STLS
        -ERR STLS kommt vor UTF8
        C: LANG *
        +OK en English from here on",
    );
}

#[test]
fn stls_forgets_what_came_before_and_what_was_sent_too_early() {
    let mut house = House::new(false, Limits::default());
    house.push(b"STLS\r\nUSER mallory\r\n");
    house.push(b"PASS geheim\r\n");
    let sent = String::from_utf8(house.sent).unwrap();
    assert!(
        sent.ends_with("+OK begin TLS now\r\n-ERR USER comes before PASS\r\n"),
        "{sent}"
    );
}

#[test]
fn limits_end_a_session() {
    let limits = Limits {
        line: 20,
        errors: 3,
        login_failures: 2,
        ..Limits::default()
    };
    let mut house = House::new(true, limits.clone());
    house.push(b"NOOP 0123456789012345678901234567890123456789\r\nX\r\nUSER \xff\r\nNOOP\r\n");
    let sent = String::from_utf8(house.sent).unwrap();
    assert!(
        sent.ends_with(
            "-ERR the line is too long\r\n-ERR there is no such command\r\n-ERR that is not UTF-8, or has control characters\r\n\
             -ERR [SYS/TEMP] too many errors, good bye\r\n"
        ),
        "{sent}"
    );
    assert!(house.closed);
    let mut house = House::new(true, limits);
    house.push(b"USER ada\r\nPASS a\r\nUSER ada\r\nPASS b\r\nUSER ada\r\nPASS geheim\r\n");
    assert!(house.closed && !house.session.is_in());
}

#[test]
fn a_broken_session_removes_nothing() {
    let mut house = House::new(true, Limits::default());
    house.push(b"USER ada\r\nPASS geheim\r\nDELE 1\r\n");
    house.session.silence();
    house.push(b"QUIT\r\n");
    assert!(house.closed);
    assert_eq!(house.removed, None);
}

#[test]
fn long_listings_are_flushed() {
    struct Many;
    impl Maildrop for Many {
        fn len(&self) -> usize {
            100_000
        }
        fn size(&self, _: usize) -> u64 {
            1
        }
        fn unique_id(&self, message: usize, out: &mut Vec<u8>) {
            out.extend_from_slice(message.to_string().as_bytes());
        }
    }
    let limits = Limits::default();
    let bound = limits.output + 100;
    let mut session = Session::new("mail.example", entry(true), limits);
    let mut input: &[u8] = b"USER ada\r\nPASS x\r\nUIDL\r\n";
    let mut flushed = 0;
    while let Some(event) = session.next(&mut input) {
        match event {
            Event::Password { .. } => session.answer_login(Login::Welcome(Box::new(Many))),
            Event::Flush => {
                assert!(session.output().len() <= bound);
                flushed += 1;
                session.output().clear();
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(flushed > 10);
    assert!(session.output().ends_with(b"100000 99999\r\n.\r\n"));
}

const WORDS: &[&str] = &[
    "USER ada\r\n",
    "PASS geheim\r\n",
    "PASS x\r\n",
    "AUTH PLAIN AGFkYQBnZWhlaW0=\r\n",
    "AUTH PLAIN\r\n",
    "AGFkYQBnZWhlaW0=\r\n",
    "*\r\n",
    "STLS\r\n",
    "CAPA\r\n",
    "UTF8\r\n",
    "LANG de\r\n",
    "LANG\r\n",
    "STAT\r\n",
    "LIST\r\n",
    "LIST 1\r\n",
    "UIDL\r\n",
    "UIDL 9\r\n",
    "RETR 1\r\n",
    "RETR 99999999999999999999999\r\n",
    "TOP 1 0\r\n",
    "TOP 2 99\r\n",
    "DELE 1\r\n",
    "DELE 2\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\0",
    "\u{fc}",
    "LIST -1\r\n",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "+\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    /// Whatever comes, in whatever pieces: the same answers as when it comes at once.
    #[test]
    fn any_bytes(words in prop::collection::vec(prop::sample::select(WORDS), 0..40), step in 1usize..30, tls: bool) {
        let limits = Limits { line: 40, errors: 9, ..Limits::default() };
        let text: String = words.concat();
        // What is behind STLS in one piece is thrown away, in several it is not.
        let text = text.replace("STLS\r\n", if tls { "STLS\r\n" } else { "" });
        let (mut one, mut many) = (House::new(tls, limits.clone()), House::new(tls, limits));
        many.push(b"");
        one.push(text.as_bytes());
        for piece in text.as_bytes().chunks(step) {
            if !many.closed {
                many.push(piece);
            }
        }
        prop_assert_eq!(String::from_utf8_lossy(&one.sent), String::from_utf8_lossy(&many.sent));
        prop_assert_eq!(one.removed, many.removed);
    }
}
