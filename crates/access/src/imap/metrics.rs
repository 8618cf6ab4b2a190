//! What IMAP counts beside what all protocols do.

use crate::metrics::Own;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// IMAP's own counters.
#[derive(Clone, Default)]
pub struct ImapOwn {
    pub(crate) idling: Gauge,
    appended: Counter,
    appended_octets: Counter,
}

impl Own for ImapOwn {
    const PROTOCOL: &str = "imap";

    fn register(&self, registry: &mut Registry) {
        registry.register("imap_idling", "Sessions in IDLE now", self.idling.clone());
        registry.register(
            "imap_messages_appended",
            "Messages that APPEND has added",
            self.appended.clone(),
        );
        registry.register("imap_octets_appended", "Octets of these", self.appended_octets.clone());
    }
}

impl ImapOwn {
    pub(crate) fn appended(&self, octets: u64) {
        self.appended.inc();
        self.appended_octets.inc_by(octets);
    }
}
