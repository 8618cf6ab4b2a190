//! What a newcomer does: starts the demo, and copies the commands that it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::{Imap, binary, installed, run, wait_for};

const PORTS: [u16; 5] = [2525, 2587, 2424, 2143, 2080];

/// An offset at which all ports of the demo are free.
fn free_offset() -> u16 {
    let start = (std::process::id() % 500) as u16 * 70;
    (0..500)
        .map(|step| 10_000 + (start + step * 70) % 35_000)
        .find(|offset| {
            PORTS
                .iter()
                .all(|port| TcpListener::bind(("127.0.0.1", port + offset)).is_ok())
        })
        .expect("free ports")
}

struct Demo {
    child: Child,
    welcome: String,
}

impl Demo {
    fn start(folder: &std::path::Path, offset: u16, more: &[&str]) -> Demo {
        let mut child = Command::new(binary())
            .args(["demo", "--data"])
            .arg(folder.join("data"))
            .args(["--port-offset", &offset.to_string()])
            .args(more)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(std::fs::File::create(folder.join("log")).unwrap()))
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut welcome = String::new();
        while !welcome.contains("rohrpost trace") {
            let read = lines.read_line(&mut welcome).unwrap();
            let log = || std::fs::read_to_string(folder.join("log")).unwrap();
            assert!(read > 0, "the demo ended: {welcome}\n{}", log());
        }
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Demo { child, welcome }
    }

    /// A command that it printed, continued lines joined.
    fn command(&self, program: &str) -> String {
        let joined = self.welcome.replace("\\\n", " ");
        let line = joined.lines().map(str::trim).find(|line| line.starts_with(program));
        line.unwrap_or_else(|| panic!("no {program} in {}", self.welcome))
            .to_owned()
    }

    fn password(&self) -> String {
        let line = self
            .welcome
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("ada@rohrpost.test"));
        line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
    }

    fn stop(mut self) {
        run("kill", ["-TERM", &self.child.id().to_string()]);
        let status = wait_for("the demo to stop", Duration::from_secs(30), || {
            self.child.try_wait().unwrap()
        });
        assert!(status.success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_it_prints_works() {
    let folder = tempfile::tempdir().unwrap();
    let offset = free_offset();
    let demo = Demo::start(folder.path(), offset, &[]);
    let password = demo.password();
    let count = |password: &str| {
        let mut imap = Imap::login(2143 + offset, "ada@rohrpost.test", password);
        let lines = imap.ok("STATUS INBOX (MESSAGES)");
        let text = &lines
            .iter()
            .find(|line| line.text.starts_with("* STATUS"))
            .unwrap()
            .text;
        text.trim_end_matches(')')
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let mut messages = count(&password);
    assert!(messages > 3, "no sample mail");
    if installed(&["swaks"]) {
        run("sh", ["-c", &demo.command("swaks")]);
        messages += 1;
        Imap::login(2143 + offset, "ada@rohrpost.test", &password).wait_for_messages(
            "INBOX",
            messages,
            Duration::from_secs(10),
        );
        if installed(&["curl"]) {
            let listed = run("sh", ["-c", &demo.command("curl")]).text();
            assert!(listed.contains("\"Hello\"") && listed.contains("ENVELOPE"), "{listed}");
        }
        if installed(&["python3"]) {
            let newest = run("sh", ["-c", &demo.command("python3")]).text();
            assert!(newest.contains("It works."), "{newest}");
        }
    }
    demo.stop();

    // Starting again keeps the data.
    let demo = Demo::start(folder.path(), offset, &[]);
    assert_eq!(demo.password(), password);
    assert_eq!(count(&password), messages);
    demo.stop();

    // Starting afresh does not.
    let demo = Demo::start(folder.path(), offset, &["--fresh"]);
    assert_ne!(demo.password(), password);
    assert!(count(&demo.password()) > 3);
    demo.stop();
}
