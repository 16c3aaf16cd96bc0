//! Drivers start and stop what plays a game: `process` (a child on this machine), `external` (nothing at all).
//!
//! A driver knows processes, containers and files; it knows no rule of a session.

use crate::ids::{Generation, SessionId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What is to be started.
#[derive(Debug, Clone)]
pub struct StartSpec {
    pub session: SessionId,
    pub generation: Generation,
    /// The built-in game to run, or the external game's slug.
    pub game: String,
    /// The runner contract's variables.
    pub env: BTreeMap<String, String>,
    /// A new directory of this session's own, already holding the restored save.
    pub save_dir: PathBuf,
}

/// A started instance, as remembered in the store for the next gateway.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InstanceRef {
    /// Process id of the group's leader.
    pub pid: u32,
    /// Its start time in clock ticks since boot (`/proc/PID/stat`, field 22): a pid alone may be reused.
    pub start_ticks: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DriverEvent {
    Progress {
        step: &'static str,
        percent: Option<f32>,
    },
    /// It ended without being asked to.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        out_of_memory: bool,
    },
}

/// What an instance used, over all its processes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub peak_memory_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("cannot start the game: {0}")]
    Start(#[source] std::io::Error),
    #[error("{0}")]
    Other(String),
}

/// Starts instances.
#[async_trait::async_trait]
pub trait Driver: Send + Sync {
    /// Starts an instance; events come until it has ended.
    async fn start(
        &self,
        spec: StartSpec,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError>;

    /// Ends whatever of an earlier gateway's instance is left. True if something was.
    async fn end_orphan(&self, instance: &InstanceRef) -> bool;
}

/// A running instance.
#[async_trait::async_trait]
pub trait Instance: Send + Sync {
    /// Absent when there is nothing to find again (external).
    fn reference(&self) -> Option<InstanceRef>;

    /// Usage up to now; after the end, the final figures.
    async fn usage(&self) -> Usage;

    /// SIGTERM to the whole group, `grace`, SIGKILL; returns when every process is gone. Idempotent.
    async fn stop(&self, grace: Duration) -> Usage;
}
