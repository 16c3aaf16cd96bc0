//! The store in one SQLite file: write-ahead log, foreign keys, one connection that writes and a few that read.
//!
//! One writer inside the process means that no transaction of ours waits for another of ours in SQLite; writers of
//! other processes (`playgate token`) are waited for by the busy timeout.

mod access;
mod convert;
mod embeds;
mod events;
mod nodes;
mod players;
mod saves;
mod sessions;

use super::{Result, Store, StoreError};
use crate::model::Millis;
use crate::model::events::{Attempt, DeliveryRow, EventKind, EventRow};
use crate::model::ids::{EmbedId, Generation, GrantId, Owner, SessionId, SlotId, UserId, VersionId};
use crate::model::nodes::{Admission, Announcement, MachineLoad, NodeRow, ReservationRow, Resources};
use crate::model::quality::Quality;
use crate::model::rows::{
    EmbedRow, EmbedTarget, Fenced, Figures, GrantRow, Inserted, Joined, ProfileRow, SessionRow, SlotRow,
    TokenRow, UserRow, VersionRow, Visited,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{SqlSafeStr, Sqlite, Transaction};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;

const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Every migration, in order; one that was released never changes.
const MIGRATIONS: [(i64, &str, &str); 8] = [
    (1, "first", include_str!("../migrations/0001_first.sql")),
    (2, "nodes", include_str!("../migrations/0002_nodes.sql")),
    (3, "containers", include_str!("../migrations/0003_containers.sql")),
    (4, "hosted", include_str!("../migrations/0004_hosted.sql")),
    (5, "events", include_str!("../migrations/0005_events.sql")),
    (6, "quality", include_str!("../migrations/0006_quality.sql")),
    (7, "embeds", include_str!("../migrations/0007_embeds.sql")),
    (8, "save_status", include_str!("../migrations/0008_save_status.sql")),
];

/// Cheap to clone.
#[derive(Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Counts the writes that may have noted an event.
    news: watch::Sender<u64>,
}

impl SqliteStore {
    /// Opens the file, makes it when it is not there, and brings it to the newest schema.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::open_waiting(path, BUSY_TIMEOUT).await
    }

    /// As [`SqliteStore::open`]; a writer waits so long for another process.
    pub async fn open_waiting(path: &Path, busy_timeout: Duration) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A save's row must not be lost to a power cut after its file was announced.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy_timeout);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections);
        let writer = pool(1).connect_with(options.clone()).await.map_err(database)?;
        migrate(&writer, &MIGRATIONS).await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await.map_err(database)?;
        Ok(Self { writer, readers, news: watch::Sender::new(0) })
    }

    /// Closes every connection; the log is merged into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Tells those who wait for events.
    fn tell<T>(&self, written: Result<T>) -> Result<T> {
        if written.is_ok() {
            self.news.send_modify(|news| *news = news.wrapping_add(1));
        }
        written
    }

    /// A transaction that is the only writer from its first statement on.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(database)
    }
}

