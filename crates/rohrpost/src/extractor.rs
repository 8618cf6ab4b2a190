//! Looks into attachments, each in a process of its own: this program once more, as `rohrpost extract`, which may use little memory and
//! time, is given the attachment and prints its text. Whatever a document made to do harm does, it does there.
//!
//! Exposed to: attachments. May touch: nothing; the child has standard input and output.

use crate::failure::Failure;
use extract::{Format, Limits};
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, setrlimit};
use search::Attachments;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Octets of address space and seconds of processor that a document may take.
const MEMORY: u64 = 1 << 30;
const PROCESSOR: u64 = 10;
/// How long it may take by the clock, on a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads attachments out of process.
pub struct OutOfProcess;

impl Attachments for OutOfProcess {
    fn wants(&self, media_type: &str, name: &str) -> bool {
        Format::of(media_type, name).is_some()
    }

    fn text(&self, media_type: &str, name: &str, octets: &[u8]) -> Option<String> {
        let format = Format::of(media_type, name)?;
        match ask(format, octets) {
            Ok(text) => text,
            Err(error) => {
                tracing::debug!(format = format.name(), %error, "an attachment was not looked into");
                None
            }
        }
    }
}

fn ask(format: Format, octets: &[u8]) -> std::io::Result<Option<String>> {
    // Also when the program's file has been replaced meanwhile, this is what runs.
    let mut child = Command::new("/proc/self/exe")
        .args(["extract", format.name()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let child = Arc::new(Mutex::new(child));
    let mut text = Vec::new();
    std::thread::scope(|scope| {
        let (done, wait) = channel::<()>();
        let watched = Arc::clone(&child);
        scope.spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                end(&watched);
            }
        });
        scope.spawn(move || {
            if let Some(mut input) = input {
                // It may end before it has read all.
                let _ = input.write_all(octets);
            }
        });
        let most = Limits::default().text as u64;
        let read = output.map_or(Ok(0), |output| output.take(most).read_to_end(&mut text));
        drop(done);
        read
    })?;
    let status = {
        let mut child = child.lock();
        match child.try_wait()? {
            Some(status) => status,
            // Its output has ended, so it is about to.
            None => {
                let _ = child.kill();
                child.wait()?
            }
        }
    };
    let text = String::from_utf8(text).ok().filter(|text| !text.is_empty());
    if text.is_none() && !status.success() {
        return Err(std::io::Error::other(status.to_string()));
    }
    Ok(text)
}

fn end(child: &Mutex<Child>) {
    let _ = child.lock().kill();
}

/// `rohrpost extract FORMAT`: the child's side.
pub fn child(format: &str) -> Result<ExitCode, Failure> {
    let format = Format::parse(format).ok_or_else(|| Failure::usage(format!("unknown format {format}")))?;
    for (resource, most) in [(Resource::As, MEMORY), (Resource::Cpu, PROCESSOR), (Resource::Core, 0)] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(Failure::new)?;
    }
    let mut octets = Vec::new();
    std::io::stdin().lock().read_to_end(&mut octets).map_err(Failure::new)?;
    if let Some(text) = extract::text(format, &octets, &Limits::default()) {
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(crate::commands::printing)?;
    }
    Ok(ExitCode::SUCCESS)
}
