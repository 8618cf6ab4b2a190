//! A client that does not look at what it gets: only the server's work counts, and the reading of its octets.

use anyhow::{Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Octets that are kept of an answer: enough for its tagged line and what came just before.
const TAIL: usize = 16 * 1024;
/// Longest time between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection.
pub struct Raw {
    stream: TcpStream,
    tag: u32,
    buffer: Vec<u8>,
    tail: Vec<u8>,
}

/// What came.
pub struct Heard {
    /// Octets in all.
    pub octets: u64,
    /// The last of them, at most `TAIL`.
    pub tail: String,
}

impl Raw {
    /// Connects and waits for the greeting.
    pub fn connect(address: &str) -> Result<Raw> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut raw = Raw {
            stream,
            tag: 0,
            buffer: vec![0; 1 << 20],
            tail: Vec::new(),
        };
        let greeting = raw.hear(|tail| tail.ends_with(b"\r\n"))?;
        ensure!(greeting.tail.starts_with("* OK"), "greeting: {}", greeting.tail);
        Ok(raw)
    }

    /// Sends a command and reads up to its OK.
    pub fn command(&mut self, command: &str) -> Result<Heard> {
        let tag = self.send(command)?;
        self.finish(&tag, command)
    }

    /// APPEND, waiting for the server's permission as RFC 3501 has it.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<Heard> {
        let command = format!("APPEND {mailbox} {{{}}}", message.len());
        let tag = self.send(&command)?;
        let go = self.hear(|tail| tail.ends_with(b"\r\n"))?;
        ensure!(go.tail.starts_with('+'), "{command}: {}", go.tail);
        self.stream.write_all(message)?;
        self.stream.write_all(b"\r\n")?;
        self.finish(&tag, &command)
    }

    /// APPEND without waiting, and without reading the answer: LITERAL+ (RFC 7888).
    pub fn append_ahead(&mut self, mailbox: &str, message: &[u8]) -> Result<String> {
        self.tag += 1;
        let tag = format!("b{}", self.tag);
        let mut all = format!("{tag} APPEND {mailbox} {{{}+}}\r\n", message.len()).into_bytes();
        all.extend_from_slice(message);
        all.extend_from_slice(b"\r\n");
        self.stream.write_all(&all)?;
        Ok(tag)
    }

    /// Reads up to the OK of that tag.
    pub fn finish(&mut self, tag: &str, command: &str) -> Result<Heard> {
        let start = format!("{tag} ").into_bytes();
        let heard = self.hear(|tail| last_line(tail).starts_with(&start))?;
        let line = heard.tail.trim_end().rsplit("\r\n").next().unwrap_or_default();
        ensure!(
            line.get(start.len()..).is_some_and(|l| l.starts_with("OK")),
            "{command}: {line}"
        );
        Ok(heard)
    }

    fn send(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        let tag = format!("b{}", self.tag);
        self.stream.write_all(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    fn hear(&mut self, done: impl Fn(&[u8]) -> bool) -> Result<Heard> {
        let mut octets = 0;
        self.tail.clear();
        loop {
            let count = self.stream.read(&mut self.buffer)?;
            ensure!(
                count > 0,
                "the server hung up; its last words: {}",
                String::from_utf8_lossy(&self.tail)
            );
            octets += count as u64;
            let piece = self.buffer.get(..count).unwrap_or_default();
            if piece.len() >= TAIL {
                self.tail.clear();
                self.tail
                    .extend_from_slice(piece.get(piece.len() - TAIL..).unwrap_or_default());
            } else {
                let drop = (self.tail.len() + piece.len()).saturating_sub(TAIL);
                self.tail.drain(..drop);
                self.tail.extend_from_slice(piece);
            }
            if self.tail.ends_with(b"\r\n") && done(&self.tail) {
                return Ok(Heard {
                    octets,
                    tail: String::from_utf8_lossy(&self.tail).into_owned(),
                });
            }
        }
    }
}

/// The last line, without its end.
fn last_line(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\r\n").unwrap_or(text);
    let begin = memchr::memrchr(b'\n', line).map_or(0, |at| at + 1);
    line.get(begin..).unwrap_or_default()
}
