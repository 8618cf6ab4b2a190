//! Files and folders that the program makes beside its databases.

use crate::failure::{At as _, Failure};
use rustix::fs::FlockOperation;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Writes a file that must not be there yet, with exactly this mode from its first moment.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .at("write", path)?;
    // The mode as it is asked for, whatever the umask says.
    file.set_permissions(Permissions::from_mode(mode))
        .at("set the mode of", path)?;
    file.write_all(content).and_then(|()| file.sync_all()).at("write", path)
}

/// Writes a file whole or not at all, over what was there: after a crash it is the old one or the new one.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    let _ = std::fs::remove_file(fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(fresh)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(fresh, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a folder that only its owner may enter, with all folders above it; it may be there already.
pub fn folder(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .at("make the folder", path)
}

/// The right to open a data directory: held by one process at a time, given back when it ends, however it ends.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code, reason = "the open file is the lock")] File);

impl DataLock {
    /// Takes the lock of `data`; None when another process has it.
    pub fn take(data: &Path) -> Result<Option<DataLock>, Failure> {
        let path = data.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .at("open", &path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(DataLock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()).at("lock", &path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lock_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataLock::take(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(DataLock::take(folder.path()).unwrap().is_none());
        drop(first);
        assert!(DataLock::take(folder.path()).unwrap().is_some());
    }
}
