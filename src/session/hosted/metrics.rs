//! What hosted sessions use, one line each on `/metrics`, for those whose caller asked for it (`enableMetrics`, G4).
//!
//! Bounded by the sessions that run: a session's lines go with it.

use crate::driver::Usage;
use crate::store::SessionRow;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    organisation: String,
    /// As its caller knows it.
    session: String,
    image: String,
}

type Figure = Family<Labels, Gauge<f64, AtomicU64>>;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::session) struct HostedMetrics {
    cpu_seconds: Figure,
    memory_bytes: Figure,
    network_rx_bytes: Figure,
    network_tx_bytes: Figure,
}

impl HostedMetrics {
    pub(in crate::session) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        let figures = [
            ("cpu_seconds", "CPU time so far", &own.cpu_seconds),
            ("memory_bytes", "Memory in use", &own.memory_bytes),
            ("network_receive_bytes", "Bytes received so far", &own.network_rx_bytes),
            ("network_transmit_bytes", "Bytes sent so far", &own.network_tx_bytes),
        ];
        for (name, help, figure) in figures {
            registry.register(format!("playgate_hosted_session_{name}"), help, figure.clone());
        }
        own
    }

    /// Shows the usage of a session that is to be shown.
    pub(in crate::session) fn show(&self, row: &SessionRow, usage: Usage) {
        let Some(labels) = labels(row) else { return };
        self.cpu_seconds.get_or_create(&labels).set(usage.cpu_seconds);
        for (figure, bytes) in [
            (&self.memory_bytes, usage.memory_bytes),
            (&self.network_rx_bytes, usage.network_rx_bytes),
            (&self.network_tx_bytes, usage.network_tx_bytes),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 bytes")]
            figure.get_or_create(&labels).set(bytes as f64);
        }
    }

    pub(in crate::session) fn forget(&self, row: &SessionRow) {
        let Some(labels) = labels(row) else { return };
        for figure in [&self.cpu_seconds, &self.memory_bytes, &self.network_rx_bytes, &self.network_tx_bytes]
        {
            figure.remove(&labels);
        }
    }
}

fn labels(row: &SessionRow) -> Option<Labels> {
    let hosted = row.hosted.as_ref().filter(|hosted| hosted.enable_metrics)?;
    let crate::ids::Owner::Organisation(organisation) = &row.owner else { return None };
    Some(Labels {
        organisation: organisation.clone(),
        session: row.external_id.clone(),
        image: hosted.image.clone(),
    })
}
