//! Getting the space of dead blobs back. Sealed segments never change, so a segment that is mostly dead is emptied: what lives in it
//! is appended to the growing segment again, and when that is durable the file is removed.
//!
//! A crash at any point leaves a blob in one place or in both, which are equal. Against concurrent puts: from [`Blobs::mark`] on, what is
//! put or pinned counts as live, whatever the caller's list says; and content that is put while its segment is being emptied is
//! stored anew.

use crate::appender::Pending;
use crate::commit::Flight;
use crate::segment::{Location, SEGMENT_HEADER, Segment};
use crate::store::{Blobs, Core, Haste, Place};
use crate::{BlobId, Error, Result};
use std::sync::Arc;

/// A point in time before which the caller's list of live blobs was not yet begun.
///
/// Take the mark, then read all references (open acceptances first, then mailboxes: a reference moves only in that direction), then
/// [`Blobs::reclaim`].
#[derive(Debug)]
pub struct Mark {
    core: Arc<Core>,
    last_segment: u32,
}

/// Which segments are worth it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// A segment is emptied when at least this part of its bytes is dead. Default 0.5.
    pub dead_part: f64,
    /// At most this many bytes of live records are written anew in one go. Default 1 GiB.
    pub rewrite_bytes: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            dead_part: 0.5,
            rewrite_bytes: 1 << 30,
        }
    }
}

/// What a reclaim did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reclaimed {
    /// Segments looked at.
    pub segments: u64,
    /// Segment files removed.
    pub removed: u64,
    /// Bytes of these files.
    pub removed_bytes: u64,
    /// Live records written anew.
    pub rewritten: u64,
    /// Bytes of these records.
    pub rewritten_bytes: u64,
    /// Segments left alone because they are damaged: `verify` says where.
    pub damaged: u64,
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut state = self.core.state.lock();
        state.marks -= 1;
        if state.marks == 0 {
            state.touched.clear();
        }
    }
}

impl Blobs {
    /// Begins a reclaim: see [`Mark`].
    pub fn mark(&self) -> Mark {
        let mut state = self.core.state.lock();
        state.marks += 1;
        let pinned: Vec<BlobId> = state.pins.keys().copied().collect();
        state.touched.extend(pinned);
        Mark {
            core: Arc::clone(&self.core),
            last_segment: state.last_segment,
        }
    }

    /// Empties and removes segments that are mostly dead. `live` says of a blob whether a reference to it was found after the mark.
    pub fn reclaim(&self, mark: Mark, live: &dyn Fn(&BlobId) -> bool, policy: &Policy) -> Result<Reclaimed> {
        let core = &self.core;
        let _alone = core.reclaiming.lock();
        let mut done = Reclaimed::default();
        let mut candidates = Vec::new();
        for number in core.sealed_through(mark.last_segment) {
            done.segments += 1;
            match core.survey(number, live) {
                Ok(survey) if survey.dead_part() >= policy.dead_part => candidates.push(survey),
                Ok(_) => {}
                Err(Error::Corrupt { .. }) => done.damaged += 1,
                Err(e) => return Err(e),
            }
        }
        // What costs least comes first: on a full disk there may be no room for anything else.
        candidates.sort_unstable_by_key(|survey| survey.live_bytes);
        for survey in candidates {
            if done.rewritten_bytes + survey.live_bytes > policy.rewrite_bytes {
                break;
            }
            match core.empty(survey.number, live, &mut done) {
                Ok(()) => {}
                Err(Error::Corrupt { .. }) => done.damaged += 1,
                Err(e) => return Err(e),
            }
        }
        drop(mark);
        Ok(done)
    }
}

/// What a segment holds.
struct Survey {
    number: u32,
    live_bytes: u64,
    bytes: u64,
}

impl Survey {
    fn dead_part(&self) -> f64 {
        if self.bytes == 0 {
            return 1.0;
        }
        1.0 - self.live_bytes as f64 / self.bytes as f64
    }
}

/// Bytes of records that are on their way to their new place at once.
const IN_FLIGHT: usize = 8 << 20;

impl Core {
    /// The segments that do not grow any more, up to a number.
    fn sealed_through(&self, last: u32) -> Vec<u32> {
        let state = self.state.lock();
        let mut numbers: Vec<u32> = state
            .segments
            .keys()
            .copied()
            .filter(|&n| n <= last && state.active != Some(n))
            .collect();
        numbers.sort_unstable();
        numbers
    }

