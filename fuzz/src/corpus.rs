use crate::Target;
use std::path::{Path, PathBuf};

/// The inputs that a campaign starts from: the files of `fuzz/corpus/<target>/`, by name, and what the target makes itself.
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut seeds = (target.seeds)();
    let Ok(folder) = std::fs::read_dir(folder(target.name)) else {
        return seeds;
    };
    let mut files: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    seeds.extend(files.iter().filter_map(|file| std::fs::read(file).ok()));
    seeds
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}
