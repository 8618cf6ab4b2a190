//! A server of one test, in a directory and on ports of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, missing_docs)]

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The longest a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub folder: tempfile::TempDir,
    pub config: PathBuf,
    server: Option<Child>,
}

impl House {
    /// A data directory, settings with these listeners (`protocol`, further lines), and one domain.
    pub fn new(listeners: &[(&str, &str)], more: &str) -> House {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("rohrpost.toml");
        let mut text = format!("hostname = \"mail.phys.test\"\ndata = \"data\"\n{more}\n");
        for (protocol, lines) in listeners {
            text.push_str(&format!(
                "[[listener]]\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n{lines}\n"
            ));
        }
        std::fs::write(&config, text).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let house = House {
            folder,
            config,
            server: None,
        };
        house.ok(&["domain", "add", "phys.test"]);
        house
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs a command on this house, with something on its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = command()
            .args(arguments)
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command that succeeds prints.
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.ok_with(arguments, "")
    }

    pub fn ok_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    pub fn account(&self, address: &str) {
        self.ok_with(
            &["account", "add", address, "--password-stdin"],
            "secret of the house\n",
        );
    }

    /// Starts the server; returns when it listens.
    pub fn start(&mut self) {
        let listening = self.data().join("listening.json");
        // A killed server leaves its own behind.
        let _ = std::fs::remove_file(&listening);
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = command()
            .arg("serve")
            .arg("-c")
            .arg(&self.config)
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(child);
        wait("the server to listen", || {
            if let Some(status) = self.server.as_mut().unwrap().try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.log());
            }
            listening.exists()
        });
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where that protocol is spoken.
    pub fn address(&self, protocol: &str) -> SocketAddr {
        let text = std::fs::read_to_string(self.data().join("listening.json")).unwrap();
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        let one = all.iter().find(|l| l["protocol"] == protocol).unwrap();
        one["address"].as_str().unwrap().parse().unwrap()
    }

    /// Ends the server as systemd would.
    pub fn stop(&mut self) {
        let mut child = self.server.take().unwrap();
        signal(child.id(), "TERM");
        let mut status = None;
        wait("the server to end", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success(), "{}", self.log());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rohrpost"));
    command.env_remove("NOTIFY_SOCKET");
    command
}

pub fn signal(pid: u32, name: &str) {
    assert!(
        Command::new("kill")
            .arg(format!("-{name}"))
            .arg(pid.to_string())
            .status()
            .unwrap()
            .success()
    );
}

/// Waits until `condition` holds.
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Hands a message in by SMTP; the reply to its end.
pub fn send(address: SocketAddr, from: &str, to: &str, text: &str) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut reply = || {
        let mut line = String::new();
        loop {
            line.clear();
            replies.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    };
    assert!(reply().starts_with("220"));
    let mut last = String::new();
    for line in [
        "EHLO client.test".to_owned(),
        format!("MAIL FROM:<{from}>"),
        format!("RCPT TO:<{to}>"),
        "DATA".to_owned(),
        format!("{text}\r\n."),
        "QUIT".to_owned(),
    ] {
        (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let answer = reply();
        if line == "QUIT" || !answer.starts_with(['2', '3']) {
            return if line == "QUIT" { last } else { answer };
        }
        last = answer;
    }
    last
}

/// What a GET of that page answers, head and all.
pub fn get(address: SocketAddr, path: &str) -> String {
    use std::io::Read as _;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Standard error of a command that fails with that exit code.
pub fn fails(output: &Output, exit: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{text}");
    text
}

pub fn exists(path: &Path) -> bool {
    path.exists()
}
