//! The IMAP server: RFC 3501 and RFC 9051 over the store.
//!
//! Whatever mailbox a client names is looked up by [`place`] alone, which knows what the account may see.
//!
//! [`serve`] takes connections off one listener until it is told to stop; each is a task of its own. The protocol is in the crate
//! `imap`: its framer cuts the stream into commands, its encoder writes the answers. Here is what they mean: one file for each group of
//! commands under `command`.
//!
//! A session that has selected a mailbox keeps the [`store::Snapshot`] that its client knows. Sequence numbers are positions in it.
//! Where a command may speak of changes, the newest snapshot is compared with it and the difference told; while a client idles, each
//! new snapshot wakes its session.

mod answer;
mod capability;
mod command;
mod connection;
mod contexts;
mod decode;
mod events;
mod login;
mod metrics;
mod notify;
mod object;
mod options;
mod place;
mod selected;
mod trouble;

pub use metrics::ImapOwn;
pub use options::Options;

use crate::ListenerConfig;
use crate::metrics::Metrics;
use connection::Connection;
use directory::Directory;
use net::{blocking, now, stopped};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Messages up to which a change is small.
const FEW: usize = 64;

/// Runs what is `small`, and needs nobody's leave, at once: handing this thread's other tasks to another one, as [`blocking`] does, takes
/// longer than a small change in an account where nobody else is at work.
fn promptly<T>(small: bool, work: impl FnOnce() -> T) -> T {
    if small { work() } else { blocking(work) }
}

/// What all IMAP listeners share.
pub struct Context {
    directory: Directory,
    store: Arc<Store>,
    options: Options,
    metrics: Metrics<ImapOwn>,
    /// Searches that may run at once.
    searches: Arc<Semaphore>,
    /// What administrators say about the server to all (RFC 5464): for each entry that was changed since we run, how many changes there were
    /// up to then.
    server_metadata: watch::Sender<BTreeMap<String, u64>>,
    /// Runs scripts on what happens to messages (RFC 6785).
    events: Option<Arc<filter::Events>>,
}

impl Context {
    /// Puts together what sessions need.
    pub fn new(directory: Directory, store: Arc<Store>, options: Options) -> Context {
        let searches = options.searches.max(1);
        Context {
            directory,
            store,
            options,
            metrics: Metrics::default(),
            searches: Arc::new(Semaphore::new(searches)),
            server_metadata: watch::channel(BTreeMap::new()).0,
            events: None,
        }
    }

    /// Scripts run on what happens to messages (RFC 6785).
    #[must_use]
    pub fn with_events(mut self, events: Arc<filter::Events>) -> Context {
        self.events = Some(events);
        self
    }

    /// The counters, to be registered.
    pub fn metrics(&self) -> &Metrics<ImapOwn> {
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
type Listener = crate::listener::Listener<Context, ImapOwn>;
