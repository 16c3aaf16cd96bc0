//! A runner or a gateway that dies in the middle: end reason, no orphan, the last good save.

use super::joined;
use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::processes;
use crate::support::story::until_saved;
use crate::support::wait::{PATIENT, SOON, eventually};
use playgate_signaling::message::Role;

/// Plays until the game has written a save by itself.
async fn play_until_saved(player: &Client, session: &str) {
    until_saved(&mut joined(player, session, Role::Player).await.unwrap()).await;
}

async fn until_no_process(session: &str) {
    eventually("no process of the session is left", PATIENT, async || match processes::of_session(session) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
}

async fn has_a_save(player: &Client) -> bool {
    player.slots(GARDEN).await.iter().any(|slot| slot["empty"] == false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_runner_ends_the_session_as_crashed_and_keeps_the_save() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch_running(GARDEN).await;
    play_until_saved(&player, &session).await;
    let pids = processes::of_session(&session);
    assert!(!pids.is_empty(), "the runner carries the session's id");
    processes::kill(&pids);
    let status = player.until_status(&session, "stopped").await;
    assert_eq!(status["endReason"], "game_crashed", "{status:#}");
    until_no_process(&session).await;
    assert!(has_a_save(&player).await, "the last good save is kept");
    assert!(player.sessions().await.is_empty());
    let next = player.launch_running(GARDEN).await;
    player.stop(&next).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_leaves_no_runner_and_the_next_one_keeps_the_save() {
    let mut gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch_running(GARDEN).await;
    play_until_saved(&player, &session).await;
    assert!(!processes::of_session(&session).is_empty());
    gateway.kill().await;
    // The runner notices by itself, without any gateway.
    until_no_process(&session).await;
    gateway.restart().await;
    let status = eventually("the session has ended", SOON, async || {
        let status = player.status(&session).await;
        if status["status"] == "stopped" { Ok(status) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(status["endReason"], "node_lost", "{status:#}");
    assert!(has_a_save(&player).await, "the newest complete save is committed");
    let next = player.launch_running(GARDEN).await;
    player.stop(&next).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_shut_down_in_order_stores_the_save_first() {
    let mut gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch_running(GARDEN).await;
    gateway.terminate().await;
    assert!(processes::of_session(&session).is_empty(), "nothing outlives an orderly end");
    gateway.restart().await;
    let status = player.status(&session).await;
    assert_eq!((&status["status"], &status["endReason"]), (&"stopped".into(), &"gateway_shutdown".into()));
    assert!(has_a_save(&player).await);
    gateway.finish().await;
}
