//! Commands on many messages. RFC 9738 (MESSAGELIMIT).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use common::client::{Client, Modes, Reply};
use common::{Mode, PASSWORD, Server, options};

fn with_messages(server: &Server, count: usize) -> Client {
    let mut client = Client::open(server.address, "a", "ada@rohrpost.test", PASSWORD, Modes::default());
    for number in 0..count {
        client.append("INBOX", "", &format!("Subject: {number}\r\n\r\ntext\r\n"));
    }
    client.ok("SELECT INBOX");
    client
}

fn numbers(reply: &Reply) -> Vec<u32> {
    reply.fetched.iter().map(|fetched| fetched.number).collect()
}

#[test]
fn a_limit_is_announced_and_kept() {
    let mut options = options();
    options.messages_per_command = Some(3);
    let server = Server::start(Mode::Plain, options);
    let mut client = with_messages(&server, 8);
    let capabilities = client.ok("CAPABILITY");
    assert!(
        capabilities.others.iter().any(|line| line.contains(" MESSAGELIMIT=3")),
        "{capabilities:?}"
    );
    let reply = client.ok("FETCH 1:* FLAGS");
    assert_eq!(
        (numbers(&reply), reply.code("MESSAGELIMIT")),
        (vec![6, 7, 8], Some("3 6".to_owned()))
    );
    let reply = client.ok("UID FETCH 1:5 UID");
    assert_eq!(
        (numbers(&reply), reply.code("MESSAGELIMIT")),
        (vec![3, 4, 5], Some("3 3".to_owned()))
    );
    let reply = client.ok("FETCH 1:3 FLAGS");
    assert_eq!((numbers(&reply), reply.code("MESSAGELIMIT")), (vec![1, 2, 3], None));
    let reply = client.ok("STORE 1:4 +FLAGS (\\Flagged)");
    assert_eq!(
        (numbers(&reply), reply.code("MESSAGELIMIT")),
        (vec![2, 3, 4], Some("3 2".to_owned()))
    );
    for command in ["COPY 1:4 Archive", "MOVE 1:4 Archive"] {
        let reply = client.command(command);
        assert_eq!(
            (reply.status.as_str(), reply.code("MESSAGELIMIT")),
            ("NO", Some("3".to_owned())),
            "{command}"
        );
    }
    client.ok("MOVE 1:3 Archive");
    let reply = client.command("APPEND INBOX {1+}\r\na {1+}\r\nb {1+}\r\nc {1+}\r\nd");
    assert_eq!(
        (reply.status.as_str(), reply.code("MESSAGELIMIT")),
        ("NO", Some("3".to_owned()))
    );
    assert_eq!(client.messages.len(), 5);
    // A search looks at all. Of UID EXPUNGE, those count that it takes away.
    let all = client.ok("SEARCH ALL");
    assert_eq!(
        (all.found.clone(), all.code("MESSAGELIMIT")),
        (Some(vec![1, 2, 3, 4, 5]), None)
    );
    client.ok("UID STORE 4:6 +FLAGS (\\Deleted)");
    client.ok("UID STORE 8 +FLAGS (\\Deleted)");
    let reply = client.ok("UID EXPUNGE 1:*");
    assert_eq!(reply.code("MESSAGELIMIT"), Some("3 5".to_owned()));
    assert_eq!(client.messages.len(), 2);
    let reply = client.ok("UID EXPUNGE 1:*");
    assert_eq!(reply.code("MESSAGELIMIT"), None);
    assert_eq!(client.messages.len(), 1);
}
