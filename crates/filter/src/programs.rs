//! Programs that scripts may use: `pipe`, `filter` and `execute` of vnd.dovecot.
//!
//! Exposed to: whatever mail a stranger sends, which such a program reads, and arguments that a script's author chose. So only programs run
//! that the administrator has put into a folder of ours, each under the command it may be used by (`pipe/NAME`, `filter/NAME`,
//! `execute/NAME`); they are started without a shell, as the user the server runs as, with an environment of a few words, in a process group
//! of their own that is killed when its time is over, and bounded in memory, in what they may write and in how many run at once.

use crate::{Delivery, Person};
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use sieve::ProgramKind;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Octets of a program's complaints that go to the log.
const COMPLAINT: usize = 2 * 1024;
/// How long to wait for news of a program at a time: its end is no event that could be waited for together with its output.
const GLANCE: Duration = Duration::from_millis(20);
/// Octets moved at a time.
const PIECE: usize = 64 * 1024;
/// Pieces of one pipe that are read before the clock is looked at again.
const PIECES: usize = 16;

/// Programs, and what they may use.
#[derive(Clone, Debug)]
pub struct ProgramOptions {
    /// The folder with `pipe`, `filter` and `execute` in it; none: no program runs.
    pub folder: Option<PathBuf>,
    /// How long one may run. Default 10 s, as Pigeonhole has it: delivery of this account waits for it.
    pub time: Duration,
    /// Octets that one may write. Default 16 MiB.
    pub output: usize,
    /// Octets of memory that one may have. Default 256 MiB.
    pub memory: u64,
    /// How many run at once, for all accounts. Default 4: the machine is for mail.
    pub at_once: usize,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        ProgramOptions {
            folder: None,
            time: Duration::from_secs(10),
            output: 16 << 20,
            memory: 256 << 20,
            at_once: 4,
        }
    }
}

/// What a program is told of the delivery, beside its arguments.
pub(crate) struct Surroundings<'s> {
    pub(crate) user: &'s str,
    pub(crate) sender: &'s str,
    pub(crate) recipient: &'s str,
    pub(crate) hostname: &'s str,
}

impl<'s> Surroundings<'s> {
    pub(crate) fn of(delivery: &'s Delivery<'_>, person: &'s Person, hostname: &'s str) -> Surroundings<'s> {
        Surroundings {
            user: &person.address,
            sender: delivery.envelope.from.as_deref().unwrap_or_default(),
            recipient: delivery.envelope.to.as_deref().unwrap_or(&person.address),
            hostname,
        }
    }
}

/// Runs programs.
pub(crate) struct Programs {
    options: ProgramOptions,
    running: Mutex<usize>,
    ended: Condvar,
}

/// A program that runs: one of those that may do so at once.
struct Place<'p>(&'p Programs);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
        self.0.ended.notify_one();
    }
}

impl Programs {
    pub(crate) fn new(options: ProgramOptions) -> Programs {
        Programs {
            options,
            running: Mutex::new(0),
            ended: Condvar::new(),
        }
    }

    /// The file of a program that the administrator has listed.
    pub(crate) fn file(&self, kind: ProgramKind, name: &str) -> Option<PathBuf> {
        // The language has seen to it that a name is no path; it is looked at again, since files are opened here.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return None;
        }
        let file = self.options.folder.as_ref()?.join(kind.name()).join(name);
        let found = std::fs::metadata(&file).ok()?;
        (found.is_file() && found.permissions().mode() & 0o111 != 0).then_some(file)
    }

    /// Runs a program to its end. `Ok(None)`: it ended with a failure of its own. `Err`: it could not be run, or not to its end; why.
    pub(crate) fn run(
        &self,
        kind: ProgramKind,
        name: &str,
        arguments: &[String],
        input: &[u8],
        around: &Surroundings<'_>,
    ) -> Result<Option<Vec<u8>>, String> {
        let file = self.file(kind, name).ok_or("it is not listed")?;
        if arguments.iter().any(|argument| argument.contains('\0')) {
            return Err("an argument has a NUL in it".to_owned());
        }
        let deadline = Instant::now() + self.options.time;
        let _place = self.place(deadline).ok_or("too many programs run already")?;
        let mut command = Command::new(&file);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("USER", around.user)
            .env("SENDER", around.sender)
            .env("RECIPIENT", around.recipient)
            .env("HOST", around.hostname)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let bounds = [
            (Resource::As, self.options.memory),
            (Resource::Core, 0),
            (Resource::Cpu, self.options.time.as_secs() + 1),
        ];
        for (resource, most) in bounds {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most),
            };
            // One that has ended already needs no limit.
            let _ = prlimit(Some(Pid::from_child(&child)), resource, limit);
        }
        let mut talk = Talk::default();
        let ended = talk.hold(&mut child, input, deadline, self.options.output);
        // Whatever it has started goes with it.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        if ended.is_err() {
            let _ = child.wait();
        }
        let complaint = String::from_utf8_lossy(&talk.complaint);
        let complaint = complaint.trim();
        match ended {
            Ok(status) if status.success() => {
                if !complaint.is_empty() {
                    tracing::info!(program = name, kind = kind.name(), complaint, "a program of a script");
                }
                Ok(Some(talk.output))
            }
            Ok(status) => {
                tracing::info!(program = name, kind = kind.name(), %status, complaint, "a program of a script has failed");
                match status.signal() {
                    Some(signal) => Err(format!("it was ended by signal {signal}")),
                    None => Ok(None),
                }
            }
            Err(reason) => {
                tracing::warn!(
                    program = name,
                    kind = kind.name(),
                    reason,
                    complaint,
                    "a program of a script was ended"
                );
                Err(reason)
            }
        }
    }

    /// Waits until one more may run.
    fn place(&self, deadline: Instant) -> Option<Place<'_>> {
        let mut running = self.running.lock();
        while *running >= self.options.at_once.max(1) {
            if self.ended.wait_until(&mut running, deadline).timed_out() {
                return None;
            }
        }
        *running += 1;
        Some(Place(self))
    }
}

