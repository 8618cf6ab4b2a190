//! The server under test: its folder, its settings, its process.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::imap::Imap;
use crate::tools::Ran;
use crate::{binary, wait_for};

/// The domain the server is responsible for.
pub const DOMAIN: &str = "e2e.test";
/// An account.
pub const ADA: &str = "ada@e2e.test";
/// Another account.
pub const BOB: &str = "bob@e2e.test";
/// Everybody's password.
pub const PASSWORD: &str = "correct horse";

/// How the server is set up, beside the defaults.
#[derive(Debug, Default)]
pub struct Setup {
    /// Where its data is; else in the test's own folder.
    pub data: Option<PathBuf>,
    /// Settings that stand before all tables.
    pub top: String,
    /// Settings to add at the end of the file.
    pub settings: String,
    /// Its name, also in its certificate; else `mail.e2e.test`.
    pub hostname: Option<String>,
    /// The settings bring a certificate of their own: without the one of the data folder.
    pub own_certificate: bool,
    /// Accounts beside Ada and Bob.
    pub accounts: Vec<String>,
}

/// A running server. It is killed when dropped.
pub struct Server {
    folder: TempDir,
    data: PathBuf,
    child: Option<Child>,
    listening: Vec<(String, SocketAddr)>,
}

impl Server {
    /// Starts a server with the accounts [`ADA`] and [`BOB`].
    pub fn start() -> Server {
        Server::start_with(Setup::default())
    }

    /// Starts a server that is set up in a certain way.
    pub fn start_with(mut setup: Setup) -> Server {
        let folder = tempfile::Builder::new()
            .prefix("rohrpost-e2e-")
            .tempdir()
            .expect("folder");
        let data = setup.data.take().unwrap_or_else(|| folder.path().join("data"));
        let mut server = Server {
            folder,
            data,
            child: None,
            listening: Vec::new(),
        };
        let hostname = setup.hostname.as_deref().unwrap_or("mail.e2e.test");
        server.set_up(hostname, &setup);
        server.launch();
        server
    }

    /// Makes the data folder and accounts as an administrator does, then writes settings with ports the system chooses.
    fn set_up(&self, hostname: &str, setup: &Setup) {
        let (top, settings, accounts) = (&setup.top, &setup.settings, &setup.accounts);
        let first = self.folder.path().join("init.toml");
        let ran = self
            .plain_command()
            .args(["init", "--domain", DOMAIN, "--hostname", hostname, "--data"])
            .arg(&self.data)
            .arg("-c")
            .arg(&first)
            .output()
            .expect("rohrpost init");
        assert!(ran.status.success(), "init: {}", String::from_utf8_lossy(&ran.stderr));
        let mut text = format!("hostname = \"{hostname}\"\ndata = \"{}\"\n{top}\n", self.data.display());
        for protocol in [
            "smtp",
            "submission",
            "submissions",
            "lmtp",
            "imap",
            "imaps",
            "pop3",
            "pop3s",
            "managesieve",
            "http",
        ] {
            let plaintext = if matches!(protocol, "submission" | "imap" | "pop3" | "managesieve") {
                "plaintext = true\n"
            } else {
                ""
            };
            write!(
                text,
                "\n[[listener]]\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n{plaintext}"
            )
            .expect("text");
        }
        if setup.own_certificate {
            write!(text, "\n{settings}\n").expect("text");
        } else {
            write!(
                text,
                "\n[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n\n{settings}\n",
                self.certificate().display(),
                self.data.join("tls/key.pem").display()
            )
            .expect("text");
        }
        std::fs::write(self.settings(), text).expect("settings");
        for account in [ADA, BOB].into_iter().chain(accounts.iter().map(String::as_str)) {
            self.account_add(account);
        }
    }

