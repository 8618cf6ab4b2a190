//! Conversations with a real POP3 server, and with an IMAP server beside it, as text files in `pop3`. A session is opened when it is first
//! named; the name says which protocol it speaks:
//!
//!     pop -> STAT                session pop sends a line
//!     pop <- +OK 0 0             it reads exactly this line
//!     pop <~ +OK *               it reads a line of this shape: `*` stands for anything
//!     pop <+ .                   it reads lines up to one of this shape
//!     imap -> A NOOP             sessions whose names begin with imap speak IMAP
//!     pop .                      it closes its connection
//!     pop => PASS x => +OK*      it logs in with this line until the answer has this shape
//!     append Subject: x\r\n…     a message is put into INBOX

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use access::pop3::{Context, Options};
use access::{ListenerConfig, Tls};
use common::{Mode, PASSWORD, Server, options};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ADA: &str = "ada@rohrpost.test";

/// A server with a POP3 listener beside the IMAP one.
struct House {
    server: Server,
    pop3: SocketAddr,
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl House {
    fn new(change: impl FnOnce(&mut Options)) -> House {
        let server = Server::start(Mode::Plain, options());
        let mut options = Options::new("mail.rohrpost.test");
        options.connection.login_failure_delay = Duration::from_millis(5);
        change(&mut options);
        let context = Arc::new(Context::new(
            server.directory.clone(),
            Arc::clone(&server.store),
            options,
        ));
        let config = ListenerConfig {
            name: "pop3".to_owned(),
            tls: Tls::Off,
            plaintext: true,
            proxies: None,
        };
        let socket = server
            .runtime()
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let pop3 = socket.local_addr().unwrap();
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let task = server
            .runtime()
            .spawn(access::pop3::serve(socket, context, config, stopping));
        House {
            server,
            pop3,
            stop,
            task,
        }
    }

    /// A connection to one of the servers, after its greeting.
    fn open(&self, name: &str) -> Talk {
        let imap = name.starts_with("imap");
        let stream = TcpStream::connect(if imap { self.server.address } else { self.pop3 }).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut talk = Talk {
            reader: BufReader::new(stream),
        };
        let greeting = talk.line();
        assert!(greeting.starts_with(if imap { "* OK" } else { "+OK" }), "{greeting}");
        talk
    }

    /// A POP3 session, logged in.
    fn pop(&self) -> Talk {
        let mut talk = self.open("pop");
        talk.ask(&format!("USER {ADA}"), "+OK");
        talk.ask(&format!("PASS {PASSWORD}"), "+OK");
        talk
    }

    fn append(&self, text: &[u8]) {
        let mut imap = self.open("imap");
        imap.ask(&format!("A LOGIN {ADA} {PASSWORD}"), "A OK");
        imap.send(format!("B APPEND INBOX {{{}+}}\r\n", text.len()).as_bytes());
        imap.send(text);
        imap.ask("", "B OK");
    }

    fn stop(mut self) {
        self.stop.send(true).unwrap();
        let task = std::mem::replace(&mut self.task, self.server.runtime().spawn(async {}));
        self.server.runtime().block_on(task).unwrap();
    }
}

struct Talk {
    reader: BufReader<TcpStream>,
}

impl Talk {
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(read > 0, "the server hung up");
        let line = String::from_utf8(line).unwrap();
        line.strip_suffix("\r\n").expect("a line ends with CRLF").to_owned()
    }

    fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).unwrap();
    }

    /// Sends a line; what comes back must begin so.
    fn ask(&mut self, text: &str, expected: &str) -> String {
        self.send(format!("{text}\r\n").as_bytes());
        let line = self.line();
        assert!(line.starts_with(expected), "{text}: {line}");
        line
    }

    /// An answer of many lines as it comes, with its end.
    fn many(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while !all.ends_with(b"\r\n.\r\n") && all != b".\r\n" {
            assert!(
                self.reader.read_until(b'\n', &mut all).unwrap() > 0,
                "the server hung up"
            );
        }
        all
    }

    fn ended(&mut self) -> String {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    fn go(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| go(rest, &text[skip..])),
            [head, rest @ ..] => text.first() == Some(head) && go(rest, &text[1..]),
        }
    }
    go(pattern.as_bytes(), text.as_bytes())
}

#[test]
fn dialogues() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pop3");
    let mut run = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        dialogue(&file.unwrap().path());
        run += 1;
    }
    assert!(run >= 3);
}

