//! A store that fails as stores do: it refuses writes, never answers them, or fails after it has written.

use playgate::model::Millis;
use playgate::model::events::{Attempt, DeliveryRow, EventKind, EventRow};
use playgate::model::ids::{EmbedId, Generation, GrantId, Owner, SessionId, SlotId, UserId, VersionId};
use playgate::model::nodes::{Admission, Announcement, MachineLoad, NodeRow, ReservationRow, Resources};
use playgate::model::quality::Quality;
use playgate::model::rows::{
    EmbedRow, Fenced, Figures, GrantRow, Inserted, Joined, ProfileRow, SessionRow, SlotRow, TokenRow,
    UserRow, VersionRow, Visited,
};
use playgate::store::{SqliteStore, Store, StoreError};
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::watch;

type Result<T> = std::result::Result<T, StoreError>;

/// What becomes of the rows of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Nothing is written.
    Refuses,
    /// The write never ends, until the fault does.
    Stalls,
    /// Written all the same, and then told to have failed.
    FailsAfterwards,
}

/// The fault is for writes of sessions; everything else reaches the store.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    inner: Arc<SqliteStore>,
    fault: watch::Sender<Fault>,
    /// Writes that were let down.
    failed: watch::Sender<u64>,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<SqliteStore>) -> Self {
        Self { inner, fault: watch::Sender::default(), failed: watch::Sender::default() }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    pub(crate) fn failures(&self) -> u64 {
        *self.failed.borrow()
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        let fault = *self.fault.borrow();
        let failed = || {
            self.failed.send_modify(|failed| *failed += 1);
            Err(StoreError::Database("the disk is full".into()))
        };
        match fault {
            Fault::None => write.await,
            Fault::Refuses => failed(),
            Fault::Stalls => {
                self.failed.send_modify(|failed| *failed += 1);
                let _ = self.fault.subscribe().wait_for(|fault| *fault != Fault::Stalls).await;
                write.await
            }
            Fault::FailsAfterwards => {
                write.await?;
                failed()
            }
        }
    }
}

macro_rules! store {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {
        #[async_trait::async_trait]
        impl Store for FaultyStore {
            async fn insert_session(&self, row: &SessionRow) -> Result<Inserted> {
                self.write(self.inner.insert_session(row)).await
            }

            async fn update_session(&self, row: &SessionRow) -> Result<Fenced> {
                self.write(self.inner.update_session(row)).await
            }

            async fn insert_visit(
                &self,
                grant: &GrantRow,
                session: Option<&SessionRow>,
                now: Millis,
            ) -> Result<Visited> {
                self.write(self.inner.insert_visit(grant, session, now)).await
            }

            fn news(&self) -> watch::Receiver<u64> {
                self.inner.news()
            }

            $(
                async fn $name(&self, $($arg: $kind),*) -> Result<$out> {
                    self.inner.$name($($arg),*).await
                }
            )*
        }
    };
}

store! {
    touch_user(user: &UserId, name: Option<&str>, now: Millis) -> ();
    user(user: &UserId) -> Option<UserRow>;
    extend_lease(id: SessionId, generation: Generation, until: Millis) -> Fenced;
    note_usage(id: SessionId, generation: Generation, figures: Figures, players: &[String], quality: Quality) -> Fenced;
    take_over(id: SessionId, generation: Generation) -> Option<Generation>;
    session(id: SessionId) -> Option<SessionRow>;
    session_by_external_id(owner: &Owner, external_id: &str) -> Option<SessionRow>;
    active_sessions_of(owner: &Owner) -> Vec<SessionRow>;
    active_sessions() -> Vec<SessionRow>;
    unsaved_sessions() -> Vec<SessionRow>;
    refused_saves() -> Vec<SessionRow>;
    retained_sessions(organisation: Option<&str>) -> Vec<SessionRow>;
    forget_external_id(id: SessionId, now: Millis) -> ();
    join_players(id: SessionId, players: &[String], most: u64, now: Millis) -> Joined;
    leave_players(id: SessionId, players: &[String]) -> u64;
    players(id: SessionId) -> Vec<String>;
    player_counts(organisation: &str) -> HashMap<SessionId, u64>;
    sessions_with_players(owner: &Owner, players: &[String]) -> Vec<SessionId>;
    insert_grant(row: &GrantRow) -> ();
    grant(id: GrantId) -> Option<GrantRow>;
    grants_of(session: SessionId) -> Vec<GrantRow>;
    revoke_grant(id: GrantId, now: Millis) -> bool;
    insert_embed(row: &EmbedRow, sha256: &[u8; 32]) -> ();
    embed(id: EmbedId) -> Option<EmbedRow>;
    embed_by_sha256(sha256: &[u8; 32]) -> Option<EmbedRow>;
    embeds_of(owner: &Owner) -> Vec<EmbedRow>;
    revoke_embed(id: EmbedId, now: Millis) -> Vec<GrantRow>;
    prune_visits(before: Millis) -> u64;
    slots(user: &UserId, game: &str, now: Millis) -> Vec<SlotRow>;
    slot(id: SlotId) -> Option<SlotRow>;
    slot_played(id: SlotId, now: Millis) -> ();
    slot_in_use(id: SlotId) -> bool;
    clear_slot(id: SlotId) -> Option<Vec<VersionRow>>;
    insert_version(id: VersionId, slot: SlotId, sha256: [u8; 32], bytes: u64, now: Millis) -> VersionRow;
    insert_version_if_idle(id: VersionId, slot: SlotId, sha256: [u8; 32], bytes: u64, now: Millis) -> Option<VersionRow>;
    versions(slot: SlotId) -> Vec<VersionRow>;
    all_versions() -> Vec<VersionRow>;
    delete_version(id: VersionId) -> ();
    profile(game: &str) -> Option<ProfileRow>;
    record_profile(game: &str, cpu: f64, peak_memory_bytes: f64) -> ProfileRow;
    insert_token(row: &TokenRow) -> ();
    token(id: &str) -> Option<TokenRow>;
    token_by_sha256(sha256: &[u8; 32]) -> Option<TokenRow>;
    tokens() -> Vec<TokenRow>;
    revoke_token(id: &str, now: Millis) -> bool;
    is_token_revoked(id: &str) -> bool;
    put_node(said: &Announcement, now: Millis) -> ();
    nodes() -> Vec<NodeRow>;
    set_node_health(node: &str, healthy: bool, now: Millis) -> bool;
    set_node_admission(node: &str, admission: Admission) -> bool;
    note_node_load(node: &str, load: MachineLoad, cached: &BTreeSet<String>, now: Millis) -> bool;
    reserve(session: SessionId, node: &str, needs: Resources, now: Millis) -> bool;
    release(session: SessionId) -> bool;
    reconcile_reservations(node: &str) -> u64;
    reservations() -> Vec<ReservationRow>;
    note_player(session: SessionId, kind: EventKind, player: &str, now: Millis) -> ();
    event_ids() -> RangeInclusive<i64>;
    events_after(owner: &Owner, id: i64, limit: u32) -> Vec<EventRow>;
    prune_events(before: Millis) -> u64;
    enlist_deliveries(webhook: &str, organisation: &str, kinds: &[EventKind], now: Millis) -> ();
    due_delivery(webhook: &str, now: Millis) -> Option<(DeliveryRow, EventRow)>;
    next_delivery_at(webhook: &str) -> Option<Millis>;
    note_attempt(webhook: &str, event: i64, attempt: &Attempt) -> ();
    deliveries(webhook: &str, before: Option<i64>, limit: u32) -> Vec<DeliveryRow>;
    pending_deliveries(webhook: &str) -> u64;
}
