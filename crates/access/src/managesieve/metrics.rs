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

/// The counters of all ManageSieve listeners.
#[derive(Clone, Default)]
pub struct Metrics {
    connections: Family<ListenerLabel, Counter>,
    open: Family<ListenerLabel, Gauge>,
    turned_away: Family<ListenerLabel, Counter>,
    handshakes: Family<ListenerLabel, Counter>,
    commands: Family<CommandLabel, Counter>,
    logins: Family<LoginLabel, Counter>,
}

impl Metrics {
    /// Registers them; the caller has given the registry its prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "managesieve_connections",
            "Connections taken or turned away",
            self.connections.clone(),
        );
        registry.register(
            "managesieve_connections_open",
            "Connections open now",
            self.open.clone(),
        );
        registry.register(
            "managesieve_connections_turned_away",
            "Connections turned away",
            self.turned_away.clone(),
        );
        registry.register(
            "managesieve_tls_failures",
            "TLS handshakes that failed",
            self.handshakes.clone(),
        );
        registry.register(
            "managesieve_commands",
            "Commands, by name and answer",
            self.commands.clone(),
        );
        registry.register("managesieve_logins", "Logins, by result", self.logins.clone());
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
                turned_away: self.turned_away.get_or_create_owned(&label),
                handshakes: self.handshakes.get_or_create_owned(&label),
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
    pub(super) fn command(&self, command: &'static str, result: &'static str) {
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
}
