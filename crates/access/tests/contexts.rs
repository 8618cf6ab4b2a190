//! Bounds of the results that are kept up to date (RFC 5267 §4.3.1), and those that change with time alone (RFC 5032).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Line(BufReader<TcpStream>);

impl Line {
    fn open(server: &Server) -> Line {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut line = Line(BufReader::new(stream));
        line.hear();
        line.say(&format!("1 LOGIN ada@rohrpost.test {PASSWORD}"));
        line.until("1 OK");
        line
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the server hung up");
        line.trim_end().to_owned()
    }

    fn until(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.hear();
            let done = line.starts_with(start);
            lines.push(line);
            if done {
                return lines;
            }
            assert!(lines.len() < 1000, "{lines:#?}");
        }
    }
}

#[test]
fn no_more_than_allowed() {
    let options = access::imap::Options {
        contexts: 2,
        ..options()
    };
    let server = Server::start(Mode::Plain, options);
    let mut ada = Line::open(&server);
    ada.say("2 SELECT INBOX");
    ada.until("2 OK");
    for (tag, refused) in [("a", false), ("b", false), ("c", true)] {
        ada.say(&format!("{tag} SEARCH RETURN (UPDATE COUNT) ALL"));
        let lines = ada.until(&format!("{tag} OK"));
        // Whatever else was asked for is answered.
        assert_eq!(lines[0], format!("* ESEARCH (TAG \"{tag}\") COUNT 0"));
        let no = lines
            .iter()
            .any(|line| line.starts_with(&format!("* NO [NOUPDATE \"{tag}\"]")));
        assert_eq!(no, refused, "{lines:?}");
    }
    // What was refused leaves its tag free.
    ada.say("3 CANCELUPDATE \"c\"");
    ada.until("3 BAD");
    ada.say("4 CANCELUPDATE \"a\"");
    ada.until("4 OK");
    ada.say("c SEARCH RETURN (UPDATE COUNT) ALL");
    assert_eq!(ada.until("c OK").len(), 2);
}

#[test]
fn time_passes() {
    let options = access::imap::Options {
        ageing: Duration::from_millis(50),
        ..options()
    };
    let server = Server::start(Mode::Plain, options);
    let mut ada = Line::open(&server);
    ada.say("2 APPEND INBOX {1+}\r\nx");
    ada.until("2 OK");
    ada.say("3 SELECT INBOX");
    ada.until("3 OK");
    ada.say("old UID SEARCH RETURN (UPDATE ALL) OLDER 3");
    let mut heard = ada.until("old OK");
    ada.say("new SORT RETURN (UPDATE ALL) (SIZE) UTF-8 YOUNGER 3");
    heard.extend(ada.until("new OK"));
    ada.say("4 IDLE");
    // Where this machine took more than three seconds to come here, it was told so at once.
    let young = heard.contains(&"* ESEARCH (TAG \"new\") ALL 1".to_owned());
    let was_old = heard.contains(&"* ESEARCH (TAG \"old\") UID ALL 1".to_owned());
    let mut expected = Vec::new();
    if young {
        expected.push("* ESEARCH (TAG \"new\") REMOVEFROM (1 1)".to_owned());
    }
    if !was_old {
        expected.push("* ESEARCH (TAG \"old\") UID ADDTO (0 1)".to_owned());
    }
    while !expected.iter().all(|line| heard.contains(line)) {
        heard.push(ada.hear());
    }
    ada.say("DONE");
    ada.until("4 OK");
    ada.say("5 UID SEARCH RETURN (ALL) OLDER 3");
    assert_eq!(ada.until("5 OK")[0], "* ESEARCH (TAG \"5\") UID ALL 1");
}
