//! The real server is killed at random moments while IMAP commands run scripts that file, flag and send on (RFC 6785): no message is lost,
//! none is sent on twice, and what was answered with OK is done whole. `ROHRPOST_CRASH_ROUNDS` gives the number of rounds,
//! `ROHRPOST_FIRST_SEED` other moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use blobs::simulation::Chance;
use crash::number;
use e2e::{ADA, BOB, PASSWORD, Server, Setup, wait_for};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

const CLIENTS: u64 = 3;

/// What a message's name in the script's mailbox tells the script to do; `away` is sent on and not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Append,
    Copy,
    Move,
    Store,
    Away,
}

const KINDS: [Kind; 5] = [Kind::Append, Kind::Copy, Kind::Move, Kind::Store, Kind::Away];

/// A message: whether it was there before the command, and whether the command was answered with OK.
struct Tried {
    id: String,
    kind: Kind,
    before: bool,
    answered: bool,
}

fn script() -> String {
    format!(
        r#"require ["imapsieve", "environment", "copy", "fileinto", "imap4flags"];
if environment "imap.mailbox" "Starred" {{
    if not allof (environment "imap.cause" "FLAG", environment :contains "imap.changedflags" "\\Flagged") {{ stop; }}
}}
if header "subject" "Away" {{ redirect "{BOB}"; stop; }}
addflag "scripted";
redirect :copy "{BOB}";
fileinto :copy "Copies";
"#
    )
}

struct Client {
    stream: BufReader<TcpStream>,
    count: u32,
}

impl Client {
    fn login(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut client = Client {
            stream: BufReader::new(stream),
            count: 0,
        };
        client.line()?;
        client.ask(&format!("LOGIN {ADA} \"{PASSWORD}\""))?;
        Some(client)
    }

    /// `None` when there is nobody any more.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(read) if read > 0 && line.ends_with('\n') => Some(line),
            _ => None,
        }
    }

    /// The line that ends the answer; it must be OK.
    fn ask(&mut self, command: &str) -> Option<String> {
        self.count += 1;
        let tag = format!("t{}", self.count);
        write!(self.stream.get_mut(), "{tag} {command}\r\n").ok()?;
        loop {
            let line = self.line()?;
            if line.starts_with(&format!("{tag} ")) {
                assert!(line.starts_with(&format!("{tag} OK")), "{command}: {line}");
                return Some(line);
            }
        }
    }

    /// Puts a message into a mailbox; its UID.
    fn append(&mut self, mailbox: &str, id: &str, kind: Kind) -> Option<u32> {
        let text = format!("From: ann@client.example\r\nMessage-ID: {id}\r\nSubject: {kind:?}\r\n\r\nText.\r\n");
        let line = self.ask(&format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len()))?;
        let uid = line
            .split("APPENDUID ")
            .nth(1)
            .and_then(|rest| rest.split([' ', ']']).nth(1));
        Some(
            uid.and_then(|uid| uid.parse().ok())
                .unwrap_or_else(|| panic!("no UID: {line}")),
        )
    }

    /// The command that runs the script.
    fn act(&mut self, id: &str, kind: Kind, uid: u32) -> Option<()> {
        let (mailbox, command) = match kind {
            Kind::Append => return self.append("Scripted", id, kind).map(|_| ()),
            Kind::Copy => ("INBOX", format!("UID COPY {uid} Scripted")),
            Kind::Move | Kind::Away => ("INBOX", format!("UID MOVE {uid} Scripted")),
            Kind::Store => ("Starred", format!("UID STORE {uid} +FLAGS (\\Flagged)")),
        };
        self.ask(&format!("SELECT {mailbox}"))?;
        self.ask(&command).map(|_| ())
    }
}

/// Works until the server is gone.
fn work(port: u16, name: &str) -> Vec<Tried> {
    let mut all = Vec::new();
    let Some(mut client) = Client::login(port) else {
        return all;
    };
    for (n, kind) in KINDS.into_iter().cycle().enumerate() {
        let id = format!("<{name}-{n}@client.example>");
        let uid = match kind {
            Kind::Append => Some(0),
            Kind::Store => client.append("Starred", &id, kind),
            _ => client.append("INBOX", &id, kind),
        };
        let Some(uid) = uid else { return all };
        let answered = client.act(&id, kind, uid).is_some();
        all.push(Tried {
            id,
            kind,
            before: kind != Kind::Append,
            answered,
        });
        if !answered {
            return all;
        }
    }
    all
}

