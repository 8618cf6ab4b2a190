//! The real server is killed at random moments under load from SMTP, LMTP and IMAP APPEND: every message that was answered with
//! `250` or `OK` is there exactly once, none is torn, nothing else is there, `audit` and `verify` find nothing.
//! `ROHRPOST_CRASH_ROUNDS` gives the number of rounds, `ROHRPOST_FIRST_SEED` other moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::simulation::Chance;
use crash::{Door, Sender, Sent, number};
use e2e::{ADA, BOB, PASSWORD, Server, Setup, ours_removed, wait_for};
use std::collections::HashMap;
use std::time::Duration;

const CAROL: &str = "carol@e2e.test";
const ACCOUNTS: [&str; 3] = [ADA, BOB, CAROL];

/// What was read of an INBOX so far.
#[derive(Default)]
struct Inbox {
    uid_validity: Option<String>,
    last_uid: u32,
    /// How often each message is there, our own header lines removed.
    messages: HashMap<Vec<u8>, u32>,
}

#[test]
fn what_was_answered_is_there_once_however_often_the_server_is_killed() {
    let rounds = number("ROHRPOST_CRASH_ROUNDS", 20);
    let seed = number("ROHRPOST_FIRST_SEED", 1);
    let mut chance = Chance::new(seed);
    let mut server = Server::start_with(Setup {
        accounts: vec![CAROL.to_owned()],
        ..Setup::default()
    });
    let mut sent: Vec<Sent> = Vec::new();
    let mut inboxes: HashMap<&str, Inbox> = HashMap::new();
    for round in 0..rounds {
        sent.extend(load_and_kill(&mut server, &mut chance, round));
        server.launch();
        // Sometimes it dies again while it is still at what the last death left.
        if chance.percent(25) {
            std::thread::sleep(Duration::from_millis(chance.below(60) as u64));
            server.kill();
            server.launch();
        }
        wait_for("the queue to empty", Duration::from_secs(60), || {
            queue_is_empty(&server).then_some(())
        });
        for account in ACCOUNTS {
            inboxes.entry(account).or_default().read_on(&server, account);
        }
        check(&sent, &inboxes, round);
        server.assert_sound();
    }
    let answered = sent.iter().filter(|s| s.answered).count();
    assert!(
        answered as u64 > rounds * 3,
        "only {answered} messages in {rounds} rounds: that is no load"
    );
    // What was read on the way is what is there in the end: no UID has come to stand for another message.
    for account in ACCOUNTS {
        let mut all = Inbox::default();
        all.read_on(&server, account);
        assert!(all.messages == inboxes[account].messages, "{account}");
    }
    server.stop();
    server.assert_sound();
}

/// Clients of all kinds send until the server dies of SIGKILL.
fn load_and_kill(server: &mut Server, chance: &mut Chance, round: u64) -> Vec<Sent> {
    let doors = [
        Door::Smtp,
        Door::Smtp,
        Door::Smtp,
        Door::Smtp,
        Door::Lmtp,
        Door::Lmtp,
        Door::Append,
        Door::Append,
    ];
    let senders: Vec<_> = doors
        .into_iter()
        .enumerate()
        .map(|(i, door)| {
            let port = server.port(match door {
                Door::Smtp => "smtp",
                Door::Lmtp => "lmtp",
                Door::Append => "imap",
            });
            let name = format!("{door:?} {i} of round {round}");
            let sender = Sender::new(door, port, &ACCOUNTS, PASSWORD, &name, chance.bits());
            std::thread::spawn(move || sender.run())
        })
        .collect();
    // The moment is what this test is about; there is no condition to wait for.
    std::thread::sleep(Duration::from_millis(30 + chance.below(600) as u64));
    server.kill();
    senders
        .into_iter()
        .flat_map(|sender| sender.join().expect("client"))
        .collect()
}

fn queue_is_empty(server: &Server) -> bool {
    let ran = server.admin(&["queue", "list", "--json"]);
    assert!(ran.success, "{}", ran.err);
    ran.text().trim().is_empty() || ran.text().trim() == "[]"
}

impl Inbox {
    /// Reads what came since the last time.
    fn read_on(&mut self, server: &Server, account: &str) {
        let mut imap = server.imap(account);
        let lines = imap.ok("EXAMINE INBOX");
        let validity = lines
            .iter()
            .find_map(|line| line.text.split_once("[UIDVALIDITY ")?.1.split_once(']'))
            .expect("UIDVALIDITY")
            .0
            .to_owned();
        assert_eq!(*self.uid_validity.get_or_insert_with(|| validity.clone()), validity);
        for line in imap.ok(&format!("UID FETCH {}:* (UID BODY.PEEK[])", self.last_uid + 1)) {
            let Some((_, rest)) = line.text.split_once("UID ") else {
                continue;
            };
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let uid: u32 = digits.parse().expect("UID");
            // `n:*` names the last message also when it has a smaller UID.
            if uid > self.last_uid {
                let message = ours_removed(&line.literals[0]).to_vec();
                *self.messages.entry(message).or_default() += 1;
                self.last_uid = uid;
            }
        }
        imap.ok("LOGOUT");
    }
}

fn check(sent: &[Sent], inboxes: &HashMap<&str, Inbox>, round: u64) {
    let subject = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    let mut known: HashMap<(&str, &[u8]), bool> = HashMap::new();
    for s in sent {
        known.insert((&s.to, &s.bytes), s.answered);
        let there = inboxes[s.to.as_str()].messages.get(&s.bytes).copied().unwrap_or(0);
        assert!(
            there <= 1,
            "round {round}: {} is there {there} times",
            subject(&s.bytes)
        );
        assert!(
            there == 1 || !s.answered,
            "round {round}: for {} accepted and lost: {}",
            s.to,
            subject(&s.bytes)
        );
    }
    for (account, inbox) in inboxes {
        for bytes in inbox.messages.keys() {
            assert!(
                known.contains_key(&(*account, bytes.as_slice())),
                "round {round}: {account} has what nobody sent: {}",
                subject(bytes)
            );
        }
    }
}
