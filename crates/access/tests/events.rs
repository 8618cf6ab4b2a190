//! What scripts on IMAP events (RFC 6785) send, what they leave behind, and where they are bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

struct Client {
    stream: BufReader<TcpStream>,
    count: u32,
}

impl Client {
    fn login(server: &Server) -> Client {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut client = Client {
            stream: BufReader::new(stream),
            count: 0,
        };
        client.line();
        client.ask(&format!("LOGIN ada@rohrpost.test {PASSWORD}"));
        client
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "the server hung up");
        line.trim_end().to_owned()
    }

    /// The lines of the answer; the last one is OK.
    fn ask(&mut self, command: &str) -> Vec<String> {
        self.count += 1;
        let tag = format!("t{}", self.count);
        write!(self.stream.get_mut(), "{tag} {command}\r\n").unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let end = line.starts_with(&tag);
            lines.push(line);
            if end {
                break;
            }
        }
        let last = lines.last().unwrap();
        assert!(last.starts_with(&format!("{tag} OK")), "{command}: {lines:?}");
        lines
    }

    fn append(&mut self, mailbox: &str, subject: &str) {
        let message = format!("Subject: {subject}\r\nMessage-ID: <{subject}@x.example>\r\n\r\nHello\r\n");
        self.ask(&format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len()));
    }

    fn flags(&mut self) -> String {
        self.ask("SELECT Scripted");
        let lines = self.ask("FETCH * (FLAGS)");
        lines.into_iter().find(|line| line.contains("FETCH")).unwrap()
    }
}

fn server(script: &str, scripts: filter::Options) -> (Server, Client) {
    let server = Server::start_filtering(Mode::Plain, options(), scripts);
    server.scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts"));
    let mut client = Client::login(&server);
    client.ask("CREATE Scripted");
    client.ask(&format!("SETMETADATA Scripted (/shared/imapsieve/script \"{script}\")"));
    (server, client)
}

fn plain() -> filter::Options {
    filter::Options::new("mail.rohrpost.test")
}

/// All that is in custody: sender, recipient, what it is.
fn custody(server: &Server) -> Vec<(String, String, String)> {
    let records = server.ledger.trace(&ledger::Filter::default(), 100).unwrap();
    let row = |record: ledger::Record| {
        let notes = record.acceptance.notes.clone().unwrap_or_default();
        let kind = notes.split(' ').next().unwrap_or_default().to_owned();
        (
            record.acceptance.sender.clone(),
            record.recipients[0].address.clone(),
            kind,
        )
    };
    records.into_iter().map(row).collect()
}

