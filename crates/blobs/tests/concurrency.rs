//! Writers, readers, reclaiming, rebuilding and verifying at the same time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::{BlobId, Blobs, Error, Options, Policy};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

fn options() -> Options {
    Options {
        segment_bytes: 32 << 10,
        own_segment_bytes: 8 << 10,
        chunk_bytes: 1 << 10,
        open_segments: 8,
        ..Options::default()
    }
}

fn content(n: u64) -> Vec<u8> {
    let len = [40, 500, 900, 3000, 12_000][n as usize % 5] + n as usize % 50;
    let mut out = n.to_le_bytes().to_vec();
    out.resize(len, n as u8);
    out
}

/// Threads put blobs out of a small set again and again, refer to them for a while and let go; another reclaims what nobody refers
/// to. Whoever holds a reference must be able to read.
#[test]
fn what_is_referred_to_stays_readable_whatever_runs() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), options()).unwrap();
    // The "rows": counted references.
    let rows: Mutex<Vec<BlobId>> = Mutex::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|thread| {
                let (blobs, rows) = (&blobs, &rows);
                scope.spawn(move || {
                    for i in 0..600_u64 {
                        let n = (i * 7 + thread * 13) % 150;
                        let commit = blobs.put(&content(n)).unwrap();
                        let id = commit.id();
                        commit.wait().unwrap();
                        rows.lock().unwrap().push(id);
                        drop(commit);
                        assert_eq!(blobs.read(id).unwrap(), content(n));
                        if i % 3 != 0 {
                            let mut rows = rows.lock().unwrap();
                            let at = rows.iter().position(|row| *row == id).unwrap();
                            rows.swap_remove(at);
                        }
                    }
                })
            })
            .collect();
        let reclaimer = scope.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                let mark = blobs.mark();
                let live: HashSet<BlobId> = rows.lock().unwrap().iter().copied().collect();
                let policy = Policy {
                    dead_part: 0.1,
                    ..Policy::default()
                };
                removed += blobs.reclaim(mark, &|id| live.contains(id), &policy).unwrap().removed;
            }
            removed
        });
        let checker = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                blobs.rebuild_index().unwrap();
                blobs.verify(&mut |finding| panic!("{finding}")).unwrap();
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        checker.join().unwrap();
        assert!(reclaimer.join().unwrap() > 0);
    });
    drop(blobs);
    let blobs = Blobs::open(dir.path(), options()).unwrap();
    for id in rows.into_inner().unwrap() {
        assert_eq!(BlobId::of(&blobs.read(id).unwrap()), id);
    }
}

#[test]
fn reclaiming_gives_the_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), options()).unwrap();
    let ids: Vec<BlobId> = (0..1000)
        .map(|n| {
            let commit = blobs.put(&content(n)).unwrap();
            commit.wait().unwrap();
            commit.id()
        })
        .collect();
    let before = blobs.statistics();
    let live: HashSet<BlobId> = ids.iter().step_by(10).copied().collect();
    let reader = blobs.reader(ids[1]).unwrap();
    let done = blobs
        .reclaim(blobs.mark(), &|id| live.contains(id), &Policy::default())
        .unwrap();
    let after = blobs.statistics();
    assert!(after.segment_bytes * 5 < before.segment_bytes, "{before:?} {after:?}");
    assert_eq!(
        done.removed_bytes + after.segment_bytes,
        before.segment_bytes + done.rewritten_bytes + 16 * (after.segments + done.removed - before.segments)
    );
    // A reader that was open goes on.
    assert_eq!(std::io::read_to_string(reader).unwrap().len(), content(1).len());
    for (n, id) in ids.iter().enumerate() {
        match blobs.read(*id) {
            Ok(bytes) => assert_eq!(bytes, content(n as u64)),
            Err(Error::NotFound(_)) => assert!(!live.contains(id)),
            Err(e) => panic!("{e}"),
        }
    }
    // What was the growing segment had its turn later; then nothing is left to do.
    let again = || {
        blobs
            .reclaim(blobs.mark(), &|id| live.contains(id), &Policy::default())
            .unwrap()
    };
    assert!(again().removed <= 1);
    assert_eq!(again().removed, 0);
}
