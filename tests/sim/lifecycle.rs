//! Leases, ends and what is kept of a session.

use crate::world::{World, config, until, user_of};
use playgate::config::SessionsConfig;
use playgate::control::ControlEvent;
use playgate::driver::Usage;
use playgate::model::ids::{SessionId, UserId};
use playgate::model::session::{EndReason, SaveReport, SaveStatus, Status};
use playgate::session::ServiceError;
use playgate::session::view::StopReport;
use playgate::store::Store;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_stop_runs_in_the_contracts_order_and_gives_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.driver.set_usage(Usage { cpu_seconds: 450.25, peak_memory_bytes: 1024 << 20, ..Usage::default() });
    let id = world.play("ada").await;
    world.game_saves(id, "chapter 3").await;
    world.clock.advance(10 * MINUTE);
    let report = world.stop("ada", id).await;
    let expected = StopReport {
        duration: 600,
        cpu_seconds: 450.25,
        peak_memory_mb: 1024,
        save: Some(SaveReport { status: SaveStatus::Stored, reason: None }),
        ..StopReport::default()
    };
    assert_eq!(report, expected);
    let expected = ["media open", "driver start", "flush", "saved", "driver stop", "media close"];
    assert_eq!(world.journal.entries(), expected);
    assert_eq!(world.saved(id).await.as_deref(), Some("chapter 3"));
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!((row.status, row.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
    assert!(!world.data.sessions().join(id.to_string()).exists());
}

#[tokio::test]
async fn stops_at_once_join_and_later_ones_give_the_stored_figures_b8() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.driver.set_usage(Usage { cpu_seconds: 1.5, peak_memory_bytes: 64 << 20, ..Usage::default() });
    let id = world.play("ada").await;
    let (ada, sessions) = (user_of("ada"), world.sessions.clone());
    let another = tokio::spawn(async move { sessions.stop(&ada, id).await });
    let first = world.stop("ada", id).await;
    assert_eq!(another.await.unwrap().unwrap(), first);
    assert_eq!(world.sessions.stop(&user_of("ada"), id).await.unwrap(), first);
    let flushes = world.planes.all_sent(id);
    assert_eq!(flushes.iter().filter(|message| **message == GatewayMessage::FlushSave).count(), 1);
    assert!(matches!(world.sessions.keepalive(&user_of("ada"), id).await, Err(ServiceError::NotFound(_))));
}

#[tokio::test]
async fn b2_a_stop_is_synchronous_and_pollers_see_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let sessions = world.sessions.clone();
    let stopping = tokio::spawn(async move { sessions.stop(&user_of("ada"), id).await });
    world.reaches("ada", id, Status::Stopping).await;
    assert!(matches!(world.launch("ada").await, Err(ServiceError::SessionActive)));
    world.planes.control(id, ControlEvent::Message(RunnerMessage::Saved)).await;
    stopping.await.unwrap().unwrap();
    world.launch("ada").await.unwrap();
}

#[tokio::test]
async fn b7_a_session_of_another_user_is_not_found_in_the_words_for_an_unknown_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let bob = user_of("bob");
    let unknown = SessionId::new();
    let text = |error: ServiceError| {
        let ServiceError::NotFound(text) = error else { panic!("{error}") };
        text
    };
    for target in [id, unknown] {
        let texts = [
            text(world.sessions.status(&bob, target).await.unwrap_err()),
            text(world.sessions.keepalive(&bob, target).await.unwrap_err()),
            text(world.sessions.stop(&bob, target).await.unwrap_err()),
        ];
        assert_eq!(texts, ["Session not found."; 3]);
    }
    assert_eq!(world.sessions.active(&UserId("bob".to_owned())).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_untouched_session_is_reclaimed_like_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let config = SessionsConfig { flush_timeout_ms: 10, ..config() };
    let world = World::with(dir.path(), config).await;
    let id = world.play("ada").await;
    world.game_saves(id, "kept").await;
    world.clock.advance(30 * MINUTE - Duration::from_millis(1));
    assert_eq!(world.sessions.status(&user_of("ada"), id).await.unwrap().status, Status::Running);
    world.clock.advance(Duration::from_millis(2));
    let view = world.reaches("ada", id, Status::Stopped).await;
    assert_eq!(view.end_reason, Some(EndReason::Idle));
    assert_eq!(world.saved(id).await.as_deref(), Some("kept"));
}

