//! A name server of the test's own: NSD, with zones signed by BIND's tools, from a root of its own down.

use crate::ports::free_port;
use crate::tools::{installed, run};
use crate::wait_for;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A zone to serve.
#[derive(Clone, Debug)]
pub struct Zone {
    name: &'static str,
    records: String,
    signing: Signing,
    delegated_securely: bool,
    forged: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signing {
    No,
    Nsec,
    Nsec3,
    Expired,
}

impl Zone {
    /// A zone that is signed, with NSEC, and whose parent says so. `records` are lines of a zone file.
    pub fn signed(name: &'static str, records: &str) -> Zone {
        Zone {
            name,
            records: records.to_owned(),
            signing: Signing::Nsec,
            delegated_securely: true,
            forged: Vec::new(),
        }
    }

    /// A zone without signatures.
    pub fn unsigned(name: &'static str, records: &str) -> Zone {
        Zone {
            signing: Signing::No,
            delegated_securely: false,
            ..Zone::signed(name, records)
        }
    }

    /// Proofs of absence by NSEC3.
    pub fn nsec3(mut self) -> Zone {
        self.signing = Signing::Nsec3;
        self
    }

    /// Its signatures are those of last year.
    pub fn expired(mut self) -> Zone {
        self.signing = Signing::Expired;
        self
    }

    /// Whoever runs it took the signatures away, while the parent still says they are there.
    pub fn stripped(mut self) -> Zone {
        self.signing = Signing::No;
        self.delegated_securely = true;
        self
    }

    /// After signing, `text` in its file is replaced.
    pub fn forged(mut self, text: &'static str, by: &'static str) -> Zone {
        self.forged.push((text, by));
        self
    }

    fn origin(&self) -> String {
        format!("{}.", self.name)
    }
}

/// A running name server.
#[derive(Debug)]
pub struct NameServer {
    process: Child,
    folder: tempfile::TempDir,
    /// Where it answers, by UDP and TCP.
    pub address: SocketAddr,
}

impl NameServer {
    /// Whether it can be had here; if not, it has been said that the test is skipped.
    pub fn available() -> bool {
        installed(&["nsd", "dnssec-signzone", "dnssec-keygen", "dnssec-dsfromkey"])
    }

