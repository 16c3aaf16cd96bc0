//! Rows of events and of their deliveries. Events of sessions are noted by triggers (`0005_events.sql`).

use super::convert::{column, name_of, named, parsed, to_json, unsigned};
use super::sessions::{owner_columns, read as read_session};
use super::{Millis, Result, database};
use crate::model::events::{Attempt, DeliveryRow, EventKind, EventRow};
use crate::model::ids::{Owner, SessionId};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};
use std::ops::RangeInclusive;

pub(super) async fn note_player(
    pool: &SqlitePool,
    session: SessionId,
    kind: EventKind,
    player: &str,
    now: Millis,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO events (session_id, owner_kind, owner_name, kind, player, at)
         SELECT id, owner_kind, owner_name, ?, ?, ? FROM sessions
         WHERE id = ? AND status IN ('starting', 'running', 'stopping')",
    )
    .bind(name_of(&kind)?)
    .bind(player)
    .bind(now)
    .bind(session.to_string())
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn ids(pool: &SqlitePool) -> Result<RangeInclusive<i64>> {
    let row =
        sqlx::query("SELECT coalesce(min(id), 1) AS oldest, coalesce(max(id), 0) AS newest FROM events")
            .fetch_one(pool)
            .await
            .map_err(database)?;
    Ok(column(&row, "oldest")?..=column(&row, "newest")?)
}

pub(super) async fn after(pool: &SqlitePool, owner: &Owner, id: i64, limit: u32) -> Result<Vec<EventRow>> {
    let (kind, name) = owner_columns(owner);
    let rows = sqlx::query(
        "SELECT sessions.*, events.id AS event_id, events.kind AS event_kind, events.at AS event_at, events.player
         FROM events JOIN sessions ON sessions.id = events.session_id
         WHERE events.owner_kind = ? AND events.owner_name = ? AND events.id > ? ORDER BY events.id LIMIT ?",
    )
    .bind(kind)
    .bind(name)
    .bind(id)
    .bind(limit)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(read_event).collect()
}

pub(super) async fn prune(pool: &SqlitePool, before: Millis) -> Result<u64> {
    let pruned =
        sqlx::query("DELETE FROM events WHERE at < ?").bind(before).execute(pool).await.map_err(database)?;
    Ok(pruned.rows_affected())
}

/// A webhook that is new begins with what happens from now on.
pub(super) async fn enlist(
    mut transaction: Transaction<'static, Sqlite>,
    webhook: &str,
    organisation: &str,
    kinds: &[EventKind],
    now: Millis,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO deliveries (webhook, event_id, next_at)
         SELECT name, id, ?2 FROM webhooks JOIN events ON events.id > webhooks.seen
         WHERE name = ?1 AND owner_kind = 'org' AND owner_name = ?3
             AND (json_array_length(?4) = 0 OR kind IN (SELECT value FROM json_each(?4)))",
    )
    .bind(webhook)
    .bind(now)
    .bind(organisation)
    .bind(to_json(&kinds)?)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    sqlx::query(
        "INSERT INTO webhooks (name, seen) SELECT ?, coalesce(max(id), 0) FROM events WHERE true
         ON CONFLICT (name) DO UPDATE SET seen = excluded.seen WHERE excluded.seen > seen",
    )
    .bind(webhook)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    transaction.commit().await.map_err(database)
}

pub(super) async fn due(
    pool: &SqlitePool,
    webhook: &str,
    now: Millis,
) -> Result<Option<(DeliveryRow, EventRow)>> {
    let row = sqlx::query(
        "SELECT sessions.*, events.id AS event_id, events.kind AS event_kind, events.at AS event_at, events.player,
             session_id, attempts, next_at, delivered_at, error
         FROM deliveries JOIN events ON events.id = event_id JOIN sessions ON sessions.id = session_id
         WHERE webhook = ? AND next_at <= ? ORDER BY event_id LIMIT 1",
    )
    .bind(webhook)
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(database)?;
    row.map(|row| Ok((read_delivery(&row)?, read_event(&row)?))).transpose()
}

pub(super) async fn next_at(pool: &SqlitePool, webhook: &str) -> Result<Option<Millis>> {
    sqlx::query_scalar("SELECT min(next_at) FROM deliveries WHERE webhook = ?")
        .bind(webhook)
        .fetch_one(pool)
        .await
        .map_err(database)
}

pub(super) async fn note_attempt(
    pool: &SqlitePool,
    webhook: &str,
    event: i64,
    attempt: &Attempt,
) -> Result<()> {
    let (next_at, delivered_at, error) = match attempt {
        Attempt::Delivered { at } => (None, Some(*at), None),
        Attempt::Failed { error, next_at } => (*next_at, None, Some(error)),
    };
    sqlx::query(
        "UPDATE deliveries SET attempts = attempts + 1, next_at = ?, delivered_at = ?, error = ?
         WHERE webhook = ? AND event_id = ?",
    )
    .bind(next_at)
    .bind(delivered_at)
    .bind(error)
    .bind(webhook)
    .bind(event)
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn deliveries(
    pool: &SqlitePool,
    webhook: &str,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<DeliveryRow>> {
    let rows = sqlx::query(
        "SELECT events.id AS event_id, events.kind AS event_kind, events.at AS event_at,
             session_id, attempts, next_at, delivered_at, error
         FROM deliveries JOIN events ON events.id = event_id
         WHERE webhook = ?1 AND (?2 IS NULL OR event_id < ?2) ORDER BY event_id DESC LIMIT ?3",
    )
    .bind(webhook)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(read_delivery).collect()
}

pub(super) async fn pending(pool: &SqlitePool, webhook: &str) -> Result<u64> {
    let row =
        sqlx::query("SELECT count(*) AS pending FROM deliveries WHERE webhook = ? AND next_at IS NOT NULL")
            .bind(webhook)
            .fetch_one(pool)
            .await
            .map_err(database)?;
    unsigned(&row, "pending")
}

fn read_event(row: &SqliteRow) -> Result<EventRow> {
    Ok(EventRow {
        id: column(row, "event_id")?,
        kind: named(row, "event_kind")?,
        at: column(row, "event_at")?,
        player: column(row, "player")?,
        session: read_session(row)?,
    })
}

fn read_delivery(row: &SqliteRow) -> Result<DeliveryRow> {
    Ok(DeliveryRow {
        event: column(row, "event_id")?,
        kind: named(row, "event_kind")?,
        at: column(row, "event_at")?,
        session: parsed(row, "session_id")?,
        attempts: unsigned(row, "attempts")?,
        next_at: column(row, "next_at")?,
        delivered_at: column(row, "delivered_at")?,
        error: column(row, "error")?,
    })
}
