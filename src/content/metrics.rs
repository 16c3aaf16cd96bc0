//! Counters of downloads, by what is downloaded.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

type ByKind = Family<Vec<(String, String)>, Counter>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Package,
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ContentMetrics {
    started: ByKind,
    finished: ByKind,
    failed: ByKind,
    bytes: ByKind,
    evictions: Counter,
}

impl ContentMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "content_downloads_started",
            "Downloads of images and packages begun",
            metrics.started.clone(),
        );
        registry.register("content_downloads_finished", "Downloads that succeeded", metrics.finished.clone());
        registry.register("content_downloads_failed", "Downloads that failed", metrics.failed.clone());
        registry.register_with_unit(
            "content_download",
            "Bytes downloaded",
            Unit::Bytes,
            metrics.bytes.clone(),
        );
        registry.register(
            "content_package_evictions",
            "Packages removed to make room",
            metrics.evictions.clone(),
        );
        // A series that appears with its first event hides that event from `rate()`.
        for kind in [Kind::Image, Kind::Package] {
            for family in [&metrics.started, &metrics.finished, &metrics.failed, &metrics.bytes] {
                drop(family.get_or_create(&labels(kind)));
            }
        }
        metrics
    }

    pub(super) fn started(&self, kind: Kind) {
        self.started.get_or_create(&labels(kind)).inc();
    }

    pub(super) fn ended(&self, kind: Kind, well: bool) {
        let family = if well { &self.finished } else { &self.failed };
        family.get_or_create(&labels(kind)).inc();
    }

    pub(super) fn downloaded(&self, kind: Kind, bytes: u64) {
        self.bytes.get_or_create(&labels(kind)).inc_by(bytes);
    }

    pub(super) fn evicted(&self) {
        self.evictions.inc();
    }
}

fn labels(kind: Kind) -> Vec<(String, String)> {
    let name = match kind {
        Kind::Image => "image",
        Kind::Package => "package",
    };
    vec![("kind".to_owned(), name.to_owned())]
}
