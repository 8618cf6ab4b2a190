//! One SMTP connection, the client's side, with as few system calls as the dialogue allows.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that has said EHLO.
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// What of `input` has been read.
    at: usize,
    pipelining: bool,
}

impl Connection {
    /// Connects, reads the greeting, says EHLO.
    pub async fn open(address: &str, stepwise: bool) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            input: Vec::with_capacity(4096),
            at: 0,
            pipelining: false,
        };
        connection.expect(220).await?;
        connection.stream.write_all(b"EHLO load.sender.test\r\n").await?;
        let offers = connection.expect(250).await?;
        connection.pipelining = !stepwise && memchr::memmem::find(&offers, b"PIPELINING").is_some();
        Ok(connection)
    }

    /// Logs in (AUTH PLAIN, RFC 4616), in the clear.
    pub async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let word = STANDARD.encode(format!("\0{user}\0{password}"));
        self.stream
            .write_all(format!("AUTH PLAIN {word}\r\n").as_bytes())
            .await?;
        self.expect(235).await.with_context(|| format!("{user} logs in"))?;
        Ok(())
    }

    /// The envelope, up to the 354.
    pub async fn envelope(&mut self, from: &str, to: &str) -> Result<()> {
        if self.pipelining {
            let group = format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
            self.stream.write_all(group.as_bytes()).await?;
            self.expect(250).await?;
            self.expect(250).await?;
        } else {
            self.stream
                .write_all(format!("MAIL FROM:<{from}>\r\n").as_bytes())
                .await?;
            self.expect(250).await?;
            self.stream.write_all(format!("RCPT TO:<{to}>\r\n").as_bytes()).await?;
            self.expect(250).await?;
            self.stream.write_all(b"DATA\r\n").await?;
        }
        self.expect(354).await?;
        Ok(())
    }

    /// The message with its dot, up to the final 250.
    pub async fn message(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        self.expect(250).await?;
        Ok(())
    }

    /// QUIT and its 221.
    pub async fn quit(mut self) -> Result<()> {
        self.stream.write_all(b"QUIT\r\n").await?;
        self.expect(221).await?;
        Ok(())
    }

    /// Reads one reply, of one or more lines; an error if its code is another.
    async fn expect(&mut self, code: u16) -> Result<Vec<u8>> {
        let begin = self.at;
        loop {
            while let Some(end) = memchr::memchr(b'\n', self.input.get(self.at..).unwrap_or_default()) {
                let line = self.input.get(self.at..self.at + end).unwrap_or_default();
                let last = line.get(3) != Some(&b'-');
                let found: Option<u16> = line.get(..3).and_then(|c| std::str::from_utf8(c).ok()?.parse().ok());
                if last && found != Some(code) {
                    bail!("wanted {code}, got {}", String::from_utf8_lossy(line).trim_end());
                }
                self.at += end + 1;
                if last {
                    let reply = self.input.get(begin..self.at).unwrap_or_default().to_vec();
                    if self.at == self.input.len() {
                        self.input.clear();
                        self.at = 0;
                    }
                    return Ok(reply);
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                bail!("the server hung up where {code} was to come");
            }
        }
    }
}
