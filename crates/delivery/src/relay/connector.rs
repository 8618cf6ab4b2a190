//! From a destination to a connection: which hosts, which addresses, which TLS, who we are there.
//!
//! RFC 5321 §5.1 gives the hosts in order; the first that will do gets the mail. A host that does not answer, whose TLS does not come up to
//! what is asked, or that does not want us, is passed over, and what it said is part of what the queue is told in the end. What the DNS says of a
//! domain is believed no further than that: addresses of this machine, of nobody and of our own listeners are never connected to.
//!
//! The parts: `options` has settings and routes, `hosts` asks the DNS, `search` tries one host after the other, `tls` and `dane` judge
//! certificates, `wire` moves bytes, `connection` sends mail, `memory` knows who did not answer a moment ago.
//!
//! **Exposed to:** name servers and mail hosts of strangers. **Touches:** sockets, outward. **Bounds:** [`Limits`].

mod connection;
mod dane;
mod hosts;
mod memory;
mod options;
mod search;
mod tls;
mod wire;

pub use connection::Connection;
pub use options::{Limits, Options, Own, Requirement, Route, Target};
pub use tls::ClientTls;

use super::transport::{Destination, Needs, Terms, Transport, Trouble};
use dns::Resolver;
use memory::Memory;
use options::{route_of, route_to};
use search::Search;
use std::sync::Arc;

/// The way to other servers. Clones share what they remember.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    options: Options,
    resolver: Resolver,
    tls: ClientTls,
    memory: Memory,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connector").field(&self.0.options).finish()
    }
}

impl Connector {
    /// A connector; nothing is asked and nobody is connected to yet.
    pub fn new(options: Options, resolver: Resolver, tls: ClientTls) -> Connector {
        let memory = Memory::new(options.limits.remembered);
        Connector(Arc::new(Inner {
            options,
            resolver,
            tls,
            memory,
        }))
    }
}

impl Transport for Connector {
    type Connection = Connection;

    fn destination(&self, address: &str) -> Destination {
        route_of(&self.0.options, address).0
    }

    fn terms(&self, destination: &Destination) -> Terms {
        route_to(&self.0.options, destination).map_or_else(|| self.0.options.terms.clone(), |route| route.terms.clone())
    }

    async fn connect(&self, destination: &Destination, needs: Needs) -> Result<Connection, Trouble> {
        let mut search = Search::new(&self.0, destination, needs);
        let patience = self.0.options.limits.patience;
        match tokio::time::timeout(patience, search.run()).await {
            Ok(result) => result,
            Err(_) => {
                search.note(format!("no host would do in {} s", patience.as_secs()));
                Err(search.trouble())
            }
        }
    }
}
