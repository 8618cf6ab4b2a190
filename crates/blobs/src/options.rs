/// Sizes and limits of a store. They can change from one start to the next.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment that has reached this many bytes gets no more records. Default 256 MiB.
    pub segment_bytes: u64,
    /// Content longer than this is streamed to a file of its own. Default 1 MiB.
    pub own_segment_bytes: u64,
    /// zstd level; 0 compresses nothing. Default 1.
    pub compression_level: i32,
    /// Content longer than this is cut into chunks of this many bytes. Default 128 KiB.
    pub chunk_bytes: u32,
    /// Bytes that may wait for the appender before `put` and `finish` wait for it. Default 64 MiB.
    pub queue_bytes: usize,
    /// Zeros written ahead of the records, so that most syncs need no commit of the file system's journal; 0 for none. Default 1 MiB.
    pub ahead_bytes: usize,
    /// Segment files kept open. Default 128.
    pub open_segments: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 256 << 20,
            own_segment_bytes: 1 << 20,
            compression_level: 1,
            chunk_bytes: 128 << 10,
            queue_bytes: 64 << 20,
            ahead_bytes: 1 << 20,
            open_segments: 128,
        }
    }
}

impl Options {
    /// What the format can hold: offsets in segments are 32 bits wide, a chunk has at most 16 MiB.
    pub(crate) fn within_bounds(mut self) -> Options {
        self.segment_bytes = self.segment_bytes.clamp(4 << 10, 1 << 31);
        self.own_segment_bytes = self.own_segment_bytes.clamp(1 << 10, 64 << 20);
        self.chunk_bytes = self.chunk_bytes.clamp(512, crate::record::CHUNK_MAX);
        self.ahead_bytes = self.ahead_bytes.min(64 << 20);
        self.queue_bytes = self.queue_bytes.clamp(64 << 10, 1 << 30);
        self
    }
}
