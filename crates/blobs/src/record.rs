//! One record of a segment: an 80-byte header and the payload. `docs/blobs.md` gives every byte.
//!
//! Content of at most one chunk is one piece, raw or one zstd frame. Longer content is cut into chunks, each raw or a zstd frame of
//! its own with its own checksum, and a table of them stands at the end of the payload: so a range costs only the chunks it touches,
//! and content of unknown length can be written as it comes.

use crate::layer::File;
use crate::{BlobId, Error, Result};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a record header.
pub(crate) const HEADER: usize = 80;
/// Records begin at multiples of this, which bounds the search for the next one behind damage.
pub(crate) const ALIGNMENT: u64 = 8;
pub(crate) const MAGIC: [u8; 4] = *b"RpB1";
/// The largest chunk a record may have; a larger one in a header is damage.
pub(crate) const CHUNK_MAX: u32 = 16 << 20;
const CODEC_RAW: u8 = 0;
const CODEC_ZSTD: u8 = 1;
const CODEC_CHUNKED: u8 = 2;
const TABLE_ENTRY: usize = 8;
/// In a table entry's length: the chunk is stored as it is.
const RAW_CHUNK: u32 = 1 << 31;

/// How content lies in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub codec: u8,
    /// Length of the content.
    pub raw: u32,
    /// Length of the payload.
    pub stored: u32,
    /// Length of the content in every chunk but the last; 0 where the content is one piece.
    pub chunk: u32,
    /// CRC-32 of the payload (one piece) or of the chunk table.
    pub crc: u32,
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub id: BlobId,
    pub shape: Shape,
    /// Everything in the segment before this offset was durable when the record was written.
    pub synced: u64,
}

impl Header {
    /// The header's bytes at its place. The checksum covers the place, so that a header counts only where it was written.
    pub(crate) fn encode(&self, segment: u32, offset: u64) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            if let Some(room) = out.get_mut(at..at + bytes.len()) {
                room.copy_from_slice(bytes);
            }
            at += bytes.len();
        };
        put(&MAGIC);
        put(&[self.shape.codec, 0, 0, 0]);
        put(&u64::from(self.shape.raw).to_le_bytes());
        put(&u64::from(self.shape.stored).to_le_bytes());
        put(&self.synced.to_le_bytes());
        put(self.id.as_bytes());
        put(&self.shape.chunk.to_le_bytes());
        put(&self.shape.crc.to_le_bytes());
        put(&[0; 4]);
        let (covered, crc) = out.split_at_mut(HEADER - 4);
        crc.copy_from_slice(&checksum_at(covered, segment, offset).to_le_bytes());
        out
    }

    /// Reads a header; `None` where these bytes are not one, or one from elsewhere.
    pub(crate) fn decode(bytes: &[u8], segment: u32, offset: u64) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        if bytes[..4] != MAGIC {
            return None;
        }
        let u32_at = |at: usize| -> Option<u32> { Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)) };
        let u64_at = |at: usize| -> Option<u64> { Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)) };
        if checksum_at(&bytes[..HEADER - 4], segment, offset) != u32_at(HEADER - 4)? {
            return None;
        }
        let header = Header {
            id: BlobId::try_from(&bytes[32..64]).ok()?,
            shape: Shape {
                codec: bytes[4],
                raw: u64_at(8)?.try_into().ok()?,
                stored: u64_at(16)?.try_into().ok()?,
                chunk: u32_at(64)?,
                crc: u32_at(68)?,
            },
            synced: u64_at(24)?,
        };
        header.shape.is_possible().then_some(header)
    }

    /// Bytes of the whole record, with the padding to the next.
    pub(crate) fn record_bytes(&self) -> u64 {
        record_bytes(self.shape.stored)
    }
}

/// Bytes of a record with a payload of this length.
pub(crate) fn record_bytes(stored: u32) -> u64 {
    (HEADER as u64 + u64::from(stored)).next_multiple_of(ALIGNMENT)
}

fn checksum_at(bytes: &[u8], segment: u32, offset: u64) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(bytes);
    crc.update(&segment.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.finalize()
}

impl Shape {
    fn is_possible(&self) -> bool {
        match self.codec {
            CODEC_RAW => self.chunk == 0 && self.stored == self.raw && self.raw <= CHUNK_MAX,
            CODEC_ZSTD => self.chunk == 0 && self.raw <= CHUNK_MAX && self.stored < self.raw,
            CODEC_CHUNKED => {
                (1..=CHUNK_MAX).contains(&self.chunk) && u64::from(self.stored) >= self.chunks() * TABLE_ENTRY as u64
            }
            _ => false,
        }
    }

