//! The POP3 session over a maildrop that is the input itself, cut at its empty lines; and the dots of a message that is the input.

use super::{Target, cuts};
use crate::signature::Signature;
use pop3::{Coming, Entry, Event, Limits, Login, Maildrop, Session, Stuffing, Trouble};

pub(super) const TARGET: Target = Target {
    name: "pop3",
    about: "what a POP3 client sends, and messages on their way into an answer",
    tokens: TOKENS,
    longest: 8 * 1024,
    seeds,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r\n..",
    b"USER ada\r\n",
    b"PASS x\r\n",
    b"PASS wrong\r\n",
    b"AUTH PLAIN AGEAYg==\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN =\r\n",
    b"AUTH\r\n",
    b"AGEAYg==\r\n",
    b"*\r\n",
    b"STLS\r\n",
    b"CAPA\r\n",
    b"UTF8\r\n",
    b"LANG\r\n",
    b"LANG de-AT\r\n",
    b"LANG *\r\n",
    b"STAT\r\n",
    b"LIST\r\n",
    b"LIST 1\r\n",
    b"UIDL\r\n",
    b"UIDL 2\r\n",
    b"RETR 1\r\n",
    b"RETR 3\r\n",
    b"TOP 1 0\r\n",
    b"TOP 2 99999999999999999999\r\n",
    b"DELE 1\r\n",
    b"DELE 2\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"\0",
    b"\xFF",
    b"\xC3\xBC",
    b" ",
    b"-1",
];

fn seeds() -> Vec<Vec<u8>> {
    [
        &b"USER ada\r\nPASS x\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n"[..],
        b"CAPA\r\nLANG\r\nLANG de\r\nUTF8\r\nAUTH PLAIN\r\nAGEAYg==\r\nLIST 2\r\nNOOP\r\nQUIT\r\n",
        b"AUTH PLAIN AGEAYg==\r\nRETR 3\r\nTOP 2 0\r\nUIDL 1\r\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// Three messages.
struct Three([Vec<u8>; 3]);

impl Maildrop for Three {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn size(&self, message: usize) -> u64 {
        self.0.get(message).map_or(0, |m| m.len() as u64)
    }
    fn unique_id(&self, message: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("7.{message}").as_bytes());
    }
}

fn three() -> [Vec<u8>; 3] {
    [&b"A: b\r\n\r\n.\r\nx\r\n"[..], b"A: b\r\n\r\n\n.\n", b""].map(<[u8]>::to_vec)
}

#[derive(Debug, Default, PartialEq)]
struct Transcript {
    output: Vec<u8>,
    removed: Option<Vec<usize>>,
    commands: Vec<(&'static str, bool)>,
    closed: bool,
}

fn converse(pieces: &[&[u8]]) -> Transcript {
    let limits = Limits {
        line: 100,
        response: 200,
        errors: 10,
        login_failures: 3,
        output: 60,
    };
    let entry = Entry {
        starttls: false,
        passwords: true,
        mechanisms: vec!["PLAIN"],
    };
    let mut session = Session::new("mail.example", entry, limits);
    let mut transcript = Transcript::default();
    transcript.output.append(session.output());
    for piece in pieces {
        let mut input = *piece;
        while let Some(event) = session.next(&mut input) {
            let login = |right: bool| {
                if right {
                    Login::Welcome(Box::new(Three(three())))
                } else {
                    Login::Wrong
                }
            };
            match event {
                Event::Flush => transcript.output.append(session.output()),
                Event::StartTls => unreachable!("TLS was not offered"),
                Event::Password { password, .. } => session.answer_login(login(password.as_bytes() == b"x")),
                Event::SaslStart { initial: None, .. } => session.challenge(b""),
                Event::SaslStart {
                    initial: Some(response),
                    ..
                }
                | Event::SaslResponse(response) => session.answer_login(login(response == b"\0a\0b")),
                Event::Retrieve { message: 2, .. } => session.answer_retrieve(Err(Trouble::Taken)),
                Event::Retrieve { message, lines } => {
                    let octets = three().get(message).cloned().unwrap_or_default();
                    let (coming, mut stuffing) = match lines {
                        None => (Coming::Whole(octets.len() as u64), Stuffing::whole()),
                        Some(lines) => (Coming::Top, Stuffing::top(lines)),
                    };
                    session.answer_retrieve(Ok(coming));
                    stuffing.push(&octets, session.output());
                    stuffing.finish(session.output());
                }
                Event::Update(messages) => {
                    assert!(messages.iter().all(|message| *message < 3) && messages.is_sorted());
                    transcript.removed = Some(messages);
                    session.answer_update(true);
                }
                Event::Close => {
                    transcript.closed = true;
                    break;
                }
            }
        }
        transcript.output.append(session.output());
        transcript.commands.extend(session.answered());
        if transcript.closed {
            break;
        }
    }
    transcript
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let mut first: Option<Transcript> = None;
    let mut dotted: Option<[Vec<u8>; 2]> = None;
    for pieces in cuts(input) {
        let transcript = converse(&pieces);
        let lines = |mut stuffing: Stuffing| {
            let mut out = Vec::new();
            for piece in &pieces {
                if !stuffing.push(piece, &mut out) {
                    break;
                }
            }
            stuffing.finish(&mut out);
            out
        };
        let both = [lines(Stuffing::whole()), lines(Stuffing::top(2))];
        match (&first, &dotted) {
            (Some(one), Some(two)) => {
                assert_eq!(one, &transcript, "other pieces, other answers");
                assert_eq!(two, &both, "other pieces, other dots");
            }
            _ => (first, dotted) = (Some(transcript), Some(both)),
        }
    }
    if let Some(transcript) = first {
        for line in transcript.output.split(|b| *b == b'\n') {
            signature.note(("line", line.get(..12)));
        }
        for command in &transcript.commands {
            signature.note(command);
        }
        signature.note(&transcript.removed);
        let said = input.iter().filter(|b| **b == b'\n').count() + 2;
        assert!(transcript.output.len() <= 1024 + said * 400, "too much is said");
    }
    if let Some([whole, top]) = dotted {
        assert!(whole.ends_with(b".\r\n") && top.ends_with(b".\r\n"));
        // However lines are told apart, the answer ends at its end and nowhere before.
        let inner = whole.strip_suffix(b".\r\n").unwrap_or_default();
        let mut lines = inner.split(|b| *b == b'\n');
        assert!(
            lines.all(|line| line != b"." && line != b".\r"),
            "an answer that ends too early"
        );
        let mut back = Vec::new();
        for line in inner.split_inclusive(|b| *b == b'\n') {
            back.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        assert!(
            back == input || back.strip_suffix(b"\r\n") == Some(input),
            "the message has changed"
        );
        assert!(top.len() <= whole.len() + 2);
    }
    signature
}
