//! Clients that send until the server is gone, and know what they were promised.

use blobs::simulation::Chance;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// By which door a message goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// SMTP, as another server sends.
    Smtp,
    /// LMTP, with an answer for each recipient.
    Lmtp,
    /// IMAP APPEND.
    Append,
}

/// A message on its way to one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The account.
    pub to: String,
    /// The bytes sent.
    pub bytes: Vec<u8>,
    /// The server said that it has it.
    pub answered: bool,
}

/// A client. It makes messages that are all different.
#[derive(Debug)]
pub struct Sender {
    door: Door,
    port: u16,
    accounts: Vec<String>,
    password: String,
    name: String,
    chance: Chance,
    serial: u64,
    sent: Vec<Sent>,
}

impl Sender {
    /// A client of a port. Messages of different names and seeds are different.
    pub fn new(door: Door, port: u16, accounts: &[&str], password: &str, name: &str, seed: u64) -> Sender {
        Sender {
            door,
            port,
            accounts: accounts.iter().map(|a| (*a).to_owned()).collect(),
            password: password.to_owned(),
            name: name.to_owned(),
            chance: Chance::new(seed),
            serial: 0,
            sent: Vec::new(),
        }
    }

    /// Sends until the connection ends, as it does when the server is killed. Gives everything it tried.
    pub fn run(mut self) -> Vec<Sent> {
        // How it ended does not matter: what was answered before does.
        let _ = match self.door {
            Door::Smtp | Door::Lmtp => self.mail(),
            Door::Append => self.append(),
        };
        self.sent
    }

    fn mail(&mut self) -> io::Result<()> {
        let lmtp = self.door == Door::Lmtp;
        loop {
            let mut line = Lines::connect(self.port)?;
            line.expect(b"220")?;
            line.ask(if lmtp { "LHLO client.test" } else { "EHLO client.test" }, b"250")?;
            for _ in 0..1 + self.chance.below(20) {
                line.ask("MAIL FROM:<sender@client.test>", b"250")?;
                let first = self.chance.below(self.accounts.len());
                let mut to: Vec<String> = vec![self.accounts[first].clone()];
                if self.chance.percent(30) {
                    to.push(self.accounts[(first + 1) % self.accounts.len()].clone());
                }
                for address in &to {
                    line.ask(&format!("RCPT TO:<{address}>"), b"250")?;
                }
                line.ask("DATA", b"354")?;
                let bytes = self.message();
                let begun = self.sent.len();
                for address in to {
                    self.sent.push(Sent {
                        to: address,
                        bytes: bytes.clone(),
                        answered: false,
                    });
                }
                line.write(&stuffed(&bytes))?;
                line.write(b".\r\n")?;
                // LMTP answers once for each recipient (RFC 2033 §4.2).
                let replies = if lmtp { self.sent.len() - begun } else { 1 };
                for reply in 0..replies {
                    line.expect(b"250")?;
                    for (i, sent) in self.sent[begun..].iter_mut().enumerate() {
                        sent.answered |= !lmtp || i == reply;
                    }
                }
            }
            line.ask("QUIT", b"221")?;
        }
    }

    fn append(&mut self) -> io::Result<()> {
        let account = self.accounts[self.chance.below(self.accounts.len())].clone();
        let mut line = Lines::connect(self.port)?;
        line.expect(b"* OK")?;
        line.write(format!("l LOGIN {account} \"{}\"\r\n", self.password).as_bytes())?;
        line.until(b"l ", b"l OK")?;
        loop {
            let bytes = self.message();
            line.write(format!("a APPEND INBOX {{{}}}\r\n", bytes.len()).as_bytes())?;
            line.until(b"+", b"+")?;
            self.sent.push(Sent {
                to: account.clone(),
                bytes: bytes.clone(),
                answered: false,
            });
            line.write(&bytes)?;
            line.write(b"\r\n")?;
            line.until(b"a ", b"a OK")?;
            if let Some(sent) = self.sent.last_mut() {
                sent.answered = true;
            }
        }
    }

    fn message(&mut self) -> Vec<u8> {
        self.serial += 1;
        let mut bytes = format!(
            "Subject: {} {}\r\nFrom: sender@client.test\r\n\r\n",
            self.name, self.serial
        )
        .into_bytes();
        let size = match self.chance.below(40) {
            0 => 1_200_000,
            1 | 2 => 200_000,
            _ => self.chance.below(12_000),
        };
        while bytes.len() < size {
            if self.chance.percent(5) {
                bytes.push(b'.');
            }
            let number = self.chance.bits();
            bytes.extend_from_slice(format!("{number:x} and {:x}\r\n", number.rotate_left(17)).as_bytes());
        }
        bytes
    }
}

/// A connection of lines, where every surprise is an error and ends the client.
struct Lines {
    stream: BufReader<TcpStream>,
}

impl Lines {
    fn connect(port: u16) -> io::Result<Lines> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Lines {
            stream: BufReader::new(stream),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            Ok(line)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// An SMTP reply: its last line has a space behind the code.
    fn expect(&mut self, code: &[u8]) -> io::Result<()> {
        loop {
            let line = self.line()?;
            assert!(line.starts_with(code), "{:?}", String::from_utf8_lossy(&line));
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }

    fn ask(&mut self, command: &str, code: &[u8]) -> io::Result<()> {
        self.write(format!("{command}\r\n").as_bytes())?;
        self.expect(code)
    }

    /// The line that begins so, which must be this; what comes before does not matter.
    fn until(&mut self, begin: &[u8], wanted: &[u8]) -> io::Result<()> {
        loop {
            let line = self.line()?;
            if line.starts_with(begin) {
                assert!(line.starts_with(wanted), "{:?}", String::from_utf8_lossy(&line));
                return Ok(());
            }
        }
    }
}

/// With a second dot where a line begins with one (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out
}
