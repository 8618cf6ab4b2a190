//! A connection that is kept while certificates change.

use crate::Server;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A client that keeps its connection.
pub struct TlsLine {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl TlsLine {
    /// Connects by openssl to `imaps`, whatever the certificate, and hears the greeting.
    pub fn open(server: &Server) -> TlsLine {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect"])
            .arg(format!("127.0.0.1:{}", server.port("imaps")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        answers.read_line(&mut greeting).unwrap();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        TlsLine { child, answers }
    }

    /// Sends a command, and gives its answer without the tag.
    pub fn ask(&mut self, tag: &str, command: &str) -> String {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{tag} {command}\r\n").as_bytes()).unwrap();
        input.flush().unwrap();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the server hung up");
            if let Some(rest) = line.strip_prefix(&format!("{tag} ")) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for TlsLine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
