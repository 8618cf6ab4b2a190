//! A disk in memory that fails on purpose: it loses power, keeping any part of what was not synced; it fills up; its syncs fail.
//! For tests. Everything it does follows from its seed and the order of the calls.
//!
//! The model: a file has the contents that programs see and the contents that are durable; `fdatasync` makes the one the other. At a
//! power cut each unsynced sector of 512 bytes is kept or lost for itself, the length is the old one, the new one or between, and each
//! name that changed since the last sync of its folder is the old or the new one. A failed `fdatasync` loses the dirty state, as on
//! Linux: the next one succeeds and writes nothing of it.

use crate::layer::{File, FileLayer};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;

/// The disk. Cloning gives another handle of the same disk.
#[derive(Debug, Clone)]
pub struct SimulatedDisk(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    chance: Chance,
    inodes: BTreeMap<u64, Inode>,
    folders: BTreeMap<PathBuf, Folder>,
    next_inode: u64,
    /// Handles of earlier lives are dead.
    life: u64,
    powered: bool,
    steps: u64,
    cut_after: Option<u64>,
    space: Option<u64>,
    sync_failures: u32,
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Folder {
    seen: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct SimulatedFile {
    world: Arc<Mutex<World>>,
    inode: u64,
    life: u64,
}

/// A small generator (xorshift64*), so that a run follows from its seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A generator that gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Chance {
        Chance((seed ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.bits() >> 11) as usize % end
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(World {
            chance: Chance::new(seed),
            inodes: BTreeMap::new(),
            folders: BTreeMap::new(),
            next_inode: 1,
            life: 0,
            powered: true,
            steps: 0,
            cut_after: None,
            space: None,
            sync_failures: 0,
        })))
    }

    /// Power goes after this many more calls that change something; the last may be half done.
    pub fn cut_after(&self, steps: u64) {
        let mut world = self.0.lock();
        world.cut_after = Some(world.steps + steps);
    }

    /// Whether the power is on.
    pub fn is_powered(&self) -> bool {
        self.0.lock().powered
    }

    /// Power goes now (if it has not), and comes back: the disk holds what a crash would have left. Open files are dead.
    pub fn power_cycle(&self) {
        self.0.lock().power_cycle();
    }

    /// How many bytes fit on the disk; `None` for any number.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.0.lock().space = bytes;
    }

    /// Bytes in files.
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// The next so many `fdatasync` calls fail.
    pub fn fail_syncs(&self, count: u32) {
        self.0.lock().sync_failures = count;
    }

    /// Flips bits of one byte of a file, also in its durable contents.
    pub fn damage(&self, path: &Path, offset: usize) {
        let mut world = self.0.lock();
        if let Ok(inode) = world.find(path)
            && let Some(inode) = world.inodes.get_mut(&inode)
        {
            for contents in [&mut inode.seen, &mut inode.durable] {
                if let Some(byte) = contents.get_mut(offset) {
                    *byte ^= 0x55;
                }
            }
        }
    }

    fn file(&self, inode: u64, life: u64) -> Arc<dyn File> {
        Arc::new(SimulatedFile {
            world: Arc::clone(&self.0),
            inode,
            life,
        })
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn parts(path: &Path) -> io::Result<(PathBuf, String)> {
    match (path.parent(), path.file_name().and_then(|n| n.to_str())) {
        (Some(dir), Some(name)) => Ok((dir.to_path_buf(), name.to_string())),
        _ => Err(not_found()),
    }
}

impl World {
    /// Counts a call that changes something. `false`: the power goes during this one.
    fn step(&mut self) -> io::Result<bool> {
        if !self.powered {
            return Err(power_is_off());
        }
        self.steps += 1;
        if self.cut_after.is_some_and(|at| self.steps > at) {
            self.powered = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn whole_step(&mut self) -> io::Result<()> {
        // Whether a call during which the power goes was done is decided like the rest, by the cut.
        if self.step()? { Ok(()) } else { Err(power_is_off()) }
    }

    fn folder(&mut self, dir: &Path) -> io::Result<&mut Folder> {
        if !self.powered {
            return Err(power_is_off());
        }
        self.folders.get_mut(dir).ok_or_else(not_found)
    }

    fn find(&mut self, path: &Path) -> io::Result<u64> {
        let (dir, name) = parts(path)?;
        self.folder(&dir)?.seen.get(&name).copied().ok_or_else(not_found)
    }

    fn inode(&mut self, inode: u64, life: u64) -> io::Result<&mut Inode> {
        if !self.powered || life != self.life {
            return Err(power_is_off());
        }
        self.inodes.get_mut(&inode).ok_or_else(not_found)
    }

    fn used(&self) -> u64 {
        self.folders
            .values()
            .flat_map(|folder| folder.seen.values())
            .filter_map(|inode| self.inodes.get(inode))
            .map(|inode| inode.seen.len() as u64)
            .sum()
    }

    /// Forgets files that no name leads to. Open handles of a removed file read nothing then, which nobody here relies on after a cut.
    fn sweep(&mut self) {
        let named: BTreeSet<u64> = self
            .folders
            .values()
            .flat_map(|f| f.seen.values().chain(f.durable.values()))
            .copied()
            .collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    fn power_cycle(&mut self) {
        let World {
            chance,
            inodes,
            folders,
            ..
        } = self;
        for folder in folders.values_mut() {
            let names: BTreeSet<String> = folder.seen.keys().chain(folder.durable.keys()).cloned().collect();
            let kept = names
                .into_iter()
                .filter_map(|name| {
                    let side = if chance.percent(50) {
                        &folder.seen
                    } else {
                        &folder.durable
                    };
                    side.get(&name).map(|inode| (name, *inode))
                })
                .collect::<BTreeMap<_, _>>();
            folder.seen.clone_from(&kept);
            folder.durable = kept;
        }
        for inode in inodes.values_mut() {
            let kept_percent = [0, 50, 90, 100][chance.below(4)];
            let (old, new) = (inode.durable.len(), inode.seen.len());
            let length = match chance.below(3) {
                0 => old,
                1 => new,
                _ => old.min(new) + chance.below(old.abs_diff(new) + 1),
            };
            let mut after = inode.durable.clone();
            after.resize(length, 0);
            for &sector in &inode.dirty {
                let range = sector * SECTOR..(sector * SECTOR + SECTOR).min(length);
                let Some(room) = after.get_mut(range.clone()) else {
                    continue;
                };
                if chance.percent(kept_percent) {
                    for (to, from) in room.iter_mut().zip(inode.seen.get(range.start..).unwrap_or_default()) {
                        *to = *from;
                    }
                } else if range.start >= old && chance.percent(20) {
                    // What the disk held there before.
                    room.iter_mut().for_each(|byte| *byte = chance.bits() as u8);
                }
            }
            inode.seen.clone_from(&after);
            inode.durable = after;
            inode.dirty.clear();
        }
        self.sweep();
        self.life += 1;
        self.powered = true;
        self.cut_after = None;
        self.space = None;
        self.sync_failures = 0;
    }
}

impl FileLayer for SimulatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        if !world.powered {
            return Err(power_is_off());
        }
        world.folders.entry(path.to_path_buf()).or_default();
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut world = self.0.lock();
        let (dir, name) = parts(path)?;
        if world.folder(&dir)?.seen.contains_key(&name) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        if world.space.is_some_and(|space| world.used() >= space) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        world.whole_step()?;
        let inode = world.next_inode;
        world.next_inode += 1;
        world.inodes.insert(inode, Inode::default());
        world.folder(&dir)?.seen.insert(name, inode);
        Ok(self.file(inode, world.life))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut world = self.0.lock();
        let inode = world.find(path)?;
        Ok(self.file(inode, world.life))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.0.lock().folder(dir)?.seen.keys().cloned().collect())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let mut world = self.0.lock();
        let inode = world.find(path)?;
        Ok(world.inodes.get(&inode).map_or(0, |i| i.seen.len() as u64))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let inode = world.find(from)?;
        world.whole_step()?;
        let ((from_dir, from_name), (to_dir, to_name)) = (parts(from)?, parts(to)?);
        world.folder(&from_dir)?.seen.remove(&from_name);
        world.folder(&to_dir)?.seen.insert(to_name, inode);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.find(path)?;
        world.whole_step()?;
        let (dir, name) = parts(path)?;
        world.folder(&dir)?.seen.remove(&name);
        Ok(())
    }

    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.whole_step()?;
        let folder = world.folder(dir)?;
        folder.durable.clone_from(&folder.seen);
        Ok(())
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.world.lock();
        let inode = world.inode(self.inode, self.life)?;
        let from = inode.seen.get(offset as usize..).unwrap_or_default();
        let n = from.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.world.lock();
        let whole = world.step()?;
        let offset = offset as usize;
        let mut count = if whole {
            bytes.len()
        } else {
            let n = bytes.len();
            world.chance.below(n + 1)
        };
        let mut fits = true;
        if let Some(space) = world.space {
            let size = world.inodes.get(&self.inode).map_or(0, |i| i.seen.len());
            let room = space.saturating_sub(world.used()) as usize + size.saturating_sub(offset);
            fits = count <= room;
            count = count.min(room);
        }
        if self.life != world.life {
            return Err(power_is_off());
        }
        let inode = world.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        if inode.seen.len() < offset + count {
            // A hole reads as zeros, and its sectors are written like any other.
            inode
                .dirty
                .extend(inode.seen.len() / SECTOR..(offset + count).div_ceil(SECTOR));
            inode.seen.resize(offset + count, 0);
        }
        for (to, from) in inode.seen.iter_mut().skip(offset).zip(bytes.iter().take(count)) {
            *to = *from;
        }
        inode.dirty.extend(offset / SECTOR..(offset + count).div_ceil(SECTOR));
        match (whole, fits) {
            (false, _) => Err(power_is_off()),
            (true, false) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            (true, true) => Ok(()),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.world.lock().inode(self.inode, self.life)?.seen.len() as u64)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut world = self.world.lock();
        world.whole_step()?;
        let inode = world.inode(self.inode, self.life)?;
        inode.seen.resize(size as usize, 0);
        let last = (size as usize).div_ceil(SECTOR);
        inode.dirty.retain(|sector| *sector < last);
        Ok(())
    }

    fn fdatasync(&self) -> io::Result<()> {
        let mut world = self.world.lock();
        world.whole_step()?;
        let fails = world.sync_failures > 0;
        world.sync_failures = world.sync_failures.saturating_sub(1);
        if self.life != world.life {
            return Err(power_is_off());
        }
        let World { chance, inodes, .. } = &mut *world;
        let inode = inodes.get_mut(&self.inode).ok_or_else(not_found)?;
        inode.durable.resize(inode.seen.len(), 0);
        for sector in std::mem::take(&mut inode.dirty) {
            if fails && chance.percent(50) {
                continue;
            }
            let range = sector * SECTOR..(sector * SECTOR + SECTOR).min(inode.seen.len());
            if let (Some(to), Some(from)) = (inode.durable.get_mut(range.clone()), inode.seen.get(range)) {
                to.copy_from_slice(from);
            }
        }
        if fails {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}
