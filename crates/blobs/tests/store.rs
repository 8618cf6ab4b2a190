//! The store on the real file system.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::{BlobId, Blobs, Error, Options};
use std::io::Read;
use std::time::{Duration, Instant};

fn small() -> Options {
    Options {
        segment_bytes: 64 << 10,
        own_segment_bytes: 32 << 10,
        chunk_bytes: 4 << 10,
        ..Options::default()
    }
}

/// Bytes that differ by seed; every second seed compresses.
fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mask = if seed.is_multiple_of(2) { 0x07 } else { 0xff };
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 & mask
        })
        .collect()
}

const SIZES: [usize; 16] = [
    0, 1, 63, 64, 65, 500, 4095, 4096, 4097, 8191, 8192, 8193, 20_000, 32_768, 32_769, 300_000,
];

#[test]
fn every_size_comes_out_as_it_went_in_before_and_after_the_disk_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let check = |blobs: &Blobs, id: BlobId, bytes: &[u8]| {
        assert_eq!(blobs.read(id).unwrap(), bytes);
        assert_eq!(blobs.len_of(id).unwrap(), Some(bytes.len() as u64));
        let mut streamed = Vec::new();
        blobs.reader(id).unwrap().read_to_end(&mut streamed).unwrap();
        assert_eq!(streamed, bytes);
    };
    let mut all = Vec::new();
    {
        let blobs = Blobs::open(dir.path(), small()).unwrap();
        for (seed, len) in SIZES
            .iter()
            .enumerate()
            .flat_map(|(i, &n)| [(2 * i, n), (2 * i + 1, n)])
        {
            let bytes = content(seed as u64, len);
            let commit = if seed % 3 == 0 {
                blobs.put(&bytes).unwrap()
            } else {
                let mut writer = blobs.writer();
                for piece in bytes.chunks(777) {
                    writer.write(piece).unwrap();
                }
                assert_eq!(writer.len(), len as u64);
                writer.finish().unwrap()
            };
            assert_eq!(commit.id(), BlobId::of(&bytes));
            assert_eq!(commit.len(), len as u64);
            check(&blobs, commit.id(), &bytes);
            commit.wait().unwrap();
            check(&blobs, commit.id(), &bytes);
            all.push(bytes);
        }
        assert!(blobs.statistics().segments > 3);
    }
    for _ in 0..2 {
        let blobs = Blobs::open(dir.path(), small()).unwrap();
        for bytes in &all {
            check(&blobs, BlobId::of(bytes), bytes);
        }
    }
}

#[test]
fn the_same_content_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    for len in [100, 10_000, 100_000] {
        let bytes = content(5, len);
        let commits: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..8).map(|_| scope.spawn(|| blobs.put(&bytes).unwrap())).collect();
            running.into_iter().map(|r| r.join().unwrap()).collect()
        });
        for commit in &commits {
            commit.wait().unwrap();
        }
        let before = blobs.statistics().segment_bytes;
        blobs.put(&bytes).unwrap().wait().unwrap();
        assert_eq!(blobs.statistics().segment_bytes, before);
        assert!(before < 2 * 111_000);
    }
    assert!(std::fs::read_dir(dir.path().join("tmp")).unwrap().next().is_none());
}

