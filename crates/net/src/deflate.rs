//! A connection whose octets are compressed in both directions. RFC 1951, as IMAP uses it (RFC 4978 §4).
//!
//! What comes out of the decompressor goes straight into the reader's buffer: a few octets that stand for a gigabyte cost the reader
//! time, never memory, and its own limits end them.
//!
//! The compressor takes a third of a megabyte, so it is made when there is something to say and given back while nothing is. That is
//! allowed at every point where all has been flushed: the next one starts a block that refers to nothing before it. The decompressor has
//! to stay, the client may refer to the last 32 KiB at any time.

use crate::Stream;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::io;

/// Compressed octets are sent when this many have come together.
const PIECE: usize = 16 * 1024;
/// Mail text shrinks to a third at this level already; more costs more time than it saves octets.
const LEVEL: u32 = 3;

/// A compressed connection.
pub struct Deflated {
    pub(crate) under: Stream,
    inflater: Box<Decompress>,
    deflater: Option<Box<Compress>>,
    /// Compressed octets that came and were not looked at yet.
    pending: Vec<u8>,
    /// The decompressor may have more to give without any further input.
    more: bool,
    ended: bool,
}

impl Deflated {
    pub(crate) fn new(under: Stream) -> Deflated {
        Deflated {
            under,
            inflater: Box::new(Decompress::new(false)),
            deflater: None,
            pending: Vec::new(),
            more: false,
            ended: false,
        }
    }

    pub(crate) fn relax(&mut self) {
        self.deflater = None;
        self.pending.shrink_to_fit();
    }

    /// Dropping the future loses nothing: what was read is kept before anything is waited for again.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.ended {
                return Ok(0);
            }
            if self.more || !self.pending.is_empty() {
                let produced = self.inflate(buffer)?;
                if produced > 0 || self.ended {
                    return Ok(produced);
                }
            }
            let count = self.under.read_bare(buffer).await?;
            if count == 0 {
                return Ok(0);
            }
            self.pending.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }

    fn inflate(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
        let status = self
            .inflater
            .decompress(&self.pending, buffer, FlushDecompress::None)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let used = usize::try_from(self.inflater.total_in() - before_in).unwrap_or(usize::MAX);
        let produced = usize::try_from(self.inflater.total_out() - before_out).unwrap_or(usize::MAX);
        self.pending.drain(..used.min(self.pending.len()));
        self.more = produced == buffer.len();
        match status {
            Status::StreamEnd => self.ended = true,
            Status::BufError if used == 0 && produced == 0 && !self.pending.is_empty() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the compressed octets lead nowhere",
                ));
            }
            _ => {}
        }
        Ok(produced)
    }

    /// Writes all of it, to the last bit.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut rest = bytes;
        let mut out: Vec<u8> = Vec::with_capacity(PIECE.min(bytes.len() + 64));
        loop {
            let deflater = self
                .deflater
                .get_or_insert_with(|| Box::new(Compress::new(Compression::new(LEVEL), false)));
            let before = deflater.total_in();
            deflater
                .compress_vec(rest, &mut out, FlushCompress::Sync)
                .map_err(io::Error::other)?;
            let used = usize::try_from(deflater.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(used..).unwrap_or_default();
            // All is out when it was taken and room was left.
            let done = rest.is_empty() && out.len() < out.capacity();
            if done || out.len() >= PIECE {
                self.under.write_bare(&out).await?;
                out.clear();
            }
            if done {
                return Ok(());
            }
            if out.len() == out.capacity() {
                out.reserve(PIECE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (Stream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut client, mut server) = (Stream::Plain(client.unwrap()), Stream::Plain(server.unwrap().0));
        client.deflate();
        server.deflate();
        (client, server)
    }

    /// Octets that repeat here and there, like mail.
    fn text(len: usize, mut seed: u32) -> Vec<u8> {
        (0..len)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed >> 28 == 0 {
                    (seed >> 16) as u8
                } else {
                    b'a' + (i % 23) as u8
                }
            })
            .collect()
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let (mut client, mut server) = pair().await;
        for (round, len) in [1, 5, 4095, 16 * 1024, 300_000, 2, 70_000].into_iter().enumerate() {
            let sent = text(len, round as u32);
            if round % 2 == 1 {
                client.relax();
            }
            let write = client.write(&sent);
            let read = async {
                let mut got = Vec::new();
                let mut buffer = [0; 1000];
                while got.len() < len {
                    let count = server.read(&mut buffer).await.unwrap();
                    assert!(count > 0);
                    got.extend_from_slice(&buffer[..count]);
                }
                got
            };
            let (written, got) = tokio::join!(write, read);
            written.unwrap();
            assert_eq!(got, sent);
        }
    }

    #[tokio::test]
    async fn a_bomb_comes_out_in_small_pieces() {
        let (mut client, mut server) = pair().await;
        let len = 50 << 20;
        let sender = tokio::spawn(async move {
            client.write(&vec![b'a'; len]).await.unwrap();
            client
        });
        let mut left = len;
        let mut buffer = [0; 4096];
        while left > 0 {
            let count = server.read(&mut buffer).await.unwrap();
            assert!(count > 0 && count <= left);
            left -= count;
            if let Stream::Deflated(deflated) = &server {
                assert!(
                    deflated.pending.capacity() <= 64 * 1024,
                    "{}",
                    deflated.pending.capacity()
                );
            }
        }
        sender.await.unwrap();
    }

    #[tokio::test]
    async fn noise_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut client, mut server) = (Stream::Plain(client.unwrap()), Stream::Plain(server.unwrap().0));
        server.deflate();
        client.write(&[0xff; 100]).await.unwrap();
        assert!(server.read(&mut [0; 100]).await.is_err());
    }
}
