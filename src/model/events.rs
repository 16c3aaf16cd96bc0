//! Rows of what happened to sessions, and of its deliveries to webhooks.

use super::clock::Millis;
use super::ids::SessionId;
use super::rows::SessionRow;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum EventKind {
    /// Asked for; a failed container that is started again begins so, too.
    #[serde(rename = "session.starting")]
    Starting,
    #[serde(rename = "session.running")]
    Running,
    #[serde(rename = "session.stopping")]
    Stopping,
    /// With its reason and its figures.
    #[serde(rename = "session.ended")]
    Ended,
    /// Somebody who may play is connected.
    #[serde(rename = "player.joined")]
    PlayerJoined,
    /// And no more. Nobody leaves a session that has ended: its end says it.
    #[serde(rename = "player.left")]
    PlayerLeft,
}

/// One event, with the session as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Rises from event to event; never used again.
    pub id: i64,
    pub kind: EventKind,
    pub at: Millis,
    /// Who joined or left, by the relay's name.
    pub player: Option<String>,
    pub session: SessionRow,
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub event: i64,
    pub kind: EventKind,
    /// When it happened.
    pub at: Millis,
    pub session: SessionId,
    pub attempts: u32,
    /// Absent: delivered, or given up.
    pub next_at: Option<Millis>,
    pub delivered_at: Option<Millis>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Delivered {
        at: Millis,
    },
    /// `next_at`: absent, it is given up.
    Failed {
        error: String,
        next_at: Option<Millis>,
    },
}
