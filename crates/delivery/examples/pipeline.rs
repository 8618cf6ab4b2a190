//! How many messages a second go through custody into mailboxes, without sockets: `pipeline [messages] [tasks] [folder]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use blobs::Blobs;
use db::Database;
use delivery::{Dispatch, Options};
use directory::{Directory, NewAccount};
use ledger::{Acceptance, Lane, Ledger, NewRecipient};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::Store;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| arguments.get(at).map_or(or, |a| a.parse().unwrap());
    let (messages, tasks) = (number(0, 20_000), number(1, 40));
    let temporary;
    let path = match arguments.get(2) {
        Some(folder) => std::path::PathBuf::from(folder),
        None => {
            temporary = tempfile::tempdir().unwrap();
            temporary.path().to_path_buf()
        }
    };
    let schemas = [ledger::SCHEMA, directory::SCHEMA];
    let database = Arc::new(Database::open(&path.join("server.db"), &schemas, db::Options::default()).unwrap());
    let blobs = Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
    let store = Arc::new(Store::open(&path.join("accounts"), blobs.clone(), store::Options::default()).unwrap());
    let directory = Directory::open(Arc::clone(&database)).unwrap();
    if directory.domain_list().is_empty() {
        directory.domain_add("our.test").unwrap();
        for n in 0..4 {
            let address = format!("u{n}@our.test");
            directory
                .account_add(&NewAccount {
                    address: &address,
                    ..NewAccount::default()
                })
                .unwrap();
        }
    }
    let ledger = Ledger::open(database, blobs.clone(), &ledger::Options::default()).unwrap();
    let dispatch = Dispatch::start(
        ledger.clone(),
        store,
        directory,
        std::sync::Arc::new(filter::Filter::new(filter::Options::new("mail.our.test"))),
        &Options::default(),
    )
    .unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (ledger, blobs, next) = (ledger.clone(), blobs.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut waits = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= messages {
                        return waits;
                    }
                    let mut text = format!("From: <a@b.test>\r\nTo: <u@our.test>\r\nSubject: number {n}\r\nMessage-Id: <{n}@b.test>\r\n\r\n");
                    let mut seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                    while text.len() < 10_240 {
                        seed ^= seed << 13;
                        seed ^= seed >> 7;
                        seed ^= seed << 17;
                        text.push_str(&format!("{seed:016x} some words that are the same in every line\r\n"));
                    }
                    let at = Instant::now();
                    let id = ledger.next_id();
                    let mut writer = blobs.writer();
                    writer.write(text.as_bytes()).unwrap();
                    let commit = writer.finish().unwrap();
                    let acceptance = Acceptance {
                        sender: "a@b.test".into(),
                        protocol: "ESMTP".into(),
                        client: "192.0.2.1:4711".into(),
                        helo: "client.example".into(),
                        body: "7BIT".into(),
                        session: "s1".into(),
                        message_id: Some(format!("<{n}@b.test>")),
                        recipients: vec![NewRecipient {
                            address: format!("u{}@our.test", n % 4),
                            original: None,
                            notify: None,
                            lane: Lane::Local,
                        }],
                        ..Acceptance::ours(id, id.seconds(), "smtp")
                    };
                    ledger.accept(acceptance, commit, Some(text.into_bytes().into())).await.unwrap();
                    waits.push(at.elapsed());
                }
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in running {
        waits.extend(task.await.unwrap());
    }
    let accepted = begun.elapsed();
    while dispatch.statistics().delivered < messages {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let delivered = begun.elapsed();
    waits.sort();
    let rate = |d: Duration| messages as f64 / d.as_secs_f64();
    println!(
        "{tasks} tasks: accepted {:.0}/s, delivered {:.0}/s, accept p50 {:?} p99 {:?}",
        rate(accepted),
        rate(delivered),
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100]
    );
    tokio::task::block_in_place(|| dispatch.stop());
}