    fn chunks(&self) -> u64 {
        u64::from(self.raw).div_ceil(u64::from(self.chunk.max(1)))
    }

    fn table_bytes(&self) -> usize {
        usize::try_from(self.chunks()).unwrap_or(usize::MAX / TABLE_ENTRY) * TABLE_ENTRY
    }
}

/// Compressors and decompressors, lent out one call at a time: making one costs more than compressing a mail with it.
#[derive(Debug)]
pub(crate) struct Codecs {
    level: i32,
    idle: Mutex<Vec<Codec>>,
}

struct Codec {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

/// Codecs kept for reuse: about as many as threads compress at the same instant.
const CODECS_KEPT: usize = 8;

impl Codecs {
    pub(crate) fn new(level: i32) -> Codecs {
        Codecs {
            level,
            idle: Mutex::default(),
        }
    }

    fn lend<T>(&self, work: impl FnOnce(&mut Codec) -> T) -> T {
        let lent = self.idle.lock().pop();
        let mut codec = lent.unwrap_or_else(|| Codec {
            compressor: None,
            decompressor: None,
            buffer: Vec::new(),
        });
        let result = work(&mut codec);
        let mut idle = self.idle.lock();
        if idle.len() < CODECS_KEPT {
            idle.push(codec);
        }
        result
    }

    /// Appends `raw` compressed to `out` where that is worth it, else as it is. Says whether it was compressed.
    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        if raw.len() >= COMPRESSIBLE_MIN && self.level != 0 {
            let shrunk = self.lend(|codec| {
                if codec.compressor.is_none() {
                    codec.compressor = zstd::bulk::Compressor::new(self.level).ok();
                }
                let Some(compressor) = codec.compressor.as_mut() else {
                    return false;
                };
                codec.buffer.clear();
                codec.buffer.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                match compressor.compress_to_buffer(raw, &mut codec.buffer) {
                    Ok(n) if n < worth(raw.len()) => {
                        out.extend_from_slice(&codec.buffer);
                        true
                    }
                    _ => false,
                }
            });
            if shrunk {
                return true;
            }
        }
        out.extend_from_slice(raw);
        false
    }

    fn decompress(&self, frame: &[u8], raw: usize) -> Option<Vec<u8>> {
        self.lend(|codec| {
            if codec.decompressor.is_none() {
                codec.decompressor = zstd::bulk::Decompressor::new().ok();
            }
            let bytes = codec.decompressor.as_mut()?.decompress(frame, raw).ok()?;
            (bytes.len() == raw).then_some(bytes)
        })
    }

    /// The same, behind what is in `out` already. False: it does not decompress to `raw` bytes.
    fn decompress_into(&self, frame: &[u8], raw: usize, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        out.resize(begin + raw, 0);
        let Some(room) = out.get_mut(begin..) else { return false };
        self.lend(|codec| {
            if codec.decompressor.is_none() {
                codec.decompressor = zstd::bulk::Decompressor::new().ok();
            }
            let decompressor = codec.decompressor.as_mut();
            decompressor.is_some_and(|d| d.decompress_to_buffer(frame, room).is_ok_and(|n| n == raw))
        })
    }

    /// The payload of content that is one piece.
    pub(crate) fn pack(&self, raw: &[u8]) -> (Shape, Vec<u8>) {
        let mut payload = Vec::new();
        let shrunk = self.compress(raw, &mut payload);
        let shape = Shape {
            codec: if shrunk { CODEC_ZSTD } else { CODEC_RAW },
            raw: raw.len() as u32,
            stored: payload.len() as u32,
            chunk: 0,
            crc: crc32fast::hash(&payload),
        };
        (shape, payload)
    }

    /// Appends one chunk to `out` and its entry to `table`.
    pub(crate) fn pack_chunk(&self, raw: &[u8], out: &mut Vec<u8>, table: &mut Vec<u8>) {
        let begin = out.len();
        let flag = if self.compress(raw, out) { 0 } else { RAW_CHUNK };
        let chunk = out.get(begin..).unwrap_or_default();
        table.extend_from_slice(&(chunk.len() as u32 | flag).to_le_bytes());
        table.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes());
    }
}

/// Content below this many bytes is stored as it is. Such messages are most of all mail and little of its octets: it costs two kilobytes for
/// each at most, and reading them in crowds takes half the time, because making zstd's tables costs more than the decompressing itself.
const COMPRESSIBLE_MIN: usize = 8 << 10;

