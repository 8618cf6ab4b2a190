//! The real server is killed at random moments while it takes mail for another server and passes it on: every message that was answered with
//! `250` reaches that server, whole; one that was in hand on a connection at the moment of a death may come once more, and nothing else does.
//! `ROHRPOST_CRASH_ROUNDS` gives the number of rounds, `ROHRPOST_FIRST_SEED` other moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::simulation::Chance;
use crash::{Door, Receiver, Sender, Sent, number};
use e2e::{Server, Setup, wait_for};
use std::collections::HashMap;
use std::time::Duration;

const ADDRESSES: [&str; 3] = ["a@far.test", "b@far.test", "c@far.test"];
/// Connections of the queue runner to the other server, at most.
const CONNECTIONS: usize = 6;

#[test]
fn what_was_answered_reaches_the_other_server_however_often_ours_is_killed() {
    let rounds = number("ROHRPOST_CRASH_ROUNDS", 12);
    let seed = number("ROHRPOST_FIRST_SEED", 1);
    let mut chance = Chance::new(seed);
    let receiver = Receiver::start().expect("receiver");
    let mut server = Server::start_with(Setup {
        settings: format!(
            "[outgoing]\nconnections_per_destination = {CONNECTIONS}\n\n[[route]]\nname = \"far\"\ndomains = \"far.test\"\n\
             to = \"smtp://127.0.0.1:{}\"\naccept = true\n",
            receiver.port()
        ),
        ..Setup::default()
    });
    // What was sent, and the deaths before that.
    let mut sent: Vec<(Sent, usize)> = Vec::new();
    let mut deaths = 0;
    for round in 0..rounds {
        let senders: Vec<_> = (0..6)
            .map(|n| {
                let name = format!("relayed {n} of round {round}");
                let sender = Sender::new(Door::Smtp, server.port("smtp"), &ADDRESSES, "", &name, chance.bits());
                std::thread::spawn(move || sender.run())
            })
            .collect();
        // The moment is what this test is about; there is no condition to wait for.
        std::thread::sleep(Duration::from_millis(30 + chance.below(600) as u64));
        server.kill();
        let finished = senders.into_iter().flat_map(|sender| sender.join().expect("client"));
        sent.extend(finished.map(|s| (s, deaths)));
        deaths += 1;
        server.launch();
        if chance.percent(25) {
            std::thread::sleep(Duration::from_millis(chance.below(200) as u64));
            server.kill();
            deaths += 1;
            server.launch();
        }
    }
    wait_for("the queue to empty", Duration::from_secs(120), || {
        let ran = server.admin(&["queue", "list", "--json"]);
        assert!(ran.success, "{}", ran.err);
        matches!(ran.text().trim(), "" | "[]").then_some(())
    });

    let mut taken: HashMap<(String, String), Vec<Vec<u8>>> = HashMap::new();
    for (to, message) in receiver.taken() {
        taken.entry((to, subject(&message))).or_default().push(message);
    }
    let (mut answered, mut again) = (0, 0);
    for (s, before) in &sent {
        let came = taken.remove(&(s.to.clone(), subject(&s.bytes))).unwrap_or_default();
        let what = || format!("{} for {}", subject(&s.bytes), s.to);
        assert!(!came.is_empty() || !s.answered, "accepted and lost: {}", what());
        // Whoever was in hand at several deaths may come again after each.
        assert!(
            came.len() <= 1 + deaths - before,
            "{} came {} times",
            what(),
            came.len()
        );
        assert!(
            came.iter().all(|m| m.ends_with(&s.bytes)),
            "{} is not what was sent",
            what()
        );
        answered += u64::from(s.answered);
        again += came.len().saturating_sub(1);
    }
    assert!(
        taken.is_empty(),
        "came and was never sent: {:?}",
        taken.keys().collect::<Vec<_>>()
    );
    assert!(
        answered > rounds * 3,
        "only {answered} messages in {rounds} rounds: that is no load"
    );
    // At each death a message was in hand on each connection, for two recipients at most.
    let most = deaths * CONNECTIONS * 2;
    assert!(
        again <= most,
        "{again} copies too many of {answered} after {deaths} deaths"
    );
    server.assert_sound();
    server.stop();
}

fn subject(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(&message[..message.len().min(4000)]).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    line.expect("Subject").to_owned()
}
