//! Rows of users, grants and tokens.

use super::convert::{column, json, name_of, named, parsed, sha256, to_json, unsigned};
use super::{GrantRow, Millis, Result, TokenRow, UserRow, database};
use crate::model::ids::{GrantId, SessionId, UserId};
use sqlx::SqliteExecutor;
use sqlx::sqlite::{SqlitePool, SqliteRow};

pub(super) async fn touch_user(
    pool: &SqlitePool,
    user: &UserId,
    name: Option<&str>,
    now: Millis,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (id, name, created_at, seen_at) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (id) DO UPDATE SET name = coalesce(excluded.name, name), seen_at = excluded.seen_at",
    )
    .bind(&user.0)
    .bind(name)
    .bind(now)
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn user(pool: &SqlitePool, user: &UserId) -> Result<Option<UserRow>> {
    let row = sqlx::query("SELECT * FROM users WHERE id = ?")
        .bind(&user.0)
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref()
        .map(|row| {
            Ok(UserRow {
                id: UserId(column(row, "id")?),
                name: column(row, "name")?,
                created_at: column(row, "created_at")?,
                seen_at: column(row, "seen_at")?,
            })
        })
        .transpose()
}

pub(super) async fn insert_grant(executor: impl SqliteExecutor<'_>, row: &GrantRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO grants (id, session_id, role, slot, origins, created_at, expires_at, revoked_at, embed_id, host)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.id.to_string())
    .bind(row.session.to_string())
    .bind(name_of(&row.role)?)
    .bind(row.slot.map(i64::from))
    .bind(to_json(&row.origins)?)
    .bind(row.created_at)
    .bind(row.expires_at)
    .bind(row.revoked_at)
    .bind(row.embed.map(|embed| embed.to_string()))
    .bind(row.host)
    .execute(executor)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn grant(pool: &SqlitePool, id: GrantId) -> Result<Option<GrantRow>> {
    let row = sqlx::query("SELECT * FROM grants WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read_grant).transpose()
}

pub(super) async fn grants_of(pool: &SqlitePool, session: SessionId) -> Result<Vec<GrantRow>> {
    let rows =
        sqlx::query("SELECT * FROM grants WHERE session_id = ? AND embed_id IS NULL ORDER BY created_at, id")
            .bind(session.to_string())
            .fetch_all(pool)
            .await
            .map_err(database)?;
    rows.iter().map(read_grant).collect()
}

pub(super) async fn revoke_grant(pool: &SqlitePool, id: GrantId, now: Millis) -> Result<bool> {
    let result = sqlx::query("UPDATE grants SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?")
        .bind(now)
        .bind(id.to_string())
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn insert_token(pool: &SqlitePool, row: &TokenRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO tokens (id, scope, subject, sha256, label, created_at, expires_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&row.id)
    .bind(name_of(&row.scope)?)
    .bind(&row.subject)
    .bind(row.sha256.map(|hash| hash.to_vec()))
    .bind(&row.label)
    .bind(row.created_at)
    .bind(row.expires_at)
    .bind(row.revoked_at)
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn token(pool: &SqlitePool, id: &str) -> Result<Option<TokenRow>> {
    let row = sqlx::query("SELECT * FROM tokens WHERE id = ?")
        .bind(id)
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read_token).transpose()
}

pub(super) async fn token_by_sha256(pool: &SqlitePool, hash: &[u8; 32]) -> Result<Option<TokenRow>> {
    let row = sqlx::query("SELECT * FROM tokens WHERE sha256 = ?")
        .bind(hash.as_slice())
        .fetch_optional(pool)
        .await
        .map_err(database)?;
    row.as_ref().map(read_token).transpose()
}

pub(super) async fn tokens(pool: &SqlitePool) -> Result<Vec<TokenRow>> {
    let rows = sqlx::query("SELECT * FROM tokens ORDER BY created_at DESC, id")
        .fetch_all(pool)
        .await
        .map_err(database)?;
    rows.iter().map(read_token).collect()
}

pub(super) async fn revoke_token(pool: &SqlitePool, id: &str, now: Millis) -> Result<bool> {
    let result = sqlx::query("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?")
        .bind(now)
        .bind(id)
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn is_token_revoked(pool: &SqlitePool, id: &str) -> Result<bool> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM tokens WHERE id = ? AND revoked_at IS NOT NULL")
            .bind(id)
            .fetch_one(pool)
            .await
            .map_err(database)?;
    Ok(count > 0)
}

pub(super) fn read_grant(row: &SqliteRow) -> Result<GrantRow> {
    let slot: Option<i64> = column(row, "slot")?;
    let embed: Option<&str> = column(row, "embed_id")?;
    Ok(GrantRow {
        id: parsed(row, "id")?,
        session: parsed(row, "session_id")?,
        role: named(row, "role")?,
        slot: slot.map(|_| unsigned(row, "slot")).transpose()?,
        origins: json(column(row, "origins")?, "origins")?,
        created_at: column(row, "created_at")?,
        expires_at: column(row, "expires_at")?,
        revoked_at: column(row, "revoked_at")?,
        embed: embed.map(|_| parsed(row, "embed_id")).transpose()?,
        host: column(row, "host")?,
    })
}

fn read_token(row: &SqliteRow) -> Result<TokenRow> {
    let hash: Option<&[u8]> = column(row, "sha256")?;
    Ok(TokenRow {
        id: column(row, "id")?,
        scope: named(row, "scope")?,
        subject: column(row, "subject")?,
        sha256: hash.map(sha256).transpose()?,
        label: column(row, "label")?,
        created_at: column(row, "created_at")?,
        expires_at: column(row, "expires_at")?,
        revoked_at: column(row, "revoked_at")?,
    })
}
