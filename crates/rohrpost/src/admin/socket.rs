//! The socket in the data directory: one JSON line asks, JSON lines answer.
//!
//! Exposed to: whoever may enter the data directory and open the socket (mode 0600), that is the server's own user and root. Touches:
//! everything; an answer is what [`super::handle`] makes of the request.

use super::request::{Done, Line, Request};
use crate::failure::{At as _, Failure};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest request line.
const MAX_REQUEST: u64 = 1 << 20;
/// Requests answered at once.
const MAX_SESSIONS: usize = 32;
/// How long a request may take to arrive, and a stalled reader may hold an answer up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What answers a request: rows go to the closure, one after the other.
pub type Handler = dyn Fn(Request, &mut dyn FnMut(Value) -> Result<(), Failure>) -> Result<Done, Failure> + Send + Sync;

/// The listening socket; its file goes away with it.
#[derive(Debug)]
pub struct AdminSocket(PathBuf);

impl AdminSocket {
    /// Listens at `path`, on a thread of its own. The caller holds the lock of the data directory, so a socket file that is there
    /// already is a dead server's.
    pub fn listen(path: &Path, handler: Arc<Handler>) -> Result<AdminSocket, Failure> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).at("replace", path),
            _ => {}
        }
        let listener = short(path)
            .and_then(|(path, _folder)| UnixListener::bind(path))
            .at("listen on", path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).at("protect", path)?;
        let accept = move || {
            let busy = Arc::new(AtomicUsize::new(0));
            for stream in listener.incoming() {
                let stream = match stream {
                    Ok(stream) => stream,
                    Err(e) => {
                        tracing::warn!(error = %e, "admin socket");
                        std::thread::sleep(Duration::from_millis(100));
                        continue;
                    }
                };
                if busy.load(Ordering::Relaxed) >= MAX_SESSIONS {
                    let line = Line::from(Failure::new("too many administration commands at once").advise("try again"));
                    let _ = write_line(&mut &stream, &line);
                    continue;
                }
                busy.fetch_add(1, Ordering::Relaxed);
                let (held, handler) = (Busy(Arc::clone(&busy)), Arc::clone(&handler));
                let spawned = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
                    let _held = held;
                    if let Err(e) = answer(&stream, &*handler) {
                        tracing::debug!(error = %e, "admin session");
                    }
                });
                if let Err(e) = spawned {
                    tracing::warn!(error = %e, "admin socket");
                }
            }
        };
        std::thread::Builder::new()
            .name("admin-socket".to_owned())
            .spawn(accept)
            .at("start the thread for", path)?;
        Ok(AdminSocket(path.to_path_buf()))
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(stream: &UnixStream, handler: &Handler) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_REQUEST).read_until(b'\n', &mut line)?;
    let mut out = BufWriter::new(stream);
    let last = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => {
            let mut row = |row: Value| {
                write_line(&mut out, &Line::Row(row)).map_err(|e| Failure::new(format!("the asker has gone: {e}")))
            };
            handler(request, &mut row).map_or_else(Line::from, Line::Done)
        }
        Err(e) => Line::from(
            Failure::usage(format!("this server does not understand the request: {e}"))
                .advise("the command is of another version than the running server; restart the server"),
        ),
    };
    write_line(&mut out, &last)?;
    out.flush()
}

fn write_line(out: &mut dyn Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Connects to the socket at `path`.
pub fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let (path, _folder) = short(path)?;
    UnixStream::connect(path)
}

/// A name for `path` that fits the 108 octets of a socket's address, good as long as the file beside it is held open.
fn short(path: &Path) -> std::io::Result<(PathBuf, Option<File>)> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if path.as_os_str().len() > 100 => {
            let folder = File::open(folder)?;
            let through = Path::new("/proc/self/fd")
                .join(folder.as_raw_fd().to_string())
                .join(name);
            Ok((through, Some(folder)))
        }
        _ => Ok((path.to_path_buf(), None)),
    }
}

/// Asks the server behind `stream`.
pub fn ask(
    stream: &UnixStream,
    request: &Request,
    row: &mut dyn FnMut(Value) -> Result<(), Failure>,
) -> Result<Done, Failure> {
    let lost = |e: std::io::Error| Failure::new(format!("the server stopped answering: {e}"));
    let mut line = serde_json::to_vec(request).map_err(|e| lost(e.into()))?;
    line.push(b'\n');
    (&mut &*stream).write_all(&line).map_err(lost)?;
    for line in BufReader::new(stream).lines() {
        match serde_json::from_str(&line.map_err(lost)?).map_err(|e| lost(e.into()))? {
            Line::Row(value) => row(value)?,
            Line::Done(done) => return Ok(done),
            Line::Failed { message, advice, exit } => return Err(Failure { message, advice, exit }),
        }
    }
    Err(lost(std::io::ErrorKind::UnexpectedEof.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_then_the_end() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a socket's address may be.
        let deep = folder.path().join("deep".repeat(40));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("admin.sock");
        let handler: Arc<Handler> = Arc::new(|request, row| match request {
            Request::AccountList => {
                (0..3).try_for_each(|n| row(serde_json::json!({ "n": n })))?;
                Ok(Done::say("three"))
            }
            _ => Err(Failure::new("no").advise("ask for a list")),
        });
        let socket = AdminSocket::listen(&path, handler).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut rows = Vec::new();
        let mut take = |v: Value| {
            rows.push(v);
            Ok(())
        };
        let done = ask(&connect(&path).unwrap(), &Request::AccountList, &mut take).unwrap();
        assert_eq!((rows.len(), done.message.as_str()), (3, "three"));

        let failed = ask(&connect(&path).unwrap(), &Request::Audit, &mut |_| Ok(())).unwrap_err();
        assert_eq!(
            (failed.message.as_str(), failed.advice.as_str(), failed.exit),
            ("no", "ask for a list", 1)
        );

        let stranger = connect(&path).unwrap();
        (&stranger).write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let mut answer = String::new();
        (&stranger).read_to_string(&mut answer).unwrap();
        assert!(answer.contains("does not understand"), "{answer}");

        drop(socket);
        assert!(!path.exists());
    }
}
