//! A small SMTP and LMTP client.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A connection after its greeting.
pub struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects to a port of this machine and says `EHLO`, or `LHLO` to an LMTP port.
    pub fn connect(port: u16, hello: &str) -> Smtp {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("SMTP port");
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        let mut smtp = Smtp {
            stream: BufReader::new(stream),
        };
        let greeting = smtp.reply();
        assert!(greeting.starts_with("220"), "{greeting}");
        smtp.expect(&format!("{hello} client.example"), "250");
        smtp
    }

    /// Sends a line; gives the answer, all its lines.
    pub fn command(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// Sends a line; the answer must begin so.
    pub fn expect(&mut self, line: &str, answer: &str) -> String {
        let reply = self.command(line);
        assert!(reply.starts_with(answer), "{line}: {reply}");
        reply
    }

    /// The envelope, pipelined. Gives the first answer that is no 250.
    pub fn envelope(&mut self, from: &str, recipients: &[&str], parameters: &str) -> Result<(), String> {
        let mut text = format!("MAIL FROM:<{from}>{parameters}\r\n");
        for recipient in recipients {
            text.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
        }
        self.write(text.as_bytes());
        let replies: Vec<String> = (0..=recipients.len()).map(|_| self.reply()).collect();
        match replies.into_iter().find(|reply| !reply.starts_with("250")) {
            Some(reply) => {
                self.expect("RSET", "250");
                Err(reply)
            }
            None => Ok(()),
        }
    }

    /// Sends a message with `DATA`; gives the final answer, or the one that refused before.
    pub fn data(&mut self, from: &str, recipients: &[&str], message: &[u8]) -> String {
        if let Err(reply) = self.envelope(from, recipients, " BODY=8BITMIME") {
            return reply;
        }
        let reply = self.command("DATA");
        if !reply.starts_with("354") {
            return reply;
        }
        self.write(&stuffed(message));
        self.write(b".\r\n");
        self.reply()
    }

    /// Sends a message in one chunk with `BDAT`; gives the final answer, or the one that refused before.
    pub fn bdat(&mut self, from: &str, recipients: &[&str], message: &[u8]) -> String {
        if let Err(reply) = self.envelope(from, recipients, " BODY=8BITMIME") {
            return reply;
        }
        self.write(format!("BDAT {} LAST\r\n", message.len()).as_bytes());
        self.write(message);
        self.reply()
    }

    /// Reads an answer.
    pub fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            let read = self.stream.read_line(&mut reply).expect("answer of the SMTP server");
            assert!(read > 0, "connection closed after {reply:?}");
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return reply.trim_end().to_owned();
            }
        }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("SMTP server takes bytes");
    }
}

/// With a second dot where a line begins with one (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    let mut line_start = true;
    for &byte in message {
        if line_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        line_start = byte == b'\n';
    }
    out
}
