//! POP3's QUIT takes away what DELE has marked: all of it or nothing, however the server dies, and what was answered with `+OK` stays done
//! (RFC 1939 §6). `ROHRPOST_CRASH_ROUNDS` gives the number of rounds, `ROHRPOST_FIRST_SEED` other moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::simulation::Chance;
use crash::number;
use e2e::{ADA, PASSWORD, Server};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

const MESSAGES: usize = 60;

struct Pop3(BufReader<TcpStream>);

impl Pop3 {
    fn login(server: &Server) -> Pop3 {
        let stream = TcpStream::connect(("127.0.0.1", server.port("pop3"))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut pop3 = Pop3(BufReader::new(stream));
        assert!(pop3.hear().unwrap().starts_with("+OK"));
        for command in [format!("USER {ADA}"), format!("PASS {PASSWORD}")] {
            pop3.say(&command);
            let answer = pop3.hear().unwrap();
            assert!(answer.starts_with("+OK"), "{answer}");
        }
        pop3
    }

    fn say(&mut self, command: &str) {
        let _ = self.0.get_mut().write_all(format!("{command}\r\n").as_bytes());
    }

    /// A line; `None` when there is nobody any more.
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(read) if read > 0 && line.ends_with('\n') => Some(line),
            _ => None,
        }
    }

    /// UIDLs in the order of the mailbox.
    fn uidl(&mut self) -> Vec<String> {
        self.say("UIDL");
        assert!(self.hear().unwrap().starts_with("+OK"));
        let mut all = Vec::new();
        loop {
            let line = self.hear().unwrap();
            if line.starts_with('.') {
                return all;
            }
            all.push(line.split_whitespace().nth(1).unwrap().to_owned());
        }
    }
}

#[test]
fn all_or_nothing() {
    let mut chance = Chance::new(number("ROHRPOST_FIRST_SEED", 1));
    let mut server = Server::start();
    let mut imap = server.imap(ADA);
    let mut there: BTreeSet<String> = BTreeSet::new();
    let (mut done, mut undone) = (0, 0);
    for round in 0..number("ROHRPOST_CRASH_ROUNDS", 20) {
        for n in there.len()..MESSAGES {
            let reply = imap.append("INBOX", "", format!("Subject: {round}/{n}\r\n\r\nx\r\n").as_bytes());
            assert!(reply.ok());
        }
        let mut pop3 = Pop3::login(&server);
        let before = pop3.uidl();
        assert_eq!(before.len(), MESSAGES);
        assert!(there.iter().all(|uidl| before.contains(uidl)), "a UIDL has changed");
        let mut marked = BTreeSet::new();
        for (n, uidl) in (1..).zip(&before) {
            if chance.percent(50) {
                pop3.say(&format!("DELE {n}"));
                assert!(pop3.hear().unwrap().starts_with("+OK"));
                marked.insert(uidl.clone());
            }
        }
        // Sometimes it dies before it was told, sometimes while it works, sometimes afterwards.
        if chance.percent(75) {
            pop3.say("QUIT");
        }
        std::thread::sleep(Duration::from_micros(chance.below(700) as u64));
        server.kill();
        let answered = pop3.hear().is_some_and(|line| line.starts_with("+OK"));
        server.launch();
        let mut look = Pop3::login(&server);
        there = look.uidl().into_iter().collect();
        // One session at a time has the mailbox: this one ends before the next begins.
        look.say("QUIT");
        assert!(look.hear().unwrap().starts_with("+OK"));
        let left: BTreeSet<String> = before.iter().filter(|uidl| !marked.contains(*uidl)).cloned().collect();
        let whole: BTreeSet<String> = before.into_iter().collect();
        assert!(
            there == left || there == whole,
            "round {round}: {} of {} are left",
            there.len(),
            whole.len()
        );
        if answered {
            assert!(
                there == left,
                "round {round}: QUIT was answered, and the messages are there"
            );
        }
        match there == left {
            true => done += 1,
            false => undone += 1,
        }
        imap = server.imap(ADA);
    }
    server.assert_sound();
    assert!(
        done > 0 && undone > 0,
        "{done} times all were gone, {undone} times none: that tests nothing"
    );
    println!("{done} times all were gone, {undone} times none");
}
