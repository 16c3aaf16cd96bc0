//! A gateway that was killed, and the next one on its data.

use crate::fake_driver::OnStart;
use crate::world::{World, config, copy_dir, until, user_of};
use playgate::config::SessionsConfig;
use playgate::driver::Usage;
use playgate::model::ids::ViewerId;
use playgate::model::session::{EndReason, Status};
use playgate::store::Store;
use std::time::Duration;

#[tokio::test]
async fn a_killed_gateways_sessions_are_closed_and_their_saves_kept() {
    let dir = tempfile::tempdir().unwrap();
    let killed = World::new(dir.path()).await;
    let playing = killed.play("ada").await;
    killed.game_saves(playing, "as far as it came").await;
    let starting = killed.launch("bob").await.unwrap();
    killed.started(starting).await;
    crate::world::until(async || killed.store.session(starting).await.unwrap().unwrap().instance.map(|_| ()))
        .await;
    // The second gateway gets what lies on the disk at this moment.
    let after = dir.path().join("after");
    copy_dir(killed.data.root(), &after.join("data"));
    std::fs::create_dir_all(after.join("data/sessions/stray")).unwrap();

    let world = World::new(&after).await;
    let view = world.sessions.status(&user_of("ada"), playing).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::NodeLost)));
    let view = world.sessions.status(&user_of("bob"), starting).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Error, Some(EndReason::NodeLost)));
    assert_eq!(world.driver.orphans().len(), 2);
    assert_eq!(world.saved(playing).await.as_deref(), Some("as far as it came"));
    assert_eq!(std::fs::read_dir(world.data.sessions()).unwrap().count(), 0);
    assert_eq!(world.store.active_sessions().await.unwrap(), []);
    // The old one would be fenced.
    assert_eq!(world.store.session(playing).await.unwrap().unwrap().generation.0, 2);

    let next = world.play("ada").await;
    let restored = world.started(next).await.spec.save_dir.join("save.bin");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "as far as it came");
}

#[tokio::test]
async fn what_a_killed_gateways_session_used_is_known_up_to_the_last_note() {
    let dir = tempfile::tempdir().unwrap();
    let killed = World::new(dir.path()).await;
    let playing = killed.play("ada").await;
    killed.driver.set_usage(Usage {
        cpu_seconds: 12.5,
        peak_memory_bytes: 64 * 1024 * 1024,
        ..Usage::default()
    });
    killed.clock.advance(Duration::from_secs(31));
    until(async || killed.store.session(playing).await.unwrap().unwrap().figures).await;
    let after = dir.path().join("after");
    copy_dir(killed.data.root(), &after.join("data"));

    let world = World::new(&after).await;
    let report = world.sessions.stop(&user_of("ada"), playing).await.unwrap();
    assert!((report.cpu_seconds - 12.5).abs() < 1e-9, "{report:?}");
    assert_eq!(report.peak_memory_mb, 64);
}

#[tokio::test]
async fn a_session_whose_task_fails_in_the_middle_ends_with_its_save_and_frees_its_user() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
    let id = world.play("ada").await;
    world.game_saves(id, "as far as it came").await;
    let viewer = ViewerId::new();
    world.sessions.admit(&user_of("ada"), id, viewer, None).await.unwrap();
    world.planes.panic_when_a_viewer_leaves();
    world.sessions.leave(id, viewer).await;

    let view = world.reaches("ada", id, Status::Stopped).await;
    assert_eq!(view.end_reason, Some(EndReason::NodeLost));
    assert_eq!(view.end_detail.as_deref(), Some("An error of the game server ended this session."));
    assert_eq!(world.saved(id).await.as_deref(), Some("as far as it came"));
    assert!(world.journal.entries().contains(&"media close".to_owned()));
    until(async || (world.sessions.running() == 0).then_some(())).await;
    world.play("ada").await;
}

#[tokio::test]
async fn a_launch_that_fails_by_a_mistake_of_ours_is_an_error_and_frees_its_user() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
    world.driver.on_start(OnStart::Panic);
    let id = world.launch("ada").await.unwrap();
    let view = world.reaches("ada", id, Status::Error).await;
    assert_eq!(view.end_reason, Some(EndReason::NodeLost));
    until(async || (world.sessions.running() == 0).then_some(())).await;
    world.driver.on_start(OnStart::Succeed);
    world.play("ada").await;
}
