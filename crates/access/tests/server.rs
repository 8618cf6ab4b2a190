//! What dialogues can't show: TLS and SCRAM, large messages, damage, memory, stopping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::print_stderr
)]

mod common;

use aws_lc_rs::{digest, hmac, pbkdf2};
use common::{Mode, PASSWORD, Server, options};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// A client that speaks lines.
struct Client<S: Read> {
    reader: BufReader<S>,
}

impl<S: Wire> Client<S> {
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
        self.reader.get_mut().flush().unwrap();
    }

    /// Lines up to the tagged one.
    fn ask(&mut self, command: &str) -> Vec<String> {
        let tag = command.split(' ').next().unwrap();
        self.send(&format!("{command}\r\n"));
        self.until(tag)
    }

    fn until(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty() || lines.len() < 10_000);
            let last = line.starts_with(&format!("{tag} "));
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    fn login(&mut self) {
        let answer = self.ask(&format!("l LOGIN ada@rohrpost.test {PASSWORD}"));
        assert!(answer[0].starts_with("l OK"), "{answer:?}");
    }
}

fn tcp(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn plain(server: &Server) -> Client<TcpStream> {
    let mut client = Client {
        reader: BufReader::new(tcp(server)),
    };
    assert!(client.line().starts_with("* OK"));
    client
}

type TlsClient = Client<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>;

fn tls(server: &Server, stream: TcpStream) -> TlsClient {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate.clone().unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    Client {
        reader: BufReader::new(rustls::StreamOwned::new(connection, stream)),
    }
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// The client's side of RFC 5802; gives the last line.
fn scram<S: Wire>(client: &mut Client<S>, mechanism: &str, gs2: &str, binding: &[u8], password: &str) -> String {
    let bare = "n=ada@rohrpost.test,r=clientnonce";
    client.send(&format!(
        "s AUTHENTICATE {mechanism} {}\r\n",
        base64(format!("{gs2}{bare}").as_bytes())
    ));
    let line = client.line();
    let Some(challenge) = line.strip_prefix("+ ") else {
        return line;
    };
    let first = String::from_utf8(unbase64(challenge)).unwrap();
    let field = |name: &str| first.split(',').find_map(|f| f.strip_prefix(name)).unwrap();
    let iterations: u32 = field("i=").parse().unwrap();
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations.try_into().unwrap(),
        &unbase64(field("s=")),
        password.as_bytes(),
        &mut salted,
    );
    let mac = |key: &[u8], data: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
            .as_ref()
            .to_vec()
    };
    let client_key = mac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &client_key);
    let channel = base64(&[gs2.as_bytes(), binding].concat());
    let without_proof = format!("c={channel},r={}", field("r="));
    let signature = mac(stored.as_ref(), format!("{bare},{first},{without_proof}").as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    client.send(&format!(
        "{}\r\n",
        base64(format!("{without_proof},p={}", base64(&proof)).as_bytes())
    ));
    let line = client.line();
    if line.starts_with("+ ") {
        client.send("\r\n");
        return client.line();
    }
    line
}

#[test]
fn starttls_and_what_came_before_it() {
    let server = Server::start(Mode::StartTls, options());
    let mut client = plain(&server);
    let capability = client.ask("1 CAPABILITY");
    assert!(
        capability[0].contains("STARTTLS") && capability[0].contains("LOGINDISABLED"),
        "{capability:?}"
    );
    assert!(!capability[0].contains("AUTH=PLAIN"));
    let refused = client.ask(&format!("2 LOGIN ada@rohrpost.test {PASSWORD}"));
    assert!(refused[0].starts_with("2 NO [PRIVACYREQUIRED]"), "{refused:?}");
    let refused = client.ask("3 AUTHENTICATE PLAIN");
    assert!(refused[0].starts_with("3 NO [PRIVACYREQUIRED]"), "{refused:?}");
    // A command in the same packet is somebody else's.
    client.send("4 STARTTLS\r\n5 NOOP\r\n");
    assert!(client.line().starts_with("4 OK"));
    assert!(client.reader.buffer().is_empty());
    let mut client = tls(&server, client.reader.into_inner());
    let capability = client.ask("6 CAPABILITY");
    assert_eq!(capability.len(), 2, "{capability:?}");
    assert!(
        capability[0].contains("AUTH=PLAIN") && capability[0].contains("AUTH=SCRAM-SHA-256-PLUS"),
        "{capability:?}"
    );
    assert!(!capability[0].contains("STARTTLS") && !capability[0].contains("LOGINDISABLED"));
    assert!(client.ask("7 STARTTLS")[0].starts_with("7 BAD"));
    client.login();
}

