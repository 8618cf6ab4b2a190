//! A small IMAP client that hides nothing: commands are written as they are sent, answers come with their literals.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::wait_for;

/// A connection.
pub struct Imap {
    input: Box<dyn BufRead + Send>,
    output: Box<dyn Write + Send>,
    number: u32,
}

/// A line of an answer, its literals taken out; `{}` stands for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line without its end.
    pub text: String,
    /// The literals in it.
    pub literals: Vec<Vec<u8>>,
}

/// The answer to a command.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The tagged line, without the tag.
    pub status: String,
    /// The lines before it.
    pub lines: Vec<Line>,
}

impl Reply {
    /// Whether it was done.
    pub fn ok(&self) -> bool {
        self.status.starts_with("OK")
    }
}

impl Imap {
    /// Connects to a port of this machine and reads the greeting.
    pub fn connect(port: u16) -> Imap {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("IMAP port");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        let output = Box::new(stream.try_clone().expect("connection"));
        Imap::over(Box::new(BufReader::with_capacity(1 << 16, stream)), output)
    }

    /// Speaks with a server over any pair of streams; reads its greeting.
    pub fn over(input: Box<dyn BufRead + Send>, output: Box<dyn Write + Send>) -> Imap {
        let mut imap = Imap {
            input,
            output,
            number: 0,
        };
        let greeting = imap.line();
        assert!(
            greeting.text.starts_with("* OK") || greeting.text.starts_with("* PREAUTH"),
            "{greeting:?}"
        );
        imap
    }

    /// Connects and logs in.
    pub fn login(port: u16, user: &str, password: &str) -> Imap {
        let mut imap = Imap::connect(port);
        imap.ok(&format!("LOGIN {user} \"{password}\""));
        imap
    }

    /// Sends a command and reads its answer.
    pub fn command(&mut self, command: &str) -> Reply {
        let tag = self.send(command);
        self.answer(&tag)
    }

    /// Sends a command that must be done; gives the lines before the tagged one.
    pub fn ok(&mut self, command: &str) -> Vec<Line> {
        let reply = self.command(command);
        assert!(reply.ok(), "{command}: {}", reply.status);
        reply.lines
    }

    /// Sends a command without waiting; gives its tag.
    pub fn send(&mut self, command: &str) -> String {
        self.number += 1;
        let tag = format!("a{}", self.number);
        self.write(format!("{tag} {command}\r\n").as_bytes());
        tag
    }

    /// Reads up to the tagged line.
    pub fn answer(&mut self, tag: &str) -> Reply {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if let Some(status) = line.text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                return Reply {
                    status: status.to_owned(),
                    lines,
                };
            }
            lines.push(line);
        }
    }

    /// Appends a message, waiting for the server to ask for it.
    pub fn append(&mut self, mailbox: &str, flags: &str, message: &[u8]) -> Reply {
        self.append_as(mailbox, &format!("({flags})"), message)
    }

    /// The same, with all that stands between mailbox and message: flags, date.
    pub fn append_as(&mut self, mailbox: &str, how: &str, message: &[u8]) -> Reply {
        let tag = self.send(&format!("APPEND {mailbox} {how} {{{}}}", message.len()));
        loop {
            let line = self.line();
            if line.text.starts_with('+') {
                self.write(message);
                self.write(b"\r\n");
                return self.answer(&tag);
            }
            if let Some(status) = line.text.strip_prefix(&format!("{tag} ")) {
                return Reply {
                    status: status.to_owned(),
                    lines: Vec::new(),
                };
            }
        }
    }

    /// The whole messages of the selected mailbox, in their order.
    pub fn messages(&mut self, set: &str) -> Vec<Vec<u8>> {
        let lines = self.ok(&format!("FETCH {set} (BODY.PEEK[])"));
        lines
            .into_iter()
            .filter_map(|line| line.literals.into_iter().next().or_else(|| quoted(&line.text)))
            .collect()
    }

    /// Waits until the mailbox has `count` messages.
    pub fn wait_for_messages(&mut self, mailbox: &str, count: usize, most: Duration) {
        let wanted = format!("MESSAGES {count}");
        let mut last = String::new();
        wait_for(&format!("{count} messages in {mailbox}"), most, || {
            let lines = self.ok(&format!("STATUS {mailbox} (MESSAGES)"));
            let status = lines
                .iter()
                .find(|line| line.text.starts_with("* STATUS"))
                .expect("STATUS");
            if status.text != last {
                last.clone_from(&status.text);
            }
            status.text.contains(&format!("({wanted})")).then_some(())
        });
    }

    /// Waits until INBOX has `count` messages, selects it and fetches them all.
    pub fn inbox(&mut self, count: usize) -> Vec<Vec<u8>> {
        self.wait_for_messages("INBOX", count, Duration::from_secs(60));
        self.ok("SELECT INBOX");
        if count == 0 { Vec::new() } else { self.messages("1:*") }
    }

    /// Reads one line with its literals.
    pub fn line(&mut self) -> Line {
        let mut line = Line {
            text: String::new(),
            literals: Vec::new(),
        };
        loop {
            let mut bytes = Vec::new();
            self.input
                .read_until(b'\n', &mut bytes)
                .expect("answer of the IMAP server");
            assert!(bytes.ends_with(b"\r\n"), "connection closed after {bytes:?}");
            bytes.truncate(bytes.len() - 2);
            let text = String::from_utf8_lossy(&bytes);
            let literal = text.strip_suffix('}').and_then(|text| text.rsplit_once('{'));
            match literal.and_then(|(before, length)| Some((before, length.parse::<usize>().ok()?))) {
                Some((before, length)) => {
                    line.text.push_str(before);
                    line.text.push_str("{}");
                    let mut literal = vec![0; length];
                    self.input.read_exact(&mut literal).expect("literal");
                    line.literals.push(literal);
                }
                None => {
                    line.text.push_str(&text);
                    return line;
                }
            }
        }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.output
            .write_all(bytes)
            .and_then(|()| self.output.flush())
            .expect("IMAP server takes bytes");
    }
}

/// The body of a FETCH answer given as a quoted string.
fn quoted(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("BODY[] \"")?;
    let mut out = Vec::new();
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return Some(out),
            b'\\' => out.extend(bytes.next()),
            byte => out.push(byte),
        }
    }
    None
}
