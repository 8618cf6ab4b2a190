//! The store itself: looking up, taking in, opening and closing.

use crate::appender::{self, Pending, Queued};
use crate::commit::{Commit, Flight, Pin};
use crate::files::OpenSegments;
use crate::index::{self, Index};
use crate::layer::{Disk, FileLayer};
use crate::reader::Reader;
use crate::record::{Codecs, HEADER, Header, Payload, Shape, Stored};
use crate::segment::{Location, Segment, file_name};
use crate::state::State;
use crate::writer::Writer;
use crate::{BlobId, Error, Options, Result, Statistics, recover, tidy};
use parking_lot::{Condvar, Mutex};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Message bytes by hash. Cloning gives another handle of the same store; the last one dropped stops its threads, after what was put is
/// written.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) core: Arc<Core>,
    threads: Arc<Threads>,
}

/// What handles, writers, commits and threads share.
#[derive(Debug)]
pub(crate) struct Core {
    pub dir: PathBuf,
    pub layer: Arc<dyn FileLayer>,
    pub options: Options,
    pub codecs: Arc<Codecs>,
    pub files: OpenSegments,
    pub state: Mutex<State>,
    /// The queue is not empty, or the store closes.
    pub work: Condvar,
    /// The queue was taken.
    pub room: Condvar,
    /// Large blobs wait, or the store closes.
    pub moving: Condvar,
    /// The index is to be brought forward, or the store closes.
    pub tidy: Condvar,
    /// The store closes.
    pub pause: Condvar,
    pub index: Index,
    /// Held by whoever rewrites the index or the segments.
    pub maintenance: Mutex<()>,
    /// Held by a reclaim from begin to end.
    pub reclaiming: Mutex<()>,
}

/// How soon content must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    Now,
    /// When it suits.
    Leisure,
}

/// Where a blob is.
#[derive(Debug)]
pub(crate) enum Place {
    Pending(Pending),
    At(Location),
}

/// Content that must be stored: its id, held, and the place where it lies damaged.
#[derive(Debug)]
pub(crate) struct Missed {
    pub pin: Pin,
    pub damaged: Option<Location>,
}

impl Blobs {
    /// Opens the store in a folder, and makes it where there is none. Looks through what was written since the index was last
    /// brought forward, and cuts a torn end. One process at a time: the caller holds the lock of the data directory.
    pub fn open(dir: &Path, options: Options) -> Result<Blobs> {
        Blobs::open_on(Arc::new(Disk), dir, options)
    }

    /// The same on another file system.
    pub fn open_on(layer: Arc<dyn FileLayer>, dir: &Path, options: Options) -> Result<Blobs> {
        let options = options.within_bounds();
        layer.create_dir(dir).map_err(|e| Error::io("create", dir, e))?;
        let core = Arc::new(Core {
            index: Index::open(&layer, index::folder(dir))?,
            maintenance: Mutex::default(),
            reclaiming: Mutex::default(),
            pause: Condvar::new(),
            dir: dir.to_path_buf(),
            layer,
            codecs: Arc::new(Codecs::new(options.compression_level)),
            files: OpenSegments::new(options.open_segments),
            options,
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            moving: Condvar::new(),
            tidy: Condvar::new(),
        });
        let active = recover::recover(&core)?;
        let threads = Arc::new(Threads {
            core: Arc::clone(&core),
            running: Mutex::default(),
        });
        threads.start("blobs-append", move |core| appender::append_all(core, active))?;
        threads.start("blobs-move", appender::move_all)?;
        threads.start("blobs-tidy", tidy::tidy_all)?;
        Ok(Blobs { core, threads })
    }

    /// For content that comes in pieces.
    pub fn writer(&self) -> Writer {
        Writer::new(&self.core)
    }

    /// Takes content that is in memory. It is readable when this returns, and durable when the commit says so.
    pub fn put(&self, content: &[u8]) -> Result<Commit> {
        if content.len() > self.core.options.chunk_bytes as usize {
            let mut writer = self.writer();
            writer.write(content)?;
            return writer.finish();
        }
        self.core.put_piece(content, Haste::Now)
    }

