//! What hosted sessions use, one line each on `/metrics`, for those whose caller asked for it (`enableMetrics`, G4).
//!
//! Bounded by the sessions that run: a session's lines go with it.

use crate::driver::Usage;
use crate::model::rows::SessionRow;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    organisation: String,
    /// As its caller knows it.
    session: String,
    image: String,
}

type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
/// Set to what the engine counted, which starts again with the container.
type Counters = Family<Labels, Counter<f64, AtomicU64>>;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::session) struct HostedMetrics {
    cpu_seconds: Counters,
    memory_bytes: Gauges,
    network_rx_bytes: Counters,
    network_tx_bytes: Counters,
}

impl HostedMetrics {
    pub(in crate::session) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        let registry = registry.sub_registry_with_prefix("hosted_session");
        let memory = own.memory_bytes.clone();
        registry.register_with_unit("memory", "Memory in use", Unit::Bytes, memory);
        let counters = [
            ("cpu", "CPU time used", Unit::Seconds, &own.cpu_seconds),
            ("network_receive", "Bytes received from the network", Unit::Bytes, &own.network_rx_bytes),
            ("network_transmit", "Bytes sent to the network", Unit::Bytes, &own.network_tx_bytes),
        ];
        for (name, help, unit, counter) in counters {
            registry.register_with_unit(name, help, unit, counter.clone());
        }
        own
    }

    /// Shows the usage of a session that is to be shown.
    pub(in crate::session) fn show(&self, row: &SessionRow, usage: Usage) {
        let Some(labels) = labels(row) else { return };
        set(&self.cpu_seconds, &labels, usage.cpu_seconds);
        self.memory_bytes.get_or_create(&labels).set(exact(usage.memory_bytes));
        set(&self.network_rx_bytes, &labels, exact(usage.network_rx_bytes));
        set(&self.network_tx_bytes, &labels, exact(usage.network_tx_bytes));
    }

    pub(in crate::session) fn forget(&self, row: &SessionRow) {
        let Some(labels) = labels(row) else { return };
        self.memory_bytes.remove(&labels);
        for counter in [&self.cpu_seconds, &self.network_rx_bytes, &self.network_tx_bytes] {
            counter.remove(&labels);
        }
    }
}

fn set(counters: &Counters, labels: &Labels, value: f64) {
    counters.get_or_create(labels).inner().store(value.to_bits(), Ordering::Relaxed);
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 bytes")]
fn exact(bytes: u64) -> f64 {
    bytes as f64
}

fn labels(row: &SessionRow) -> Option<Labels> {
    let hosted = row.hosted.as_ref().filter(|hosted| hosted.enable_metrics)?;
    let crate::model::ids::Owner::Organisation(organisation) = &row.owner else { return None };
    Some(Labels {
        organisation: organisation.clone(),
        session: row.external_id.clone(),
        image: hosted.image.clone(),
    })
}
