//! Conversations with a real server, as text files. `docs` are the files themselves:
//!
//!     # a remark
//!     a -> A1 NOOP            session a sends a line (it connects, and reads the greeting, when it is first named)
//!     a -> A1 APPEND x {%+}   with the number of octets in the lines that follow:
//!     a | Subject: x          a line of the literal, with its line end
//!     a |. end                its last line, without one
//!     a <- A1 OK done         it reads exactly this line
//!     a <~ * OK [UID* 1]*     it reads a line of this shape: `*` stands for anything, `\*` for itself
//!     a <+ A1 OK*             it reads lines up to one of this shape
//!     a .                     it closes its connection
//!
//! Whatever a session reads must be in the grammar of RFC 9051 §9 and of the extensions (`common/responses.abnf`).
//!
//! Files named `shared…` have more people in the house, and a group mailbox. Where a name has `events` in it, ada has the scripts of
//! `tests/scripts`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use common::{Mode, Server, grammar, options};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

struct Session {
    reader: BufReader<TcpStream>,
    /// The line of the file that is at work.
    place: String,
    /// All that was read.
    received: Vec<u8>,
}

impl Session {
    fn open(server: &Server) -> Session {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut session = Session {
            reader: BufReader::new(stream),
            place: "the greeting".to_owned(),
            received: Vec::new(),
        };
        let greeting = session.line();
        assert!(matches("\\* OK [CAPABILITY IMAP4rev1 *", &greeting), "{greeting}");
        session
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line);
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", self.place));
        assert!(read > 0, "{}: the server hung up", self.place);
        self.received.extend_from_slice(&line);
        let line = String::from_utf8(line).unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    fn send(&mut self, text: &str) {
        self.reader
            .get_mut()
            .write_all(format!("{text}\r\n").as_bytes())
            .unwrap();
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    fn go(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'\\', b'*', rest @ ..] => text.first() == Some(&b'*') && go(rest, &text[1..]),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| go(rest, &text[skip..])),
            [head, rest @ ..] => text.first() == Some(head) && go(rest, &text[1..]),
        }
    }
    go(pattern.as_bytes(), text.as_bytes())
}

/// A `*` in front of an untagged response means itself.
fn untagged(pattern: &str) -> String {
    match pattern.strip_prefix("* ") {
        Some(rest) => format!("\\* {rest}"),
        None => pattern.to_owned(),
    }
}

fn run(path: &Path) {
    let script = std::fs::read_to_string(path).unwrap();
    let server = Server::start(Mode::Plain, options());
    // More people, and a group mailbox: team@rohrpost.test, of which ada and bob are members.
    if path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("shared"))
    {
        server.populate();
    }
    if path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains("events"))
    {
        server.scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts"));
    }
    let mut sessions: HashMap<String, Session> = HashMap::new();
    for (number, line) in script.lines().enumerate() {
        let place = format!("{}:{}: {line}", path.display(), number + 1);
        if line.trim_end().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{place}"));
        if rest == "." {
            let closed = sessions.remove(name).unwrap();
            grammar::check(&closed.received, &place);
            continue;
        }
        let (what, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let session = sessions
            .entry(name.to_owned())
            .or_insert_with(|| Session::open(&server));
        session.place.clone_from(&place);
        match what {
            "->" if text.contains("{%") => {
                let lines = script.lines().skip(number + 1);
                let mark = format!("{name} |");
                let literal: String = lines
                    .map_while(|line| line.strip_prefix(&mark))
                    .map(|line| match line.strip_prefix(". ") {
                        Some(last) => last.to_owned(),
                        None => format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line)),
                    })
                    .collect();
                let head = text.replace('%', &literal.len().to_string());
                session.send(&format!("{head}\r\n{literal}"));
            }
            "->" => session.send(text),
            "|" | "|." => {}
            "<-" => assert_eq!(session.line(), text, "{place}"),
            "<~" => {
                let got = session.line();
                assert!(matches(&untagged(text), &got), "{place}\n  got: {got}");
            }
            "<+" => {
                let mut got = Vec::new();
                loop {
                    let line = session.line();
                    if matches(&untagged(text), &line) {
                        break;
                    }
                    got.push(line);
                    assert!(got.len() < 1000, "{place}\n  got: {got:#?}");
                }
            }
            _ => panic!("{place}: what is {what}?"),
        }
    }
    for (name, session) in sessions {
        grammar::check(&session.received, &format!("{}, session {name}", path.display()));
    }
}

fn all(name: &str) {
    run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(name));
}

macro_rules! dialogues {
    ($($name:ident)*) => {
        $(#[test] fn $name() { all(concat!(stringify!($name), ".txt")); })*

        #[test]
        fn every_file_is_run() {
            let known = [$(concat!(stringify!($name), ".txt")),*];
            for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues")).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                assert!(known.contains(&file.as_str()), "{file} is not in the list");
            }
        }
    };
}

dialogues! {
    entry lenient mailboxes list append fetch sections store search sort copy idle sessions condstore rev2 refusals binary unusual qresync uidonly unauthenticate quota metadata shared_acl shared_people shared_group shared_flags shared_seen objects appends notify partial contexts shared_quota shared_notify shared_metadata shared_replace shared_insert events shared_events
}
