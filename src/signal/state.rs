//! What every request of this module shares.

use super::core::{SignalAuth, SignalCore};
use super::metrics::SignalMetrics;
use super::viewers::Viewers;
use crate::config::IceConfig;
use playgate_signaling::machine::Limits;
use playgate_signaling::message::RESUME_SECONDS;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Bounds and times. The defaults are for production; tests shorten the times.
#[derive(Debug, Clone)]
pub struct SignalConfig {
    pub ice: IceConfig,
    /// `host:port` of every UDP address media is answered on.
    pub media: Vec<String>,
    /// WebSockets at once on this node; more are answered 503.
    pub max_connections: usize,
    /// Admitted viewers of one session, by WebSocket and WHEP together.
    pub max_viewers: usize,
    /// Messages waiting for a slow reader; one more and it is cut off (it may resume).
    pub outbox: usize,
    /// How long one write may take.
    pub write_timeout: Duration,
    /// Between pings of ours. A peer that sent nothing for three of them counts as gone.
    pub ping_interval: Duration,
    /// How long media stays after a connection broke.
    pub resume_for: Duration,
    pub limits: Limits,
}

impl Default for SignalConfig {
    fn default() -> Self {
        Self {
            ice: IceConfig::default(),
            media: Vec::new(),
            max_connections: 4096,
            max_viewers: 500,
            outbox: 64,
            write_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            resume_for: Duration::from_secs(RESUME_SECONDS),
            limits: Limits::default(),
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct SignalState {
    pub(super) core: Arc<dyn SignalCore>,
    pub(super) auth: Arc<dyn SignalAuth>,
    pub(super) config: Arc<SignalConfig>,
    pub(super) viewers: Arc<Viewers>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) metrics: SignalMetrics,
}

impl SignalState {
    pub fn new(
        core: Arc<dyn SignalCore>,
        auth: Arc<dyn SignalAuth>,
        config: SignalConfig,
        registry: &mut Registry,
    ) -> Self {
        Self {
            core,
            auth,
            viewers: Arc::new(Viewers::new(config.max_viewers)),
            connections: Arc::new(Semaphore::new(config.max_connections)),
            config: Arc::new(config),
            metrics: SignalMetrics::new(registry),
        }
    }
}
