//! Rows of sessions.

use super::convert::{
    column, json, name_of, named, named_or_null, parsed, sha256, signed, to_json, unsigned,
};
use super::{Fenced, Inserted, Millis, Result, SessionRow, StoreError, database};
use crate::model::ids::{Generation, Owner, SessionId, UserId};
use crate::model::quality::Quality;
use crate::model::rows::Figures;
use crate::model::session::SaveReport;
use sqlx::SqliteExecutor;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};
use std::sync::Arc;

pub(super) async fn insert(executor: impl SqliteExecutor<'_>, row: &SessionRow) -> Result<Inserted> {
    let (owner_kind, owner_name) = owner_columns(&row.owner);
    let result = sqlx::query(
        "INSERT INTO sessions (id, owner_kind, owner_name, external_id, game, title, slot_id, status, generation,
             ran, started_at, ended_at, lease_until, timeline, end_reason, end_detail, instance, node, placement, container,
             hosted)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.id.to_string())
    .bind(owner_kind)
    .bind(owner_name)
    .bind(&row.external_id)
    .bind(&row.game)
    .bind(&row.title)
    .bind(row.slot.map(|slot| slot.to_string()))
    .bind(name_of(&row.status)?)
    .bind(signed(row.generation.0))
    .bind(row.ran)
    .bind(row.started_at)
    .bind(row.ended_at)
    .bind(row.lease_until)
    .bind(to_json(&row.timeline)?)
    .bind(row.end_reason.as_ref().map(name_of).transpose()?)
    .bind(&row.end_detail)
    .bind(row.instance.as_ref().map(to_json).transpose()?)
    .bind(&row.node)
    .bind(to_json(&row.placement)?)
    .bind(name_of(&row.container)?)
    .bind(hosted(row)?)
    .execute(executor)
    .await;
    match result {
        Ok(_) => Ok(Inserted::Done),
        Err(error) => refusal(&error).map_or_else(|| Err(database(error)), Ok),
    }
}

fn hosted(row: &SessionRow) -> Result<Option<String>> {
    row.hosted.as_deref().map(to_json).transpose()
}

/// SQLite names the columns of the index that refused, not the index.
fn refusal(error: &sqlx::Error) -> Option<Inserted> {
    let error = error.as_database_error()?;
    if !error.is_unique_violation() {
        return None;
    }
    let message = error.message();
    if message.contains("sessions.external_id") {
        Some(Inserted::ExternalIdUsed)
    } else if message.contains("sessions.owner_name") {
        Some(Inserted::UserBusy)
    } else if message.contains("sessions.slot_id") {
        Some(Inserted::SlotBusy)
    } else {
        None
    }
}

/// A final row gives the session's place back with it.
pub(super) async fn update(
    mut transaction: Transaction<'static, Sqlite>,
    row: &SessionRow,
) -> Result<Fenced> {
    let result = sqlx::query(
        "UPDATE sessions SET status = ?, ran = ?, ended_at = ?, lease_until = ?, timeline = ?, end_reason = ?,
             end_detail = ?, duration_s = ?, cpu_seconds = ?, peak_memory_bytes = ?, network_rx_bytes = ?,
             network_tx_bytes = ?, exit_code = ?, out_of_memory = ?, instance = ?, runner_token_sha256 = ?,
             players = ?, unsaved = ?, container = ?, hosted = ?, removed_at = ?, quality = ?, save_status = ?,
             save_reason = ?, save_refused_at = ?
         WHERE id = ? AND generation = ?",
    )
    .bind(name_of(&row.status)?)
    .bind(row.ran)
    .bind(row.ended_at)
    .bind(row.lease_until)
    .bind(to_json(&row.timeline)?)
    .bind(row.end_reason.as_ref().map(name_of).transpose()?)
    .bind(&row.end_detail)
    .bind(row.figures.map(|figures| signed(figures.duration_s)))
    .bind(row.figures.map(|figures| figures.cpu_seconds))
    .bind(row.figures.map(|figures| signed(figures.peak_memory_bytes)))
    .bind(row.figures.map_or(0, |figures| signed(figures.network_rx_bytes)))
    .bind(row.figures.map_or(0, |figures| signed(figures.network_tx_bytes)))
    .bind(row.figures.and_then(|figures| figures.exit_code))
    .bind(row.figures.is_some_and(|figures| figures.out_of_memory))
    .bind(row.instance.as_ref().map(to_json).transpose()?)
    .bind(row.runner_token_sha256.as_ref().map(<[u8; 32]>::as_slice))
    .bind(to_json(&row.players)?)
    .bind(&row.unsaved)
    .bind(name_of(&row.container)?)
    .bind(hosted(row)?)
    .bind(row.removed_at)
    .bind(to_json(&row.quality)?)
    .bind(row.save.as_ref().map(|save| name_of(&save.status)).transpose()?)
    .bind(row.save.as_ref().and_then(|save| save.reason.as_deref()))
    .bind(row.save_refused_at)
    .bind(row.id.to_string())
    .bind(signed(row.generation.0))
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    let fenced = fenced(result.rows_affected());
    if fenced == Fenced::Written && row.ended_at.is_some() {
        super::nodes::release(&mut transaction, row.id).await?;
    }
    transaction.commit().await.map_err(database)?;
    Ok(fenced)
}

