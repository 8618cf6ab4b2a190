//! A thousand disks lose power at a random step, some also fill up or fail to sync. Each time: what was said to be durable is there and
//! equal, nothing torn is served, `verify` finds nothing, and the store goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::simulation::{Chance, SimulatedDisk};
use blobs::{BlobId, Blobs, Commit, Error, Options, Policy};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("ROHRPOST_POWER_CUTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1000);
    let first = std::env::var("ROHRPOST_FIRST_SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    first..first + count
}

fn options() -> Options {
    Options {
        segment_bytes: 24 << 10,
        own_segment_bytes: 6 << 10,
        chunk_bytes: 1 << 10,
        open_segments: 4,
        ahead_bytes: 8 << 10,
        ..Options::default()
    }
}

struct Run {
    seed: u64,
    chance: Chance,
    disk: SimulatedDisk,
    /// Everything ever put.
    put: BTreeMap<BlobId, Vec<u8>>,
    /// Of these, what was said to be durable and is referred to.
    kept: BTreeSet<BlobId>,
    serial: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        Run {
            seed,
            chance: Chance::new(seed),
            disk: SimulatedDisk::new(seed),
            put: BTreeMap::new(),
            kept: BTreeSet::new(),
            serial: 0,
        }
    }

    fn open(&self) -> blobs::Result<Blobs> {
        Blobs::open_on(Arc::new(self.disk.clone()), Path::new("/blobs"), options())
    }

    fn content(&mut self) -> Vec<u8> {
        // One in five is a content that was put before.
        if self.chance.percent(20) && !self.put.is_empty() {
            let i = self.chance.below(self.put.len());
            if let Some(bytes) = self.put.values().nth(i) {
                return bytes.clone();
            }
        }
        self.serial += 1;
        let len = match self.chance.below(10) {
            0 => 0,
            1 => 20_000,
            2 | 3 => self.chance.below(9_000),
            _ => self.chance.below(1_500),
        };
        let mut bytes = self.serial.to_le_bytes().to_vec();
        let mask = if self.chance.percent(50) { 0x0f } else { 0xff };
        bytes.extend((0..len).map(|_| self.chance.bits() as u8 & mask));
        bytes
    }

    fn put_some(&mut self, blobs: &Blobs) {
        let mut commits: Vec<Commit> = Vec::new();
        for _ in 0..1 + self.chance.below(6) {
            let bytes = self.content();
            self.put.insert(BlobId::of(&bytes), bytes.clone());
            if let Ok(commit) = blobs.put(&bytes) {
                if let Ok(read) = blobs.read(commit.id()) {
                    assert_eq!(read, bytes, "seed {}: readable at once", self.seed);
                }
                commits.push(commit);
            }
        }
        for commit in commits {
            if commit.wait().is_ok() {
                self.kept.insert(commit.id());
            }
        }
    }

    /// Drops some references and reclaims, with a put between mark and reclaim that brings one of them back.
    fn reclaim(&mut self, blobs: &Blobs) {
        for id in self.kept.clone() {
            if self.chance.percent(40) {
                self.kept.remove(&id);
            }
        }
        let mark = blobs.mark();
        let live = self.kept.clone();
        self.put_some(blobs);
        let policy = Policy {
            dead_part: 0.2,
            ..Policy::default()
        };
        let _ = blobs.reclaim(mark, &|id| live.contains(id), &policy);
    }

    fn check(&self, blobs: &Blobs, when: &str) {
        let seed = self.seed;
        for (id, bytes) in &self.put {
            match blobs.read(*id) {
                Ok(read) => assert_eq!(&read, bytes, "seed {seed} {when}: {id}"),
                Err(Error::NotFound(_)) => assert!(!self.kept.contains(id), "seed {seed} {when}: {id} is lost"),
                Err(e) => panic!("seed {seed} {when}: {e}"),
            }
        }
        let mut findings = Vec::new();
        blobs.verify(&mut |finding| findings.push(finding.to_string())).unwrap();
        assert!(findings.is_empty(), "seed {seed} {when}: {findings:?}");
    }
}

/// One disk: three times work until the power goes, and look.
fn run(seed: u64, reclaims: bool, faults: bool) {
    let mut run = Run::new(seed);
    for round in 0..3 {
        let steps = 1 + run.chance.below(120) as u64;
        run.disk.cut_after(steps);
        if let Ok(blobs) = run.open() {
            for _ in 0..30 {
                if !run.disk.is_powered() {
                    break;
                }
                match run.chance.below(10) {
                    0 if faults => run.disk.fail_syncs(1 + run.chance.below(2) as u32),
                    1 if faults => {
                        let space = run.disk.used() + run.chance.below(5_000) as u64;
                        run.disk.set_space(Some(space));
                        run.put_some(&blobs);
                        run.disk.set_space(None);
                    }
                    2 | 3 if reclaims => run.reclaim(&blobs),
                    4 => {
                        let _ = blobs.rebuild_index();
                    }
                    _ => run.put_some(&blobs),
                }
            }
        }
        run.disk.power_cycle();
        let blobs = run.open().unwrap_or_else(|e| panic!("seed {seed} round {round}: {e}"));
        run.check(&blobs, "after the cut");
        run.put_some(&blobs);
        run.check(&blobs, "going on");
        drop(blobs);
        // And once more after a clean stop.
        let blobs = run.open().unwrap_or_else(|e| panic!("seed {seed} round {round}: {e}"));
        run.check(&blobs, "after a clean stop");
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_durable() {
    seeds().for_each(|seed| run(seed, false, false));
}

#[test]
fn nor_does_one_during_a_reclaim() {
    seeds().for_each(|seed| run(seed, true, false));
}

#[test]
fn nor_does_one_on_a_disk_that_fills_up_and_fails_to_sync() {
    seeds().for_each(|seed| run(seed, true, true));
}
