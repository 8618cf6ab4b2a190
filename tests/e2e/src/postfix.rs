//! Postfix, for tests that have it on the other side. It runs with its own settings and queue below /tmp, which needs root.

use crate::tools::{installed, is_root, skipped};
use crate::wait_for;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A Postfix with its own settings and queue. It is stopped when dropped.
pub struct Postfix {
    folder: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Postfix {
    /// Whether it can be run here; says so if not.
    pub fn possible() -> bool {
        if !installed(&["postfix"]) {
            return false;
        }
        if !is_root() {
            skipped("Postfix with its own settings needs root");
            return false;
        }
        true
    }

    /// Starts it in a folder of its own below `within`; `settings` are further lines of main.cf.
    pub fn start(within: &Path, settings: &str) -> Postfix {
        Postfix::start_asking(within, settings, None)
    }

    /// The same with a `/etc/resolv.conf` that only it sees.
    pub fn start_asking(within: &Path, settings: &str, resolv_conf: Option<&Path>) -> Postfix {
        let folder = within.join("postfix");
        let etc = folder.join("etc");
        for part in ["etc", "queue", "data"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        // Postfix's own user must get through to its folders.
        for open in [within, &folder] {
            run_plainly("chmod", &["755", open.to_str().unwrap()]);
        }
        run_plainly("chown", &["postfix", folder.join("data").to_str().unwrap()]);
        let port = crate::free_port();
        let master = std::fs::read_to_string("/etc/postfix/master.cf.proto").unwrap();
        let master: String = master
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                match words.as_slice() {
                    ["smtp", "inet", ..] => format!("127.0.0.1:{port} inet n - n - - smtpd\n"),
                    // No chroot.
                    [name, kind, private, unprivileged, "y", rest @ ..] if !line.starts_with(' ') => {
                        format!("{name} {kind} {private} {unprivileged} n {}\n", rest.join(" "))
                    }
                    _ => format!("{line}\n"),
                }
            })
            .collect();
        std::fs::write(etc.join("master.cf"), master).unwrap();
        let _ = std::fs::copy("/etc/postfix/dynamicmaps.cf", etc.join("dynamicmaps.cf"));
        let dir = folder.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {dir}/queue\ndata_directory = {dir}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nshlib_directory = /usr/lib/postfix\n\
             meta_directory = /etc/postfix\nmail_owner = postfix\nsetgid_group = postdrop\nmyhostname = out.example\n\
             mydestination =\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             maillog_file = {dir}/log\nmaillog_file_prefixes = /\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n\
             smtpd_relay_restrictions = permit_mynetworks, reject\nmessage_size_limit = 104857600\nmailbox_size_limit = 0\n\
             in_flow_delay = 0\nsmtp_line_length_limit = 0\nlmtp_line_length_limit = 0\nmessage_drop_headers =\n\
             local_header_rewrite_clients =\nsmtpd_client_connection_rate_limit = 0\nenable_long_queue_ids = yes\n{settings}\n"
        );
        std::fs::write(etc.join("main.cf"), main).unwrap();
        let start = ["postfix", "-c", etc.to_str().unwrap(), "start"];
        match resolv_conf {
            None => run_plainly(start[0], &start[1..]),
            Some(file) => {
                let script = "mount --make-rprivate / && mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
                let mut arguments = vec!["-m", "sh", "-c", script, "sh", file.to_str().unwrap()];
                arguments.extend(start);
                run_plainly("unshare", &arguments);
            }
        }
        let postfix = Postfix { folder, port };
        wait_for("Postfix to listen", Duration::from_secs(30), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        postfix
    }

    /// Tries at once what waits in its queue.
    pub fn flush(&self) {
        run_plainly("postqueue", &["-c", self.folder.join("etc").to_str().unwrap(), "-f"]);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Postfix's log:\n{}", self.log());
        }
        run_plainly("postfix", &["-c", self.folder.join("etc").to_str().unwrap(), "stop"]);
    }
}

fn run_plainly(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect(program);
    if !output.status.success() && !std::thread::panicking() {
        panic!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
