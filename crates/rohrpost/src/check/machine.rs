//! The machine: data directory, room, clock, open files, ports.

use super::Findings;
use crate::config::{Config, units};
use crate::files::DataLock;
use crate::privileges;
use rustix::process::{Resource, getrlimit};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Less room than this is a warning.
const ROOM_LOW: u64 = 5 << 30;
/// Less room than this is a fault: a handful of large messages would fill it.
const ROOM_LEAST: u64 = 512 << 20;
/// Open files the server wants beside one for each connection: account databases, segments, sockets.
const FILES_BESIDE: u64 = 1024;

pub(super) fn look(config: &Config, findings: &mut Findings) {
    data(&config.data, findings);
    clock(&config.data, findings);
    open_files(config.limits.connections, findings);
    if let Some(user) = &config.user {
        match privileges::identity(user, config.group.as_deref()) {
            Ok(id) => findings.ok("user", format!("{user} ({}:{})", id.uid, id.gid)),
            Err(e) => findings.fault("user", e.to_string()),
        }
    }
}

/// Whether the ports are free; with a running server they are its own.
pub(super) fn ports(config: &Config, findings: &mut Findings) {
    // Without the file of the lock no server has ever run, and looking must not make it.
    if config.data.join("lock").exists() && matches!(DataLock::take(&config.data), Ok(None)) {
        findings.ok("server", "running");
        return;
    }
    for listener in &config.listeners {
        let what = format!("{} {}", listener.protocol.name(), listener.bind);
        match TcpListener::bind(listener.bind) {
            Ok(_) => findings.ok("port", what),
            Err(e) => {
                let advice = match e.kind() {
                    std::io::ErrorKind::AddrInUse => "another program has this port; `ss -ltnp` shows which",
                    std::io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need root or CAP_NET_BIND_SERVICE; contrib/rohrpost.service gives it"
                    }
                    std::io::ErrorKind::AddrNotAvailable => "this machine does not have this address",
                    _ => "",
                };
                findings.fault("port", format!("{what}: {e}; {advice}"));
            }
        }
    }
}

fn data(data: &Path, findings: &mut Findings) {
    let shown = data.display();
    if !data.is_dir() {
        findings.fault("data", format!("{shown} is not there; `rohrpost init` makes it"));
        return;
    }
    let trial = data.join("check.tmp");
    let written = std::fs::write(&trial, b"x");
    let _ = std::fs::remove_file(&trial);
    match written {
        Ok(()) => findings.ok("data", format!("{shown} can be written")),
        Err(e) => findings.fault("data", format!("{shown} cannot be written: {e}")),
    }
    match rustix::fs::statvfs(data) {
        Ok(s) => {
            let room = s.f_bavail.saturating_mul(s.f_frsize);
            let what = format!("{} free on the disk of {shown}", units::size_rounded(room));
            if room < ROOM_LEAST {
                findings.fault("room", what);
            } else if room < ROOM_LOW {
                findings.warning("room", what);
            } else {
                findings.ok("room", what);
            }
            if s.f_files > 0 && s.f_favail.saturating_mul(50) < s.f_files {
                findings.warning(
                    "room",
                    format!("only {} more files can be made on the disk of {shown}", s.f_favail),
                );
            }
        }
        Err(e) => findings.warning("room", format!("not known: {e}")),
    }
}

/// Without a network the clock cannot be compared; but it must not stand before what has been written already, nor before this
/// program was made.
fn clock(data: &Path, findings: &mut Findings) {
    const MADE: Duration = Duration::from_secs(1_764_000_000);
    let now = SystemTime::now();
    let newest = std::fs::read_dir(data)
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok()?.metadata().ok()?.modified().ok())
        .max();
    if now < SystemTime::UNIX_EPOCH + MADE {
        findings.fault(
            "clock",
            "stands before this program was made; set it, and run an NTP client",
        );
    } else if newest.is_some_and(|t| t > now + Duration::from_secs(300)) {
        findings.fault(
            "clock",
            "stands before the newest file in the data directory; set it, and run an NTP client",
        );
    } else {
        findings.ok(
            "clock",
            jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        );
    }
}

fn open_files(connections: u64, findings: &mut Findings) {
    let wanted = connections.saturating_add(FILES_BESIDE);
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < wanted => findings.warning(
            "open files",
            format!(
                "at most {most}, but {wanted} are wanted for limits.connections; raise LimitNOFILE or lower the limit"
            ),
        ),
        most => findings.ok(
            "open files",
            most.map_or("no bound".to_owned(), |m| format!("at most {m}")),
        ),
    }
}
