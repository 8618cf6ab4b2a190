//! The IMAP server's reading side: framer, then parser, then what is done with the arguments.
//!
//! The first octet of the input: bit 0: UTF-8 is enabled; bit 1: small limits.

use super::{Target, cuts};
use crate::signature::Signature;
use imap::{Command, Event, Framer, Limits, MailboxName, Request, State};

pub(super) const TARGET: Target = Target {
    name: "imap",
    about: "what an IMAP client sends: framing, literals, every command",
    tokens: TOKENS,
    longest: 16 * 1024,
    seeds: Vec::new,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"a ",
    b" {3}\r\n",
    b" {3+}\r\nabc",
    b"~{3}\r\n",
    b"{0}\r\n",
    b"{0+}\r\n",
    b"{4294967295}\r\n",
    b"{4294967295+}\r\n",
    b"(",
    b")",
    b"((((((((",
    b"\"",
    b"\\",
    b"\"\\\"",
    b" ",
    b"*",
    b"%",
    b":",
    b",",
    b"1:*",
    b"*:1",
    b"$",
    b"NIL",
    b"BODY[",
    b"]",
    b"BODY.PEEK[",
    b"1.2.3",
    b"<0.10>",
    b"BINARY.SIZE[1]",
    b"HEADER.FIELDS (A B)",
    b"HEADER.FIELDS.NOT (X)",
    b"TEXT",
    b"MIME",
    b"FETCH 1:* ",
    b"UID ",
    b"STORE 1 ",
    b"+FLAGS.SILENT (\\Seen)",
    b"(UNCHANGEDSINCE 5)",
    b"SEARCH ",
    b"RETURN (MIN MAX ALL COUNT SAVE)",
    b"OR ",
    b"NOT ",
    b"CHARSET UTF-8 ",
    b"MODSEQ \"/flags/\\\\draft\" all 620",
    b"SINCE 1-Feb-2024",
    b"LARGER 100",
    b"APPEND x {3+}\r\nabc\r\n",
    b"APPEND ",
    b"REPLACE 1 x ",
    b"CATENATE (",
    b"TEXT {3+}\r\nabc",
    b" URL \"/x;UIDVALIDITY=1/;UID=2/;SECTION=1.2;URLAUTH=anonymous:INTERNAL:00\"",
    b"UTF8 (~{3+}\r\nabc)",
    b" (\\Seen) {3+}\r\nabc",
    b"COMPRESS DEFLATE",
    b"NOTIFY SET STATUS (selected MessageNew (uid) MessageExpunge FlagChange)",
    b" (subtree (a b) (MailboxName SubscriptionChange))",
    b"NOTIFY NONE",
    b"UNAUTHENTICATE",
    b"PREVIEW (LAZY)",
    b"EMAILID THREADID SAVEDATE",
    b"(CHANGEDSINCE 5 VANISHED)",
    b"SELECT x (QRESYNC (1 2 3:4 (5 6)))",
    b"IDLE\r\nDONE\r\n",
    b"AUTHENTICATE PLAIN\r\n",
    b"AHgAeQ==\r\n",
    b"LOGIN a b",
    b"LIST ",
    b"(SUBSCRIBED) \"\" (\"*\" \"%\") RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))",
    b"SELECT x (CONDSTORE)",
    b"QRESYNC (67890007 20050715194045000 41,43:211)",
    b"&AOk-",
    b"&-",
    b"&",
    b"&2D3cqw-",
    b"\xC3\xBC",
    b"ENABLE IMAP4REV2\r\n",
    b"ID (\"name\" \"x\")",
    b"STATUS x (MESSAGES SIZE)",
    b"COPY 1:2 x",
    b"MOVE * y",
    b"EXPUNGE 1",
    b"CREATE z (USE (\\Drafts))",
    b"\0",
    b"\x80",
];

fn limits(mode: u8) -> Limits {
    if mode & 2 == 0 {
        return Limits::default();
    }
    Limits {
        line: 200,
        literal: 60,
        command: 400,
        nonsync_literal: 40,
        discard: 1000,
        nesting: 4,
        append_parts: 5,
        urls: 4,
        search_keys: 100,
        notify_groups: 3,
        notify_mailboxes: 3,
        id_pairs: 3,
    }
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let (mode, bytes) = input.split_first().map_or((0, input), |(mode, bytes)| (*mode, bytes));
    let mut first: Option<Vec<String>> = None;
    for pieces in cuts(bytes) {
        let told = listen(&pieces, mode, &mut signature);
        match &first {
            None => first = Some(told),
            Some(first) => assert_eq!(first, &told, "other pieces, other commands"),
        }
    }
    names_hold(bytes, &mut signature);
    signature
}

