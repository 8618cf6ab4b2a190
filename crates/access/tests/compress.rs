//! COMPRESS. RFC 4978, with a client's side of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Client {
    stream: TcpStream,
    codec: Option<(Compress, Decompress)>,
    got: Vec<u8>,
    sent: u64,
    received: u64,
}

impl Client {
    fn open(server: &Server) -> Client {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Client {
            stream,
            codec: None,
            got: Vec::new(),
            sent: 0,
            received: 0,
        };
        client.until("* OK");
        client.send(format!("1 LOGIN ada@rohrpost.test {PASSWORD}\r\n").as_bytes());
        client.until("1 OK");
        client
    }

    fn send(&mut self, octets: &[u8]) {
        let mut out = octets.to_vec();
        if let Some((deflate, _)) = &mut self.codec {
            out = Vec::with_capacity(octets.len() + 1024);
            deflate.compress_vec(octets, &mut out, FlushCompress::Sync).unwrap();
        }
        self.sent += out.len() as u64;
        self.stream.write_all(&out).unwrap();
    }

    /// Reads up to a line that begins so; all that was read.
    fn until(&mut self, start: &str) -> String {
        let mut from = 0;
        loop {
            while let Some(len) = self.got[from..].iter().position(|b| *b == b'\n') {
                let line = &self.got[from..from + len];
                from += len + 1;
                if line.starts_with(start.as_bytes()) {
                    let rest = self.got.split_off(from);
                    let read = std::mem::replace(&mut self.got, rest);
                    return String::from_utf8(read).unwrap();
                }
            }
            let mut buffer = [0; 10_000];
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "hung up: {}", String::from_utf8_lossy(&self.got));
            self.received += count as u64;
            match &mut self.codec {
                None => self.got.extend_from_slice(&buffer[..count]),
                Some((_, inflate)) => {
                    let before = inflate.total_in();
                    let mut at = 0;
                    while at < count {
                        self.got.reserve(64 * 1024);
                        inflate
                            .decompress_vec(&buffer[at..count], &mut self.got, FlushDecompress::Sync)
                            .unwrap();
                        at = (inflate.total_in() - before) as usize;
                    }
                }
            }
        }
    }

    fn compress(&mut self) {
        self.send(b"2 COMPRESS DEFLATE\r\n");
        self.until("2 OK");
        self.codec = Some((Compress::new(Compression::best(), false), Decompress::new(false)));
    }
}

#[test]
fn both_ways() {
    let server = Server::start(Mode::Plain, options());
    let mut client = Client::open(&server);
    client.send(b"a COMPRESS LZW\r\n");
    client.until("a BAD");
    client.compress();
    client.send(b"b COMPRESS DEFLATE\r\n");
    assert!(client.until("b NO").contains("[COMPRESSIONACTIVE]"));
    let body: String = (0..20_000)
        .map(|i| format!("line {} of the message\r\n", i % 1000))
        .collect();
    client.send(format!("c APPEND INBOX {{{}+}}\r\n{body}\r\n", body.len()).as_bytes());
    client.until("c OK");
    assert!(
        client.sent < body.len() as u64 / 10,
        "{} of {}",
        client.sent,
        body.len()
    );
    client.send(b"d SELECT INBOX\r\n");
    client.until("d OK");
    let before = client.received;
    client.send(b"e FETCH 1 BODY.PEEK[]\r\n");
    assert!(client.until("e OK").contains(&body));
    assert!(
        client.received - before < body.len() as u64 / 3,
        "{}",
        client.received - before
    );
    // The compressor is given back while the session idles, and comes anew.
    let mut other = Client::open(&server);
    client.send(b"f IDLE\r\n");
    client.until("+ ");
    for round in 0..3 {
        other.send(b"x APPEND INBOX {1+}\r\nx\r\n");
        other.until("x OK");
        client.until(&format!("* {} EXISTS", round + 2));
    }
    client.send(b"DONE\r\n");
    client.until("f OK");
    client.send(b"g LOGOUT\r\n");
    client.until("g OK");
}

/// A few octets that stand for a very long line: it is refused like the line itself.
#[test]
fn a_bomb_is_a_long_line() {
    let server = Server::start(Mode::Plain, options());
    let mut client = Client::open(&server);
    client.compress();
    let line = vec![b'a'; 64 << 20];
    let mut out = Vec::with_capacity(1 << 20);
    let (deflate, _) = client.codec.as_mut().unwrap();
    deflate.compress_vec(&line, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.len() < 100_000);
    client.stream.write_all(&out).unwrap();
    let end = client.until("* BYE");
    assert!(end.contains("[TOOBIG]"), "{end}");
}

#[test]
fn noise_ends_the_connection() {
    let server = Server::start(Mode::Plain, options());
    let mut client = Client::open(&server);
    client.compress();
    client.stream.write_all(&[0xff; 64]).unwrap();
    let mut rest = Vec::new();
    // Closed or reset, but not left open.
    let _ = client.stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
    Client::open(&server);
}
