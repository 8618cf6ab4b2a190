use crate::Result;
use crate::record::{Chunk, Stored};
use std::io;

/// A blob's content as a stream. The record stays readable while this is held, also when its segment is reclaimed.
#[derive(Debug)]
pub struct Reader {
    stored: Stored,
    chunks: std::vec::IntoIter<Chunk>,
    open: Vec<u8>,
    at: usize,
}

impl Reader {
    pub(crate) fn new(stored: Stored) -> Result<Reader> {
        let chunks = stored.chunks()?.into_iter();
        Ok(Reader {
            stored,
            chunks,
            open: Vec::new(),
            at: 0,
        })
    }

    /// Length of the whole content in bytes.
    pub fn len(&self) -> u64 {
        u64::from(self.stored.shape.raw)
    }

    /// Whether the content is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.open.len() {
            let Some(chunk) = self.chunks.next() else {
                return Ok(0);
            };
            self.open = self.stored.chunk(&chunk)?;
            self.at = 0;
        }
        let rest = self.open.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        for (to, from) in buffer.chunks_mut(n.max(1)).zip(rest.chunks(n.max(1))).take(1) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}
