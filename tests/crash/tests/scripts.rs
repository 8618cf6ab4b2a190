//! The real server is killed at random moments while a script sends every message on and answers it: no copy and no answer is lost, none is
//! there twice. `ROHRPOST_CRASH_ROUNDS` gives the number of rounds, `ROHRPOST_FIRST_SEED` other moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::simulation::Chance;
use crash::number;
use e2e::{ADA, BOB, Server, Setup, wait_for};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

const CAROL: &str = "carol@e2e.test";
const CLIENTS: u64 = 4;

/// Sends until the server is gone; the Message-IDs, and whether each was answered with 250. Every message has a sender of its own, all of
/// whom are Carol.
fn send(port: u16, name: &str) -> Vec<(String, bool)> {
    let mut sent = Vec::new();
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return sent;
    };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = BufReader::new(stream);
    let mut said = |line: Option<&str>| -> Option<bool> {
        if let Some(line) = line {
            reader.get_mut().write_all(line.as_bytes()).ok()?;
        }
        loop {
            let mut reply = String::new();
            if reader.read_line(&mut reply).ok()? == 0 {
                return None;
            }
            if reply.as_bytes().get(3) == Some(&b' ') {
                return Some(reply.starts_with(['2', '3']));
            }
        }
    };
    if said(None).and_then(|_| said(Some("EHLO client.example\r\n"))).is_none() {
        return sent;
    }
    for n in 0.. {
        let id = format!("<{name}-{n}@client.example>");
        let from = format!("carol+{name}-{n}@e2e.test");
        let dialogue = [
            format!("MAIL FROM:<{from}>\r\n"),
            format!("RCPT TO:<{ADA}>\r\n"),
            "DATA\r\n".to_owned(),
        ];
        if dialogue.iter().any(|line| said(Some(line)) != Some(true)) {
            return sent;
        }
        let message =
            format!("From: <{from}>\r\nTo: <{ADA}>\r\nMessage-ID: {id}\r\nSubject: {name} {n}\r\n\r\nText.\r\n.\r\n");
        let answered = said(Some(&message)) == Some(true);
        sent.push((id, answered));
        if !answered {
            return sent;
        }
    }
    sent
}

/// How often a field has each value in an INBOX.
fn count(server: &Server, user: &str, field: &str) -> HashMap<String, u32> {
    let mut imap = server.imap(user);
    imap.ok("EXAMINE INBOX");
    let mut count = HashMap::new();
    for message in imap.messages("1:*") {
        let text = String::from_utf8_lossy(&message).into_owned();
        let found = text.lines().find_map(|line| line.strip_prefix(field));
        if let Some(value) = found {
            *count.entry(value.trim().to_owned()).or_default() += 1;
        }
    }
    count
}

#[test]
fn what_scripts_send_is_there_once_however_often_the_server_is_killed() {
    let rounds = number("ROHRPOST_CRASH_ROUNDS", 8);
    let seed = number("ROHRPOST_FIRST_SEED", 1);
    let mut chance = Chance::new(seed);
    let mut server = Server::start_with(Setup {
        accounts: vec![CAROL.to_owned()],
        settings: "[sieve]\nsent_per_day = 1000000\n".to_owned(),
        ..Setup::default()
    });
    let script = server.folder().join("script.sieve");
    let text = format!("require [\"vacation\", \"copy\"];\nredirect :copy \"{BOB}\";\nvacation :days 7 \"Away.\";\n");
    std::fs::write(&script, text).unwrap();
    let ran = server.admin(&[
        "sieve",
        "put",
        "--account",
        ADA,
        "main",
        script.to_str().unwrap(),
        "--activate",
    ]);
    assert!(ran.success, "{}", ran.err);
    let mut sent: Vec<(String, bool)> = Vec::new();
    for round in 0..rounds {
        let port = server.port("smtp");
        let clients: Vec<_> = (0..CLIENTS)
            .map(|c| std::thread::spawn(move || send(port, &format!("r{round}c{c}"))))
            .collect();
        // The moment is what this test is about; there is no condition to wait for.
        std::thread::sleep(Duration::from_millis(30 + chance.below(500) as u64));
        server.kill();
        sent.extend(clients.into_iter().flat_map(|c| c.join().expect("client")));
        server.launch();
        if chance.percent(25) {
            std::thread::sleep(Duration::from_millis(chance.below(60) as u64));
            server.kill();
            server.launch();
        }
        wait_for("the queue to empty", Duration::from_secs(60), || {
            let ran = server.admin(&["queue", "list", "--json"]);
            (ran.success && matches!(ran.text().trim(), "" | "[]")).then_some(())
        });
        let (kept, copies, answers) = (
            count(&server, ADA, "Message-ID: "),
            count(&server, BOB, "Message-ID: "),
            count(&server, CAROL, "In-Reply-To: "),
        );
        for (id, answered) in &sent {
            let times = |of: &HashMap<String, u32>| of.get(id).copied().unwrap_or(0);
            let found = (times(&kept), times(&copies), times(&answers));
            let wanted = if *answered { 1 } else { times(&kept).min(1) };
            assert_eq!(
                found,
                (wanted, wanted, wanted),
                "{id}, answered: {answered}, round {round}"
            );
        }
        let known = sent.len();
        assert!(kept.len() <= known && copies.len() <= known && answers.len() <= known);
        server.assert_sound();
    }
    let answered = sent.iter().filter(|(_, answered)| *answered).count();
    assert!(
        answered as u64 > rounds * 2,
        "only {answered} messages in {rounds} rounds: that is no load"
    );
}
