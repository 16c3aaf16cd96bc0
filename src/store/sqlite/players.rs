//! Rows of players who joined hosted sessions.
//!
//! Each change is one statement, however many players it names: the database has a single writer, and everybody else's
//! writes wait for it.

use super::convert::{parsed, to_json, unsigned};
use super::{Millis, Result, database};
use crate::model::ids::{Owner, SessionId};
use crate::model::rows::Joined;
use sqlx::sqlite::{SqliteExecutor, SqlitePool};
use sqlx::{Sqlite, Transaction};
use std::collections::HashMap;

/// Adds the players, unless the session would have more than `most`: then nothing changes.
pub(super) async fn join(
    mut transaction: Transaction<'static, Sqlite>,
    readers: &SqlitePool,
    session: SessionId,
    players: &[String],
    most: u64,
    now: Millis,
) -> Result<Joined> {
    let added = sqlx::query(
        "INSERT INTO joined_players (session_id, player, joined_at)
         SELECT ?1, value, ?2 FROM json_each(?3) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(session.to_string())
    .bind(now)
    .bind(to_json(&players)?)
    .execute(&mut *transaction)
    .await
    .map_err(database)?
    .rows_affected();
    if added > 0 && count(&mut transaction, session).await? > most {
        transaction.rollback().await.map_err(database)?;
        return Ok(Joined::Full);
    }
    transaction.commit().await.map_err(database)?;
    // Read beside the writer: a large roster takes a while.
    Ok(Joined::Roster(roster(readers, session).await?))
}

/// Gives how many are left.
pub(super) async fn leave(
    mut transaction: Transaction<'static, Sqlite>,
    session: SessionId,
    players: &[String],
) -> Result<u64> {
    sqlx::query(
        "DELETE FROM joined_players WHERE session_id = ? AND player IN (SELECT value FROM json_each(?))",
    )
    .bind(session.to_string())
    .bind(to_json(&players)?)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    let left = count(&mut transaction, session).await?;
    transaction.commit().await.map_err(database)?;
    Ok(left)
}

async fn count(transaction: &mut Transaction<'static, Sqlite>, session: SessionId) -> Result<u64> {
    let row = sqlx::query("SELECT count(*) AS players FROM joined_players WHERE session_id = ?")
        .bind(session.to_string())
        .fetch_one(&mut **transaction)
        .await
        .map_err(database)?;
    unsigned(&row, "players")
}

pub(super) async fn of(pool: &SqlitePool, session: SessionId) -> Result<Vec<String>> {
    roster(pool, session).await
}

async fn roster(from: impl SqliteExecutor<'_>, session: SessionId) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT player FROM joined_players WHERE session_id = ? ORDER BY joined_at, player")
        .bind(session.to_string())
        .fetch_all(from)
        .await
        .map_err(database)
}

/// Sessions without players are not in it.
pub(super) async fn counts(pool: &SqlitePool, organisation: &str) -> Result<HashMap<SessionId, u64>> {
    let rows = sqlx::query(
        "SELECT session_id, count(*) AS players FROM joined_players JOIN sessions ON sessions.id = session_id
         WHERE owner_kind = 'org' AND owner_name = ? AND removed_at IS NULL GROUP BY session_id",
    )
    .bind(organisation)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(|row| Ok((parsed(row, "session_id")?, unsigned(row, "players")?))).collect()
}

/// The active sessions of an owner that all of the players have joined; two are enough to know that it is not one.
pub(super) async fn held_by(pool: &SqlitePool, owner: &Owner, players: &[String]) -> Result<Vec<SessionId>> {
    let (kind, name) = super::sessions::owner_columns(owner);
    let rows = sqlx::query(
        "SELECT session_id FROM joined_players JOIN sessions ON sessions.id = session_id
         WHERE owner_kind = ?1 AND owner_name = ?2 AND status IN ('starting', 'running', 'stopping')
             AND player IN (SELECT value FROM json_each(?3))
         GROUP BY session_id HAVING count(*) = (SELECT count(DISTINCT value) FROM json_each(?3)) LIMIT 2",
    )
    .bind(kind)
    .bind(name)
    .bind(to_json(&players)?)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(|row| parsed(row, "session_id")).collect()
}
