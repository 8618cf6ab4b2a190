//! Fifty clients at once on one account, doing whatever comes to mind while mail arrives. Nobody here knows what the others do; what every
//! client checks is that nothing it is told breaks the rules, and at the end, that all know the same.
//!
//! Ten seconds in `make test`; `STRESS_SECONDS=60` for a minute.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use common::client::{Client, Modes};
use common::{Mode, PASSWORD, Server, options};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use store::{Arrival, Digest, Flags, NewMessage};

const CLIENTS: u64 = 50;
/// A mailbox that grows past this is thinned out by whoever sees it.
const MANY: usize = 400;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % below.max(1) as u64) as usize
    }
}

fn modes(number: u64) -> Modes {
    let plain = Modes::default();
    match number % 5 {
        0 => plain,
        1 => Modes {
            condstore: true,
            ..plain
        },
        2 => Modes {
            qresync: true,
            rev2: true,
            ..plain
        },
        3 => Modes {
            uid_only: true,
            condstore: true,
            ..plain
        },
        _ => Modes { rev2: true, ..plain },
    }
}

/// The client learns of all it was told the number of.
fn learn(client: &mut Client) {
    for round in 0..200 {
        let Some(from) = client.messages.iter().position(|known| known.uid.is_none()) else {
            return;
        };
        assert!(round < 199, "{}", client.trouble("a message that cannot be learnt of"));
        if client.modes.uid_only {
            // Mostly it is behind all that is known. But flags of a later one may have been told already, and then it is anywhere below. That
            // takes so long with many messages that others arrive meanwhile.
            let behind = client.messages[..from].iter().filter_map(|known| known.uid).next_back();
            let above = behind.filter(|_| round % 4 != 3).unwrap_or(0);
            client.ok(&format!("UID FETCH {}:* (FLAGS)", above + 1));
        } else {
            client.ok(&format!("FETCH {}:* (UID FLAGS)", from + 1));
        }
    }
}

fn act(client: &mut Client, dice: &mut Dice) {
    learn(client);
    let count = client.messages.len();
    let uid = client.modes.uid_only || dice.roll(2) == 0;
    if count == 0 {
        client.append(["INBOX", "Archive"][dice.roll(2)], "", "Subject: x\r\n\r\nx\r\n");
        return;
    }
    let (a, b) = (dice.roll(count), dice.roll(count));
    let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 20));
    let (first, last) = (client.messages[from].uid.unwrap(), client.messages[to].uid.unwrap());
    let (verb, set) = if uid {
        ("UID ", format!("{first}:{last}"))
    } else {
        ("", format!("{}:{}", from + 1, to + 1))
    };
    let flag = ["\\Seen", "\\Flagged", "\\Deleted", "kw"][dice.roll(4)];
    let sign = ["+", "-"][dice.roll(2)];
    let other = ["INBOX", "Archive"][dice.roll(2)];
    let crowded = count > MANY;
    // Somebody else may have taken the messages away: NO is an answer, BAD never is.
    // Where there are many, nobody brings more and all clear up.
    let roll = match dice.roll(12) {
        0 | 1 | 8 if crowded => 12,
        7 | 9 if crowded => 10,
        roll => roll,
    };
    let reply = match roll {
        0 | 1 => client.append(other, "", &format!("Subject: {}\r\n\r\ntext\r\n", dice.roll(1000))),
        2 | 3 => client.command(&format!("{verb}STORE {set} {sign}FLAGS ({flag})")),
        4 => client.command(&format!("{verb}STORE {set} {sign}FLAGS.SILENT ({flag})")),
        5 => client.command(&format!(
            "{verb}FETCH {set} (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"
        )),
        6 => client.command(&format!("{verb}FETCH {set} (UID BODY.PEEK[])")),
        7 => client.command(&format!("{verb}SEARCH UNSEEN SUBJECT 1")),
        8 => client.command(&format!("{verb}COPY {set} {other}")),
        9 => client.command(&format!("{verb}MOVE {set} {other}")),
        10 => client.command("EXPUNGE"),
        12 => client.command(&format!("{verb}STORE {set} +FLAGS.SILENT (\\Deleted)")),
        _ => client.command("NOOP"),
    };
    assert!(
        ["OK", "NO"].contains(&reply.status.as_str()),
        "{}",
        client.trouble("a command that is right was called BAD")
    );
    // Ascending, each but once.
    let told: Vec<u32> = client.messages.iter().filter_map(|known| known.uid).collect();
    assert!(
        told.is_sorted_by(|a, b| a < b),
        "{}",
        client.trouble("UIDs do not ascend")
    );
}

