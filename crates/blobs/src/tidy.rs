//! Bringing the index forward, and building it anew from the segments.

use crate::index::Scanned;
use crate::segment::Location;
use crate::state::Table;
use crate::store::{Blobs, Core};
use crate::{Error, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Entries of one run while the index is rebuilt: bounds the memory that it takes.
pub(crate) const REBUILD_ENTRIES: usize = 262_144;
/// After a failure the next attempt waits this long.
const PAUSE: Duration = Duration::from_secs(2);

/// The thread that keeps the index up.
pub(crate) fn tidy_all(core: &Core) {
    loop {
        let rebuild = {
            let mut state = core.state.lock();
            while !state.closed && !state.flush_is_due() && !state.index_damaged {
                core.tidy.wait(&mut state);
            }
            if state.closed {
                return;
            }
            state.index_damaged
        };
        let done = if rebuild {
            core.rebuild_index()
        } else {
            core.flush_index()
        };
        if let Err(e) = done {
            tracing::warn!(error = %e, "the blob index could not be brought forward; it is tried again");
            if matches!(e, Error::IndexDamaged { .. }) {
                core.state.lock().index_damaged = true;
            }
            let mut state = core.state.lock();
            if !state.closed {
                core.pause.wait_for(&mut state, PAUSE);
            }
        }
    }
}

impl Blobs {
    /// Builds the index anew from the segments alone. Reads and writes go on meanwhile.
    pub fn rebuild_index(&self) -> Result<()> {
        self.core.rebuild_index()
    }
}

impl Core {
    /// Writes what is in memory to the index.
    pub(crate) fn flush_index(&self) -> Result<()> {
        let _alone = self.maintenance.lock();
        let (table, scanned, alive) = self.freeze();
        self.index.add(&table, scanned, &alive)?;
        self.state.lock().frozen = Arc::default();
        Ok(())
    }

    pub(crate) fn rebuild_index(&self) -> Result<()> {
        let _alone = self.maintenance.lock();
        let (_, scanned, alive) = self.freeze();
        let mut segments: Vec<(u32, u64)> = {
            let state = self.state.lock();
            state.segments.iter().map(|(number, bytes)| (*number, *bytes)).collect()
        };
        segments.sort_unstable();
        let mut runs = Vec::new();
        let mut table = Table::new();
        let mut write = |table: &mut Table| -> Result<()> {
            if !table.is_empty() {
                let number = self.index.next_number_after(&runs);
                runs.push(Arc::new(self.index.write(table, number)?));
                table.clear();
            }
            Ok(())
        };
        for (number, end) in segments {
            let segment = self.segment(number)?;
            for (offset, header) in segment.walk(0..end)?.records {
                table.insert(header.id, Location::new(number, offset, &header));
            }
            if table.len() >= REBUILD_ENTRIES {
                write(&mut table)?;
            }
        }
        write(&mut table)?;
        self.index.replace(runs, scanned, &alive)?;
        let mut state = self.state.lock();
        state.frozen = Arc::default();
        state.index_damaged = false;
        Ok(())
    }

    /// The entries to write. What an attempt that failed has left is kept and written with the rest.
    fn freeze(&self) -> (Arc<Table>, Scanned, HashSet<u32>) {
        let mut state = self.state.lock();
        let (table, scanned) = state.freeze();
        (table, scanned, state.segments.keys().copied().collect())
    }
}
