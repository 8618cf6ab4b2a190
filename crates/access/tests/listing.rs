//! FETCH of many messages, which walks rows and writes answers as it goes, against the path that takes one message at a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use store::{Arrival, Digest, Flags, NewMessage};

struct Client(BufReader<TcpStream>);

impl Client {
    fn open(server: &Server) -> Client {
        Client::open_as(server, "ada@rohrpost.test")
    }

    fn open_as(server: &Server, user: &str) -> Client {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut client = Client(BufReader::new(stream));
        client.line();
        client.ok(&format!("LOGIN {user} {PASSWORD}"));
        client
    }

    fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).unwrap();
    }

    /// A line with the literals in it.
    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            assert!(self.0.read_until(b'\n', &mut line).unwrap() > 0, "hung up");
            let text = line.strip_suffix(b"}\r\n");
            let length = text.and_then(|text| {
                let open = text.iter().rposition(|b| *b == b'{')?;
                std::str::from_utf8(&text[open + 1..]).ok()?.parse::<u64>().ok()
            });
            let Some(length) = length else { return line };
            (&mut self.0).take(length).read_to_end(&mut line).unwrap();
        }
    }

    /// The untagged lines of a command that succeeds.
    fn ok(&mut self, command: &str) -> Vec<Vec<u8>> {
        self.send(format!("t {command}\r\n").as_bytes());
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line.starts_with(b"t ") {
                assert!(
                    line.starts_with(b"t OK"),
                    "{command}: {}",
                    String::from_utf8_lossy(&line)
                );
                return lines;
            }
            lines.push(line);
        }
    }

    fn append(&mut self, message: &[u8]) {
        self.send(format!("t APPEND INBOX {{{}+}}\r\n", message.len()).as_bytes());
        self.send(message);
        self.send(b"\r\n");
        loop {
            let line = self.line();
            if line.starts_with(b"t ") {
                assert!(line.starts_with(b"t OK"), "{}", String::from_utf8_lossy(&line));
                return;
            }
        }
    }
}

/// Messages of every kind that a walk treats differently.
fn messages() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for n in 0..40 {
        let multipart = format!(
            "Received: from there\r\nFrom: Ada <ada{n}@rohrpost.test>\r\nTO: x@y\r\nSubject: number {n}\r\n folded\r\n\
             Content-Type: multipart/mixed; boundary=q\r\nX-Other: {n}\r\n\r\npreamble\r\n--q\r\n\r\none {n}\r\n--q\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--q--\r\n"
        );
        all.push(multipart.into_bytes());
        all.push(format!("Subject: {}\r\n\r\nbody of {n}\r\n", "s".repeat(n)).into_bytes());
    }
    // Fields that are too long to be kept, octets that do not fit into a walk, and what is hardly a message.
    all.push(
        format!(
            "From: a@b\r\nReferences: {}\r\n\r\nx\r\n",
            "<id@place>\r\n ".repeat(500)
        )
        .into_bytes(),
    );
    all.push(
        [
            b"From: a@b\r\nSubject: large\r\n\r\n",
            "line of text\r\n".repeat(50_000).as_bytes(),
        ]
        .concat(),
    );
    all.push(b"Subject: no body".to_vec());
    all.push(b"\r\n".to_vec());
    all.push(b"no header at all\r\n".to_vec());
    all.push(b"From: caf\xe9@b\r\nSubject: \xff\xfe\r\n\r\n8 bit \x80\r\n".to_vec());
    all.push(b"From: a@b\nSubject: bare line ends\n\nbody\n".to_vec());
    all
}

fn filled() -> (Server, Vec<Vec<u8>>) {
    let server = Server::start(Mode::Plain, options());
    let mut client = Client::open(&server);
    let mut all = messages();
    all.iter().for_each(|message| client.append(message));
    // One that was delivered, with lines of its own in front.
    let accounts = server.directory.account_list();
    let ada = accounts.iter().find(|a| a.address() == "ada@rohrpost.test").unwrap().id;
    let account = server.store.account(ada).unwrap();
    let text = b"From: d@e\r\nSubject: delivered\r\n\r\nbody\r\n";
    let commit = server.store.blobs().put(text).unwrap();
    commit.wait().unwrap();
    let prefix = b"Return-Path: <d@e>\r\nDelivered-To: ada@rohrpost.test\r\n";
    let digest = Digest::of(text);
    let arrival = Arrival {
        acceptance: 1,
        recipient: 0,
        mailbox: account.mailbox_find("INBOX").unwrap().id,
        message: NewMessage {
            blob: commit.id(),
            blob_len: commit.len(),
            prefix,
            digest: &digest,
            flags: Flags::NONE,
            received: 1_700_000_000,
        },
    };
    account.deliver(&[arrival]).unwrap();
    account.sync().unwrap();
    all.push([&prefix[..], text].concat());
    (server, all)
}

