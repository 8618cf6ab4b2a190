//! Folders for targets that need files.

use std::cell::RefCell;
use std::path::Path;

/// Runs `work` in an empty folder, in memory where the system has such a place.
pub(super) fn scratch<T>(work: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static ROOT: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
        static COUNT: RefCell<u64> = const { RefCell::new(0) };
    }
    let dir = ROOT.with_borrow_mut(|root| {
        let made = root.get_or_insert_with(|| {
            let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
            made.unwrap_or_else(|e| fail("no folder for scratch files", &e))
        });
        let count = COUNT.with_borrow_mut(|c| {
            *c += 1;
            *c
        });
        made.path().join(count.to_string())
    });
    if let Err(e) = std::fs::create_dir(&dir) {
        fail("no folder for scratch files", &e);
    }
    let result = work(&dir);
    let _ = std::fs::remove_dir_all(&dir);
    result
}

#[allow(clippy::panic)]
fn fail(what: &str, e: &dyn std::fmt::Display) -> ! {
    panic!("{what}: {e}")
}
