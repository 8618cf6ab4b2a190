use crate::store::Core;

/// Counts and sizes of a store. The counts since opening begin at zero with each start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Segment files, those of large blobs too.
    pub segments: u64,
    /// Bytes of all segments.
    pub segment_bytes: u64,
    /// Records that wait for the disk.
    pub pending: u64,
    /// Since opening: contents taken.
    pub puts: u64,
    /// Since opening: contents that were there already.
    pub duplicates: u64,
    /// Since opening: bytes of content taken.
    pub content_bytes: u64,
    /// Since opening: bytes of records written.
    pub stored_bytes: u64,
    /// Since opening: batches written, each with one fdatasync.
    pub batches: u64,
    /// Since opening: records that could not be written.
    pub failures: u64,
}

impl Statistics {
    pub(crate) fn of(core: &Core) -> Statistics {
        let state = core.state.lock();
        Statistics {
            segments: state.segments.len() as u64,
            segment_bytes: state.segments.values().sum(),
            pending: state.pending.len() as u64,
            puts: state.counters.puts,
            duplicates: state.counters.duplicates,
            content_bytes: state.counters.content_bytes,
            stored_bytes: state.counters.stored_bytes,
            batches: state.counters.batches,
            failures: state.counters.failures,
        }
    }
}
