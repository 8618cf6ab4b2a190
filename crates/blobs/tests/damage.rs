//! Bits that rot, files that vanish: what is damaged is named, the rest goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::{BlobId, Blobs, Defect, Error, Finding, Options};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        own_segment_bytes: 20 << 10,
        chunk_bytes: 2 << 10,
        ahead_bytes: 0,
        ..Options::default()
    }
}

fn content(n: usize, len: usize) -> Vec<u8> {
    let mut hash = blake3::Hasher::new();
    hash.update(&n.to_le_bytes());
    let mut out = vec![0; len];
    hash.finalize_xof().fill(&mut out);
    out
}

/// A store with 60 blobs in several segments, and one in a file of its own.
fn filled(dir: &Path) -> Vec<Vec<u8>> {
    let blobs = Blobs::open(dir, options()).unwrap();
    let mut all: Vec<Vec<u8>> = (0..60).map(|n| content(n, 300 + n * 70)).collect();
    all.push(content(99, 50_000));
    for bytes in &all {
        blobs.put(bytes).unwrap().wait().unwrap();
    }
    all
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    paths.sort();
    paths
}

fn flip(path: &Path, offset: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], offset).unwrap();
}

fn findings(blobs: &Blobs) -> Vec<Finding> {
    let mut found = Vec::new();
    let summary = blobs.verify(&mut |finding| found.push(finding)).unwrap();
    assert_eq!(summary.findings, found.len() as u64);
    found
}

/// How many blobs can't be read; all others come out right.
fn unreadable(blobs: &Blobs, all: &[Vec<u8>]) -> usize {
    let mut bad = 0;
    for bytes in all {
        match blobs.read(BlobId::of(bytes)) {
            Ok(read) => assert_eq!(&read, bytes),
            Err(Error::Corrupt { .. } | Error::NotFound(_)) => bad += 1,
            Err(e) => panic!("{e}"),
        }
    }
    bad
}

#[test]
fn any_flipped_bit_costs_one_blob_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let all = filled(dir.path());
    for path in segments(dir.path()) {
        let size = std::fs::metadata(&path).unwrap().len();
        for offset in (16..size).step_by(997) {
            flip(&path, offset);
            // With the index as it was, and with one built from the damaged segments.
            for rebuild in [false, true] {
                let blobs = Blobs::open(dir.path(), options()).unwrap();
                if rebuild {
                    blobs.rebuild_index().unwrap();
                }
                let bad = unreadable(&blobs, &all);
                let found = findings(&blobs);
                // Padding is not covered by anything, and nobody's.
                assert!(bad <= 1, "{} {offset}: {bad}", path.display());
                assert_eq!(found.len(), bad, "{} {offset} {rebuild}: {found:?}", path.display());
                blobs.close().unwrap();
            }
            flip(&path, offset);
            Blobs::open(dir.path(), options()).unwrap().rebuild_index().unwrap();
        }
    }
}

#[test]
fn damaged_content_is_whole_again_when_it_is_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let all = filled(dir.path());
    let (own, shared) = (segments(dir.path()).pop().unwrap(), segments(dir.path()).remove(0));
    flip(&own, 5_000);
    flip(&shared, 300);
    let blobs = Blobs::open(dir.path(), options()).unwrap();
    assert_eq!(unreadable(&blobs, &all), 2);
    for bytes in &all {
        blobs.put(bytes).unwrap().wait().unwrap();
    }
    assert_eq!(unreadable(&blobs, &all), 0);
    assert_eq!(findings(&blobs).len(), 2, "the records stay damaged");
    drop(blobs);
    assert_eq!(unreadable(&Blobs::open(dir.path(), options()).unwrap(), &all), 0);
}

#[test]
fn a_damaged_segment_header_is_found_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let all = filled(dir.path());
    let path = &segments(dir.path())[1];
    flip(path, 3);
    for rebuild in [false, true] {
        if rebuild {
            std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
        let blobs = Blobs::open(dir.path(), options()).unwrap();
        assert_eq!(unreadable(&blobs, &all), 0);
        assert!(
            findings(&blobs)
                .iter()
                .all(|f| f.defect == Defect::SegmentHeader && f.segment == 2)
        );
        blobs.put(b"new").unwrap().wait().unwrap();
    }
}

#[test]
fn a_lost_or_damaged_index_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let all = filled(dir.path());
    let index = dir.path().join("index");
    let files = || -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(&index).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    };
    assert_eq!(files().len(), 2, "a manifest and a run");
    for i in 0..2 {
        std::fs::remove_file(&files()[i]).unwrap();
        assert_eq!(unreadable(&Blobs::open(dir.path(), options()).unwrap(), &all), 0);
        let size = std::fs::metadata(&files()[i]).unwrap().len();
        for offset in [0, size / 2, size - 3] {
            flip(&files()[i], offset);
            let blobs = Blobs::open(dir.path(), options()).unwrap();
            // A damaged block is noticed at the first look-up, and mended meanwhile.
            let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
            let mended = || all.iter().all(|bytes| blobs.read(BlobId::of(bytes)).is_ok());
            while !mended() {
                assert!(std::time::Instant::now() < until, "{i} {offset}");
                std::thread::yield_now();
            }
            assert!(findings(&blobs).is_empty());
        }
    }
}

#[test]
fn a_vanished_segment_costs_its_blobs_only() {
    let dir = tempfile::tempdir().unwrap();
    let all = filled(dir.path());
    let gone = segments(dir.path()).remove(0);
    std::fs::remove_file(gone).unwrap();
    let blobs = Blobs::open(dir.path(), options()).unwrap();
    let bad = unreadable(&blobs, &all);
    assert!(bad > 0 && bad < 40, "{bad}");
    // They can be put again.
    for bytes in &all {
        blobs.put(bytes).unwrap().wait().unwrap();
    }
    assert_eq!(unreadable(&blobs, &all), 0);
}
