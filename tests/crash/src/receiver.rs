//! Another server, as far as a test of relaying needs one: it takes every message and remembers what it took.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A recipient and the message that was taken for it.
type Taken = (String, Vec<u8>);

/// A server on a port of this machine, until the test ends.
#[derive(Debug, Clone)]
pub struct Receiver {
    port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    /// Listens.
    pub fn start() -> io::Result<Receiver> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let receiver = Receiver {
            port: listener.local_addr()?.port(),
            taken: Arc::default(),
        };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // A client that dies in the middle of it is what this is for.
                std::thread::spawn(move || serving.serve(stream).ok());
            }
        });
        Ok(receiver)
    }

    /// Where.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was taken: recipient and message, each as often as it was. It counts from the moment the last octet is here, whether or not the
    /// client lives to read the answer.
    pub fn taken(&self) -> Vec<(String, Vec<u8>)> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        let mut recipients: Vec<String> = Vec::new();
        out.write_all(b"220 far.test\r\n")?;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => out.write_all(b"250-far.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")?,
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    recipients.push(address.to_owned());
                    out.write_all(b"250 2.1.5 ok\r\n")?;
                }
                "DATA" => {
                    out.write_all(b"354 go on\r\n")?;
                    let message = content(&mut lines)?;
                    let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.extend(recipients.drain(..).map(|to| (to, message.clone())));
                    drop(taken);
                    out.write_all(b"250 2.0.0 taken\r\n")?;
                }
                "QUIT" => return out.write_all(b"221 2.0.0 bye\r\n"),
                _ => {
                    if verb == "RSET" || verb == "MAIL" {
                        recipients.clear();
                    }
                    out.write_all(b"250 2.0.0 ok\r\n")?;
                }
            }
        }
    }
}

/// A message up to its last dot (RFC 5321 §4.5.2). An end of the connection before that is an error: nothing was taken.
fn content(lines: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
