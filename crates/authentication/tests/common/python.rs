//! Other people's code, in Python: a script that reads a question in JSON a line and writes an answer a line.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs
)]

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A script that runs.
pub struct Python {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Python {
    /// Starts a script of this folder with the Python that `tests/install-tools.sh` has made; `None`, having said so, where there is none
    /// that knows these modules.
    pub fn start(script: &str, modules: &str) -> Option<Python> {
        let folder = std::env::var_os("ROHRPOST_TEST_PYTHON").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rohrpost/python"),
            PathBuf::from,
        );
        let python = folder.join("bin/python3");
        let knows = Command::new(&python)
            .args(["-c", &format!("import {modules}")])
            .stderr(Stdio::null())
            .status();
        if !knows.is_ok_and(|status| status.success()) {
            let missing = format!(
                "{} with {modules} is missing; tests/install-tools.sh makes it",
                python.display()
            );
            let required = ["CI", "ROHRPOST_REQUIRE_TOOLS"]
                .iter()
                .any(|name| std::env::var(name).is_ok_and(|value| value == "true" || value == "1"));
            assert!(!required, "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        }
        let mut child = Command::new(python)
            .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Python {
            asks: child.stdin.take().unwrap(),
            says: BufReader::new(child.stdout.take().unwrap()),
            child,
        })
    }

    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.asks, "{question}").unwrap();
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
