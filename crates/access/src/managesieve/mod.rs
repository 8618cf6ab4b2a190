//! The ManageSieve server: RFC 5804 over the scripts that the store keeps.
//!
//! Exposed to: whoever can connect, and then to people's programs. May touch: the directory (reading), the scripts of the account that
//! has logged in.
//!
//! The protocol is in the crate `managesieve`; whether a script is right says [`filter::Filter`], the same that runs it later, so that
//! what is accepted here is what works there. Two programs that write one script at the same time: the last PUTSCRIPT stands, since the
//! protocol has no word to prevent it; our own settings refuse to overwrite what they have not read ([`store::Unless`]).

mod commands;
mod connection;
mod login;
mod options;

pub use options::Options;

use crate::ListenerConfig;
use crate::metrics::{Metrics, Own};
use connection::Connection;
use directory::Directory;
use filter::Filter;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// ManageSieve counts nothing beside what all protocols do.
#[derive(Clone, Default)]
pub struct ManageSieveOwn;

impl Own for ManageSieveOwn {
    const PROTOCOL: &str = "managesieve";

    fn register(&self, _registry: &mut Registry) {}
}

/// What all ManageSieve listeners share.
pub struct Context {
    directory: Directory,
    store: Arc<Store>,
    filter: Arc<Filter>,
    options: Options,
    metrics: Metrics<ManageSieveOwn>,
}

impl Context {
    /// Puts together what sessions need.
    pub fn new(directory: Directory, store: Arc<Store>, filter: Arc<Filter>, options: Options) -> Context {
        Context {
            directory,
            store,
            filter,
            options,
            metrics: Metrics::default(),
        }
    }

    /// The counters, to be registered.
    pub fn metrics(&self) -> &Metrics<ManageSieveOwn> {
        &self.metrics
    }
}

/// Serves a listener until `shutdown` becomes true; returns when its sessions have ended, or were cut after [`ConnectionLimits::shutdown`](crate::ConnectionLimits::shutdown).
pub async fn serve(
    socket: TcpListener,
    context: Arc<Context>,
    config: ListenerConfig,
    shutdown: watch::Receiver<bool>,
) {
    let limits = &context.options.connection;
    let listener = Listener::new(&context, &context.metrics, limits, config, connection::TOO_MANY);
    let session = |listener, guest| Connection::new(listener, guest).run();
    listener.serve(socket, shutdown, session).await;
}

/// A listener at work.
type Listener = crate::listener::Listener<Context, ManageSieveOwn>;
