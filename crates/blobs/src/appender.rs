//! The two threads that write. The *appender* takes all records that wait, writes them with one call, syncs once, and lets the whole
//! batch land; while it waits for the disk the next batch gathers (group commit). The *mover* syncs and renames the files of large
//! blobs, so that a hundred megabytes hold up no small mail.

use crate::commit::Flight;
use crate::layer::File;
use crate::record::{HEADER, Header, Payload, Shape};
use crate::segment::{self, Kind, Location, SEGMENT_HEADER};
use crate::state::State;
use crate::store::Core;
use crate::{BlobId, Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A record that waits for the appender.
#[derive(Debug)]
pub(crate) struct Queued {
    pub id: BlobId,
    pub shape: Shape,
    pub payload: Arc<Vec<u8>>,
}

/// A large blob that waits for the mover: its file lies under `tmp/`, all written but its two headers.
#[derive(Debug)]
pub(crate) struct Move {
    pub id: BlobId,
    pub shape: Shape,
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    pub flight: Arc<Flight>,
}

/// The segment that grows.
#[derive(Debug)]
pub(crate) struct Active {
    pub number: u32,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    /// Everything before is durable; the next batch begins here.
    pub end: u64,
    /// The file has bytes up to here: zeros behind the end.
    pub zeroed: u64,
}

/// The appender's thread.
pub(crate) fn append_all(core: &Core, mut active: Option<Active>) {
    let mut buffer = Vec::new();
    let mut failing = false;
    loop {
        let (batch, flight) = {
            let mut state = core.state.lock();
            let mut until = None;
            while !state.closed && (state.queue.is_empty() || core.may_wait(&state)) {
                if state.queue.is_empty() {
                    core.work.wait(&mut state);
                } else if core
                    .work
                    .wait_until(&mut state, *until.get_or_insert_with(|| Instant::now() + LEISURE))
                    .timed_out()
                {
                    break;
                }
            }
            if state.queue.is_empty() {
                drop(state);
                return seal(core, &mut active);
            }
            state.queue_bytes = 0;
            state.hurried = false;
            (std::mem::take(&mut state.queue), std::mem::take(&mut state.flight))
        };
        core.room.notify_all();
        let outcome = append(core, &mut active, &batch, &mut buffer);
        let mut state = core.state.lock();
        match outcome {
            Ok(locations) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("blobs can be written again");
                }
                for (record, location) in batch.iter().zip(locations) {
                    state.settled(record.id, Some(location));
                }
                if let Some(active) = &active {
                    state.know(active.number, active.end);
                    state.counters.batches += 1;
                    state.position = (active.number, active.end);
                }
                state.active = active.as_ref().map(|a| a.number);
                let due = state.flush_is_due();
                drop(state);
                if due {
                    core.tidy.notify_one();
                }
                flight.land(Ok(()));
            }
            Err(e) => {
                // A full disk stays full for a while, and everybody tries: said once.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(error = %e, records = batch.len(), "blobs could not be written");
                }
                for record in &batch {
                    state.settled(record.id, None);
                }
                state.active = active.as_ref().map(|a| a.number);
                drop(state);
                flight.land(Err(e));
            }
        }
        if active.as_ref().is_some_and(|a| a.end >= core.options.segment_bytes) {
            seal(core, &mut active);
        }
        // A burst's buffer is not kept.
        if buffer.capacity() > BUFFER_KEPT {
            buffer = Vec::new();
        }
    }
}

const BUFFER_KEPT: usize = 4 << 20;

/// How long content that nobody waits for may stay in memory, and how much of it.
const LEISURE: Duration = Duration::from_millis(50);
const LEISURE_BYTES: usize = 1 << 20;

impl Core {
    pub(crate) fn leisure_bytes(&self) -> usize {
        LEISURE_BYTES.min(self.options.queue_bytes)
    }

    /// Whether nobody waits for what is in the queue, and there is not much of it.
    fn may_wait(&self, state: &State) -> bool {
        !state.hurried && state.queue_bytes < self.leisure_bytes()
    }
}

/// Writes one batch and syncs it. An error means that none of it counts, and that the place can be written again.
fn append(core: &Core, active: &mut Option<Active>, batch: &[Queued], buffer: &mut Vec<u8>) -> Result<Vec<Location>> {
    let current = match active {
        Some(current) => current,
        None => active.insert(begin_segment(core)?),
    };
    buffer.clear();
    let mut locations = Vec::with_capacity(batch.len());
    for record in batch {
        let offset = current.end + buffer.len() as u64;
        let header = Header {
            id: record.id,
            shape: record.shape,
            synced: current.end,
        };
        buffer.extend_from_slice(&header.encode(current.number, offset));
        buffer.extend_from_slice(&record.payload);
        buffer.resize((offset + header.record_bytes() - current.end) as usize, 0);
        locations.push(Location::new(current.number, offset, &header));
    }
    let bytes = buffer.len();
    if current.end + bytes as u64 > current.zeroed && bytes * 4 <= core.options.ahead_bytes {
        buffer.resize(bytes + core.options.ahead_bytes, 0);
    }
    if let Err(e) = current.write(buffer, bytes) {
        let error = Error::io("append to", &current.path, e);
        // What was written of the batch is cut; where even that fails the place is left behind.
        current.zeroed = current.end;
        if current.file.set_size(current.end).is_err() {
            abandon(core, active);
        }
        return Err(error);
    }
    match current.file.fdatasync() {
        Ok(()) => {
            current.end += bytes as u64;
            Ok(locations)
        }
        Err(e) => {
            let error = Error::io("sync", &current.path, e);
            // The kernel may have dropped the dirty pages and call the next sync a success: never sync this file again.
            let _ = current.file.set_size(current.end);
            abandon(core, active);
            Err(error)
        }
    }
}