/// Up to this many bytes the tables still weigh.
const SMALL: usize = 16 << 10;

/// The size that compressed content must stay below: large content saves a sixteenth; small content, which is read in crowds, a third.
/// Text saves more than that, base64 less.
fn worth(raw: usize) -> usize {
    if raw <= SMALL { raw - raw / 3 } else { raw - raw / 16 }
}

/// The shape of chunked content.
pub(crate) fn chunked(raw: u32, stored: u32, chunk: u32, table: &[u8]) -> Shape {
    Shape {
        codec: CODEC_CHUNKED,
        raw,
        stored,
        chunk,
        crc: crc32fast::hash(table),
    }
}

/// Where payload bytes come from.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// Held in memory from `start` on: a record that is not written yet, or one that was read with a single call.
    Memory { bytes: Arc<Vec<u8>>, start: usize },
    /// In a file, from offset `at` on.
    File { file: Arc<dyn File>, at: u64 },
}

/// A record found, ready to be unpacked.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub codecs: Arc<Codecs>,
    pub id: BlobId,
    pub segment: u32,
    pub offset: u64,
    pub shape: Shape,
    pub payload: Payload,
}

/// One line of a chunk table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    at: u64,
    stored: u32,
    raw: u32,
    crc: u32,
    compressed: bool,
}

impl Stored {
    pub(crate) fn damaged(&self, reason: &'static str) -> Error {
        Error::Corrupt {
            id: self.id,
            segment: self.segment,
            offset: self.offset,
            reason,
        }
    }

    /// All content. Checks the checksums, not the hash.
    pub(crate) fn unpack(&self) -> Result<Vec<u8>> {
        if self.shape.codec == CODEC_CHUNKED {
            let mut out = Vec::with_capacity(self.shape.raw as usize);
            for chunk in self.chunks()? {
                self.with(chunk.at, chunk.stored, |bytes| {
                    self.unpack_chunk(&chunk, bytes, &mut out)
                })??;
            }
            return Ok(out);
        }
        self.with(0, self.shape.stored, |bytes| {
            if crc32fast::hash(bytes) != self.shape.crc {
                return Err(self.damaged("the checksum of the payload does not fit"));
            }
            if self.shape.codec == CODEC_RAW {
                return Ok(bytes.to_vec());
            }
            self.codecs
                .decompress(bytes, self.shape.raw as usize)
                .ok_or_else(|| self.damaged("the payload does not decompress"))
        })?
    }

    /// A part of the content, added to `out`; whole content of one piece is not copied on the way. On an error `out` is as it was.
    pub(crate) fn unpack_range_into(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let whole = range.start == 0 && range.end == u64::from(self.shape.raw);
        if !whole || self.shape.codec == CODEC_CHUNKED {
            out.extend_from_slice(&self.unpack_range(range)?);
            return Ok(());
        }
        let begin = out.len();
        let unpacked = self.with(0, self.shape.stored, |bytes| {
            if crc32fast::hash(bytes) != self.shape.crc {
                return Err(self.damaged("the checksum of the payload does not fit"));
            }
            if self.shape.codec == CODEC_RAW {
                out.extend_from_slice(bytes);
            } else if !self.codecs.decompress_into(bytes, self.shape.raw as usize, out) {
                return Err(self.damaged("the payload does not decompress"));
            }
            Ok(())
        });
        let unpacked = unpacked.and_then(|done| done);
        if unpacked.is_err() {
            out.truncate(begin);
        }
        unpacked
    }

    /// A part of the content; unpacks only the chunks that it touches.
    pub(crate) fn unpack_range(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let outside = || Error::Range {
            start: range.start,
            end: range.end,
            len: u64::from(self.shape.raw),
        };
        if range.start > range.end || range.end > u64::from(self.shape.raw) {
            return Err(outside());
        }
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (start, end) = (range.start as usize, range.end as usize);
        if self.shape.codec != CODEC_CHUNKED {
            let mut whole = self.unpack()?;
            whole.truncate(end);
            whole.drain(..start);
            return Ok(whole);
        }
        let size = self.shape.chunk as usize;
        let first = start / size;
        let count = (end - 1) / size - first + 1;
        let mut out = Vec::with_capacity((count * size).min(self.shape.raw as usize - first * size));
        for chunk in self.chunks()?.into_iter().skip(first).take(count) {
            self.with(chunk.at, chunk.stored, |bytes| {
                self.unpack_chunk(&chunk, bytes, &mut out)
            })??;
        }
        out.truncate(end - first * size);
        out.drain(..start - first * size);
        Ok(out)
    }

