//! Checking everything against everything: each record's checksums, its content against its hash; and that the index
//! knows it.

use crate::record::Header;
use crate::segment::{self, Location, Segment};
use crate::store::{Blobs, Core};
use crate::{BlobId, Error, Result};
use std::fmt;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Number of the segment.
    pub segment: u32,
    /// Where in the file.
    pub offset: u64,
    /// The blob, where it is known which.
    pub id: Option<BlobId>,
    /// What it is.
    pub defect: Defect,
}

/// Kinds of findings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// The file can't be read.
    Unreadable(String),
    /// The first bytes of the file are not those of this segment.
    SegmentHeader,
    /// So many bytes hold no record.
    NoRecord(u64),
    /// The record does not fit its checksums or its hash.
    Record(&'static str),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} byte {}: ", segment::file_name(self.segment), self.offset)?;
        match &self.defect {
            Defect::Unreadable(reason) => write!(f, "can't be read: {reason}")?,
            Defect::SegmentHeader => f.write_str("the first bytes are not those of this segment")?,
            Defect::NoRecord(bytes) => write!(f, "{bytes} bytes hold no record")?,
            Defect::Record(reason) => f.write_str(reason)?,
        }
        match &self.id {
            Some(id) => write!(f, " (blob {id})"),
            None => Ok(()),
        }
    }
}

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifySummary {
    /// Segment files read.
    pub segments: u64,
    /// Records whose content fits.
    pub records: u64,
    /// Bytes of segments read.
    pub bytes: u64,
    /// Whole records that the index did not know and now does.
    pub indexed_again: u64,
    /// How many findings were reported.
    pub findings: u64,
}

impl Blobs {
    /// Reads everything that is durable and reports what does not fit. Goes on after each finding; other work goes on meanwhile.
    pub fn verify(&self, report: &mut dyn FnMut(Finding)) -> Result<VerifySummary> {
        let core = &self.core;
        let mut segments: Vec<(u32, u64)> = {
            let state = core.state.lock();
            state.segments.iter().map(|(number, bytes)| (*number, *bytes)).collect()
        };
        segments.sort_unstable();
        let mut summary = VerifySummary::default();
        for (number, end) in segments {
            summary.segments += 1;
            summary.bytes += end;
            let mut found = Vec::new();
            let checked = core
                .segment(number)
                .and_then(|segment| core.verify_segment(&segment, end, &mut summary, &mut found));
            if let Err(e) = checked {
                found.push(Finding {
                    segment: number,
                    offset: 0,
                    id: None,
                    defect: Defect::Unreadable(e.to_string()),
                });
            }
            if found.is_empty() {
                continue;
            }
            // Reclaimed meanwhile? Then that is done when this lock is free.
            drop(core.maintenance.lock());
            if !core.state.lock().segments.contains_key(&number) {
                continue;
            }
            summary.findings += found.len() as u64;
            found.into_iter().for_each(&mut *report);
        }
        Ok(summary)
    }
}

impl Core {
    fn verify_segment(
        &self,
        segment: &Segment,
        end: u64,
        summary: &mut VerifySummary,
        found: &mut Vec<Finding>,
    ) -> Result<()> {
        let mut finding = |offset, id, defect| {
            found.push(Finding {
                segment: segment.number,
                offset,
                id,
                defect,
            });
        };
        if segment::kind_of(&*segment.file, segment.number)
            .map_err(segment.io("read"))?
            .is_none()
        {
            finding(0, None, Defect::SegmentHeader);
        }
        let walked = segment.walk(0..end)?;
        for damage in &walked.damage {
            finding(damage.start, None, Defect::NoRecord(damage.end - damage.start));
        }
        for (offset, header) in &walked.records {
            match segment.stored(*offset, header).check_content() {
                Ok(()) => {
                    summary.records += 1;
                    if self.index_again(segment.number, *offset, header)? {
                        summary.indexed_again += 1;
                    }
                }
                Err(Error::Corrupt { reason, .. }) => finding(*offset, Some(header.id), Defect::Record(reason)),
                Err(e) => finding(*offset, Some(header.id), Defect::Unreadable(e.to_string())),
            }
        }
        Ok(())
    }

    /// Enters a whole record that the index does not know: one whose newer copy was reclaimed, or that a damaged index has lost.
    fn index_again(&self, segment: u32, offset: u64, header: &Header) -> Result<bool> {
        match self.find(&header.id) {
            Ok(Some(_)) => return Ok(false),
            Ok(None) | Err(Error::IndexDamaged { .. }) => {}
            Err(e) => return Err(e),
        }
        let mut state = self.state.lock();
        if !state.segments.contains_key(&segment) || state.pending.contains_key(&header.id) {
            return Ok(false);
        }
        let location = Location::new(segment, offset, header);
        state.recent.entry(header.id).insert_entry(location);
        Ok(true)
    }
}
