//! Rows of nodes and reservations.
//!
//! Must hold: a node's sums are those of its reservations, for every change of the one is made in the transaction of the
//! other; and a reservation only comes about by one conditional update of its node's row.

use super::convert::{column, json, name_of, named, parsed, signed, to_json, unsigned};
use super::{Millis, Result, database};
use crate::model::ids::SessionId;
use crate::model::nodes::{Admission, Announcement, MachineLoad, NodeRow, ReservationRow, Resources};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};
use std::collections::BTreeSet;

pub(super) async fn put(pool: &SqlitePool, said: &Announcement, now: Millis) -> Result<()> {
    sqlx::query(
        "INSERT INTO nodes (name, location, region, labels, capacity, total_milli_cpus, total_memory_bytes,
             total_gpus, seen_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET location = excluded.location, region = excluded.region,
             labels = excluded.labels, capacity = excluded.capacity, total_milli_cpus = excluded.total_milli_cpus,
             total_memory_bytes = excluded.total_memory_bytes, total_gpus = excluded.total_gpus,
             seen_at = excluded.seen_at",
    )
    .bind(&said.name)
    .bind(&said.location)
    .bind(&said.region)
    .bind(to_json(&said.labels)?)
    .bind(i64::from(said.capacity))
    .bind(signed(said.total.milli_cpus))
    .bind(signed(said.total.memory_bytes))
    .bind(i64::from(said.total.gpus))
    .bind(now)
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(())
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<NodeRow>> {
    let rows = sqlx::query("SELECT * FROM nodes ORDER BY name").fetch_all(pool).await.map_err(database)?;
    rows.iter().map(read).collect()
}

pub(super) async fn set_health(pool: &SqlitePool, name: &str, healthy: bool, now: Millis) -> Result<bool> {
    let result = sqlx::query("UPDATE nodes SET healthy = ?, seen_at = ? WHERE name = ?")
        .bind(healthy)
        .bind(now)
        .bind(name)
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn set_admission(pool: &SqlitePool, name: &str, admission: Admission) -> Result<bool> {
    let result = sqlx::query("UPDATE nodes SET admission = ? WHERE name = ?")
        .bind(name_of(&admission)?)
        .bind(name)
        .execute(pool)
        .await
        .map_err(database)?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn note_load(
    pool: &SqlitePool,
    name: &str,
    load: MachineLoad,
    cached: &BTreeSet<String>,
    now: Millis,
) -> Result<bool> {
    let result = sqlx::query(
        "UPDATE nodes SET cpu_percent = ?, memory_percent = ?, cached = ?, seen_at = ? WHERE name = ?",
    )
    .bind(load.cpu_percent)
    .bind(load.memory_percent)
    .bind(to_json(cached)?)
    .bind(now)
    .bind(name)
    .execute(pool)
    .await
    .map_err(database)?;
    Ok(result.rows_affected() > 0)
}

/// The check is the update: it changes the row only while everything fits, and the database makes one writer wait for
/// the other, whichever process they are in. Written as differences, for a sum could be too large for a number.
pub(super) async fn reserve(
    mut transaction: Transaction<'static, Sqlite>,
    session: SessionId,
    node: &str,
    needs: Resources,
    now: Millis,
) -> Result<bool> {
    let (milli_cpus, memory_bytes, gpus) =
        (signed(needs.milli_cpus), signed(needs.memory_bytes), i64::from(needs.gpus));
    let taken = sqlx::query(
        "UPDATE nodes SET sessions = sessions + 1, reserved_milli_cpus = reserved_milli_cpus + ?1,
             reserved_memory_bytes = reserved_memory_bytes + ?2, reserved_gpus = reserved_gpus + ?3
         WHERE name = ?4 AND healthy AND admission = 'open' AND sessions < capacity
             AND ?1 <= total_milli_cpus - reserved_milli_cpus
             AND ?2 <= total_memory_bytes - reserved_memory_bytes
             AND ?3 <= total_gpus - reserved_gpus",
    )
    .bind(milli_cpus)
    .bind(memory_bytes)
    .bind(gpus)
    .bind(node)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    if taken.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO reservations (session_id, node, milli_cpus, memory_bytes, gpus, reserved_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(session.to_string())
    .bind(node)
    .bind(milli_cpus)
    .bind(memory_bytes)
    .bind(gpus)
    .bind(now)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    transaction.commit().await.map_err(database)?;
    Ok(true)
}

/// Gives back what the session holds, if anything, as a part of a greater transaction.
pub(super) async fn release(connection: &mut SqliteConnection, session: SessionId) -> Result<bool> {
    let held = sqlx::query(
        "DELETE FROM reservations WHERE session_id = ? RETURNING node, milli_cpus, memory_bytes, gpus",
    )
    .bind(session.to_string())
    .fetch_optional(&mut *connection)
    .await
    .map_err(database)?;
    let Some(held) = held else { return Ok(false) };
    sqlx::query(
        "UPDATE nodes SET sessions = sessions - 1, reserved_milli_cpus = reserved_milli_cpus - ?,
             reserved_memory_bytes = reserved_memory_bytes - ?, reserved_gpus = reserved_gpus - ?
         WHERE name = ?",
    )
    .bind(column::<i64>(&held, "milli_cpus")?)
    .bind(column::<i64>(&held, "memory_bytes")?)
    .bind(column::<i64>(&held, "gpus")?)
    .bind(column::<&str>(&held, "node")?)
    .execute(connection)
    .await
    .map_err(database)?;
    Ok(true)
}

pub(super) async fn reconcile(mut transaction: Transaction<'static, Sqlite>, node: &str) -> Result<u64> {
    let given_back = sqlx::query(
        "DELETE FROM reservations WHERE node = ? AND session_id NOT IN
             (SELECT id FROM sessions WHERE status IN ('starting', 'running', 'stopping'))",
    )
    .bind(node)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    sqlx::query(
        "UPDATE nodes SET (sessions, reserved_milli_cpus, reserved_memory_bytes, reserved_gpus) =
             (SELECT count(*), coalesce(sum(milli_cpus), 0), coalesce(sum(memory_bytes), 0), coalesce(sum(gpus), 0)
              FROM reservations WHERE node = ?1)
         WHERE name = ?1",
    )
    .bind(node)
    .execute(&mut *transaction)
    .await
    .map_err(database)?;
    transaction.commit().await.map_err(database)?;
    Ok(given_back.rows_affected())
}

pub(super) async fn reservations(pool: &SqlitePool) -> Result<Vec<ReservationRow>> {
    let rows = sqlx::query("SELECT * FROM reservations ORDER BY node, reserved_at, session_id")
        .fetch_all(pool)
        .await
        .map_err(database)?;
    rows.iter()
        .map(|row| {
            Ok(ReservationRow {
                session: parsed(row, "session_id")?,
                node: column(row, "node")?,
                needs: Resources {
                    milli_cpus: unsigned(row, "milli_cpus")?,
                    memory_bytes: unsigned(row, "memory_bytes")?,
                    gpus: unsigned(row, "gpus")?,
                },
                reserved_at: column(row, "reserved_at")?,
            })
        })
        .collect()
}

fn read(row: &SqliteRow) -> Result<NodeRow> {
    Ok(NodeRow {
        said: Announcement {
            name: column(row, "name")?,
            location: column(row, "location")?,
            region: column(row, "region")?,
            labels: json(column(row, "labels")?, "labels")?,
            capacity: unsigned(row, "capacity")?,
            total: Resources {
                milli_cpus: unsigned(row, "total_milli_cpus")?,
                memory_bytes: unsigned(row, "total_memory_bytes")?,
                gpus: unsigned(row, "total_gpus")?,
            },
        },
        admission: named(row, "admission")?,
        healthy: row.try_get("healthy").map_err(database)?,
        cached: json(column(row, "cached")?, "cached")?,
        load: MachineLoad {
            cpu_percent: column(row, "cpu_percent")?,
            memory_percent: column(row, "memory_percent")?,
        },
        sessions: unsigned(row, "sessions")?,
        reserved: Resources {
            milli_cpus: unsigned(row, "reserved_milli_cpus")?,
            memory_bytes: unsigned(row, "reserved_memory_bytes")?,
            gpus: unsigned(row, "reserved_gpus")?,
        },
        seen_at: column(row, "seen_at")?,
    })
}