    /// The chunk table, checked against its checksum and the lengths in the header. Content of one piece is one chunk.
    pub(crate) fn chunks(&self) -> Result<Vec<Chunk>> {
        let Shape { raw, stored, .. } = self.shape;
        if self.shape.codec != CODEC_CHUNKED {
            return Ok(vec![Chunk {
                at: 0,
                stored,
                raw,
                crc: self.shape.crc,
                compressed: self.shape.codec == CODEC_ZSTD,
            }]);
        }
        let table_bytes = self.shape.table_bytes() as u32;
        let table_at = u64::from(stored) - u64::from(table_bytes);
        self.with(table_at, table_bytes, |table| {
            if crc32fast::hash(table) != self.shape.crc {
                return Err(self.damaged("the checksum of the chunk table does not fit"));
            }
            let mut at = 0;
            let mut left = raw;
            let mut chunks = Vec::with_capacity(table.len() / TABLE_ENTRY);
            for entry in table.as_chunks::<TABLE_ENTRY>().0 {
                let [a, b, c, d, e, f, g, h] = *entry;
                let length = u32::from_le_bytes([a, b, c, d]);
                let chunk = Chunk {
                    at,
                    stored: length & !RAW_CHUNK,
                    raw: left.min(self.shape.chunk),
                    crc: u32::from_le_bytes([e, f, g, h]),
                    compressed: length & RAW_CHUNK == 0,
                };
                left -= chunk.raw;
                at += u64::from(chunk.stored);
                chunks.push(chunk);
            }
            if at != table_at || left != 0 {
                return Err(self.damaged("the chunk table does not add up"));
            }
            Ok(chunks)
        })?
    }

    /// One chunk's content.
    pub(crate) fn chunk(&self, chunk: &Chunk) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.with(chunk.at, chunk.stored, |bytes| {
            self.unpack_chunk(chunk, bytes, &mut out)
        })??;
        Ok(out)
    }

    /// Whether the stored bytes fit their checksums; unpacks nothing.
    pub(crate) fn check_stored(&self) -> Result<()> {
        for chunk in self.chunks()? {
            self.with(chunk.at, chunk.stored, |bytes| {
                if crc32fast::hash(bytes) == chunk.crc {
                    Ok(())
                } else {
                    Err(self.damaged("the checksum of the payload does not fit"))
                }
            })??;
        }
        Ok(())
    }

    /// Whether the content fits its id; one chunk in memory at a time.
    pub(crate) fn check_content(&self) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        for chunk in self.chunks()? {
            hasher.update(&self.chunk(&chunk)?);
        }
        if hasher.finalize().as_bytes() == self.id.as_bytes() {
            Ok(())
        } else {
            Err(self.damaged("the content does not fit its hash"))
        }
    }

    /// Calls `work` with a run of payload bytes.
    pub(crate) fn with<T>(&self, at: u64, length: u32, work: impl FnOnce(&[u8]) -> T) -> Result<T> {
        match &self.payload {
            Payload::Memory { bytes, start } => {
                let begin = start + at as usize;
                match bytes.get(begin..begin + length as usize) {
                    Some(bytes) => Ok(work(bytes)),
                    None => Err(self.damaged("the payload is cut short")),
                }
            }
            Payload::File { file, at: start } => {
                let mut bytes = vec![0; length as usize];
                let n = file.read_at(&mut bytes, start + at).map_err(|e| Error::Io {
                    action: "read",
                    path: crate::segment::file_name(self.segment).into(),
                    source: Arc::new(e),
                })?;
                if n < bytes.len() {
                    return Err(self.damaged("the payload is cut short"));
                }
                Ok(work(&bytes))
            }
        }
    }

    fn unpack_chunk(&self, chunk: &Chunk, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if crc32fast::hash(bytes) != chunk.crc {
            return Err(self.damaged("the checksum of a chunk does not fit"));
        }
        if !chunk.compressed {
            if bytes.len() != chunk.raw as usize {
                return Err(self.damaged("a chunk has the wrong length"));
            }
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let raw = self
            .codecs
            .decompress(bytes, chunk.raw as usize)
            .ok_or_else(|| self.damaged("a chunk does not decompress"))?;
        out.extend_from_slice(&raw);
        Ok(())
    }
}