#[tokio::test]
async fn b1_a_keepalive_extends_the_lease_from_its_own_time() {
    let dir = tempfile::tempdir().unwrap();
    let config = SessionsConfig { flush_timeout_ms: 10, ..config() };
    let world = World::with(dir.path(), config).await;
    let id = world.play("ada").await;
    world.clock.advance(20 * MINUTE);
    let until = world.sessions.keepalive(&user_of("ada"), id).await.unwrap();
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!(view.expires_at, Some(until));
    assert_eq!(until - view.started_at, time::Duration::minutes(50));
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!(row.lease_until, Some(row.started_at + 50 * 60_000));
    world.clock.advance(29 * MINUTE);
    assert_eq!(world.sessions.status(&user_of("ada"), id).await.unwrap().status, Status::Running);
    world.clock.advance(2 * MINUTE);
    world.reaches("ada", id, Status::Stopped).await;
}

#[tokio::test]
async fn a_save_that_is_not_flushed_in_time_is_kept_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let config = SessionsConfig { flush_timeout_ms: 10, ..config() };
    let world = World::with(dir.path(), config).await;
    let id = world.play("ada").await;
    world.game_saves(id, "by itself").await;
    world.sessions.stop(&user_of("ada"), id).await.unwrap();
    assert_eq!(world.saved(id).await.as_deref(), Some("by itself"));
}

#[tokio::test]
async fn a_game_that_ends_by_itself_is_stopped_with_the_reason_and_its_save() {
    let cases = [
        (Some(0), false, EndReason::GameExited),
        (Some(1), false, EndReason::GameCrashed),
        (None, true, EndReason::OutOfMemory),
    ];
    for (code, out_of_memory, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path()).await;
        let id = world.play("ada").await;
        world.game_saves(id, "last words").await;
        world.exits(id, code, out_of_memory).await;
        let view = world.reaches("ada", id, Status::Stopped).await;
        assert_eq!(view.end_reason, Some(reason));
        assert_eq!(world.saved(id).await.as_deref(), Some("last words"));
        assert!(!world.journal.entries().contains(&"flush".to_owned()), "nobody is left to ask");
    }
}

#[tokio::test]
async fn a_stop_during_the_launch_is_stopped_and_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.launch("ada").await.unwrap();
    world.started(id).await;
    world.planes.control(id, crate::world::connected()).await;
    let sessions = world.sessions.clone();
    let stopping = tokio::spawn(async move { sessions.stop(&user_of("ada"), id).await });
    world.planes.sent(id, &GatewayMessage::FlushSave).await;
    world.planes.control(id, ControlEvent::Disconnected).await;
    stopping.await.unwrap().unwrap();
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
}

#[tokio::test]
async fn the_resource_profile_is_an_average_of_weight_a_fifth() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    for (cpu_seconds, memory) in [(50.0, 1000), (100.0, 2000)] {
        world.driver.set_usage(Usage { cpu_seconds, peak_memory_bytes: memory, ..Usage::default() });
        let id = world.play("ada").await;
        world.clock.advance(Duration::from_secs(100));
        world.stop("ada", id).await;
        until(async || world.store.profile("story").await.unwrap().filter(|profile| profile.cpu > 0.0)).await;
    }
    let both = async || world.store.profile("story").await.unwrap().filter(|profile| profile.samples == 2);
    let profile = until(both).await;
    assert!((profile.cpu - 0.6).abs() < 1e-9, "{profile:?}");
    assert!((profile.peak_memory_bytes - 1200.0).abs() < 1e-6, "{profile:?}");
}

#[tokio::test]
async fn the_next_session_continues_from_the_save() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    world.game_saves(id, "page 12").await;
    world.stop("ada", id).await;
    let next = world.play("ada").await;
    let restored = world.started(next).await.spec.save_dir.join("save.bin");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "page 12");
}

#[tokio::test]
async fn a_shutdown_ends_everything_in_order_and_takes_no_launch() {
    let dir = tempfile::tempdir().unwrap();
    let config = SessionsConfig { flush_timeout_ms: 10, ..config() };
    let world = World::with(dir.path(), config).await;
    let (ada, bob) = (world.play("ada").await, world.play("bob").await);
    world.game_saves(ada, "of ada").await;
    world.sessions.shutdown().await;
    assert_eq!(world.sessions.running(), 0);
    for id in [ada, bob] {
        let row = world.store.session(id).await.unwrap().unwrap();
        assert_eq!((row.status, row.end_reason), (Status::Stopped, Some(EndReason::GatewayShutdown)));
    }
    assert_eq!(world.saved(ada).await.as_deref(), Some("of ada"));
    assert!(matches!(world.launch("eve").await, Err(ServiceError::NoServers)));
}
