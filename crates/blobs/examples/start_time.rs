//! How long a store of many blobs takes to open, and a look-up in it:
//! `cargo run --release -p blobs --example start_time -- DIR [BLOBS]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use blobs::{BlobId, Blobs, Options};
use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "/tmp/blobs-start".into()));
    let count: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    let content = |n: u64| format!("Subject: {n}\r\n\r\nA short mail, number {n}.\r\n");
    let begin = Instant::now();
    let blobs = Blobs::open(&dir, Options::default()).unwrap();
    println!(
        "open: {:.1} ms, {} segments",
        begin.elapsed().as_secs_f64() * 1e3,
        blobs.statistics().segments
    );
    let begin = Instant::now();
    let mut last = None;
    for n in 0..count {
        last = Some(blobs.put(content(n).as_bytes()).unwrap());
    }
    last.unwrap().wait().unwrap();
    println!("put {count}: {:.1} s", begin.elapsed().as_secs_f64());
    drop(blobs);
    let begin = Instant::now();
    let blobs = Blobs::open(&dir, Options::default()).unwrap();
    println!(
        "open after a clean stop: {:.1} ms, {} kB resident",
        begin.elapsed().as_secs_f64() * 1e3,
        resident()
    );
    for (what, from) in [("there", 0), ("not there", count)] {
        let ids: Vec<BlobId> = (0..20_000)
            .map(|i| BlobId::of(content(from + i * 37 % count).as_bytes()))
            .collect();
        let begin = Instant::now();
        let found = ids.iter().filter(|id| blobs.len_of(**id).unwrap().is_some()).count();
        println!(
            "look-up of blobs that are {what}: {:.2} µs ({found} found)",
            begin.elapsed().as_secs_f64() * 1e6 / ids.len() as f64
        );
    }
    let begin = Instant::now();
    blobs.rebuild_index().unwrap();
    println!("rebuild of the index: {:.2} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let summary = blobs.verify(&mut |finding| println!("{finding}")).unwrap();
    println!("verify: {:.2} s, {summary:?}", begin.elapsed().as_secs_f64());
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}
