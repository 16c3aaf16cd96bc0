//! What is told of the nodes: their rows, how they are doing, and which sessions are on them.

use super::scheduler::{Scheduler, is_silent};
use crate::model::Millis;
use crate::model::ids::SessionId;
use crate::model::nodes::{Admission, Announcement, MachineLoad, NodeRow, ReservationRow, Resources};
use crate::model::rows::SessionRow;
use crate::model::session::Status;
use crate::store::StoreError;
use std::collections::{BTreeSet, HashMap};

/// One node, for operators.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    pub said: Announcement,
    pub condition: Condition,
    pub admission: Admission,
    /// How many places are taken, and what of the total.
    pub reserved_sessions: u32,
    pub reserved: Resources,
    pub load: MachineLoad,
    pub cached: BTreeSet<String>,
    pub seen_at: Millis,
    /// Oldest first.
    pub sessions: Vec<PlacedSession>,
}

/// How a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    Healthy,
    /// Its engine does not answer.
    Unhealthy,
    /// Its gateway is gone.
    Silent,
}

/// A session that holds a place.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedSession {
    pub id: SessionId,
    pub reserved: Resources,
    pub reserved_at: Millis,
    /// Absent for the moment between the reservation and the session's row.
    pub game: Option<String>,
    pub status: Option<Status>,
    /// Why it was placed there.
    pub reasons: Vec<String>,
}

/// Who knows the nodes.
#[async_trait::async_trait]
pub trait NodeDirectory: Send + Sync {
    /// By name.
    async fn nodes(&self) -> Result<Vec<NodeView>, StoreError>;
}

#[async_trait::async_trait]
impl NodeDirectory for Scheduler {
    /// All nodes of the store, also when this scheduler places on one only.
    async fn nodes(&self) -> Result<Vec<NodeView>, StoreError> {
        let now = self.clock.now_ms();
        let active = self.store.active_sessions().await?;
        let active: HashMap<SessionId, SessionRow> = active.into_iter().map(|row| (row.id, row)).collect();
        let mut on: HashMap<String, Vec<PlacedSession>> = HashMap::new();
        for reservation in self.store.reservations().await? {
            let session = placed(&reservation, active.get(&reservation.session));
            on.entry(reservation.node).or_default().push(session);
        }
        let rows = self.store.nodes().await?;
        let view = |row: NodeRow| NodeView {
            condition: match (is_silent(&row, now), row.healthy) {
                (true, _) => Condition::Silent,
                (false, true) => Condition::Healthy,
                (false, false) => Condition::Unhealthy,
            },
            admission: row.admission,
            reserved_sessions: row.sessions,
            reserved: row.reserved,
            load: row.load,
            cached: row.cached,
            seen_at: row.seen_at,
            sessions: on.remove(&row.said.name).unwrap_or_default(),
            said: row.said,
        };
        Ok(rows.into_iter().map(view).collect())
    }
}

fn placed(reservation: &ReservationRow, session: Option<&SessionRow>) -> PlacedSession {
    PlacedSession {
        id: reservation.session,
        reserved: reservation.needs,
        reserved_at: reservation.reserved_at,
        game: session.map(|row| row.game.clone()),
        status: session.map(|row| row.status),
        reasons: session.map(|row| row.placement.clone()).unwrap_or_default(),
    }
}
