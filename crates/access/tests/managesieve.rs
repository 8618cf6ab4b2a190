//! ManageSieve conversations with a real server, as text files. `docs` are the files themselves:
//!
//!     # a remark
//!     a -> NOOP                     session a sends a line (it connects, and reads the greeting, when it is first named)
//!     a -> PUTSCRIPT "x" {%+}       with the number of octets in the lines that follow:
//!     a | keep;                     a line of the literal, with its line end
//!     a <- OK "done"                it reads exactly this line
//!     a <~ OK * "a*"                it reads a line of this shape: `*` stands for anything
//!     a <+ OK*                      it reads lines up to one of this shape
//!     a login ada@rohrpost.test     it logs in by PLAIN
//!     a closed                      the server has closed the connection
#![allow(clippy::unwrap_used, clippy::panic)]

use access::managesieve::{Context, Options};
use access::{ListenerConfig, Tls};
use base64::Engine as _;
use directory::{Directory, NewAccount};
use filter::Filter;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

const PASSWORD: &str = "geheim";

struct Server {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    _stop: watch::Sender<bool>,
    _data: tempfile::TempDir,
}

fn start() -> Server {
    let data = tempfile::tempdir().unwrap();
    let path = data.path();
    let database = db::Database::open(&path.join("server.db"), &[directory::SCHEMA], db::Options::default()).unwrap();
    let directory = Directory::open(Arc::new(database)).unwrap();
    directory.domain_add("rohrpost.test").unwrap();
    for address in ["ada@rohrpost.test", "bob@rohrpost.test"] {
        let new = NewAccount {
            address,
            password: Some(PASSWORD.as_bytes()),
            ..NewAccount::default()
        };
        directory.account_add(&new).unwrap();
    }
    let blobs = blobs::Blobs::open(&path.join("blobs"), blobs::Options::default()).unwrap();
    let store = Arc::new(Store::open(&path.join("accounts"), blobs, store::Options::default()).unwrap());
    let mut scripts = filter::Options::new("mail.rohrpost.test");
    scripts.scripts = store::ScriptLimits { scripts: 3, bytes: 200 };
    let mut options = Options::new("mail.rohrpost.test");
    options.connection.login_failure_delay = Duration::from_millis(5);
    options.login_failures = 2;
    options.errors = 4;
    let context = Arc::new(Context::new(directory, store, Arc::new(Filter::new(scripts)), options));
    let config = ListenerConfig {
        name: "managesieve".to_owned(),
        tls: Tls::Off,
        plaintext: true,
        proxies: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let socket = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    runtime.spawn(access::managesieve::serve(socket, context, config, stopping));
    Server {
        address,
        runtime: Some(runtime),
        _stop: stop,
        _data: data,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Session(BufReader<TcpStream>);

impl Session {
    fn open(server: &Server) -> Session {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut session = Session(BufReader::new(stream));
        while !session.line().starts_with("OK") {}
        session
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line).unwrap();
        assert!(read > 0, "the server hung up");
        String::from_utf8(line)
            .unwrap()
            .trim_end_matches(['\r', '\n'])
            .to_owned()
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).unwrap();
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        [head, rest @ ..] => text.first() == Some(head) && matches(rest, &text[1..]),
    }
}

fn run(path: &Path) {
    let script = std::fs::read_to_string(path).unwrap();
    let server = start();
    let mut sessions: HashMap<String, Session> = HashMap::new();
    for (number, line) in script.lines().enumerate() {
        let place = format!("{}:{}: {line}", path.display(), number + 1);
        if line.trim_end().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{place}"));
        let (what, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let session = sessions
            .entry(name.to_owned())
            .or_insert_with(|| Session::open(&server));
        match what {
            "->" if text.contains("{%+}") => {
                let mark = format!("{name} |");
                let literal: String = script
                    .lines()
                    .skip(number + 1)
                    .map_while(|line| line.strip_prefix(&mark))
                    .map(|line| format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line)))
                    .collect();
                let head = text.replace('%', &literal.len().to_string());
                session.send(&format!("{head}\r\n{literal}"));
            }
            "->" => session.send(text),
            "|" => {}
            "login" => {
                let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{text}\0{PASSWORD}"));
                session.send(&format!("AUTHENTICATE \"PLAIN\" \"{plain}\""));
                assert_eq!(session.line(), "OK \"logged in\"", "{place}");
            }
            "<-" => assert_eq!(session.line(), text, "{place}"),
            "<~" => {
                let got = session.line();
                assert!(matches(text.as_bytes(), got.as_bytes()), "{place}\n  got: {got}");
            }
            "<+" => {
                let mut got = Vec::new();
                loop {
                    let line = session.line();
                    if matches(text.as_bytes(), line.as_bytes()) {
                        break;
                    }
                    got.push(line);
                    assert!(got.len() < 1000, "{place}\n  got: {got:#?}");
                }
            }
            "closed" => assert_eq!(session.0.read(&mut [0; 1]).unwrap(), 0, "{place}"),
            _ => panic!("{place}: what is {what}?"),
        }
    }
}

macro_rules! dialogues {
    ($($name:ident)*) => {
        $(#[test] fn $name() {
            run(&Path::new(env!("CARGO_MANIFEST_DIR")).join(concat!("tests/managesieve/", stringify!($name), ".txt")));
        })*

        #[test]
        fn every_file_is_run() {
            let known = [$(concat!(stringify!($name), ".txt")),*];
            for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/managesieve")).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                assert!(known.contains(&file.as_str()), "{file} is not in the list");
            }
        }
    };
}

dialogues! { entry scripts limits together }
