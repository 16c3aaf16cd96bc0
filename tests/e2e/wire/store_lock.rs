//! A database that another process has locked: no player is locked out by it.

use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, eventually};
use playgate::store::database_in;
use serde_json::json;
use sqlx::{Connection, Executor};
use std::time::{Duration, Instant};

/// Stops a game while the database is locked for so long.
async fn locked_for(long: Duration) {
    let gateway = Gateway::start().await;
    let ada = gateway.guest().await;
    let session = ada.launch_running(GARDEN).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database_in(&gateway.data_dir()));
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let began = Instant::now();

    // Honest answers only, until the end is recorded.
    let stop = json!({ "sessionId": session });
    while began.elapsed() < long {
        let stopped = ada.post("/api/game/stop", stop.clone()).await;
        assert_eq!((stopped.status.as_u16(), stopped.error()), (503, "unavailable"), "{:#}", stopped.body);
        let launched = ada.post("/api/game/launch", json!({ "gameSlug": GARDEN })).await;
        assert_eq!((launched.status.as_u16(), launched.error()), (503, "unavailable"), "{:#}", launched.body);
        assert_eq!(ada.status(&session).await["status"], "stopping");
    }
    assert_eq!(ada.get("/api/health").await.expect(200)["degraded"], json!(["store"]));
    other.execute("ROLLBACK").await.unwrap();

    let figures = eventually("the end is recorded", PATIENT, async || {
        let stopped = ada.post("/api/game/stop", stop.clone()).await;
        if stopped.status == 200 { Ok(stopped.body) } else { Err(format!("{:#}", stopped.body)) }
    })
    .await;
    assert_eq!(figures["status"], "stopped");
    assert_eq!(ada.get("/api/health").await.expect(200)["status"], "ok");
    let next = ada.launch_running(GARDEN).await;
    ada.stop(&next).await;
    // Each thing that waits for the database says so.
    gateway.finish_despite("the database failed").await;
}

mod long {
    use super::locked_for;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "long: the database is locked for a minute"]
    async fn a_database_that_is_locked_for_a_minute_locks_no_player_out() {
        locked_for(Duration::from_secs(60)).await;
    }
}
