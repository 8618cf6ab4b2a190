//! The index on the disk: sorted runs, and a manifest that names them and says up to where the segments are in them.
//!
//! Entries gather in memory and are written as a new run some sixteen thousand at a time; runs of like size are merged. So the index is
//! written sequentially, never in place, and ten million blobs are in at most about ten runs. Newer runs come first in a look-up; entries
//! for segments that are gone count for nothing and are dropped by the next merge. All of it can be rebuilt from the segments.

use crate::layer::FileLayer;
use crate::run::{self, Entries, Entry, Run, RunWriter};
use crate::segment::Location;
use crate::state::Table;
use crate::{BlobId, Error, Result};
use parking_lot::RwLock;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the manifest says besides the runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Everything in shared segments before this segment and offset is in the runs.
    pub position: (u32, u64),
    /// Segments of one large blob up to this number are in the runs.
    pub own: u32,
    /// The largest number a segment ever had; numbers are not given twice.
    pub last: u32,
    /// Segments left behind after an error of the disk, and where they end: their files may be longer.
    pub ends: BTreeMap<u32, u64>,
}

#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    layer: Arc<dyn FileLayer>,
    current: RwLock<Arc<Current>>,
}

#[derive(Debug, Default)]
struct Current {
    /// Oldest first.
    runs: Vec<Arc<Run>>,
    scanned: Scanned,
}

impl Index {
    /// Opens the index; one that is not there or does not fit together is begun anew, with nothing scanned.
    pub(crate) fn open(layer: &Arc<dyn FileLayer>, dir: PathBuf) -> Result<Index> {
        layer.create_dir(&dir).map_err(|e| Error::io("create", &dir, e))?;
        let index = Index {
            layer: Arc::clone(layer),
            current: RwLock::default(),
            dir,
        };
        let current = match index.load() {
            Ok(current) => current,
            Err(Error::IndexDamaged { path, reason }) => {
                tracing::warn!(path = %path.display(), reason, "the blob index is rebuilt from the segments");
                Current::default()
            }
            Err(e) => return Err(e),
        };
        index.remove_all_but(&current)?;
        *index.current.write() = Arc::new(current);
        Ok(index)
    }

    pub(crate) fn scanned(&self) -> Scanned {
        self.current.read().scanned.clone()
    }

