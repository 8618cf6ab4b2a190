//! Opening: what a crash left is brought in order.
//!
//! Only the end of the segment that grew last can be torn, and only by the batch that was under way: every record says how much of
//! its segment was durable when it was written, so damage behind the largest such offset is a batch that nobody was told of, and is
//! cut; damage before it is a defect of the disk, and is left for `verify` to report.

use crate::appender::Active;
use crate::index::Scanned;
use crate::segment::{self, Kind, Location, SEGMENT_HEADER, Segment};
use crate::store::Core;
use crate::tidy::REBUILD_ENTRIES;
use crate::{Error, Result};
use std::cmp::Ordering;
use std::collections::HashSet;

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
    let scanned = known_position(core, &numbers)?;
    {
        let mut state = core.state.lock();
        state.last_segment = scanned.last;
        state.position = scanned.position;
    }
    let mut last_shared = None;
    let mut tail = false;
    for &number in &numbers {
        let path = core.segment_path(number);
        let size = core.layer.size(&path).map_err(|e| Error::io("look at", &path, e))?;
        if number < scanned.position.0 && number <= scanned.own {
            let end = cut_abandoned(core, number, size, &scanned)?;
            core.state.lock().know(number, end);
            continue;
        }
        let segment = core.segment(number)?;
        let from = match segment::kind_of(&*segment.file, number).map_err(segment.io("read"))? {
            None if size <= SEGMENT_HEADER => {
                // Its first bytes are synced before anything else is written to it.
                core.files.forget(number);
                core.layer.unlink(&path).map_err(|e| Error::io("remove", &path, e))?;
                let mut state = core.state.lock();
                state.last_segment = state.last_segment.max(number);
                continue;
            }
            None => {
                // Its records may be whole, but nothing is appended to it.
                tracing::error!(segment = %path.display(), "the first bytes of a segment are damaged");
                Some((Kind::Own, 0))
            }
            Some(Kind::Own) if number <= scanned.own => None,
            Some(Kind::Own) => Some((Kind::Own, 0)),
            Some(Kind::Shared) => match number.cmp(&scanned.position.0) {
                Ordering::Less => None,
                Ordering::Equal => Some((Kind::Shared, scanned.position.1)),
                Ordering::Greater => Some((Kind::Shared, 0)),
            },
        };
        let Some((kind, from)) = from else {
            let end = cut_abandoned(core, number, size, &scanned)?;
            core.state.lock().know(number, end);
            continue;
        };
        let from = from.max(SEGMENT_HEADER);
        let end = scan(core, &segment, kind, from, size)?;
        tail |= end > from;
        let mut state = core.state.lock();
        if kind == Kind::Shared {
            state.position = (number, end);
            last_shared = Some((segment, end));
        }
        if state.recent.len() >= REBUILD_ENTRIES {
            let table = std::mem::take(&mut state.recent);
            let scanned = Scanned {
                own: number,
                ..state.scanned()
            };
            drop(state);
            core.index.add(&table, scanned, &numbers.iter().copied().collect())?;
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
    if end >= core.options.segment_bytes {
        return Ok(None);
    }
    core.state.lock().active = Some(segment.number);
    Ok(Some(Active {
        number: segment.number,
        path: segment.path,
        file: segment.file,
        end,
        zeroed: end,
    }))
}

/// Up to where the index knows the segments: nothing, where it knows more than there is.
fn known_position(core: &Core, numbers: &[u32]) -> Result<Scanned> {
    let scanned = core.index.scanned();
    let (number, offset) = scanned.position;
    if numbers.binary_search(&number).is_err() {
        return Ok(scanned);
    }
    let path = core.segment_path(number);
    if core.layer.size(&path).map_err(|e| Error::io("look at", &path, e))? >= offset {
        return Ok(scanned);
    }
    tracing::warn!(segment = %path.display(), "a segment is shorter than the index knows: the index is rebuilt");
    let nothing = Scanned {
        last: scanned.last,
        ..Scanned::default()
    };
    core.index.replace(Vec::new(), nothing.clone(), &HashSet::new())?;
    Ok(nothing)
}

/// A segment that was left behind after an error of the disk: what is behind its end was never acknowledged. Gives the end.
fn cut_abandoned(core: &Core, number: u32, size: u64, scanned: &Scanned) -> Result<u64> {
    let Some(&end) = scanned.ends.get(&number) else {
        return Ok(size);
    };
    let file = core.segment(number)?.file;
    if file.set_size(end).and_then(|()| file.fdatasync()).is_err() {
        core.state.lock().ends.insert(number, end);
    }
    Ok(end.min(size))
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
    if end > from || end < size {
        segment.file.fdatasync().map_err(segment.io("sync"))?;
    }
    let mut state = core.state.lock();
    state.know(segment.number, end);
    for (offset, header) in &walked.records {
        let location = Location::new(segment.number, *offset, header);
        state.recent.insert(header.id, location);
    }
    Ok(end)
}