    /// The same for content that is safe elsewhere: it goes to the disk with what comes after it, 50 ms later at most, or when
    /// somebody waits for it. So it takes no sync of its own, which others would have to wait for.
    pub fn put_at_leisure(&self, content: &[u8]) -> Result<Commit> {
        let mut writer = self.writer();
        writer.write(content)?;
        writer.finish_at_leisure()
    }

    /// All content of a blob.
    pub fn read(&self, id: BlobId) -> Result<Vec<u8>> {
        self.core.stored(id)?.unpack()
    }

    /// A part of a blob's content; of a large blob only what is needed is read.
    pub fn read_range(&self, id: BlobId, range: Range<u64>) -> Result<Vec<u8>> {
        self.core.stored(id)?.unpack_range(range)
    }

    /// The same, added to `out`: for whoever puts an answer together. On an error `out` is as it was.
    pub fn read_range_into(&self, id: BlobId, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        self.core.stored(id)?.unpack_range_into(range, out)
    }

    /// A blob's content piece by piece; at most one chunk is in memory.
    pub fn reader(&self, id: BlobId) -> Result<Reader> {
        Reader::new(self.core.stored(id)?)
    }

    /// Length of a blob's content, `None` where there is no such blob.
    pub fn len_of(&self, id: BlobId) -> Result<Option<u64>> {
        Ok(self.core.find(&id)?.map(|place| match place {
            Place::Pending(pending) => u64::from(pending.shape.raw),
            Place::At(location) => u64::from(location.raw),
        }))
    }

    /// Keeps a blob from being reclaimed while the pin is held: for whoever makes a new reference to a blob that is already there.
    pub fn pin(&self, id: BlobId) -> Result<Option<Pin>> {
        let pin = Pin::new(&self.core, id);
        if self.core.find_lasting(&id)?.is_some() {
            return Ok(Some(pin));
        }
        // Perhaps its segment is just being emptied: then it has been moved or dropped when that is done.
        drop(self.core.maintenance.lock());
        Ok(self.core.find_lasting(&id)?.map(|_| pin))
    }

    /// Waits until a blob that is there is on the disk.
    pub fn wait(&self, id: BlobId) -> Result<()> {
        match self.core.find(&id)? {
            Some(Place::Pending(pending)) => {
                self.core.hurry(&pending.flight);
                pending.flight.wait()
            }
            _ => Ok(()),
        }
    }

    /// Counts and sizes, for `/metrics` and people.
    pub fn statistics(&self) -> Statistics {
        Statistics::of(&self.core)
    }

    /// Writes what was put, brings the index forward and stops. Other handles answer [`Error::Closed`] to puts afterwards; reading
    /// goes on.
    pub fn close(&self) -> Result<()> {
        self.threads.stop()
    }
}

/// Threads of an open store.
#[derive(Debug)]
struct Threads {
    core: Arc<Core>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    fn start(&self, name: &str, run: impl FnOnce(&Core) + Send + 'static) -> Result<()> {
        let core = Arc::clone(&self.core);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || run(&core))
            .map_err(|e| Error::io("start a thread for", &self.core.dir, e))?;
        self.running.lock().push(thread);
        Ok(())
    }

    fn stop(&self) -> Result<()> {
        self.core.state.lock().closed = true;
        let core = &self.core;
        for waiting in [&core.work, &core.room, &core.moving, &core.tidy, &core.pause] {
            waiting.notify_all();
        }
        for thread in std::mem::take(&mut *self.running.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the blob store panicked");
            }
        }
        if self.core.state.lock().has_news() {
            self.core.flush_index()?;
        }
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Err(e) = self.stop() {
            tracing::warn!(error = %e, "the blob index could not be brought forward; the next start looks through the segments");
        }
    }
}