/// What is said to a program and what it says.
#[derive(Default)]
struct Talk {
    output: Vec<u8>,
    complaint: Vec<u8>,
}

impl Talk {
    /// Gives the program its input and takes its output until it ends.
    fn hold(
        &mut self,
        child: &mut Child,
        mut input: &[u8],
        deadline: Instant,
        most: usize,
    ) -> Result<ExitStatus, String> {
        let trouble = |error: std::io::Error| format!("it cannot be talked to: {error}");
        let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        for fd in [
            stdin.as_ref().map(AsFd::as_fd),
            stdout.as_ref().map(AsFd::as_fd),
            stderr.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        {
            ioctl_fionbio(fd, true).map_err(|errno| trouble(errno.into()))?;
        }
        let mut piece = vec![0; PIECE];
        loop {
            if input.is_empty() {
                stdin = None;
            }
            // The end first, then what is still in the pipes: so nothing that it wrote is missed.
            let ended = child.try_wait().map_err(trouble)?;
            if let Some(pipe) = &mut stdin {
                match pipe.write(input) {
                    Ok(written) => input = input.get(written..).unwrap_or_default(),
                    Err(error) if is_later(&error) => {}
                    // It does not want the rest, which is its own affair.
                    Err(_) => stdin = None,
                }
            }
            take(&mut stdout, &mut piece, &mut self.output, most + 1);
            if self.output.len() > most {
                return Err(format!("it wrote more than {most} octets"));
            }
            // The rest of a long complaint is read and thrown away: a full pipe would hold the program up.
            take(&mut stderr, &mut piece, &mut self.complaint, COMPLAINT);
            if let Some(status) = ended {
                return Ok(status);
            }
            let now = Instant::now();
            if now >= deadline {
                return Err("it took too long".to_owned());
            }
            let mut fds = Vec::with_capacity(3);
            if let Some(pipe) = &stdin {
                fds.push(PollFd::new(pipe, PollFlags::OUT));
            }
            if let Some(pipe) = &stdout {
                fds.push(PollFd::new(pipe, PollFlags::IN));
            }
            if let Some(pipe) = &stderr {
                fds.push(PollFd::new(pipe, PollFlags::IN));
            }
            let wait = GLANCE.min(deadline - now);
            let wait = Timespec {
                tv_sec: 0,
                tv_nsec: wait.subsec_nanos().into(),
            };
            match poll(&mut fds, Some(&wait)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(trouble(errno.into())),
            }
        }
    }
}

/// Reads what is there and keeps it up to `most` octets in all; closes what has ended.
fn take(pipe: &mut Option<impl Read>, piece: &mut [u8], into: &mut Vec<u8>, most: usize) {
    for _ in 0..PIECES {
        let Some(open) = pipe else { return };
        match open.read(piece) {
            Ok(0) => *pipe = None,
            Ok(count) => {
                let room = most.saturating_sub(into.len()).min(count);
                into.extend_from_slice(piece.get(..room).unwrap_or_default());
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if is_later(&error) => return,
            Err(_) => *pipe = None,
        }
    }
}

fn is_later(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn programs(change: impl FnOnce(&mut ProgramOptions)) -> (tempfile::TempDir, Programs) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = ProgramOptions {
            folder: Some(folder.path().to_path_buf()),
            ..ProgramOptions::default()
        };
        change(&mut options);
        for kind in ["pipe", "filter", "execute"] {
            std::fs::create_dir(folder.path().join(kind)).unwrap();
        }
        (folder, Programs::new(options))
    }

    fn put(folder: &tempfile::TempDir, name: &str, text: &str, mode: u32) {
        let file = folder.path().join("execute").join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn run(programs: &Programs, name: &str, arguments: &[&str], input: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let around = Surroundings {
            user: "ada@x",
            sender: "bob@y",
            recipient: "ada+z@x",
            hostname: "mx.x",
        };
        programs.run(ProgramKind::Execute, name, &arguments, input, &around)
    }

    #[test]
    fn only_what_is_listed_runs() {
        let (folder, programs) = programs(|_| ());
        put(&folder, "listed", "#!/bin/sh\necho yes\n", 0o755);
        put(&folder, "plain", "#!/bin/sh\necho no\n", 0o644);
        std::fs::write(folder.path().join("outside"), "x").unwrap();
        for (name, listed) in [
            ("listed", true),
            ("plain", false),
            ("none", false),
            ("", false),
            ("..", false),
            ("../outside", false),
            ("/bin/sh", false),
        ] {
            assert_eq!(programs.file(ProgramKind::Execute, name).is_some(), listed, "{name}");
        }
        assert!(programs.file(ProgramKind::Pipe, "listed").is_none());
        assert_eq!(run(&programs, "listed", &[], b""), Ok(Some(b"yes\n".to_vec())));
    }

    #[test]
    fn arguments_and_surroundings_are_given_as_they_are() {
        let (folder, programs) = programs(|_| ());
        put(
            &folder,
            "tell",
            "#!/bin/sh\nprintf '%s|' \"$@\" \"$USER\" \"$SENDER\" \"$RECIPIENT\" \"$HOST\"; env | grep -c SECRET\ncat\n",
            0o755,
        );
        let told = run(&programs, "tell", &["a b", "$(id)", ";x"], b"in").unwrap().unwrap();
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "a b|$(id)|;x|ada@x|bob@y|ada+z@x|mx.x|0\nin"
        );
    }

    #[test]
    fn long_input_and_output_pass_at_once() {
        let (folder, programs) = programs(|_| ());
        put(&folder, "same", "#!/bin/sh\nexec cat\n", 0o755);
        // One that does not read, and one that complains without end.
        put(&folder, "deaf", "#!/bin/sh\nexec true\n", 0o755);
        put(
            &folder,
            "loud",
            "#!/bin/sh\nhead -c 300000 /dev/zero >&2\necho done\n",
            0o755,
        );
        let long = vec![b'x'; 3 << 20];
        assert_eq!(run(&programs, "same", &[], &long).unwrap().unwrap().len(), long.len());
        assert_eq!(run(&programs, "deaf", &[], &long), Ok(Some(Vec::new())));
        assert_eq!(run(&programs, "loud", &[], b""), Ok(Some(b"done\n".to_vec())));
    }

    #[test]
    fn what_goes_wrong_is_told_and_bounded() {
        let (folder, programs) = programs(|options| {
            options.time = Duration::from_millis(700);
            options.output = 1000;
            options.memory = 64 << 20;
            options.at_once = 1;
        });
        put(&folder, "no", "#!/bin/sh\nexit 3\n", 0o755);
        put(&folder, "slow", "#!/bin/sh\nsleep 60 & sleep 60\n", 0o755);
        put(&folder, "endless", "#!/bin/sh\nexec cat /dev/zero\n", 0o755);
        put(
            &folder,
            "hungry",
            "#!/bin/sh\nx=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}\n",
            0o755,
        );
        put(&folder, "broken", "#!/nowhere/at/all\n", 0o755);
        let begun = Instant::now();
        assert_eq!(run(&programs, "no", &[], b""), Ok(None));
        assert_eq!(run(&programs, "slow", &[], b"").unwrap_err(), "it took too long");
        assert_eq!(
            run(&programs, "endless", &[], b"").unwrap_err(),
            "it wrote more than 1000 octets"
        );
        assert_ne!(run(&programs, "hungry", &[], b""), Ok(Some(b"200000000\n".to_vec())));
        assert!(
            run(&programs, "broken", &[], b"")
                .unwrap_err()
                .contains("cannot be started")
        );
        assert!(run(&programs, "none", &[], b"").is_err());
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(*programs.running.lock(), 0);
    }
}
