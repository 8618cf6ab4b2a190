use crate::appender::{Move, Pending};
use crate::commit::{Commit, Flight, Pin};
use crate::layer::File;
use crate::record::{self, HEADER, Payload, record_bytes};
use crate::segment::SEGMENT_HEADER;
use crate::store::{Core, Haste, Missed};
use crate::{BlobId, Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes content piece by piece. It is compressed as it comes; from `own_segment_bytes` on it goes to a file of its own, so that a
/// writer holds at most about that much in memory. Dropping a writer discards the content.
#[derive(Debug)]
pub struct Writer {
    core: Arc<Core>,
    hasher: blake3::Hasher,
    len: u64,
    /// Content of the chunk that is not full yet.
    open: Vec<u8>,
    /// Packed chunks, and their table.
    packed: Vec<u8>,
    table: Vec<u8>,
    own: Option<OwnFile>,
}

/// The most bytes a blob can have.
pub const BLOB_BYTES_MAX: u64 = 1 << 31;

impl Writer {
    pub(crate) fn new(core: &Arc<Core>) -> Writer {
        Writer {
            core: Arc::clone(core),
            hasher: blake3::Hasher::new(),
            len: 0,
            open: Vec::new(),
            packed: Vec::new(),
            table: Vec::new(),
            own: None,
        }
    }

    /// Content bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next bytes. After an error the writer is of no more use.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        if self.len > BLOB_BYTES_MAX {
            return Err(Error::TooLarge { limit: BLOB_BYTES_MAX });
        }
        let chunk_bytes = self.core.options.chunk_bytes as usize;
        while !bytes.is_empty() {
            if self.open.len() == chunk_bytes {
                self.pack_open()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(chunk_bytes - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the content. It is readable when this returns, and durable when the commit says so.
    pub fn finish(self) -> Result<Commit> {
        self.finish_in(Haste::Now)
    }

    /// The same for content that is safe elsewhere, see [`crate::Blobs::put_at_leisure`].
    pub fn finish_at_leisure(self) -> Result<Commit> {
        self.finish_in(Haste::Leisure)
    }

    fn finish_in(mut self, haste: Haste) -> Result<Commit> {
        if self.table.is_empty() {
            return self.core.put_piece(&self.open, haste);
        }
        self.pack_open()?;
        let id = BlobId::from(*self.hasher.finalize().as_bytes());
        let missed = match self.core.duplicate(Pin::new(&self.core, id), self.len)? {
            Ok(commit) => return Ok(commit),
            Err(missed) => missed,
        };
        let table = std::mem::take(&mut self.table);
        let packed_bytes = self.own.as_ref().map_or(self.packed.len() as u64, |own| own.end);
        let stored = (packed_bytes + table.len() as u64) as u32;
        let shape = record::chunked(self.len as u32, stored, self.core.options.chunk_bytes, &table);
        match self.own.take() {
            None => {
                let mut payload = std::mem::take(&mut self.packed);
                payload.extend_from_slice(&table);
                self.core.enqueue(missed, shape, payload, haste)
            }
            Some(mut own) => {
                let padding = record_bytes(stored) as usize - HEADER - stored as usize;
                let mut tail = table;
                tail.resize(tail.len() + padding, 0);
                own.append(&tail)?;
                own.hand_over(&self.core, missed, shape)
            }
        }
    }

    fn pack_open(&mut self) -> Result<()> {
        self.hasher.update(&self.open);
        self.core
            .codecs
            .pack_chunk(&self.open, &mut self.packed, &mut self.table);
        self.open.clear();
        if self.own.is_none() && self.len > self.core.options.own_segment_bytes {
            self.own = Some(OwnFile::create(&self.core)?);
        }
        if let Some(own) = &mut self.own {
            own.append(&self.packed)?;
            self.packed.clear();
        }
        Ok(())
    }
}

/// The file of a large blob, until the mover has it. Dropped before that, it is removed.
#[derive(Debug)]
struct OwnFile {
    core: Arc<Core>,
    path: PathBuf,
    file: Arc<dyn File>,
    /// Payload bytes written.
    end: u64,
    handed_over: bool,
}

/// Where the payload begins in a file of its own.
const PAYLOAD_AT: u64 = SEGMENT_HEADER + HEADER as u64;
static SERIAL: AtomicU64 = AtomicU64::new(1);

impl OwnFile {
    fn create(core: &Arc<Core>) -> Result<OwnFile> {
        let name = format!("{:08}.part", SERIAL.fetch_add(1, Ordering::Relaxed));
        let path = core.tmp_dir().join(name);
        let file = core.layer.create(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(OwnFile {
            core: Arc::clone(core),
            path,
            file,
            end: 0,
            handed_over: false,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(bytes, PAYLOAD_AT + self.end)
            .map_err(|e| Error::io("write", &self.path, e))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file to the mover, unless another writer was faster with the same content.
    fn hand_over(mut self, core: &Core, missed: Missed, shape: record::Shape) -> Result<Commit> {
        let Missed { pin, damaged } = missed;
        let id = pin.id();
        let len = u64::from(shape.raw);
        let mut state = core.state.lock();
        if let Some(flight) = state.overtaken(&id, damaged) {
            drop(state);
            return Ok(Commit { len, flight, pin });
        }
        if state.closed {
            drop(state);
            return Err(Error::Closed);
        }
        let flight = Arc::new(Flight::default());
        state.pending.insert(
            id,
            Pending {
                shape,
                payload: Payload::File {
                    file: Arc::clone(&self.file),
                    at: PAYLOAD_AT,
                },
                flight: Arc::clone(&flight),
            },
        );
        state.moves.push(Move {
            id,
            shape,
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            flight: Arc::clone(&flight),
        });
        self.handed_over = true;
        drop(state);
        core.moving.notify_one();
        Ok(Commit {
            len,
            flight: Some(flight),
            pin,
        })
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if !self.handed_over {
            let _ = self.core.layer.unlink(&self.path);
        }
    }
}
