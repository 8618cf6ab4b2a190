//! From a destination to a connection: which hosts, which addresses, which TLS, who we are there.
//!
//! RFC 5321 §5.1 gives the hosts in order; the first that will do gets the mail. A host that does not answer, whose TLS does not come up to
//! what is asked, or that does not want us, is passed over, and what it said is part of what the queue is told in the end. What the DNS says of a
//! domain is believed no further than that: addresses of this machine, of nobody and of our own listeners are never connected to.
//!
//! The parts: `options` has settings and routes, `hosts` asks the DNS, `search` tries one host after the other, `tls` and `dane` judge
//! certificates, `sts` has the policies of MTA-STS, `report` tells domains how TLS with them went, `wire` moves bytes, `connection` sends mail,
//! `memory` knows who did not answer a moment ago.
//!
//! **Exposed to:** name servers and mail hosts of strangers. **Touches:** sockets, outward. **Bounds:** [`Limits`].

mod connection;
mod dane;
mod hosts;
mod https;
mod memory;
mod options;
mod report;
mod search;
mod sts;
mod tls;
mod wire;

pub use connection::Connection;
pub use options::{Limits, Options, Own, Requirement, Route, Target, takes};
pub use tls::ClientTls;

use super::transport::{Destination, Needs, Terms, Transport, Trouble};
use crate::own::OwnMail;
use db::Database;
use dns::Resolver;
use https::Https;
use memory::Memory;
use options::{route_of, route_to};
use report::Reports;
use search::Search;
use sightings::Policies;
use std::sync::Arc;
use sts::Sts;

/// The way to other servers. Clones share what they remember.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    options: Options,
    resolver: Resolver,
    tls: ClientTls,
    memory: Memory,
    https: Https,
    sts: Sts,
    reports: Option<Reports>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connector").field(&self.0.options).finish()
    }
}

impl Connector {
    /// A connector; nothing is asked and nobody is connected to yet. With a database with the tables of [`sightings::SCHEMA`], MTA-STS
    /// policies outlive it, and what is seen of TLS can be reported.
    pub fn new(options: Options, resolver: Resolver, tls: ClientTls, database: Option<Arc<Database>>) -> Connector {
        let https = Https {
            resolver: resolver.clone(),
            tls: tls.clone(),
            loopback: options.loopback,
            port: options.https_port,
        };
        Connector(Arc::new(Inner {
            memory: Memory::new(options.limits.remembered),
            sts: Sts::new(https.clone(), database.clone().map(Policies::new)),
            reports: database.filter(|_| options.tls_reports).map(Reports::new),
            https,
            options,
            resolver,
            tls,
        }))
    }

    /// Tells domains that ask for it how TLS with their hosts went (RFC 8460), until it is aborted; returns at once where that is not wanted.
    pub async fn report(&self, own: OwnMail) {
        if let Some(reports) = &self.0.reports {
            reports.run(&self.0.https, &own).await;
        }
    }

    /// Writes down what was seen of TLS in the last minute, before the end. Blocks.
    pub fn flush(&self) {
        if let Some(reports) = &self.0.reports {
            reports.flush();
        }
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

    /// Which addresses it has is not known without asking, so it is for all: none is asked more than once too often.
    fn retry(&self, _: &Destination) {
        self.0.memory.forget_all();
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
