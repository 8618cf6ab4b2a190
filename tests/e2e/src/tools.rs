//! Running other programs, and saying so where they are missing.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// What a program said.
#[derive(Debug)]
pub struct Ran {
    /// It ended with 0.
    pub success: bool,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// Whether all these programs are installed. If not, the test is to return: it has been said that it is skipped. Where skipping is not
/// allowed, panics.
pub fn installed(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(
        !required(),
        "not installed: {missing:?}; tests/install-tools.sh installs them"
    );
    skipped(&format!(
        "not installed: {missing:?}; tests/install-tools.sh installs them"
    ));
    false
}

/// Whether tests may not be skipped.
pub fn required() -> bool {
    ["CI", "ROHRPOST_REQUIRE_TOOLS"]
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|value| value == "true" || value == "1"))
}

/// Says that this test is skipped, and why.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    folders.push("/sbin".into());
    folders
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Runs a program to its end, for at most two minutes; it must succeed.
pub fn run<I: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = I>) -> Ran {
    let arguments: Vec<_> = arguments
        .into_iter()
        .map(|argument| argument.as_ref().to_owned())
        .collect();
    let ran = run_unchecked(program, &arguments, None);
    assert!(ran.success, "{program} {arguments:?} failed\n{}{}", ran.text(), ran.err);
    ran
}

/// Runs a program to its end, for at most two minutes, with standard input if given.
pub fn run_unchecked<I: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = I>,
    input: Option<&[u8]>,
) -> Ran {
    let path = find(program).unwrap_or_else(|| panic!("{program} is not installed"));
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "120"]).arg(path).args(arguments);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(program);
    let writer = child.stdin.take().zip(input).map(|(mut stdin, input)| {
        let input = input.to_owned();
        // A program that does not read its input to the end is not at fault for that.
        std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)))
    });
    let Output { status, stdout, stderr } = child.wait_with_output().expect(program);
    if let Some(writer) = writer {
        writer.join().expect("writer");
    }
    Ran {
        success: status.success(),
        out: stdout,
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Runs a Python script with these arguments; it must succeed.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let mut all = vec!["-c", script];
    all.extend(arguments);
    run("python3", all).text()
}
