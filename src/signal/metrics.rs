//! What signaling counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a connection or request was turned away or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Cut {
    /// More connections than this node takes.
    Connections,
    /// More viewers than a session takes.
    Viewers,
    /// Not let in.
    Refused,
    /// Sent more than a viewer may.
    Flood,
    /// Did not read what was pushed to it.
    SlowReader,
    /// Answered no ping.
    Silent,
}

impl Cut {
    const ALL: [Self; 6] =
        [Self::Connections, Self::Viewers, Self::Refused, Self::Flood, Self::SlowReader, Self::Silent];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CutLabels {
    reason: Cut,
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct SignalMetrics {
    pub(super) connections: Gauge,
    pub(super) whep_viewers: Gauge,
    pub(super) malformed: Counter,
    pub(super) resumed: Counter,
    pub(super) lagged: Counter,
    cut: Family<CutLabels, Counter>,
}

impl SignalMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("signal");
        registry.register("connections", "Open signaling WebSockets", metrics.connections.clone());
        registry.register("whep_viewers", "Viewers that came by WHEP", metrics.whep_viewers.clone());
        registry.register("malformed_messages", "Messages that could not be read", metrics.malformed.clone());
        registry.register(
            "resumed_viewers",
            "Viewers that came back after a broken connection",
            metrics.resumed.clone(),
        );
        registry.register(
            "pushes_lagged",
            "Times a connection missed pushes and was sent the whole status instead",
            metrics.lagged.clone(),
        );
        registry.register(
            "refusals",
            "Connections and requests that were refused or closed, by reason",
            metrics.cut.clone(),
        );
        // A series that appears with its first event hides that event from `rate()`.
        for reason in Cut::ALL {
            drop(metrics.cut.get_or_create(&CutLabels { reason }));
        }
        metrics
    }

    pub(super) fn cut(&self, reason: Cut) {
        self.cut.get_or_create(&CutLabels { reason }).inc();
    }
}
