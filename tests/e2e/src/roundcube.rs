//! Debian's Roundcube over the server under test: its own settings, its own database, on a port of its own.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::tools::{installed, skipped};
use crate::{browse, browser_available, wait_for};

/// Where Debian puts it.
const INSTALLED: &str = "/var/lib/roundcube";

/// A running Roundcube. It is ended when dropped.
pub struct Roundcube {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Roundcube {
    /// Whether Roundcube and a browser are there. If not, the test is to return: it has been said that it is skipped.
    pub fn available() -> bool {
        if !installed(&["php"]) || !browser_available() {
            return false;
        }
        let there = |file: &str| Path::new(INSTALLED).join(file).exists();
        if !there("index.php") || !there("plugins/managesieve/managesieve.php") {
            let missing = "roundcube-core or roundcube-plugins is not installed; tests/install-tools.sh installs them";
            assert!(!crate::tools::required(), "{missing}");
            skipped(missing);
            return false;
        }
        true
    }

    /// Starts it in the server's folder. People's filters are set where `managesieve` names the port to set them by.
    pub fn start(server: &Server, managesieve: Option<u16>) -> Roundcube {
        let folder = server.folder().join("roundcube");
        for name in ["config", "logs", "temp"] {
            std::fs::create_dir_all(folder.join(name)).expect("folder");
        }
        // Roundcube looks for its defaults where its settings are.
        for name in ["defaults.inc.php", "mimetypes.php"] {
            let link = folder.join("config").join(name);
            std::os::unix::fs::symlink(Path::new(INSTALLED).join("config").join(name), link).expect("link");
        }
        std::fs::write(
            folder.join("config/config.inc.php"),
            settings(server, &folder, managesieve),
        )
        .expect("settings");
        // PHP cannot be asked for a port of the system's choice: somebody else may take ours before it does.
        for _ in 0..5 {
            let port = crate::free_port();
            let mut roundcube = Roundcube {
                child: serve(&folder, port),
                port,
                folder: folder.clone(),
            };
            let up = wait_for("Roundcube to listen", Duration::from_secs(30), || {
                if roundcube.child.try_wait().expect("state of php").is_some() {
                    return Some(false);
                }
                TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true)
            });
            if up {
                return roundcube;
            }
        }
        panic!("php finds no port");
    }

    /// Its address, for a browser.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Runs a script of `tests/browser`, which finds the address in `ROUNDCUBE`; it must succeed. Gives what it printed.
    pub fn browse(&self, script: &str, settings: &[(&str, &str)]) -> String {
        let url = self.url();
        let shots = self.folder.display().to_string();
        let mut all = vec![("ROUNDCUBE", url.as_str()), ("SHOTS", shots.as_str())];
        all.extend_from_slice(settings);
        browse(script, &all)
    }

    /// What it complained about.
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(self.folder.join("logs/errors.log")).unwrap_or_default()
    }
}

impl Drop for Roundcube {
    fn drop(&mut self) {
        // Its workers are in its group.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("Roundcube's complaints:\n{}", self.complaints());
            // The picture of the page, out of a folder that goes away.
            let shot = std::env::temp_dir().join("rohrpost-roundcube-failed.png");
            if std::fs::copy(self.folder.join("failed.png"), &shot).is_ok() {
                eprintln!("what the page looked like: {}", shot.display());
            }
        }
    }
}

fn serve(folder: &Path, port: u16) -> Child {
    let log = std::fs::File::create(folder.join("php.log")).expect("log");
    Command::new("php")
        .args([
            "-d",
            "opcache.enable_cli=1",
            "-d",
            "memory_limit=256M",
            "-d",
            "date.timezone=UTC",
        ])
        .args(["-S", &format!("127.0.0.1:{port}"), "-t", INSTALLED])
        .env("ROUNDCUBE_CONFIG_DIR", folder.join("config"))
        .env("PHP_CLI_SERVER_WORKERS", "4")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("php")
}

fn settings(server: &Server, folder: &Path, managesieve: Option<u16>) -> String {
    let folder = folder.display();
    let (imap, submission) = (server.port("imap"), server.port("submission"));
    let mut plugins = vec!["'archive'"];
    let mut filters = String::new();
    if let Some(port) = managesieve {
        plugins.push("'managesieve'");
        filters = format!(
            "$config['managesieve_host'] = '127.0.0.1:{port}';\n\
             $config['managesieve_vacation'] = 1;\n\
             $config['managesieve_forward'] = 1;\n\
             $config['managesieve_debug'] = true;\n"
        );
    }
    let plugins = plugins.join(", ");
    format!(
        "<?php\n\
         $config['db_dsnw'] = 'sqlite:///{folder}/roundcube.db?mode=0600';\n\
         $config['imap_host'] = '127.0.0.1:{imap}';\n\
         $config['smtp_host'] = '127.0.0.1:{submission}';\n\
         $config['smtp_user'] = '%u';\n\
         $config['smtp_pass'] = '%p';\n\
         $config['des_key'] = 'only for tests 24 octets';\n\
         $config['plugins'] = [{plugins}];\n\
         $config['skin'] = 'elastic';\n\
         $config['language'] = 'en_US';\n\
         $config['enable_spellcheck'] = false;\n\
         $config['enable_installer'] = false;\n\
         $config['log_driver'] = 'file';\n\
         $config['log_dir'] = '{folder}/logs';\n\
         $config['temp_dir'] = '{folder}/temp';\n\
         $config['session_lifetime'] = 60;\n\
         $config['refresh_interval'] = 60;\n\
         $config['draft_autosave'] = 0;\n\
         {filters}"
    )
}