#[test]
fn scram_with_and_without_channel_binding() {
    let server = Server::start(Mode::Immediate, options());
    let connect = || {
        let mut client = tls(&server, tcp(&server));
        assert!(client.line().starts_with("* OK"));
        let connection = &client.reader.get_ref().conn;
        let binding = connection
            .export_keying_material([0u8; 32], b"EXPORTER-Channel-Binding", Some(&[]))
            .unwrap();
        (client, binding)
    };
    let (mut client, binding) = connect();
    let answer = scram(
        &mut client,
        "SCRAM-SHA-256-PLUS",
        "p=tls-exporter,,",
        &binding,
        PASSWORD,
    );
    assert!(answer.starts_with("s OK [CAPABILITY"), "{answer}");
    assert!(client.ask("1 SELECT INBOX").last().unwrap().starts_with("1 OK"));
    let (mut client, _) = connect();
    let answer = scram(&mut client, "SCRAM-SHA-256", "n,,", b"", PASSWORD);
    assert!(answer.starts_with("s OK"), "{answer}");
    let (mut client, _) = connect();
    let answer = scram(&mut client, "SCRAM-SHA-256", "n,,", b"", "wrong");
    assert!(answer.starts_with("s NO [AUTHENTICATIONFAILED]"), "{answer}");
    // Somebody in between has another channel.
    let (mut client, _) = connect();
    let answer = scram(
        &mut client,
        "SCRAM-SHA-256-PLUS",
        "p=tls-exporter,,",
        &[7; 32],
        PASSWORD,
    );
    assert!(!answer.starts_with("s OK"), "{answer}");
    // Somebody has taken -PLUS out of the list.
    let (mut client, _) = connect();
    let answer = scram(&mut client, "SCRAM-SHA-256", "y,,", b"", PASSWORD);
    assert!(!answer.starts_with("s OK"), "{answer}");
}

/// Bytes without a pattern that compresses.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[(state >> 59) as usize]
        })
        .collect()
}

fn append(client: &mut Client<TcpStream>, message: &[u8]) {
    client.send(&format!("a APPEND INBOX {{{}+}}\r\n", message.len()));
    client.reader.get_mut().write_all(message).unwrap();
    client.send("\r\n");
    let answer = client.until("a");
    assert!(answer.last().unwrap().starts_with("a OK"), "{answer:?}");
}

fn fetch(client: &mut Client<TcpStream>, item: &str, uid: usize) -> Vec<u8> {
    client.send(&format!("f UID FETCH {uid} {item}\r\n"));
    let head = loop {
        let line = client.line();
        if line.ends_with('}') {
            break line;
        }
        assert!(!line.starts_with("f "), "{line}");
    };
    let len: usize = head.rsplit('{').next().unwrap().trim_end_matches('}').parse().unwrap();
    let mut octets = vec![0; len];
    client.reader.read_exact(&mut octets).unwrap();
    let answer = client.until("f");
    assert!(answer.last().unwrap().starts_with("f OK"), "{answer:?}");
    octets
}

#[test]
fn every_size_comes_out_as_it_went_in() {
    let server = Server::start(Mode::Plain, options());
    let mut client = plain(&server);
    client.login();
    client.ask("1 SELECT INBOX");
    let sizes = [
        1,
        2,
        3,
        1000,
        4095,
        4096,
        4097,
        65535,
        65536,
        131_072,
        262_143,
        262_144,
        262_145,
        1 << 20,
        (1 << 20) + 1,
        20 << 20,
    ];
    for (uid, size) in sizes.into_iter().enumerate() {
        let message = [&b"Subject: x\r\n\r\n"[..], &noise(size)].concat();
        let message = &message[..size];
        append(&mut client, message);
        assert!(fetch(&mut client, "BODY.PEEK[]", uid + 1) == message, "{size}");
        if size > 100 {
            assert!(
                fetch(&mut client, "BODY.PEEK[]<50.1000000000>", uid + 1) == message[50..],
                "{size}"
            );
            assert!(
                fetch(&mut client, "BODY.PEEK[TEXT]", uid + 1) == message[14..],
                "{size}"
            );
        }
    }
}