async fn migrate(writer: &SqlitePool, migrations: &[(i64, &'static str, &'static str)]) -> Result<()> {
    let migrations = migrations
        .iter()
        .map(|&(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    migrator.run(writer).await.map_err(|error| StoreError::Database(Box::new(error)))
}

fn database(error: sqlx::Error) -> StoreError {
    StoreError::Database(Box::new(error))
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn touch_user(&self, user: &UserId, name: Option<&str>, now: Millis) -> Result<()> {
        access::touch_user(&self.writer, user, name, now).await
    }

    async fn user(&self, user: &UserId) -> Result<Option<UserRow>> {
        access::user(&self.readers, user).await
    }

    async fn insert_session(&self, row: &SessionRow) -> Result<Inserted> {
        self.tell(sessions::insert(&self.writer, row).await)
    }

    async fn update_session(&self, row: &SessionRow) -> Result<Fenced> {
        self.tell(sessions::update(self.begin().await?, row).await)
    }

    async fn extend_lease(&self, id: SessionId, generation: Generation, until: Millis) -> Result<Fenced> {
        sessions::extend_lease(&self.writer, id, generation, until).await
    }

    async fn note_usage(
        &self,
        id: SessionId,
        generation: Generation,
        figures: Figures,
        players: &[String],
        quality: Quality,
    ) -> Result<Fenced> {
        sessions::note_usage(&self.writer, id, generation, figures, players, quality).await
    }

    async fn take_over(&self, id: SessionId, generation: Generation) -> Result<Option<Generation>> {
        sessions::take_over(&self.writer, id, generation).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionRow>> {
        sessions::by_id(&self.readers, id).await
    }

    async fn session_by_external_id(&self, owner: &Owner, external_id: &str) -> Result<Option<SessionRow>> {
        sessions::by_external_id(&self.readers, owner, external_id).await
    }

    async fn active_sessions_of(&self, owner: &Owner) -> Result<Vec<SessionRow>> {
        sessions::active_of(&self.readers, owner).await
    }

    async fn active_sessions(&self) -> Result<Vec<SessionRow>> {
        sessions::active(&self.readers).await
    }

    async fn unsaved_sessions(&self) -> Result<Vec<SessionRow>> {
        sessions::unsaved(&self.readers).await
    }

    async fn refused_saves(&self) -> Result<Vec<SessionRow>> {
        sessions::refused_saves(&self.readers).await
    }

    async fn retained_sessions(&self, organisation: Option<&str>) -> Result<Vec<SessionRow>> {
        sessions::retained(&self.readers, organisation).await
    }

    async fn forget_external_id(&self, id: SessionId, now: Millis) -> Result<()> {
        sessions::forget_external_id(&self.writer, id, now).await
    }

    async fn join_players(
        &self,
        id: SessionId,
        players: &[String],
        most: u64,
        now: Millis,
    ) -> Result<Joined> {
        players::join(self.begin().await?, &self.readers, id, players, most, now).await
    }

    async fn leave_players(&self, id: SessionId, players: &[String]) -> Result<u64> {
        players::leave(self.begin().await?, id, players).await
    }

    async fn players(&self, id: SessionId) -> Result<Vec<String>> {
        players::of(&self.readers, id).await
    }

    async fn player_counts(&self, organisation: &str) -> Result<HashMap<SessionId, u64>> {
        players::counts(&self.readers, organisation).await
    }

    async fn sessions_with_players(&self, owner: &Owner, players: &[String]) -> Result<Vec<SessionId>> {
        players::held_by(&self.readers, owner, players).await
    }

    async fn insert_grant(&self, row: &GrantRow) -> Result<()> {
        access::insert_grant(&self.writer, row).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<GrantRow>> {
        access::grant(&self.readers, id).await
    }

    async fn grants_of(&self, session: SessionId) -> Result<Vec<GrantRow>> {
        access::grants_of(&self.readers, session).await
    }

    async fn revoke_grant(&self, id: GrantId, now: Millis) -> Result<bool> {
        access::revoke_grant(&self.writer, id, now).await
    }

    async fn insert_embed(&self, row: &EmbedRow, sha256: &[u8; 32]) -> Result<()> {
        embeds::insert(&self.writer, row, sha256).await
    }

    async fn embed(&self, id: EmbedId) -> Result<Option<EmbedRow>> {
        embeds::by_id(&self.readers, id).await
    }

    async fn embed_by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<EmbedRow>> {
        embeds::by_sha256(&self.readers, sha256).await
    }

    async fn embeds_of(&self, owner: &Owner) -> Result<Vec<EmbedRow>> {
        embeds::of(&self.readers, owner).await
    }

    async fn revoke_embed(&self, id: EmbedId, now: Millis) -> Result<Vec<GrantRow>> {
        embeds::revoke(self.begin().await?, id, now).await
    }

    async fn insert_visit(
        &self,
        grant: &GrantRow,
        session: Option<&SessionRow>,
        now: Millis,
    ) -> Result<Visited> {
        self.tell(embeds::insert_visit(self.begin().await?, grant, session, now).await)
    }

    async fn prune_visits(&self, before: Millis) -> Result<u64> {
        embeds::prune_visits(&self.writer, before).await
    }

    async fn slots(&self, user: &UserId, game: &str, now: Millis) -> Result<Vec<SlotRow>> {
        let present = saves::slots(&self.readers, user, game).await?;
        if present.len() == usize::from(crate::model::rows::SLOTS) {
            return Ok(present);
        }
        saves::create_slots(self.begin().await?, user, game, now).await?;
        saves::slots(&self.writer, user, game).await
    }

    async fn slot(&self, id: SlotId) -> Result<Option<SlotRow>> {
        saves::slot(&self.readers, id).await
    }

    async fn slot_played(&self, id: SlotId, now: Millis) -> Result<()> {
        saves::slot_played(&self.writer, id, now).await
    }

    async fn slot_in_use(&self, id: SlotId) -> Result<bool> {
        saves::slot_in_use(&self.readers, id).await
    }

    async fn clear_slot(&self, id: SlotId) -> Result<Option<Vec<VersionRow>>> {
        saves::clear_slot(self.begin().await?, id).await
    }

    async fn insert_version(
        &self,
        id: VersionId,
        slot: SlotId,
        sha256: [u8; 32],
        bytes: u64,
        now: Millis,
    ) -> Result<VersionRow> {
        saves::insert_version(self.begin().await?, id, slot, sha256, bytes, now).await
    }

    async fn insert_version_if_idle(
        &self,
        id: VersionId,
        slot: SlotId,
        sha256: [u8; 32],
        bytes: u64,
        now: Millis,
    ) -> Result<Option<VersionRow>> {
        saves::insert_version_if_idle(self.begin().await?, id, slot, sha256, bytes, now).await
    }

    async fn versions(&self, slot: SlotId) -> Result<Vec<VersionRow>> {
        saves::versions(&self.readers, slot).await
    }

    async fn all_versions(&self) -> Result<Vec<VersionRow>> {
        saves::all_versions(&self.readers).await
    }

    async fn delete_version(&self, id: VersionId) -> Result<()> {
        saves::delete_version(&self.writer, id).await
    }

    async fn profile(&self, game: &str) -> Result<Option<ProfileRow>> {
        saves::profile(&self.readers, game).await
    }

    async fn record_profile(&self, game: &str, cpu: f64, peak_memory_bytes: f64) -> Result<ProfileRow> {
        saves::record_profile(self.begin().await?, game, cpu, peak_memory_bytes).await
    }

    async fn insert_token(&self, row: &TokenRow) -> Result<()> {
        access::insert_token(&self.writer, row).await
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRow>> {
        access::token(&self.readers, id).await
    }

    async fn token_by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<TokenRow>> {
        access::token_by_sha256(&self.readers, sha256).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        access::tokens(&self.readers).await
    }

    async fn revoke_token(&self, id: &str, now: Millis) -> Result<bool> {
        access::revoke_token(&self.writer, id, now).await
    }

    async fn is_token_revoked(&self, id: &str) -> Result<bool> {
        access::is_token_revoked(&self.readers, id).await
    }

    async fn put_node(&self, said: &Announcement, now: Millis) -> Result<()> {
        nodes::put(&self.writer, said, now).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>> {
        nodes::all(&self.readers).await
    }

    async fn set_node_health(&self, node: &str, healthy: bool, now: Millis) -> Result<bool> {
        nodes::set_health(&self.writer, node, healthy, now).await
    }

    async fn set_node_admission(&self, node: &str, admission: Admission) -> Result<bool> {
        nodes::set_admission(&self.writer, node, admission).await
    }

    async fn note_node_load(
        &self,
        node: &str,
        load: MachineLoad,
        cached: &BTreeSet<String>,
        now: Millis,
    ) -> Result<bool> {
        nodes::note_load(&self.writer, node, load, cached, now).await
    }

    async fn reserve(&self, session: SessionId, node: &str, needs: Resources, now: Millis) -> Result<bool> {
        nodes::reserve(self.begin().await?, session, node, needs, now).await
    }

    async fn release(&self, session: SessionId) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let released = nodes::release(&mut transaction, session).await?;
        transaction.commit().await.map_err(database)?;
        Ok(released)
    }

    async fn reconcile_reservations(&self, node: &str) -> Result<u64> {
        nodes::reconcile(self.begin().await?, node).await
    }

    async fn reservations(&self) -> Result<Vec<ReservationRow>> {
        nodes::reservations(&self.readers).await
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    async fn note_player(
        &self,
        session: SessionId,
        kind: EventKind,
        player: &str,
        now: Millis,
    ) -> Result<()> {
        self.tell(events::note_player(&self.writer, session, kind, player, now).await)
    }

    async fn event_ids(&self) -> Result<RangeInclusive<i64>> {
        events::ids(&self.readers).await
    }

    async fn events_after(&self, owner: &Owner, id: i64, limit: u32) -> Result<Vec<EventRow>> {
        events::after(&self.readers, owner, id, limit).await
    }

    async fn prune_events(&self, before: Millis) -> Result<u64> {
        events::prune(&self.writer, before).await
    }

    async fn enlist_deliveries(
        &self,
        webhook: &str,
        organisation: &str,
        kinds: &[EventKind],
        now: Millis,
    ) -> Result<()> {
        events::enlist(self.begin().await?, webhook, organisation, kinds, now).await
    }

    async fn due_delivery(&self, webhook: &str, now: Millis) -> Result<Option<(DeliveryRow, EventRow)>> {
        events::due(&self.readers, webhook, now).await
    }

    async fn next_delivery_at(&self, webhook: &str) -> Result<Option<Millis>> {
        events::next_at(&self.readers, webhook).await
    }

    async fn note_attempt(&self, webhook: &str, event: i64, attempt: &Attempt) -> Result<()> {
        events::note_attempt(&self.writer, webhook, event, attempt).await
    }

    async fn deliveries(&self, webhook: &str, before: Option<i64>, limit: u32) -> Result<Vec<DeliveryRow>> {
        events::deliveries(&self.readers, webhook, before, limit).await
    }

    async fn pending_deliveries(&self, webhook: &str) -> Result<u64> {
        events::pending(&self.readers, webhook).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_of_before_embeds_keeps_its_sessions_and_what_belongs_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        migrate(&pool, &MIGRATIONS[..6]).await.unwrap();
        let (session, grant) = (SessionId::new(), GrantId::new());
        let bound = [session.to_string(), grant.to_string()];
        for statement in [
            "INSERT INTO sessions (id, owner_kind, owner_name, external_id, game, title, status, container, hosted,
                 generation, ran, started_at, timeline)
             VALUES (?1, 'org', 'acme', 'x', 'g', 'G', 'running', 'running', '{}', 1, 1, 5, '[]')",
            "INSERT INTO grants (id, session_id, role, created_at, expires_at) VALUES (?2, ?1, 'player', 6, 7)",
            "INSERT INTO joined_players VALUES (?1, 'ada', 6)",
        ] {
            sqlx::query(statement).bind(&bound[0]).bind(&bound[1]).execute(&pool).await.unwrap();
        }
        pool.close().await;

        let store = SqliteStore::open(&path).await.unwrap();
        let kept = store.grant(grant).await.unwrap().unwrap();
        assert_eq!((kept.session, kept.embed, kept.host), (session, None, false));
        assert_eq!(store.players(session).await.unwrap(), ["ada"]);
        // The copy of a session is no beginning of one.
        let count = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&store.writer).await;
        let events: i64 = count.unwrap();
        assert_eq!(events, 1);
        let broken: Vec<(String,)> = sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check")
            .fetch_all(&store.writer)
            .await
            .unwrap();
        assert_eq!(broken, []);
    }
}
