//! What is counted.

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

/// The counters of all IMAP listeners.
#[derive(Clone, Default)]
pub struct Metrics {
    connections: Family<ListenerLabel, Counter>,
    open: Family<ListenerLabel, Gauge>,
    commands: Family<CommandLabel, Counter>,
    logins: Family<LoginLabel, Counter>,
    handshakes: Family<ListenerLabel, Counter>,
    idling: Gauge,
    appended: Counter,
    appended_octets: Counter,
}

impl Metrics {
    /// Registers them; the caller has given the registry its prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "imap_connections",
            "Connections taken or turned away",
            self.connections.clone(),
        );
        registry.register("imap_connections_open", "Connections open now", self.open.clone());
        registry.register("imap_commands", "Commands, by name and answer", self.commands.clone());
        registry.register("imap_logins", "Logins, by result", self.logins.clone());
        registry.register(
            "imap_tls_failures",
            "TLS handshakes that failed",
            self.handshakes.clone(),
        );
        registry.register("imap_idling", "Sessions in IDLE now", self.idling.clone());
        registry.register(
            "imap_messages_appended",
            "Messages that APPEND has added",
            self.appended.clone(),
        );
        registry.register("imap_octets_appended", "Octets of these", self.appended_octets.clone());
    }

    /// The counters of one listener, looked up once.
    pub(crate) fn of(&self, listener: &str) -> ListenerMetrics {
        let label = ListenerLabel {
            listener: listener.to_owned(),
        };
        ListenerMetrics {
            entrance: Counters {
                connections: self.connections.get_or_create_owned(&label),
                open: self.open.get_or_create_owned(&label),
                handshakes: self.handshakes.get_or_create_owned(&label),
                ..Counters::default()
            },
            listener: label.listener,
            all: self.clone(),
        }
    }
}

/// The counters of one listener.
pub(crate) struct ListenerMetrics {
    pub(crate) entrance: Counters,
    listener: String,
    all: Metrics,
}

impl ListenerMetrics {
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

    pub(crate) fn appended(&self, octets: u64) {
        self.all.appended.inc();
        self.all.appended_octets.inc_by(octets);
    }

    pub(crate) fn idling(&self) -> &Gauge {
        &self.all.idling
    }
}
