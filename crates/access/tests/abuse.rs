//! Clients that mean harm, or do it: what is never sent, what never ends, what is far too much, and mailboxes that change under one's
//! feet. Each is answered or thrown out, and others are served meanwhile.

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
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn ada(server: &Server, name: &str) -> Client {
    Client::open(server.address, name, "ada@rohrpost.test", PASSWORD, Modes::default())
}

/// A connection without any manners, logged in.
fn raw(server: &Server) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut raw = BufReader::new(stream);
    until(&mut raw, "* OK");
    send(&mut raw, format!("l LOGIN ada@rohrpost.test {PASSWORD}\r\n").as_bytes());
    until(&mut raw, "l OK");
    raw
}

fn send(raw: &mut BufReader<TcpStream>, octets: &[u8]) {
    raw.get_mut().write_all(octets).unwrap();
}

/// Lines up to one that begins so; the last one.
fn until(raw: &mut BufReader<TcpStream>, start: &str) -> String {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = raw.read_until(b'\n', &mut line).unwrap();
        let text = String::from_utf8_lossy(&line);
        assert!(read > 0, "hung up before {start}");
        if text.starts_with(start) {
            return text.into_owned();
        }
    }
}

fn to_the_end(raw: &mut BufReader<TcpStream>) -> String {
    let mut rest = Vec::new();
    let _ = raw.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn a_literal_that_never_comes() {
    let mut options = options();
    options.connection.login_idle = Duration::from_millis(300);
    options.connection.idle = Duration::from_millis(400);
    options.connection.stall = Duration::from_millis(300);
    let server = Server::start(Mode::Plain, options);
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut waiting = BufReader::new(stream);
    until(&mut waiting, "* OK");
    send(&mut waiting, b"a LOGIN {10}\r\n");
    until(&mut waiting, "+ ");
    assert!(to_the_end(&mut waiting).starts_with("* BYE"), "before login");
    for command in [
        "a SELECT {10}\r\nINB",
        "a APPEND INBOX {10000}\r\nhalf",
        "a APPEND INBOX {3+}\r\none {5}\r\n",
    ] {
        let mut waiting = raw(&server);
        send(&mut waiting, command.as_bytes());
        let end = to_the_end(&mut waiting);
        assert!(end.contains("* BYE"), "{command}: {end}");
    }
    // Nothing of it is kept.
    let mut client = raw(&server);
    send(&mut client, b"s STATUS INBOX (MESSAGES)\r\n");
    assert!(until(&mut client, "* STATUS").contains("MESSAGES 0"));
}

#[test]
fn sets_without_end() {
    let server = Server::start(Mode::Plain, options());
    let mut client = raw(&server);
    for _ in 0..3 {
        send(&mut client, b"a APPEND INBOX {1+}\r\nx\r\n");
        until(&mut client, "a OK");
    }
    send(&mut client, b"b SELECT INBOX\r\n");
    until(&mut client, "b OK");
    // As long as a line may be: every second UID.
    let mut set: String = (1..11_000).map(|n| format!("{},", n * 2 - 1)).collect();
    set.pop();
    for command in [
        format!("UID FETCH {set} UID"),
        format!("UID SEARCH UID {set}"),
        format!("UID STORE {set} +FLAGS.SILENT (x)"),
    ] {
        send(&mut client, format!("c {command}\r\n").as_bytes());
        until(&mut client, "c OK");
    }
    // Too long, but it ends: refused, and the session goes on.
    let set = format!("{set},").repeat(10);
    send(&mut client, format!("d UID FETCH {set}1 UID\r\n").as_bytes());
    assert!(until(&mut client, "d ").starts_with("d BAD"));
    // Ranges that all overlap, and backwards.
    let set = "1:*,*:1,4294967295:1,".repeat(3000);
    send(&mut client, format!("e UID FETCH {set}1 UID\r\n").as_bytes());
    assert!(until(&mut client, "e ").starts_with("e OK"));
    // A million ranges: thrown out long before the end.
    let part = "1:2,".repeat(10_000);
    send(&mut client, b"f UID FETCH ");
    let mut thrown_out = false;
    for _ in 0..100 {
        thrown_out = thrown_out || client.get_mut().write_all(part.as_bytes()).is_err();
    }
    let end = to_the_end(&mut client);
    assert!(thrown_out || end.contains("BYE"), "{end}");
    ada(&server, "other").ok("NOOP");
}

#[test]
fn search_keys_in_each_other() {
    let server = Server::start(Mode::Plain, options());
    let mut client = raw(&server);
    send(&mut client, b"b SELECT INBOX\r\n");
    until(&mut client, "b OK");
    let deep = 1000;
    for keys in [
        format!("{}ALL", "NOT ".repeat(deep)),
        format!("{}ALL{}", "(".repeat(deep), ")".repeat(deep)),
        format!("{}ALL", "OR ALL ".repeat(deep)),
        format!("{}ALL ALL", "OR (NOT ".repeat(deep)),
    ] {
        send(&mut client, format!("c SEARCH {keys}\r\n").as_bytes());
        assert!(until(&mut client, "c ").starts_with("c BAD"), "{keys}");
    }
    // Many beside each other are no trouble.
    send(
        &mut client,
        format!("d SEARCH {}ALL\r\n", "SUBJECT x ".repeat(900)).as_bytes(),
    );
    until(&mut client, "d OK");
}

/// Asks for everything, again and again, and does not read. Others are served; and when it reads, it gets all it asked for.
#[test]
fn everything_again_and_again() {
    let server = Server::start(Mode::Plain, options());
    let mut other = ada(&server, "other");
    let messages = 500;
    let append = format!("APPEND INBOX {}{{1+}}\r\nx", "{1+}\r\nx ".repeat(messages - 1));
    other.ok(&append);
    let mut storm = raw(&server);
    send(&mut storm, b"s SELECT INBOX\r\n");
    until(&mut storm, "s OK");
    let writer = storm.get_ref().try_clone().unwrap();
    let rounds = 200;
    let asking = std::thread::spawn(move || {
        let mut writer = writer;
        for round in 0..rounds {
            writer
                .write_all(format!("r{round} FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)\r\n").as_bytes())
                .unwrap();
        }
    });
    other.ok("SELECT INBOX");
    for _ in 0..20 {
        other.ok("NOOP");
        other.ok("UID SEARCH ALL");
    }
    for round in 0..rounds {
        until(&mut storm, &format!("r{round} OK"));
    }
    asking.join().unwrap();
}

/// While a long answer is on its way the mailbox is renamed, its messages are expunged, it is deleted. What was begun is finished, the
/// rest is refused, and the session ends when the mailbox does.
#[test]
fn gone_in_the_middle() {
    let server = Server::start(Mode::Plain, options());
    let mut other = ada(&server, "other");
    other.ok("CREATE Box");
    let body = format!("Subject: x\r\n\r\n{}", "0123456789abcdef\r\n".repeat(500_000));
    for _ in 0..3 {
        other.append("Box", "", &body);
    }
    let mut reader = raw(&server);
    send(&mut reader, b"s SELECT Box\r\n");
    until(&mut reader, "s OK");
    send(&mut reader, b"f FETCH 1:3 (UID BODY.PEEK[])\r\n");
    let first = until(&mut reader, "* 1 FETCH");
    assert!(first.contains(&format!("{{{}}}", body.len())), "{first}");
    // More is under way than fits between two sockets.
    other.ok("RENAME Box Case");
    other.ok("SELECT Case");
    other.ok("UID FETCH 1:* (FLAGS)");
    other.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)");
    other.ok("EXPUNGE");
    other.ok("UNSELECT");
    other.ok("DELETE Case");
    let mut octets = vec![0; body.len()];
    reader.read_exact(&mut octets).unwrap();
    assert!(octets == body.as_bytes(), "the message that was begun is not whole");
    let end = to_the_end_or_tag(&mut reader);
    assert!(end.starts_with("f ") || end.starts_with("* BYE"), "{end}");
}

fn to_the_end_or_tag(raw: &mut BufReader<TcpStream>) -> String {
    let mut line = Vec::new();
    loop {
        line.clear();
        assert!(
            raw.read_until(b'\n', &mut line).unwrap() > 0,
            "the connection broke off"
        );
        let text = String::from_utf8_lossy(&line);
        if text.starts_with("f ") || text.starts_with("* BYE") {
            return text.into_owned();
        }
    }
}
