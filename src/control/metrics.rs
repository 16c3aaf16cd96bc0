//! Counters of the control channel.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Cheap to clone; every field only rises.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    pub(super) connected: Counter,
    pub(super) refused: Counter,
    pub(super) replaced: Counter,
    pub(super) flooded: Counter,
    pub(super) ignored: Counter,
    pub(super) undelivered: Counter,
    pub(super) events_dropped: Counter,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("control");
        registry.register("connected", "Runners that said hello", self.connected.clone());
        registry.register("refused", "Connections refused: token, session or hello", self.refused.clone());
        registry.register("replaced", "Connections closed by a newer one", self.replaced.clone());
        registry.register("flooded", "Connections closed for sending too much", self.flooded.clone());
        registry.register("ignored", "Messages of runners that were not understood", self.ignored.clone());
        registry.register("undelivered", "Messages and input that no runner took", self.undelivered.clone());
        registry.register(
            "events_dropped",
            "Runner messages the session had no room for",
            self.events_dropped.clone(),
        );
    }
}