impl Active {
    /// Writes a batch, and behind it zeros: bytes that are there already are synced without a commit of the file system's journal,
    /// which takes half the time. On a full disk only the batch.
    fn write(&mut self, buffer: &[u8], bytes: usize) -> std::io::Result<()> {
        let written = match self.file.write_at(buffer, self.end) {
            Ok(()) => buffer.len(),
            Err(e) if bytes == buffer.len() => return Err(e),
            Err(_) => {
                self.file.set_size(self.end)?;
                self.zeroed = self.end;
                self.file.write_at(buffer.get(..bytes).unwrap_or_default(), self.end)?;
                bytes
            }
        };
        self.zeroed = self.zeroed.max(self.end + written as u64);
        Ok(())
    }
}

/// Ends a segment: the zeros behind its end go.
fn seal(core: &Core, active: &mut Option<Active>) {
    if let Some(full) = active.take() {
        core.state.lock().active = None;
        if full.zeroed > full.end
            && full
                .file
                .set_size(full.end)
                .and_then(|()| full.file.fdatasync())
                .is_err()
        {
            core.state.lock().ends.insert(full.number, full.end);
        }
    }
}

/// A new segment, durable by name and with its first bytes before any record is in it: so a segment with torn first bytes is
/// known to hold nothing.
fn begin_segment(core: &Core) -> Result<Active> {
    let number = core.state.lock().segment_number();
    let path = core.segment_path(number);
    let file = core.layer.create(&path).map_err(|e| Error::io("create", &path, e))?;
    let durable = file
        .write_at(&segment::header(number, Kind::Shared), 0)
        .and_then(|()| file.fdatasync())
        .and_then(|()| core.layer.fsync_dir(&core.dir));
    if let Err(e) = durable {
        let _ = core.layer.unlink(&path);
        return Err(Error::io("begin", &path, e));
    }
    core.files.put(number, Arc::clone(&file));
    Ok(Active {
        number,
        path,
        file,
        end: SEGMENT_HEADER,
        zeroed: SEGMENT_HEADER,
    })
}

fn abandon(core: &Core, active: &mut Option<Active>) {
    if let Some(left) = active.take() {
        core.state.lock().ends.insert(left.number, left.end);
        tracing::error!(segment = %left.path.display(), "a segment is left behind after an error of the disk");
        if left.end == SEGMENT_HEADER {
            core.files.forget(left.number);
            let _ = core.layer.unlink(&left.path);
        }
    }
}

/// The mover's thread.
pub(crate) fn move_all(core: &Core) {
    loop {
        let batch = {
            let mut state = core.state.lock();
            while state.moves.is_empty() && !state.closed {
                core.moving.wait(&mut state);
            }
            if state.moves.is_empty() {
                return;
            }
            std::mem::take(&mut state.moves)
        };
        let mut moved = Vec::with_capacity(batch.len());
        for job in batch {
            let number = core.state.lock().own_segment_begin();
            match move_one(core, &job, number) {
                Ok(location) => moved.push((job, location)),
                Err(e) => give_up(core, &job, number, e),
            }
        }
        if moved.is_empty() {
            continue;
        }
        match core.layer.fsync_dir(&core.dir) {
            Ok(()) => {
                for (job, location) in moved {
                    let mut state = core.state.lock();
                    state.know(location.segment, SEGMENT_HEADER + location.record_bytes());
                    state.settled(job.id, Some(location));
                    state.own_segment_done(location.segment);
                    drop(state);
                    job.flight.land(Ok(()));
                }
            }
            Err(e) => {
                let error = Error::io("sync", &core.dir, e);
                for (job, location) in moved {
                    let _ = core.layer.unlink(&core.segment_path(location.segment));
                    core.files.forget(location.segment);
                    give_up(core, &job, location.segment, error.clone());
                }
            }
        }
    }
}

fn move_one(core: &Core, job: &Move, number: u32) -> Result<Location> {
    let header = Header {
        id: job.id,
        shape: job.shape,
        synced: SEGMENT_HEADER,
    };
    let mut begin = [0; SEGMENT_HEADER as usize + HEADER];
    let (first, second) = begin.split_at_mut(SEGMENT_HEADER as usize);
    first.copy_from_slice(&segment::header(number, Kind::Own));
    second.copy_from_slice(&header.encode(number, SEGMENT_HEADER));
    job.file
        .write_at(&begin, 0)
        .map_err(|e| Error::io("write", &job.path, e))?;
    job.file.fdatasync().map_err(|e| Error::io("sync", &job.path, e))?;
    let path = core.segment_path(number);
    core.layer
        .rename(&job.path, &path)
        .map_err(|e| Error::io("rename", &job.path, e))?;
    core.files.put(number, Arc::clone(&job.file));
    Ok(Location::new(number, SEGMENT_HEADER, &header))
}

fn give_up(core: &Core, job: &Move, number: u32, error: Error) {
    tracing::warn!(%error, "a large blob could not be written");
    let _ = core.layer.unlink(&job.path);
    let mut state = core.state.lock();
    state.settled(job.id, None);
    state.own_segment_done(number);
    drop(state);
    job.flight.land(Err(error));
}

/// Where a blob that is not durable yet can be read.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub shape: Shape,
    pub payload: Payload,
    pub flight: Arc<Flight>,
}
