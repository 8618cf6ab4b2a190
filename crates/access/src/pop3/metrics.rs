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

/// The counters of all POP3 listeners.
#[derive(Clone, Default)]
pub struct Metrics {
    connections: Family<ListenerLabel, Counter>,
    open: Family<ListenerLabel, Gauge>,
    commands: Family<CommandLabel, Counter>,
    logins: Family<LoginLabel, Counter>,
    handshakes: Family<ListenerLabel, Counter>,
    retrieved: Counter,
    retrieved_octets: Counter,
    removed: Counter,
}

impl Metrics {
    /// Registers them; the caller has given the registry its prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "pop3_connections",
            "Connections taken or turned away",
            self.connections.clone(),
        );
        registry.register("pop3_connections_open", "Connections open now", self.open.clone());
        registry.register("pop3_commands", "Commands, by name and answer", self.commands.clone());
        registry.register("pop3_logins", "Logins, by result", self.logins.clone());
        registry.register(
            "pop3_tls_failures",
            "TLS handshakes that failed",
            self.handshakes.clone(),
        );
        registry.register(
            "pop3_messages_retrieved",
            "Messages sent as a whole",
            self.retrieved.clone(),
        );
        registry.register(
            "pop3_octets_retrieved",
            "Octets of these",
            self.retrieved_octets.clone(),
        );
        registry.register(
            "pop3_messages_removed",
            "Messages taken away at QUIT",
            self.removed.clone(),
        );
    }

    /// The counters of one listener, looked up once.
    pub(super) fn of(&self, listener: &str) -> ListenerMetrics {
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
pub(super) struct ListenerMetrics {
    pub(super) entrance: Counters,
    listener: String,
    all: Metrics,
}

impl ListenerMetrics {
    /// A command was answered.
    pub(super) fn command(&self, command: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "err" };
        self.all.commands.get_or_create(&CommandLabel { command, result }).inc();
    }

    /// Somebody logged in, or did not.
    pub(super) fn login(&self, result: &'static str) {
        let label = LoginLabel {
            listener: self.listener.clone(),
            result,
        };
        self.all.logins.get_or_create(&label).inc();
    }

    pub(super) fn retrieved(&self, octets: u64) {
        self.all.retrieved.inc();
        self.all.retrieved_octets.inc_by(octets);
    }

    pub(super) fn removed(&self, messages: usize) {
        self.all.removed.inc_by(messages as u64);
    }
}
