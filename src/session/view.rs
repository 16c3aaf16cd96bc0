//! What the session core tells about sessions, slots, games and grants: plain values, rendered by `http`.

use crate::model::hosted::Hosted;
use crate::model::ids::{EmbedId, GrantId, Owner, SessionId, SlotId, VersionId, ViewerId};
use crate::model::quality::Quality;
use crate::model::rows::EmbedTarget;
use crate::model::session::{ContainerStatus, EndReason, Milestone, SaveReport, Status};
use crate::relay::SourceFault;
use playgate_signaling::message::{GameHints, Progress, Role};
use std::sync::Arc;
use time::OffsetDateTime;

impl From<SourceFault> for Milestone {
    fn from(fault: SourceFault) -> Self {
        match fault {
            SourceFault::PayloadType { .. } => Self::SourcePayloadType,
            SourceFault::NoParameterSets => Self::SourceNoParameterSets,
            SourceFault::BFrames => Self::SourceBFrames,
            SourceFault::LargePackets { .. } => Self::SourceLargePackets,
            SourceFault::NoKeyFrame => Self::SourceNoKeyFrame,
        }
    }
}

/// One session, as its owner or a grant's holder may see it.
#[derive(Debug, Clone)]
pub struct SessionView {
    pub id: SessionId,
    pub owner: Owner,
    /// What its caller calls it.
    pub external_id: String,
    /// The node it is placed on.
    pub node: Option<String>,
    pub game_slug: String,
    pub game_title: String,
    /// Of a user's session; an organisation's has none.
    pub slot: Option<SlotId>,
    pub status: Status,
    /// The Session API's view of the same facts (contract X7).
    pub container: ContainerStatus,
    /// Of an organisation's session.
    pub hosted: Option<Arc<Hosted>>,
    pub started_at: OffsetDateTime,
    /// When the idle lease runs out, while active.
    pub expires_at: Option<OffsetDateTime>,
    pub progress: Option<Progress>,
    /// All that is wrong with what its source sends.
    pub source_faults: Vec<SourceFault>,
    pub timeline: Vec<(Milestone, OffsetDateTime)>,
    pub end_reason: Option<EndReason>,
    /// A sentence for people, for `error`.
    pub end_detail: Option<String>,
    /// Once it has ended. Absent when it has no slot, and for those who were only invited.
    pub save: Option<SaveReport>,
    pub viewers: u32,
    /// Of them, those who only watch.
    pub spectators: u32,
    pub quality: Quality,
}

/// The answer to a stop (contract B-4).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StopReport {
    /// Whole seconds.
    pub duration: u64,
    pub cpu_seconds: f64,
    pub peak_memory_mb: u64,
    pub network_rx_bytes: u64,
    pub network_tx_bytes: u64,
    /// Absent when a signal ended the game, or nobody knows.
    pub exit_code: Option<i32>,
    pub out_of_memory: bool,
    /// Distinct people who ever played.
    pub players_seen: u32,
    pub quality: Quality,
    /// Absent when it has no slot.
    pub save: Option<SaveReport>,
}

/// One version of a save slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    pub id: VersionId,
    pub number: u64,
    pub created_at: OffsetDateTime,
    /// Of the compressed archive.
    pub bytes: u64,
    pub sha256: [u8; 32],
    /// The one a launch continues from.
    pub current: bool,
}

/// A version's archive, opened, with a name for the file it is saved as.
#[derive(Debug)]
pub struct SaveDownload {
    pub file: std::fs::File,
    pub name: String,
    pub bytes: u64,
}

#[derive(Debug, Clone)]
pub struct SlotView {
    pub id: SlotId,
    /// 1-3.
    pub number: u8,
    /// No save in it.
    pub empty: bool,
    pub in_use: bool,
    pub updated_at: Option<OffsetDateTime>,
    pub latest: Option<VersionId>,
    /// Compressed size of the latest version.
    pub bytes: Option<u64>,
}

/// A game of the catalogue.
#[derive(Debug, Clone)]
pub struct GameView {
    pub slug: String,
    pub title: String,
    pub developer: String,
    pub description: String,
    pub tags: Vec<String>,
    pub released: Option<String>,
    pub hints: GameHints,
}

#[derive(Debug, Clone)]
pub struct GrantView {
    pub id: GrantId,
    pub session: SessionId,
    pub role: Role,
    pub slot: Option<u8>,
    pub origins: Vec<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub revoked: bool,
}

/// An embed token, without its text.
#[derive(Debug, Clone)]
pub struct EmbedView {
    pub id: EmbedId,
    pub target: EmbedTarget,
    pub role: Role,
    /// 0-based, of a player.
    pub slot: Option<u8>,
    pub origins: Vec<String>,
    pub uses: Option<u64>,
    pub used: u64,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub revoked: bool,
}

/// A viewer let in by the session core.
#[derive(Debug, Clone)]
pub struct Admission {
    pub role: Role,
    pub slot: Option<u8>,
    pub hints: GameHints,
}

/// What signaling pushes to a session's viewers.
#[derive(Debug, Clone, PartialEq)]
pub enum Push {
    Status {
        status: Status,
        progress: Option<Progress>,
        end_reason: Option<EndReason>,
        source_faults: Vec<SourceFault>,
    },
    Cursor {
        visible: bool,
        png: Option<String>,
        hotspot_x: u16,
        hotspot_y: u16,
    },
    Rumble {
        pad: u8,
        strong: u16,
        weak: u16,
        duration_ms: u16,
    },
    Saved,
    /// Who plays, asks and watches is another now.
    Control(Arc<super::control::Standing>),
    /// This viewer's media ended; it may offer again.
    ViewerGone {
        viewer: ViewerId,
        reason: String,
    },
    /// This viewer must go: its grant ended or another connection took its place.
    Evicted {
        viewer: ViewerId,
        code: playgate_signaling::message::ErrorCode,
        message: String,
    },
}
