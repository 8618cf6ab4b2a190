//! What POP3 counts beside what all protocols do.

use crate::metrics::Own;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// POP3's own counters.
#[derive(Clone, Default)]
pub struct Pop3Own {
    retrieved: Counter,
    retrieved_octets: Counter,
    removed: Counter,
}

impl Own for Pop3Own {
    const PROTOCOL: &str = "pop3";

    fn register(&self, registry: &mut Registry) {
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
}

impl Pop3Own {
    pub(super) fn retrieved(&self, octets: u64) {
        self.retrieved.inc();
        self.retrieved_octets.inc_by(octets);
    }

    pub(super) fn removed(&self, messages: usize) {
        self.removed.inc_by(messages as u64);
    }
}
