//! Dovecot as a second opinion: its `imap` runs as a child that speaks over its standard streams.

use std::io::BufReader;
use std::process::{Child, Command, Stdio};

use crate::{Imap, run};

const PROGRAM: &str = "/usr/lib/dovecot/imap";

/// A `imap` process of its own, with the mail of one person.
pub struct Dovecot {
    child: Child,
    /// The session with it.
    pub imap: Imap,
}

impl Dovecot {
    /// Starts it over a folder, which becomes that of `nobody`; needs root.
    pub fn start(folder: &std::path::Path) -> Dovecot {
        let settings = folder.join("dovecot.conf");
        let dir = folder.display();
        let text = format!(
            "mail_location = mdbox:{dir}/mail\nmail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\nssl = no\nmail_fsync = never\n\
             log_path = {dir}/log\n"
        );
        std::fs::write(&settings, text).unwrap();
        std::fs::write(folder.join("log"), "").unwrap();
        run("chown", ["-R", "nobody", folder.to_str().unwrap()]);
        Dovecot::over(&settings, folder, "ada")
    }

    /// Starts it with settings of the caller's for a person with this home.
    pub fn over(settings: &std::path::Path, home: &std::path::Path, user: &str) -> Dovecot {
        let mut child = Command::new(PROGRAM)
            .arg("-c")
            .arg(settings)
            .env("HOME", home)
            .env("USER", user)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = Box::new(BufReader::new(child.stdout.take().unwrap()));
        let output = Box::new(child.stdin.take().unwrap());
        Dovecot {
            imap: Imap::over(input, output),
            child,
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
