//! The gateway dies, and its hosted sessions do not.

use super::stand::Stand;
use crate::support::wait::{PATIENT, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// The shortest time to live there is, and the start of a gateway.
const TTL_WITHIN: Duration = Duration::from_secs(120);

/// The session's server answers.
async fn serves(stand: &Stand, port: u64, why: &str) {
    eventually(why, PATIENT, async || {
        let page = stand.api.http().get(format!("http://127.0.0.1:{port}/")).send().await;
        page.map(|page| assert_eq!(page.status(), 200)).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_sigkill_sessions_are_found_described_as_before_and_their_ttl_still_ends_them() {
    let mut stand = Stand::new("").await;
    let mut mortal = Stand::request("mortal");
    mortal["ttl"] = json!("1m");
    let mut other = Stand::request("other");
    other["labels"] = json!({ "mode": "ranked" });
    other["restart"] = json!(true);
    stand.start(mortal).await;
    let started = stand.start(other).await;
    let joined = json!({ "session": "other", "players": ["ann", "bob"] });
    let put = stand.api.http().put(format!("{}/session/player/join", stand.api.base));
    assert_eq!(put.bearer_auth(stand.api.token()).json(&joined).send().await.unwrap().status(), 200);
    let before = [stand.describe("mortal").await.expect(200), stand.describe("other").await.expect(200)];
    stand.gateway.kill().await;
    let port = started["ports"][0]["host"].as_u64().unwrap();
    serves(&stand, port, "it serves on without a gateway").await;
    stand.gateway.restart().await;
    let after = [stand.describe("mortal").await.expect(200), stand.describe("other").await.expect(200)];
    assert_eq!(before, after);
    let list = stand.api.get("/session?filter%5Bmode%5D=ranked&playerCount%5Bgt%5D=1").await.expect(200);
    assert_eq!(list["sessions"][0]["id"], "other", "{list:#}");
    // New ones get other ports.
    let third = stand.start(Stand::request("third")).await;
    let ports: Vec<&Value> = before.iter().map(|body| &body["port"]["80/tcp"]).collect();
    assert!(!ports.contains(&&third["ports"][0]["host"]));
    eventually("its time is over", TTL_WITHIN, async || {
        let body = stand.describe("mortal").await.body;
        if body["status"] == "exited" { Ok(()) } else { Err(format!("{:#}", body["status"])) }
    })
    .await;
    assert_eq!(stand.describe("other").await.expect(200)["status"], "running");
    stand.gateway.terminate().await;
    serves(&stand, port, "an orderly end of the gateway is none of its hosted sessions").await;
    stand.gateway.restart().await;
    for id in ["other", "third"] {
        assert_eq!(stand.api.delete(&format!("/session/{id}")).await.status, 204);
        tokio::time::timeout(PATIENT, stand.becomes(id, "exited")).await.unwrap();
    }
    stand.finish().await;
}
