//! The rows of nodes and reservations as plain values.

use super::clock::Millis;
use super::ids::SessionId;
use std::collections::{BTreeMap, BTreeSet};

/// An amount of what nodes have and sessions take. Whole numbers, so that sums are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Thousandths of a core.
    pub milli_cpus: u64,
    pub memory_bytes: u64,
    pub gpus: u32,
}

/// Whether a node takes new sessions, as its operator wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    #[default]
    Open,
    /// No new sessions.
    Cordoned,
    /// No new sessions, and the operator waits for the last to end.
    Draining,
}

/// How busy a whole machine is, games and everything else: 0 to 100 each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MachineLoad {
    pub cpu_percent: f64,
    pub memory_percent: f64,
}

/// What a node says of itself when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announcement {
    pub name: String,
    pub location: Option<String>,
    pub region: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Sessions it runs at once.
    pub capacity: u32,
    /// What its sessions may use together.
    pub total: Resources,
}

/// One node: what it said of itself, what was found out about it, and what is reserved on it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRow {
    pub said: Announcement,
    pub admission: Admission,
    /// Its engine answers. False until it was asked for the first time.
    pub healthy: bool,
    /// Slugs of the games whose content is there.
    pub cached: BTreeSet<String>,
    pub load: MachineLoad,
    /// Reservations, and their sums.
    pub sessions: u32,
    pub reserved: Resources,
    /// When it last gave a sign of life.
    pub seen_at: Millis,
}

/// What one session holds of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationRow {
    pub session: SessionId,
    pub node: String,
    pub needs: Resources,
    pub reserved_at: Millis,
}
