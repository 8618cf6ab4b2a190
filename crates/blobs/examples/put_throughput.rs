//! How many durable puts a second: `cargo run --release -p blobs --example put_throughput -- DIR [SECONDS] [TASKS] [BYTES]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "/tmp/blobs-throughput".into()));
    let mut number = |default: u64| args.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (seconds, tasks, bytes) = (number(5), number(40), number(10_000) as usize);
    let blobs = blobs::Blobs::open(&dir, blobs::Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds);
    let cpu = cpu_seconds();
    runtime.block_on(async {
        let mut running = Vec::new();
        for task in 0..tasks {
            let (blobs, done) = (blobs.clone(), Arc::clone(&done));
            running.push(tokio::spawn(async move {
                let mut mail = text(bytes, task);
                let mut n = 0_u64;
                while Instant::now() < until {
                    let stamp = format!("{task:08}{n:012}");
                    mail[100..100 + stamp.len()].copy_from_slice(stamp.as_bytes());
                    blobs.put(&mail).unwrap().durable().await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                    n += 1;
                }
            }));
        }
        for task in running {
            task.await.unwrap();
        }
    });
    let took = start.elapsed().as_secs_f64();
    let n = done.load(Ordering::Relaxed);
    let s = blobs.statistics();
    println!(
        "{:.0} durable puts/s of {bytes} bytes from {tasks} tasks; {:.1} records a batch; {:.2} cores; {:.0}% of the bytes stored",
        n as f64 / took,
        n as f64 / s.batches.max(1) as f64,
        (cpu_seconds() - cpu) / took,
        100.0 * s.stored_bytes as f64 / s.content_bytes.max(1) as f64,
    );
    let content = text(bytes, 7);
    let begin = Instant::now();
    for i in 0..2000_u32 {
        std::hint::black_box(blobs::BlobId::of(&[&content[..], &i.to_le_bytes()].concat()));
    }
    println!("hash: {:.1} µs", begin.elapsed().as_secs_f64() / 2000.0 * 1e6);
}

/// Words that compress about as mail does.
fn text(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = b"From: ada@phys.example\r\nTo: bob@phys.example\r\nSubject: throughput\r\n\r\n".to_vec();
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state % 4096;
        for i in 0..(2 + word % 8) {
            out.push(b'a' + ((word >> i) % 26) as u8);
        }
        out.extend_from_slice(if state.is_multiple_of(11) { b"\r\n" } else { b" " });
    }
    out.truncate(bytes);
    out
}

/// Processor seconds of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|t| t.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}
