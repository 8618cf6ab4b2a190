//! A resolver that validates, for programs that ask the one in `/etc/resolv.conf`: Unbound, on port 53 of a loopback address of its own, which needs root.

use crate::NameServer;
use crate::tools::{installed, is_root, run_unchecked, skipped};
use crate::wait_for;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// It answers until it is dropped.
#[derive(Debug)]
pub struct Unbound {
    process: Child,
    folder: tempfile::TempDir,
}

impl Unbound {
    /// Whether it can be run here, and programs can be given a `/etc/resolv.conf` of their own; says so if not.
    pub fn possible() -> bool {
        if !installed(&["unbound", "unshare", "mount"]) {
            return false;
        }
        if !is_root() {
            skipped("port 53 and a resolv.conf of one's own need root");
            return false;
        }
        let own = run_unchecked("unshare", ["-m", "mount", "--make-rprivate", "/"], None);
        if !own.success {
            skipped(&format!("mount namespaces cannot be had here: {}", own.err.trim()));
        }
        own.success
    }

    /// Starts one that asks this name server, and trusts its root.
    pub fn start(names: &NameServer) -> Unbound {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let dir = folder.path().display();
        // RFC 6761 keeps "test" out of the DNS, and Unbound does as it says unless it is told.
        let settings = format!(
            "server:\n  interface: {address}\n  port: 53\n  access-control: 127.0.0.0/8 allow\n  do-ip6: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{dir}\"\n  \
             pidfile: \"{dir}/pid\"\n  use-syslog: no\n  logfile: \"{dir}/log\"\n  num-threads: 1\n  do-not-query-localhost: no\n  \
             trust-anchor-file: \"{}\"\n  local-zone: \"test.\" nodefault\n  module-config: \"validator iterator\"\n  qname-minimisation: no\n\
             remote-control:\n  control-enable: no\n\
             forward-zone:\n  name: \".\"\n  forward-addr: {}@{}\n",
            names.anchor().display(),
            names.address.ip(),
            names.address.port(),
        );
        let file = folder.path().join("unbound.conf");
        std::fs::write(&file, settings).unwrap();
        let text = format!("nameserver {address}\noptions edns0 trust-ad timeout:5\n");
        std::fs::write(folder.path().join("resolv.conf"), text).unwrap();
        let process = Command::new("/usr/sbin/unbound")
            .arg("-d")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let unbound = Unbound { process, folder };
        wait_for("the resolver", Duration::from_secs(20), || {
            answers(address).then_some(())
        });
        unbound
    }

    /// The `/etc/resolv.conf` of who is to ask it.
    pub fn resolv_conf(&self) -> PathBuf {
        self.folder.path().join("resolv.conf")
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("Unbound's log:\n{log}");
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address in 127.0.0.0/8 whose port 53 nobody has.
fn free_address() -> Ipv4Addr {
    let seed = std::process::id();
    (0..200u32)
        .map(|turn| {
            let [_, _, b, c] = seed.wrapping_mul(31).wrapping_add(turn).to_be_bytes();
            Ipv4Addr::new(127, 53, b, c.max(1))
        })
        .find(|address| UdpSocket::bind((*address, 53)).is_ok())
        .expect("a free address")
}

/// Whether it says that a root which is signed can be believed: the AD bit (RFC 4035 §3.2.3).
fn answers(address: Ipv4Addr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // SOA of the root, AD set.
    let question = b"\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01";
    let mut answer = [0; 4096];
    socket.send_to(question, (address, 53)).is_ok()
        && socket
            .recv(&mut answer)
            .is_ok_and(|length| length > 12 && answer[3] & 15 == 0 && answer[3] & 0x20 != 0)
}
