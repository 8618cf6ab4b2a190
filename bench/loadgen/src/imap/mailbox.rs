//! As much of an IMAP client as it takes to see whether mail has arrived.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Somebody's INBOX.
pub struct Mailbox {
    stream: BufReader<TcpStream>,
    tag: u32,
}

impl Mailbox {
    /// Connects and logs in.
    pub fn open(address: &str, user: &str, password: &str) -> Result<Mailbox> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
        let mut mailbox = Mailbox {
            stream: BufReader::new(stream),
            tag: 0,
        };
        let mut greeting = String::new();
        mailbox.stream.read_line(&mut greeting)?;
        ensure!(greeting.starts_with("* OK"), "greeting: {greeting}");
        mailbox.command(&format!("LOGIN \"{user}\" \"{password}\""))?;
        Ok(mailbox)
    }

    /// How many messages there are, without opening it.
    pub fn messages(&mut self) -> Result<usize> {
        let answer = self.command("STATUS INBOX (MESSAGES)")?;
        let number = answer
            .split("MESSAGES ")
            .nth(1)
            .context("no MESSAGES in the answer to STATUS")?;
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }

    /// The whole of message number `last`.
    pub fn fetch_last(&mut self, last: usize) -> Result<String> {
        self.command("EXAMINE INBOX")?;
        let text = self.command(&format!("FETCH {last} BODY.PEEK[]"))?;
        Ok(text)
    }

    /// Sends a command; gives everything up to its OK, literals included.
    fn command(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        let tag = format!("b{} ", self.tag);
        self.stream
            .get_mut()
            .write_all(format!("{tag}{command}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        loop {
            let begin = answer.len();
            if self.stream.read_until(b'\n', &mut answer)? == 0 {
                bail!("the server hung up after {command}");
            }
            let line = String::from_utf8_lossy(answer.get(begin..).unwrap_or_default()).into_owned();
            if let Some(result) = line.strip_prefix(&tag) {
                ensure!(result.starts_with("OK"), "{command}: {result}");
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
            let literal = line
                .trim_end()
                .strip_suffix('}')
                .and_then(|l| l.rsplit_once('{')?.1.parse::<u64>().ok());
            if let Some(length) = literal {
                (&mut self.stream).take(length).read_to_end(&mut answer)?;
            }
        }
    }
}
