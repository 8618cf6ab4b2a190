//! URLAUTH (RFC 4467): what a signed URL gives, and to whom.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Mode, PASSWORD, Server, options};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MESSAGE: &str = "Subject: si vis\r\n\r\nSi vis pacem, para bellum.\r\n";

struct Client(BufReader<TcpStream>);

impl Client {
    fn login(server: &Server, user: &str) -> Client {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Client(BufReader::new(stream));
        client.line();
        let answer = client.say(&format!("LOGIN {user} {PASSWORD}"));
        assert!(answer.contains("x OK"), "{answer}");
        client
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "hung up");
        line
    }

    /// All lines of the answer, literals among them.
    fn say(&mut self, command: &str) -> String {
        write!(self.0.get_mut(), "x {command}\r\n").unwrap();
        let mut all = String::new();
        loop {
            let line = self.line();
            all.push_str(&line);
            if line.starts_with("x ") {
                return all;
            }
            if let Some(len) = line.trim_end().strip_suffix('}').and_then(|l| l.rsplit_once('{')) {
                let mut literal = vec![0; len.1.parse().unwrap()];
                self.0.read_exact(&mut literal).unwrap();
                all.push_str(std::str::from_utf8(&literal).unwrap());
            }
        }
    }

    fn sign(&mut self, rump: &str) -> String {
        let answer = self.say(&format!("GENURLAUTH \"{rump}\" INTERNAL"));
        let url = answer
            .strip_prefix("* GENURLAUTH \"")
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_else(|| panic!("{answer}"));
        url.to_owned()
    }

    /// The octets; `None`: NIL.
    fn fetch(&mut self, url: &str) -> Option<String> {
        let answer = self.say(&format!("URLFETCH \"{url}\""));
        assert!(answer.contains("x OK"), "{answer}");
        if answer.starts_with(&format!("* URLFETCH {url} NIL\r\n"))
            || answer.starts_with(&format!("* URLFETCH \"{url}\" NIL\r\n"))
        {
            return None;
        }
        let (_, rest) = answer.split_once("}\r\n").unwrap_or_else(|| panic!("{answer}"));
        Some(rest.strip_suffix("\r\nx OK that is all\r\n").unwrap().to_owned())
    }
}

fn server() -> Server {
    let server = Server::start(Mode::Plain, options());
    let mut ada = Client::login(&server, "ada@rohrpost.test");
    write!(
        ada.0.get_mut(),
        "a APPEND INBOX {{{}+}}\r\n{MESSAGE}\r\n",
        MESSAGE.len()
    )
    .unwrap();
    while !ada.line().starts_with("a OK") {}
    server
}

#[test]
fn whom_a_url_lets_in() {
    let server = server();
    let host = options().hostname;
    let mut ada = Client::login(&server, "ada@rohrpost.test");
    let mut bob = Client::login(&server, "bob@rohrpost.test");
    let rump = |path: &str, access: &str| format!("imap://ada@rohrpost.test@{host}/INBOX{path};URLAUTH={access}");
    // The user's @ is to be %40 in a URL; whoever leaves it is understood too.
    let encoded = |path: &str, access: &str| rump(path, access).replacen("ada@rohrpost", "ada%40rohrpost", 1);
    let body = "Si vis pacem, para bellum.\r\n";
    for (url, adas, bobs) in [
        (encoded("/;UID=1/;SECTION=TEXT", "anonymous"), Some(body), Some(body)),
        (rump("/;UID=1/;SECTION=TEXT", "authuser"), Some(body), Some(body)),
        (encoded("/;UID=1", "user+bob@rohrpost.test"), None, Some(MESSAGE)),
        (encoded("/;UID=1", "submit+ada@rohrpost.test"), None, None),
        (
            encoded("/;UID=1/;SECTION=TEXT/;PARTIAL=3.3", "anonymous"),
            Some("vis"),
            Some("vis"),
        ),
        (
            encoded("/;UID=1;EXPIRE=2099-12-31T23:59:59Z", "anonymous"),
            Some(MESSAGE),
            Some(MESSAGE),
        ),
        (encoded("/;UID=1;EXPIRE=2005-05-18T12:00:00Z", "anonymous"), None, None),
        (encoded("/;UID=77", "anonymous"), None, None),
        (encoded("/;UID=1/;SECTION=9", "anonymous"), None, None),
    ] {
        let signed = ada.sign(&url);
        assert!(signed.starts_with(&format!("{url}:internal:")), "{signed}");
        assert_eq!(ada.fetch(&signed).as_deref(), adas, "{url}");
        assert_eq!(bob.fetch(&signed).as_deref(), bobs, "{url}");
        // Nobody makes more of it than it is for.
        for forged in [
            signed.replacen("UID=1", "UID=2", 1),
            signed.replacen("anonymous", "authuser", 1),
            signed.replacen("2005", "2099", 1),
            format!("{}0", &signed[..signed.len() - 1]),
            url.clone(),
        ] {
            if forged != signed {
                assert_eq!(bob.fetch(&forged), None, "{forged}");
            }
        }
    }
}

#[test]
fn what_cannot_be_signed() {
    let server = server();
    let host = options().hostname;
    let mut ada = Client::login(&server, "ada@rohrpost.test");
    for url in [
        format!("imap://bob%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=anonymous"),
        format!("imap://nobody%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=anonymous"),
        "imap://ada%40rohrpost.test@elsewhere.example/INBOX/;UID=1;URLAUTH=anonymous".to_owned(),
        format!("imap://ada%40rohrpost.test@{host}/nowhere/;UID=1;URLAUTH=anonymous"),
        format!("imap://ada%40rohrpost.test@{host}/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=anonymous"),
        format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1"),
        format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=everybody"),
        format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=user+"),
        format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous"),
        format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=anonymous:internal:00"),
        "/INBOX/;UID=1;URLAUTH=anonymous".to_owned(),
    ] {
        let answer = ada.say(&format!("GENURLAUTH \"{url}\" INTERNAL"));
        assert!(answer.starts_with("x NO [BADURL "), "{url}: {answer}");
    }
    let url = format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=anonymous");
    assert!(ada.say(&format!("GENURLAUTH \"{url}\" XSAMPLE")).starts_with("x BAD"));
    let many = format!("URLFETCH{}", " x".repeat(101));
    assert!(ada.say(&many).starts_with("x BAD"));
}

#[test]
fn a_key_taken_away() {
    let server = server();
    let host = options().hostname;
    let mut ada = Client::login(&server, "ada@rohrpost.test");
    let mut bob = Client::login(&server, "bob@rohrpost.test");
    let url = format!("imap://ada%40rohrpost.test@{host}/INBOX/;UID=1;URLAUTH=anonymous");
    for reset in ["RESETKEY", "RESETKEY INBOX", "RESETKEY INBOX INTERNAL"] {
        let signed = ada.sign(&url);
        assert!(bob.fetch(&signed).is_some());
        // Another's key is not to be taken away.
        bob.say(reset);
        assert!(bob.fetch(&signed).is_some());
        let answer = ada.say(reset);
        assert!(answer.starts_with("x OK [URLMECH INTERNAL]"), "{answer}");
        assert_eq!(bob.fetch(&signed), None, "{reset}");
    }
    assert!(ada.say("RESETKEY nowhere").starts_with("x NO [NONEXISTENT]"));
    assert!(ada.say("RESETKEY INBOX XSAMPLE").starts_with("x BAD"));
}