    /// Starts the process and waits until it listens.
    pub fn launch(&mut self) {
        let listening = self.data.join("listening.json");
        let _ = std::fs::remove_file(&listening);
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.log_path())
            .expect("log");
        let child = self
            .plain_command()
            .arg("serve")
            .arg("-c")
            .arg(self.settings())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("rohrpost serve");
        self.child = Some(child);
        let text = wait_for("the server to listen", Duration::from_secs(30), || {
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().expect("state of the server"));
            assert!(ended.is_none(), "the server ended with {ended:?}\n{}", self.log());
            std::fs::read(&listening).ok()
        });
        let list: serde_json::Value = serde_json::from_slice(&text).expect("listening.json");
        let list = list.as_array().expect("list of listeners").iter().map(|one| {
            let text = |name: &str| one[name].as_str().expect("text in listening.json").to_owned();
            (text("protocol"), text("address").parse().expect("address"))
        });
        self.listening = list.collect();
    }

    /// The port of a protocol.
    pub fn port(&self, protocol: &str) -> u16 {
        let found = self.listening.iter().find(|(name, _)| name == protocol);
        found.unwrap_or_else(|| panic!("no listener for {protocol}")).1.port()
    }

    /// The port of a protocol as text.
    pub fn port_text(&self, protocol: &str) -> String {
        self.port(protocol).to_string()
    }

    /// An IMAP connection, logged in.
    pub fn imap(&self, user: &str) -> Imap {
        Imap::login(self.port("imap"), user, PASSWORD)
    }

    /// The folder of this test, for whatever else it needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.folder.path().join("rohrpost.toml")
    }

    /// The certificate, self-signed for `mail.e2e.test`.
    pub fn certificate(&self) -> PathBuf {
        self.data.join("tls/cert.pem")
    }

    /// Runs an administration command.
    pub fn admin(&self, arguments: &[&str]) -> Ran {
        let output = self
            .plain_command()
            .args(arguments)
            .arg("-c")
            .arg(self.settings())
            .output()
            .expect("rohrpost");
        Ran {
            success: output.status.success(),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Adds an account with everybody's password.
    pub fn account_add(&self, address: &str) {
        let mut child = self
            .plain_command()
            .args(["account", "add", address, "--password-stdin", "-c"])
            .arg(self.settings())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rohrpost account add");
        let mut stdin = child.stdin.take().expect("input");
        std::io::Write::write_all(&mut stdin, format!("{PASSWORD}\n").as_bytes()).expect("password");
        drop(stdin);
        let output = child.wait_with_output().expect("rohrpost account add");
        assert!(
            output.status.success(),
            "account add: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `audit` and `verify` find nothing.
    pub fn assert_sound(&self) {
        for command in ["audit", "verify"] {
            let ran = self.admin(&[command]);
            assert!(
                ran.success,
                "{command} finds faults:\n{}{}\nlog:\n{}",
                ran.text(),
                ran.err,
                self.log()
            );
        }
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running server").id()
    }

    /// The most memory the process has had resident so far, in bytes.
    pub fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("status of the process");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("VmHWM");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("number");
        kilobytes * 1024
    }

    /// Asks the server to stop and waits until it has, which must be in good order.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .expect("kill")
                .success()
        );
        let status = wait_for("the server to stop", Duration::from_secs(60), || {
            child.try_wait().expect("state of the server")
        });
        assert!(status.success(), "the server stopped with {status}\n{}", self.log());
    }

    /// Stops it and starts it again with further settings, its port for other servers the same as before: who is to know it knows it, and what
    /// those are may stand in the settings.
    pub fn restart_with(&mut self, settings: &str) {
        let port = self.port("smtp");
        self.stop();
        let text = std::fs::read_to_string(self.settings()).expect("settings");
        let text = text.replacen(
            "protocol = \"smtp\"\nbind = \"127.0.0.1:0\"",
            &format!("protocol = \"smtp\"\nbind = \"127.0.0.1:{port}\""),
            1,
        );
        std::fs::write(self.settings(), format!("{text}\n{settings}\n")).expect("settings");
        self.launch();
    }

    /// Ends the server as a power cut would end it, as far as the process goes.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn plain_command(&self) -> Command {
        let mut command = Command::new(binary::path());
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "end of the server's log:\n{}",
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
    }
}