#[test]
fn what_goes_out_is_in_custody_when_the_command_is_answered() {
    for (subject, sent, deleted) in [
        (
            "on",
            Some(("ada@rohrpost.test", "friend@elsewhere.example", "redirect")),
            false,
        ),
        (
            "forward",
            Some(("ada@rohrpost.test", "friend@elsewhere.example", "redirect")),
            true,
        ),
        (
            "ours",
            Some(("ada@rohrpost.test", "bob@rohrpost.test", "redirect")),
            true,
        ),
        // Nobody would take it: it stays.
        ("nobody", None, false),
        (
            "tell",
            Some(("ada@rohrpost.test", "friend@elsewhere.example", "notify")),
            false,
        ),
        ("other", None, false),
    ] {
        let (server, mut client) = server("send", plain());
        client.append("Scripted", subject);
        let expected: Vec<_> = sent
            .map(|(from, to, kind)| (from.to_owned(), to.to_owned(), kind.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(custody(&server), expected, "{subject}");
        let flags = client.flags();
        assert_eq!(flags.contains("\\Deleted"), deleted, "{subject}: {flags}");
    }
}

#[test]
fn a_script_that_is_not_for_events_is_told_of_once() {
    let (server, mut client) = server("delivery", plain());
    client.append("Scripted", "one");
    client.append("Scripted", "two");
    assert!(!client.flags().contains("lost"));
    let told = [(String::new(), "ada@rohrpost.test".to_owned(), "fault".to_owned())];
    assert_eq!(custody(&server), told);
    let ada = server.directory.account_show("ada@rohrpost.test").unwrap().id;
    let script = server
        .store
        .account(ada)
        .unwrap()
        .script_read("delivery")
        .unwrap()
        .unwrap();
    assert!(script.info.fault.unwrap().text.contains("RFC 6785"));
}

#[test]
fn what_is_not_kept_can_be_taken_away_at_once() {
    let mut scripts = plain();
    scripts.events.expunge = true;
    let (_server, mut client) = server("rules", scripts);
    client.ask("CREATE Copies");
    // A message that the client has marked itself is not the script's to take.
    client.append("Scripted", "other");
    client.ask("SELECT Scripted");
    client.ask("STORE 1 +FLAGS.SILENT (\\Deleted)");
    client.append("Scripted", "away");
    client.append("Scripted", "move");
    let status = client.ask("STATUS Scripted (MESSAGES)");
    assert!(status[0].contains("MESSAGES 1"), "{status:?}");
    let status = client.ask("STATUS Copies (MESSAGES)");
    assert!(status[0].contains("MESSAGES 1"), "{status:?}");
}

#[test]
fn one_command_has_its_share() {
    let mut scripts = plain();
    scripts.events.messages = 70;
    let (_server, mut client) = server("rules", scripts);
    for _ in 0..100 {
        client.append("INBOX", "copy");
    }
    client.ask("CREATE Copies");
    client.ask("SELECT INBOX");
    let lines = client.ask("COPY 1:* Scripted");
    let told = "* NO [LIMIT] the script has not run for the last 30 of 100 messages: that is too much for one command";
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
    let status = client.ask("STATUS Copies (MESSAGES)");
    assert!(status[0].contains("MESSAGES 70"), "{status:?}");
    let status = client.ask("STATUS Scripted (MESSAGES)");
    assert!(status[0].contains("MESSAGES 100"), "{status:?}");
}

#[test]
fn a_full_account_gets_no_copies() {
    let (server, mut client) = server("rules", plain());
    client.ask("CREATE Copies");
    let ada = server.directory.account_show("ada@rohrpost.test").unwrap().id;
    server.directory.quota_set(ada, None, Some(1)).unwrap();
    client.append("Scripted", "move");
    assert!(!client.flags().contains("\\Deleted"), "what was not filed must stay");
    let status = client.ask("STATUS Copies (MESSAGES)");
    assert!(status[0].contains("MESSAGES 0"), "{status:?}");
    // What was decided, and why it was not done, is kept.
    let decisions = server.store.account(ada).unwrap().decision_list(10).unwrap();
    let plan = filter::Plan::decode(&decisions[0].plan).unwrap();
    assert!(
        plan.detail
            .starts_with("Sieve, on APPEND in Scripted of UID 1 by ada@rohrpost.test"),
        "{}",
        plan.detail
    );
    let why = plan.explain().join("\n");
    assert!(
        why.contains("line 14: header \"subject\" \"move\"") && why.contains("not filed"),
        "{why}"
    );
}

#[test]
fn the_administrators_script_runs_everywhere_and_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.sieve");
    std::fs::write(
        &file,
        "require [\"imapsieve\", \"environment\", \"imap4flags\"]; if environment \"imap.mailbox\" \"INBOX\" { addflag \"first\"; }",
    )
    .unwrap();
    let mut scripts = plain();
    scripts.events.script = Some(file);
    let (_server, mut client) = server("rules", scripts);
    client.append("INBOX", "other");
    client.append("Scripted", "other");
    client.ask("SELECT INBOX");
    let flags = client.ask("FETCH 1 (FLAGS)").join(" ");
    assert!(flags.contains("first") && !flags.contains("onAPPEND"), "{flags}");
    let flags = client.flags();
    assert!(flags.contains("onAPPEND") && !flags.contains("first"), "{flags}");
}

#[test]
fn switched_off_nothing_runs() {
    let mut scripts = plain();
    scripts.events.enabled = false;
    let (_server, mut client) = server("rules", scripts);
    client.append("Scripted", "away");
    assert!(!client.flags().contains("\\Deleted"));
}

#[test]
fn the_capability_names_the_server_where_scripts_are() {
    let mut imap = options();
    imap.sieve_url = Some("sieve://mail.rohrpost.test".to_owned());
    let server = Server::start(Mode::Plain, imap);
    let mut client = Client::login(&server);
    let lines = client.ask("CAPABILITY");
    assert!(lines[0].contains(" IMAPSIEVE=sieve://mail.rohrpost.test"), "{lines:?}");
}
