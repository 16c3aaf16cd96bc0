//! A game in a container from launch to stop, without a browser.

use super::stand::{EMBER, counter, counts_on, joined, play_until_saved, save_version};
use crate::GARDEN;
use crate::support::engine::{Engine, built_in_game};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_containers_game_plays_stops_with_figures_and_leaves_nothing() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&built_in_game("box", EMBER, "")).await;
    let player = gateway.guest().await;
    let session = player.launch_running("box").await;
    let container = engine.container(&session).await;
    let view = joined(&player, &session).await;
    let first = counter(&view).await;
    counts_on(&view, first + 60).await;
    let by_cgroup = engine.cgroup_cpu_seconds(&container).await;
    view.viewer.close().await;
    let stopped = player.stop(&session).await;
    let told = stopped["cpuSeconds"].as_f64().unwrap();
    // It went on playing between the look at its cgroup and its end, so it can only have used more.
    assert!(told >= by_cgroup * 0.95, "{told} s of CPU told, {by_cgroup} s in its cgroup");
    assert!(stopped["peakMemoryMb"].as_u64().is_some_and(|megabytes| megabytes > 0), "{stopped}");
    let status = player.status(&session).await;
    assert_eq!(status["endReason"], "stopped_by_user", "{status:#}");
    for step in ["placed", "image_ready", "container_up", "runner_connected", "first_key_frame", "ended"] {
        assert!(status["timeline"][step].is_string(), "{step} is missing: {status:#}");
    }
    engine.until_no_container(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_goes_out_of_a_container_and_into_the_next() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&built_in_game("story", GARDEN, "")).await;
    let player = gateway.guest().await;
    let session = player.launch_running("story").await;
    play_until_saved(&player, &session).await;
    player.stop(&session).await;
    let first = save_version(&player, "story").await.expect("a save is stored");
    let session = player.launch_running("story").await;
    let status = player.status(&session).await;
    assert!(status["timeline"]["save_restored"].is_string(), "{status:#}");
    play_until_saved(&player, &session).await;
    player.stop(&session).await;
    let second = save_version(&player, "story").await.expect("a save is stored");
    assert_ne!(first, second, "it was played on");
    gateway.finish().await;
}
