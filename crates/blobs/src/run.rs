//! A run: one immutable, sorted file of the index. Of each run only a Bloom filter (12 bits a blob) and the first key of every block
//! are in memory, so that ten million blobs cost about 16 MB; a look-up reads at most one block of 4 KiB, and for a blob that is not
//! there almost never any.

use crate::layer::{File, FileLayer};
use crate::segment::Location;
use crate::{BlobId, Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An id and its place: 48 bytes in a run.
pub(crate) type Entry = (BlobId, Location);

const ENTRY: usize = 48;
const BLOCK: usize = 4096;
const ENTRIES_PER_BLOCK: usize = 85;
const ENTRIES_BYTES: usize = ENTRIES_PER_BLOCK * ENTRY;
const FOOTER: usize = 48;
const MAGIC: [u8; 8] = *b"RPRUN\0\x001";
const BLOCKS_AT_ONCE: usize = 32;

#[derive(Debug)]
pub(crate) struct Run {
    pub number: u32,
    pub entries: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    /// The prefix of the first id in each block.
    fences: Vec<u64>,
    filter: Filter,
}

/// `000017.run`.
pub(crate) fn file_name(number: u32) -> String {
    format!("{number:06}.run")
}

impl Run {
    /// Opens a run and checks all but its blocks, which are checked when they are read.
    pub(crate) fn open(layer: &dyn FileLayer, dir: &Path, number: u32) -> Result<Run> {
        let path = dir.join(file_name(number));
        let file = layer.open(&path).map_err(|e| Error::io("open", &path, e))?;
        let size = file.size().map_err(|e| Error::io("look at", &path, e))?;
        let damaged = |reason| Error::IndexDamaged {
            path: path.clone(),
            reason,
        };
        let read = |at: u64, length: u64| -> Result<Vec<u8>> {
            let mut bytes = vec![0; length as usize];
            let n = file.read_at(&mut bytes, at).map_err(|e| Error::io("read", &path, e))?;
            if n < bytes.len() {
                return Err(damaged("it is cut short"));
            }
            Ok(bytes)
        };
        let footer_at = size
            .checked_sub(FOOTER as u64)
            .ok_or_else(|| damaged("it is cut short"))?;
        let footer = read(footer_at, FOOTER as u64)?;
        let words: Vec<u64> = footer
            .as_chunks::<8>()
            .0
            .iter()
            .map(|w| u64::from_le_bytes(*w))
            .collect();
        let (Some(&[magic, entries, blocks, filter_words, memory_crc, footer_crc]), Some(covered)) =
            (words.first_chunk::<6>(), footer.get(..FOOTER - 8))
        else {
            return Err(damaged("it is cut short"));
        };
        if magic.to_le_bytes() != MAGIC || footer_crc != u64::from(crc32fast::hash(covered)) {
            return Err(damaged("the footer does not fit its checksum"));
        }
        // The footer has a checksum and no secret: its numbers may still be any.
        let memory_at = blocks.checked_mul(BLOCK as u64);
        let memory_bytes = blocks.checked_add(filter_words).and_then(|words| words.checked_mul(8));
        let (Some(memory_at), Some(memory_bytes)) = (memory_at, memory_bytes) else {
            return Err(damaged("the lengths do not add up"));
        };
        if memory_at.checked_add(memory_bytes) != Some(footer_at)
            || blocks != entries.div_ceil(ENTRIES_PER_BLOCK as u64)
        {
            return Err(damaged("the lengths do not add up"));
        }
        let memory = read(memory_at, memory_bytes)?;
        if memory_crc != u64::from(crc32fast::hash(&memory)) {
            return Err(damaged("the filter does not fit its checksum"));
        }
        let mut fences: Vec<u64> = memory
            .as_chunks::<8>()
            .0
            .iter()
            .map(|w| u64::from_le_bytes(*w))
            .collect();
        let filter = Filter {
            words: fences.split_off(blocks as usize),
        };
        Ok(Run {
            number,
            entries,
            path,
            file,
            fences,
            filter,
        })
    }

    /// Where the run says that the blob is.
    pub(crate) fn find(&self, id: &BlobId) -> Result<Option<Location>> {
        if !self.filter.may_hold(id) {
            return Ok(None);
        }
        // Ids may share their first eight bytes, so the one looked for can begin in the block before the first fence that is equal.
        let first = self.fences.partition_point(|&f| f < id.prefix()).saturating_sub(1);
        for (block, _) in self
            .fences
            .iter()
            .enumerate()
            .skip(first)
            .take_while(|(_, fence)| **fence <= id.prefix())
        {
            let mut bytes = [0; BLOCK];
            self.read_blocks(block, &mut bytes)?;
            let entries = bytes.get(..ENTRIES_BYTES).unwrap_or_default().as_chunks::<ENTRY>().0;
            let count = (self.entries as usize - block * ENTRIES_PER_BLOCK).min(ENTRIES_PER_BLOCK);
            let entries = entries.get(..count).unwrap_or_default();
            if let Ok(i) = entries.binary_search_by(|entry| entry[..32].cmp(id.as_bytes())) {
                return Ok(entries.get(i).map(|entry| decode(entry).1));
            }
        }
        Ok(None)
    }

    /// All entries in order; reads some blocks at a time.
    pub(crate) fn iter(self: &Arc<Run>) -> Entries {
        Entries {
            run: Arc::clone(self),
            block: 0,
            ready: Vec::new().into_iter(),
        }
    }

    /// Reads whole blocks and checks them.
    fn read_blocks(&self, first: usize, into: &mut [u8]) -> Result<()> {
        let n = self
            .file
            .read_at(into, (first * BLOCK) as u64)
            .map_err(|e| Error::io("read", &self.path, e))?;
        let damaged = |reason| Error::IndexDamaged {
            path: self.path.clone(),
            reason,
        };
        if n < into.len() {
            return Err(damaged("it is cut short"));
        }
        for block in into.as_chunks::<BLOCK>().0 {
            let (entries, rest) = block.split_at(ENTRIES_BYTES);
            if !rest.starts_with(&crc32fast::hash(entries).to_le_bytes()) {
                return Err(damaged("a block does not fit its checksum"));
            }
        }
        Ok(())
    }
}

/// The entries of a run, in order.
#[derive(Debug)]
pub(crate) struct Entries {
    run: Arc<Run>,
    block: usize,
    ready: std::vec::IntoIter<Entry>,
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(entry) = self.ready.next() {
            return Some(Ok(entry));
        }
        let blocks = (self.run.fences.len() - self.block).min(BLOCKS_AT_ONCE);
        if blocks == 0 {
            return None;
        }
        let mut bytes = vec![0; blocks * BLOCK];
        if let Err(e) = self.run.read_blocks(self.block, &mut bytes) {
            self.block = self.run.fences.len();
            return Some(Err(e));
        }
        let left = self.run.entries as usize - self.block * ENTRIES_PER_BLOCK;
        let entries: Vec<Entry> = bytes
            .as_chunks::<BLOCK>()
            .0
            .iter()
            .flat_map(|block| block.as_chunks::<ENTRY>().0.iter().take(ENTRIES_PER_BLOCK))
            .take(left)
            .map(decode)
            .collect();
        self.block += blocks;
        self.ready = entries.into_iter();
        self.ready.next().map(Ok)
    }
}

