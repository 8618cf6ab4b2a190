//! Administration: one set of commands, carried out by the running server for whoever asks through its socket, or by the command itself
//! where no server runs.

mod custody;
mod people;
mod queue;
pub mod request;
mod settings;
mod sharing;
mod sieve;
pub mod socket;

pub use self::sieve::check as script_check;
pub use people::{find, found};

use crate::config::{Config, units};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::files::DataLock;
use crate::housekeeping;
use crate::indexer;
use crate::privileges;
use request::{Done, Request};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a command waits for a server that holds the lock and does not listen yet, or has just stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the rows of an answer go.
pub type Rows<'r> = &'r mut dyn FnMut(Value) -> Result<(), Failure>;

/// Carries `request` out.
pub fn handle(engine: &Engine, request: Request, rows: Rows<'_>) -> Result<Done, Failure> {
    match request {
        Request::QueueList { which, limit } => queue::list(engine, &which, limit, rows),
        Request::QueueDestinations { limit } => queue::destinations(engine, limit, rows),
        Request::QueueShow { id } => queue::show(engine, &id, rows),
        Request::QueueOrder { order, which } => queue::order(engine, order, &which),
        Request::Trace(trace) => custody::trace(engine, &trace, rows),
        Request::Audit => custody::audit(engine, rows),
        Request::Reclaim => {
            let done = housekeeping::reclaim(engine)?;
            let (bytes, written) = (
                units::size_rounded(done.removed_bytes),
                units::size_rounded(done.rewritten_bytes),
            );
            Ok(Done::say(format!(
                "{} segments of {bytes} removed, {written} of live mail written anew",
                done.removed
            )))
        }
        Request::Verify => custody::verify(engine, rows),
        Request::SearchRebuild { account } => indexer::rebuild(engine, account.as_deref(), rows),
        Request::SearchList => indexer::list(engine, rows),
        request @ (Request::SettingsShow { .. } | Request::SettingsChange { .. }) => {
            settings::handle(engine, request, rows)
        }
        Request::Sieve(order) => sieve::handle(engine, order, rows),
        request @ (Request::GroupAdd { .. }
        | Request::GroupList
        | Request::GroupMembers { .. }
        | Request::GroupJoin { .. }
        | Request::GroupLeave { .. }
        | Request::GroupSeen { .. }
        | Request::AclList { .. }
        | Request::AclSet { .. }) => sharing::handle(engine, request, rows),
        request => people::handle(engine, request, rows),
    }
}

/// Has `request` carried out: by the server that runs on the data directory of `config`, else here.
pub fn ask(config: &Config, request: &Request, rows: Rows<'_>) -> Result<Done, Failure> {
    if !config.data.is_dir() {
        return Err(
            Failure::usage(format!("there is no data directory {}", config.data.display()))
                .advise("`rohrpost init` makes it; `data` in the settings names it"),
        );
    }
    let socket = config.admin_socket();
    privileges::become_owner_of(&config.data)?;
    let began = Instant::now();
    loop {
        if let Some(lock) = DataLock::take(&config.data)? {
            let engine = Engine::open(&config.data, lock)?;
            engine.filter_by(config);
            engine.notifier_by(config);
            let done = handle(&engine, request.clone(), rows)?;
            engine.close()?;
            return Ok(done);
        }
        match socket::connect(&socket) {
            Ok(stream) => return socket::ask(&stream, request, rows),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Failure::new(format!("{}: {e}", socket.display()))
                    .advise("run this as root or as the user the server runs as"));
            }
            Err(e) if began.elapsed() > PATIENCE => {
                return Err(Failure::new(format!(
                    "another process has {} open and does not answer at {}: {e}",
                    config.data.display(),
                    socket.display()
                ))
                .advise("see which with `fuser -v` on the file `lock` there"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
