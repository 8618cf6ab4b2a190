//! A SQLite file as a power cut would leave it.
//!
//! The model takes for granted what SQLite says of itself in WAL mode: a commit with `synchronous=FULL` and `Database::sync` make the log durable;
//! a checkpoint syncs the log before it writes the main file and syncs that before the log is begun anew; a log begun
//! anew has its header synced before the first frame. At most one checkpoint falls into a step. Everything else of the log, each sector of it, may be on the disk or not.

use blobs::simulation::Chance;
use std::path::{Path, PathBuf};

const SECTOR: usize = 512;
/// Bytes of the log's own header.
const LOG_HEADER: usize = 32;

/// The bytes of a database file and its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    main: Option<Vec<u8>>,
    log: Option<Vec<u8>>,
}

/// A database file, and what of it is known to be durable.
#[derive(Debug)]
pub struct Tracked {
    path: PathBuf,
    durable: Image,
}

impl Image {
    fn of(path: &Path) -> Image {
        Image {
            main: std::fs::read(path).ok(),
            log: std::fs::read(log_of(path)).ok(),
        }
    }

    /// Writes the files.
    pub fn put(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().expect("folder of the file")).expect("folder");
        if let Some(main) = &self.main {
            std::fs::write(path, main).expect("main file");
        }
        if let Some(log) = &self.log {
            std::fs::write(log_of(path), log).expect("log");
        }
    }
}

impl Tracked {
    /// A file that is durable as it is.
    pub fn new(path: &Path) -> Tracked {
        Tracked {
            path: path.to_owned(),
            durable: Image::of(path),
        }
    }

    /// The file's place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A step is over. `synced`: it ended with a sync of the log. A step that changed the main file had a checkpoint, and that syncs all.
    pub fn step(&mut self, synced: bool) {
        let now = Image::of(&self.path);
        if synced || now.main != self.durable.main {
            self.durable = now;
        }
    }

    /// What a power cut during the step that was just made could leave.
    pub fn cut(&self, chance: &mut Chance) -> Image {
        let now = Image::of(&self.path);
        let checkpoint = now.main != self.durable.main;
        let header = |log: &Option<Vec<u8>>| log.as_ref().and_then(|log| log.get(..LOG_HEADER)).map(<[u8]>::to_vec);
        let begun_anew = self.durable.log.is_some() && header(&self.durable.log) != header(&now.log);
        match (checkpoint, begun_anew) {
            // Before the checkpoint, which is known to have come before the log was begun anew: nothing of the step is there.
            (true, true) | (false, true) if chance.percent(30) => self.durable.clone(),
            // After it: the main file is whole, of the new log anything but the header may be missing.
            (_, true) => {
                let (old, new) = (self.durable.log.as_deref(), now.log.as_deref());
                let mut log = mixed(old.unwrap_or_default(), new.unwrap_or_default(), chance);
                log.resize(log.len().max(LOG_HEADER), 0);
                if let Some(header) = header(&now.log) {
                    log[..LOG_HEADER].copy_from_slice(&header);
                }
                Image {
                    main: now.main,
                    log: Some(log),
                }
            }
            // During the checkpoint: the log is whole, the main file is not.
            (true, false) if chance.percent(60) => Image {
                main: Some(mixed(
                    self.durable.main.as_deref().unwrap_or_default(),
                    now.main.as_deref().unwrap_or_default(),
                    chance,
                )),
                log: now.log,
            },
            // Before it, or there is none.
            (_, false) => Image {
                main: self.durable.main.clone(),
                log: match (&self.durable.log, &now.log) {
                    (old, None) => old.clone(),
                    (None, Some(new)) => chance.percent(70).then(|| mixed(&[], new, chance)),
                    (Some(old), Some(new)) => Some(mixed(old, new, chance)),
                },
            },
        }
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Each sector out of one or the other, the length of the one, of the other or between.
fn mixed(old: &[u8], new: &[u8], chance: &mut Chance) -> Vec<u8> {
    let length = match chance.below(3) {
        0 => old.len(),
        1 => new.len(),
        _ => old.len().min(new.len()) + chance.below(old.len().abs_diff(new.len()) + 1),
    };
    let percent = [0, 30, 70, 95, 100][chance.below(5)];
    let mut out = vec![0; length];
    for (i, sector) in out.chunks_mut(SECTOR).enumerate() {
        let at = i * SECTOR;
        let from = if chance.percent(percent) { new } else { old };
        let from = from.get(at..).unwrap_or_default();
        for (to, from) in sector.iter_mut().zip(from) {
            *to = *from;
        }
    }
    out
}