pub(super) async fn extend_lease(
    pool: &SqlitePool,
    id: SessionId,
    generation: Generation,
    until: Millis,
) -> Result<Fenced> {
    // Two keepalives may be written in the other order than they were granted; the longer lease stands.
    let result = sqlx::query(
        "UPDATE sessions SET lease_until = max(coalesce(lease_until, 0), ?)
         WHERE id = ? AND generation = ? AND status IN ('starting', 'running', 'stopping')",
    )
    .bind(until)
    .bind(id.to_string())
    .bind(signed(generation.0))
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(fenced(result.rows_affected()))
}

pub(super) async fn note_usage(
    pool: &SqlitePool,
    id: SessionId,
    generation: Generation,
    figures: Figures,
    players: &[String],
    quality: Quality,
) -> Result<Fenced> {
    let result = sqlx::query(
        "UPDATE sessions SET duration_s = ?, cpu_seconds = ?, peak_memory_bytes = ?, network_rx_bytes = ?,
             network_tx_bytes = ?, players = ?, quality = ?
         WHERE id = ? AND generation = ? AND status IN ('starting', 'running', 'stopping')",
    )
    .bind(signed(figures.duration_s))
    .bind(figures.cpu_seconds)
    .bind(signed(figures.peak_memory_bytes))
    .bind(signed(figures.network_rx_bytes))
    .bind(signed(figures.network_tx_bytes))
    .bind(to_json(&players)?)
    .bind(to_json(&quality)?)
    .bind(id.to_string())
    .bind(signed(generation.0))
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(fenced(result.rows_affected()))
}

fn fenced(rows: u64) -> Fenced {
    if rows == 0 { Fenced::Stale } else { Fenced::Written }
}

pub(super) async fn take_over(
    pool: &SqlitePool,
    id: SessionId,
    generation: Generation,
) -> Result<Option<Generation>> {
    let result =
        sqlx::query("UPDATE sessions SET generation = generation + 1 WHERE id = ? AND generation = ?")
            .bind(id.to_string())
            .bind(signed(generation.0))
            .execute(pool)
            .await
            .map_err(database)?;
    Ok((result.rows_affected() > 0).then_some(Generation(generation.0 + 1)))
}

pub(super) async fn by_id(pool: &SqlitePool, id: SessionId) -> Result<Option<SessionRow>> {
    let row = sqlx::query("SELECT * FROM sessions WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn by_external_id(
    pool: &SqlitePool,
    owner: &Owner,
    external_id: &str,
) -> Result<Option<SessionRow>> {
    let (kind, name) = owner_columns(owner);
    let row =
        sqlx::query("SELECT * FROM sessions WHERE owner_kind = ? AND owner_name = ? AND external_id = ?")
            .bind(kind)
            .bind(name)
            .bind(external_id)
            .fetch_optional(pool)
            .await
            .map_err(database)?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn active_of(pool: &SqlitePool, owner: &Owner) -> Result<Vec<SessionRow>> {
    let (kind, name) = owner_columns(owner);
    let rows = sqlx::query(
        "SELECT * FROM sessions WHERE owner_kind = ? AND owner_name = ?
             AND status IN ('starting', 'running', 'stopping') ORDER BY started_at, id",
    )
    .bind(kind)
    .bind(name)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(read).collect()
}

pub(super) async fn active(pool: &SqlitePool) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query(
        "SELECT * FROM sessions WHERE status IN ('starting', 'running', 'stopping') ORDER BY started_at, id",
    )
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(read).collect()
}

pub(super) async fn unsaved(pool: &SqlitePool) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query("SELECT * FROM sessions WHERE unsaved IS NOT NULL ORDER BY ended_at, id")
        .fetch_all(pool)
        .await
        .map_err(database)?;
    rows.iter().map(read).collect()
}