/// Writes a run; entries come in order of their ids, each id once.
pub(crate) struct RunWriter {
    number: u32,
    path: PathBuf,
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    written: u64,
    in_block: usize,
    entries: u64,
    fences: Vec<u64>,
    filter: Filter,
}

impl RunWriter {
    /// Begins a run of at most `expected` entries.
    pub(crate) fn create(layer: &dyn FileLayer, dir: &Path, number: u32, expected: u64) -> Result<RunWriter> {
        let path = dir.join(file_name(number));
        let file = layer.create(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(RunWriter {
            number,
            path,
            file,
            buffer: Vec::new(),
            written: 0,
            in_block: 0,
            entries: 0,
            fences: Vec::new(),
            filter: Filter::for_entries(expected),
        })
    }

    pub(crate) fn push(&mut self, (id, location): Entry) -> Result<()> {
        if self.in_block == 0 {
            self.fences.push(id.prefix());
        }
        self.filter.add(&id);
        self.buffer.extend_from_slice(id.as_bytes());
        for word in [location.segment, location.offset, location.stored, location.raw] {
            self.buffer.extend_from_slice(&word.to_le_bytes());
        }
        self.entries += 1;
        self.in_block += 1;
        if self.in_block == ENTRIES_PER_BLOCK {
            self.end_block();
            if self.buffer.len() >= BLOCKS_AT_ONCE * BLOCK {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Ends the run and makes its contents durable; its name is not yet.
    pub(crate) fn finish(mut self) -> Result<Run> {
        self.end_block();
        let mut memory = Vec::with_capacity((self.fences.len() + self.filter.words.len()) * 8);
        for word in self.fences.iter().chain(&self.filter.words) {
            memory.extend_from_slice(&word.to_le_bytes());
        }
        let mut footer = MAGIC.to_vec();
        for word in [
            self.entries,
            self.fences.len() as u64,
            self.filter.words.len() as u64,
            u64::from(crc32fast::hash(&memory)),
        ] {
            footer.extend_from_slice(&word.to_le_bytes());
        }
        let crc = u64::from(crc32fast::hash(&footer));
        footer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&memory);
        self.buffer.extend_from_slice(&footer);
        self.write()?;
        self.file.fdatasync().map_err(|e| Error::io("sync", &self.path, e))?;
        Ok(Run {
            number: self.number,
            entries: self.entries,
            path: self.path,
            file: self.file,
            fences: self.fences,
            filter: self.filter,
        })
    }

    fn end_block(&mut self) {
        if self.in_block == 0 {
            return;
        }
        let used = self.in_block * ENTRY;
        self.buffer.resize(self.buffer.len() + ENTRIES_BYTES - used, 0);
        let begin = self.buffer.len() - ENTRIES_BYTES;
        let crc = crc32fast::hash(self.buffer.get(begin..).unwrap_or_default());
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.resize(begin + BLOCK, 0);
        self.in_block = 0;
    }

    fn write(&mut self) -> Result<()> {
        self.file
            .write_at(&self.buffer, self.written)
            .map_err(|e| Error::io("write", &self.path, e))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn decode(entry: &[u8; ENTRY]) -> Entry {
    let (id, words) = entry.split_at(32);
    let mut words = words.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w));
    let mut word = || words.next().unwrap_or_default();
    let location = Location {
        segment: word(),
        offset: word(),
        stored: word(),
        raw: word(),
    };
    (BlobId::try_from(id).unwrap_or(BlobId::from([0; 32])), location)
}

/// A Bloom filter in blocks of one cache line (Putze, Sanders, Singler 2007). The ids are hashes already.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
}

const FILTER_BITS_PER_ENTRY: u64 = 12;
const FILTER_LINE_WORDS: usize = 8;
const FILTER_PROBES: u32 = 6;

impl Filter {
    fn for_entries(entries: u64) -> Filter {
        let lines = (entries * FILTER_BITS_PER_ENTRY).div_ceil(512).max(1);
        Filter {
            words: vec![0; lines as usize * FILTER_LINE_WORDS],
        }
    }

    /// The line of an id, and its bits there as word and mask.
    fn bits(&self, id: &BlobId) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        let lines = (self.words.len() / FILTER_LINE_WORDS) as u128;
        let line = ((u128::from(id.prefix()) * lines) >> 64) as usize;
        let bits = id.suffix();
        let probes = (0..FILTER_PROBES).map(move |i| {
            let bit = (bits >> (9 * i)) & 511;
            ((bit >> 6) as usize, 1 << (bit & 63))
        });
        (line * FILTER_LINE_WORDS, probes)
    }

    fn add(&mut self, id: &BlobId) {
        let (line, probes) = self.bits(id);
        for (word, mask) in probes {
            if let Some(word) = self.words.get_mut(line + word) {
                *word |= mask;
            }
        }
    }

    fn may_hold(&self, id: &BlobId) -> bool {
        let (line, mut probes) = self.bits(id);
        probes.all(|(word, mask)| self.words.get(line + word).is_some_and(|w| w & mask != 0))
    }
}
