//! The rows of the store as plain values.

use super::clock::Millis;
use super::hosted::Hosted;
use super::ids::{EmbedId, Generation, GrantId, Owner, SessionId, SlotId, UserId, VersionId};
use super::instance::InstanceRef;
use super::quality::Quality;
use super::session::{ContainerStatus, EndReason, Milestone, SaveReport, Status};
use playgate_signaling::message::Role;
use std::fmt;
use std::sync::Arc;

/// Save slots per game and user (contract 1.5).
pub const SLOTS: u8 = 3;

/// Weight of a new sample in a game's resource profile (contract rule 13).
pub const PROFILE_WEIGHT: f64 = 0.2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    pub id: UserId,
    pub name: Option<String>,
    pub created_at: Millis,
    pub seen_at: Millis,
}

/// One session, alive or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    pub id: SessionId,
    pub owner: Owner,
    /// What the caller calls it; `id` as text when the caller chose nothing. Unique per owner.
    pub external_id: String,
    pub game: String,
    pub title: String,
    /// Of a user's session; an organisation's has none.
    pub slot: Option<SlotId>,
    pub status: Status,
    /// The Session API's view of the same facts (contract X7).
    pub container: ContainerStatus,
    /// Of an organisation's session.
    pub hosted: Option<Arc<Hosted>>,
    /// When what was kept of an ended session was removed: the stopped container of a hosted one, which from then on is
    /// remembered by its id alone (G23), or a save that was refused.
    pub removed_at: Option<Millis>,
    /// Fencing token: a write with another generation than the stored one is refused.
    pub generation: Generation,
    /// It was `running` once.
    pub ran: bool,
    pub started_at: Millis,
    /// Set exactly when the status is final.
    pub ended_at: Option<Millis>,
    /// End of the idle lease.
    pub lease_until: Option<Millis>,
    pub timeline: Vec<(Milestone, Millis)>,
    /// Set at the latest when the status is final.
    pub end_reason: Option<EndReason>,
    pub end_detail: Option<String>,
    pub figures: Option<Figures>,
    /// What plays it, for the next gateway; of an ended session only while its container is kept: its save is
    /// [`SessionRow::unsaved`] or was refused, or it is hosted.
    pub instance: Option<InstanceRef>,
    /// The node it was placed on.
    pub node: Option<String>,
    /// Why there: sentences for operators, the deciding one first.
    pub placement: Vec<String>,
    /// SHA-256 of the runner's token, so that the next gateway knows a runner that comes back.
    pub runner_token_sha256: Option<[u8; 32]>,
    /// Everybody who ever played it, by the relay's names for them.
    pub players: Vec<String>,
    /// What its viewers saw of it.
    pub quality: Quality,
    /// Why the save an ended session left is not in its slot yet, for operators. It will be tried again.
    pub unsaved: Option<String>,
    /// What became of the save, once the session has ended. Absent when it has no slot.
    pub save: Option<SaveReport>,
    /// Since when it is certain that its save can never be stored. It is kept for a while all the same.
    pub save_refused_at: Option<Millis>,
}

/// The figures of a session (contract B-4): final once it has ended, before that as last noted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    pub duration_s: u64,
    pub cpu_seconds: f64,
    pub peak_memory_bytes: u64,
    pub network_rx_bytes: u64,
    pub network_tx_bytes: u64,
    /// Absent when a signal ended the game, or nobody knows.
    pub exit_code: Option<i32>,
    pub out_of_memory: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRow {
    pub id: SlotId,
    pub user: UserId,
    pub game: String,
    /// 1 to [`SLOTS`].
    pub number: u8,
    /// When a session was last launched on it.
    pub played_at: Option<Millis>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub id: VersionId,
    pub slot: SlotId,
    /// Rises by one with each version of the slot.
    pub number: u64,
    /// Of the compressed archive.
    pub sha256: [u8; 32],
    /// Size of the compressed archive.
    pub bytes: u64,
    pub created_at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    pub id: GrantId,
    pub session: SessionId,
    pub role: Role,
    /// Control slot promised to a player; absent: the next free one.
    pub slot: Option<u8>,
    /// Web sites that may use it (`https://example.org`). Empty: any.
    pub origins: Vec<String>,
    pub created_at: Millis,
    pub expires_at: Millis,
    pub revoked_at: Option<Millis>,
    /// Of a visit by an embed token.
    pub embed: Option<EmbedId>,
    /// The session was launched for this visit: who holds it may stop it.
    pub host: bool,
}

impl GrantRow {
    pub fn is_valid(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// What other sites show by an embed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedTarget {
    /// A visit launches it.
    Game(String),
    /// Visitors join it.
    Session(SessionId),
}

impl fmt::Display for EmbedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Game(slug) => write!(f, "{slug}"),
            Self::Session(id) => write!(f, "{id}"),
        }
    }
}

/// An embed token, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRow {
    pub id: EmbedId,
    pub owner: Owner,
    pub target: EmbedTarget,
    pub role: Role,
    /// Control slot promised to a player.
    pub slot: Option<u8>,
    /// Web sites that may show it.
    pub origins: Vec<String>,
    /// Visits it is good for; absent: any number.
    pub uses: Option<u64>,
    /// Visits so far.
    pub used: u64,
    pub created_at: Millis,
    pub expires_at: Millis,
    pub revoked_at: Option<Millis>,
}

/// What a game uses, as an exponential moving average over its sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProfileRow {
    /// Mean cores in use.
    pub cpu: f64,
    pub peak_memory_bytes: f64,
    pub samples: u64,
}

impl ProfileRow {
    /// The profile after another session: `new = a * sample + (1 - a) * old`; the first sample sets it (rule 13).
    pub fn with_sample(old: Option<Self>, cpu: f64, peak_memory_bytes: f64) -> Self {
        old.map_or(Self { cpu, peak_memory_bytes, samples: 1 }, |old| Self {
            cpu: PROFILE_WEIGHT.mul_add(cpu, (1.0 - PROFILE_WEIGHT) * old.cpu),
            peak_memory_bytes: PROFILE_WEIGHT
                .mul_add(peak_memory_bytes, (1.0 - PROFILE_WEIGHT) * old.peak_memory_bytes),
            samples: old.samples.saturating_add(1),
        })
    }
}

/// An issued API token or JWT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The `jti` of a JWT.
    pub id: String,
    pub scope: TokenScope,
    pub subject: String,
    /// Of an opaque token; absent for a JWT, which proves itself.
    pub sha256: Option<[u8; 32]>,
    pub label: String,
    pub created_at: Millis,
    pub expires_at: Option<Millis>,
    pub revoked_at: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenScope {
    User,
    Operator,
    /// The Session API's callers; the subject is the organisation's name.
    Organisation,
}

/// What came of inserting a session. When several refusals hold, any one of them is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    Done,
    /// The user has an active session (rule 6).
    UserBusy,
    /// A session runs on the slot.
    SlotBusy,
    /// The owner used this external id before.
    ExternalIdUsed,
}

/// What came of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// Everybody in the session, the first to join first.
    Roster(Vec<String>),
    /// It would have been too many: nobody was added.
    Full,
}

/// What came of a visit by an embed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visited {
    Done,
    /// The token is unknown, revoked, expired or used up.
    TokenRefused,
    /// The session could not be entered.
    SessionRefused(Inserted),
}

/// What came of a write that carries a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    Written,
    /// Somebody else took the session over, or it is unknown: the writer must let go.
    Stale,
}
