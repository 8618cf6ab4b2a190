//! The reader of segment files: a store is opened over arbitrary bytes, as a crash or a bad disk may leave them.
//!
//! The first octet of the input says what is put right again after mutation, since a mutant with a wrong checksum shows only that
//! checksums are checked: bit 0: the file's first bytes; bit 1: checksums of record headers; bit 2: checksums of payloads.

use super::{Target, scratch::scratch};
use crate::signature::Signature;
use blobs::{BlobId, Blobs, Error, Options};
use std::io::Read;
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "segment",
    about: "segment files of the blob store: recovery and reading",
    tokens: TOKENS,
    longest: 64 * 1024,
    seeds,
    check,
};

const TOKENS: &[&[u8]] = &[
    b"RpB1",
    b"ROHRSEG1",
    &[0; 8],
    &[0xFF; 8],
    &[0; 80],
    b"RpB1\x00\0\0\0",
    b"RpB1\x01\0\0\0",
    b"RpB1\x02\0\0\0",
    b"RpB1\x03\0\0\0",
    &[0, 0, 0, 0x80],
    &[0xFF, 0xFF, 0xFF, 0x7F],
    &[0, 0, 0, 1],
    &[1, 0, 0, 0, 0, 0, 0, 0],
    &[0x28, 0xB5, 0x2F, 0xFD],
];

const FILE: &str = "000001.seg";
const HEADER: usize = 80;

fn options() -> Options {
    Options {
        segment_bytes: 128 * 1024,
        own_segment_bytes: 8 * 1024,
        chunk_bytes: 1024,
        ..Options::default()
    }
}

/// Real segments: small, compressed, chunked.
fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let contents: [&[Vec<u8>]; 3] = [
        &[b"a".to_vec()],
        &[vec![b'x'; 500], b"hello\r\n".to_vec(), (0..=255).collect()],
        &[
            vec![b'y'; 5000],
            (0..3000u32)
                .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
                .take(4000)
                .collect(),
            b"end".to_vec(),
        ],
    ];
    for contents in contents {
        let made = scratch(|dir| {
            let store = Blobs::open(dir, options()).ok()?;
            for content in contents {
                store.put(content).ok()?.wait().ok()?;
            }
            store.close().ok()?;
            std::fs::read(dir.join(FILE)).ok()
        });
        for mode in [0u8, 7] {
            all.extend(made.iter().map(|file| [&[mode], file.as_slice()].concat()));
        }
    }
    all
}

fn check(input: &[u8]) -> Signature {
    let mut signature = Signature::default();
    let (mode, file) = input.split_first().map_or((0, input), |(mode, file)| (*mode, file));
    let mut file = file.to_vec();
    let ids = put_right(&mut file, mode);
    scratch(|dir| drive(dir, &file, &ids, &mut signature));
    signature
}

fn drive(dir: &Path, file: &[u8], ids: &[BlobId], signature: &mut Signature) {
    if std::fs::write(dir.join(FILE), file).is_err() {
        return;
    }
    let store = match Blobs::open(dir, options()) {
        Ok(store) => store,
        Err(e) => return signature.note(("open", kind(&e))),
    };
    for id in ids {
        match store.len_of(*id) {
            Ok(None) => signature.note("no such blob"),
            Ok(Some(len)) => read(&store, *id, len, signature),
            Err(e) => signature.note(("length", kind(&e))),
        }
    }
    // Whatever stood there, the store takes new blobs and keeps them.
    let fresh = b"written after the damage".repeat(4);
    let id = match store.put(&fresh).and_then(|commit| commit.wait().map(|()| commit.id())) {
        Ok(id) => id,
        Err(e) => fail("a store that opened takes no blob", &e),
    };
    assert_eq!(id, BlobId::of(&fresh));
    assert_eq!(
        store.read(id).ok().as_deref(),
        Some(fresh.as_slice()),
        "a new blob reads back"
    );
    if let Err(e) = store.close() {
        fail("a store that opened does not close", &e);
    }
    drop(store);
    match Blobs::open(dir, options()) {
        Ok(again) => {
            match again.read(id) {
                Ok(bytes) => assert_eq!(bytes, fresh, "a new blob is there after a restart"),
                Err(e) => fail("a new blob is gone after a restart", &e),
            }
            let _ = again.close();
        }
        Err(e) => fail("a store that was closed opens again", &e),
    }
}