fn dialogue(path: &Path) {
    let house = House::new(|_| {});
    let mut talks: HashMap<String, Talk> = HashMap::new();
    for (number, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        let place = format!("{}:{}: {line}", path.display(), number + 1);
        if line.trim_end().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{place}"));
        if name == "append" {
            house.append(rest.replace(r"\r\n", "\r\n").as_bytes());
            continue;
        }
        if rest == "." {
            talks.remove(name);
            continue;
        }
        let (what, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let talk = talks.entry(name.to_owned()).or_insert_with(|| house.open(name));
        match what {
            "->" => talk.send(format!("{text}\r\n").as_bytes()),
            "<-" => assert_eq!(talk.line(), text, "{place}"),
            "<~" => {
                let got = talk.line();
                assert!(matches(text, &got), "{place}\n  got: {got}");
            }
            "<+" => while !matches(text, &talk.line()) {},
            // The lock is free when the server has seen the end: ask until it has.
            "=>" => {
                let (text, wanted) = text.split_once(" => ").unwrap_or_else(|| panic!("{place}"));
                let mut tries = 0;
                loop {
                    talk.send(format!("USER {ADA}\r\n").as_bytes());
                    talk.line();
                    talk.send(format!("{text}\r\n").as_bytes());
                    if matches(wanted, &talk.line()) {
                        break;
                    }
                    tries += 1;
                    assert!(tries < 1000, "{place}");
                }
            }
            _ => panic!("{place}: what is {what}?"),
        }
    }
}

/// Octets that do not repeat.
fn noise(count: usize) -> Vec<u8> {
    let mut seed = 7u32;
    (0..count)
        .map(|at| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match at % 78 {
                76 => b'\r',
                77 => b'\n',
                0 if seed >> 31 == 0 => b'.',
                _ => b'!' + (seed >> 24) as u8 % 90,
            }
        })
        .collect()
}

#[test]
fn a_large_message_comes_whole_and_several_in_one_go() {
    let house = House::new(|_| {});
    let large = [b"Subject: large\r\n\r\n".to_vec(), noise(3_000_000), b"\r\n".to_vec()].concat();
    house.append(&large);
    house.append(b"Subject: small\r\n\r\nsmall\r\n");
    let mut pop = house.pop();
    pop.send(b"RETR 1\r\nTOP 1 1\r\nRETR 2\r\nUIDL\r\nNOOP\r\n");
    assert_eq!(pop.line(), format!("+OK {} octets", large.len()));
    let got = String::from_utf8(pop.many()).unwrap();
    let unstuffed = got.strip_suffix(".\r\n").unwrap().replace("\r\n..", "\r\n.");
    assert!(unstuffed.as_bytes() == large);
    assert_eq!(pop.line(), "+OK the top of it follows");
    assert!(pop.many().len() < 200);
    assert_eq!(pop.line(), "+OK 25 octets");
    assert_eq!(pop.many(), b"Subject: small\r\n\r\nsmall\r\n.\r\n");
    pop.ask("", "+OK");
    pop.many();
    assert_eq!(pop.line(), "+OK fine");
    house.stop();
}

#[test]
fn whoever_is_silent_or_wrong_is_sent_away() {
    let house = House::new(|options| {
        options.connection.login_idle = Duration::from_millis(300);
        options.connection.idle = Duration::from_millis(600);
        options.connection.connections = 3;
        options.protocol.login_failures = 2;
    });
    // Silent before login, and after it: nothing is removed then.
    house.append(b"Subject: stays\r\n\r\n");
    assert!(house.open("pop").ended().contains("silent for too long"));
    let mut pop = house.pop();
    pop.ask("DELE 1", "+OK");
    assert!(pop.ended().contains("nothing was removed"));
    house.pop().ask("STAT", "+OK 1 ");
    // Wrong passwords.
    let mut pop = house.open("pop");
    for _ in 0..2 {
        pop.ask(&format!("USER {ADA}"), "+OK");
        pop.ask("PASS wrong", "-ERR [AUTH]");
    }
    assert!(pop.ended().contains("too many failed logins"));
    house.stop();
}

#[test]
fn no_seat_is_said() {
    let house = House::new(|options| options.connection.connections = 1);
    let _one = house.open("pop");
    let mut two = TcpStream::connect(house.pop3).unwrap();
    let mut said = String::new();
    two.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("-ERR [SYS/TEMP] too many connections"), "{said}");
    house.stop();
}

#[test]
fn a_stop_removes_nothing() {
    let house = House::new(|_| {});
    house.append(b"Subject: stays\r\n\r\n");
    let mut pop = house.pop();
    pop.ask("DELE 1", "+OK");
    house.stop.send(true).unwrap();
    assert!(pop.ended().contains("going down, nothing was removed"));
}

#[test]
fn a_damaged_message_is_named_and_the_others_are_served() {
    let house = House::new(|_| {});
    let text = [b"Subject: broken\r\n\r\n".to_vec(), noise(400_000)].concat();
    house.append(&text);
    house.append(b"Subject: whole\r\n\r\n");
    for file in std::fs::read_dir(house.server.data.path().join("blobs")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let mut bytes = std::fs::read(&path).unwrap();
            for byte in &mut bytes[1000..1100] {
                *byte ^= 0x55;
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let mut pop = house.pop();
    pop.send(b"RETR 1\r\n");
    let line = pop.line();
    // Either it is said, or the answer breaks off; a whole message it is not.
    if line.starts_with("+OK") {
        assert!(!pop.ended().ends_with("\r\n.\r\n"));
        pop = house.pop();
    } else {
        assert!(line.contains("damaged"), "{line}");
    }
    pop.ask("RETR 2", "+OK");
}
