//! What goes wrong below a session: its end says so, and the last good save is kept.

use super::private_engine::PrivateEngine;
use super::stand::{play_until_saved, save_version, until_status};
use crate::GARDEN;
use crate::support::engine::{Engine, built_in_game, games, image_game};
use crate::support::namespace;
use crate::support::wait::{PATIENT, eventually};
use std::path::{Path, PathBuf};
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_container_ends_as_crashed_and_keeps_the_save() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&built_in_game("story", GARDEN, "")).await;
    let player = gateway.guest().await;
    let session = player.launch_running("story").await;
    play_until_saved(&player, &session).await;
    engine.kill(&engine.container(&session).await).await;
    let status = player.until_status(&session, "stopped").await;
    assert_eq!(status["endReason"], "game_crashed", "{status:#}");
    assert!(save_version(&player, "story").await.is_some(), "the last good save is kept");
    engine.until_no_container(&session).await;
    let next = player.launch_running("story").await;
    player.stop(&next).await;
    gateway.finish().await;
}

/// Plays until somebody says otherwise, then eats memory.
const GLUTTON: &str = "freedoom & until [ -e /tmp/eat ]; do sleep 0.1; done; kill $!; exec tail /dev/zero";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_out_of_memory_ends_as_that() {
    let engine = Engine::connect().await;
    let more = format!(
        "width = 640\nheight = 480\ncontainer.command = [\"bash\", \"-c\", {GLUTTON:?}]\ncontainer.memory_mb = 384"
    );
    let gateway = engine.gateway(&image_game("glutton", &games().freedoom, &more)).await;
    let player = gateway.guest().await;
    let session = player.launch("glutton").await;
    until_status(&player, &session, "running").await;
    let pid = engine.pid(&engine.container(&session).await).await;
    std::fs::write(format!("/proc/{pid}/root/tmp/eat"), "").unwrap();
    let status = until_status(&player, &session, "stopped").await;
    assert_eq!(status["endReason"], "out_of_memory", "{status:#}");
    engine.until_no_container(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_engine_ends_its_games_and_the_next_launch_works() {
    if !namespace::entered("docker::faults::a_restarted_engine_ends_its_games_and_the_next_launch_works") {
        return;
    }
    let mut private = PrivateEngine::start().await;
    let image = games().built_in;
    private.bring(&image).await;
    let engine = Engine::at(Some(private.host())).await;
    let gateway = engine.gateway(&built_in_game("story", GARDEN, "")).await;
    let player = gateway.guest().await;
    let session = player.launch("story").await;
    until_status(&player, &session, "running").await;
    play_until_saved(&player, &session).await;
    private.restart().await;
    let status = until_status(&player, &session, "stopped").await;
    let reason = status["endReason"].as_str().unwrap_or_default();
    assert!(matches!(reason, "node_lost" | "game_crashed" | "game_exited"), "{status:#}");
    assert!(save_version(&player, "story").await.is_some(), "the last good save is kept");
    let next = eventually("the engine's games can be launched again", PATIENT, async || {
        let launched = player.post("/api/game/launch", serde_json::json!({ "gameSlug": "story" })).await;
        match launched.body["sessionId"].as_str() {
            Some(session) => Ok(session.to_owned()),
            None => Err(launched.body.to_string()),
        }
    })
    .await;
    until_status(&player, &next, "running").await;
    player.stop(&next).await;
    // That the engine went away is an error for whoever runs the gateway.
    gateway.finish_despite("engine").await;
    drop(engine);
    private.stop().await;
}

/// A small file system over a directory, until dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(dir: &Path) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir).status();
        assert!(mounted.unwrap().success(), "root can mount a tmpfs");
        Self(dir.to_owned())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Until nothing more goes in.
    fn fill(&self) {
        let error =
            std::io::copy(&mut std::io::repeat(1), &mut std::fs::File::create(self.filler()).unwrap());
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_at_save_time_keeps_the_version_before() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&built_in_game("story", GARDEN, "")).await;
    let disk = SmallDisk::over(&gateway.data_dir().join("saves"));
    let player = gateway.guest().await;
    let session = player.launch_running("story").await;
    play_until_saved(&player, &session).await;
    player.stop(&session).await;
    let good = save_version(&player, "story").await.expect("a save is stored");

    let session = player.launch_running("story").await;
    play_until_saved(&player, &session).await;
    disk.fill();
    let _ = player.post("/api/game/stop", serde_json::json!({ "sessionId": session })).await;
    let status = eventually("the session has ended", PATIENT, async || {
        let status = player.status(&session).await;
        let ended = matches!(status["status"].as_str(), Some("stopped" | "error"));
        if ended { Ok(status) } else { Err(status.to_string()) }
    })
    .await;
    assert!(status["endReason"].is_string(), "{status:#}");
    assert_eq!(save_version(&player, "story").await.as_ref(), Some(&good), "{status:#}");

    // The container waits with the save until there is room for it; then the player has it back.
    std::fs::remove_file(disk.filler()).unwrap();
    engine.until_no_container(&session).await;
    let late = save_version(&player, "story").await.expect("a save is stored");
    assert_ne!(late, good, "the save that waited is stored");
    let next = player.launch_running("story").await;
    play_until_saved(&player, &next).await;
    player.stop(&next).await;
    assert_ne!(save_version(&player, "story").await, Some(late), "with room again, saves are stored again");
    drop(disk);
    // Whoever runs the gateway has to hear of it.
    gateway.finish_despite("save").await;
}