#[test]
fn a_walk_answers_as_one_message_at_a_time() {
    let (server, all) = filled();
    let mut client = Client::open(&server);
    client.ok("SELECT INBOX");
    for items in [
        "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE",
        "BODYSTRUCTURE",
        "BODY",
        "BODY.PEEK[]",
        "BODY.PEEK[HEADER]",
        "BODY.PEEK[TEXT]",
        "BODY.PEEK[1]",
        "BODY.PEEK[2.MIME]",
        "BODY.PEEK[]<3.20>",
        "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT REFERENCES)]",
        "BODY.PEEK[HEADER.FIELDS (Subject Return-Path)]",
        "BODY.PEEK[HEADER.FIELDS (X-OTHER)]",
        "BODY.PEEK[HEADER.FIELDS.NOT (FROM)]",
        "UID BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1]<0.10> ENVELOPE",
        "RFC822.HEADER",
    ] {
        let walked = client.ok(&format!("FETCH 1:* ({items})"));
        assert_eq!(walked.len(), all.len(), "{items}");
        // BINARY.SIZE is not for a walk: it comes last, and what is before it must be the same.
        let single = client.ok(&format!("FETCH 1:* ({items} BINARY.SIZE[99])"));
        for (walked, single) in walked.iter().zip(&single) {
            let expected = walked.strip_suffix(b")\r\n").unwrap();
            assert!(
                single.starts_with(expected) && single[expected.len()..].starts_with(b" BINARY.SIZE[99]"),
                "{items}:\n{}\n{}",
                String::from_utf8_lossy(walked),
                String::from_utf8_lossy(single)
            );
        }
        // And in another order than they lie.
        let back = client.ok(&format!("FETCH {}:*,1:3 ({items})", all.len() - 3));
        assert_eq!(back.len(), 7);
        assert_eq!(back[..3], walked[..3]);
        assert_eq!(back[3..], walked[all.len() - 4..]);
    }
    let whole = client.ok("FETCH 1:* (BODY.PEEK[])");
    for (number, (line, message)) in whole.iter().zip(&all).enumerate() {
        let expected = format!("* {} FETCH (BODY[] {{{}}}\r\n", number + 1, message.len());
        let expected = [expected.as_bytes(), message, b")\r\n"].concat();
        assert!(*line == expected, "message {}", number + 1);
    }
    // Reading marks as seen, and says so.
    let seen = client.ok("FETCH 1:3 (BODY[TEXT])");
    assert!(
        seen.iter()
            .all(|line| line.ends_with(b"FLAGS (\\Seen \\Recent))\r\n") || line.ends_with(b"FLAGS (\\Seen))\r\n"))
    );
}

#[test]
fn who_stops_reading_holds_up_nobody() {
    let server = Server::start(Mode::Plain, options());
    let mut slow = Client::open(&server);
    let message = [
        b"Subject: large\r\n\r\n",
        "0123456789abcdef\r\n".repeat(8000).as_bytes(),
    ]
    .concat();
    for _ in 0..120 {
        slow.append(&message);
    }
    slow.ok("SELECT INBOX");
    // More than the buffers of two sockets hold, and nobody reads it.
    slow.send(b"t FETCH 1:* (BODY.PEEK[])\r\n");
    let mut other = Client::open(&server);
    other.ok("SELECT INBOX");
    other.ok("STORE 1:* +FLAGS.SILENT (\\Flagged)");
    other.append(b"Subject: meanwhile\r\n\r\n");
    other.ok("STORE 100:* +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    other.ok("CREATE elsewhere");
    other.ok("DELETE elsewhere");
    let mut count = 0;
    loop {
        let line = slow.line();
        if line.starts_with(b"t ") {
            break;
        }
        if line.windows(6).any(|w| w == b"BODY[]") {
            assert!(line.len() > message.len());
            count += 1;
        }
    }
    // What was expunged before its turn came is not sent; what was sent is whole.
    assert!((99..=120).contains(&count), "{count}");
}

#[test]
fn an_account_with_many_sessions_leaves_room_for_another() {
    const SESSIONS: usize = 24;
    const COMMANDS: usize = 30;
    let server = Server::start(Mode::Plain, options());
    let message = [b"Subject: s\r\n\r\n", "0123456789abcdef\r\n".repeat(200).as_bytes()].concat();
    let mut ada = Client::open(&server);
    let mut bob = Client::open_as(&server, "bob@rohrpost.test");
    for _ in 0..200 {
        ada.append(&message);
        bob.append(&message);
    }
    let stop = AtomicBool::new(false);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                let mut client = Client::open(&server);
                client.ok("SELECT INBOX");
                while !stop.load(Ordering::Relaxed) {
                    client.ok("FETCH 1:* (BODY.PEEK[])");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        bob.ok("SELECT INBOX");
        while done.load(Ordering::Relaxed) < SESSIONS {
            std::thread::yield_now();
        }
        let before = done.load(Ordering::Relaxed);
        for _ in 0..COMMANDS {
            bob.ok("FETCH 1:* (BODY.PEEK[])");
        }
        let others = done.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        // Were all sessions equal, each of the others would have done as much as Bob.
        assert!(
            others / SESSIONS < COMMANDS,
            "{others} commands of {SESSIONS} sessions beside {COMMANDS}"
        );
    });
}