pub(super) fn owner_columns(owner: &Owner) -> (&'static str, &str) {
    match owner {
        Owner::User(user) => ("user", &user.0),
        Owner::Organisation(name) => ("org", name),
    }
}

pub(super) fn read_owner(row: &SqliteRow) -> Result<Owner> {
    let name: String = column(row, "owner_name")?;
    match column::<&str>(row, "owner_kind")? {
        "user" => Ok(Owner::User(UserId(name))),
        "org" => Ok(Owner::Organisation(name)),
        other => Err(StoreError::BadRow(format!("`{other}` as owner_kind"))),
    }
}

pub(super) fn read(row: &SqliteRow) -> Result<SessionRow> {
    let instance: Option<&str> = column(row, "instance")?;
    let slot: Option<&str> = column(row, "slot_id")?;
    let hosted: Option<&str> = column(row, "hosted")?;
    let duration: Option<i64> = column(row, "duration_s")?;
    let token: Option<&[u8]> = column(row, "runner_token_sha256")?;
    Ok(SessionRow {
        id: parsed(row, "id")?,
        owner: read_owner(row)?,
        external_id: column(row, "external_id")?,
        game: column(row, "game")?,
        title: column(row, "title")?,
        slot: slot.map(|_| parsed(row, "slot_id")).transpose()?,
        status: named(row, "status")?,
        container: named(row, "container")?,
        hosted: hosted.map(|text| json(text, "hosted").map(Arc::new)).transpose()?,
        removed_at: column(row, "removed_at")?,
        generation: Generation(unsigned(row, "generation")?),
        ran: row.try_get("ran").map_err(database)?,
        started_at: column(row, "started_at")?,
        ended_at: column(row, "ended_at")?,
        lease_until: column(row, "lease_until")?,
        timeline: json(column(row, "timeline")?, "timeline")?,
        end_reason: named_or_null(row, "end_reason")?,
        end_detail: column(row, "end_detail")?,
        figures: duration.map(|_| figures(row)).transpose()?,
        instance: instance.map(|text| json(text, "instance")).transpose()?,
        node: column(row, "node")?,
        placement: json(column(row, "placement")?, "placement")?,
        runner_token_sha256: token.map(sha256).transpose()?,
        players: json(column(row, "players")?, "players")?,
        quality: json(column(row, "quality")?, "quality")?,
        unsaved: column(row, "unsaved")?,
        save: match named_or_null(row, "save_status")? {
            Some(status) => Some(SaveReport { status, reason: column(row, "save_reason")? }),
            None => None,
        },
        save_refused_at: column(row, "save_refused_at")?,
    })
}

/// Ended, with their stopped containers still there; of one organisation or of all, the longest ended first.
pub(super) async fn retained(pool: &SqlitePool, organisation: Option<&str>) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query(
        "SELECT * FROM sessions
         WHERE hosted IS NOT NULL AND removed_at IS NULL AND ended_at IS NOT NULL AND (?1 IS NULL OR owner_name = ?1)
         ORDER BY ended_at",
    )
    .bind(organisation)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    read_all(rows).await
}

/// Reads many rows, off the async workers: each may hold hundreds of kilobytes of a caller's environment.
async fn read_all(rows: Vec<SqliteRow>) -> Result<Vec<SessionRow>> {
    let read = tokio::task::spawn_blocking(move || rows.iter().map(read).collect());
    read.await.map_err(|error| StoreError::Database(Box::new(error)))?
}

/// Whose saves were refused and are still kept, the longest refused first.
pub(super) async fn refused_saves(pool: &SqlitePool) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query(
        "SELECT * FROM sessions WHERE save_refused_at IS NOT NULL AND removed_at IS NULL ORDER BY save_refused_at, id",
    )
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(read).collect()
}

pub(super) async fn forget_external_id(pool: &SqlitePool, id: SessionId, now: Millis) -> Result<()> {
    sqlx::query("UPDATE sessions SET external_id = id, removed_at = coalesce(removed_at, ?) WHERE id = ?")
        .bind(now)
        .bind(id.to_string())
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(())
}

fn figures(row: &SqliteRow) -> Result<Figures> {
    Ok(Figures {
        duration_s: unsigned(row, "duration_s")?,
        cpu_seconds: column(row, "cpu_seconds")?,
        peak_memory_bytes: unsigned(row, "peak_memory_bytes")?,
        network_rx_bytes: unsigned(row, "network_rx_bytes")?,
        network_tx_bytes: unsigned(row, "network_tx_bytes")?,
        exit_code: column(row, "exit_code")?,
        out_of_memory: column(row, "out_of_memory")?,
    })
}
