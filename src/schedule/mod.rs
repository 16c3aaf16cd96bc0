//! Placement: which node a session should go to, and why. Pure: no clock, no chance, no store; [`crate::node`] reserves.

pub mod needs;
pub mod policy;

pub use needs::Needs;
pub use policy::{NodeState, Ranking, Refusal, Request, rank};

use crate::model::nodes::{Admission, NodeRow};

impl From<&NodeRow> for NodeState {
    fn from(row: &NodeRow) -> Self {
        let said = row.said.clone();
        Self {
            name: said.name,
            location: said.location,
            region: said.region,
            labels: said.labels,
            healthy: row.healthy,
            cordoned: row.admission == Admission::Cordoned,
            draining: row.admission == Admission::Draining,
            capacity: said.capacity,
            sessions: row.sessions,
            total: said.total.into(),
            reserved: row.reserved.into(),
            busy_cpu_percent: row.load.cpu_percent,
            busy_memory_percent: row.load.memory_percent,
            cached: row.cached.clone(),
        }
    }
}