/// What a server hears, one entry an event; pieces of a message run together.
fn listen(pieces: &[&[u8]], mode: u8, signature: &mut Signature) -> Vec<String> {
    let limits = limits(mode);
    let mut utf8 = mode & 1 != 0;
    let mut framer = Framer::new(limits.clone());
    if utf8 {
        framer.utf8_enable();
    }
    let mut told = Vec::new();
    let mut message: Option<(u64, Vec<u8>)> = None;
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let step = framer.input(rest);
            let used = step.used;
            assert!(used <= rest.len(), "used more than there was");
            let mut enough = false;
            let mut then = Then::Nothing;
            match step.event {
                Event::More => {
                    assert_eq!(used, rest.len(), "wants more, leaves some");
                    enough = true;
                }
                Event::Continue => told.push("continue".to_owned()),
                Event::Command(line) => {
                    assert!(line.len() <= limits.command, "a command of {} octets", line.len());
                    told.push(understand(line, utf8, &limits, &mut then, signature));
                }
                Event::Line(line) => {
                    assert!(line.len() <= limits.line, "a line of {} octets", line.len());
                    told.push(format!("line {line:?} {:?}", imap::sasl_response(line)));
                }
                Event::Append(append) => {
                    if let Some((size, gathered)) = message.take() {
                        assert_eq!(gathered.len() as u64, size, "a message as long as announced");
                        told.push(format!("message {gathered:?}"));
                    }
                    told.push(format!("{append:?}"));
                    signature.note(("append", append.sync));
                    if append.sync && append.tag.len() % 2 == 0 {
                        then = Then::Refuse;
                    } else {
                        message = Some((append.size, Vec::new()));
                    }
                }
                Event::Part(part) => {
                    told.push(format!("{part:?}"));
                    match &mut message {
                        Some((size, _)) => *size += part.size,
                        None => fail("a part of no message"),
                    }
                }
                Event::Url(url) => {
                    told.push(format!("url {url} {:?}", imap::ImapUrl::parse(&url)));
                    if message.is_none() {
                        fail("a URL of no message");
                    }
                }
                Event::Literal(octets) => match &mut message {
                    Some((_, gathered)) => gathered.extend_from_slice(octets),
                    None => fail("octets of no message"),
                },
                Event::AppendEnd => match message.take() {
                    Some((size, gathered)) => {
                        assert_eq!(gathered.len() as u64, size, "a message as long as announced");
                        told.push(format!("message {gathered:?}"));
                    }
                    None => fail("the end of no message"),
                },
                Event::Rejected { tag, error } => {
                    signature.note(("rejected", error.to_string()));
                    message = None;
                    told.push(format!("rejected {tag:?} {error}"));
                }
                Event::Fatal(error) => {
                    signature.note(("fatal", error.to_string()));
                    told.push("fatal".to_owned());
                    return told;
                }
                other => fail(&format!("{other:?}")),
            }
            match then {
                Then::Nothing => {}
                Then::Refuse => framer.append_refuse(),
                Then::Line => framer.expect_line(),
                Then::Utf8 => {
                    utf8 = true;
                    framer.utf8_enable();
                }
            }
            rest = rest.get(used..).unwrap_or_default();
            if enough {
                break;
            }
        }
    }
    if let Some((size, gathered)) = message {
        assert!(gathered.len() as u64 <= size);
        told.push(format!("part of a message {gathered:?}"));
    }
    told.push(format!("midway {}", framer.is_midway()));
    told
}

/// What the server does to its framer after a command.
enum Then {
    Nothing,
    Refuse,
    Line,
    Utf8,
}

fn understand(line: &[u8], utf8: bool, limits: &Limits, then: &mut Then, signature: &mut Signature) -> String {
    let request = match Request::parse(line, utf8, limits) {
        Ok(request) => request,
        Err(refused) => {
            signature.note(("refused", refused.error.to_string()));
            return format!("{refused:?}");
        }
    };
    signature.note(("command", request.command.name()));
    for state in [State::NotAuthenticated, State::Authenticated] {
        let _ = state.check(&request.command);
    }
    let _ = (
        imap::changes_mailbox(&request.command),
        imap::allows_expunge(&request.command),
    );
    match &request.command {
        Command::Authenticate(authenticate) if authenticate.initial.is_none() => *then = Then::Line,
        Command::Idle => *then = Then::Line,
        Command::Enable(names) if names.iter().any(|n| n == "IMAP4REV2") => *then = Then::Utf8,
        _ => {}
    }
    format!("{request:?}")
}

/// A mailbox name read from the wire is written and read the same again.
fn names_hold(bytes: &[u8], signature: &mut Signature) {
    for word in bytes.split(|b| b" \r\n".contains(b)).take(64) {
        for utf8 in [false, true] {
            if let Ok(name) = MailboxName::decode(word, utf8) {
                for wire in [false, true] {
                    let written = name.encode(wire);
                    let again = MailboxName::decode(written.as_bytes(), wire);
                    assert_eq!(
                        again.as_ref().map(MailboxName::as_str),
                        Ok(name.as_str()),
                        "{written:?} over {wire}"
                    );
                }
                signature.note(("name", utf8, name.is_inbox(), name.as_str().is_ascii()));
            }
        }
    }
}

#[allow(clippy::panic)]
fn fail(what: &str) -> ! {
    panic!("{what}")
}