#[test]
fn a_large_part_is_decoded_in_pieces() {
    let server = Server::start(Mode::Plain, options());
    let mut client = plain(&server);
    client.login();
    client.ask("1 SELECT INBOX");
    let content: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let encoded = base64(&content);
    let mut message = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    for line in encoded.as_bytes().chunks(76) {
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
    append(&mut client, &message);
    assert!(fetch(&mut client, "BINARY.PEEK[1]", 1) == content);
    assert!(fetch(&mut client, "BINARY.PEEK[1]<1000000.500000>", 1) == content[1_000_000..1_500_000]);
    let size = client.ask("2 FETCH 1 BINARY.SIZE[1]");
    assert!(size[0].contains("BINARY.SIZE[1] 3000000"), "{size:?}");
}

#[test]
fn a_damaged_message_answers_an_error_and_the_rest_runs_on() {
    let server = Server::start(Mode::Plain, options());
    let mut client = plain(&server);
    client.login();
    client.ask("1 SELECT INBOX");
    append(&mut client, &[&b"Subject: one\r\n\r\n"[..], &noise(50_000)].concat());
    append(&mut client, b"Subject: two\r\n\r\nfine\r\n");
    // Somewhere in the first record.
    let mut segments: Vec<_> = std::fs::read_dir(server.data.path().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new().write(true).open(&segments[0]).unwrap();
        file.write_all_at(&[0x55; 64], 10_000).unwrap();
    }
    let answer = client.ask("2 FETCH 1:2 (UID RFC822.SIZE BODY.PEEK[] ENVELOPE)");
    assert!(
        answer[0].starts_with("* 1 FETCH (UID 1 RFC822.SIZE 50016 ENVELOPE (NIL \"one\""),
        "{answer:?}"
    );
    assert!(
        answer[1].starts_with("* 2 FETCH (UID 2 RFC822.SIZE 22 BODY[] {22}"),
        "{answer:?}"
    );
    assert!(
        answer.last().unwrap().starts_with("2 NO [SERVERBUG] UID 1: "),
        "{answer:?}"
    );
    let answer = client.ask("3 SEARCH BODY fine");
    assert_eq!(answer[0], "* SEARCH 2");
    assert!(answer[1].starts_with("3 NO [SERVERBUG] UID 1 "), "{answer:?}");
    assert_eq!(client.ask("4 NOOP"), ["4 OK done"]);
}

#[test]
fn stopping_says_goodbye() {
    let mut server = Server::start(Mode::Plain, options());
    let mut idle = plain(&server);
    idle.login();
    idle.ask("1 SELECT INBOX");
    idle.send("2 IDLE\r\n");
    assert!(idle.line().starts_with('+'));
    let mut fresh = plain(&server);
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(idle.line().starts_with("* BYE"));
    assert!(fresh.line().starts_with("* BYE"));
    assert_eq!(fresh.line(), "");
}

#[test]
fn limits_on_connections_errors_and_silence() {
    let mut options = options();
    options.connection.connections_per_address = 2;
    options.errors = 3;
    options.connection.login_idle = Duration::from_millis(300);
    let server = Server::start(Mode::Plain, options);
    let (mut one, _two) = (plain(&server), plain(&server));
    let mut three = Client {
        reader: BufReader::new(tcp(&server)),
    };
    assert!(three.line().starts_with("* BYE [UNAVAILABLE] too many connections"));
    assert_eq!(three.line(), "");
    for n in 1..=3 {
        assert!(one.ask(&format!("{n} FOO"))[0].contains("BAD"));
    }
    assert!(one.line().starts_with("* BYE too many commands"));
    drop((one, _two, three));
    // The seats are free again, as soon as the server has noticed.
    let mut slow = loop {
        let mut client = Client {
            reader: BufReader::new(tcp(&server)),
        };
        if client.line().starts_with("* OK") {
            break client;
        }
    };
    assert_eq!(slow.line(), "* BYE silent for too long");
}

#[test]
fn strangers_get_little_room_and_little_time() {
    let mut options = options();
    options.connection.login_time = Duration::from_millis(400);
    let server = Server::start(Mode::Plain, options);
    let mut client = plain(&server);
    assert!(client.ask(&format!("1 LOGIN {} x", "a".repeat(9000)))[0].starts_with("1 BAD the line is too long"));
    assert!(client.ask("2 LOGIN {5000}")[0].starts_with("2 BAD [TOOBIG]"));
    // Dripping in does not help.
    let started = Instant::now();
    let mut drip = plain(&server);
    drip.reader
        .get_mut()
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut answer = [0; 64];
    let read = loop {
        drip.reader.get_mut().write_all(b"x").unwrap();
        match drip.reader.get_mut().read(&mut answer) {
            Ok(read) => break read,
            Err(_) => assert!(started.elapsed() < Duration::from_secs(10)),
        }
    };
    assert!(answer[..read].starts_with(b"* BYE silent"));
}

#[test]
fn over_quota_and_back() {
    let server = Server::start(Mode::Plain, options());
    let account = server.directory.account_show("ada@rohrpost.test").unwrap().id;
    server.directory.quota_set(account, Some(1000), None).unwrap();
    let mut client = plain(&server);
    client.login();
    client.ask("1 SELECT INBOX");
    append(&mut client, &noise(900));
    let answer = client.ask("2 APPEND INBOX {200}");
    assert!(answer[0].starts_with("2 NO [OVERQUOTA]"), "{answer:?}");
    let answer = client.ask("3 COPY 1 Trash");
    assert!(answer[0].starts_with("3 NO [OVERQUOTA]"), "{answer:?}");
    assert!(client.ask("4 MOVE 1 Trash").last().unwrap().starts_with("4 OK"));
    server.directory.quota_set(account, None, None).unwrap();
    append(&mut client, &noise(900));
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_idle_session_is_small() {
    let mut options = options();
    options.connection.connections_per_address = 1000;
    let server = Server::start(Mode::Plain, options);
    let mut idle = Vec::new();
    let mut before = 0;
    for n in 0..300 {
        // What is there once is not counted.
        if n == 50 {
            before = resident_kib();
        }
        let mut client = plain(&server);
        client.login();
        client.ask("1 SELECT INBOX");
        client.send("2 IDLE\r\n");
        client.line();
        idle.push(client.reader.into_inner());
    }
    let each = resident_kib().saturating_sub(before) / 250;
    assert!(each < 60, "{each} KiB each");
}