    /// Signs and serves these zones, below a signed root. Children stand after their parents.
    pub fn start(zones: &[Zone]) -> NameServer {
        let folder = tempfile::tempdir().unwrap();
        let root = Zone::signed("", "");
        let mut all = vec![root];
        all.extend(zones.iter().cloned());
        // From the bottom up: a parent's file holds the hashes of its children's keys.
        for at in (0..all.len()).rev() {
            let zone = all[at].clone();
            let ds = write_zone(folder.path(), &zone);
            if at > 0 {
                let parent = (0..all.len())
                    .filter(|other| *other != at && zone.origin().ends_with(&all[*other].origin_suffix()))
                    .max_by_key(|other| all[*other].name.len())
                    .unwrap();
                let origin = zone.origin();
                writeln!(all[parent].records, "{origin} NS ns.test.").unwrap();
                all[parent].records.push_str(&ds);
            }
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut settings = format!(
            "server:\n  ip-address: {}@{}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{dir}\"\n  database: \"\"\n  pidfile: \"{dir}/nsd.pid\"\n  \
             xfrdfile: \"{dir}/xfrd.state\"\n  zonelistfile: \"{dir}/zone.list\"\n  xfrdir: \"{dir}\"\n  logfile: \"{dir}/nsd.log\"\n  rrl-ratelimit: 0\n  \
             minimal-responses: no\nremote-control:\n  control-enable: no\n",
            address.ip(),
            address.port(),
            dir = folder.path().display()
        );
        for zone in &all {
            writeln!(
                settings,
                "zone:\n  name: \"{}\"\n  zonefile: \"{}\"",
                zone.origin(),
                file_name(zone)
            )
            .unwrap();
        }
        let file = folder.path().join("nsd.conf");
        std::fs::write(&file, settings).unwrap();
        let process = Command::new("/usr/sbin/nsd")
            .arg("-d")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = NameServer {
            process,
            folder,
            address,
        };
        wait_for("the name server", Duration::from_secs(20), || {
            server.answers().then_some(())
        });
        server
    }

    /// The key of its root, for who validates.
    pub fn anchor(&self) -> PathBuf {
        self.folder.path().join("anchor.key")
    }

    /// It stops answering, as if the network were cut: when this returns, nothing answers any more.
    pub fn stop(&mut self) {
        self.end();
        wait_for("silence", Duration::from_secs(10), || (!self.answers()).then_some(()));
    }

    /// Ends it. Killed at once, it would leave a process behind it, which goes on answering for a while.
    fn end(&mut self) {
        let pid = self.process.id().to_string();
        drop(Command::new("kill").arg(&pid).stderr(Stdio::null()).status());
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while std::time::Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }

    fn answers(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // SOA of the root.
        let question = b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01";
        let mut answer = [0; 4096];
        socket.send_to(question, self.address).is_ok()
            && socket
                .recv(&mut answer)
                .is_ok_and(|length| length > 12 && answer[3] & 15 == 0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

impl Zone {
    fn origin_suffix(&self) -> String {
        if self.name.is_empty() {
            ".".to_owned()
        } else {
            format!(".{}.", self.name)
        }
    }
}

fn file_name(zone: &Zone) -> String {
    format!("zone-{}.served", zone.name)
}

/// Writes the file that is served; gives the DS records for the parent.
fn write_zone(folder: &Path, zone: &Zone) -> String {
    let origin = zone.origin();
    let plain = folder.join(format!("zone-{}", zone.name));
    let served = folder.join(file_name(zone));
    let mut text = format!(
        "$ORIGIN {origin}\n$TTL 300\n@ SOA ns.test. postmaster.test. 1 3600 600 86400 60\n@ NS ns.test.\n{}",
        zone.records
    );
    let keep = folder.display().to_string();
    let mut ds = String::new();
    if zone.signing != Signing::No || zone.delegated_securely {
        let made = run(
            "dnssec-keygen",
            [
                "-q",
                "-K",
                &keep,
                "-a",
                "ECDSAP256SHA256",
                "-f",
                "KSK",
                "-n",
                "ZONE",
                &origin,
            ],
        );
        let key = folder.join(format!("{}.key", made.text().trim()));
        if zone.delegated_securely {
            ds = run("dnssec-dsfromkey", ["-2".as_ref(), key.as_os_str()]).text();
        }
        if zone.name.is_empty() {
            std::fs::copy(&key, folder.join("anchor.key")).unwrap();
        }
        if zone.signing != Signing::No {
            text.push_str(&std::fs::read_to_string(&key).unwrap());
        }
    }
    std::fs::write(&plain, text).unwrap();
    if zone.signing == Signing::No {
        std::fs::copy(&plain, &served).unwrap();
    } else {
        let (plain, served) = (plain.display().to_string(), served.display().to_string());
        let mut arguments = vec!["-z", "-P", "-K", &keep, "-d", &keep, "-o", &origin, "-f", &served];
        match zone.signing {
            Signing::Nsec3 => arguments.extend(["-3", "-", "-H", "0"]),
            Signing::Expired => arguments.extend(["-s", "20250101000000", "-e", "20250201000000"]),
            Signing::No | Signing::Nsec => {}
        }
        arguments.push(&plain);
        run("dnssec-signzone", arguments);
    }
    if !zone.forged.is_empty() {
        let mut text = std::fs::read_to_string(&served).unwrap();
        for (from, to) in &zone.forged {
            assert!(text.contains(from), "{from} is not in the zone {origin}");
            text = text.replace(from, to);
        }
        std::fs::write(&served, text).unwrap();
    }
    ds
}
