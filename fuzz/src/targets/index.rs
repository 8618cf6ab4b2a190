//! The index of the blob store: its manifest and runs, as a bad disk may leave them, beside segments that are sound.
//!
//! The first octet of the input: bit 0: the manifest is replaced, else the newest run; bit 1: checksums are put right.

use super::{Target, scratch::scratch};
use crate::Signature;
use blobs::{BlobId, Blobs, Options};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) const TARGET: Target = Target {
    name: "index",
    about: "the index of the blob store: manifest and runs",
    tokens: TOKENS,
    longest: 16 * 1024,
    seeds,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"rohrpost blob index 1\n",
    b"scanned 1 16\n",
    b"scanned 4294967295 18446744073709551615\n",
    b"own 1\n",
    b"last 9\n",
    b"last 4294967295\n",
    b"run 1\n",
    b"run 7\n",
    b"end 1 100\n",
    b"end 1 16\n",
    b"check 00000000\n",
    b"RPRUN\0\x001",
    &[0; 8],
    &[0xFF; 8],
    &[1, 0, 0, 0, 0, 0, 0, 0],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0, 0, 0, 0x10, 0, 0, 0, 0],
];

/// A store's files by name, relative to its folder.
struct Model {
    files: Vec<(PathBuf, Vec<u8>)>,
    contents: Vec<Vec<u8>>,
}

fn options() -> Options {
    Options {
        compression_level: 0,
        ..Options::default()
    }
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let contents: Vec<Vec<u8>> = (0..100u32).map(|n| format!("blob number {n}").into_bytes()).collect();
        let files = scratch(|dir| {
            make(dir, &contents).unwrap_or_else(|e| fail("no store to begin with", &e));
            let mut files = Vec::new();
            gather(dir, dir, &mut files);
            files
        });
        Model { files, contents }
    })
}

fn make(dir: &Path, contents: &[Vec<u8>]) -> blobs::Result<()> {
    let store = Blobs::open(dir, options())?;
    for content in contents {
        store.put(content)?.wait()?;
    }
    store.close()
}

fn gather(root: &Path, dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(root, &path, files);
        } else if let (Ok(name), Ok(bytes)) = (path.strip_prefix(root), std::fs::read(&path)) {
            files.push((name.to_path_buf(), bytes));
        }
    }
    files.sort();
}

fn is_manifest(name: &Path) -> bool {
    name.ends_with("index/manifest")
}

fn is_run(name: &Path) -> bool {
    name.extension().is_some_and(|e| e == "run")
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (name, bytes) in &model().files {
        let mode = if is_manifest(name) { 1 } else { 0 };
        if is_manifest(name) || is_run(name) {
            seeds.push([&[mode], bytes.as_slice()].concat());
            seeds.push([&[mode | 2], bytes.as_slice()].concat());
        }
    }
    assert!(seeds.len() >= 4, "the store has no index to damage");
    seeds
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let (mode, bytes) = input.split_first().map_or((0, input), |(mode, bytes)| (*mode, bytes));
    let mut bytes = bytes.to_vec();
    if mode & 2 != 0 {
        put_right(&mut bytes, mode & 1 != 0);
    }
    scratch(|dir| drive(dir, mode & 1 != 0, &bytes, mode & 2 != 0, &mut signature));
    signature
}

fn drive(dir: &Path, manifest: bool, replacement: &[u8], right: bool, signature: &mut Signature) {
    let model = model();
    let newest = model.files.iter().rposition(|(name, _)| is_run(name));
    for (at, (name, bytes)) in model.files.iter().enumerate() {
        let path = dir.join(name);
        let replaced = if manifest {
            is_manifest(name)
        } else {
            Some(at) == newest
        };
        let _ = path.parent().map(std::fs::create_dir_all);
        if let Err(e) = std::fs::write(path, if replaced { replacement } else { bytes }) {
            fail("no store to begin with", &e);
        }
    }
    let store = match Blobs::open(dir, options()) {
        Ok(store) => store,
        Err(e) => {
            // With right checksums the index may say anything; without, it is rebuilt.
            assert!(right, "a damaged index keeps the store from opening: {e}");
            return signature.note("refused");
        }
    };
    for content in &model.contents {
        match store.read(BlobId::of(content)) {
            Ok(found) => {
                assert!(found == *content, "another blob was read");
                signature.note("read");
            }
            Err(e) => signature.note(("error", kind(&e))),
        }
    }
    let mut findings = 0u32;
    match store.verify(&mut |finding| {
        findings += 1;
        signature.note(("finding", format!("{finding:?}").split([' ', '(']).next()));
    }) {
        Ok(summary) => {
            signature.note(("verified", findings.min(3), summary.indexed_again.min(2)));
        }
        Err(e) => signature.note(("verify", kind(&e))),
    }
    let fresh = b"written with a damaged index";
    match store.put(fresh).and_then(|commit| commit.wait()) {
        Ok(()) => {
            let found = store.read(BlobId::of(fresh)).ok();
            assert!(found.as_deref() == Some(&fresh[..]), "a new blob reads back");
        }
        Err(e) => {
            assert!(right, "a store with a damaged index takes no blob: {e}");
            signature.note("put failed");
        }
    }
    let _ = store.close();
}

/// An error without what differs from file to file.
fn kind(e: &blobs::Error) -> &'static str {
    match e {
        blobs::Error::IndexDamaged { reason, .. } | blobs::Error::Corrupt { reason, .. } => reason,
        blobs::Error::NotFound(_) => "not found",
        _ => "another error",
    }
}

/// Checksums as the format has them, so that what stands under them is read.
fn put_right(bytes: &mut Vec<u8>, manifest: bool) {
    if manifest {
        let at = bytes.windows(6).rposition(|w| w == b"check ").unwrap_or(bytes.len());
        bytes.truncate(at);
        let check = crc32fast::hash(bytes);
        bytes.extend(format!("check {check:08x}\n").bytes());
        return;
    }
    let Some(footer) = bytes.len().checked_sub(48) else {
        return;
    };
    let words = |bytes: &[u8], i: usize| {
        let at = footer + i * 8;
        bytes
            .get(at..at + 8)
            .and_then(|w| w.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    };
    let memory = usize::try_from(words(bytes, 2).saturating_mul(4096)).unwrap_or(usize::MAX);
    for block in 0..(memory / 4096).min(footer / 4096) {
        // 85 entries of 48 octets, then their checksum.
        let (begin, end) = (block * 4096, block * 4096 + 4080);
        let sum = crc32fast::hash(bytes.get(begin..end).unwrap_or_default());
        put(bytes, end, &sum.to_le_bytes());
    }
    if let Some(covered) = bytes.get(memory..footer) {
        let sum = u64::from(crc32fast::hash(covered));
        put(bytes, footer + 32, &sum.to_le_bytes());
    }
    let sum = u64::from(crc32fast::hash(bytes.get(footer..footer + 40).unwrap_or_default()));
    put(bytes, footer + 40, &sum.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[allow(clippy::panic)]
fn fail(what: &str, e: &dyn std::fmt::Display) -> ! {
    panic!("{what}: {e}")
}
