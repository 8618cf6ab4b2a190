//! Bad days of the disk: full, and read-only. What was accepted stays, reading goes on, and service resumes by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::{
    ADA, BOB, Server, Setup, Smtp, installed, is_root, made_up, ours_removed, run, run_unchecked, skipped, wait_for,
};

/// A file system of its own, unmounted when dropped.
struct Mounted {
    folder: tempfile::TempDir,
    image: Option<PathBuf>,
}

impl Mounted {
    /// In memory, of `megabytes`. None, having said so, where mounting is not permitted.
    fn tmpfs(megabytes: u32) -> Option<Mounted> {
        let mounted = Mounted {
            folder: tempfile::tempdir().unwrap(),
            image: None,
        };
        mounted.mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "tmpfs"])
    }

    /// On an image of `megabytes`, which turns read-only when the kernel finds a fault.
    fn ext4(megabytes: u64) -> Option<Mounted> {
        if !installed(&["mkfs.ext4"]) {
            return None;
        }
        let mut mounted = Mounted {
            folder: tempfile::tempdir().unwrap(),
            image: None,
        };
        let image = mounted.folder.path().with_extension("image");
        std::fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        run("mkfs.ext4", ["-q", image.to_str().unwrap()]);
        mounted.image = Some(image.clone());
        mounted.mount(&["-t", "ext4", "-o", "loop,errors=remount-ro", image.to_str().unwrap()])
    }

    fn mount(self, arguments: &[&str]) -> Option<Mounted> {
        if !is_root() {
            skipped("mounting a file system needs root");
            return None;
        }
        let mut all = arguments.to_vec();
        all.push(self.folder.path().to_str().unwrap());
        let ran = run_unchecked("mount", all, None);
        if !ran.success {
            skipped(&format!(
                "mounting a file system is not permitted here: {}",
                ran.err.trim()
            ));
            return None;
        }
        Some(self)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn unmount(&self) {
        let _ = run_unchecked("umount", [self.folder.path()], None);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
        if let Some(image) = &self.image {
            let _ = std::fs::remove_file(image);
        }
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let mut piece = 1 << 20;
    while piece > 0 {
        match file.write(&vec![7; piece]) {
            Ok(written) if written > 0 => {}
            _ => piece /= 2,
        }
    }
    let _ = file.sync_all();
}

/// What clients have been told is safe.
#[derive(Default)]
struct Accepted {
    ada: Vec<Vec<u8>>,
    bob: Vec<Vec<u8>>,
}

impl Accepted {
    /// Sends one message; gives the answer.
    fn send(&mut self, server: &Server, message: Vec<u8>) -> String {
        let mut smtp = Smtp::connect(server.port("smtp"), "EHLO");
        let reply = smtp.data("a@b.example", &[ADA, BOB], &message);
        if reply.starts_with("250") {
            self.ada.push(message.clone());
            self.bob.push(message);
        }
        reply
    }

    /// Everything accepted is there exactly once. What was not accepted may be there too, where an answer was lost.
    fn assert_there(&self, server: &Server) {
        for (user, sent) in [(ADA, &self.ada), (BOB, &self.bob)] {
            let mut imap = server.imap(user);
            imap.wait_for_messages("INBOX", sent.len(), Duration::from_secs(300));
            let mut found: Vec<_> = imap
                .inbox(sent.len())
                .iter()
                .map(|message| ours_removed(message).to_vec())
                .collect();
            let mut wanted = sent.clone();
            found.sort();
            wanted.sort();
            assert!(found == wanted, "{user}: {} of {} messages", found.len(), wanted.len());
        }
        server.assert_sound();
    }
}

/// While nothing can be written: new mail is put off with one of the codes, what is there can be read.
fn assert_reading_goes_on(server: &Server, accepted: &mut Accepted, first: &[u8], codes: &[&str]) {
    let mut refused = String::new();
    for index in 0..400 {
        refused = accepted.send(server, made_up(30_000 + index));
        if !refused.starts_with("250") {
            break;
        }
    }
    assert!(codes.iter().any(|code| refused.starts_with(code)), "{refused}");
    let mut imap = server.imap(BOB);
    imap.ok("SELECT INBOX");
    assert!(ours_removed(&imap.messages("1")[0]) == first);
    imap.ok("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)");
    imap.ok("SEARCH SUBJECT 5");
    let mut refused = imap.append("Drafts", "", &made_up(100_000));
    for _ in 0..400 {
        if !refused.ok() {
            break;
        }
        refused = imap.append("Drafts", "", &made_up(100_000));
    }
    assert!(refused.status.starts_with("NO"), "{}", refused.status);
    imap.ok("NOOP");
}

/// Mail is taken again, without a restart.
fn assert_recovers(server: &Server, accepted: &mut Accepted) {
    wait_for("the server to take mail again", Duration::from_secs(60), || {
        let reply = accepted.send(server, made_up(20_000));
        assert!(reply.starts_with("250") || reply.starts_with('4'), "{reply}");
        reply.starts_with("250").then_some(())
    });
    let reply = server.imap(BOB).append("Drafts", "", &made_up(1000));
    assert!(reply.ok(), "{}", reply.status);
}

#[test]
fn full() {
    let Some(mounted) = Mounted::tmpfs(96) else { return };
    let server = Server::start_with(Setup {
        data: Some(mounted.data()),
        ..Setup::default()
    });
    let mut accepted = Accepted::default();
    let first = made_up(5000);
    assert!(accepted.send(&server, first.clone()).starts_with("250"));
    for size in 0..50 {
        assert!(accepted.send(&server, made_up(size * 97 + 2)).starts_with("250"));
    }
    accepted.assert_there(&server);

    for round in 0..3 {
        let filler = mounted.folder.path().join("filler");
        fill(&filler);
        assert_reading_goes_on(&server, &mut accepted, &first, &["452 4.3.1"]);
        std::fs::remove_file(&filler).unwrap();
        eprintln!("round {round}: {} accepted", accepted.ada.len());
        assert_recovers(&server, &mut accepted);
    }
    accepted.assert_there(&server);
    assert!(!server.log().contains("panicked"));
    drop(server);
}

/// The program answers every write of the server as a read-only file system does, as long as it runs.
struct ReadOnly(Child);

impl ReadOnly {
    fn begin(server: &Server) -> ReadOnly {
        let log = server.folder().join("strace");
        let calls =
            "pwrite64,pwritev,pwritev2,ftruncate,fallocate,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2";
        let child = Command::new("strace")
            .args(["-f", "-q", "-o"])
            .arg(&log)
            .args([
                "-e",
                &format!("trace={calls}"),
                "-e",
                &format!("inject={calls}:error=EROFS"),
            ])
            .args(["-p", &server.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let traced = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
            let all =
                tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default());
            all.into_iter()
                .all(|status| !status.contains("TracerPid:\t0\n"))
                .then_some(())
        };
        wait_for("strace to hold the server", Duration::from_secs(10), traced);
        ReadOnly(child)
    }

    fn end(mut self) {
        run("kill", ["-INT", &self.0.id().to_string()]);
        self.0.wait().unwrap();
    }
}

#[test]
fn read_only_and_back() {
    if !installed(&["strace"]) {
        return;
    }
    if !is_root() {
        return skipped("holding a process needs root");
    }
    let server = Server::start();
    let mut accepted = Accepted::default();
    let first = made_up(5000);
    assert!(accepted.send(&server, first.clone()).starts_with("250"));
    accepted.assert_there(&server);
    for _ in 0..2 {
        let read_only = ReadOnly::begin(&server);
        assert_reading_goes_on(&server, &mut accepted, &first, &["452 4.3.1"]);
        read_only.end();
        assert_recovers(&server, &mut accepted);
    }
    accepted.assert_there(&server);
    assert!(!server.log().contains("panicked"));
}

/// The kernel finds a fault and mounts the file system read-only under the running server, as it does on failing disks. From that no
/// file system comes back without being unmounted: after a restart nothing is lost.
#[test]
fn read_only_by_the_kernel() {
    let Some(mounted) = Mounted::ext4(200) else { return };
    let mut server = Server::start_with(Setup {
        data: Some(mounted.data()),
        ..Setup::default()
    });
    let mut accepted = Accepted::default();
    let first = made_up(5000);
    assert!(accepted.send(&server, first.clone()).starts_with("250"));
    for size in 0..50 {
        assert!(accepted.send(&server, made_up(size * 97 + 2)).starts_with("250"));
    }
    accepted.assert_there(&server);

    let image = mounted.image.clone().unwrap();
    let device = run("losetup", ["-n", "-O", "NAME", "-j", image.to_str().unwrap()]).text();
    let device = device.trim().trim_start_matches("/dev/");
    std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "asked for by a test").unwrap();
    assert!(
        std::fs::write(mounted.folder.path().join("probe"), "x").is_err(),
        "still writable"
    );
    // A disk that fails is not only read-only: whatever is tried first may be an I/O error.
    assert_reading_goes_on(&server, &mut accepted, &first, &["452 4.3.1", "451 4.3.0"]);

    server.kill();
    mounted.unmount();
    let _ = run_unchecked("fsck.ext4", ["-p", image.to_str().unwrap()], None);
    let mount = [
        "-t",
        "ext4",
        "-o",
        "loop",
        image.to_str().unwrap(),
        mounted.folder.path().to_str().unwrap(),
    ];
    run("mount", mount);
    server.launch();
    assert_recovers(&server, &mut accepted);
    accepted.assert_there(&server);
    server.stop();
}
