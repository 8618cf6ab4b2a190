//! What the queue itself costs: messages of 10 KB through the ledger and the runner to servers that take everything at once.
//!
//!     cargo run --release -p delivery --example relaying -- [MESSAGES] [DESTINATIONS]
//!
//! Then the same number of messages waits for destinations that can't be reached: how soon after a restart the runner is at work, how much memory
//! that takes, and how quickly the queue is listed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use blobs::Blobs;
use db::Database;
use delivery::relay::transport::{
    Answer, Connection, Destination, Envelope, Message, Needs, Outcome, Peer, Scope, Sent, Terms, Transport, Trouble,
};
use delivery::relay::{Options, Relay};
use delivery::{NoticeOptions, Notifier};
use ledger::{Acceptance, Lane, Ledger, NewRecipient, Selection};
use smtp::Status;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Takes everything, or can't be reached.
struct Sink {
    reachable: AtomicBool,
    octets: AtomicU64,
    tried: AtomicU64,
}

struct Line(Arc<Sink>, Peer);

struct Way(Arc<Sink>);

impl Transport for Way {
    type Connection = Line;

    fn destination(&self, address: &str) -> Destination {
        Destination::new(ledger::domain_of(address))
    }

    fn terms(&self, _: &Destination) -> Terms {
        Terms::default()
    }

    async fn connect(&self, destination: &Destination, _: Needs) -> Result<Line, Trouble> {
        self.0.tried.fetch_add(1, Ordering::Relaxed);
        if self.0.reachable.load(Ordering::Relaxed) {
            let host = format!("mx.{destination}");
            return Ok(Line(
                Arc::clone(&self.0),
                Peer {
                    host,
                    ..Peer::default()
                },
            ));
        }
        Err(Trouble {
            scope: Scope::Destination,
            answer: Answer::own(Status(4, 4, 1), "connection refused"),
            peer: Peer::default(),
        })
    }
}

impl Connection for Line {
    fn peer(&self) -> &Peer {
        &self.1
    }

    fn suits(&self, _: Needs) -> bool {
        true
    }

    async fn send(&mut self, envelope: &Envelope, message: &Message) -> Sent {
        let mut pieces = message.pieces().unwrap();
        while let Some(piece) = pieces.next_piece().unwrap() {
            self.0.octets.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        let taken = Outcome::Taken(Answer {
            code: Some(250),
            status: Status(2, 0, 0),
            text: "taken".to_owned(),
        });
        Sent {
            outcomes: vec![taken; envelope.recipients.len()],
            reusable: true,
        }
    }

    async fn quit(self) {}
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().unwrap());
    let messages = arguments.next().unwrap_or(20_000);
    let destinations = arguments.next().unwrap_or(50);
    let folder = tempfile::tempdir_in(".").unwrap();
    let sink = Arc::new(Sink {
        reachable: AtomicBool::new(true),
        octets: AtomicU64::new(0),
        tried: AtomicU64::new(0),
    });

    let (ledger, blobs) = open(folder.path());
    let relay = start(&ledger, &blobs, &sink);
    let began = Instant::now();
    submit(&ledger, &blobs, messages, destinations).await;
    let submitted = began.elapsed();
    while ledger.totals().unwrap().remote > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let relayed = began.elapsed();
    println!(
        "{messages} messages to {destinations} destinations: accepted in {submitted:.2?}, relayed in {relayed:.2?}: {:.0} a second",
        messages as f64 / relayed.as_secs_f64()
    );
    assert_eq!(relay.statistics().relayed, messages as u64);
    relay.stop(Duration::from_secs(5)).await;

    sink.reachable.store(false, Ordering::Relaxed);
    submit(&ledger, &blobs, messages, destinations).await;
    ledger.close();
    blobs.close().unwrap();
    drop((ledger, blobs));
    sink.tried.store(0, Ordering::Relaxed);
    let began = Instant::now();
    let (ledger, blobs) = open(folder.path());
    let relay = start(&ledger, &blobs, &sink);
    while sink.tried.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!(
        "restarted with {messages} waiting: first connection tried after {:.2?}",
        began.elapsed()
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("connections tried in 5 s: {}", sink.tried.load(Ordering::Relaxed));
    let began = Instant::now();
    let listed = ledger.open_rows(&Selection::default(), None, 1000).unwrap().len();
    println!("listed {listed} rows in {:.2?}", began.elapsed());
    let began = Instant::now();
    let depths = ledger.depths().unwrap();
    println!("counted {} destinations in {:.2?}", depths.len(), began.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM"))
    {
        println!("{line}");
    }
    relay.stop(Duration::from_secs(5)).await;
}

fn open(folder: &Path) -> (Ledger, Blobs) {
    let database = Database::open(&folder.join("server.db"), &[ledger::SCHEMA], db::Options::default()).unwrap();
    let blobs = Blobs::open(&folder.join("blobs"), blobs::Options::default()).unwrap();
    let ledger = Ledger::open(Arc::new(database), blobs.clone(), &ledger::Options::default()).unwrap();
    (ledger, blobs)
}

fn start(ledger: &Ledger, blobs: &Blobs, sink: &Arc<Sink>) -> Relay<Way> {
    let notices = NoticeOptions {
        hostname: "mail.our.test".to_owned(),
        languages: Vec::new(),
        postmaster: "postmaster@our.test".to_owned(),
    };
    let notifier = Notifier::new(ledger.clone(), Arc::new(|_: &str| Lane::Local), notices);
    let way = Arc::new(Way(Arc::clone(sink)));
    Relay::start(
        ledger.clone(),
        blobs.clone(),
        way,
        Arc::new(notifier),
        Options::default(),
    )
}

async fn submit(ledger: &Ledger, blobs: &Blobs, messages: usize, destinations: usize) {
    const SESSIONS: usize = 40;
    let tasks: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let (ledger, blobs) = (ledger.clone(), blobs.clone());
            tokio::spawn(async move {
                for n in (session..messages).step_by(SESSIONS) {
                    let text = format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(10_000));
                    let id = ledger.next_id();
                    let acceptance = Acceptance {
                        sender: format!("u{}@our.test", n % 100),
                        recipients: vec![NewRecipient {
                            address: format!("r{n}@d{}.test", n % destinations),
                            original: None,
                            notify: None,
                            lane: Lane::Remote,
                        }],
                        ..Acceptance::ours(id, id.seconds(), "example")
                    };
                    let commit = blobs.put(text.as_bytes()).unwrap();
                    ledger.accept(acceptance, commit, Some(text.into())).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
