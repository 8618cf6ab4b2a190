//! What is counted, whatever the protocol; and what one protocol counts beside ([`Own`]).

use net::Counters;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabel {
    command: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabel {
    listener: String,
    result: &'static str,
}

/// What one protocol counts beside what all count.
pub trait Own: Clone + Default {
    /// What its figures' names begin with.
    const PROTOCOL: &str;

    /// Registers them; the caller has given the registry its prefix.
    fn register(&self, registry: &mut Registry);
}

/// The counters of all listeners of a protocol.
#[derive(Clone, Default)]
pub struct Metrics<O> {
    connections: Family<ListenerLabel, Counter>,
    open: Family<ListenerLabel, Gauge>,
    turned_away: Family<ListenerLabel, Counter>,
    handshakes: Family<ListenerLabel, Counter>,
    commands: Family<CommandLabel, Counter>,
    logins: Family<LoginLabel, Counter>,
    own: O,
}

impl<O: Own> Metrics<O> {
    /// Registers them; the caller has given the registry its prefix.
    pub fn register(&self, registry: &mut Registry) {
        let name = |what: &str| format!("{}_{what}", O::PROTOCOL);
        registry.register(
            name("connections"),
            "Connections taken or turned away",
            self.connections.clone(),
        );
        registry.register(name("connections_open"), "Connections open now", self.open.clone());
        registry.register(
            name("connections_turned_away"),
            "Connections turned away",
            self.turned_away.clone(),
        );
        registry.register(
            name("tls_failures"),
            "TLS handshakes that failed",
            self.handshakes.clone(),
        );
        registry.register(name("commands"), "Commands, by name and answer", self.commands.clone());
        registry.register(name("logins"), "Logins, by result", self.logins.clone());
        self.own.register(registry);
    }

    /// The counters of one listener, looked up once.
    pub(crate) fn of(&self, listener: &str) -> ListenerMetrics<O> {
        let label = ListenerLabel {
            listener: listener.to_owned(),
        };
        ListenerMetrics {
            entrance: Counters {
                connections: self.connections.get_or_create_owned(&label),
                open: self.open.get_or_create_owned(&label),
                turned_away: self.turned_away.get_or_create_owned(&label),
                handshakes: self.handshakes.get_or_create_owned(&label),
            },
            listener: label.listener,
            all: self.clone(),
        }
    }
}

/// The counters of one listener.
pub(crate) struct ListenerMetrics<O> {
    /// Of its way in.
    pub(crate) entrance: Counters,
    listener: String,
    all: Metrics<O>,
}

impl<O> ListenerMetrics<O> {
    /// A command was answered.
    pub(crate) fn command(&self, command: &'static str, result: &'static str) {
        self.all.commands.get_or_create(&CommandLabel { command, result }).inc();
    }

    /// Somebody logged in, or did not.
    pub(crate) fn login(&self, result: &'static str) {
        let label = LoginLabel {
            listener: self.listener.clone(),
            result,
        };
        self.all.logins.get_or_create(&label).inc();
    }

    /// What the protocol counts beside.
    pub(crate) fn own(&self) -> &O {
        &self.all.own
    }
}