    /// Where the newest run says that the blob is, in a segment that counts.
    pub(crate) fn find(&self, id: &BlobId, counts: impl Fn(&Location) -> bool) -> Result<Option<Location>> {
        let current = Arc::clone(&self.current.read());
        for run in current.runs.iter().rev() {
            if let Some(location) = run.find(id)?
                && counts(&location)
            {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    /// Adds entries as a new run, and merges runs where that is due. One caller at a time.
    pub(crate) fn add(&self, table: &Table, scanned: Scanned, alive: &HashSet<u32>) -> Result<()> {
        let current = Arc::clone(&self.current.read());
        let mut runs = current.runs.clone();
        if !table.is_empty() {
            runs.push(Arc::new(self.write(table, Index::next_number(&runs))?));
        }
        self.publish(runs, scanned)?;
        self.merge(alive)
    }

    /// Puts new runs in the place of all there are.
    pub(crate) fn replace(&self, rebuilt: Vec<Arc<Run>>, scanned: Scanned, alive: &HashSet<u32>) -> Result<()> {
        self.publish(rebuilt, scanned)?;
        self.merge(alive)
    }

    /// Writes a run that is not part of the index yet.
    pub(crate) fn write(&self, table: &Table, number: u32) -> Result<Run> {
        let mut entries: Vec<Entry> = table.iter().map(|(id, location)| (*id, *location)).collect();
        entries.sort_unstable_by_key(|(id, _)| *id);
        self.write_all(number, entries.len() as u64, entries.into_iter().map(Ok))
    }

    /// The number of the next run, when these are there and those of the index too.
    pub(crate) fn next_number_after(&self, others: &[Arc<Run>]) -> u32 {
        Index::next_number(&self.current.read().runs).max(Index::next_number(others))
    }

    fn next_number(runs: &[Arc<Run>]) -> u32 {
        runs.iter().map(|r| r.number).max().unwrap_or(0) + 1
    }

    fn write_all(&self, number: u32, expected: u64, entries: impl Iterator<Item = Result<Entry>>) -> Result<Run> {
        // Left from an attempt that failed.
        let path = self.dir.join(run::file_name(number));
        let _ = self.layer.unlink(&path);
        let write = || -> Result<Run> {
            let mut writer = RunWriter::create(&*self.layer, &self.dir, number, expected)?;
            for entry in entries {
                writer.push(entry?)?;
            }
            writer.finish()
        };
        write().inspect_err(|_| {
            let _ = self.layer.unlink(&path);
        })
    }

    /// Merges the newest runs as long as they hold more than the one before them: so each run is larger than all newer ones together.
    fn merge(&self, alive: &HashSet<u32>) -> Result<()> {
        let current = Arc::clone(&self.current.read());
        let mut newer = 0;
        let mut from = None;
        for (i, run) in current.runs.iter().enumerate().rev() {
            if newer >= run.entries {
                from = Some(i);
            }
            newer += run.entries;
        }
        let Some(from) = from else { return Ok(()) };
        let (kept, merged) = current.runs.split_at(from);
        let expected = merged.iter().map(|r| r.entries).sum();
        let number = Index::next_number(&current.runs);
        let run = self.write_all(number, expected, Merge::of(merged, alive))?;
        let mut runs = kept.to_vec();
        if run.entries > 0 {
            runs.push(Arc::new(run));
        }
        self.publish(runs, current.scanned.clone())
    }

    /// Makes these runs the index: the files are durable by name before the manifest names them.
    fn publish(&self, runs: Vec<Arc<Run>>, scanned: Scanned) -> Result<()> {
        let sync_names = || {
            self.layer
                .fsync_dir(&self.dir)
                .map_err(|e| Error::io("sync", &self.dir, e))
        };
        sync_names()?;
        let text = manifest(&runs, &scanned);
        let (new, path) = (self.dir.join("manifest.new"), self.dir.join("manifest"));
        let _ = self.layer.unlink(&new);
        self.layer
            .create(&new)
            .and_then(|file| {
                file.write_at(text.as_bytes(), 0)?;
                file.fdatasync()
            })
            .and_then(|()| self.layer.rename(&new, &path))
            .map_err(|e| Error::io("write", &path, e))?;
        sync_names()?;
        let next = Current { runs, scanned };
        let last = std::mem::replace(&mut *self.current.write(), Arc::new(next));
        let now = Arc::clone(&self.current.read());
        for old in &last.runs {
            if !now.runs.iter().any(|r| r.number == old.number) {
                let _ = self.layer.unlink(&self.dir.join(run::file_name(old.number)));
            }
        }
        Ok(())
    }

    fn load(&self) -> Result<Current> {
        let path = self.dir.join("manifest");
        let file = match self.layer.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Current::default()),
            Err(e) => return Err(Error::io("open", &path, e)),
        };
        let size = file.size().map_err(|e| Error::io("look at", &path, e))?;
        let mut bytes = vec![0; size.min(MANIFEST_MAX) as usize];
        file.read_at(&mut bytes, 0).map_err(|e| Error::io("read", &path, e))?;
        let (numbers, scanned) = String::from_utf8(bytes)
            .ok()
            .as_deref()
            .and_then(manifest_parse)
            .ok_or(Error::IndexDamaged {
                path,
                reason: "the manifest does not fit its checksum",
            })?;
        let runs = numbers
            .into_iter()
            .map(|number| {
                Run::open(&*self.layer, &self.dir, number).map(Arc::new).map_err(|e| {
                    if e.is_missing_file() {
                        Error::IndexDamaged {
                            path: self.dir.join(run::file_name(number)),
                            reason: "it is gone",
                        }
                    } else {
                        e
                    }
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Current { runs, scanned })
    }

    fn remove_all_but(&self, current: &Current) -> Result<()> {
        let names = self
            .layer
            .list(&self.dir)
            .map_err(|e| Error::io("list", &self.dir, e))?;
        for name in names {
            let known = name == "manifest" || current.runs.iter().any(|r| run::file_name(r.number) == name);
            if !known {
                let _ = self.layer.unlink(&self.dir.join(name));
            }
        }
        Ok(())
    }
}

const MANIFEST_MAX: u64 = 64 << 10;
const MANIFEST_TITLE: &str = "rohrpost blob index 1";

fn manifest(runs: &[Arc<Run>], scanned: &Scanned) -> String {
    let (segment, offset) = scanned.position;
    let mut text = format!(
        "{MANIFEST_TITLE}\nscanned {segment} {offset}\nown {}\nlast {}\n",
        scanned.own, scanned.last
    );
    for (segment, end) in &scanned.ends {
        text.push_str(&format!("end {segment} {end}\n"));
    }
    for run in runs {
        text.push_str(&format!("run {}\n", run.number));
    }
    let check = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("check {check:08x}\n"));
    text
}

fn manifest_parse(text: &str) -> Option<(Vec<u32>, Scanned)> {
    let (body, check) = text.trim_end_matches('\n').rsplit_once("check ")?;
    if u32::from_str_radix(check, 16).ok()? != crc32fast::hash(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != MANIFEST_TITLE {
        return None;
    }
    let mut scanned = Scanned::default();
    let mut runs = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        match words.next()? {
            "scanned" => scanned.position = (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            "own" => scanned.own = words.next()?.parse().ok()?,
            "end" => {
                scanned
                    .ends
                    .insert(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            }
            "last" => scanned.last = words.next()?.parse().ok()?,
            "run" => runs.push(words.next()?.parse().ok()?),
            _ => return None,
        }
    }
    Some((runs, scanned))
}

/// Runs as one: in order, of each id the newest entry in a segment that is there.
struct Merge<'a> {
    /// Oldest first.
    runs: Vec<Entries>,
    heads: BinaryHeap<Reverse<(BlobId, Reverse<usize>, Place)>>,
    alive: &'a HashSet<u32>,
    last: Option<BlobId>,
    failed: Option<Error>,
}

/// A location as numbers, for the heap's order.
type Place = (u32, u32, u32, u32);

impl<'a> Merge<'a> {
    fn of(runs: &[Arc<Run>], alive: &'a HashSet<u32>) -> Merge<'a> {
        let mut merge = Merge {
            runs: runs.iter().map(Run::iter).collect(),
            heads: BinaryHeap::new(),
            alive,
            last: None,
            failed: None,
        };
        for i in 0..merge.runs.len() {
            merge.advance(i);
        }
        merge
    }

    fn advance(&mut self, i: usize) {
        match self.runs.get_mut(i).and_then(Iterator::next) {
            Some(Ok((id, l))) => {
                self.heads
                    .push(Reverse((id, Reverse(i), (l.segment, l.offset, l.stored, l.raw))));
            }
            Some(Err(e)) => self.failed = Some(e),
            None => {}
        }
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        loop {
            if let Some(e) = self.failed.take() {
                return Some(Err(e));
            }
            let Reverse((id, Reverse(i), (segment, offset, stored, raw))) = self.heads.pop()?;
            self.advance(i);
            if self.last == Some(id) || !self.alive.contains(&segment) {
                continue;
            }
            self.last = Some(id);
            let location = Location {
                segment,
                offset,
                stored,
                raw,
            };
            return Some(Ok((id, location)));
        }
    }
}

/// The folder of the index in that of the store.
pub(crate) fn folder(store: &Path) -> PathBuf {
    store.join("index")
}
