//! Rows of save slots, save versions and resource profiles.

use super::convert::{column, parsed, sha256, signed, unsigned};
use super::{Millis, ProfileRow, Result, SlotRow, VersionRow, database};
use crate::model::ids::{SlotId, UserId, VersionId};
use crate::model::rows::SLOTS;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};

type Tx = Transaction<'static, Sqlite>;

pub(super) async fn slots(pool: &SqlitePool, user: &UserId, game: &str) -> Result<Vec<SlotRow>> {
    let rows = sqlx::query("SELECT * FROM slots WHERE user_id = ? AND game = ? ORDER BY number")
        .bind(&user.0)
        .bind(game)
        .fetch_all(pool)
        .await
        .map_err(database)?;
    rows.iter().map(read_slot).collect()
}

pub(super) async fn create_slots(mut tx: Tx, user: &UserId, game: &str, now: Millis) -> Result<()> {
    sqlx::query("INSERT INTO users (id, created_at, seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(&user.0)
        .bind(now)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(database)?;
    for number in 1..=SLOTS {
        sqlx::query(
            "INSERT INTO slots (id, user_id, game, number) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(SlotId::new().to_string())
        .bind(&user.0)
        .bind(game)
        .bind(i64::from(number))
        .execute(&mut *tx)
        .await
        .map_err(database)?;
    }
    tx.commit().await.map_err(database)
}

pub(super) async fn slot(pool: &SqlitePool, id: SlotId) -> Result<Option<SlotRow>> {
    let row = sqlx::query("SELECT * FROM slots WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read_slot).transpose()
}

pub(super) async fn slot_played(pool: &SqlitePool, id: SlotId, now: Millis) -> Result<()> {
    sqlx::query("UPDATE slots SET played_at = ? WHERE id = ?")
        .bind(now)
        .bind(id.to_string())
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(())
}

const SLOT_IN_USE: &str =
    "SELECT count(*) FROM sessions WHERE slot_id = ? AND status IN ('starting', 'running', 'stopping')";

pub(super) async fn slot_in_use(pool: &SqlitePool, id: SlotId) -> Result<bool> {
    let count: i64 =
        sqlx::query_scalar(SLOT_IN_USE).bind(id.to_string()).fetch_one(pool).await.map_err(database)?;
    Ok(count > 0)
}

pub(super) async fn clear_slot(mut tx: Tx, id: SlotId) -> Result<Option<Vec<VersionRow>>> {
    let id = id.to_string();
    let in_use: i64 =
        sqlx::query_scalar(SLOT_IN_USE).bind(&id).fetch_one(&mut *tx).await.map_err(database)?;
    if in_use > 0 {
        return Ok(None);
    }
    let rows = sqlx::query("DELETE FROM save_versions WHERE slot_id = ? RETURNING *")
        .bind(&id)
        .fetch_all(&mut *tx)
        .await
        .map_err(database)?;
    sqlx::query("UPDATE slots SET played_at = NULL WHERE id = ?")
        .bind(&id)
        .execute(&mut *tx)
        .await
        .map_err(database)?;
    tx.commit().await.map_err(database)?;
    rows.iter().map(read_version).collect::<Result<_>>().map(Some)
}

pub(super) async fn insert_version(
    mut tx: Tx,
    id: VersionId,
    slot: SlotId,
    sha256: [u8; 32],
    bytes: u64,
    now: Millis,
) -> Result<VersionRow> {
    let version = add_version(&mut tx, id, slot, sha256, bytes, now).await?;
    tx.commit().await.map_err(database)?;
    Ok(version)
}

pub(super) async fn insert_version_if_idle(
    mut tx: Tx,
    id: VersionId,
    slot: SlotId,
    sha256: [u8; 32],
    bytes: u64,
    now: Millis,
) -> Result<Option<VersionRow>> {
    let in_use: i64 =
        sqlx::query_scalar(SLOT_IN_USE).bind(slot.to_string()).fetch_one(&mut *tx).await.map_err(database)?;
    if in_use > 0 {
        return Ok(None);
    }
    let version = add_version(&mut tx, id, slot, sha256, bytes, now).await?;
    tx.commit().await.map_err(database)?;
    Ok(Some(version))
}

async fn add_version(
    tx: &mut Tx,
    id: VersionId,
    slot: SlotId,
    sha256: [u8; 32],
    bytes: u64,
    now: Millis,
) -> Result<VersionRow> {
    let row = sqlx::query(
        "INSERT INTO save_versions (id, slot_id, number, sha256, bytes, created_at)
         VALUES (?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM save_versions WHERE slot_id = ?2), ?3, ?4, ?5)
         RETURNING *",
    )
    .bind(id.to_string())
    .bind(slot.to_string())
    .bind(sha256.as_slice())
    .bind(signed(bytes))
    .bind(now)
    .fetch_one(&mut **tx)
    .await
    .map_err(database)?;
    read_version(&row)
}

pub(super) async fn versions(pool: &SqlitePool, slot: SlotId) -> Result<Vec<VersionRow>> {
    let rows = sqlx::query("SELECT * FROM save_versions WHERE slot_id = ? ORDER BY number DESC")
        .bind(slot.to_string())
        .fetch_all(pool)
        .await
        .map_err(database)?;
    rows.iter().map(read_version).collect()
}

pub(super) async fn all_versions(pool: &SqlitePool) -> Result<Vec<VersionRow>> {
    let rows = sqlx::query("SELECT * FROM save_versions").fetch_all(pool).await.map_err(database)?;
    rows.iter().map(read_version).collect()
}

pub(super) async fn delete_version(pool: &SqlitePool, id: VersionId) -> Result<()> {
    sqlx::query("DELETE FROM save_versions WHERE id = ?")
        .bind(id.to_string())
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(())
}

pub(super) async fn profile(pool: &SqlitePool, game: &str) -> Result<Option<ProfileRow>> {
    let row = sqlx::query("SELECT * FROM profiles WHERE game = ?")
        .bind(game)
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read_profile).transpose()
}

pub(super) async fn record_profile(
    mut tx: Tx,
    game: &str,
    cpu: f64,
    peak_memory_bytes: f64,
) -> Result<ProfileRow> {
    let row = sqlx::query("SELECT * FROM profiles WHERE game = ?")
        .bind(game)
        .fetch_optional(&mut *tx)
        .await
        .map_err(database)?;
    let old = row.as_ref().map(read_profile).transpose()?;
    let new = ProfileRow::with_sample(old, cpu, peak_memory_bytes);
    sqlx::query(
        "INSERT OR REPLACE INTO profiles (game, cpu, peak_memory_bytes, samples) VALUES (?, ?, ?, ?)",
    )
    .bind(game)
    .bind(new.cpu)
    .bind(new.peak_memory_bytes)
    .bind(signed(new.samples))
    .execute(&mut *tx)
    .await
    .map_err(database)?;
    tx.commit().await.map_err(database)?;
    Ok(new)
}

fn read_slot(row: &SqliteRow) -> Result<SlotRow> {
    Ok(SlotRow {
        id: parsed(row, "id")?,
        user: UserId(column(row, "user_id")?),
        game: column(row, "game")?,
        number: unsigned(row, "number")?,
        played_at: column(row, "played_at")?,
    })
}

fn read_version(row: &SqliteRow) -> Result<VersionRow> {
    Ok(VersionRow {
        id: parsed(row, "id")?,
        slot: parsed(row, "slot_id")?,
        number: unsigned(row, "number")?,
        sha256: sha256(row.try_get("sha256").map_err(database)?)?,
        bytes: unsigned(row, "bytes")?,
        created_at: column(row, "created_at")?,
    })
}

fn read_profile(row: &SqliteRow) -> Result<ProfileRow> {
    Ok(ProfileRow {
        cpu: column(row, "cpu")?,
        peak_memory_bytes: column(row, "peak_memory_bytes")?,
        samples: unsigned(row, "samples")?,
    })
}
