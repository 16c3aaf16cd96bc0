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
            "thumbnails",
            "Still pictures of sessions that were asked for, by outcome",
            metrics.0.clone(),
        );
        // A series that appears with its first event hides that event from `rate()`.
        for outcome in Outcome::ALL {
            drop(metrics.0.get_or_create(&outcome.labels()));
        }
        metrics
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.0.get_or_create(&outcome.labels()).inc();
    }
}

impl Outcome {
    const ALL: [Self; 7] =
        [Self::Made, Self::Unchanged, Self::NotYet, Self::Codec, Self::Unreadable, Self::Slow, Self::Busy];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let name = match self {
            Self::Made => "made",
            Self::Unchanged => "unchanged",
            Self::NotYet => "no_key_frame",
            Self::Codec => "codec",
            Self::Unreadable => "unreadable",
            Self::Slow => "slow",
            Self::Busy => "busy",
        };
        vec![("outcome", name)]
    }
}