/// How often each Message-ID is in a mailbox, among what a search finds.
fn count(server: &Server, user: &str, mailbox: &str, search: &str) -> HashMap<String, u32> {
    let mut imap = server.imap(user);
    imap.ok(&format!("EXAMINE {mailbox}"));
    let found = imap.ok(&format!("SEARCH {search}"));
    let numbers: Vec<String> = found
        .iter()
        .filter_map(|line| line.text.strip_prefix("* SEARCH ").map(str::to_owned))
        .flat_map(|numbers| numbers.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut count = HashMap::new();
    if numbers.is_empty() {
        return count;
    }
    for message in imap.messages(&numbers.join(",")) {
        let text = String::from_utf8_lossy(&message).into_owned();
        if let Some(id) = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")) {
            *count.entry(id.trim().to_owned()).or_default() += 1;
        }
    }
    count
}

#[test]
fn no_command_loses_a_message_and_no_script_sends_it_twice() {
    let rounds = number("ROHRPOST_CRASH_ROUNDS", 8);
    let mut chance = Chance::new(number("ROHRPOST_FIRST_SEED", 1));
    let mut server = Server::start_with(Setup {
        settings: "[sieve]\nsent_per_day = 1000000\nevents_expunge = true\n".to_owned(),
        ..Setup::default()
    });
    let file = server.folder().join("events.sieve");
    std::fs::write(&file, script()).unwrap();
    let ran = server.admin(&["sieve", "put", "--account", ADA, "events", file.to_str().unwrap()]);
    assert!(ran.success, "{}", ran.err);
    let mut imap = server.imap(ADA);
    imap.ok("CREATE Copies");
    for mailbox in ["Scripted", "Starred"] {
        imap.ok(&format!("CREATE {mailbox}"));
        imap.ok(&format!("SETMETADATA {mailbox} (/shared/imapsieve/script \"events\")"));
    }
    drop(imap);
    let mut tried: Vec<Tried> = Vec::new();
    for round in 0..rounds {
        let port = server.port("imap");
        let clients: Vec<_> = (0..CLIENTS)
            .map(|c| std::thread::spawn(move || work(port, &format!("r{round}c{c}"))))
            .collect();
        // The moment is what this test is about; there is no condition to wait for.
        std::thread::sleep(Duration::from_millis(200 + chance.below(600) as u64));
        server.kill();
        tried.extend(clients.into_iter().flat_map(|c| c.join().expect("client")));
        server.launch();
        wait_for("the queue to empty", Duration::from_secs(60), || {
            let ran = server.admin(&["queue", "list", "--json"]);
            (ran.success && matches!(ran.text().trim(), "" | "[]")).then_some(())
        });
        let in_mailbox = |mailbox: &str| count(&server, ADA, mailbox, "ALL");
        let (inbox, scripted, starred, copies) = (
            in_mailbox("INBOX"),
            in_mailbox("Scripted"),
            in_mailbox("Starred"),
            in_mailbox("Copies"),
        );
        let mut flagged = count(&server, ADA, "Scripted", "KEYWORD scripted");
        flagged.extend(count(&server, ADA, "Starred", "KEYWORD scripted FLAGGED"));
        let sent = count(&server, BOB, "INBOX", "ALL");
        for Tried {
            id,
            kind,
            before,
            answered,
        } in &tried
        {
            let times = |of: &HashMap<String, u32>| of.get(id).copied().unwrap_or(0);
            let what = format!("{id}: {kind:?}, answered: {answered}, round {round}");
            let (source, place) = match kind {
                Kind::Store => (0, times(&starred)),
                _ => (times(&inbox), times(&scripted)),
            };
            let on = times(&sent);
            assert!(on <= 1 && times(&copies) <= 1 && place <= 1, "{what}: twice");
            match kind {
                Kind::Copy => assert_eq!(source, 1, "{what}: the original"),
                Kind::Move => assert_eq!(source + place, 1, "{what}: lost or doubled"),
                Kind::Store => assert_eq!(place, 1, "{what}: lost"),
                Kind::Away => assert!(source + place + on >= 1, "{what}: lost"),
                Kind::Append => assert!(!before && source == 0, "{what}"),
            }
            if *answered && *kind == Kind::Away {
                assert_eq!((source, place, on), (0, 0, 1), "{what}");
            } else if *answered {
                assert_eq!((place, on, times(&copies), times(&flagged)), (1, 1, 1, 1), "{what}");
            }
        }
        server.assert_sound();
    }
    // Each kind was done, and something was cut off.
    let done: BTreeSet<Kind> = tried.iter().filter(|one| one.answered).map(|one| one.kind).collect();
    assert_eq!(done.len(), KINDS.len(), "{done:?} in {rounds} rounds: that is no load");
    assert!(tried.iter().any(|one| !one.answered), "nothing was cut off");
}