#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    let id = BlobId::of(b"never put");
    assert!(matches!(blobs.read(id), Err(Error::NotFound(found)) if found == id));
    assert_eq!(blobs.len_of(id).unwrap(), None);
    let commit = blobs.put(b"put").unwrap();
    assert!(matches!(
        blobs.read_range(commit.id(), 2..4),
        Err(Error::Range {
            start: 2,
            end: 4,
            len: 3
        })
    ));
    blobs.close().unwrap();
    commit.wait().unwrap();
    assert_eq!(blobs.read(commit.id()).unwrap(), b"put");
    assert!(matches!(blobs.put(b"another"), Err(Error::Closed)));
    assert_eq!(id.to_string().parse::<BlobId>().unwrap(), id);
    assert!("00".parse::<BlobId>().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), Options::default()).unwrap();
    let mut tasks = Vec::new();
    for task in 0..40_u64 {
        let blobs = blobs.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..25 {
                let bytes = content(task * 1000 + n, 3000);
                let commit = blobs.put(&bytes).unwrap();
                commit.durable().await.unwrap();
                assert_eq!(blobs.read(commit.id()).unwrap(), bytes);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let statistics = blobs.statistics();
    assert_eq!(statistics.puts, 1000);
    assert!(statistics.batches < 1000, "{statistics:?}");
    assert_eq!(statistics.pending, 0);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    let mut writer = blobs.writer();
    writer.write(&content(1, 200_000)).unwrap();
    assert!(std::fs::read_dir(dir.path().join("tmp")).unwrap().next().is_some());
    drop(writer);
    assert!(std::fs::read_dir(dir.path().join("tmp")).unwrap().next().is_none());
    assert_eq!(blobs.statistics().puts, 0);
}

mod ranges {
    use super::{content, small};
    use blobs::Blobs;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_range_is_that_part(seed in 0..1000_u64, len in 0..60_000_usize, a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            let dir = tempfile::tempdir().unwrap();
            let blobs = Blobs::open(dir.path(), small()).unwrap();
            let bytes = content(seed, len);
            let commit = blobs.put(&bytes).unwrap();
            let (a, b) = ((a * len as f64) as usize, (b * len as f64) as usize);
            let (start, end) = (a.min(b), a.max(b));
            for _ in 0..2 {
                prop_assert_eq!(blobs.read_range(commit.id(), start as u64..end as u64).unwrap(), &bytes[start..end]);
                commit.wait().unwrap();
            }
        }
    }
}

#[test]
fn what_is_put_at_leisure_shares_a_sync_and_nobody_waits_for_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), small()).unwrap();
    let batches = |blobs: &Blobs| blobs.statistics().batches;
    // One after the other, as an APPEND after another would: all in one batch or two, in more on a slow machine.
    let commits: Vec<_> = (0..20)
        .map(|seed| blobs.put_at_leisure(&content(seed, 500)).unwrap())
        .collect();
    for (seed, commit) in commits.iter().enumerate() {
        assert_eq!(blobs.read(commit.id()).unwrap(), content(seed as u64, 500));
    }
    let until = Instant::now() + Duration::from_secs(20);
    while commits.iter().any(|commit| commit.landed().is_none()) && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(commits.iter().all(|commit| commit.landed() == Some(true)));
    assert!(batches(&blobs) < 20, "{} batches for 20 blobs", batches(&blobs));
    // Whoever waits is served at once: a hundred of them would take five seconds more otherwise than those who were in a hurry from the start.
    let begun = Instant::now();
    for seed in 100..200 {
        blobs.put(&content(seed, 500)).unwrap().wait().unwrap();
    }
    let hurried = begun.elapsed();
    let begun = Instant::now();
    for seed in 200..300 {
        blobs.put_at_leisure(&content(seed, 500)).unwrap().wait().unwrap();
    }
    let most = hurried * 2 + Duration::from_secs(3);
    assert!(begun.elapsed() < most, "{:?} of {most:?}", begun.elapsed());
    // So is somebody else who puts the same, and one who only knows the id.
    let (early, late) = (content(300, 500), content(301, 500));
    let first = blobs.put_at_leisure(&early).unwrap();
    blobs.put(&early).unwrap().wait().unwrap();
    assert_eq!(first.landed(), Some(true));
    let second = blobs.put_at_leisure(&late).unwrap();
    blobs.wait(second.id()).unwrap();
    assert_eq!(second.landed(), Some(true));
    // What is still in memory when the store closes is written.
    let third = blobs.put_at_leisure(&content(302, 500)).unwrap();
    blobs.close().unwrap();
    assert_eq!(third.landed(), Some(true));
}
