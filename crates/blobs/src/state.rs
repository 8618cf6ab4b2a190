//! What the store knows in memory, behind one lock that is never held across a call to the disk.

use crate::BlobId;
use crate::appender::{Move, Pending, Queued};
use crate::commit::Flight;
use crate::index::Scanned;
use crate::segment::Location;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Locations by id, before they are written to the index.
pub(crate) type Table = HashMap<BlobId, Location>;

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Records for the appender's next batch, their bytes, and the flight they share.
    pub queue: Vec<Queued>,
    pub queue_bytes: usize,
    pub flight: Arc<Flight>,
    /// Somebody waits for that batch, or will.
    pub hurried: bool,
    /// Large blobs for the mover.
    pub moves: Vec<Move>,
    /// Readable, not yet durable.
    pub pending: HashMap<BlobId, Pending>,
    /// Durable, not yet in the index: `frozen` is being written to it.
    pub recent: Table,
    pub frozen: Arc<Table>,
    /// Every segment file there is, with the bytes of it that count. A location in another segment counts for nothing.
    pub segments: HashMap<u32, u64>,
    /// Segments being emptied: new content is not taken for a duplicate of what is in them.
    pub condemned: HashSet<u32>,
    /// Blobs that someone holds, and how often.
    pub pins: HashMap<BlobId, u32>,
    /// Marks that are out; while there are any, `touched` gathers what was put or pinned since.
    pub marks: u32,
    pub touched: HashSet<BlobId>,
    pub last_segment: u32,
    /// Segments left behind after an error of the disk, and where they end.
    pub ends: BTreeMap<u32, u64>,
    /// The segment that grows.
    pub active: Option<u32>,
    /// Everything before this place in shared segments is in `recent`, `frozen` or the index.
    pub position: (u32, u64),
    /// Bytes of segments that only the entries in memory tell of.
    unflushed: u64,
    /// Large blobs that have a number but are not in `recent` yet.
    moving: BTreeSet<u32>,
    /// A look-up found the index damaged.
    pub index_damaged: bool,
    pub closed: bool,
    pub counters: Counters,
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

    pub(crate) fn know(&mut self, number: u32, bytes: u64) {
        self.segments.insert(number, bytes);
        self.last_segment = self.last_segment.max(number);
    }

    pub(crate) fn flush_is_due(&self) -> bool {
        self.recent.len() >= FLUSH_ENTRIES || self.unflushed >= FLUSH_BYTES
    }

    /// Whether the index does not know everything yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.recent.is_empty() || !self.frozen.is_empty()
    }

    /// Takes the entries to write to the index, and up to where a scan is not needed once they are there.
    pub(crate) fn freeze(&mut self) -> (Arc<Table>, Scanned) {
        let mut table = std::mem::take(&mut self.recent);
        for (id, location) in self.frozen.iter() {
            // Left from an attempt that failed; what came since is newer.
            table.entry(*id).or_insert(*location);
        }
        self.frozen = Arc::new(table);
        self.unflushed = 0;
        (Arc::clone(&self.frozen), self.scanned())
    }

    /// Up to where everything is in `recent`, `frozen` or the index.
    pub(crate) fn scanned(&self) -> Scanned {
        Scanned {
            position: self.position,
            own: self.moving.first().map_or(self.last_segment, |first| first - 1),
            last: self.last_segment,
            ends: self.ends.clone(),
        }
    }
}
