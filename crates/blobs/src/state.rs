//! What the store knows in memory, behind one lock that is never held across a call to the disk.

use crate::BlobId;
use crate::appender::{Move, Pending, Queued};
use crate::commit::Flight;
use crate::segment::{Kind, Location};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Locations by id, before they are written to the index.
pub(crate) type Table = HashMap<BlobId, Location>;

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Records for the appender's next batch, their bytes, and the flight they share.
    pub queue: Vec<Queued>,
    pub queue_bytes: usize,
    pub flight: Arc<Flight>,
    /// Large blobs for the mover.
    pub moves: Vec<Move>,
    /// Readable, not yet durable.
    pub pending: HashMap<BlobId, Pending>,
    /// Durable, not yet in the index: `frozen` is being written to it.
    pub recent: Table,
    pub frozen: Arc<Table>,
    /// Every segment file there is. A location in another segment counts for nothing.
    pub segments: HashMap<u32, Known>,
    /// Segments being emptied: new content is not taken for a duplicate of what is in them.
    pub condemned: HashSet<u32>,
    /// Blobs that someone holds, and how often.
    pub pins: HashMap<BlobId, u32>,
    /// Marks that are out; while there are any, `touched` gathers what was put or pinned since.
    pub marks: u32,
    pub touched: HashSet<BlobId>,
    pub last_segment: u32,
    /// The segment that grows.
    pub active: Option<u32>,
    /// Everything before this place in shared segments is in `recent`, `frozen` or the index.
    pub position: (u32, u64),
    /// Bytes of segments that only the entries in memory tell of.
    unflushed: u64,
    /// Large blobs that have a number but are not in `recent` yet.
    moving: BTreeSet<u32>,
    pub closed: bool,
    pub counters: Counters,
}

/// A segment file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub kind: Kind,
    /// Bytes of it that count.
    pub bytes: u64,
}

/// Counted since the store was opened.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub puts: u64,
    pub duplicates: u64,
    pub content_bytes: u64,
    pub stored_bytes: u64,
    pub batches: u64,
    pub failures: u64,
}

/// Entries in memory after which they are written to the index.
const FLUSH_ENTRIES: usize = 16_384;
/// Bytes of segments after which the entries are written to the index: bounds what a start after a crash has to look through.
const FLUSH_BYTES: u64 = 64 << 20;

/// Of a large record a scan reads only the beginning.
const SCAN_BYTES: u64 = 64 << 10;

impl State {
    pub(crate) fn pin(&mut self, id: BlobId) {
        *self.pins.entry(id).or_default() += 1;
        if self.marks > 0 {
            self.touched.insert(id);
        }
    }

    pub(crate) fn unpin(&mut self, id: &BlobId) {
        if let Some(n) = self.pins.get_mut(id) {
            *n -= 1;
            if *n == 0 {
                self.pins.remove(id);
            }
        }
    }

    /// The in-memory part of a look-up.
    pub(crate) fn location(&self, id: &BlobId) -> Option<Location> {
        self.recent
            .get(id)
            .or_else(|| self.frozen.get(id))
            .copied()
            .filter(|l| self.segments.contains_key(&l.segment))
    }

    /// A pending record is durable at a place, or has failed.
    pub(crate) fn settled(&mut self, id: BlobId, location: Option<Location>) {
        self.pending.remove(&id);
        match location {
            Some(location) => {
                self.recent.insert(id, location);
                self.unflushed += location.record_bytes().min(SCAN_BYTES);
                self.counters.stored_bytes += location.record_bytes();
            }
            None => self.counters.failures += 1,
        }
    }

    pub(crate) fn segment_number(&mut self) -> u32 {
        self.last_segment += 1;
        self.last_segment
    }

    pub(crate) fn own_segment_begin(&mut self) -> u32 {
        let number = self.segment_number();
        self.moving.insert(number);
        number
    }

    pub(crate) fn own_segment_done(&mut self, number: u32) {
        self.moving.remove(&number);
    }

    pub(crate) fn know(&mut self, number: u32, kind: Kind, bytes: u64) {
        self.segments.insert(number, Known { kind, bytes });
        self.last_segment = self.last_segment.max(number);
    }

    pub(crate) fn flush_is_due(&self) -> bool {
        self.frozen.is_empty() && (self.recent.len() >= FLUSH_ENTRIES || self.unflushed >= FLUSH_BYTES)
    }

    /// Takes the entries to write to the index, and the place up to which a scan is not needed once they are there.
    pub(crate) fn freeze(&mut self) -> (Arc<Table>, (u32, u64)) {
        self.unflushed = 0;
        self.frozen = Arc::new(std::mem::take(&mut self.recent));
        let position = match self.moving.first() {
            Some(&number) if number <= self.position.0 => (number, 0),
            _ => self.position,
        };
        (Arc::clone(&self.frozen), position)
    }
}
