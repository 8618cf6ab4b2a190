//! What doors count.

use net::Counters;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    listener: String,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Login {
    listener: String,
    result: &'static str,
}

/// The counters of all doors.
#[derive(Clone)]
pub struct Metrics {
    connections: Family<Listener, Counter>,
    open: Family<Listener, Gauge>,
    messages: Family<Listener, Counter>,
    recipients: Family<Listener, Counter>,
    octets: Family<Listener, Counter>,
    custody: Family<Listener, Histogram, fn() -> Histogram>,
    refusals: Family<Refusal, Counter>,
    logins: Family<Login, Counter>,
    handshakes: Family<Listener, Counter>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            connections: Family::default(),
            open: Family::default(),
            messages: Family::default(),
            recipients: Family::default(),
            octets: Family::default(),
            custody: Family::new_with_constructor(|| {
                Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0])
            }),
            refusals: Family::default(),
            logins: Family::default(),
            handshakes: Family::default(),
        }
    }
}

impl Metrics {
    /// Registers them; the caller has given the registry its prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "smtp_connections",
            "Connections taken or turned away",
            self.connections.clone(),
        );
        registry.register("smtp_connections_open", "Connections open now", self.open.clone());
        registry.register(
            "smtp_messages_accepted",
            "Messages answered with 250",
            self.messages.clone(),
        );
        registry.register(
            "smtp_recipients_accepted",
            "Recipients of accepted messages",
            self.recipients.clone(),
        );
        registry.register(
            "smtp_octets_accepted",
            "Octets of accepted messages",
            self.octets.clone(),
        );
        registry.register(
            "smtp_custody_seconds",
            "From a message's last octet until it is on the disk",
            self.custody.clone(),
        );
        registry.register("smtp_refusals", "Replies that refuse, by code", self.refusals.clone());
        registry.register("smtp_logins", "Logins, by result", self.logins.clone());
        registry.register(
            "smtp_tls_failures",
            "TLS handshakes that failed",
            self.handshakes.clone(),
        );
    }

    /// The counters of one door, looked up once.
    pub(super) fn of(&self, listener: &str) -> DoorMetrics {
        let label = Listener {
            listener: listener.to_owned(),
        };
        DoorMetrics {
            entrance: Counters {
                connections: self.connections.get_or_create_owned(&label),
                open: self.open.get_or_create_owned(&label),
                turned_away: self.refusals.get_or_create_owned(&Refusal {
                    listener: label.listener.clone(),
                    code: 421,
                }),
                handshakes: self.handshakes.get_or_create_owned(&label),
            },
            messages: self.messages.get_or_create_owned(&label),
            recipients: self.recipients.get_or_create_owned(&label),
            octets: self.octets.get_or_create_owned(&label),
            custody: self.custody.get_or_create_owned(&label),
            listener: label.listener,
            all: self.clone(),
        }
    }
}

/// The counters of one door.
pub(super) struct DoorMetrics {
    pub(super) entrance: Counters,
    pub(super) messages: Counter,
    pub(super) recipients: Counter,
    pub(super) octets: Counter,
    pub(super) custody: Histogram,
    listener: String,
    all: Metrics,
}

impl DoorMetrics {
    /// A reply that refuses was given.
    pub(super) fn refused(&self, code: u16) {
        let label = Refusal {
            listener: self.listener.clone(),
            code: code.into(),
        };
        self.all.refusals.get_or_create(&label).inc();
    }

    /// Somebody logged in, or did not.
    pub(super) fn login(&self, result: &'static str) {
        let label = Login {
            listener: self.listener.clone(),
            result,
        };
        self.all.logins.get_or_create(&label).inc();
    }
}
