//! The gateway dies and the games do not.

use super::stand::{EMBER, counter, counts_on, joined, play_until_saved, save_version};
use crate::GARDEN;
use crate::support::engine::{Engine, built_in_game, games};
use crate::support::wait::{PATIENT, eventually};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptions;
use std::collections::HashMap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_games_go_on_when_the_gateway_is_killed_and_comes_back() {
    let engine = Engine::connect().await;
    let mut gateway = engine.gateway(&built_in_game("box", EMBER, "container.cpus = 0.5")).await;
    let (one, two) = tokio::join!(gateway.guest(), gateway.guest());
    let (first, second) = tokio::join!(one.launch_running("box"), two.launch_running("box"));
    let (first_view, second_view) = tokio::join!(joined(&one, &first), joined(&two, &second));
    let started = counter(&first_view).await;
    // Further than a game that begins anew gets while this test looks.
    let before = [counts_on(&first_view, started + 300).await, counter(&second_view).await];
    let containers = [engine.container(&first).await, engine.container(&second).await];
    let pids = [engine.pid(&containers[0]).await, engine.pid(&containers[1]).await];
    gateway.kill().await;
    gateway.restart().await;
    for (client, session) in [(&one, &first), (&two, &second)] {
        let status = client.until_status(session, "running").await;
        assert_eq!(client.sessions().await, std::slice::from_ref(session), "{status:#}");
    }
    let (first_view, second_view) = tokio::join!(joined(&one, &first), joined(&two, &second));
    let after = [counter(&first_view).await, counter(&second_view).await];
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} then {after:?}: not the same games");
    counts_on(&first_view, after[0]).await;
    counts_on(&second_view, after[1]).await;
    assert_eq!(containers, [engine.container(&first).await, engine.container(&second).await]);
    assert_eq!(pids, [engine.pid(&containers[0]).await, engine.pid(&containers[1]).await]);
    let stopped = one.stop(&first).await;
    assert!(stopped["cpuSeconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{stopped}");
    two.stop(&second).await;
    engine.until_no_container(&first).await;
    engine.until_no_container(&second).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_that_ended_meanwhile_is_closed_with_its_save_and_figures() {
    let engine = Engine::connect().await;
    let mut gateway = engine.gateway(&built_in_game("story", GARDEN, "")).await;
    let player = gateway.guest().await;
    let session = player.launch_running("story").await;
    play_until_saved(&player, &session).await;
    let container = engine.container(&session).await;
    gateway.kill().await;
    engine.kill(&container).await;
    gateway.restart().await;
    let status = player.until_status(&session, "stopped").await;
    assert!(matches!(status["endReason"].as_str(), Some("game_crashed" | "node_lost")), "{status:#}");
    assert!(save_version(&player, "story").await.is_some(), "its last good save is kept");
    let told = player.stop(&session).await;
    assert!(told["cpuSeconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told}");
    engine.until_no_container(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_of_no_session_is_removed_and_another_nodes_is_not() {
    let engine = Engine::connect().await;
    let mut gateway = engine.gateway(&built_in_game("box", EMBER, "")).await;
    gateway.terminate().await;
    let stray = create(&engine, &engine.node).await;
    let neighbour = create(&engine, &format!("{}-neighbour", engine.node)).await;
    gateway.restart().await;
    eventually("the stray is gone", PATIENT, async || {
        if is_there(&engine, &stray).await { Err("it is still there".to_owned()) } else { Ok(()) }
    })
    .await;
    let left_alone = is_there(&engine, &neighbour).await;
    let force = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    engine.docker.remove_container(&neighbour, Some(force)).await.unwrap();
    assert!(left_alone, "another node's container was removed");
    gateway.finish().await;
}

/// A container as the driver labels them, of a session that nobody knows.
async fn create(engine: &Engine, node: &str) -> String {
    let labels = [
        ("playgate.node", node),
        ("playgate.session", "00000000-0000-4000-8000-000000000000"),
        ("playgate.generation", "1"),
        ("playgate.profile", "game"),
    ];
    let body = ContainerCreateBody {
        image: Some(games().probe),
        labels: Some(
            labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<HashMap<_, _>>(),
        ),
        ..ContainerCreateBody::default()
    };
    engine.docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id
}

async fn is_there(engine: &Engine, container: &str) -> bool {
    let options = None::<bollard::query_parameters::InspectContainerOptions>;
    engine.docker.inspect_container(container, options).await.is_ok()
}
