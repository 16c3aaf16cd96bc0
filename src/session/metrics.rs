//! Counters of the session core.

use super::hosted::HostedMetrics;
use crate::model::session::EndReason;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SessionMetrics {
    pub active: Gauge,
    pub launched: Counter,
    ended: Family<Vec<(String, String)>, Counter>,
    pub input: Counter,
    /// Not an input frame, or of a viewer without a control slot.
    pub input_invalid: Counter,
    /// No runner connected, or its queue full.
    pub input_dropped: Counter,
    /// Players' coming and going that was not noted.
    pub(super) notes_dropped: Counter,
    /// Writes of sessions' rows that the store refused.
    pub(super) write_failures: Counter,
    /// Sessions that wait for the store.
    pub(super) unwritten: Gauge,
    pub(super) hosted: HostedMetrics,
}

impl SessionMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { hosted: HostedMetrics::register(registry), ..Self::default() };
        registry.register("sessions_active", "Sessions that are not ended", metrics.active.clone());
        registry.register("sessions_launched", "Sessions launched", metrics.launched.clone());
        registry.register("sessions_ended", "Sessions ended, by reason", metrics.ended.clone());
        registry.register("input_frames", "Input frames taken from viewers", metrics.input.clone());
        registry.register("input_frames_invalid", "Input frames refused", metrics.input_invalid.clone());
        registry.register(
            "input_frames_dropped",
            "Input frames that no runner took",
            metrics.input_dropped.clone(),
        );
        registry.register(
            "player_events_dropped",
            "Arrivals and departures of players that were not recorded, because too many were waiting",
            metrics.notes_dropped.clone(),
        );
        registry.register(
            "session_write_failures",
            "Writes of sessions that the store refused; they are tried again",
            metrics.write_failures.clone(),
        );
        registry.register(
            "sessions_unwritten",
            "Sessions whose newest state the store has not taken yet",
            metrics.unwritten.clone(),
        );
        metrics
    }

    pub fn ended(&self, reason: EndReason) {
        self.ended.get_or_create(&vec![("reason".to_owned(), reason.to_string())]).inc();
    }
}
