//! Segment files: their names, their first bytes, and the walk over their records that recovery, `verify` and reclaiming share.

use crate::layer::File;
use crate::record::{ALIGNMENT, Codecs, HEADER, Header, MAGIC, Payload, Stored, record_bytes};
use crate::{Error, Result};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes before the first record.
pub(crate) const SEGMENT_HEADER: u64 = 16;
const SEGMENT_MAGIC: [u8; 8] = *b"ROHRSEG1";
const FLAG_OWN: u8 = 1;

/// Whether records are appended to a segment, or it was made whole for one large blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Shared,
    Own,
}

/// Where a record lies and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub segment: u32,
    pub offset: u32,
    pub stored: u32,
    pub raw: u32,
}

/// `000017.seg`.
pub(crate) fn file_name(segment: u32) -> String {
    format!("{segment:06}.seg")
}

/// The number in a segment's file name.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    if digits.len() < 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The first bytes of a segment file.
pub(crate) fn header(segment: u32, kind: Kind) -> [u8; SEGMENT_HEADER as usize] {
    let mut out = [0; SEGMENT_HEADER as usize];
    let (magic, rest) = out.split_at_mut(8);
    magic.copy_from_slice(&SEGMENT_MAGIC);
    let (number, rest) = rest.split_at_mut(4);
    number.copy_from_slice(&segment.to_le_bytes());
    if let [flags, ..] = rest {
        *flags = if kind == Kind::Own { FLAG_OWN } else { 0 };
    }
    out
}

/// What the first bytes of a segment file say; `None` where they are not those of this segment.
pub(crate) fn kind_of(file: &dyn File, segment: u32) -> std::io::Result<Option<Kind>> {
    let mut found = [0; SEGMENT_HEADER as usize];
    if file.read_at(&mut found, 0)? < found.len() {
        return Ok(None);
    }
    Ok([Kind::Shared, Kind::Own]
        .into_iter()
        .find(|&kind| header(segment, kind) == found))
}

/// What a walk saw.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Headers that fit their place, in order; payloads are not checked, except of records found behind damage.
    pub records: Vec<(u64, Header)>,
    /// Ranges that hold no record.
    pub damage: Vec<Range<u64>>,
}

impl Walked {
    /// Everything before this offset was durable when the last batch of the segment was written: what is damaged there was damaged
    /// later, what is damaged behind it may never have been written.
    pub(crate) fn synced(&self) -> u64 {
        self.records.iter().map(|(_, h)| h.synced).max().unwrap_or(0)
    }
}

/// An open segment.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub number: u32,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    pub codecs: Arc<Codecs>,
}

impl Segment {
    pub(crate) fn io(&self, action: &'static str) -> impl Fn(std::io::Error) -> Error + '_ {
        move |e| Error::io(action, &self.path, e)
    }

    /// Goes from record to record, from `range.start` to `range.end`, and behind damage on from the next record whose content fits.
    pub(crate) fn walk(&self, range: Range<u64>) -> Result<Walked> {
        let mut walked = Walked::default();
        let mut at = range.start.max(SEGMENT_HEADER);
        while at < range.end {
            let found = match self.header_at(at, range.end)? {
                Some(header) => Some((at, header)),
                None => {
                    let next = self.next_record(at + ALIGNMENT, range.end)?;
                    walked.damage.push(at..next.map_or(range.end, |(next, _)| next));
                    next
                }
            };
            let Some((begin, header)) = found else { break };
            at = begin + header.record_bytes();
            walked.records.push((begin, header));
        }
        Ok(walked)
    }

    /// The header at this offset, if there is one and its record ends before `end`.
    pub(crate) fn header_at(&self, at: u64, end: u64) -> Result<Option<Header>> {
        let mut bytes = [0; HEADER];
        let n = self.file.read_at(&mut bytes, at).map_err(self.io("read"))?;
        if n < HEADER {
            return Ok(None);
        }
        Ok(Header::decode(&bytes, self.number, at).filter(|h| at + h.record_bytes() <= end))
    }

    /// The record at this offset, for unpacking.
    pub(crate) fn stored(&self, offset: u64, header: &Header) -> Stored {
        Stored {
            codecs: Arc::clone(&self.codecs),
            id: header.id,
            segment: self.number,
            offset,
            shape: header.shape,
            payload: Payload::File {
                file: Arc::clone(&self.file),
                at: offset + HEADER as u64,
            },
        }
    }

    /// The first record at or behind `from` whose content fits its hash: message bytes that look like a record do not.
    fn next_record(&self, from: u64, end: u64) -> Result<Option<(u64, Header)>> {
        let mut window = vec![0; WINDOW];
        let mut at = from.next_multiple_of(ALIGNMENT);
        while at < end {
            let n = self.file.read_at(&mut window, at).map_err(self.io("read"))?;
            let seen = window.get(..n).unwrap_or_default();
            for (i, word) in seen.chunks(ALIGNMENT as usize).enumerate() {
                if !word.starts_with(&MAGIC) {
                    continue;
                }
                let begin = at + i as u64 * ALIGNMENT;
                if let Some(header) = self.header_at(begin, end)?
                    && self.stored(begin, &header).check_content().is_ok()
                {
                    return Ok(Some((begin, header)));
                }
            }
            if n < WINDOW {
                break;
            }
            at += WINDOW as u64;
        }
        Ok(None)
    }
}

/// Bytes looked through at once behind damage.
const WINDOW: usize = 64 << 10;

impl Location {
    pub(crate) fn new(segment: u32, offset: u64, header: &Header) -> Location {
        Location {
            segment,
            offset: offset as u32,
            stored: header.shape.stored,
            raw: header.shape.raw,
        }
    }

    /// Bytes of the record.
    pub(crate) fn record_bytes(&self) -> u64 {
        record_bytes(self.stored)
    }
}