fn read(store: &Blobs, id: BlobId, len: u64, signature: &mut Signature) {
    let most = 256 * 1024;
    let begin = store.read_range(id, 0..len.min(most));
    let mut streamed = Vec::new();
    let stream = store
        .reader(id)
        .map(|reader| reader.take(most).read_to_end(&mut streamed));
    match begin {
        Ok(bytes) => {
            assert_eq!(bytes.len() as u64, len.min(most), "as long as it says");
            assert!(
                matches!(stream, Ok(Ok(_))),
                "what can be read by range can be read as a stream"
            );
            assert_eq!(bytes, streamed, "range and stream agree");
            if len > 3 {
                let middle = store.read_range(id, 1..len.min(most) - 1);
                assert_eq!(
                    middle.ok().as_deref(),
                    bytes.get(1..bytes.len() - 1),
                    "a part is a part of the whole"
                );
            }
            signature.note(("read", len.checked_ilog2(), BlobId::of(&bytes) == id));
        }
        Err(e) => signature.note(("read", kind(&e))),
    }
    assert!(
        matches!(
            store.read_range(id, 0..len + 1),
            Err(Error::Range { .. } | Error::Corrupt { .. })
        ),
        "behind the end is nothing"
    );
}

/// Puts right what the mode asks for; gives the ids of all that looks like a record.
fn put_right(file: &mut [u8], mode: u8) -> Vec<BlobId> {
    if mode & 1 != 0
        && let Some(first) = file.get_mut(..16)
    {
        first.copy_from_slice(b"ROHRSEG1\x01\0\0\0\0\0\0\0");
    }
    let mut ids = Vec::new();
    for at in (16..file.len().saturating_sub(HEADER)).step_by(8) {
        let (before, record) = file.split_at_mut(at);
        let (header, payload) = record.split_at_mut(HEADER);
        if !header.starts_with(b"RpB1") {
            continue;
        }
        let number = |at: usize| {
            header
                .get(at..at + 8)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        };
        let (codec, raw, stored) = (header.get(4).copied(), number(8), number(16));
        let chunk = number(64) & 0xFFFF_FFFF;
        if mode & 4 != 0
            && let Some(payload) = usize::try_from(stored).ok().and_then(|n| payload.get(..n))
        {
            // Of chunked content, the table at the end is what the sum covers.
            let table = if codec == Some(2) {
                raw.div_ceil(chunk.max(1)).saturating_mul(8)
            } else {
                stored
            };
            let from = usize::try_from(stored.saturating_sub(table)).unwrap_or(0);
            let sum = crc32fast::hash(payload.get(from..).unwrap_or_default());
            put(header, 68, sum);
        }
        if mode & 2 != 0 {
            let mut sum = crc32fast::Hasher::new();
            sum.update(header.get(..HEADER - 4).unwrap_or_default());
            sum.update(&1u32.to_le_bytes());
            sum.update(&(before.len() as u64).to_le_bytes());
            put(header, HEADER - 4, sum.finalize());
        }
        if let Some(id) = header.get(32..64).and_then(|b| BlobId::try_from(b).ok())
            && ids.len() < 32
        {
            ids.push(id);
        }
    }
    ids
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

/// An error without what differs from file to file.
fn kind(e: &Error) -> String {
    match e {
        Error::Corrupt { reason, .. } => format!("corrupt: {reason}"),
        Error::NotFound(_) => "not found".into(),
        Error::Io { action, source, .. } => format!("{action} {:?}", source.kind()),
        other => format!("{other:?}")
            .split([' ', '('])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

#[allow(clippy::panic)]
fn fail(what: &str, e: &dyn std::fmt::Display) -> ! {
    panic!("{what}: {e}")
}
