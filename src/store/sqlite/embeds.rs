//! Rows of embed tokens, and of the grants their visits were given.

use super::access::{self, read_grant};
use super::convert::{column, json, name_of, named, parsed, signed, to_json, unsigned};
use super::sessions::{self, owner_columns, read_owner};
use super::{EmbedRow, EmbedTarget, GrantRow, Inserted, Millis, Result, SessionRow, Visited, database};
use crate::model::ids::{EmbedId, Owner};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};

pub(super) async fn insert(pool: &SqlitePool, row: &EmbedRow, sha256: &[u8; 32]) -> Result<()> {
    let (owner_kind, owner_name) = owner_columns(&row.owner);
    let (game, session) = match &row.target {
        EmbedTarget::Game(slug) => (Some(slug), None),
        EmbedTarget::Session(session) => (None, Some(session.to_string())),
    };
    sqlx::query(
        "INSERT INTO embeds (id, sha256, owner_kind, owner_name, game, session_id, role, slot, origins, uses, used,
             created_at, expires_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.id.to_string())
    .bind(sha256.as_slice())
    .bind(owner_kind)
    .bind(owner_name)
    .bind(game)
    .bind(session)
    .bind(name_of(&row.role)?)
    .bind(row.slot.map(i64::from))
    .bind(to_json(&row.origins)?)
    .bind(row.uses.map(signed))
    .bind(signed(row.used))
    .bind(row.created_at)
    .bind(row.expires_at)
    .bind(row.revoked_at)
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn by_id(pool: &SqlitePool, id: EmbedId) -> Result<Option<EmbedRow>> {
    let row = sqlx::query("SELECT * FROM embeds WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn by_sha256(pool: &SqlitePool, sha256: &[u8; 32]) -> Result<Option<EmbedRow>> {
    let row = sqlx::query("SELECT * FROM embeds WHERE sha256 = ?")
        .bind(sha256.as_slice())
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn of(pool: &SqlitePool, owner: &Owner) -> Result<Vec<EmbedRow>> {
    let (kind, name) = owner_columns(owner);
    let rows = sqlx::query(
        "SELECT * FROM embeds WHERE owner_kind = ? AND owner_name = ? ORDER BY created_at DESC, id",
    )
    .bind(kind)
    .bind(name)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(read).collect()
}

pub(super) async fn revoke(
    mut transaction: Transaction<'static, Sqlite>,
    id: EmbedId,
    now: Millis,
) -> Result<Vec<GrantRow>> {
    sqlx::query("UPDATE embeds SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?")
        .bind(now)
        .bind(id.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(database)?;
    let rows = sqlx::query(
        "UPDATE grants SET revoked_at = coalesce(revoked_at, ?) WHERE embed_id = ? AND expires_at > ? RETURNING *",
    )
    .bind(now)
    .bind(id.to_string())
    .bind(now)
    .fetch_all(&mut *transaction)
    .await
    .map_err(database)?;
    let grants = rows.iter().map(read_grant).collect::<Result<_>>()?;
    transaction.commit().await.map_err(database)?;
    Ok(grants)
}

/// A transaction that is not committed is rolled back.
pub(super) async fn insert_visit(
    mut transaction: Transaction<'static, Sqlite>,
    grant: &GrantRow,
    session: Option<&SessionRow>,
    now: Millis,
) -> Result<Visited> {
    let result = sqlx::query(
        "UPDATE embeds SET used = used + 1
         WHERE id = ? AND revoked_at IS NULL AND expires_at > ? AND (uses IS NULL OR used < uses)",
    )
    .bind(grant.embed.map(|embed| embed.to_string()))
    .bind(now)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    if result.rows_affected() == 0 {
        return Ok(Visited::TokenRefused);
    }
    if let Some(session) = session {
        match sessions::insert(&mut *transaction, session).await? {
            Inserted::Done => {}
            refused @ (Inserted::UserBusy | Inserted::SlotBusy | Inserted::ExternalIdUsed) => {
                return Ok(Visited::SessionRefused(refused));
            }
        }
    }
    access::insert_grant(&mut *transaction, grant).await?;
    transaction.commit().await.map_err(database)?;
    Ok(Visited::Done)
}

pub(super) async fn prune_visits(pool: &SqlitePool, before: Millis) -> Result<u64> {
    let result = sqlx::query("DELETE FROM grants WHERE embed_id IS NOT NULL AND expires_at < ?")
        .bind(before)
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(result.rows_affected())
}

fn read(row: &SqliteRow) -> Result<EmbedRow> {
    let slot: Option<i64> = column(row, "slot")?;
    let uses: Option<i64> = column(row, "uses")?;
    let game: Option<String> = column(row, "game")?;
    Ok(EmbedRow {
        id: parsed(row, "id")?,
        owner: read_owner(row)?,
        target: match game {
            Some(slug) => EmbedTarget::Game(slug),
            None => EmbedTarget::Session(parsed(row, "session_id")?),
        },
        role: named(row, "role")?,
        slot: slot.map(|_| unsigned(row, "slot")).transpose()?,
        origins: json(column(row, "origins")?, "origins")?,
        uses: uses.map(|_| unsigned(row, "uses")).transpose()?,
        used: unsigned(row, "used")?,
        created_at: column(row, "created_at")?,
        expires_at: column(row, "expires_at")?,
        revoked_at: column(row, "revoked_at")?,
    })
}
