//! What the Sessions API refuses (contract 1.3, 1.4).

use crate::GARDEN;
use crate::support::gateway::Gateway;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_launch_is_refused_while_one_session_is_active() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch(GARDEN).await;
    let second = player.post("/api/game/launch", json!({ "gameSlug": GARDEN })).await;
    assert_eq!((second.status.as_u16(), second.error()), (409, "session_active"));
    player.until_status(&session, "running").await;
    let third = player.post("/api/game/launch", json!({ "gameSlug": GARDEN })).await;
    assert_eq!((third.status.as_u16(), third.error()), (409, "session_active"));
    assert_eq!(player.sessions().await, std::slice::from_ref(&session));
    let stopped = player.stop(&session).await;
    assert_eq!(stopped["status"], "stopped");
    assert!(
        stopped["duration"].is_u64() && stopped["cpuSeconds"].is_number() && stopped["peakMemoryMb"].is_u64(),
        "{stopped}"
    );
    assert_eq!(player.stop(&session).await, stopped, "a second stop gives the same figures");
    assert!(player.sessions().await.is_empty());
    let again = player.launch_running(GARDEN).await;
    player.stop(&again).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_every_endpoint_answers_401() {
    let gateway = Gateway::start().await;
    let nobody = gateway.client();
    let liar = nobody.with_token("not.a.token");
    for client in [&nobody, &liar] {
        let answers = [
            client.post("/api/game/launch", json!({ "gameSlug": GARDEN })).await,
            client.get("/api/game/session-status?sessionId=x").await,
            client.post("/api/game/keepalive", json!({ "sessionId": "x" })).await,
            client.post("/api/game/stop", json!({ "sessionId": "x" })).await,
            client.get("/api/game/sessions").await,
        ];
        for answer in answers {
            assert_eq!((answer.status.as_u16(), answer.error()), (401, "unauthorized"), "{}", answer.body);
        }
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_or_somebody_elses_answers_404() {
    let gateway = Gateway::start().await;
    let (owner, other) = tokio::join!(gateway.guest(), gateway.guest());
    let session = owner.launch_running(GARDEN).await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    for id in [session.as_str(), unknown] {
        let answers = [
            other.get(&format!("/api/game/session-status?sessionId={id}")).await,
            other.post("/api/game/keepalive", json!({ "sessionId": id })).await,
            other.post("/api/game/stop", json!({ "sessionId": id })).await,
        ];
        for answer in answers {
            assert_eq!((answer.status.as_u16(), answer.error()), (404, "not_found"), "{}", answer.body);
        }
    }
    let game = other.post("/api/game/launch", json!({ "gameSlug": "no-such-game" })).await;
    assert_eq!((game.status.as_u16(), game.error()), (404, "not_found"));
    assert_eq!(owner.status(&session).await["status"], "running", "nothing of this touched the session");
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_without_keepalives_is_reclaimed_and_with_them_is_not() {
    let gateway = Gateway::with_toml("sessions.idle_timeout_s = 6").await;
    let (idle, alive) = tokio::join!(gateway.guest(), gateway.guest());
    let (left, kept) = tokio::join!(idle.launch_running(GARDEN), alive.launch_running(GARDEN));
    // One keeps itself alive until the other is gone.
    let status = crate::support::wait::eventually(
        "the idle session is reclaimed",
        crate::support::wait::PATIENT,
        async || {
            alive.post("/api/game/keepalive", json!({ "sessionId": kept })).await.expect(200);
            let status = idle.status(&left).await;
            if status["status"] == "stopped" { Ok(status) } else { Err(status.to_string()) }
        },
    )
    .await;
    assert_eq!(status["endReason"], "idle");
    assert_eq!(alive.status(&kept).await["status"], "running");
    alive.stop(&kept).await;
    gateway.finish().await;
}
