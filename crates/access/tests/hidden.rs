//! What somebody may not know of reads like what is not there (RFC 4314 §6): random commands against a mailbox that is hidden and one that is
//! absent are answered alike, in every octet but the name. `HIDDEN_SEED=17` repeats one order of commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Pairs of names: there and hidden from eve, not there at all. They are of one length, so that literals are, too.
const PAIRS: [(&str, &str); 5] = [
    // In an account that shares another mailbox with her.
    (
        "Other Users/ada@rohrpost.test/Hidden",
        "Other Users/ada@rohrpost.test/Absent",
    ),
    (
        "Other Users/ada@rohrpost.test/INBOX",
        "Other Users/ada@rohrpost.test/OUTBX",
    ),
    // In one that shares nothing with her, and in one that does not exist.
    (
        "Other Users/bob@rohrpost.test/INBOX",
        "Other Users/xyz@rohrpost.test/INBOX",
    ),
    // Of a group of which she is no member.
    (
        "Shared Folders/team@rohrpost.test/INBOX",
        "Shared Folders/gang@rohrpost.test/INBOX",
    ),
    // Where it may not be looked up, but others may post to it.
    (
        "Other Users/ada@rohrpost.test/Posted",
        "Other Users/ada@rohrpost.test/Poster",
    ),
];

const COMMANDS: [&str; 30] = [
    "SELECT \"%\"",
    "EXAMINE \"%\"",
    "STATUS \"%\" (MESSAGES UIDNEXT UIDVALIDITY)",
    "CREATE \"%\"",
    "CREATE \"%/Below\"",
    "DELETE \"%\"",
    "RENAME \"%\" Mine",
    "RENAME \"%\" \"%/Below\"",
    "RENAME Own \"%\"",
    "SUBSCRIBE \"%\"",
    "UNSUBSCRIBE \"%\"",
    "LIST \"\" \"%\"",
    "LIST \"\" (\"%\" \"%/*\") RETURN (STATUS (MESSAGES) MYRIGHTS)",
    "LIST (SUBSCRIBED) \"\" \"%\"",
    "LSUB \"\" \"%\"",
    "APPEND \"%\" {1+}\r\nx",
    "COPY 1 \"%\"",
    "UID MOVE 1 \"%\"",
    "REPLACE 1 \"%\" {1+}\r\nx",
    "GETACL \"%\"",
    "MYRIGHTS \"%\"",
    "LISTRIGHTS \"%\" eve@rohrpost.test",
    "SETACL \"%\" eve@rohrpost.test lr",
    "DELETEACL \"%\" eve@rohrpost.test",
    "GETMETADATA \"%\" /shared/comment",
    "SETMETADATA \"%\" (/private/comment \"x\")",
    "GETQUOTAROOT \"%\"",
    "ESEARCH IN (mailboxes \"%\" subtree \"%\") RETURN (COUNT) ALL",
    "NOTIFY SET STATUS (mailboxes \"%\" (MessageNew MessageExpunge FlagChange MailboxName))",
    "NOTIFY SET STATUS (subtree \"%\" (MailboxName))",
];

struct Line(BufReader<TcpStream>, u32);

impl Line {
    fn open(server: &Server, who: &str) -> Line {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut line = Line(BufReader::new(stream), 0);
        line.hear();
        assert!(
            line.ask(&format!("LOGIN {who}@rohrpost.test {PASSWORD}"))
                .contains("T OK")
        );
        line
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the server hung up");
        line
    }

    /// The whole answer, with `T` for the tag.
    fn ask(&mut self, command: &str) -> String {
        self.1 += 1;
        let tag = format!("t{} ", self.1);
        self.0
            .get_mut()
            .write_all(format!("{tag}{command}\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        loop {
            let line = self.hear();
            if let Some(rest) = line.strip_prefix(&tag) {
                return answer + "T " + rest;
            }
            answer.push_str(&line.replace(tag.trim_end(), "T"));
        }
    }
}

#[test]
fn hidden_and_absent_read_the_same() {
    let server = Server::start(Mode::Plain, options());
    server.populate();
    let mut ada = Line::open(&server, "ada");
    for command in [
        "CREATE Hidden",
        "CREATE Hidden/Below",
        "CREATE Open",
        "CREATE Posted",
        "SETACL Open eve@rohrpost.test lrswipkxte",
        "SETACL Posted eve@rohrpost.test p",
        "APPEND Hidden {1+}\r\nx",
        "SETMETADATA Hidden (/shared/comment \"x\")",
    ] {
        assert!(ada.ask(command).contains("T OK"), "{command}");
    }
    let mut eve = Line::open(&server, "eve");
    for _ in 0..2 {
        assert!(
            eve.ask("APPEND \"Other Users/ada@rohrpost.test/Open\" {1+}\r\nx")
                .contains("T OK")
        );
    }
    let seeds = match std::env::var("HIDDEN_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 1..9u64,
    };
    for seed in seeds {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 11) % below as u64) as usize
        };
        let mut eve = Line::open(&server, "eve");
        // The first run makes them, later ones find them.
        eve.ask("CREATE Own");
        for _ in 0..150 {
            let (hidden, absent) = PAIRS[roll(PAIRS.len())];
            let command = COMMANDS[roll(COMMANDS.len())];
            let [first, second] = [hidden, absent].map(|name| {
                // So that messages can be named, whatever the last command did.
                eve.ask("NOTIFY NONE");
                eve.ask("SELECT \"Other Users/ada@rohrpost.test/Open\"");
                let answer = eve.ask(&command.replace('%', name));
                let again = eve.ask("NOOP");
                (answer + &again).replace(name, "%")
            });
            assert_eq!(
                first, second,
                "{command}, hidden and absent, as {hidden} (HIDDEN_SEED={seed})"
            );
        }
    }
    // Nothing was changed behind ada's back.
    assert!(ada.ask("STATUS Hidden (MESSAGES)").contains("MESSAGES 1)"));
    assert!(ada.ask("MYRIGHTS Hidden/Below").contains("T OK"));
}