    fn is_live(&self, id: &BlobId, live: &dyn Fn(&BlobId) -> bool) -> bool {
        if live(id) {
            return true;
        }
        let state = self.state.lock();
        state.pins.contains_key(id) || state.touched.contains(id)
    }

    /// Whether the blob is read from this very record.
    fn is_current(&self, id: &BlobId, here: Location) -> Result<bool> {
        Ok(matches!(self.find(id)?, Some(Place::At(found)) if found == here))
    }

    fn survey(&self, number: u32, live: &dyn Fn(&BlobId) -> bool) -> Result<Survey> {
        let (segment, end) = self.sealed(number)?;
        let mut live_bytes = 0;
        for (here, id) in records(&segment, end)? {
            if self.is_live(&id, live) && self.is_current(&id, here)? {
                live_bytes += here.record_bytes();
            }
        }
        Ok(Survey {
            number,
            live_bytes,
            bytes: end.saturating_sub(SEGMENT_HEADER),
        })
    }

    fn sealed(&self, number: u32) -> Result<(Segment, u64)> {
        let end = self.state.lock().segments.get(&number).copied().unwrap_or(0);
        Ok((self.segment(number)?, end))
    }

    /// Writes what lives in a segment anew and removes the file. After an error the segment is as it was.
    fn empty(&self, number: u32, live: &dyn Fn(&BlobId) -> bool, done: &mut Reclaimed) -> Result<()> {
        let _alone = self.maintenance.lock();
        // From here on no put takes this segment for a place where its content is safe; who did before holds a pin or is touched.
        self.state.lock().condemned.insert(number);
        let emptied = self.rewrite(number, live, done).and_then(|end| {
            let path = self.segment_path(number);
            self.layer.unlink(&path).map_err(|e| Error::io("remove", &path, e))?;
            // The index forgets the segment only when it can't come back.
            self.layer
                .fsync_dir(&self.dir)
                .map_err(|e| Error::io("sync", &self.dir, e))?;
            done.removed += 1;
            done.removed_bytes += end;
            Ok(())
        });
        self.files.forget(number);
        let mut state = self.state.lock();
        state.condemned.remove(&number);
        if emptied.is_ok() {
            state.segments.remove(&number);
            state.ends.remove(&number);
        }
        emptied
    }

    fn rewrite(&self, number: u32, live: &dyn Fn(&BlobId) -> bool, done: &mut Reclaimed) -> Result<u64> {
        let (segment, end) = self.sealed(number)?;
        let mut flights: Vec<Arc<Flight>> = Vec::new();
        let mut in_flight = 0;
        for (here, id) in records(&segment, end)? {
            if !self.is_live(&id, live) {
                continue;
            }
            let flight = match self.find(&id)? {
                // Put anew meanwhile.
                Some(Place::Pending(Pending { flight, .. })) => flight,
                Some(Place::At(found)) if found == here => {
                    let Some(header) = segment.header_at(u64::from(here.offset), end)? else {
                        continue;
                    };
                    let stored = segment.stored(u64::from(here.offset), &header);
                    stored.check_content()?;
                    let payload = stored.with(0, here.stored, <[u8]>::to_vec)?;
                    in_flight += payload.len();
                    done.rewritten += 1;
                    done.rewritten_bytes += here.record_bytes();
                    let mut state = self.state.lock();
                    let flight = match state.pending.get(&id) {
                        Some(pending) => Arc::clone(&pending.flight),
                        None => state.enqueue(id, header.shape, payload, Haste::Now)?,
                    };
                    drop(state);
                    self.work.notify_one();
                    flight
                }
                _ => continue,
            };
            flights.push(flight);
            if in_flight >= IN_FLIGHT {
                in_flight = 0;
                flights.drain(..).try_for_each(|flight| flight.wait())?;
            }
        }
        flights.drain(..).try_for_each(|flight| flight.wait())?;
        Ok(end)
    }
}

/// The records of a segment; one with damage is an error, because what can't be read can't be called dead.
fn records(segment: &Segment, end: u64) -> Result<Vec<(Location, BlobId)>> {
    let walked = segment.walk(0..end)?;
    if let Some(damage) = walked.damage.first() {
        return Err(Error::Corrupt {
            id: BlobId::from([0; 32]),
            segment: segment.number,
            offset: damage.start,
            reason: "there is no record",
        });
    }
    Ok(walked
        .records
        .iter()
        .map(|(offset, header)| (Location::new(segment.number, *offset, header), header.id))
        .collect())
}
