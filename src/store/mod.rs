//! What is remembered: one `Store` interface over SQL, and the `SaveStore` of save archives. No SQL type leaks out.
//!
//! Times are [`Millis`]. A session is written only with its generation ([`Fenced`]). The store decides atomically what
//! two callers could race for: one active session per user and per slot, and that a slot in use is not emptied.

pub mod data_dir;
pub mod saves;
pub mod sqlite;

pub use data_dir::{DataDir, create_private, database_in};
pub use saves::{Committed, SaveError, SaveStore};
pub use sqlite::SqliteStore;

use crate::model::Millis;
use crate::model::events::{Attempt, DeliveryRow, EventKind, EventRow};
use crate::model::ids::{EmbedId, Generation, GrantId, Owner, SessionId, SlotId, UserId, VersionId};
use crate::model::nodes::{Admission, Announcement, MachineLoad, NodeRow, ReservationRow, Resources};
use crate::model::quality::Quality;
use crate::model::rows::{
    EmbedRow, Fenced, Figures, GrantRow, Inserted, Joined, ProfileRow, SessionRow, SlotRow, TokenRow,
    UserRow, VersionRow, Visited,
};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use tokio::sync::watch;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is gone.
    #[error("the database failed: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row that this version cannot read.
    #[error("the database holds {0}, which cannot be read")]
    BadRow(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// The rows. Every method is one transaction.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Enters the user, or notes that they were seen. A name that is given replaces the stored one.
    async fn touch_user(&self, user: &UserId, name: Option<&str>, now: Millis) -> Result<()>;
    async fn user(&self, user: &UserId) -> Result<Option<UserRow>>;

    /// Checks and inserts in one step. The owner's slot must exist.
    async fn insert_session(&self, row: &SessionRow) -> Result<Inserted>;
    /// Writes everything but identity and start of the session, if the generation is still the stored one. A row with its
    /// end set gives the session's reservation back in the same transaction.
    async fn update_session(&self, row: &SessionRow) -> Result<Fenced>;
    /// Moves the end of the lease of an active session.
    async fn extend_lease(&self, id: SessionId, generation: Generation, until: Millis) -> Result<Fenced>;
    /// Notes what an active session has used so far, who played it and what they saw, in case nobody lives to write the final
    /// figures.
    async fn note_usage(
        &self,
        id: SessionId,
        generation: Generation,
        figures: Figures,
        players: &[String],
        quality: Quality,
    ) -> Result<Fenced>;
    /// Raises the generation by one, if it is still `generation`, and returns the new one: the former holder is fenced.
    async fn take_over(&self, id: SessionId, generation: Generation) -> Result<Option<Generation>>;
    async fn session(&self, id: SessionId) -> Result<Option<SessionRow>>;
    async fn session_by_external_id(&self, owner: &Owner, external_id: &str) -> Result<Option<SessionRow>>;
    /// Active: `starting`, `running`, `stopping`.
    async fn active_sessions_of(&self, owner: &Owner) -> Result<Vec<SessionRow>>;
    async fn active_sessions(&self) -> Result<Vec<SessionRow>>;
    /// Ended sessions whose save is not in its slot yet ([`SessionRow::unsaved`]), the longest ended first.
    async fn unsaved_sessions(&self) -> Result<Vec<SessionRow>>;
    /// Ended sessions whose save can never be stored ([`SessionRow::save_refused_at`]) and is still kept in its container or
    /// beside the saves, the longest refused first.
    async fn refused_saves(&self) -> Result<Vec<SessionRow>>;

    /// Hosted sessions that have ended and whose containers are still there; of one organisation or of all, the longest
    /// ended first.
    async fn retained_sessions(&self, organisation: Option<&str>) -> Result<Vec<SessionRow>>;
    /// A hosted session that could not be started is as if it had never been asked for: its id is free again.
    async fn forget_external_id(&self, id: SessionId, now: Millis) -> Result<()>;

    /// Adds the players who are not there yet, all of them or none: a session has at most `most`.
    async fn join_players(&self, id: SessionId, players: &[String], most: u64, now: Millis)
    -> Result<Joined>;
    /// Takes out who is there; gives how many are left.
    async fn leave_players(&self, id: SessionId, players: &[String]) -> Result<u64>;
    async fn players(&self, id: SessionId) -> Result<Vec<String>>;
    /// Of an organisation's sessions whose containers are there; one without players is left out.
    async fn player_counts(&self, organisation: &str) -> Result<HashMap<SessionId, u64>>;
    /// The active sessions that all of these players have joined, two at most.
    async fn sessions_with_players(&self, owner: &Owner, players: &[String]) -> Result<Vec<SessionId>>;

    async fn insert_grant(&self, row: &GrantRow) -> Result<()>;
    async fn grant(&self, id: GrantId) -> Result<Option<GrantRow>>;
    /// Oldest first, without those of visits by embed tokens.
    async fn grants_of(&self, session: SessionId) -> Result<Vec<GrantRow>>;
    /// The first revocation counts. False when there is no such grant.
    async fn revoke_grant(&self, id: GrantId, now: Millis) -> Result<bool>;

    async fn insert_embed(&self, row: &EmbedRow, sha256: &[u8; 32]) -> Result<()>;
    async fn embed(&self, id: EmbedId) -> Result<Option<EmbedRow>>;
    async fn embed_by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<EmbedRow>>;
    /// Newest first.
    async fn embeds_of(&self, owner: &Owner) -> Result<Vec<EmbedRow>>;
    /// The first revocation counts. Revokes the grants of its visits in the same step, and gives them.
    async fn revoke_embed(&self, id: EmbedId, now: Millis) -> Result<Vec<GrantRow>>;
    /// Counts a visit by the grant's embed token and enters the grant, with the session that was made for it, if the token
    /// is good for one more. All of it or nothing.
    async fn insert_visit(
        &self,
        grant: &GrantRow,
        session: Option<&SessionRow>,
        now: Millis,
    ) -> Result<Visited>;
    /// Forgets the grants of visits that ended before a time; gives how many those were.
    async fn prune_visits(&self, before: Millis) -> Result<u64>;

    /// The slots of a user's game in the order of their numbers, made at the first call; their ids never change.
    /// Enters the user too.
    async fn slots(&self, user: &UserId, game: &str, now: Millis) -> Result<Vec<SlotRow>>;
    async fn slot(&self, id: SlotId) -> Result<Option<SlotRow>>;
    async fn slot_played(&self, id: SlotId, now: Millis) -> Result<()>;
    /// True while an active session is on it.
    async fn slot_in_use(&self, id: SlotId) -> Result<bool>;
    /// Forgets every version and when it was played, unless a session is on it; gives the forgotten versions.
    async fn clear_slot(&self, id: SlotId) -> Result<Option<Vec<VersionRow>>>;

    /// Enters a version with the next number of its slot; gives the number.
    async fn insert_version(
        &self,
        id: VersionId,
        slot: SlotId,
        sha256: [u8; 32],
        bytes: u64,
        now: Millis,
    ) -> Result<VersionRow>;
    /// As [`Store::insert_version`], unless a session is on the slot.
    async fn insert_version_if_idle(
        &self,
        id: VersionId,
        slot: SlotId,
        sha256: [u8; 32],
        bytes: u64,
        now: Millis,
    ) -> Result<Option<VersionRow>>;
    /// Newest first.
    async fn versions(&self, slot: SlotId) -> Result<Vec<VersionRow>>;
    /// Of every slot.
    async fn all_versions(&self) -> Result<Vec<VersionRow>>;
    async fn delete_version(&self, id: VersionId) -> Result<()>;

    async fn profile(&self, game: &str) -> Result<Option<ProfileRow>>;
    /// Adds a session's sample (see [`ProfileRow::with_sample`]); gives the new profile.
    async fn record_profile(&self, game: &str, cpu: f64, peak_memory_bytes: f64) -> Result<ProfileRow>;

    async fn insert_token(&self, row: &TokenRow) -> Result<()>;
    async fn token(&self, id: &str) -> Result<Option<TokenRow>>;
    async fn token_by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<TokenRow>>;
    /// Newest first.
    async fn tokens(&self) -> Result<Vec<TokenRow>>;
    /// The first revocation counts. False when there is no such token.
    async fn revoke_token(&self, id: &str, now: Millis) -> Result<bool>;
    /// False for a token the store never saw: tokens of other issuers carry ids too.
    async fn is_token_revoked(&self, id: &str) -> Result<bool>;

    /// Enters a node, or what it now says of itself; its health, admission and reservations stay as they are. A new one
    /// counts as unhealthy until its health is set.
    async fn put_node(&self, said: &Announcement, now: Millis) -> Result<()>;
    /// By name.
    async fn nodes(&self) -> Result<Vec<NodeRow>>;
    /// False when there is no such node, here and below.
    async fn set_node_health(&self, node: &str, healthy: bool, now: Millis) -> Result<bool>;
    async fn set_node_admission(&self, node: &str, admission: Admission) -> Result<bool>;
    /// A sign of life: how busy the machine is, and which games' content is there.
    async fn note_node_load(
        &self,
        node: &str,
        load: MachineLoad,
        cached: &BTreeSet<String>,
        now: Millis,
    ) -> Result<bool>;
    /// Reserves for a session that holds nothing yet, if the node is healthy, open and has room for all of it at this
    /// moment. No interleaving overfills a node, whatever processes take part.
    async fn reserve(&self, session: SessionId, node: &str, needs: Resources, now: Millis) -> Result<bool>;
    /// False when the session holds nothing (any more).
    async fn release(&self, session: SessionId) -> Result<bool>;
    /// Gives back what no active session holds on this node, and counts its sums anew; gives how many those were. Only for
    /// a node that nobody reserves on meanwhile: a place is reserved before its session is written.
    async fn reconcile_reservations(&self, node: &str) -> Result<u64>;
    /// By node, oldest first.
    async fn reservations(&self) -> Result<Vec<ReservationRow>>;

    /// Changes when there may be new events; another process's are not told.
    fn news(&self) -> watch::Receiver<u64>;
    /// Notes that somebody joined or left an active session. What happens to a session itself is noted with its row.
    async fn note_player(&self, session: SessionId, kind: EventKind, player: &str, now: Millis)
    -> Result<()>;
    /// The oldest event that is kept, and the newest; an empty range when there is none.
    async fn event_ids(&self) -> Result<RangeInclusive<i64>>;
    /// Events of an owner's sessions after one, in their order.
    async fn events_after(&self, owner: &Owner, id: i64, limit: u32) -> Result<Vec<EventRow>>;
    /// Forgets what happened before a time, and its deliveries; gives how many events those were.
    async fn prune_events(&self, before: Millis) -> Result<u64>;

    /// Enters what has happened to an organisation's sessions since the last time as due to a webhook; of these kinds, of all
    /// when there are none. A webhook that is new begins with what happens from now on.
    async fn enlist_deliveries(
        &self,
        webhook: &str,
        organisation: &str,
        kinds: &[EventKind],
        now: Millis,
    ) -> Result<()>;
    /// The oldest event that is due.
    async fn due_delivery(&self, webhook: &str, now: Millis) -> Result<Option<(DeliveryRow, EventRow)>>;
    /// When the next one is.
    async fn next_delivery_at(&self, webhook: &str) -> Result<Option<Millis>>;
    async fn note_attempt(&self, webhook: &str, event: i64, attempt: &Attempt) -> Result<()>;
    /// Newest first, older than `before`.
    async fn deliveries(&self, webhook: &str, before: Option<i64>, limit: u32) -> Result<Vec<DeliveryRow>>;
    /// Neither delivered nor given up.
    async fn pending_deliveries(&self, webhook: &str) -> Result<u64>;
}
