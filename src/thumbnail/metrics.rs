//! How the making of pictures went.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Made,
    /// The key frame was the last one again.
    Unchanged,
    NotYet,
    Codec,
    Unreadable,
    /// Its child was killed.
    Slow,
    /// Too many were under way.
    Busy,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Metrics(Family<Vec<(&'static str, &'static str)>, Counter>);

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "playgate_thumbnails",
            "Still pictures of sessions that were to be made, by what came of it",
            metrics.0.clone(),
        );
        metrics
    }

    pub(super) fn count(&self, outcome: Outcome) {
        let name = match outcome {
            Outcome::Made => "made",
            Outcome::Unchanged => "unchanged",
            Outcome::NotYet => "no_key_frame",
            Outcome::Codec => "codec",
            Outcome::Unreadable => "unreadable",
            Outcome::Slow => "slow",
            Outcome::Busy => "busy",
        };
        self.0.get_or_create(&vec![("outcome", name)]).inc();
    }
}