impl Core {
    pub(crate) fn segment_path(&self, number: u32) -> PathBuf {
        self.dir.join(file_name(number))
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    pub(crate) fn segment(&self, number: u32) -> Result<Segment> {
        Ok(Segment {
            number,
            path: self.segment_path(number),
            file: self.files.open(&*self.layer, &self.dir, number)?,
            codecs: Arc::clone(&self.codecs),
        })
    }

    /// Looks a blob up, pending or durable.
    pub(crate) fn find(&self, id: &BlobId) -> Result<Option<Place>> {
        {
            let state = self.state.lock();
            if let Some(pending) = state.pending.get(id) {
                return Ok(Some(Place::Pending(pending.clone())));
            }
            if let Some(location) = state.location(id) {
                return Ok(Some(Place::At(location)));
            }
        }
        let counts = |location: &Location| self.state.lock().segments.contains_key(&location.segment);
        let found = self.index.find(id, counts).inspect_err(|e| {
            if matches!(e, Error::IndexDamaged { .. }) {
                self.state.lock().index_damaged = true;
                self.tidy.notify_one();
            }
        });
        Ok(found?.map(Place::At))
    }

    /// The same, but what lies in a segment that is being emptied does not count.
    pub(crate) fn find_lasting(&self, id: &BlobId) -> Result<Option<Place>> {
        let place = self.find(id)?;
        Ok(place.filter(|place| match place {
            Place::Pending(_) => true,
            Place::At(location) => !self.state.lock().condemned.contains(&location.segment),
        }))
    }

    /// A blob's record, opened. One that was moved between the look-up and the opening is looked up again.
    pub(crate) fn stored(&self, id: BlobId) -> Result<Stored> {
        for _ in 0..LOOK_UPS {
            match self.find(&id)? {
                None => return Err(Error::NotFound(id)),
                Some(Place::Pending(pending)) => {
                    return Ok(Stored {
                        codecs: Arc::clone(&self.codecs),
                        id,
                        segment: 0,
                        offset: 0,
                        shape: pending.shape,
                        payload: pending.payload,
                    });
                }
                Some(Place::At(location)) => match self.stored_at(id, location) {
                    Err(e) if e.is_missing_file() => {}
                    other => return other,
                },
            }
        }
        Err(Error::NotFound(id))
    }

    fn stored_at(&self, id: BlobId, location: Location) -> Result<Stored> {
        let segment = self.segment(location.segment)?;
        let offset = u64::from(location.offset);
        let damaged = |reason| Error::Corrupt {
            id,
            segment: location.segment,
            offset,
            reason,
        };
        // A small record comes whole with one call; of a large one only the header.
        let whole = HEADER + location.stored as usize;
        let mut bytes = vec![0; if whole <= READ_WHOLE { whole } else { HEADER }];
        let n = segment.file.read_at(&mut bytes, offset).map_err(segment.io("read"))?;
        if n < bytes.len() {
            return Err(damaged("the record is cut short"));
        }
        let header =
            Header::decode(&bytes, location.segment, offset).ok_or_else(|| damaged("there is no record header"))?;
        if header.id != id || header.shape.stored != location.stored {
            return Err(damaged("there is another record"));
        }
        let mut stored = segment.stored(offset, &header);
        if bytes.len() == whole {
            stored.payload = Payload::Memory {
                bytes: Arc::new(bytes),
                start: HEADER,
            };
        }
        Ok(stored)
    }

    /// Somebody waits for this batch.
    pub(crate) fn hurry(&self, flight: &Arc<Flight>) {
        let mut state = self.state.lock();
        if Arc::ptr_eq(&state.flight, flight) && !state.hurried {
            state.hurried = true;
            drop(state);
            self.work.notify_one();
        }
    }

    /// Takes content that is one piece.
    pub(crate) fn put_piece(self: &Arc<Core>, content: &[u8], haste: Haste) -> Result<Commit> {
        let pin = Pin::new(self, BlobId::of(content));
        match self.duplicate(pin, content.len() as u64)? {
            Ok(commit) => Ok(commit),
            Err(missed) => {
                let (shape, payload) = self.codecs.pack(content);
                self.enqueue(missed, shape, payload, haste)
            }
        }
    }

    /// The commit of content that is already there and whole, or that it must be stored.
    pub(crate) fn duplicate(&self, pin: Pin, len: u64) -> Result<std::result::Result<Commit, Missed>> {
        // The pin was set before the look-up: either reclaiming sees it, or the look-up sees that the segment is condemned.
        let place = match self.find_lasting(&pin.id()) {
            Ok(place) => place,
            // A damaged index must not refuse mail: the content is stored again.
            Err(Error::IndexDamaged { .. }) => None,
            Err(e) => return Err(e),
        };
        // A record that has rotted since must not swallow the content that could replace it.
        let (place, damaged) = match place {
            Some(Place::At(at)) if self.stored_at(pin.id(), at).and_then(|s| s.check_stored()).is_err() => {
                (None, Some(at))
            }
            place => (place, None),
        };
        let mut state = self.state.lock();
        state.counters.puts += 1;
        state.counters.content_bytes += len;
        let flight = match place {
            None => return Ok(Err(Missed { pin, damaged })),
            Some(Place::Pending(pending)) => Some(pending.flight),
            Some(Place::At(_)) => None,
        };
        state.counters.duplicates += 1;
        Ok(Ok(Commit { len, flight, pin }))
    }

    /// Hands a record to the appender, unless another writer was faster with the same content.
    pub(crate) fn enqueue(&self, missed: Missed, shape: Shape, payload: Vec<u8>, haste: Haste) -> Result<Commit> {
        let Missed { pin, damaged } = missed;
        let id = pin.id();
        let len = u64::from(shape.raw);
        let mut state = self.state.lock();
        while state.queue_bytes >= self.options.queue_bytes && !state.closed {
            self.room.wait(&mut state);
        }
        if let Some(flight) = state.overtaken(&id, damaged) {
            return Ok(Commit { len, flight, pin });
        }
        let first = state.queue.is_empty();
        let flight = state.enqueue(id, shape, payload, haste)?;
        // What is put at leisure wakes the appender once: it looks at the clock then.
        let wake = first || haste == Haste::Now || state.queue_bytes >= self.leisure_bytes();
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(Commit {
            len,
            flight: Some(flight),
            pin,
        })
    }
}

impl State {
    /// Puts a record into the appender's next batch.
    pub(crate) fn enqueue(&mut self, id: BlobId, shape: Shape, payload: Vec<u8>, haste: Haste) -> Result<Arc<Flight>> {
        if self.closed {
            return Err(Error::Closed);
        }
        let payload = Arc::new(payload);
        let flight = Arc::clone(&self.flight);
        self.queue_bytes += payload.len() + HEADER;
        self.pending.insert(
            id,
            Pending {
                shape,
                payload: Payload::Memory {
                    bytes: Arc::clone(&payload),
                    start: 0,
                },
                flight: Arc::clone(&flight),
            },
        );
        self.queue.push(Queued { id, shape, payload });
        self.hurried |= haste == Haste::Now;
        Ok(flight)
    }

    /// The flight of the same content that another writer handed in meanwhile; `Some(None)` where it is durable already.
    pub(crate) fn overtaken(&self, id: &BlobId, damaged: Option<Location>) -> Option<Option<Arc<Flight>>> {
        if let Some(pending) = self.pending.get(id) {
            return Some(Some(Arc::clone(&pending.flight)));
        }
        let location = self.location(id)?;
        (!self.condemned.contains(&location.segment) && damaged != Some(location)).then_some(None)
    }
}

/// Look-ups of one blob, when its segment is gone each time.
const LOOK_UPS: usize = 8;
/// Records up to this length are read with one call.
const READ_WHOLE: usize = 256 << 10;
