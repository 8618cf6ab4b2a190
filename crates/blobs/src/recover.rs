//! Opening: what a crash left is brought in order.
//!
//! Only the end of the segment that grew last can be torn, and only by the batch that was under way: every record says how much of
//! its segment was durable when it was written, so damage behind the largest such offset is a batch that nobody was told of, and is
//! cut; damage before it is a defect of the disk, and is left for `verify` to report.

use crate::appender::Active;
use crate::segment::{self, Kind, Location, SEGMENT_HEADER, Segment};
use crate::store::Core;
use crate::{Error, Result};

/// Brings the folder in order, fills the state, and gives the segment that goes on growing.
pub(crate) fn recover(core: &Core) -> Result<Option<Active>> {
    let tmp = core.tmp_dir();
    core.layer.create_dir(&tmp).map_err(|e| Error::io("create", &tmp, e))?;
    for name in core.layer.list(&tmp).map_err(|e| Error::io("list", &tmp, e))? {
        let _ = core.layer.unlink(&tmp.join(name));
    }
    let names = core
        .layer
        .list(&core.dir)
        .map_err(|e| Error::io("list", &core.dir, e))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| segment::number_of(name)).collect();
    numbers.sort_unstable();
    let scanned = (0, 0);
    let mut last_shared = None;
    let mut tail = false;
    for &number in &numbers {
        let segment = core.segment(number)?;
        let size = segment.file.size().map_err(segment.io("look at"))?;
        let from = match number.cmp(&scanned.0) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(scanned.1),
            std::cmp::Ordering::Greater => Some(0),
        };
        let kind = segment::kind_of(&*segment.file, number).map_err(segment.io("read"))?;
        let (Some(from), Some(kind)) = (from, kind) else {
            if kind.is_none() && size <= SEGMENT_HEADER {
                // Its first bytes are synced before anything else is written to it.
                core.files.forget(number);
                core.layer
                    .unlink(&segment.path)
                    .map_err(|e| Error::io("remove", &segment.path, e))?;
                core.state.lock().last_segment = number;
                continue;
            }
            if kind.is_none() {
                tracing::error!(segment = %segment.path.display(), "the first bytes of a segment are damaged");
            }
            // Nothing is appended to a segment whose beginning is damaged.
            let kind = kind.unwrap_or(Kind::Own);
            core.state.lock().know(number, kind, size);
            if kind == Kind::Shared {
                last_shared = Some((segment, size));
            }
            continue;
        };
        let end = scan(core, &segment, kind, from.max(SEGMENT_HEADER), size)?;
        tail |= end > from;
        if kind == Kind::Shared {
            last_shared = Some((segment, end));
        }
    }
    if tail {
        // What was readable before the crash but not yet durable is taken for durable from here on.
        core.layer
            .fsync_dir(&core.dir)
            .map_err(|e| Error::io("sync", &core.dir, e))?;
    }
    let Some((segment, end)) = last_shared else {
        return Ok(None);
    };
    let mut state = core.state.lock();
    state.position = (segment.number, end);
    if end >= core.options.segment_bytes {
        return Ok(None);
    }
    state.active = Some(segment.number);
    Ok(Some(Active {
        number: segment.number,
        path: segment.path,
        file: segment.file,
        end,
    }))
}

/// Reads the records of a segment from an offset on into the state, and cuts what a crash tore. Gives the end of what counts.
fn scan(core: &Core, segment: &Segment, kind: Kind, from: u64, size: u64) -> Result<u64> {
    let mut walked = segment.walk(from..size)?;
    let mut end = size;
    if kind == Kind::Shared {
        let synced = walked.synced().max(from);
        let mut cut = walked.damage.iter().map(|d| d.start).find(|&start| start >= synced);
        for (offset, header) in walked.records.iter().filter(|(offset, _)| *offset >= synced) {
            if segment.stored(*offset, header).check_stored().is_err() {
                cut = Some(cut.map_or(*offset, |c| c.min(*offset)));
                break;
            }
        }
        if let Some(cut) = cut {
            tracing::info!(segment = %segment.path.display(), from = cut, to = size, "a torn batch is cut");
            walked.records.retain(|(offset, _)| *offset < cut);
            walked.damage.retain(|d| d.start < cut);
            segment.file.set_size(cut).map_err(segment.io("cut"))?;
            end = cut;
        }
    }
    for damage in &walked.damage {
        tracing::error!(segment = %segment.path.display(), from = damage.start, to = damage.end, "a segment is damaged");
    }
    if end > from {
        segment.file.fdatasync().map_err(segment.io("sync"))?;
    }
    let mut state = core.state.lock();
    state.know(segment.number, kind, end);
    for (offset, header) in &walked.records {
        let location = Location::new(segment.number, *offset, header);
        state.recent.insert(header.id, location);
    }
    Ok(end)
}
