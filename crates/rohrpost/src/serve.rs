//! `rohrpost serve`: binds, stops being root, opens the data directory, starts the services, and ends them in order.
//!
//! Exposed to: everything its listeners are. Touches: the data directory, the certificate, and while it is still root the ports.

use crate::acme::{self, Proofs};
use crate::admin::socket::{AdminSocket, Handler};
use crate::config::{Config, Listener};
use crate::engine::Engine;
use crate::failure::{At as _, Failure};
use crate::files::{self, DataLock};
use crate::services::Services;
use crate::tls::Tls;
use crate::{admin, privileges, readiness};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Connections that may wait to be accepted, on each listener.
const BACKLOG: i32 = 4096;
/// How long to wait for an administration command to be done with the data directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A port that is bound, and what is to be spoken on it.
struct Bound {
    listener: Listener,
    socket: TcpListener,
    address: SocketAddr,
}

/// Serves until a signal ends it. `engine` is given when the data directory is open already; `announce` is printed once all listen.
pub fn run(config: &Config, engine: Option<Engine>, announce: &str) -> Result<ExitCode, Failure> {
    if config.listeners.is_empty() {
        return Err(Failure::usage(format!("{} has no [[listener]]", config.file.display()))
            .advise("add one for each port; docs/configuration.md shows how"));
    }
    open_files();
    acme::prepare(config)?;
    let proofs = Arc::new(Proofs::default());
    let load = |files| Tls::load(files, &proofs).map(Arc::new);
    let tls = config.tls.as_ref().map(load).transpose()?;
    let bound = config.listeners.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    drop_root(config)?;
    let engine = match engine {
        Some(engine) => engine,
        None => open(config)?,
    };
    // Only now: threads that start from here on have the privileges that are left.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("rohrpost")
        .build()
        .map_err(Failure::new)?;
    let engine = Arc::new(engine);
    let ended = runtime.block_on(serve(config, Arc::clone(&engine), tls, &proofs, bound, announce));
    // Sessions that outlived their bound are cut here.
    runtime.shutdown_timeout(Duration::from_secs(1));
    engine.close()?;
    tracing::info!("stopped");
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// As many open files as the system lets us have.
fn open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(e) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        tracing::warn!(error = %e, "the number of open files stays as it is");
    }
}

fn bind(listener: &Listener) -> Result<Bound, Failure> {
    let bound = || {
        let address = listener.bind;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Bound {
            listener: listener.clone(),
            socket,
            address,
        })
    };
    bound().map_err(|e: std::io::Error| {
        let failure = Failure::new(format!(
            "cannot listen on {} for {}: {e}",
            listener.bind,
            listener.protocol.name()
        ));
        match e.kind() {
            std::io::ErrorKind::AddrInUse => failure.advise("another program has this port; `ss -ltnp` shows which"),
            std::io::ErrorKind::PermissionDenied => {
                failure.advise("ports below 1024 need root or CAP_NET_BIND_SERVICE; contrib/rohrpost.service gives it")
            }
            std::io::ErrorKind::AddrNotAvailable => failure.advise("this machine does not have this address"),
            _ => failure,
        }
    })
}

fn drop_root(config: &Config) -> Result<(), Failure> {
    match &config.user {
        Some(user) if privileges::is_root() => {
            let identity = privileges::identity(user, config.group.as_deref())?;
            privileges::become_identity(identity)?;
            tracing::info!(user, uid = identity.uid, gid = identity.gid, "no longer root");
        }
        Some(_) => {}
        None if privileges::is_root() && config.listeners.iter().any(|l| !l.bind.ip().is_loopback()) => {
            tracing::warn!("running as root; set `user` in the settings");
        }
        None => {}
    }
    Ok(())
}

/// Opens the data directory; an administration command that has it open just now is waited for.
fn open(config: &Config) -> Result<Engine, Failure> {
    files::folder(&config.data)?;
    let mut people = directory::Options::default();
    if let Some(oauth) = &config.oauth {
        let check = directory::JwtCheck::open(oauth.clone()).map_err(Failure::usage)?;
        people.tokens = Some(Arc::new(check));
    }
    let began = Instant::now();
    loop {
        if let Some(lock) = DataLock::take(&config.data)? {
            return Engine::open_with(&config.data, lock, people);
        }
        if began.elapsed() > LOCK_PATIENCE {
            return Err(
                Failure::new(format!("another rohrpost has {} open", config.data.display()))
                    .advise("is the server running already? `systemctl status rohrpost`"),
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn serve(
    config: &Config,
    engine: Arc<Engine>,
    tls: Option<Arc<Tls>>,
    proofs: &Arc<Proofs>,
    bound: Vec<Bound>,
    announce: &str,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::new)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::new)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::new)?;
    let handler: Arc<Handler> = {
        let engine = Arc::clone(&engine);
        Arc::new(move |request, rows| admin::handle(&engine, request, rows))
    };
    let admin_socket = AdminSocket::listen(&config.admin_socket(), handler)?;
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).watch());
    }
    let listeners: Vec<Listener> = bound
        .iter()
        .map(|one| Listener {
            bind: one.address,
            ..one.listener.clone()
        })
        .collect();
    let mut services = Services::start(config, &listeners, &engine, tls.clone(), proofs).map_err(Failure::new)?;
    let mut listening = Vec::new();
    for Bound {
        listener,
        socket,
        address,
    } in bound
    {
        let protocol = listener.protocol.name();
        tracing::info!(protocol, %address, "listening");
        listening.push(serde_json::json!({ "protocol": protocol, "address": address }));
        services.listen(
            &listener,
            tokio::net::TcpListener::from_std(socket).map_err(Failure::new)?,
        );
    }
    let listening = Listening::write(config, &listening)?;
    readiness::notify("READY=1");
    std::io::stdout()
        .write_all(announce.as_bytes())
        .and_then(|()| std::io::stdout().flush())
        .map_err(Failure::new)?;

    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                if let Some(tls) = &tls {
                    match tls.reload() {
                        Ok(()) => tracing::info!("certificate reloaded"),
                        Err(e) => tracing::warn!(error = %e.message, "certificate not reloaded; the old one stays"),
                    }
                }
            }
        }
    }
    tracing::info!("stopping");
    readiness::notify("STOPPING=1");
    drop(listening);
    drop(admin_socket);
    services.stop(config.limits.shutdown).await;
    Ok(())
}

/// `listening.json` in the data directory: what is spoken where, for whoever bound port 0 and wants to know. There as long as the
/// server listens.
struct Listening(PathBuf);

impl Listening {
    fn write(config: &Config, listening: &[serde_json::Value]) -> Result<Listening, Failure> {
        let path = config.data.join("listening.json");
        let fresh = config.data.join("listening.json.tmp");
        let text = serde_json::to_vec(listening).map_err(Failure::new)?;
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .at("write", &path)?;
        Ok(Listening(path))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