#[test]
fn fifty_clients_and_the_post() {
    let seconds = std::env::var("STRESS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(10);
    let server = Server::start(Mode::Plain, options());
    let end = Instant::now() + Duration::from_secs(seconds);
    let (stop, stopped) = mpsc::channel();
    let (commands, delivered) = (AtomicU64::new(0), AtomicU64::new(0));
    let account = server
        .store
        .account(server.directory.account_show("ada@rohrpost.test").unwrap().id)
        .unwrap();
    std::thread::scope(|scope| {
        let (server_of_post, delivered_by_post, account) = (&server, &delivered, &account);
        let post = scope.spawn(move || {
            let (server, delivered) = (server_of_post, delivered_by_post);
            // The post: deliveries in small batches, shown when they are synced.
            let message = b"Subject: from outside 1\r\n\r\nHello.\r\n";
            let digest = Digest::of(message);
            let inbox = account.mailbox_find("INBOX").unwrap().id;
            let mut acceptance = 0i64;
            loop {
                let mut writer = server.store.blobs().writer();
                writer.write(message).unwrap();
                let commit = writer.finish().unwrap();
                server.runtime().block_on(commit.durable()).unwrap();
                let new = NewMessage {
                    blob: commit.id(),
                    blob_len: commit.len(),
                    prefix: b"Delivered-To: ada@rohrpost.test\r\n",
                    digest: &digest,
                    flags: Flags::NONE,
                    received: 1_700_000_000,
                };
                let arrivals: Vec<Arrival<'_>> = (0..3)
                    .map(|recipient| Arrival {
                        acceptance,
                        recipient,
                        mailbox: inbox,
                        message: new.clone(),
                    })
                    .collect();
                account.deliver(&arrivals).unwrap();
                account.sync().unwrap();
                delivered.fetch_add(3, Ordering::Relaxed);
                acceptance += 1;
                // No faster than people can delete.
                if stopped.recv_timeout(Duration::from_millis(20)).is_ok() {
                    return;
                }
            }
        });
        let workers: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (server, commands) = (&server, &commands);
                scope.spawn(move || {
                    let mut dice = Dice(number * 7919 + 1);
                    let name = format!("c{number}");
                    let mut client = Client::open(server.address, &name, "ada@rohrpost.test", PASSWORD, modes(number));
                    while Instant::now() < end {
                        client.forget();
                        client.ok(["SELECT INBOX", "SELECT Archive"][dice.roll(2)]);
                        for _ in 0..40 {
                            if Instant::now() >= end {
                                break;
                            }
                            act(&mut client, &mut dice);
                            commands.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    client
                })
            })
            .collect();
        let mut clients: Vec<Client> = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(client) => clients.push(client),
                Err(panic) => {
                    let _ = stop.send(());
                    std::panic::resume_unwind(panic);
                }
            }
        }
        stop.send(()).unwrap();
        post.join().unwrap();
        // All is quiet: everybody sees the same.
        let mut seen = None;
        for client in &mut clients {
            client.forget();
            client.ok("EXAMINE Archive");
            learn(client);
            client.ok("NOOP");
            learn(client);
            let view: Vec<_> = client
                .messages
                .iter()
                .map(|known| (known.uid, known.flags.clone()))
                .collect();
            match &seen {
                None => seen = Some(view),
                Some(seen) => assert_eq!(seen, &view, "{}", client.name),
            }
        }
    });
    eprintln!(
        "{} commands of {CLIENTS} clients, {} deliveries in {seconds} s",
        commands.load(Ordering::Relaxed),
        delivered.load(Ordering::Relaxed)
    );
}
